"""One Tradovate login behind the port: builds its parts, owns its tasks, tells its health.

Three tasks run from `start` to `close`: the feed, the renewal of the token, and the look-ups for what reports
still wait for. An unexpected error in one of them ends the stream of reports with that error: the engine must
not go on hearing nothing. Reports go through one bounded queue; when nobody takes them the socket is simply not
read any further, so nothing is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import httpx

from justtrades.broker.port import (
    Account,
    Asker,
    Auditor,
    BrokerError,
    ConnectionState,
    ContractRecord,
    Exchange,
    Gate,
    Health,
    Lost,
    Picture,
    PositionReport,
    Report,
    Request,
    Sent,
    Synced,
)
from justtrades.broker.tradovate import exact, hours, requests
from justtrades.broker.tradovate.access import Access, TokenBox
from justtrades.broker.tradovate.budget import Budget
from justtrades.broker.tradovate.calls import Calls
from justtrades.broker.tradovate.entities import Memory, Want
from justtrades.broker.tradovate.feed import Dial, Feed, dial
from justtrades.broker.tradovate.frames import Props
from justtrades.broker.tradovate.line import Line
from justtrades.broker.tradovate.lists import IDS_PER_CALL
from justtrades.broker.tradovate.penalty import Penalty
from justtrades.broker.tradovate.reads import LONGEST_BREATH, Reads
from justtrades.broker.tradovate.rest import Rest
from justtrades.broker.tradovate.settings import TradovateSettings
from justtrades.broker.tradovate.token import Lull, NotKept
from justtrades.positions.calendar import in_maintenance
from justtrades.positions.commands import Mutation
from justtrades.positions.model import (
    BrokerAccountId,
    BrokerOrder,
    ClientOrderId,
    ContractName,
    Fill,
)
from justtrades.positions.urgency import Urgency

NO_ACCOUNTS = "the broker lists no account for this login here: is the environment (live or demo) the right one?"
MOST_REPORTS = 10_000
FORGET_EVERY = 3600.0
KEEP_AGAIN = 5.0
MAINTENANCE_HOLD = 60.0
SHUT_BREATH = 60.0
"""Between two failing pictures in closed hours, in seconds."""


def utc_now() -> datetime:
    return datetime.now(UTC)


class TradovateBroker:
    """Implements `port.Broker`. `transport` and `dial` are the seams for tests."""

    def __init__(
        self,
        settings: TradovateSettings,
        auditor: Auditor,
        token_box: TokenBox,
        clock: Callable[[], datetime] = utc_now,
        rng: Random | None = None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        dial: Dial = dial,
    ) -> None:
        rng = rng or Random()
        self._auditor = auditor
        self._clock = clock
        self._memory = Memory()
        self._budget = Budget(settings.budget_per_minute, settings.budget_per_hour)
        self._rested = asyncio.Event()
        self._penalty = Penalty(settings.penalty_rest, rng, self._rested.set)
        self._penalty_rest = timedelta(seconds=settings.penalty_rest)
        self._box = token_box
        self._line = Line(settings.base_url, settings.request_timeout, transport)
        self._calls = Calls(self._line, auditor, clock, settings.credentials.secrets)
        self._access = Access(
            self._calls, settings.credentials, token_box, clock, settings.penalty_rest, self._count, self._hold_renewal
        )
        self._patience = settings.request_timeout
        self._rest = Rest(self._calls, self._access, self._budget, self._penalty)
        self._reads = Reads(self._rest, self._memory, clock, self._longest_breath, lambda: self._calls.ahead)
        self._keeps_hours = settings.exchange_hours
        self._feed = Feed(
            settings.ws_url,
            self._access,
            self,
            rng,
            dial=dial,
            hold=self._hold,
            count=self._count,
            until_open=self._until_open,
        )
        self._queue: asyncio.Queue[Report | BaseException] = asyncio.Queue(MOST_REPORTS)
        self._publishing = asyncio.Lock()
        self._stirred = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._state = ConnectionState.CONNECTING
        self._empty = False
        self._reason: str | None = None
        self._last_event_at: datetime | None = None

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        await self._rest_on()
        for work in (self._feed.run, self._access.keep_fresh, self._fill_gaps, self._keep_lulls):
            task = asyncio.create_task(work())
            task.add_done_callback(self._fell)
            self._tasks.append(task)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(self._reads.close(), *self._tasks, return_exceptions=True)
        await self._access.close(self._patience)
        await self._line.close()

    def _fell(self, task: asyncio.Task[None]) -> None:
        """A task that ends by itself ended by a mistake: the reports end with it."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(error)

    async def _rest_on(self) -> None:
        """A penalty that began before a restart goes on."""
        try:
            kept = await self._box.lull()
        except NotKept:
            return  # not known: the broker would say it again
        if kept is not None and (left := kept.until - self._clock()) > timedelta():
            self._penalty.resume(kept.status, left.total_seconds(), _loop_time())

    async def _keep_lulls(self) -> None:
        while True:
            await self._rested.wait()
            self._rested.clear()
            try:
                await self._box.rest(self._lull())
            except NotKept:
                self._rested.set()
                await asyncio.sleep(KEEP_AGAIN)

    def _lull(self) -> Lull | None:
        now = self._clock()
        if self._penalty.stopped:
            return Lull(0, now + self._penalty_rest)
        left = self._penalty.left(_loop_time())
        return Lull(self._penalty.status, now + timedelta(seconds=left)) if left else None

    @property
    def health(self) -> Health:
        token = self._access.current
        state, reason = self._condition()
        return Health(
            state=state,
            reason=reason,
            token_expires_at=token.expires_at if token else None,
            last_event_at=self._last_event_at,
            budget=self._budget.used(_loop_time()),
        )

    def _condition(self) -> tuple[ConnectionState, str | None]:
        if refused := self._penalty.stopped or self._access.refused:
            return ConnectionState.REFUSED, refused
        if self._hold() > 0:
            return ConnectionState.PENALTY, f"HTTP {self._penalty.status}: the broker asks to wait"
        if self._state is ConnectionState.SYNCED:
            return self._state, NO_ACCOUNTS if self._empty else None
        return self._state, self._access.trouble or self._calls.struck(self._reason or self._feed.trouble or "") or None

    def _hold(self) -> float:
        return self._penalty.left(_loop_time())

    def _until_open(self, most: float) -> float | None:
        if not self._keeps_hours or not hours.shut(now := self._clock()):
            return 0.0
        return hours.seconds_until_open(now, most)

    def _hold_renewal(self) -> float:
        """In maintenance a renewal fails, and the renewals of an hour are few: it waits as in a penalty."""
        down = self._keeps_hours and in_maintenance(self._clock())
        return max(self._hold(), MAINTENANCE_HOLD if down else 0.0)

    def _longest_breath(self) -> float:
        """Longer while the doors are shut, and never past their opening."""
        opens = self._until_open(SHUT_BREATH)
        return LONGEST_BREATH if opens == 0.0 else SHUT_BREATH if opens is None else max(opens, 1.0)

    def _count(self) -> None:
        self._budget.spend(_loop_time())

    # ── what the engine asks ─────────────────────────────────────────────────────────────────────────────

    async def accounts(self, urgency: Urgency = Urgency.RECONCILE) -> tuple[Account, ...]:
        found = await self._reads.accounts(urgency)
        self._empty = not found
        self._stir()
        return found

    async def contract(self, name: ContractName) -> ContractRecord:
        return await self._reads.contract(name)

    def prepare(self, command: Mutation, account: BrokerAccountId, contract: ContractName) -> Request:
        listed = self._memory.account(int(account))
        record = self._reads.known_contract(contract)
        return requests.request(
            command,
            audit_id=self._auditor.new_id(),
            account=account,
            account_name=listed.name if listed else None,
            contract_name=contract,
            contract_id=record.id if record else self._memory.contract_id(contract),
        )

    async def send(self, request: Request, gate: Gate) -> Sent:
        sent = await self._rest.send(request, gate)
        for broker_id, client_id in zip(sent.broker_ids, requests.client_ids(request), strict=False):
            self._memory.bind(broker_id, client_id, _loop_time())
        self._stir()
        return sent

    async def look(
        self, account: BrokerAccountId, ids: tuple[ClientOrderId, ...], asker: Asker | None = None
    ) -> tuple[tuple[BrokerOrder, ...], tuple[Fill, ...]]:
        return await self._reads.looks.look(account, ids, asker)

    async def picture(self, urgency: Urgency = Urgency.RECONCILE, asker: Asker | None = None) -> Picture:
        picture = await self._reads.picture(urgency, asker)
        self._stir()
        return picture

    async def reports(self) -> AsyncIterator[Report]:
        while True:
            report = await self._queue.get()
            if isinstance(report, BaseException):
                raise report
            yield report

    # ── what the feed tells ──────────────────────────────────────────────────────────────────────────────

    async def snapshot(self, collections: Mapping[str, tuple[Mapping[str, Any], ...]], *, whole: bool) -> None:
        self._heard("user/syncrequest", exact.dumps(collections))
        for kind, rows in collections.items():
            self._memory.merge_all(kind, rows)
        await self._publish(whole=whole)

    def frame(self, text: str, kinds: tuple[str, ...]) -> None:
        """One audit row a frame, in the words it came in."""
        self._heard(f"props/{'+'.join(kinds)}", text[1:])

    def props(self, props: Props) -> None:
        for entity in props.entities:
            self._memory.hear(props.kind, entity, _loop_time(), deleted=props.deleted)

    async def heard_out(self) -> None:
        await self._publish()

    async def synced(self) -> None:
        self._state, self._reason = ConnectionState.SYNCED, None
        await self._queue.put(Synced())

    async def lost(self, why: str) -> None:
        self._state, self._reason = ConnectionState.OFFLINE, self._calls.struck(why)
        await self._queue.put(Lost(self._reason))

    async def slowed(self, status: int) -> None:
        await self._rest.told_to_wait(status)

    def captcha(self) -> None:
        self._penalty.captcha()

    def _heard(self, what: str, text: str) -> None:
        self._last_event_at = self._clock()
        self._auditor.after(
            Exchange(
                id=self._auditor.new_id(),
                at=self._last_event_at,
                method="EVENT",
                endpoint=what,
                response=text,
            )
        )

    # ── reports ──────────────────────────────────────────────────────────────────────────────────────────

    async def _publish(self, *, whole: bool = False) -> None:
        """`whole`: what was learned is a stream's beginning in one piece."""
        async with self._publishing:
            for report in self._memory.due(_loop_time()):
                told = replace(report, snapshot=True) if whole and isinstance(report, PositionReport) else report
                await self._queue.put(told)
        self._stir()

    def _stir(self) -> None:
        """Something was learned outside the feed: the gap task says what is ready and looks what is missing."""
        self._stirred.set()

    async def _fill_gaps(self) -> None:
        """Look up what reports wait for, say what has become ready, forget what is long over."""
        forget_at = _loop_time() + FORGET_EVERY
        while True:
            await self._stirring(min(self._memory.wake_at() or forget_at, forget_at))
            await self._supply(self._memory.wants(_loop_time()))
            async with self._publishing:
                for report in self._memory.due(_loop_time()):
                    await self._queue.put(report)
            if _loop_time() >= forget_at:
                self._memory.forget(self._clock())
                forget_at = _loop_time() + FORGET_EVERY

    async def _stirring(self, until: float) -> None:
        try:
            async with asyncio.timeout_at(until):
                await self._stirred.wait()
        except TimeoutError:
            pass
        self._stirred.clear()

    async def _supply(self, wants: list[Want]) -> None:
        """A look-up that fails is repeated by the memory's own count, so nothing is done about it here."""
        for lack in dict.fromkeys(want.lack for want in wants):
            asked = [want for want in wants if want.lack is lack][:IDS_PER_CALL]
            with suppress(BrokerError):
                await self._reads.supply(lack, [want.id for want in asked])
            for want in asked:
                self._memory.looked(want, _loop_time())


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
