"""A desk to play with: the real engine without HTTP, a broker small enough to read, virtual time.

The database is a real SQLite file and outlives a `crash`, and so does the broker; a second connection looks at
what is durable. A test is a coroutine that gets the world: `@played() async def test_…(here: World)`.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection

from justtrades.broker.port import (
    Account,
    Asker,
    AuditId,
    Broker,
    Budget,
    ConnectionState,
    ContractRecord,
    FillReport,
    Gate,
    Health,
    LanePicture,
    Lost,
    NotSent,
    OrderReport,
    Picture,
    PositionReport,
    Refused,
    Report,
    Request,
    Sent,
    Synced,
)
from justtrades.broker.tradovate.requests import urgency
from justtrades.desk import Arrival, Desk
from justtrades.executor import Executor, KeepNews
from justtrades.lane_view import LaneView
from justtrades.positions.commands import CancelOrder, Liquidate, ModifyOrder, Mutation, PlaceOrder
from justtrades.positions.limits import Limits
from justtrades.positions.model import (
    AccountId,
    Action,
    BrokerAccountId,
    BrokerOrder,
    BrokerOrderId,
    ClientOrderId,
    ConnectionId,
    ContractName,
    Fill,
    FillId,
    Lane,
    News,
    Noted,
    Order,
    OrderType,
    Outcome,
    Purpose,
    RecorderId,
    SignalId,
    Status,
    Target,
    Verb,
)
from justtrades.positions.prices import Distance, Unit
from justtrades.positions.recorder import Reading, Recorder, Route
from justtrades.positions.urgency import Urgency
from justtrades.store import books, codec, connections, engines, migrate, signals
from justtrades.store.connections import ConnectionRow
from justtrades.store.secrets import Box, new_key
from justtrades.store.session import Database, NotDurable
from tests.broker.tradovate import virtual

T = TypeVar("T")
PAPER = ConnectionId("paper")
FIRST, SECOND = BrokerAccountId("1001"), BrokerAccountId("1002")
ACCOUNT, OTHER = AccountId("paper-1001"), AccountId("paper-1002")
MNQ, ES = ContractName("MNQZ6"), ContractName("ESZ6")
MAX_AGE = timedelta(seconds=30)


@dataclass
class Clock:
    """The wall clock of the virtual loop, which a test may move on by more than it waits."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return virtual.clock() + self.ahead


async def nothing(_: object) -> None:
    return None


LaneAt = tuple[BrokerAccountId, ContractName]


@dataclass
class FakeBroker:
    """Obeys at once and tells everything. The three hooks may wait, look around or raise instead."""

    clock: Clock
    listed: tuple[Account, ...] = (Account(FIRST, "DEMO1001"), Account(SECOND, "DEMO1002"))
    before: Callable[[Mutation], Awaitable[None]] = nothing
    after: Callable[[Mutation], Awaitable[None]] = nothing
    read: Callable[[str], Awaitable[None]] = nothing
    price: Decimal = Decimal(100)
    mute: bool = False
    answers_late: float = 0.0
    """Seconds a picture takes on its way to us."""
    closes_slowly: float = 0.0
    state: ConnectionState = ConnectionState.CONNECTING
    budget: Budget = field(default_factory=Budget)
    expires: dict[ContractName, datetime] = field(default_factory=dict)
    sent: list[Mutation] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    askers: list[Asker] = field(default_factory=list)
    """On whose behalf it was looked, or a picture taken; a read that is on nobody's behalf leaves none."""
    orders: dict[BrokerOrderId, BrokerOrder] = field(default_factory=dict)
    fills: list[tuple[LaneAt, Fill]] = field(default_factory=list)
    lanes: dict[BrokerOrderId, LaneAt] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1000))
    _prepared: dict[AuditId, tuple[Mutation, LaneAt]] = field(default_factory=dict)
    _queue: asyncio.Queue[Report] = field(default_factory=asyncio.Queue)

    async def start(self) -> None:
        self.runs.append("start")
        self.sync()

    async def close(self) -> None:
        self.runs.append("close")
        await asyncio.sleep(self.closes_slowly)

    async def accounts(self, urgency: Urgency = Urgency.RECONCILE) -> tuple[Account, ...]:
        await self._read("accounts")
        return self.listed

    async def contract(self, name: ContractName) -> ContractRecord:
        await self._read(f"contract {name}")
        return ContractRecord(1, name, Decimal("0.25"), Decimal(2), self.expires.get(name))

    def prepare(self, command: Mutation, account: BrokerAccountId, contract: ContractName) -> Request:
        row = AuditId(f"row-{next(self.numbers)}")
        self._prepared[row] = command, (account, contract)
        body = {"clOrdId": command.id, "price": command.order.price if isinstance(command, PlaceOrder) else None}
        about = (account, command.signal_id, command.id, urgency(command))
        return Request(row, "POST", type(command).__name__, body, *about)

    async def send(self, request: Request, gate: Gate) -> Sent:
        command, lane = self._prepared[request.audit_id]
        await self.before(command)
        if (no := gate()) is not None:
            raise NotSent("gate", no, final=True)
        self.sent.append(command)
        ids = self._obey(command, lane)
        await self.after(command)
        return Sent(ids)

    async def look(
        self, account: BrokerAccountId, ids: tuple[ClientOrderId, ...], asker: Asker | None = None
    ) -> tuple[tuple[BrokerOrder, ...], tuple[Fill, ...]]:
        self._asked(asker)
        await self._read("look")
        found = tuple(o for o in self.orders.values() if o.client_id in ids)
        known = {o.broker_id for o in found}
        return found, tuple(fill for _, fill in self.fills if fill.broker_order_id in known)

    async def picture(self, urgency: Urgency = Urgency.RECONCILE, asker: Asker | None = None) -> Picture:
        began = self.clock()
        self._asked(asker)
        await self._read("picture")
        accounts = frozenset(account.id for account in self.listed)
        lanes = {lane for lane in [*self.lanes.values(), *(at for at, _ in self.fills)] if lane[0] in accounts}
        picture = Picture(began, accounts, tuple(self._lane(lane) for lane in sorted(lanes)))
        if self.answers_late:
            await asyncio.sleep(self.answers_late)
        return picture

    async def reports(self) -> AsyncIterator[Report]:
        while True:
            yield await self._queue.get()

    @property
    def health(self) -> Health:
        return Health(self.state, budget=self.budget)

    # ── its book ──

    def tell(self, report: Report) -> None:
        if not self.mute:
            self._queue.put_nowait(report)

    def sync(self) -> None:
        self.state = ConnectionState.SYNCED
        self._queue.put_nowait(Synced())

    def lose(self) -> None:
        self.state = ConnectionState.CONNECTING
        self._queue.put_nowait(Lost("the test took it away"))

    def net(self, lane: LaneAt = (FIRST, MNQ)) -> int:
        return sum(fill.signed for at, fill in self.fills if at == lane)

    def placed(self, purpose: Purpose | None = None) -> list[Order]:
        orders = [c.order for c in self.sent if isinstance(c, PlaceOrder | Liquidate)]
        return [order for order in orders if purpose in (None, order.purpose)]

    def working(self) -> list[BrokerOrder]:
        return [order for order in self.orders.values() if not order.status.ended]

    def fill(self, order: BrokerOrder) -> None:
        lane, left = self.lanes[order.broker_id], (order.quantity or 0) - order.claimed
        assert order.action is not None
        number = FillId(str(next(self.numbers)))
        price = order.price or self.price
        done = Fill(number, order.broker_id, order.action, left, price, self.clock())
        self.fills.append((lane, done))
        self._show(replace(order, status=Status.FILLED, claimed=order.claimed + left))
        self.tell(FillReport(*lane, done))
        self.tell(PositionReport(*lane, self.net(lane), self.clock()))

    def by_hand(self, signed: int, lane: LaneAt = (FIRST, MNQ)) -> None:
        """The trader's own market order, on his own platform."""
        number = BrokerOrderId(str(next(self.numbers)))
        self.lanes[number] = lane
        self._show(BrokerOrder(number, None, Status.WORKING, Action.of(signed), abs(signed), OrderType.MARKET))
        self.fill(self.orders[number])

    def tell_again(self) -> None:
        """Every order and fill of the day, as at the end of a session."""
        for number, order in self.orders.items():
            self.tell(OrderReport(*self.lanes[number], order))
        for lane, fill in self.fills:
            self.tell(FillReport(*lane, fill))

    def _asked(self, asker: Asker | None) -> None:
        if asker is not None:
            asker.requests += 1
            self.askers.append(asker)

    async def _read(self, what: str) -> None:
        self.reads.append(what)
        await self.read(what)

    def _lane(self, lane: LaneAt) -> LanePicture:
        orders = tuple(order for number, order in self.orders.items() if self.lanes[number] == lane)
        return LanePicture(*lane, orders, tuple(f for at, f in self.fills if at == lane), self.net(lane))

    def _show(self, order: BrokerOrder) -> None:
        self.orders[order.broker_id] = order
        self.tell(OrderReport(*self.lanes[order.broker_id], order))

    def _obey(self, command: Mutation, lane: LaneAt) -> tuple[BrokerOrderId, ...]:
        match command:
            case PlaceOrder(_, order, other):
                return tuple(self._take(o, lane) for o in (order, other) if o is not None)
            case Liquidate(_, order):
                return (self._take(order, lane),)
            case CancelOrder(broker_id=number) if self.orders[number].status.ended:
                raise Refused("TooLate", "the order has ended")
            case CancelOrder(broker_id=number):
                self._show(replace(self.orders[number], status=Status.CANCELED))
            case ModifyOrder(_, _, number, _, quantity, _, price):
                old = self.orders[number]
                self._show(replace(old, quantity=quantity, price=price, version=old.version + 1))
        return ()

    def _take(self, order: Order, lane: LaneAt) -> BrokerOrderId:
        number = BrokerOrderId(str(next(self.numbers)))
        self.lanes[number] = lane
        facts = (order.action, order.quantity, order.order_type, order.price)
        self._show(BrokerOrder(number, order.id, Status.WORKING, *facts, at=self.clock(), version=1))
        if order.order_type is OrderType.MARKET:
            self.fill(self.orders[number])
        return number


class Disk(Database):
    """The real database; a test may take it away, or make it slow (seconds a commit)."""

    full = False
    unsure = False
    """Keeps every write and says that it did not."""
    slow = 0.0
    slow_reads = 0.0
    commits = 0
    refused_at: list[datetime]

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.refused_at = []

    async def write(self, work: Callable[[Connection], T]) -> T:
        if self.slow:
            await asyncio.sleep(self.slow)
        if self.full:
            self.refused_at.append(self.now())
            raise NotDurable("not durable: the disk is full")
        self.commits += 1
        found = await super().write(work)
        if self.unsure:
            raise NotDurable("not durable: the answer of the commit was lost")
        return found

    def post(
        self, work: Callable[[Connection], object], done: Callable[[Exception | None], None] | None = None
    ) -> None:
        if not self.full:
            super().post(work, done)
        elif done is not None:
            done(NotDurable("not durable: the disk is full"))

    async def read(self, work: Callable[[Connection], T]) -> T:
        found = await super().read(work)
        if self.slow_reads:
            await asyncio.sleep(self.slow_reads)
        return found


def ticks(value: int) -> tuple[Target, ...]:
    return (Target(distance=Distance(Decimal(value), Unit.TICKS)),)


def recorder(*accounts: AccountId, **rules: Any) -> Recorder:
    """MNQ1!, one contract, no target, on the first account unless others are named."""
    routes = tuple(Route(account) for account in accounts or (ACCOUNT,))
    given: dict[str, Any] = {"id": RecorderId("r1"), "name": "momentum", "symbol": "MNQ1!", "routes": routes}
    return Recorder(**{**given, **rules})


@dataclass
class World:
    folder: Path
    clock: Clock = field(default_factory=Clock)
    limits: Limits = field(default_factory=Limits)
    truth_poll: float = 600.0
    box: Box = field(default_factory=lambda: Box(new_key()))
    news: list[News] = field(default_factory=list)
    brokers: dict[ConnectionId, FakeBroker] = field(default_factory=dict)
    refusals: dict[ConnectionId, Refused] = field(default_factory=dict)
    starts: int = 0
    hears_prices: Callable[[ContractName, Decimal], Awaitable[None]] | None = None
    tells_prices: Callable[[ContractName], Awaitable[Decimal | None]] | None = None
    keeps_news: KeepNews | None = None
    lots: random.Random | None = None
    """What waits are drawn with; None: another seed each start."""
    database: Disk = field(init=False)
    desk: Desk = field(init=False)
    running: asyncio.Task[None] = field(init=False)

    @property
    def broker(self) -> FakeBroker:
        return self.brokers[PAPER]

    # ── life ──

    async def open(self) -> None:
        self.database = Disk(f"sqlite+aiosqlite:///{self._file}", clock=self.clock, inline=True)
        await self.database.open()

    async def start(self, *, slow_reads: float = 0.0) -> None:
        """The engine, on what the one before left behind; `slow_reads` in seconds, each."""
        await self.open()
        self.database.slow_reads = slow_reads
        self.starts += 1
        self.desk = Desk(
            database=self.database,
            make_broker=self._broker,
            limits=self.limits,
            clock=self.clock,
            truth_poll=self.truth_poll,
            rng=self.lots or random.Random(self.starts),
            on_news=lambda _, told: self.news.extend(told),
            keep_news=self.keeps_news,
            price_seen={PAPER: self.hears_prices} if self.hears_prices is not None else {},
            ask_price={PAPER: self.tells_prices} if self.tells_prices is not None else {},
        )
        self.running = asyncio.create_task(self.desk.run())

    async def crash(self) -> None:
        """Whatever was not durable is gone; the broker lives on."""
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)
        await self.database.close()
        for broker in self.brokers.values():
            broker._queue = asyncio.Queue()

    async def restart(self) -> None:
        await self.crash()
        await self.start()
        await self.ready()

    async def _broker(self, row: ConnectionRow) -> Broker:
        if row.id in self.refusals:
            raise self.refusals[row.id]
        return self.brokers.setdefault(row.id, FakeBroker(self.clock))

    async def connection(self, name: str, **changes: Any) -> ConnectionRow:
        """Another login."""
        given = {"environment": "paper", "auth": "password", "username": None, "secrets": {}, **changes}
        at = self.clock()
        return await self.database.write(lambda c: connections.add(c, self.box, name=name, at=at, **given))

    # ── asking for facts ──

    async def until(self, fact: Callable[[], T], within: float = 60.0) -> T:
        """Waits for a fact in virtual time; an engine that ended meanwhile shows its error."""
        ends, pause = asyncio.get_running_loop().time() + within, 0.01
        while not (found := self._now(fact)):
            if self.running.done():
                await self.running
            assert asyncio.get_running_loop().time() < ends, f"waited {within} s in vain"
            await asyncio.sleep(pause)
            pause = min(pause * 1.1, 0.25)
        return found

    @staticmethod
    def _now(fact: Callable[[], T]) -> T | None:
        try:
            return fact()
        except LookupError:
            return None  # what it asks about does not exist yet

    async def ready(self) -> None:
        await self.until(lambda: not self.desk.not_ready())

    def saved(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What another connection sees: durable facts only."""
        with closing(sqlite3.connect(self._file)) as other:
            return other.execute(query, values).fetchall()

    def view(self, account: AccountId = ACCOUNT, contract: ContractName = MNQ) -> LaneView:
        return {(view.account_id, view.contract): view for view in self.desk.lanes()}[account, contract]

    def lane(self, account: AccountId = ACCOUNT, contract: ContractName = MNQ) -> Executor:
        return self.desk._lanes[account, contract]

    def durable_lane(self, account: AccountId = ACCOUNT, contract: ContractName = MNQ) -> Lane:
        query = "select state_json from lanes where account_id = ? and contract = ?"
        return codec.lane_from(self.saved(query, account, contract)[0][0])

    def said(self) -> str:
        """Every alarm and note so far."""
        return "\n".join(told.text for told in self.news if isinstance(told, Noted))

    # ── asking for trades ──

    async def accept(
        self, verb: Verb, rules: Recorder | None = None, *, price: str | None = None, **said: Any
    ) -> Arrival:
        """An alert made durable and not dispatched: the engine may die at this point. `said`: more of its reading."""
        rules, at = rules or recorder(), self.clock()
        reading = Reading("test", verb, price=None if price is None else Decimal(price), **said)
        new = signals.NewSignal(
            SignalId(self.database.new_id()),
            at,
            "webhook",
            content_hash="",
            recorder_id=rules.id,
            expires_at=at + MAX_AGE,
            verb=verb,
            reading_json=codec.reading_text(reading),
            recorder_json=codec.recorder_text(rules),
            routes=tuple(signals.NewRoute(route.account_id) for route in rules.routes),
        )
        await self.database.write(lambda c: signals.accept(c, new))
        return Arrival(new.id, at, at + MAX_AGE, rules, reading)

    async def alert(self, verb: Verb, rules: Recorder | None = None, *, price: str | None = None) -> SignalId:
        arrival = await self.accept(verb, rules, price=price)
        self.desk.dispatch(arrival)
        return arrival.signal_id

    def ended(self, signal_id: SignalId) -> tuple[Outcome, str] | None:
        outcome, reason = self.saved("select outcome, reason from signals where id = ?", signal_id)[0]
        return (Outcome(outcome), reason) if outcome is not None else None

    async def outcome(self, signal_id: SignalId) -> tuple[Outcome, str]:
        """How it ended, once it has."""
        await self.until(lambda: self.ended(signal_id) is not None)
        ended = self.ended(signal_id)
        assert ended is not None
        return ended

    async def trade(self, verb: Verb, rules: Recorder | None = None) -> Outcome:
        """An alert and its end."""
        return (await self.outcome(await self.alert(verb, rules)))[0]

    @property
    def _file(self) -> Path:
        return self.folder / "engine.db"


@cache
def newest_schema() -> bytes:
    """A database with the schema, one paper connection and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "empty.db"
        engine = engines.sqlite_writer(engines.parse(f"sqlite+aiosqlite:///{file}"))
        with engine.begin() as connection:
            migrate.create(connection)
            books.first_connection(connection, virtual.BEGAN)
        engine.dispose()
        return file.read_bytes()


Test = Callable[[World], Coroutine[Any, Any, None]]


def played(*, start: bool = True, **options: Any) -> Callable[[Test], Callable[[Path], None]]:
    """A test in a world of its own, in virtual time; the engine runs and is ready unless `start` is false."""

    def decorate(test: Test) -> Callable[[Path], None]:
        def whole(tmp_path: Path) -> None:
            (tmp_path / "engine.db").write_bytes(newest_schema())
            virtual.run(_play(test, World(tmp_path, **options), start=start))

        whole.__doc__ = test.__doc__
        return whole

    return decorate


async def _play(test: Test, here: World, *, start: bool) -> None:
    here.brokers[PAPER] = FakeBroker(here.clock)
    if start:
        await here.start()
        await here.ready()
    try:
        await test(here)
    finally:
        if here.starts:
            await here.crash()
