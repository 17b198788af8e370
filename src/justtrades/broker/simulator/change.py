"""One change to the book, being written on its tape: the life of orders, step by step.

A change has one time and one tape. Its steps (open, start, trade, end) are what the verbs of `venue` are made
of; each moves the book and records the events that say so, so book and tape can never tell different stories.

Ids and event order follow protocol.md section 6: a New command has its order's id, so has the first version;
the command report is the next id; a market order's first fill is order id + 3; partial fills rise by 2; a
Modify's version has the Modify command's id; the automatic cancel of an OCO sibling is a Cancel command whose
execution report is the next id. Our guesses: an order ended by hand leaves its OCO sibling working; OSO legs
start when the parent has ended, with the quantity that filled.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from justtrades.broker.simulator import documents
from justtrades.broker.simulator.book import Book, Live
from justtrades.broker.simulator.documents import Entity
from justtrades.broker.simulator.listing import contract_by_id
from justtrades.broker.simulator.matching import MARKET, portions, trade_price, triggers
from justtrades.broker.simulator.rules import Leg, Terms
from justtrades.broker.simulator.settlement import Booking
from justtrades.broker.simulator.tape import Outcome, Tape


@dataclass(frozen=True, slots=True)
class LateReject:
    """The order gets an id and is then rejected by risk."""

    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class ExchangeCancel:
    """The order is accepted and then cancelled by the exchange, unfilled."""


Fate = LateReject | ExchangeCancel | None


@dataclass(frozen=True, slots=True)
class Opening:
    """What all orders of one request share."""

    account_id: int
    contract_id: int
    qty: int
    stamp: Entity = field(default_factory=dict)
    """Fields of the command documents: customTag50, isAutomated, senderId, userSessionId."""


@dataclass(slots=True)
class Change:
    book: Book
    terms: Terms
    now: datetime
    tape: Tape = field(default_factory=Tape)
    _commands: dict[int, Entity] = field(default_factory=dict)

    def done(self, answer: Entity) -> Outcome:
        self.tape.cut()
        return Outcome(answer, tuple(self.tape.frames))

    # ── beginning ────────────────────────────────────────────────────────────────────────────────────────

    def open(self, order_id: int, opening: Opening, leg: Leg, **links: int) -> None:
        """A new order with its command and version; the caller ends the frame."""
        account, contract = opening.account_id, opening.contract_id
        order = documents.order(order_id, leg.action, "PendingNew", self.now)
        order |= {"accountId": account, "contractId": contract, **links}
        version = version_document(order_id, order_id, opening.qty, leg)
        self.book.orders[order_id] = Live(order, version)
        self.tape.created("order", order)
        self._command(order_id, order_id, "New", _client_id(leg) | opening.stamp)
        self.tape.created("orderVersion", version)

    def start(self, order_id: int, fate: Fate = None) -> None:
        """Risk speaks, then the exchange; then it may trade. By now a sibling's fill may have ended it."""
        if order_id not in self.book.orders:
            return
        if isinstance(fate, LateReject):
            self._reject(order_id, fate)
            return
        self._report(order_id, "RiskPassed")
        self._work(order_id)
        if isinstance(fate, ExchangeCancel):
            self.end(order_id, "Canceled", order_id)
        else:
            self.trade(order_id, arriving=True)
            self._end_immediate(order_id)

    def suspend(self, order_id: int) -> None:
        """An OSO leg waits for its parent."""
        self._report(order_id, "ExecutionSuspended")
        self._set_status(order_id, "Suspended")
        self.tape.cut()

    def _command(self, command_id: int, order_id: int, kind: str, stamp: Entity) -> None:
        command = documents.command(command_id, order_id, kind, self.now) | stamp
        self._commands[command_id] = command
        self.tape.created("command", command)

    def _report(self, command_id: int, status: str, **why: str) -> None:
        """Risk or execution has spoken about a command of this change."""
        report = documents.command_report(self.book.take_id(), command_id, status, self.now)
        self.tape.created("commandReport", report | why)
        self.tape.updated("command", self._commands[command_id] | {"commandStatus": status})
        self.tape.cut()

    def _reject(self, order_id: int, fate: LateReject) -> None:
        """Order Rejected and a RiskRejected report; no execution report, no provider id (recorded)."""
        self._set_status(order_id, "Rejected")
        self._report(order_id, "RiskRejected", rejectReason=fate.reason, text=fate.text)
        self._drop(order_id, filled=0)

    def _work(self, order_id: int) -> None:
        """It is at the exchange. A market order is not shown as Working [guess]."""
        live = self.book.orders[order_id]
        order = live.order | {"ordStatus": "Working", "executionProviderId": 1}
        self.book.orders[order_id] = replace(live, order=order)
        self._executed(order_id, order, "New")
        if live.kind != MARKET:
            self.tape.updated("order", order)
        self.tape.cut()

    def _executed(self, command_id: int, order: Entity, kind: str, **more: object) -> None:
        report = documents.execution_report(self.book.take_id(), command_id, order, kind, self.now)
        self.tape.created("executionReport", report | more)

    def _set_status(self, order_id: int, status: str) -> None:
        live = self.book.orders[order_id]
        order = live.order | {"ordStatus": status}
        self.book.orders[order_id] = replace(live, order=order)
        self.tape.updated("order", order)

    # ── changing and ending ──────────────────────────────────────────────────────────────────────────────

    def modify(self, live: Live, qty: int, leg: Leg, stamp: Entity | None = None) -> int:
        """A new version; its id, which is the Modify command's, is returned."""
        command_id = self.book.take_id()
        version = version_document(command_id, live.id, qty, leg)
        self._command(command_id, live.id, "Modify", _client_id(leg) | (stamp or {}))
        self.tape.created("orderVersion", version)
        self.tape.cut()
        self._report(command_id, "RiskPassed")
        self.book.orders[live.id] = replace(live, version=version, triggered=False)
        self._executed(command_id, live.order, "Replaced")
        self.tape.updated("order", live.order)
        self.tape.cut()
        return command_id

    def cancel(self, live: Live, stamp: Entity | None = None) -> int:
        """End a live order by a Cancel command, whose id is returned."""
        command_id = self.book.take_id()
        self._command(command_id, live.id, "Cancel", stamp or {})
        self.tape.cut()
        self.end(live.id, "Canceled", command_id)
        return command_id

    def end(self, order_id: int, status: str, command_id: int) -> None:
        """Canceled or Expired, by whatever command."""
        live = self.book.orders[order_id]
        order = live.order | {"ordStatus": status}
        self._executed(command_id, order, status)
        self.tape.updated("order", order)
        self.tape.cut()
        self._drop(order_id, filled=live.filled)

    def _drop(self, order_id: int, *, filled: int) -> None:
        """The order is out of the book; its suspended legs start with what it filled, or go with it."""
        self.book.forget(order_id)
        for leg in self.book.children(order_id):
            if not filled:
                self.cancel(leg)
            elif leg.remaining != filled:
                self.modify(leg, filled, leg_of(leg))
        for leg in self.book.children(order_id):
            self._work(leg.id)
        for leg in self.book.children(order_id):
            if leg.id in self.book.orders:
                self.trade(leg.id, arriving=True)

    # ── trading ──────────────────────────────────────────────────────────────────────────────────────────

    def trade(self, order_id: int, *, arriving: bool) -> None:
        """Fill what the last price fills."""
        live = self.book.orders[order_id]
        last = self.book.prices.get(live.order["contractId"])
        if last is None:
            return
        live = self._triggered(live, last)
        price = trade_price(live, last, arriving=arriving)
        qty = live.remaining if self.terms.depth is None else min(live.remaining, self.terms.depth)
        whole_or_none = live.version["timeInForce"] == "FOK" and qty < live.remaining
        if price is not None and qty and not whole_or_none:
            self._fill(live, qty, price)

    def _triggered(self, live: Live, last: Decimal) -> Live:
        if live.triggered or not triggers(live, last):
            return live
        live = replace(live, triggered=True)
        self.book.orders[live.id] = live
        self.tape.created("_trigger", {"id": live.version["id"]})
        return live

    def _fill(self, live: Live, qty: int, price: Decimal) -> None:
        fills = []
        for part in portions(qty, self.terms.lot):
            live = replace(live, filled=live.filled + part, value=live.value + part * price)
            fills.append(self._one_fill(live, part, price))
        self.book.orders[live.id] = live
        if not live.remaining or live.kind == MARKET:
            # What is left of a market order becomes visible as Working only here.
            self._set_status(live.id, "Working" if live.remaining else "Filled")
            self.tape.cut()
        self._settle(live, fills)
        self._reduce_sibling(live, qty)
        if not live.remaining:
            self._drop(live.id, filled=live.filled)

    def _one_fill(self, live: Live, part: int, price: Decimal) -> Entity:
        order = live.order | {"ordStatus": "Working" if live.remaining else "Filled"}
        fill = documents.fill(self.book.take_id(), order, part, price, self.now)
        average = round(live.value / live.filled, 9)
        self.tape.created("fill", fill)
        traded = {"cumQty": live.filled, "avgPx": average, "lastQty": part, "lastPx": price}
        self._executed(live.id, order, "Trade", **traded)
        self.tape.cut()
        return fill

    def _settle(self, live: Live, fills: Iterable[Entity]) -> None:
        contract = contract_by_id(live.order["contractId"])
        assert contract is not None  # an order is only opened on a listed contract
        booking = Booking(self.book, self.tape, self.terms.fees, contract.root.point_value, self.now)
        for fill in fills:
            booking.settle(live.order["accountId"], fill)

    def _reduce_sibling(self, live: Live, qty: int) -> None:
        """One cancels the other; a part filled takes the same part from the other."""
        sibling = self.book.orders.get(live.order.get("ocoId", 0))
        if sibling is None:
            return
        if not live.remaining or sibling.remaining <= qty:
            self.cancel(sibling)
        else:
            self.modify(sibling, sibling.version["orderQty"] - qty, leg_of(sibling))

    def _end_immediate(self, order_id: int) -> None:
        live = self.book.orders.get(order_id)
        if live is not None and live.version["timeInForce"] in ("IOC", "FOK"):
            self.end(order_id, "Canceled", order_id)


def _client_id(leg: Leg) -> Entity:
    return {} if leg.cl_ord_id is None else {"clOrdId": leg.cl_ord_id}


def version_document(id_: int, order_id: int, qty: int, leg: Leg) -> Entity:
    optional = {"price": leg.price, "stopPrice": leg.stop_price, "text": leg.text}
    return {
        "id": id_,
        "orderId": order_id,
        "orderQty": qty,
        "orderType": leg.kind,
        "timeInForce": leg.time_in_force,
    } | {key: value for key, value in optional.items() if value is not None}


def leg_of(live: Live) -> Leg:
    """What a live order wants, as its newest version says."""
    version = live.version
    return Leg(
        action=live.order["action"],
        kind=version["orderType"],
        price=documents.decimal(version["price"]) if "price" in version else None,
        stop_price=documents.decimal(version["stopPrice"]) if "stopPrice" in version else None,
        time_in_force=version["timeInForce"],
        text=version.get("text"),
    )
