"""The way of an accepted signal to its lane: may it go there, which contract is it, does the lane exist.

Most signals find everything known and reach their lane at once. One that needs an answer first (a contract the
broker was never asked about) waits for it in a queue of its account and contract, and whatever comes for the
same two meanwhile waits behind it, so that a close never overtakes the entry it closes. A signal that cannot
reach a lane ends here, with its reason.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

from sqlalchemy import Connection

from justtrades.broker.port import BrokerError, ContractRecord, Refused
from justtrades.checks import Checks
from justtrades.executor import Executor, Switch
from justtrades.login import Link
from justtrades.notices import Notify, kind_of, silent
from justtrades.past import Past
from justtrades.positions.contracts import RollRule
from justtrades.positions.events import PictureTaken, SignalReceived
from justtrades.positions.limits import Limits
from justtrades.positions.model import (
    AccountId,
    Check,
    ConnectionId,
    Contract,
    ContractName,
    Lane,
    Outcome,
    Signal,
    SignalId,
)
from justtrades.positions.recorder import Blocked, Mode, Route
from justtrades.rehearse import Arrival, Books, Bound, Ended, Rehearsed, contract_name, judge, rehearsed
from justtrades.shadow import Shadows
from justtrades.store import books
from justtrades.store.accounts import AccountRow
from justtrades.store.session import Database, NotDurable

log = logging.getLogger(__name__)

JOBS_LIMIT = 100
"""Entries one lane keeps waiting; more are blocked, with that reason. Well below what one step of the core may
decide, so that a close or the kill switch can set all of them aside at once."""
NEVER = datetime.min.replace(tzinfo=UTC)

LaneKey = tuple[AccountId, ContractName]
HearPrice = Callable[[ContractName, Decimal], Awaitable[None]]


@dataclass(slots=True)
class Dispatch:
    """`accounts` and `lanes` are the desk's own, as they change; `start` makes a lane's executor run, and `spawn`
    a task that lives as long as the desk."""

    database: Database
    clock: Callable[[], datetime]
    rng: random.Random
    switch: Switch
    accounts: Mapping[AccountId, AccountRow]
    lanes: Mapping[LaneKey, Executor]
    link: Callable[[ConnectionId], Link]
    start: Callable[[Lane, Past], Executor]
    spawn: Callable[[Coroutine[None, None, None], str], None]
    price_seen: Mapping[ConnectionId, HearPrice]
    rolls: Mapping[str, RollRule]
    checks: Checks
    notify: Notify = silent
    shadows: Shadows = field(default_factory=Shadows)
    limits: Limits = field(default_factory=Limits)
    _queues: dict[LaneKey, asyncio.Queue[tuple[Arrival, Route]]] = field(default_factory=dict)
    _flattened: dict[AccountId, datetime] = field(default_factory=dict)

    def arrived(self, arrival: Arrival) -> None:
        """Hands an accepted signal to its lanes, each account in order of acceptance. Never waits."""
        for route in arrival.recorder.routes:
            if route.enabled and arrival.recorder.mode is Mode.SHADOW:
                work = self.shadows.play(self._books(), arrival, route, self.clock())
                self.spawn(durably(self.database, work, self.rng), f"shadow of {arrival.signal_id}")
            elif route.enabled:
                self._dispatch_to(arrival, route)

    def flattened(self, account_id: AccountId | None) -> None:
        """Entries accepted before now stay out of this account, or of all."""
        now = self.clock()
        self._flattened |= {account: now for account in self.accounts if account_id in (None, account)}

    def end_route(self, signal_id: SignalId, account_id: AccountId, outcome: Outcome, reason: str) -> None:
        """An outcome decided before any lane; durable soon, and decided again after a crash."""
        at = self.clock()
        work = partial(_end_route, (signal_id, account_id, outcome, reason, at))
        self.spawn(durably(self.database, work, self.rng), f"end of {signal_id}")
        kind = kind_of(outcome)
        if kind is not None:
            self.notify(kind, f"signal {outcome.value}", f"{reason} (account {account_id}, signal {signal_id})")

    async def rehearsed(self, arrival: Arrival) -> tuple[Rehearsed, ...]:
        """What each account would do with this signal; nothing is sent."""
        checks = {r.account_id: await self._checks(arrival, r) for r in arrival.recorder.routes if r.enabled}
        books_now = replace(self._books(), checks=checks)
        if arrival.recorder.mode is Mode.SHADOW:
            books_now = replace(books_now, lanes=self.shadows.of(arrival.recorder.id))
        return rehearsed(books_now, arrival, self.clock())

    def _books(self) -> Books:
        lanes = tuple(executor.lane for executor in self.lanes.values())
        return Books(self.accounts, lanes, self.switch.on, self.limits, self.rolls)

    async def _checks(self, arrival: Arrival, route: Route) -> tuple[Check, ...]:
        """What would be checked; nothing where the broker cannot be asked, which trading would wait for."""
        account, judged = self.accounts.get(route.account_id), self._judge(arrival, route)
        if account is None or isinstance(judged, Ended):
            return ()
        at_hand = self.checks.at_hand(account.connection_id, judged.contract, arrival.reading)
        if at_hand is not None:
            return at_hand
        try:
            return await self.checks.asked(account.connection_id, judged.contract, arrival.reading, None)
        except BrokerError:
            return ()

    # ── to the lane ──

    def _dispatch_to(self, arrival: Arrival, route: Route) -> None:
        """At once when nothing has to be asked first; else behind what already waits for this account and contract."""
        if not self._queues and self._deliver(arrival, route):
            return
        name = self._contract_name(arrival, route.account_id)
        key = (route.account_id, name) if not isinstance(name, Blocked) else None
        if key not in self._queues and self._deliver(arrival, route):
            return
        if key is None:
            raise AssertionError("a signal without a contract has reached its end")
        if key not in self._queues:
            self._queues[key] = asyncio.Queue()
            self.spawn(self._work_off(key), f"contract of {key}")
        self._queues[key].put_nowait((arrival, route))

    async def _work_off(self, key: LaneKey) -> None:
        queue = self._queues[key]
        while not queue.empty():
            arrival, route = queue.get_nowait()
            await self._prepare_lane(arrival, route)
        del self._queues[key]

    def _deliver(self, arrival: Arrival, route: Route) -> bool:
        """True when the signal has reached its lane or its end; False when something must be asked first."""
        judged = self._judge(arrival, route)
        if isinstance(judged, Ended):
            self.end_route(arrival.signal_id, route.account_id, judged.outcome, judged.reason)
            return True
        executor = self.lanes.get((route.account_id, judged.contract))
        account = self.accounts.get(route.account_id)
        if account is None or executor is None or self._hears_prices(account, arrival):
            return False
        checks = self.checks.at_hand(account.connection_id, judged.contract, arrival.reading)
        if checks is None:
            return False
        self._tell_signal(executor, replace(judged.signal, checks=(*judged.signal.checks, *checks)))
        return True

    def _judge(self, arrival: Arrival, route: Route) -> Bound | Ended:
        lanes = self._lanes_of(route.account_id)
        return judge(arrival, route, self.accounts.get(route.account_id), lanes, self.clock(), self.rolls)

    def _lanes_of(self, account_id: AccountId) -> list[Lane]:
        return [executor.lane for (account, _), executor in self.lanes.items() if account == account_id]

    def _hears_prices(self, account: AccountRow, arrival: Arrival) -> bool:
        return arrival.reading.price is not None and account.connection_id in self.price_seen

    def _tell_signal(self, executor: Executor, signal: Signal) -> None:
        account_id = executor.lane.account_id
        if signal.verb.enters and signal.received_at < self._flattened.get(account_id, NEVER):
            text = "overtaken in the queue by a person's flatten"
            self.end_route(signal.id, account_id, Outcome.SUPERSEDED, text)
            return
        if executor.waiting >= JOBS_LIMIT and signal.verb.enters:
            reason = f"{JOBS_LIMIT} signals already wait on this lane"
            self.end_route(signal.id, account_id, Outcome.BLOCKED, reason)
            return
        executor.tell(SignalReceived(signal))

    async def lane_of(self, account: AccountRow, name: ContractName) -> Executor:
        """The lane, made when nothing of ours was ever traded there. Raises `BrokerError`."""
        found = self.lanes.get((account.id, name))
        if found is not None:
            return found
        record = await self.link(account.connection_id).contract(name)
        return self.lanes.get((account.id, name)) or self._new_lane(account, record)

    # ── which contract ──

    def _contract_name(self, arrival: Arrival, account_id: AccountId) -> ContractName | Blocked:
        return contract_name(arrival, self._lanes_of(account_id), self.clock(), self.rolls)

    async def _prepare_lane(self, arrival: Arrival, route: Route) -> None:
        """Asks what must be known first (the contract at the broker), until the signal is too old."""
        tries = 0
        while True:
            try:
                async with asyncio.timeout(self._patience(arrival)):
                    if await self._ask_and_deliver(arrival, route):
                        return
            except Refused as error:
                text = f"the broker does not know the contract: {error}"
                self.end_route(arrival.signal_id, route.account_id, Outcome.REJECTED, text)
                return
            except BrokerError as error:
                log.info("signal %s waits: %s", arrival.signal_id, error)
            except TimeoutError:
                log.info("signal %s waited in vain for its contract", arrival.signal_id)
            if arrival.reading.verb.enters and self.clock() >= arrival.expires_at:
                text = "too old to be sent: the broker could not be asked for the contract in time"
                self.end_route(arrival.signal_id, route.account_id, Outcome.EXPIRED, text)
                return
            tries += 1
            await asyncio.sleep(min(0.2 * 2.0 ** min(tries, 5), 5.0) * (0.5 + self.rng.random() / 2))

    def _patience(self, arrival: Arrival) -> float | None:
        """Seconds an answer is waited for: an entry only until it is too old. A question may wait for its turn in the
        login's budget for much longer; a close waits with it."""
        if not arrival.reading.verb.enters:
            return None
        return max((arrival.expires_at - self.clock()).total_seconds(), 0.0)

    async def _ask_and_deliver(self, arrival: Arrival, route: Route) -> bool:
        account, judged = self.accounts.get(route.account_id), self._judge(arrival, route)
        if account is None or isinstance(judged, Ended):
            return self._deliver(arrival, route)
        signal, name = judged.signal, judged.contract
        executor = self.lanes.get((route.account_id, name))
        record = await self.link(account.connection_id).contract(name) if executor is None else None
        asked = await self.checks.asked(account.connection_id, name, arrival.reading, record)
        signal = replace(signal, checks=(*signal.checks, *asked))
        if executor is None and signal.refusal is not None:
            self.end_route(arrival.signal_id, route.account_id, Outcome.BLOCKED, signal.refusal)
            return True
        if record is not None:
            # Asked again: while the broker was being asked, another signal may have made the lane.
            executor = self.lanes.get((route.account_id, name)) or self._new_lane(account, record)
        if signal.refusal is None:
            await self._let_hear(account.connection_id, name, arrival.reading.price)
        if executor is not None:
            self._tell_signal(executor, signal)
        return True

    async def _let_hear(self, connection: ConnectionId, name: ContractName, price: Decimal | None) -> None:
        """The simulator's market goes where an alert saw it, unless that cannot be the contract's price."""
        hear = self.price_seen.get(connection)
        if hear is not None and price is not None:
            await hear(name, price)
            self.checks.simulated(connection, name, price)

    def _new_lane(self, account: AccountRow, record: ContractRecord) -> Executor:
        contract = Contract(record.name, record.tick_size, record.point_value)
        lane = Lane(account.id, contract, tag=self._tag(), killed=self.switch.on)
        executor = self.start(lane, Past())
        login = self.link(account.connection_id).login
        seen = login.last_seen(account.broker_account_id, record.name) if login is not None else None
        if seen is not None and seen.lane.quantity == 0:
            # What traded here before this lane existed is not its news.
            working = tuple(o for o in seen.lane.orders if not o.status.ended)
            ended = (o.broker_id for o in seen.lane.orders if o.status.ended)
            executor.past.add(ended, (f.id for f in seen.lane.fills), seen.began_at)
            executor.tell(PictureTaken(seen.began_at, working, (), 0, streaming=True))
        return executor

    def _tag(self) -> str:
        return "".join(self.rng.choice("23456789abcdefghjkmnpqrstuvwxyz") for _ in range(10))


async def durably(database: Database, work: Callable[[Connection], None], rng: random.Random) -> None:
    """Until the database takes it: a signal without an end would look unfinished till the next start, and a fee
    be missing."""
    while True:
        try:
            return await database.write(work)
        except NotDurable as error:
            log.error("an outcome or a fee cannot be saved yet: %s", error)
            await asyncio.sleep(1 + rng.random())


def _end_route(end: tuple[SignalId, AccountId, Outcome, str, datetime], connection: Connection) -> None:
    books.end_route(connection, *end)
