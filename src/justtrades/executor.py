"""One lane's loop: inbox → step → save → act. The only impure trading code.

One consumer takes events from the lane's queue. Every event is a step of the pure core; the lane and what it
told are saved in one transaction, together with the audit row of the request that is about to leave; only then
is the request sent. Its answer comes back through the same inbox, so fills are heard while a call is under way.
The core emits at most one mutation at a time, which makes "one in flight per lane" a property of the lane's
state and not of a lock.

What is only a hint (an order now works, a position was named) is saved with the next step that matters or when
the inbox falls silent: after a kill the broker would tell it again. Nothing is ever sent from an unsaved lane.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import partial
from operator import attrgetter
from typing import Final, Protocol

from sqlalchemy import Connection

from justtrades import halting
from justtrades.broker.port import (
    Asker,
    BrokerError,
    Exchange,
    Gate,
    LanePicture,
    NotHandled,
    NotSent,
    Refused,
    Request,
    Sent,
    Unreachable,
)
from justtrades.others import Others
from justtrades.past import Past
from justtrades.positions.commands import Command, LookForOrders, Mutation, PlaceOrder, TakePicture
from justtrades.positions.events import (
    AnswerLost,
    CallAccepted,
    CallNotSent,
    CallRefused,
    Event,
    Looked,
    OrderFilled,
    OrderReported,
    PictureTaken,
    PictureWanted,
    PositionReported,
    ReadFailed,
    SignalReceived,
    TimePassed,
)
from justtrades.positions.limits import Limits
from justtrades.positions.machine import decide, fold_in, step
from justtrades.positions.model import (
    BrokerAccountId,
    BrokerOrder,
    ClientOrderId,
    ContractName,
    Fill,
    Lane,
    LetGo,
    News,
    Purpose,
    SignalDone,
)
from justtrades.positions.urgency import Urgency
from justtrades.positions.values import replace
from justtrades.positions.withdraw import withdrawn
from justtrades.store.lanes import JournalRow, save_step
from justtrades.store.session import Database, NotDurable

log = logging.getLogger(__name__)


INBOX_LIMIT = 2_000
"""Reports waiting for one lane; past it they are dropped and a picture is asked for instead."""
BATCH_LIMIT = 64
EXIT_WAIT = timedelta(seconds=60)
ENTRY_WAIT = 2.0
"""Seconds at most between two tries of an entry that could not leave."""
WAITED = timedelta(seconds=0.5)
"""A request that has waited this long before it leaves is asked whether it is still wanted."""
LONGEST_SLEEP = 60.0
"""Seconds until a lane thinks again that is not at rest: its clock may have been set back meanwhile."""
SILENCE = timedelta(milliseconds=10)
"""How long the inbox is quiet before hints are saved."""


@dataclass(slots=True)
class Switch:
    """The kill switch as all gates see it."""

    on: bool = False
    reason: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What a picture showed of one lane."""

    began_at: datetime
    lane: LanePicture
    streaming: bool


class Line(Protocol):
    """What a lane needs of its broker's login (see `broker.port.Broker`); pictures are shared by all lanes."""

    def prepare(self, command: Mutation, account: BrokerAccountId, contract: ContractName) -> Request: ...

    async def send(self, request: Request, gate: Gate) -> Sent: ...

    async def look(
        self, account: BrokerAccountId, ids: tuple[ClientOrderId, ...], asker: Asker | None
    ) -> tuple[tuple[BrokerOrder, ...], tuple[Fill, ...]]: ...

    async def picture_of(
        self, account: BrokerAccountId, contract: ContractName, urgency: Urgency, asker: Asker | None
    ) -> Seen: ...


KeepNews = Callable[[Connection, Lane, tuple[News, ...]], None]


class Executor:
    """One account × contract. `tell` puts an event in; `run` is the single consumer."""

    def __init__(
        self,
        lane: Lane,
        *,
        line: Line,
        account: BrokerAccountId,
        connection_id: str,
        database: Database,
        limits: Limits,
        switch: Switch,
        past: Past,
        heard: Callable[[Lane, tuple[News, ...]], None],
        rng: random.Random,
        barred: Callable[[], str | None] = lambda: None,
        keep_news: KeepNews | None = None,
    ) -> None:
        """`barred` says why the account or the contract takes no entry now; `keep_news` writes in the transaction of
        the step that has news."""
        self.lane = lane
        self.past = past
        self.others = Others()
        self._saved: Lane | None = None
        self._line, self._account, self._connection_id = line, account, connection_id
        self._database, self._limits, self._switch = database, limits, switch
        self._heard, self._rng, self._barred, self._keep_news = heard, rng, barred, keep_news
        self._inbox: asyncio.Queue[Event] = asyncio.Queue()
        self._missed = False
        self._wake: datetime | None = None
        self._journal: list[JournalRow] = []
        self._sights: dict[type[Event], JournalRow] = {}
        self._news: list[News] = []
        self._acts: set[asyncio.Task[None]] = set()
        self._broken: Exception | None = None
        self._busy = False
        self._not_sent: tuple[ClientOrderId | None, int] = (None, 0)
        self.doubt_since: datetime | None = None

    # ── in ──

    def tell(self, event: Event) -> None:
        """Never waits. Reports beyond the limit are dropped: the picture that follows holds what they said."""
        droppable = isinstance(event, OrderReported | OrderFilled | PositionReported)
        if droppable and self._inbox.qsize() >= INBOX_LIMIT:
            self._missed = True
            return
        self._inbox.put_nowait(event)

    @property
    def waiting(self) -> int:
        return self._inbox.qsize() + len(self.lane.jobs)

    @property
    def idle(self) -> bool:
        """Nothing waits, nothing is under way, everything is saved."""
        return not self._busy and self._inbox.empty() and not self._acts and self._saved is self.lane

    def mark_saved(self) -> None:
        """The lane as it stands came from the database."""
        self._saved = self.lane

    async def run(self) -> None:
        """Until cancelled. A polite crash: what is saved is all that counts."""
        try:
            while True:
                await self._turn()
        finally:
            for act in self._acts:
                act.cancel()
            await asyncio.gather(*self._acts, return_exceptions=True)

    async def _turn(self) -> None:
        self._busy = False
        events = await self._next()
        self._busy = True
        commands = self._steps(events)
        news: tuple[News, ...] = ()
        if commands or self._matters():
            news = await self._save(commands)
        elif not events:
            news = await self._save_quietly()
        if events or news:
            self._heard(self.lane, news)

    async def _next(self) -> list[Event]:
        """What waits; [TimePassed] when it is time to think again; nothing when the inbox has fallen silent."""
        if self._inbox.empty():
            timeout, thinks = self._patience()
            try:
                async with asyncio.timeout(timeout):
                    first = await self._inbox.get()
            except TimeoutError:
                return [TimePassed()] if thinks else []
        else:
            first = self._inbox.get_nowait()
        events = [first]
        while len(events) < BATCH_LIMIT and not self._inbox.empty():
            events.append(self._inbox.get_nowait())
        if self._missed:
            self._missed = False
            events.append(PictureWanted())
        return events

    def _patience(self) -> tuple[float | None, bool]:
        """How long to wait for news, and whether to think (else only to save) when none comes."""
        wake = (self._wake - self._database.now()).total_seconds() if self._wake is not None else None
        wake = min(max(wake, 0.0), LONGEST_SLEEP) if wake is not None else None
        unsaved = self._saved is not self.lane
        if unsaved and (wake is None or wake > SILENCE.total_seconds()):
            return SILENCE.total_seconds(), False
        return wake, True

    # ── step ──

    def _steps(self, events: list[Event]) -> list[Command]:
        """Facts that came together are folded in one by one and decided on once.

        When that goes wrong they are taken again, each a step of its own, so that only the bad one is left out.
        """
        news = [event for event in events if not self.past.is_old(event, self.lane)]
        before = (self.lane, self._saved, [*self._journal], [*self._news], {**self._sights})
        try:
            return self._together(news)
        except Exception:  # noqa: BLE001,RUF100 - the same error comes again below, where it halts the lane
            self.lane, self._saved, self._journal, self._news, self._sights = before
            return [command for event in news for command in self._step(event)]

    def _together(self, events: list[Event]) -> list[Command]:
        if not events or self._broken is not None or any(isinstance(e, SignalReceived) for e in events[:-1]):
            return [command for event in events for command in self._step(event)]
        now, last = self._database.now(), events[-1]
        for event in events:
            told = self.past.news_in(event, self.lane)
            self._keep(told, fold_in(self.lane, told, now, self._limits), now)
            last = told
        done = decide(self.lane, now, self._limits)
        self._keep(last, done.lane, now, done.commands)
        self._wake = done.wake_at
        return [*done.commands]

    def _step(self, event: Event) -> tuple[Command, ...]:
        event = self.past.news_in(event, self.lane)
        now = self._database.now()
        if self._broken is not None:
            broken, self._broken = self._broken, None
            self._halt(event, broken, now)
        try:
            done = step(self.lane, event, now, self._limits)
        except Exception as error:
            self._halt(event, error, now)
            if isinstance(event, CallAccepted | CallRefused | CallNotSent):
                # It was not taken in, and the lane would wait for it for ever: what became of the call is looked for.
                self._inbox.put_nowait(AnswerLost(event.call_id, f"unexpected {type(error).__name__} on its answer"))
            return ()
        self._keep(event, done.lane, now, done.commands)
        self._wake = done.wake_at
        return done.commands

    def _halt(self, event: Event, error: Exception, now: datetime) -> None:
        """The core met what it was not built for: this lane stops, durably, and says so."""
        reason = halting.reason(self.lane, error, type(event).__name__)
        log.error("lane %s %s halts: %s", self.lane.account_id, self.lane.contract.name, reason, exc_info=error)
        came = (event.signal.id,) if isinstance(event, SignalReceived) else ()
        news: tuple[News, ...] = (*halting.unheard(self.lane, came, reason), *halting.told(self.lane, reason))
        self._wake = now if self.lane.halted is None else None
        self._keep(event, replace(self.lane, halted=self.lane.halted or reason, news=news), now)

    def _keep(self, event: Event, after: Lane, now: datetime, commands: tuple[Command, ...] = ()) -> None:
        changed = _substance(after) != _substance(self.lane)
        row = JournalRow(event, commands, key=_key(event), at=now)
        if changed or commands or after.news:
            self._note(row)
        elif _sight(after) != _sight(self.lane):
            self._sights.pop(type(event), None)
            self._sights[type(event)] = row
        self._news += after.news
        self.past.let_go(after.news, now)
        known = replace(after, news=())
        self.lane = known if changed else self._unchanged(known)
        self.others.hear(event, self.lane)
        self._watch_doubt()

    def _note(self, row: JournalRow) -> None:
        """One journal row an event: what was decided after it stands in the same row."""
        if self._journal and self._journal[-1].event is row.event:
            self._journal.pop()
        self._sights = {kind: seen for kind, seen in self._sights.items() if seen.event is not row.event}
        self._note_sights()
        self._journal.append(row)

    def _note_sights(self) -> None:
        """What was seen and changed nothing is told with what comes next, the last of each kind: decisions go by it."""
        self._journal += self._sights.values()
        self._sights.clear()

    def _unchanged(self, known: Lane) -> Lane:
        """Only the time of looking moved: nothing that would have to be saved for its own sake."""
        if self._saved is self.lane:
            self._saved = known
        return known

    def _watch_doubt(self) -> None:
        since = [o.doubt.since for o in self.lane.orders if o.doubt is not None]
        if self.lane.stale_since is not None:
            since.append(self.lane.stale_since)
        self.doubt_since = min(since, default=None)

    def _matters(self) -> bool:
        """Fills, outcomes and new signals are saved at once; the rest may wait for company."""
        if self._news:
            return True
        if self._saved is None or self._saved is self.lane:
            return False
        return self.lane.fills != self._saved.fills or self.lane.jobs != self._saved.jobs

    # ── save ──

    async def _save_quietly(self) -> tuple[News, ...]:
        return await self._save([]) if self._saved is not self.lane or self._journal else ()

    async def _save(self, commands: list[Command]) -> tuple[News, ...]:
        """What was told, once it is durable; then the commands go out."""
        requests = self._prepared(commands)
        self._note_sights()
        exchanges = tuple(_exchange(r, self._database.now()) for r in requests.values())
        news, journal = tuple(self._news), tuple(self._journal)
        try:
            await self._durably(self._work(self.lane, news, journal, exchanges))
        except Exception as error:
            return await self._save_halted(error)
        self._saved = self.lane
        self._journal.clear()
        self._news.clear()
        for command in commands:
            if not isinstance(command, Mutation) or id(command) in requests:
                self._act(command, requests.get(id(command)))
        return news

    def _work(
        self,
        lane: Lane,
        news: tuple[News, ...],
        journal: tuple[JournalRow, ...] = (),
        exchanges: tuple[Exchange, ...] = (),
    ) -> Callable[[Connection], None]:
        before, after, at = self._saved, replace(lane, news=news), self._database.now()

        def work(connection: Connection) -> None:
            save_step(
                connection,
                before,
                after,
                at=at,
                journal=journal,
                requests=exchanges,
                connection_id=self._connection_id,
            )
            if news and self._keep_news is not None:
                self._keep_news(connection, after, news)

        return work

    async def _save_halted(self, error: Exception) -> tuple[News, ...]:
        """What came cannot be written down. Nothing was sent of it: the lane stands as it was last saved, and halts.

        One that cannot even be halted ends the engine, by name.
        """
        saved = self._saved or Lane(self.lane.account_id, self.lane.contract, self.lane.tag, killed=self.lane.killed)
        reason, now = halting.reason(self.lane, error, "saving"), self._database.now()
        log.error("lane %s %s halts: %s", saved.account_id, saved.contract.name, reason, exc_info=error)
        came = [job.signal.id for job in self.lane.jobs]
        came += [told.signal_id for told in self._news if isinstance(told, SignalDone)]
        news: tuple[News, ...] = (*halting.unheard(saved, came, reason), *halting.told(saved, reason))
        lane = halting.as_saved(saved, reason, now + self._limits.backoff_most)
        try:
            await self._durably(self._work(lane, news))
        except Exception as worse:
            raise RuntimeError(f"lane {lane.account_id} {lane.contract.name} cannot even be halted") from worse
        self.past.keep(told for told in self._news if isinstance(told, LetGo))
        self.lane = self._saved = lane
        self._journal.clear()
        self._news.clear()
        self._watch_doubt()
        if lane.call is not None:
            self._inbox.put_nowait(AnswerLost(lane.call.id, f"unexpected {type(error).__name__} on its answer"))
        self._wake = now if saved.halted is None else None
        return news

    def _prepared(self, commands: list[Command]) -> dict[int, Request]:
        """The requests of the mutations. One that cannot even be written down halts the lane; nothing of it left."""
        found: dict[int, Request] = {}
        for command in commands:
            if isinstance(command, Mutation):
                try:
                    found[id(command)] = self._line.prepare(command, self._account, self.lane.contract.name)
                except Exception as error:
                    self._broken = error
                    self._inbox.put_nowait(CallNotSent(command.id, f"unexpected {type(error).__name__}", final=True))
        return found

    async def _durably(self, work: Callable[[Connection], None]) -> None:
        """Nothing is sent from a lane that could not be saved: it waits until the database takes it."""
        tries = 0
        while True:
            try:
                await self._database.write(work)
            except NotDurable as error:
                tries += 1
                log.error("lane %s cannot be saved (try %d): %s", self.lane.contract.name, tries, error)
                await asyncio.sleep(min(0.1 * 2**tries, 5.0) * self._rng.random())
            else:
                return

    # ── act ──

    def _act(self, command: Command, request: Request | None) -> None:
        match command:
            case LookForOrders():
                work: Coroutine[None, None, None] = self._look(command)
            case TakePicture():
                work = self._take_picture(command)
            case _:
                if request is None:
                    raise AssertionError("a mutation is prepared before it is saved")
                work = self._send(command, request)
        task = asyncio.get_running_loop().create_task(work)
        self._acts.add(task)
        task.add_done_callback(self._acts.discard)

    async def _send(self, command: Mutation, request: Request) -> None:
        gate = _Gate(partial(self._gate, command, self._database.now()), partial(self._bars, command))
        try:
            sent = await self._line.send(request, gate)
            answer: Event = CallAccepted(command.id, sent.broker_ids)
        except Refused as error:
            answer = CallRefused(command.id, error.reason, error.text)
        except NotSent as error:
            # What our own gate stopped is unsent like the rest: the lane ends it as what stopped it.
            answer = CallNotSent(command.id, str(error), self._soon(command), barred=gate.barred)
        except NotHandled as error:
            again = self._again_at(request, error.wait)
            answer = CallNotSent(command.id, str(error), again, final=error.wait is None)
        except Unreachable as error:
            answer = AnswerLost(command.id, str(error), str(error) if error.named else None)
        except Exception as error:
            # An error nobody expected leaves the call in doubt like any other silence, and halts the lane.
            answer = AnswerLost(command.id, f"unexpected {type(error).__name__}")
            self._broken = error
        self._inbox.put_nowait(answer)

    def _again_at(self, request: Request, wait: timedelta | None) -> datetime | None:
        """Entries rest as long as the broker asks; what reduces or protects is tried again within a minute."""
        if wait is None:
            return self._database.now() + EXIT_WAIT if request.urgency.protects else None
        return self._database.now() + (min(wait, EXIT_WAIT) if request.urgency.protects else wait)

    def _break(self, error: Exception) -> None:
        self._broken = error
        self._inbox.put_nowait(ReadFailed(f"unexpected {type(error).__name__}"))

    def _soon(self, command: Mutation) -> datetime:
        """Full jitter over a wait that doubles with each try of this lane, or of this entry; one must not lie for long
        when the way is free again, because it grows old."""
        last, tries = self._not_sent
        self._not_sent = (command.id, tries + 1 if last == command.id else 1)
        if isinstance(command, PlaceOrder) and command.purpose is Purpose.ENTRY:
            most = min(0.25 * 2.0 ** min(self._not_sent[1] - 1, 3), ENTRY_WAIT)
        else:
            most = min(0.25 * 2.0 ** min(self.lane.retries, 8), 30.0)
        return self._database.now() + timedelta(seconds=most * self._rng.random())

    def _gate(self, command: Mutation, asked: datetime) -> str | None:
        """The last word, asked immediately before the write, and again and again while the request waits."""
        if self._database.now() >= asked + WAITED and (why := withdrawn(self.lane, command)) is not None:
            return why
        if not isinstance(command, PlaceOrder) or command.purpose is not Purpose.ENTRY:
            return None
        if self._switch.on:
            return "the kill switch is on"
        if command.not_after is not None and self._database.now() >= command.not_after:
            return "the entry is too old to be sent"
        return "the lane is halted" if self.lane.halted is not None else None

    def _bars(self, command: Mutation) -> str | None:
        """Why the account or the contract takes no entry now. It may again, as long as the entry is young enough."""
        return self._barred() if isinstance(command, PlaceOrder) and command.purpose is Purpose.ENTRY else None

    async def _look(self, command: LookForOrders) -> None:
        began, asker = self._database.now(), Asker(self._account, command.ids[0], command.signal_id)
        try:
            orders, fills = await self._line.look(self._account, command.ids, asker)
        except BrokerError as error:
            self._inbox.put_nowait(ReadFailed(str(error), asker.requests))
        except Exception as error:
            self._break(error)
        else:
            self._inbox.put_nowait(Looked(began, orders, fills, asker.requests))

    async def _take_picture(self, command: TakePicture) -> None:
        doubted = command.order_id
        asker = Asker(self._account, doubted, command.signal_id) if doubted is not None else None
        try:
            seen = await self._line.picture_of(self._account, self.lane.contract.name, command.urgency, asker)
        except BrokerError as error:
            self._inbox.put_nowait(ReadFailed(str(error)))
        except Exception as error:
            self._break(error)
        else:
            picture = seen.lane
            self._inbox.put_nowait(picture_taken(seen.began_at, picture, streaming=seen.streaming))


def picture_taken(began_at: datetime, lane: LanePicture, *, streaming: bool = True) -> PictureTaken:
    return PictureTaken(began_at, lane.orders, lane.fills, lane.quantity, streaming, lane.moved_at)


@dataclass(slots=True)
class _Gate:
    """Asked immediately before a write; remembers whether it was a rule that said no."""

    closed: Gate
    bars: Gate
    barred: str | None = None

    def __call__(self) -> str | None:
        why = self.closed()
        if why is None:
            why = self.barred = self.bars()
        return why


_OF_LOOKING: Final = frozenset({"news", "checked_at", "read", "broker_quantity"})
_substance: Final = attrgetter(*(field.name for field in fields(Lane) if field.name not in _OF_LOOKING))
"""The lane without what is only the time of looking."""


def _sight(lane: Lane) -> tuple[object, ...]:
    """The time of looking, and what was seen."""
    return lane.checked_at, lane.read, lane.broker_quantity


def _key(event: Event) -> str | None:
    match event:
        case SignalReceived(signal):
            return f"signal:{signal.id}"
        case OrderFilled(fill):
            return f"fill:{fill.id}"
        case CallAccepted() | CallRefused() | AnswerLost():
            return f"answer:{event.call_id}:{type(event).__name__}"
        case _:
            return None


def _exchange(request: Request, at: datetime) -> Exchange:
    return Exchange(
        id=request.audit_id,
        at=at,
        method=request.method,
        endpoint=request.endpoint,
        request=json.dumps(dict(request.body), default=str),
        signal_id=request.signal_id,
        order_id=request.order_id,
    )


__all__ = ["Executor", "Line", "Past", "Seen", "Switch", "picture_taken"]
