"""All lanes: routes signals and broker reports to them, starts them, supervises them, stops them.

The database is the queue of record; `dispatch` is a hint that comes right after the commit. At start every
signal without an outcome is dispatched again, and a lane that already has it does not take it twice.

An unexpected error inside a lane halts that lane. An unexpected error here ends the desk, and with it the
process: `run` raises it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import islice

from justtrades.account_watch import AccountWatch
from justtrades.broker.port import (
    Account,
    AuditId,
    Broker,
    BustReport,
    ConnectionState,
    FeeReport,
    FillReport,
    Health,
    OrderReport,
    Picture,
    PositionReport,
    Refused,
)
from justtrades.checks import AskPrice, Checks
from justtrades.comparing import Comparison, compared
from justtrades.dispatch import JOBS_LIMIT, Dispatch, HearPrice, LaneKey, durably
from justtrades.executor import Executor, KeepNews, Switch, picture_taken
from justtrades.lane_view import LaneView, view
from justtrades.login import LaneReport, Link, Login, lane_in
from justtrades.notices import Kind, Notify, silent
from justtrades.overdue import Overdue
from justtrades.past import Past
from justtrades.positions import book, contracts
from justtrades.positions.contracts import RollRule
from justtrades.positions.events import (
    ConnectionLost,
    Event,
    FillBusted,
    KillSwitched,
    LaneResumed,
    OrderFilled,
    OrderReported,
    PictureWanted,
    PositionReported,
    Restarted,
    SignalReceived,
)
from justtrades.positions.limits import Limits
from justtrades.positions.model import (
    AccountId,
    BrokerAccountId,
    ConnectionId,
    ContractName,
    FillId,
    Lane,
    News,
    Noted,
    Outcome,
    RecorderId,
    Signal,
    SignalId,
    Verb,
)
from justtrades.positions.urgency import Urgency
from justtrades.rehearse import Arrival, Rehearsed
from justtrades.store import books, connections, fees, lulls, recorders, shadows
from justtrades.store.accounts import AccountRow
from justtrades.store.connections import ConnectionRow
from justtrades.store.kept import was_kept
from justtrades.store.lanes import Known, known_ids, unprotected
from justtrades.store.prices import last_prices
from justtrades.store.session import Database, NotDurable
from justtrades.takeover import CannotAdopt, adoption
from justtrades.unprotected import Longest

log = logging.getLogger(__name__)

FEES_AT_ONCE = 200
PRICES_FROM = timedelta(days=1)
DOUBT_SHOWN = timedelta(seconds=15)
COMPARED_WITHIN = 20.0
"""Seconds: a position list may lag ten behind, and a difference is believed only when it stays."""
KNOWN_FOR = timedelta(days=3)

__all__ = ["JOBS_LIMIT", "Arrival", "Desk", "KillState", "NoSuchLane"]


class NoSuchLane(LookupError):
    """No lane of that account and contract was ever traded."""


@dataclass(frozen=True, slots=True)
class KillState:
    on: bool
    reason: str
    since: datetime | None


@dataclass(slots=True)
class Desk:
    """`make_broker` builds the port for a connection; `price_seen`, where given for a connection, hears the
    price of an alert before its order leaves (the simulator's market follows alerts)."""

    database: Database
    make_broker: Callable[[ConnectionRow], Awaitable[Broker]]
    limits: Limits
    clock: Callable[[], datetime]
    truth_poll: float
    rng: random.Random = field(default_factory=random.Random)
    price_seen: Mapping[ConnectionId, HearPrice] = field(default_factory=dict)
    rolls: Mapping[str, RollRule] = field(default_factory=dict)
    price_tolerance: Decimal = Decimal(10)
    ask_price: Mapping[ConnectionId, AskPrice] = field(default_factory=dict)
    on_news: Callable[[Lane, tuple[News, ...]], None] | None = None
    keep_news: KeepNews | None = None
    notify: Notify = silent
    switch: Switch = field(default_factory=Switch)
    _links: dict[ConnectionId, Link] = field(default_factory=dict)
    _refused: dict[ConnectionId, str] = field(default_factory=dict)
    _rows: dict[ConnectionId, ConnectionRow] = field(default_factory=dict)
    _accounts: dict[AccountId, AccountRow] = field(default_factory=dict)
    _lanes: dict[LaneKey, Executor] = field(default_factory=dict)
    _by_broker: dict[tuple[ConnectionId, BrokerAccountId, ContractName], Executor] = field(default_factory=dict)
    _longest: Longest = field(default_factory=Longest)
    _fees: dict[tuple[AccountId, FillId], Decimal] = field(default_factory=dict)
    """Told, and not yet known to be saved."""
    _synced_once: set[ConnectionId] = field(default_factory=set)
    _tasks: asyncio.TaskGroup | None = None
    _running: dict[ConnectionId, asyncio.Task[None]] = field(default_factory=dict)
    _changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Two edits of one connection come one after the other: a login takes a moment to end."""
    _ready: asyncio.Event = field(default_factory=asyncio.Event)
    _moved: asyncio.Event = field(default_factory=asyncio.Event)
    _signals: Dispatch = field(init=False)
    _checks: Checks = field(init=False)
    _overdue: Overdue = field(init=False)
    _watch: AccountWatch = field(init=False)

    def __post_init__(self) -> None:
        self._overdue = Overdue(self.clock, self.rolls, self.notify)
        self._watch = AccountWatch(self.database, self.clock, self._accounts, self.notify, self._spawn, self.rng)
        self._checks = Checks(self.clock, self._link, self.price_tolerance, self.ask_price)
        self._signals = Dispatch(
            database=self.database,
            clock=self.clock,
            rng=self.rng,
            switch=self.switch,
            accounts=self._accounts,
            lanes=self._lanes,
            link=self._link,
            start=self._start,
            spawn=self._spawn,
            price_seen=self.price_seen,
            rolls=self.rolls,
            checks=self._checks,
            notify=self.notify,
            limits=self.limits,
        )

    # ── life ──

    async def run(self) -> None:
        """Until cancelled. Raises whatever nobody expected."""
        # One snapshot of both: a signal whose lane comes to its end meanwhile must not look unfinished.
        state, waiting = await self.database.read(lambda c: (books.load(c), books.unfinished(c)))
        taken = frozenset((lane.account_id, job.signal.id) for lane in state.lanes for job in lane.jobs)
        self.switch.on, self.switch.reason, self.switch.since = state.kill.on, state.kill.reason, state.kill.since
        self._accounts.update({row.id: row for row in state.accounts})
        await self._watch.load()
        self._checks.remembered(await self.database.read(lambda c: last_prices(c, self.clock() - PRICES_FROM)))
        known = await self.database.read(lambda c: known_ids(c, self.clock() - KNOWN_FOR))
        self._longest.remembered(await self.database.read(unprotected))
        self._signals.shadows.remembered(await self.database.read(shadows.every))
        async with asyncio.TaskGroup() as self._tasks:
            for lane in state.lanes:
                self._wake_lane(lane, known.get((lane.account_id, lane.contract.name), Known()))
            for row in state.connections:
                await self._log_in(row)
            for one in waiting:
                self._again(one, taken)
            self._ready.set()
            await asyncio.Event().wait()  # also while there is no login and no lane: another may be added

    async def started(self) -> None:
        """Returns once lanes are loaded and logins are under way."""
        await self._ready.wait()

    async def _log_in(self, row: ConnectionRow) -> None:
        if self._tasks is None or row.id in self._rows:
            return
        self._rows[row.id] = row
        try:
            broker = await self.make_broker(row)
        except Refused as error:
            log.error("connection %s is not used: %s", row.name, error)
            self._refused[row.id] = str(error)
            return
        login = Login(row.id, broker, self, self.clock, self.truth_poll, self.rng)
        self._link(row.id).login = login
        self._running[row.id] = self._tasks.create_task(login.run(), name=f"login {row.id}")

    async def connections_changed(self) -> None:
        """A connection was added, edited or disabled: the logins follow; the others go on undisturbed."""
        async with self._changing:
            state = await self.database.read(books.load)
            wanted = {row.id: row for row in state.connections}
            for connection_id in [c for c, row in self._rows.items() if wanted.get(c) != row]:
                await self._log_out(connection_id)
            for row in wanted.values():
                await self._log_in(row)

    async def _log_in_anew(self, row: ConnectionRow) -> None:
        """As if it had never been refused; whatever is left of this hour's token requests still counts."""
        async with self._changing:
            await self._log_out(row.id)
            await self.database.write(lambda c: lulls.forget(c, row.id))
            if row.auth == "password":  # an OAuth token is no program's to get again
                await self.database.write(lambda c: connections.forget_token(c, row.id))
            await self._log_in(row)

    async def _log_out(self, connection_id: ConnectionId) -> None:
        del self._rows[connection_id]
        self._refused.pop(connection_id, None)
        link = self._link(connection_id)
        login, link.login = link.login, None  # first of all: nobody shall use what is being closed
        if login is not None:
            self.stream_lost(login)
        task = self._running.pop(connection_id, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _link(self, connection_id: ConnectionId) -> Link:
        return self._links.setdefault(connection_id, Link(lambda: AuditId(self.database.new_id())))

    def _wake_lane(self, lane: Lane, known: Known) -> None:
        past = Past()
        past.add(known.orders, known.fills, self.clock())
        executor = self._start(lane, past)
        executor.mark_saved()
        executor.tell(Restarted())
        executor.tell(KillSwitched(on=self.switch.on))

    def _start(self, lane: Lane, past: Past) -> Executor:
        account = self._accounts[lane.account_id]
        executor = Executor(
            lane,
            line=self._link(account.connection_id),
            account=account.broker_account_id,
            connection_id=account.connection_id,
            database=self.database,
            limits=self.limits,
            switch=self.switch,
            past=past,
            heard=self._heard,
            rng=self.rng,
            barred=partial(self._barred, account, lane.contract.name),
            keep_news=self.keep_news,
        )
        key = (lane.account_id, lane.contract.name)
        self._lanes[key] = executor
        self._by_broker[account.connection_id, account.broker_account_id, lane.contract.name] = executor
        if self._tasks is not None:
            self._tasks.create_task(executor.run(), name=f"lane {key}")
        return executor

    def _barred(self, account: AccountRow, contract: ContractName) -> str | None:
        """Why no entry may leave for this contract now."""
        return self._watch.barred(account.id) or self._checks.ended(account.connection_id, contract)

    def _lanes_of(self, connection_id: ConnectionId) -> list[tuple[BrokerAccountId, ContractName, Executor]]:
        return [(a, name, lane) for (c, a, name), lane in self._by_broker.items() if c == connection_id]

    # ── what logins tell ──

    async def accounts_found(self, login: Login, accounts: tuple[Account, ...]) -> None:
        await self._watch.found(login.connection_id, accounts)

    def account_changed(self, login: Login, account: Account) -> None:
        self._watch.changed(login.connection_id, account)

    def picture_taken(self, login: Login, picture: Picture, *, streaming: bool) -> None:
        if streaming:
            self._synced_once.add(login.connection_id)
        self._checks.pictured(login.connection_id, picture)
        self._overdue.look(executor.lane for _, _, executor in self._lanes_of(login.connection_id))
        for lane in picture.lanes:
            for order in lane.orders:
                self._watch.ordered(login.connection_id, lane.account, order)
        for account, contract, executor in self._lanes_of(login.connection_id):
            if account in picture.accounts:
                executor.tell(picture_taken(picture.began_at, lane_in(picture, account, contract), streaming=streaming))

    def stream_lost(self, login: Login) -> None:
        for _, _, executor in self._lanes_of(login.connection_id):
            executor.tell(ConnectionLost())

    def reported(self, login: Login, report: LaneReport) -> None:
        if isinstance(report, FillReport):
            self._checks.filled(login.connection_id, report.contract, report.fill)
        if isinstance(report, OrderReport):
            self._watch.ordered(login.connection_id, report.account, report.order)
        executor = self._by_broker.get((login.connection_id, report.account, report.contract))
        if executor is not None:
            executor.tell(_event_of(report))

    def fee_told(self, login: Login, report: FeeReport) -> None:
        """Saved beside the lanes, which decide nothing by it. What a crash loses the next sync tells again."""
        executor = self._by_broker.get((login.connection_id, report.account, report.contract))
        if executor is None:
            return
        if not self._fees:
            self._spawn(self._save_fees(), "fees")
        self._fees[executor.lane.account_id, report.fill_id] = report.amount

    async def _save_fees(self) -> None:
        """A few hundred in a write and one write at a time: a whole session's fees after a sync crowd out nobody."""
        while self._fees:
            told = dict(islice(self._fees.items(), FEES_AT_ONCE))
            await durably(self.database, partial(fees.keep, told=told), self.rng)
            for fill, amount in told.items():
                if self._fees[fill] == amount:
                    del self._fees[fill]

    def contracts_in_use(self, login: Login) -> frozenset[ContractName]:
        return frozenset(name for _, name, _ in self._lanes_of(login.connection_id))

    # ── signals ──

    def dispatch(self, arrival: Arrival) -> None:
        """Hands an accepted signal to its lanes, each account in order of acceptance. Never waits."""
        self._signals.arrived(arrival)

    async def rehearsed(self, arrival: Arrival) -> tuple[Rehearsed, ...]:
        """What each account would do with this signal now. Nothing is sent or kept."""
        return await self._signals.rehearsed(arrival)

    def _again(self, waiting: books.Waiting, taken: frozenset[tuple[AccountId, SignalId]]) -> None:
        """A signal accepted before the engine stopped: to its lanes, but for those that had `taken` it on."""
        match waiting:
            case books.WaitingAct(signal_id, account_id, contract, verb, received_at):
                executor = self._lanes.get((account_id, contract))
                if (account_id, signal_id) in taken:
                    return
                if executor is None:
                    self._signals.end_route(signal_id, account_id, Outcome.NO_ACTION, "no such lane")
                elif verb is Verb.ADOPT:
                    text = "the engine stopped before it was done: say it again"
                    self._signals.end_route(signal_id, account_id, Outcome.NO_ACTION, text)
                else:
                    executor.tell(SignalReceived(_act(signal_id, verb, received_at)))
            case books.WaitingAlert(signal_id, received_at, expires_at, recorder, reading, accounts):
                left = {account for account in accounts if (account, signal_id) not in taken}
                rest = replace(recorder, routes=tuple(r for r in recorder.routes if r.account_id in left))
                self.dispatch(Arrival(signal_id, received_at, expires_at, rest, reading))

    # ── acts of a person ──

    async def close(self, account_id: AccountId, contract: ContractName, by: str) -> SignalId:
        """Closes what is ours on one lane. Raises `NoSuchLane`."""
        executor = self._lane(account_id, contract)
        at, signal_id = self.clock(), SignalId(self.database.new_id())
        act = SignalReceived(_act(signal_id, Verb.CLOSE, at))
        try:
            await self.database.write(lambda c: books.keep_act(c, signal_id, account_id, contract, Verb.CLOSE, by, at))
        except NotDurable:
            self._spawn(self._close_if_kept(executor, act), f"close {signal_id}")
            raise
        executor.tell(act)
        return signal_id

    async def _close_if_kept(self, executor: Executor, act: SignalReceived) -> None:
        """Kept although the database said no: done now, not at some later start, when nobody expects it."""
        if await was_kept(self.database, act.signal.id):
            executor.tell(act)

    async def flatten(self, account_id: AccountId | None, by: str) -> tuple[SignalId, ...]:
        """Closes everything of ours on one account, or on all; entries that have not reached a lane yet stay out."""
        self._signals.flattened(account_id)
        busy = [
            key
            for key, lane in self._lanes.items()
            if account_id in (None, key[0]) and (book.held(lane.lane) or lane.lane.jobs or lane.lane.orders)
        ]
        return tuple([await self.close(account, contract, by) for account, contract in busy])

    async def kill(self, on: bool, reason: str, by: str) -> None:
        """Durable and in force when it returns: no entry leaves after it, whatever waits in a queue."""
        at = self.clock()
        if on:
            self.switch.on, self.switch.reason, self.switch.since = True, reason, at
        await self.database.write(lambda c: books.keep_kill(c, on, reason, at))
        self.switch.on, self.switch.reason, self.switch.since = on, reason, at
        self.notify(Kind.HALT, f"kill switch {'on' if on else 'off'}", f"by {by}" + (f": {reason}" if reason else ""))
        for executor in self._lanes.values():
            executor.tell(KillSwitched(on=on))

    def kill_state(self) -> KillState:
        return KillState(self.switch.on, self.switch.reason, self.switch.since)

    async def resume(
        self, account_id: AccountId, contract: ContractName, adopt: bool, by: str, recorder_id: RecorderId | None = None
    ) -> SignalId | None:
        """Lets a lane go on. With `adopt` what is not ours becomes `recorder_id`'s (None: there is only one it can
        be), and the act's signal is returned. Raises `NoSuchLane`, `CannotAdopt`, or a `BrokerError`."""
        if adopt:
            return await self._adopt(account_id, contract, by, recorder_id)
        self._lane(account_id, contract).tell(LaneResumed(adopt=False))
        log.info("lane %s %s resumed by %s", account_id, contract, by)
        return None

    async def _adopt(
        self, account_id: AccountId, contract: ContractName, by: str, recorder_id: RecorderId | None
    ) -> SignalId:
        account = self._accounts.get(account_id)
        if account is None:
            raise NoSuchLane("there is no such account")
        executor = await self._signals.lane_of(account, contract)
        executor.tell(PictureWanted())
        if not await self._until(lambda: _compared(executor.lane), COMPARED_WITHIN):
            raise CannotAdopt("books and broker are still being compared here: try again in a few seconds")
        seen = await self._link(account.connection_id).picture_of(account.broker_account_id, contract, Urgency.LOOK)
        rules = await self.database.read(recorders.rules)
        at, signal_id = self.clock(), SignalId(self.database.new_id())
        taken = adoption(executor.lane, seen.lane, rules, recorder_id, signal_id, at)
        await self.database.write(lambda c: books.keep_act(c, signal_id, account_id, contract, Verb.ADOPT, by, at))
        executor.tell(LaneResumed(adopt=True, adoption=taken))
        await self._until(lambda: book.foreign_quantity(executor.lane) != taken.quantity, 2)
        return signal_id

    async def resume_account(self, account_id: AccountId, by: str) -> None:
        if not await self._watch.resume(account_id):
            raise NoSuchLane("there is no such account")
        log.info("account %s resumed by %s", account_id, by)

    async def reconcile(self, account_id: AccountId | None) -> tuple[LaneView, ...]:
        """Compares books and broker now; waits at most 10 s for the answers."""
        asked = self.clock()
        lanes = {k: e for k, e in self._lanes.items() if account_id in (None, k[0])}
        for executor in lanes.values():
            executor.tell(PictureWanted())
        if not await self._until(lambda: all(_seen_since(e, asked) for e in lanes.values()), 10):
            log.warning("not every lane could be compared in time")
        return tuple(self._view(e) for e in lanes.values())

    async def compare(self, account_id: AccountId | None) -> tuple[Comparison, ...]:
        """Books beside broker from a picture taken now; nothing is merged, nothing is sent."""
        found: list[Comparison] = []
        for connection_id in self._rows:
            lanes = {k: e.lane for k, e in self._lanes.items() if self._accounts[k[0]].connection_id == connection_id}
            accounts = [row for row in self._accounts.values() if row.connection_id == connection_id]
            found += await compared(self._link(connection_id).login, lanes, accounts)
        return tuple(one for one in found if account_id in (None, one.account_id))

    async def _until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Whether it came true in so many seconds; asked again whenever a lane has moved."""
        try:
            async with asyncio.timeout(seconds):
                while not done():
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            return False
        return True

    async def test_connection(self, connection_id: ConnectionId) -> tuple[Account, ...]:
        """The accounts this login sees now. A login that was refused is tried anew: a person asked. Raises
        `BrokerError`."""
        health, row = self.health(connection_id), self._rows.get(connection_id)
        if row is not None and health is not None and health.state is ConnectionState.REFUSED:
            await self._log_in_anew(row)
        link = self._link(connection_id)
        if link.login is None:
            raise Refused("offline", "the connection is not enabled")
        return await link.accounts()

    def _lane(self, account_id: AccountId, contract: ContractName) -> Executor:
        try:
            return self._lanes[account_id, contract]
        except KeyError:
            raise NoSuchLane("nothing was ever traded on that account and contract") from None

    # ── what people see ──

    def health(self, connection_id: ConnectionId) -> Health | None:
        if connection_id in self._refused:
            return Health(ConnectionState.REFUSED, self._refused[connection_id])
        login = self._link(connection_id).login
        return login.broker.health if login is not None else None

    def lanes(self) -> tuple[LaneView, ...]:
        return tuple(map(self._view, self._lanes.values()))

    def not_ready(self) -> tuple[str, ...]:
        """Why the engine is not ready; empty when it is."""
        if not self._ready.is_set():
            return ("the engine is starting",)
        return (*self._logins_not_ready(), *self._lanes_not_ready())

    def _logins_not_ready(self) -> list[str]:
        reasons = []
        for connection_id, row in self._rows.items():
            health = self.health(connection_id)
            state = health.state if health is not None else ConnectionState.OFFLINE
            seen = connection_id in self._synced_once
            resting = seen and contracts.in_maintenance(self.clock())
            if not resting and not (seen and state is ConnectionState.SYNCED):
                reasons.append(f"connection {row.name} is {state}")
        return reasons

    def _lanes_not_ready(self) -> list[str]:
        views = self.lanes()
        return [
            *(
                f"{view.contract} on {view.account_id} is in doubt for {view.doubt_seconds:.0f} s"
                for view in views
                if view.doubt_seconds > DOUBT_SHOWN.total_seconds()
            ),
            *(
                f"{view.contract} is held on {view.account_id}, which the broker does not list"
                for view in views
                if view.quantity and self._watch.unlisted(view.account_id)
            ),
        ]

    def _view(self, executor: Executor) -> LaneView:
        now = self.clock()
        lane = executor.lane
        others = executor.others.working(lane)
        return view(lane, others, now, executor.doubt_since, self._longest.seconds(lane, now))

    def _heard(self, lane: Lane, news: tuple[News, ...]) -> None:
        self._moved.set()
        self._longest.seconds(lane, self.clock())
        for told in news:
            if isinstance(told, Noted) and told.alarm:
                log.warning("%s %s: %s", lane.account_id, lane.contract.name, told.text)
        if self.on_news is not None and news:
            self.on_news(lane, news)

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> None:
        if self._tasks is None:
            work.close()
            raise RuntimeError("the desk is not running")
        try:
            self._tasks.create_task(work, name=name)
        except RuntimeError:
            # The desk has ended and the server is about to. What was accepted is taken up at the next start.
            work.close()


def _compared(lane: Lane) -> bool:
    """A picture has been merged and what it showed is settled: ours, or known not to be."""
    return lane.checked_at is not None and not lane.picture_wanted and lane.divergence is None and lane.read is None


def _seen_since(executor: Executor, at: datetime) -> bool:
    return executor.lane.checked_at is not None and executor.lane.checked_at >= at


def _act(signal_id: SignalId, verb: Verb, at: datetime) -> Signal:
    """A person's own act: it never expires and asks no recorder's leave."""
    return Signal(signal_id, verb, received_at=at, expires_at=at)


def _event_of(report: LaneReport) -> Event:
    match report:
        case OrderReport(_, _, order):
            return OrderReported(order)
        case FillReport(_, _, fill):
            return OrderFilled(fill)
        case BustReport(_, _, fill_id, fill):
            return FillBusted(fill_id, fill)
        case PositionReport(_, _, quantity, at, snapshot):
            return PositionReported(quantity, at, snapshot)
