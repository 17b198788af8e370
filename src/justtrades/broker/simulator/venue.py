"""The simulated exchange: verbs that change the book and say what happened, nothing else.

Pure: the time is an argument, nothing waits, nothing is random. Every verb either raises `Refused`, `Unknown`
or `Malformed` before it changed anything, or returns an `Outcome` whose events are the whole change: applying
them to an empty set of documents gives the state of the venue again (that is what the ledger does).
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from justtrades.broker.simulator import rules
from justtrades.broker.simulator.book import Account, Book, Live
from justtrades.broker.simulator.change import Change, Fate, LateReject, Opening
from justtrades.broker.simulator.documents import Entity
from justtrades.broker.simulator.listing import Contract, contract_by_id
from justtrades.broker.simulator.matching import MARKET
from justtrades.broker.simulator.rules import Leg, Refused, Terms, Ticket, Unknown
from justtrades.broker.simulator.settlement import roll_cash, roll_position
from justtrades.broker.simulator.tape import Outcome


class Venue:
    def __init__(self, book: Book, terms: Terms | None = None) -> None:
        self.book = book
        self.terms = terms or Terms()

    def _change(self, now: datetime) -> Change:
        return Change(self.book, self.terms, now)

    # ── new orders ───────────────────────────────────────────────────────────────────────────────────────

    def place(self, ticket: Ticket, now: datetime, fate: Fate = None) -> Outcome:
        opening, fate = self._admit(ticket, [ticket.leg], now, fate)
        change, order_id = self._change(now), self.book.take_id()
        change.open(order_id, opening, ticket.leg)
        change.tape.cut()
        change.start(order_id, fate)
        return change.done({"orderId": order_id})

    def place_oco(self, ticket: Ticket, other: Leg, now: datetime, fate: Fate = None) -> Outcome:
        """Two orders of which a fill of one cancels the other."""
        opening, fate = self._admit(ticket, [ticket.leg, other], now, fate)
        change, first, second = self._change(now), self.book.take_id(), self.book.take_id()
        change.open(first, opening, ticket.leg, ocoId=second)
        change.open(second, opening, other, ocoId=first)
        change.tape.cut()
        change.start(first, fate)
        change.start(second, fate)
        return change.done({"orderId": first, "ocoId": second})

    def place_oso(self, ticket: Ticket, brackets: tuple[Leg, ...], now: datetime, fate: Fate = None) -> Outcome:
        """An order and one or two legs that wait for it; two of them are an OCO. Ids are consecutive."""
        opening, fate = self._admit(ticket, [ticket.leg, *brackets], now, fate)
        change, parent = self._change(now), self.book.take_id()
        ids = [self.book.take_id() for _ in brackets]
        change.open(parent, opening, ticket.leg)
        for own, leg in zip(ids, brackets, strict=True):
            links = {"parentId": parent} | ({"ocoId": sum(ids) - own} if len(ids) == 2 else {})
            change.open(own, opening, leg, **links)
        change.tape.cut()
        for own in ids:
            change.suspend(own)
        change.start(parent, fate)
        return change.done({"orderId": parent} | {f"oso{n}Id": own for n, own in enumerate(ids, 1)})

    def _admit(self, ticket: Ticket, legs: list[Leg], now: datetime, fate: Fate) -> tuple[Opening, Fate]:
        rules.check_qty(ticket.qty)
        account = rules.find_account(self.book, ticket.account_id, ticket.account_spec)
        contract = rules.find_symbol(ticket.symbol, self.terms, now)
        for leg in legs:
            rules.check_leg(leg, contract)
            rules.check_quote(leg, self.book.prices.get(contract.id))
        opening = Opening(account.id, contract.id, ticket.qty, ticket.stamp)
        return opening, fate or self._check_risk(account, contract, ticket)

    def _check_risk(self, account: Account, contract: Contract, ticket: Ticket) -> LateReject | None:
        try:
            net = self.book.net(account.id, contract.id)
            rules.check_risk(account, net, ticket.leg.action, ticket.qty)
        except Refused as refused:
            if not account.late_risk:
                raise
            return LateReject(refused.reason, refused.text)
        return None

    # ── changes of orders ────────────────────────────────────────────────────────────────────────────────

    def modify(self, order_id: int, qty: int, leg: Leg, now: datetime, *, stamp: Entity | None = None) -> Outcome:
        """`qty` is the new total [guess]; what is not sent again is gone (protocol.md section 5)."""
        live = self._live(order_id)
        self._check_modify(live, qty, leg, now)
        change = self._change(now)
        command_id = change.modify(live, qty, leg, stamp)
        if not live.suspended:
            change.trade(order_id, arriving=True)
        return change.done({"commandId": command_id})

    def _check_modify(self, live: Live, qty: int, leg: Leg, now: datetime) -> None:
        rules.check_qty(qty)
        contract = contract_by_id(live.order["contractId"])
        assert contract is not None  # an order is only opened on a listed contract
        rules.check_open(contract, self.terms, now)
        rules.check_leg(leg, contract)
        if qty <= live.filled:
            raise Refused("UnknownReason", "Too late")

    def side_of(self, order_id: int) -> str:
        """The action of a live order (a modify request does not carry it)."""
        return str(self._live(order_id).order["action"])

    def cancel(self, order_id: int, now: datetime, *, stamp: Entity | None = None) -> Outcome:
        """`stamp` holds the Cancel command's clOrdId and the like."""
        live, change = self._live(order_id), self._change(now)
        return change.done({"commandId": change.cancel(live, stamp)})

    def _live(self, order_id: int) -> Live:
        live = self.book.orders.get(order_id)
        if live is not None:
            return live
        if order_id in self.book.ended:
            raise Refused("TooLate")
        raise Unknown(f"order {order_id}")

    # ── whole positions ──────────────────────────────────────────────────────────────────────────────────

    def liquidate(self, account_id: int, contract: Contract, now: datetime, *, stamp: Entity | None = None) -> Outcome:
        """Cancel all that works on it, then close at market; when flat the answer is `{}` [guess]."""
        account = rules.find_account(self.book, account_id)
        rules.check_open(contract, self.terms, now)
        rules.check_quote(Leg("Buy", MARKET), self.book.prices.get(contract.id))
        change = self._change(now)
        for live in self.book.on(contract.id):
            if live.order["accountId"] == account.id and live.id in self.book.orders:
                change.cancel(self.book.orders[live.id])
        return change.done(self._close(change, account.id, contract, stamp or {}))

    def _close(self, change: Change, account_id: int, contract: Contract, stamp: Entity) -> Entity:
        net = self.book.net(account_id, contract.id)
        if not net:
            return {}
        order_id = self.book.take_id()
        leg = Leg("Sell" if net > 0 else "Buy", MARKET)
        change.open(order_id, Opening(account_id, contract.id, abs(net), stamp), leg)
        change.tape.cut()
        change.start(order_id)
        return {"orderId": order_id}

    # ── the market ───────────────────────────────────────────────────────────────────────────────────────

    def trades(self, contract: Contract, now: datetime) -> bool:
        """Whether the market of a contract is open."""
        return self.terms.is_open(contract.root, now)

    def tick(self, contract: Contract, price: Decimal, now: datetime) -> Outcome:
        """The market trades at `price`: orders that it reaches fill, oldest first."""
        self.book.prices[contract.id] = price
        change = self._change(now)
        for live in self.book.on(contract.id) if self.terms.is_open(contract.root, now) else ():
            current = self.book.orders.get(live.id)
            if current is not None and not current.suspended:
                change.trade(live.id, arriving=False)
        return change.done({})

    def roll(self, now: datetime) -> Outcome:
        """A new session: Day orders are Expired [guess], positions carried, the day's figures begin at 0."""
        change = self._change(now)
        for live in list(self.book.orders.values()):
            if live.version["timeInForce"] == "Day" and live.id in self.book.orders:
                change.end(live.id, "Expired", live.id)
        for key, held in self.book.holdings.items():
            self.book.holdings[key] = roll_position(held, now)
            change.tape.updated("position", self.book.holdings[key].row)
        for account, cash in self.book.cash.items():
            self.book.cash[account] = roll_cash(cash, now)
            change.tape.updated("cashBalance", self.book.cash[account])
        return change.done({})
