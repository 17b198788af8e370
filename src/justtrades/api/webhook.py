"""`POST /webhook/{token}`: from bytes to a durable signal, by the shortest way.

Everything but the one durable write happens in memory, and the answer leaves only after it. This is a plain ASGI
endpoint, because each layer of a framework costs as much as reading the alert does.

TradingView cancels after 3 s and sends again on a 5xx. So an answer always leaves in time: a write that takes
longer is answered 503 and, if it has not begun, abandoned; if it was already under way it may still be kept, and
then it is dispatched. The same bytes sent again because of that 503 count as a repeat of it.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection
from starlette.types import Receive, Scope, Send

from justtrades.api import alerts
from justtrades.api.alerts import Alert, AlertError, Heartbeat, NotAnOrder, Unreadable
from justtrades.api.doors import Gone, TooLarge, client_address, read_body, within
from justtrades.api.known import Known, Tokens
from justtrades.api.parts import Desk
from justtrades.api.redaction import kept, redacted
from justtrades.desk import Arrival
from justtrades.positions.model import Outcome, SignalId
from justtrades.positions.recorder import Mode, Reading, Recorder
from justtrades.positions.symbols import UnknownSymbol, parse_symbol
from justtrades.settings import Network
from justtrades.store import signals
from justtrades.store.codec import reading_text
from justtrades.store.session import Database, NotDurable
from justtrades.store.signals import Accepted, NewRoute, NewSignal, Refusal

log = logging.getLogger(__name__)

BODY_LIMIT: Final = 64 * 1024
ANSWER_WITHIN: Final = 2.5
"""Seconds; TradingView waits 3 (I19)."""
UNSURE_KEPT: Final = 1_000
SOURCE: Final = "webhook"

_HEADERS: Final = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]


@dataclass(slots=True)
class Reply:
    """One answer, sent once. `late` is set when it was given before the write was done."""

    send: Send
    late: bool = False

    async def json(self, status: int, body: dict[str, str], *headers: tuple[bytes, bytes]) -> None:
        content = json.dumps(body).encode()
        length = (b"content-length", str(len(content)).encode())
        await self.send({"type": "http.response.start", "status": status, "headers": [*_HEADERS, length, *headers]})
        await self.send({"type": "http.response.body", "body": content})

    async def error(self, status: int, sentence: str, *headers: tuple[bytes, bytes]) -> None:
        await self.json(status, {"error": sentence}, *headers)


@dataclass(frozen=True, slots=True)
class Arrived:
    """An alert of a known token, as far as it was read. All moments are aware UTC."""

    known: Known
    at: datetime
    body: bytes = b""

    @property
    def recorder(self) -> Recorder:
        return self.known.recorder


class Refused(Exception):
    """An alert of a known token that becomes no signal: what is answered and what is kept."""

    def __init__(self, status: int, sentence: str, wait: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.wait = wait


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
    counts: dict[str, int] = field(default_factory=dict)
    """Answers by status, for the metrics."""
    load: Callable[[], Awaitable[None]] | None = None
    """Fills the tokens before the first alert; None once they are there."""
    _unsure: OrderedDict[tuple[str, str], datetime] = field(default_factory=OrderedDict)
    """Recorder and content answered 503, with when it arrived: nobody knows whether it was kept."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = Reply(self._counting(send))
        try:
            await self._answer(scope, receive, reply)
        except Gone:
            return
        # The contract: never any other 5xx, whatever happens, since TradingView would send the alert again.
        except Exception:
            log.exception("an alert could not be handled")
            if not reply.late:
                await reply.error(503, "the alert could not be handled")

    async def _answer(self, scope: Scope, receive: Receive, reply: Reply) -> None:
        if self.load is not None:
            await self.load()
            self.load = None
        now = self.clock()
        known = self.tokens.find(scope["path_params"]["token"], now)
        if not self._may_come_in(scope):
            await self._forbid(known, now, reply)
        elif known is None:
            await reply.error(404, "not found")
        else:
            await self._take(Arrived(known, now), scope, receive, reply)

    async def _take(self, arrived: Arrived, scope: Scope, receive: Receive, reply: Reply) -> None:
        try:
            arrived = Arrived(arrived.known, arrived.at, await _body(scope, receive))
            reading = self._read(arrived)
        except Refused as refused:
            await self._refuse(arrived, refused, reply)
            return
        self.tokens.heard_at[arrived.recorder.id] = arrived.at
        if isinstance(reading, Heartbeat):
            await reply.json(200, {"status": "heartbeat"})
            return
        await self._accept(arrived, reading, reply)

    # ── reading ──

    def _read(self, arrived: Arrived) -> Reading | Heartbeat:
        """The order in the alert; `Refused` when there is none, or too many came."""
        pace, now = arrived.known.pace, arrived.at.timestamp()
        try:
            alert = alerts.parse(arrived.body)
            _check_secret(arrived.recorder, alert)
            reading = alerts.read(alert, arrived.recorder.dialect)
            if isinstance(reading, Reading):
                _check_ticker(arrived.recorder, reading)
        except AlertError as error:
            if not pace.entries.take(now):
                raise Refused(429, "too many alerts", pace.entries.wait) from None
            raise Refused(400 if isinstance(error, Unreadable) else 422, error.sentence) from None
        exits = isinstance(reading, Reading) and not reading.verb.enters
        bucket = pace.exits if exits else pace.entries
        if not bucket.take(now):
            raise Refused(429, "too many alerts", bucket.wait)
        return reading

    def _signal(self, arrived: Arrived, reading: Reading) -> NewSignal:
        recorder, content = arrived.recorder, signals.content_hash(arrived.body)
        return NewSignal(
            id=SignalId(self.database.new_id()),
            received_at=arrived.at,
            source=SOURCE,
            content_hash=content,
            raw=redacted(arrived.body, recorder.secret),
            recorder_id=recorder.id,
            repeat_key=reading.repeat_key,
            duplicate_seconds=self._window(recorder.id, content, arrived.at),
            expires_at=arrived.at + self.entry_max_age,
            dialect=reading.dialect,
            verb=reading.verb,
            ticker=reading.ticker,
            reading_json=reading_text(reading),
            recorder_json=arrived.known.rules_json,
            routes=_routes(recorder, reading, arrived.at),
            notes=(*reading.notes, *reading.warnings, *_about_symbol(recorder, reading, arrived.at)),
        )

    def _window(self, recorder_id: str, content: str, at: datetime) -> int:
        """Seconds within which the same bytes are a repeat: back to the copy that was answered 503, if any."""
        since = self._unsure.get((recorder_id, content))
        waited = 0.0 if since is None else (at - since).total_seconds() + 1
        return math.ceil(max(self.duplicate_seconds, waited))

    # ── writing ──

    async def _accept(self, arrived: Arrived, reading: Reading, reply: Reply) -> None:
        new = self._signal(arrived, reading)
        timer = asyncio.get_running_loop().call_later(ANSWER_WITHIN, self._give_up, new, reply)
        try:
            accepted = await self.database.write(lambda connection: _unless(reply, connection, new))
        except NotDurable as error:
            log.error("an alert could not be kept: %s", error)
            self._doubt(new)
            accepted = None
        finally:
            timer.cancel()
        if accepted is not None and not accepted.duplicate and accepted.finished is None:
            until = new.received_at + self.entry_max_age
            self.desk.dispatch(Arrival(new.id, new.received_at, until, arrived.recorder, reading))
        if not reply.late:
            await _tell(accepted, reply)

    def _give_up(self, new: NewSignal, reply: Reply) -> None:
        reply.late = True
        self._doubt(new)
        task = asyncio.ensure_future(_tell(None, Reply(reply.send)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

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

    async def _forbid(self, known: Known | None, now: datetime, reply: Reply) -> None:
        refused = Refused(403, "alerts are not taken from this address")
        if known is None:
            await reply.error(refused.status, refused.sentence)
        else:
            await self._refuse(Arrived(known, now), refused, reply)

    async def _refuse(self, arrived: Arrived, refused: Refused, reply: Reply) -> None:
        log.warning("recorder %s: alert refused with %d: %s", arrived.recorder.id, refused.status, refused.sentence)
        if arrived.known.pace.refusals.take(arrived.at.timestamp()):
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


def _check_secret(recorder: Recorder, alert: Alert) -> None:
    if recorder.secret is None:
        return
    fields = alert.fields or {}
    sent = [value for name in ("secret", "key", "token") if isinstance(value := fields.get(name), str)]
    wanted = recorder.secret.encode()
    if not any(hmac.compare_digest(value.encode("utf-8", "replace"), wanted) for value in sent):
        raise NotAnOrder("the alert does not carry this recorder's secret in its field secret, key or token")


def _check_ticker(recorder: Recorder, reading: Reading) -> None:
    if recorder.symbol is None and reading.ticker is None:
        raise NotAnOrder('the alert needs a ticker, such as "ticker": "MNQ1!", because its recorder names no symbol')


def _routes(recorder: Recorder, reading: Reading, at: datetime) -> tuple[NewRoute, ...]:
    """The accounts this signal is for. A rule that needs no lane to say no says it here."""
    outcome, reason = _over_at_once(recorder, reading, at)
    return tuple(NewRoute(route.account_id, "", outcome, reason) for route in recorder.routes if route.enabled)


def _over_at_once(recorder: Recorder, reading: Reading, at: datetime) -> tuple[Outcome | None, str | None]:
    if recorder.mode is Mode.SHADOW:
        return Outcome.NO_ACTION, "shadow mode: recorded, not traded"
    limit = recorder.max_alert_age_seconds
    if limit is None or reading.alert_time is None or not reading.verb.enters:
        return None, None
    if at - reading.alert_time <= timedelta(seconds=limit):
        return None, None
    return Outcome.BLOCKED, f"the alert's own time is more than {limit} s ago"


def _about_symbol(recorder: Recorder, reading: Reading, at: datetime) -> tuple[str, ...]:
    """A recorder with a symbol of its own trades that, whatever the alert says; a difference is worth a note."""
    if recorder.symbol is None or reading.ticker is None or recorder.symbol == reading.ticker:
        return ()
    try:
        same = parse_symbol(recorder.symbol, at.date()) == parse_symbol(reading.ticker, at.date())
    except UnknownSymbol:
        same = False
    return () if same else ("the alert's ticker is another than the recorder's symbol, which is what is traded",)


def _unless(reply: Reply, connection: Connection, new: NewSignal) -> Accepted | None:
    """Accept, unless the answer has already said that it was not."""
    return None if reply.late else signals.accept(connection, new)


async def _tell(accepted: Accepted | None, reply: Reply) -> None:
    if accepted is None:
        await reply.error(503, "the alert could not be stored: send it again")
    elif accepted.duplicate:
        await reply.json(200, {"signal_id": accepted.signal_id, "status": "duplicate"})
    else:
        await reply.json(202, {"signal_id": accepted.signal_id, "status": "accepted"})
