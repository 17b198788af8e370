"""`POST /webhook/{token}`: from bytes to a durable signal, by the shortest way.

Everything but the one durable write happens in memory, and the answer leaves only after it. This is a plain ASGI
endpoint, because each layer of a framework costs as much as reading the alert does.

TradingView cancels after 3 s and sends again on a 5xx. So an answer always leaves in time: a write that takes
longer is answered 503 and, if it has not begun, abandoned; if it was already under way it may still be kept, and
then it is dispatched. The same bytes sent again because of that 503 count as a repeat of it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection
from starlette.types import Receive, Scope, Send

from justtrades.api.alerts import Heartbeat
from justtrades.api.doors import Gone, TooLarge, client_address, read_body, within
from justtrades.api.intake import SOURCE, Arrived, Refused, new_signal, read
from justtrades.api.known import Known, Tokens
from justtrades.api.parts import Desk
from justtrades.api.rates import Strangers
from justtrades.api.redaction import kept
from justtrades.desk import Arrival
from justtrades.notices import Kind, Notices, Silent
from justtrades.positions.model import SignalId
from justtrades.positions.recorder import Reading, Recorder
from justtrades.settings import Network
from justtrades.store import signals
from justtrades.store.kept import was_kept
from justtrades.store.session import Database, NotDurable
from justtrades.store.signals import Accepted, NewSignal, Refusal

log = logging.getLogger(__name__)

BODY_LIMIT: Final = 64 * 1024
ANSWER_WITHIN: Final = 2.5
"""Seconds; TradingView waits 3 (I19)."""
UNSURE_KEPT: Final = 1_000

_HEADERS: Final = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]


@dataclass(slots=True)
class Reply:
    """One answer, sent once. `late` is set when it was given before the write was done."""

    send: Send
    late: bool = False

    async def json(self, status: int, body: dict[str, str], *headers: tuple[bytes, bytes]) -> None:
        await self.content(status, json.dumps(body).encode(), *headers)

    async def content(self, status: int, content: bytes, *headers: tuple[bytes, bytes]) -> None:
        length = (b"content-length", str(len(content)).encode())
        await self.send({"type": "http.response.start", "status": status, "headers": [*_HEADERS, length, *headers]})
        await self.send({"type": "http.response.body", "body": content})

    async def error(self, status: int, sentence: str, *headers: tuple[bytes, bytes]) -> None:
        await self.json(status, {"error": sentence}, *headers)


@dataclass(slots=True)
class Webhook:
    """`duplicate_seconds` and `entry_max_age` as in the settings; `allowed` None lets every address in."""

    database: Database
    desk: Desk
    tokens: Tokens
    clock: Callable[[], datetime]
    allowed: tuple[Network, ...] | None
    trusted: tuple[Network, ...]
    duplicate_seconds: float
    entry_max_age: timedelta
    strangers: Strangers = field(default_factory=Strangers)
    notices: Notices = field(default_factory=Silent)
    heard: Callable[[Recorder, int | None, datetime], None] = lambda *_: None
    """Hears of every heartbeat, with the period it names."""
    counts: dict[str, int] = field(default_factory=dict)
    """Answers by status, for the metrics."""
    load: Callable[[], Awaitable[None]] | None = None
    """Fills the tokens before the first alert; None once they are there."""
    _unsure: OrderedDict[tuple[str, str], datetime] = field(default_factory=OrderedDict)
    """Recorder and content answered 503, with when it arrived: nobody knows whether it was kept."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.take(scope["path_params"]["token"], scope, receive, send)

    async def take(self, token: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, always."""
        reply = Reply(self._counting(send))
        try:
            await self._answer(token, scope, receive, reply)
        except Gone:
            return
        # The contract: never any other 5xx, whatever happens, since TradingView would send the alert again.
        except Exception:
            log.exception("an alert could not be handled")
            if not reply.late:
                await reply.error(503, "the alert could not be handled")

    async def _answer(self, token: str, scope: Scope, receive: Receive, reply: Reply) -> None:
        if self.load is not None:
            await self.load()
            self.load = None
        now = self.clock()
        known = self.tokens.find(token, now)
        if not self._may_come_in(scope):
            await self._forbid(known, now, reply)
        elif known is None:
            await self._miss(scope, now, reply)
        else:
            await self._take(Arrived(known, now), scope, receive, reply)

    async def _take(self, arrived: Arrived, scope: Scope, receive: Receive, reply: Reply) -> None:
        try:
            arrived = Arrived(arrived.known, arrived.at, await _body(scope, receive))
            reading = read(arrived)
        except Refused as refused:
            await self._refuse(arrived, refused, reply)
            return
        self.tokens.heard_at[arrived.recorder.id] = arrived.at
        if isinstance(reading, Heartbeat):
            self.heard(arrived.recorder, reading.period_seconds, arrived.at)
            await reply.json(200, {"status": "heartbeat"})
            return
        await self._accept(arrived, reading, reply)

    # ── writing ──

    def _new(self, arrived: Arrived, reading: Reading) -> NewSignal:
        content = signals.content_hash(arrived.body)
        return new_signal(
            arrived,
            reading,
            signal_id=SignalId(self.database.new_id()),
            content_hash=content,
            expires_at=arrived.at + self.entry_max_age,
            duplicate_seconds=self._window(arrived.recorder.id, content, arrived.at),
        )

    def _window(self, recorder_id: str, content: str, at: datetime) -> int:
        """Seconds within which the same bytes are a repeat: back to the copy that was answered 503, if any."""
        since = self._unsure.get((recorder_id, content))
        waited = 0.0 if since is None else (at - since).total_seconds() + 1
        return math.ceil(max(self.duplicate_seconds, waited))

    async def _accept(self, arrived: Arrived, reading: Reading, reply: Reply) -> None:
        new = self._new(arrived, reading)
        timer = asyncio.get_running_loop().call_later(ANSWER_WITHIN, self._give_up, new, reply)
        try:
            accepted = await self.database.write(lambda connection: _unless(reply, connection, new))
        except NotDurable as error:
            log.error("an alert could not be kept: %s", error)
            self._doubt(new)
            self._start(self._take_up_if_kept(new, arrived, reading))
            accepted = None
        finally:
            timer.cancel()
        try:
            if not reply.late:
                await _tell(accepted, reply)
        finally:  # the answer goes first; a client that has gone takes nothing with it
            if accepted is not None and not accepted.duplicate and accepted.finished is None:
                self._dispatch(new, arrived, reading)

    def _dispatch(self, new: NewSignal, arrived: Arrived, reading: Reading) -> None:
        until = new.received_at + self.entry_max_age
        self.desk.dispatch(Arrival(new.id, new.received_at, until, arrived.recorder, reading))

    async def _take_up_if_kept(self, new: NewSignal, arrived: Arrived, reading: Reading) -> None:
        """Answered 503 and perhaps kept all the same: its repeat is then a duplicate, so nobody else would."""
        if await was_kept(self.database, new.id):
            log.warning("signal %s was answered 503 and is kept all the same: it is worked like any other", new.id)
            self._dispatch(new, arrived, reading)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _give_up(self, new: NewSignal, reply: Reply) -> None:
        reply.late = True
        self._doubt(new)
        self._start(_tell(None, Reply(reply.send)))

    def _doubt(self, new: NewSignal) -> None:
        self._unsure.setdefault((str(new.recorder_id), new.content_hash), new.received_at)
        if len(self._unsure) > UNSURE_KEPT:
            self._unsure.popitem(last=False)

    # ── refusing ──

    def _may_come_in(self, scope: Scope) -> bool:
        if self.allowed is None:
            return True
        address = client_address(scope, self.trusted)
        return address is not None and within(address, self.allowed)

    async def _miss(self, scope: Scope, now: datetime, reply: Reply) -> None:
        wait = self.strangers.take(client_address(scope, self.trusted), now.timestamp())
        if wait is None:
            await reply.error(404, "not found")
        else:
            await reply.error(429, "too many requests", (b"retry-after", str(wait).encode()))

    async def _forbid(self, known: Known | None, now: datetime, reply: Reply) -> None:
        refused = Refused(403, "alerts are not taken from this address")
        if known is None:
            await reply.error(refused.status, refused.sentence)
        else:
            await self._refuse(Arrived(known, now), refused, reply)

    async def _refuse(self, arrived: Arrived, refused: Refused, reply: Reply) -> None:
        self.notices.notify(Kind.REFUSAL, f"{arrived.recorder.name}: alert refused", refused.sentence)
        if arrived.known.pace.refusals.take(arrived.at.timestamp()):
            log.warning("recorder %s: alert refused with %d: %s", arrived.recorder.id, refused.status, refused.sentence)
            await self._keep(arrived, refused)
        waits = () if refused.wait is None else ((b"retry-after", str(refused.wait).encode()),)
        await reply.error(refused.status, refused.sentence, *waits)

    async def _keep(self, arrived: Arrived, refused: Refused) -> None:
        recorder = arrived.recorder
        refusal = Refusal(
            id=SignalId(self.database.new_id()),
            recorder_id=recorder.id,
            received_at=arrived.at,
            source=SOURCE,
            reason=refused.sentence,
            text=kept(arrived.body, recorder.secret),
        )
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                await self.database.write(lambda connection: signals.refuse(connection, refusal))
        except (NotDurable, TimeoutError) as error:
            log.error("a refused alert could not be kept: %s", error)

    def _counting(self, send: Send) -> Send:
        async def counted(message: Any) -> None:
            if message["type"] == "http.response.start":
                status = str(message["status"])
                self.counts[status] = self.counts.get(status, 0) + 1
            await send(message)

        return counted


# ── leaves ───────────────────────────────────────────────────────────────────────────────────────────────────


async def _body(scope: Scope, receive: Receive) -> bytes:
    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            return await read_body(scope, receive, BODY_LIMIT)
    except TooLarge:
        raise Refused(413, f"an alert has at most {BODY_LIMIT} bytes") from None
    except TimeoutError:
        raise Refused(400, "the body did not arrive in time") from None


def _unless(reply: Reply, connection: Connection, new: NewSignal) -> Accepted | None:
    """Accept, unless the answer has already said that it was not."""
    return None if reply.late else signals.accept(connection, new)


async def _tell(accepted: Accepted | None, reply: Reply) -> None:
    if accepted is None:
        await reply.error(503, "the alert could not be stored: send it again")
    elif accepted.duplicate:
        await reply.json(200, {"signal_id": accepted.signal_id, "status": "duplicate"})
    else:
        # Ids are letters and digits: nothing in them needs escaping.
        await reply.content(202, f'{{"signal_id":"{accepted.signal_id}","status":"accepted"}}'.encode())
