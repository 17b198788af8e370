"""One broker login while it runs: its accounts, its reports, and the pictures all of its lanes share.

Start, reconnect and the truth timer are one path: read the accounts and a picture, hand both to the desk. A
login whose reads fail says so and tries again; it never turns a failed read into an empty one.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from justtrades.broker.port import (
    Account,
    AccountReport,
    Asker,
    AuditId,
    Broker,
    BrokerError,
    BustReport,
    ContractRecord,
    FeeReport,
    FillReport,
    Gate,
    LanePicture,
    Lost,
    NotSent,
    OrderReport,
    Picture,
    PositionReport,
    Request,
    Sent,
    Synced,
    Unreachable,
)
from justtrades.executor import Seen
from justtrades.positions.calendar import in_maintenance
from justtrades.positions.commands import Mutation
from justtrades.positions.model import BrokerAccountId, BrokerOrder, ClientOrderId, ConnectionId, ContractName, Fill
from justtrades.positions.urgency import Urgency
from justtrades.store.session import NotDurable

log = logging.getLogger(__name__)

T = TypeVar("T")
MAINTENANCE_POLL = 300.0
"""Seconds between two comparisons on time while the broker is in maintenance."""

ACCOUNTS_POLL = 300.0
SOONER = 0.6
"""Of the time between two comparisons, while the requests of the minute are below their share `ROOM`."""
ROOM = 0.6

LaneReport = OrderReport | FillReport | BustReport | PositionReport


class Listener(Protocol):
    """Who hears what a login tells: the desk."""

    async def accounts_found(self, login: Login, accounts: tuple[Account, ...]) -> None: ...

    def account_changed(self, login: Login, account: Account) -> None: ...

    def picture_taken(self, login: Login, picture: Picture, *, streaming: bool) -> None: ...

    def stream_lost(self, login: Login) -> None: ...

    def reported(self, login: Login, report: LaneReport) -> None: ...

    def fee_told(self, login: Login, report: FeeReport) -> None: ...

    def contracts_in_use(self, login: Login) -> frozenset[ContractName]: ...


@dataclass
class Login:
    """`run` lives as long as the login. `clock` gives aware UTC; `truth_poll` is in seconds."""

    connection_id: ConnectionId
    broker: Broker
    listener: Listener
    clock: Callable[[], datetime]
    truth_poll: float
    rng: random.Random
    streaming: bool = False
    seen: Picture | None = None
    """The newest picture, until a report tells that a lane in it has moved on; None from the moment the stream
    is lost or another picture is on its way."""
    moved: set[tuple[BrokerAccountId, ContractName]] = field(default_factory=set)
    _losses: int = 0
    """How often the stream was lost: a picture begun before a loss says nothing of what came after it."""
    _contracts: dict[ContractName, ContractRecord] = field(default_factory=dict)
    _refreshing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        try:
            await self.broker.start()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._hear(tasks))
                tasks.create_task(self._compare_on_time())
                tasks.create_task(self._look_at_accounts())
        finally:
            await self.broker.close()

    # ── reports ──

    async def _hear(self, tasks: asyncio.TaskGroup) -> None:
        async for report in self.broker.reports():
            match report:
                case Synced():
                    self.streaming = True
                    if self._refreshing is None or self._refreshing.done():
                        self._refreshing = tasks.create_task(self._refresh())
                case Lost(why):
                    log.warning("connection %s lost its stream: %s", self.connection_id, why)
                    self.streaming, self.seen = False, None
                    self._losses += 1
                    self.listener.stream_lost(self)
                case AccountReport(account):
                    self.listener.account_changed(self, account)
                case FeeReport():
                    self.listener.fee_told(self, report)
                case _:
                    self.moved.add((report.account, report.contract))
                    self.listener.reported(self, report)

    async def _refresh(self) -> None:
        """After each sync: accounts, contracts in use, a picture. Again with growing waits until it works."""
        tries = 0
        while self.streaming:
            losses = self._losses
            try:
                await self.listener.accounts_found(self, await self.broker.accounts())
                for name in sorted(self.listener.contracts_in_use(self)):
                    await self._know(name)
                await self.compare()
            except (BrokerError, NotDurable) as error:
                tries += 1
                log.warning("connection %s could not be read, or kept: %s", self.connection_id, error)
                await asyncio.sleep(min(0.5 * 2.0 ** min(tries, 6), 20.0) * (0.5 + self.rng.random() / 2))
            else:
                if losses == self._losses:
                    return

    async def _know(self, name: ContractName) -> None:
        try:
            await self.contract(name)
        except BrokerError as error:
            log.warning("connection %s cannot tell about %s: %s", self.connection_id, name, error)

    # ── reads ──

    async def compare(self) -> Picture:
        """A new picture, handed to every lane of this login."""
        began = self._stream()
        self.seen = None
        self.moved.clear()
        picture = await self.broker.picture()
        whole = began is not None and began == self._stream()
        self.seen = picture if whole else None
        self.listener.picture_taken(self, picture, streaming=whole)
        return picture

    async def picture_of(
        self, account: BrokerAccountId, contract: ContractName, urgency: Urgency, asker: Asker | None = None
    ) -> Seen:
        """One lane's part of a picture. Raises `Unreachable` for an account the reads do not cover."""
        began = self._stream()
        picture = await self.broker.picture(urgency, asker)
        whole = began is not None and began == self._stream()
        return Seen(picture.began_at, lane_in(picture, account, contract), whole)

    def _stream(self) -> int | None:
        """Which stream is up: the same one before and after a read means that nothing was missed between."""
        return self._losses if self.streaming else None

    def last_seen(self, account: BrokerAccountId, contract: ContractName) -> Seen | None:
        """What the last picture showed of a lane that nothing was reported of since."""
        if self.seen is None or not self.streaming or (account, contract) in self.moved:
            return None
        if account not in self.seen.accounts:
            return None
        return Seen(self.seen.began_at, lane_in(self.seen, account, contract), streaming=True)

    def known_contract(self, name: ContractName) -> ContractRecord | None:
        return self._contracts.get(name)

    async def contract(self, name: ContractName) -> ContractRecord:
        found = self._contracts.get(name)
        if found is None:
            found = self._contracts[name] = await self.broker.contract(name)
        return found

    async def _look_at_accounts(self) -> None:
        """A lock, or its end, of which the stream told nothing."""
        while True:
            await asyncio.sleep(ACCOUNTS_POLL)
            if not self.streaming or not self.listener.contracts_in_use(self):
                continue
            try:
                await self.listener.accounts_found(self, await self.broker.accounts())
            except (BrokerError, NotDurable) as error:
                log.info("accounts of connection %s were not read, or kept: %s", self.connection_id, error)

    async def _compare_on_time(self) -> None:
        """REST truth beside the stream: a healthy heartbeat does not prove complete data. In the broker's
        maintenance, when nothing trades and reads may well fail, seldom."""
        compared = asyncio.get_running_loop().time()
        while True:
            await self._until_due()
            now = asyncio.get_running_loop().time()
            resting = in_maintenance(self.clock()) and now - compared < MAINTENANCE_POLL
            if resting or not self.listener.contracts_in_use(self):
                continue
            compared = now
            try:
                await self.compare()
            except BrokerError as error:
                log.info("connection %s was not compared: %s", self.connection_id, error)

    async def _until_due(self) -> None:
        """`truth_poll`, or sooner while the login's requests leave room: then what the stream lost on its own is
        mended within fifteen seconds."""
        await asyncio.sleep(self.truth_poll * SOONER)
        budget = self.broker.health.budget
        if budget.minute_used > budget.minute_limit * ROOM:
            await asyncio.sleep(self.truth_poll * (1 - SOONER))


def lane_in(picture: Picture, account: BrokerAccountId, contract: ContractName) -> LanePicture:
    """The lane's part of a picture: flat and empty when its account is covered, unknown when it is not."""
    if account not in picture.accounts:
        raise Unreachable("AccountMissing", f"account {account} is not among the accounts of this login")
    found = (lane for lane in picture.lanes if lane.account == account and lane.contract == contract)
    return next(found, LanePicture(account, contract))


@dataclass(slots=True)
class Link:
    """What the lanes of one connection hold on to: its login, whichever one runs now, or none.

    A connection may be edited or disabled while lanes live on. Without a login nothing is sent (`NotSent`) and
    a read says that it failed.
    """

    new_audit_id: Callable[[], AuditId]
    login: Login | None = None

    def prepare(self, command: Mutation, account: BrokerAccountId, contract: ContractName) -> Request:
        if self.login is not None:
            return self.login.broker.prepare(command, account, contract)
        return Request(self.new_audit_id(), "-", "not connected", {}, account, signal_id=command.signal_id)

    async def send(self, request: Request, gate: Gate) -> Sent:
        if self.login is None or request.method == "-":
            raise NotSent("offline", "the connection is not running")
        return await self._through(self.login, self.login.broker.send(request, gate))

    async def look(
        self, account: BrokerAccountId, ids: tuple[ClientOrderId, ...], asker: Asker | None = None
    ) -> tuple[tuple[BrokerOrder, ...], tuple[Fill, ...]]:
        login = self._running()
        return await self._through(login, login.broker.look(account, ids, asker))

    async def picture_of(
        self, account: BrokerAccountId, contract: ContractName, urgency: Urgency, asker: Asker | None = None
    ) -> Seen:
        login = self._running()
        return await self._through(login, login.picture_of(account, contract, urgency, asker))

    async def contract(self, name: ContractName) -> ContractRecord:
        """Raises `Refused` when the broker does not know the name."""
        login = self._running()
        return await self._through(login, login.contract(name))

    async def accounts(self) -> tuple[Account, ...]:
        """For a person who tests the connection; nothing else waits for it."""
        login = self._running()
        return await self._through(login, login.broker.accounts(Urgency.SHOW))

    def _running(self) -> Login:
        if self.login is None:
            raise Unreachable("offline", "the connection is not running")
        return self.login

    async def _through(self, login: Login, call: Awaitable[T]) -> T:
        """A call that the end of its login cuts off is an answer lost, however the adapter's library says so."""
        try:
            return await call
        except BrokerError:
            raise
        except (Exception, asyncio.CancelledError):
            if self.login is login or _told_to_stop():
                raise
            raise Unreachable("offline", "the connection was closed before the answer came") from None


def _told_to_stop() -> bool:
    """It is the task itself that was cancelled, and not something it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
