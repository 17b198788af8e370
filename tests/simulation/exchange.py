"""The broker's side of the simulation: the paper broker's own parts over a ledger in memory, without a server.

Nothing of it is a copy: venue, operations, faults and the socket's manners are the simulator's. Only what reaches
outside is replaced: the ledger's file by dictionaries, chance in tokens by a counter, HTTP by a direct call.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from justtrades.broker.simulator import ledger as real
from justtrades.broker.simulator.book import TERMINAL, Account, Book, Holding, Lot
from justtrades.broker.simulator.calls import Call
from justtrades.broker.simulator.counter import Counter
from justtrades.broker.simulator.delivery import Manners
from justtrades.broker.simulator.documents import Entity, day_number, dumps, instant, loads
from justtrades.broker.simulator.floor import FIRST_ACCOUNT, Floor, History
from justtrades.broker.simulator.ledger import Entry, Ledger
from justtrades.broker.simulator.listing import Contract, contract_by_id, find_contract
from justtrades.broker.simulator.matching import MARKET
from justtrades.broker.simulator.replies import Reply
from justtrades.broker.simulator.rules import Leg, Refused, Ticket, Unknown
from justtrades.broker.simulator.sessions import Session, Sessions
from justtrades.broker.simulator.settlement import average, match_lots
from justtrades.broker.simulator.sockets import Sockets, Timing
from justtrades.broker.simulator.tape import Event, Outcome, Tape
from justtrades.broker.simulator.venue import Venue
from tests.simulation import loop

Row = tuple[int, int, bool, str]
"""A document's master, its day, whether it is a live order, its text."""
CASH = Decimal(50_000)
MANUAL: Entity = {"isAutomated": False}
ORDERS_CHILDREN = ("command", "orderVersion", "fill")


class MemoryLedger(Ledger):
    """The same answers from dictionaries. `heard` is told every event once it is kept."""

    def __init__(self, heard: Callable[[Sequence[Event]], None]) -> None:
        self._rows: dict[str, dict[int, Row]] = {}
        self._heard = heard

    def close(self) -> None:
        return None

    def write(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            day = day_number(entry.at)
            for event in entry.events:
                self._keep(event, day)
            self._heard(entry.events)

    def _keep(self, event: Event, day: int) -> None:
        kind, entity = event.entity_type, event.entity
        rows = self._rows.setdefault(kind, {})
        before = rows.get(entity["id"])
        master = entity[real.MASTERS[kind]] if kind in real.MASTERS else entity["id"]
        live = kind == "order" and entity["ordStatus"] not in TERMINAL
        rows[entity["id"]] = (master, before[1] if before else day, live, dumps(entity))

    def item(self, kind: str, id_: int) -> str | None:
        row = self._rows.get(kind, {}).get(id_)
        return row[3] if row else None

    def every(self, kind: str) -> list[str]:
        return [row[3] for _, row in sorted(self._rows.get(kind, {}).items())]

    def recent(self, kind: str, since: datetime) -> list[str]:
        first, live = day_number(since), self._live() if kind in ORDERS_CHILDREN else set()
        rows = sorted(self._rows.get(kind, {}).items())
        return [text for _, (master, day, is_live, text) in rows if day >= first or is_live or master in live]

    def children(self, kind: str, master: int) -> list[str]:
        return [row[3] for _, row in sorted(self._rows.get(kind, {}).items()) if row[0] == master]

    def recent_children(self, kind: str, master: int, since: datetime) -> list[str]:
        first = day_number(since)
        rows = sorted(self._rows.get(kind, {}).items())
        return [text for _, (of, day, live, text) in rows if of == master and (day >= first or live)]

    def load(self) -> Book:
        return Book()

    def _live(self) -> set[int]:
        return {id_ for id_, row in self._rows.get("order", {}).items() if row[2]}


class AlwaysRemembering(History):
    """Keeps what documents were before, so that each single read can be as late as its own fault says."""

    def remember(self, events: Sequence[Event], now: datetime) -> None:
        lag, self.lag = self.lag, timedelta(seconds=1)
        super().remember(events, now)
        self.lag = lag


class NumberedSessions(Sessions):
    """Tokens that are the same in every run."""

    _numbers: itertools.count[int]

    def renew(self, session: Session, now: datetime) -> str:
        super().renew(session, now)
        random = next(reversed(session.tokens))
        token = f"access-{session.id}-{len(session.tokens)}-{int(now.timestamp())}"
        session.tokens[token] = session.tokens.pop(random)
        return token


class Exchange:
    """One broker with `accounts` accounts. Needs a running loop."""

    def __init__(self, rng: Random, heard: Callable[[Sequence[Event]], None]) -> None:
        self.floor = Floor(MemoryLedger(heard), loop.clock)
        self.history = AlwaysRemembering(self.floor.ledger)
        self.floor.history = self.history
        self.counter = Counter(self.floor, NumberedSessions())
        self.sockets = Sockets(self.counter, Timing(), rng)

    async def open(self, accounts: int, prices: dict[str, Decimal]) -> None:
        await self.floor.open_accounts(accounts, CASH)
        for name, price in prices.items():
            await self.move(name, price)

    async def take(self, call: Call, lag: float = 0.0) -> Reply:
        """The reply to a call; a read sees the broker as it was `lag` seconds ago."""
        self.history.lag = timedelta(seconds=lag)
        reply = await self.counter.take(call)
        self.history.lag = timedelta(0)
        return reply

    # ── market and people ──

    @staticmethod
    def contract(name: str) -> Contract:
        found = find_contract(name, loop.BEGAN)
        assert found is not None
        return found

    @staticmethod
    def account_id(number: int) -> int:
        return FIRST_ACCOUNT + number

    def price(self, name: str) -> Decimal:
        return self.floor.venue.book.prices[self.contract(name).id]

    def net(self, account: int, name: str) -> int:
        return self.floor.venue.book.net(account, self.contract(name).id)

    async def move(self, name: str, price: Decimal) -> None:
        await self.floor.trade_at(self.contract(name), price)

    async def by_hand(self, account: int, name: str, action: str, quantity: int) -> bool:
        """A person's market order; False when the venue refuses it."""
        ticket = Ticket(account, name, quantity, Leg(action, MARKET), stamp=MANUAL)
        return await self._hand(lambda venue, now: venue.place(ticket, now))

    async def rest_by_hand(self, account: int, name: str, action: str, quantity: int, by_ticks: int) -> bool:
        """A person's limit order, so many ticks on the far side of the market."""
        away = -by_ticks if action == "Buy" else by_ticks
        price = self.price(name) + away * self.contract(name).root.tick_size
        ticket = Ticket(account, name, quantity, Leg(action, "Limit", price), stamp=MANUAL)
        return await self._hand(lambda venue, now: venue.place(ticket, now))

    async def cancel_by_hand(self, order_id: int) -> bool:
        return await self._hand(lambda venue, now: venue.cancel(order_id, now, stamp=MANUAL))

    async def liquidate(self, account: int, name: str) -> bool:
        """The broker's risk desk closes a position."""
        return await self._hand(lambda venue, now: venue.liquidate(account, self.contract(name), now, stamp=MANUAL))

    async def modify_by_hand(self, order_id: int, by_ticks: int) -> bool:
        """A person moves the price of a working limit order."""
        live = self.floor.venue.book.orders[order_id]
        tick = contract_by_id(live.order["contractId"]).root.tick_size  # type: ignore[union-attr]  # it is listed
        leg = Leg(live.order["action"], "Limit", Decimal(str(live.version["price"])) + by_ticks * tick)
        quantity = live.version["orderQty"]
        return await self._hand(lambda venue, now: venue.modify(order_id, quantity, leg, now, stamp=MANUAL))

    async def adjust(self, account: int, name: str, signed: int) -> None:
        """The broker changes a position without an order or a fill, as no fill explains."""
        outcome = await self.floor.act(
            lambda venue, now: _adjusted(venue, (account, self.contract(name).id), signed, self.price(name), now)
        )
        self.floor.tell(outcome.frames)

    async def bust(self, fill_id: int) -> None:
        """The exchange undoes an execution: the fill is not active any more, the position as if it had never been."""
        fill = next(row for row in self.documents("fill") if row["id"] == fill_id)
        account = next(row for row in self.documents("order") if row["id"] == fill["orderId"])["accountId"]
        outcome = await self.floor.act(lambda venue, now: _busted(venue, account, fill, now))
        self.floor.tell(outcome.frames)

    async def _hand(self, verb: Callable[..., object]) -> bool:
        try:
            outcome = await self.floor.act(verb)  # type: ignore[arg-type]  # a lambda over the venue
        except (Refused, Unknown):
            return False
        self.floor.tell(outcome.frames)
        return True

    async def limit(self, account: int, **changes: object) -> None:
        """New limits of an account (`simulator.book.Account`)."""
        book = self.floor.venue.book.accounts
        await self.floor.set_account(replace(book[account], **changes))  # type: ignore[arg-type]  # fields by name

    async def free(self, account: int) -> None:
        """No limits any more, where there were some."""
        book = self.floor.venue.book.accounts
        if book[account] != Account(account, book[account].name):
            await self.floor.set_account(Account(account, book[account].name))

    async def roll(self) -> None:
        outcome = await self.floor.act(lambda venue, now: venue.roll(now))
        self.floor.tell(outcome.frames)

    # ── manners ──

    def calm(self) -> None:
        """No fault waits any more, and events come as they happen."""
        self.counter.faults.clear()
        self.sockets.manners = Manners()
        self.floor.events_first = False
        self.floor.venue.terms = replace(self.floor.venue.terms, lot=None, depth=None)

    def tell_everything_again(self, rng: Random) -> None:
        """Every document of orders and fills once more, shuffled, some of them twice."""
        kinds = ("order", "command", "orderVersion", "fill", "executionReport", "commandReport")
        events = [Event(kind, "Updated", entity) for kind in kinds for entity in self.documents(kind)]
        events += rng.sample(events, len(events) // 3)
        rng.shuffle(events)
        while events:
            size = rng.randint(1, 4)
            self.floor.tell([tuple(events[:size])])
            del events[:size]

    # ── the truth ──

    def documents(self, kind: str) -> list[Entity]:
        return [loads(text) for text in self.floor.ledger.every(kind)]


def _busted(venue: Venue, account: int, fill: Entity, now: datetime) -> Outcome:
    """How a bust arrives is a guess (protocol.md section 8, row 30): the fill Updated with active false."""
    key, sign = (account, fill["contractId"]), -1 if fill["action"] == "Buy" else 1
    tape = Tape()
    _move(venue, key, Lot(fill["id"], fill["qty"], Decimal(str(fill["price"]))), sign, now)
    tape.updated("fill", fill | {"active": False})
    tape.cut()
    tape.updated("position", venue.book.holdings[key].row)
    tape.cut()
    return Outcome({}, tuple(tape.frames))


def _adjusted(venue: Venue, key: tuple[int, int], signed: int, price: Decimal, now: datetime) -> Outcome:
    tape = Tape()
    _move(venue, key, Lot(0, abs(signed), price), 1 if signed > 0 else -1, now)
    tape.updated("position", venue.book.holdings[key].row)
    tape.cut()
    return Outcome({}, tuple(tape.frames))


def _move(venue: Venue, key: tuple[int, int], lot: Lot, sign: int, now: datetime) -> None:
    """The position as if these contracts had been traded."""
    held = venue.book.holding(*key, now)
    lots, _ = match_lots(held, lot, sign)
    row = {name: kept for name, kept in held.row.items() if name != "netPrice"}
    row |= {"timestamp": instant(now), "netPos": held.net + sign * lot.qty}
    price = average(lots)
    venue.book.holdings[key] = Holding(row if price is None else row | {"netPrice": price}, lots)
