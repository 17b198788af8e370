"""The user socket: Tradovate's frames over a WebSocket (protocol.md section 4, official unless marked).

`o` at once; `h` after 2.5 s without anything to say; `a[…]` for responses and events; `c[code,"reason"]` before
closing. A client that is silent for 10 s, or not authorized after 10 s, is dropped. Requests are four fields
joined by newlines. Several requests may be under way at once; a socket that reads too slowly is dropped.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from random import Random
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.websockets import WebSocket, WebSocketDisconnect

from justtrades.broker.simulator import replies
from justtrades.broker.simulator.calls import Call
from justtrades.broker.simulator.counter import Counter
from justtrades.broker.simulator.delivery import Manners, parcels
from justtrades.broker.simulator.documents import dumps, loads
from justtrades.broker.simulator.faults import Manner
from justtrades.broker.simulator.replies import Reply
from justtrades.broker.simulator.sessions import Session
from justtrades.broker.simulator.tape import Frame
from justtrades.broker.simulator.wire import cut

_LONGEST_QUEUE: Final = 10_000
_LEGS_LATE: Final = 0.3
"""Seconds between a bracket's parent and its legs (client code)."""
SYNC: Final = "user/syncrequest"


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds, for the event loop. `close_at_expiry`: a socket ends with its token (disputed, section 4)."""

    heartbeat: float = 2.5
    silence: float = 10.0
    authorize: float = 10.0
    close_at_expiry: bool = True


def behave(manners: Manners, manner: Manner, rest: str = "") -> Manners | None:
    """These manners with one more of events; None for a manner of something else. ValueError for no seconds."""
    match manner:
        case Manner.DELAY_EVENTS:
            return replace(manners, delay=float(rest))
        case Manner.LATE_LEGS:
            return replace(manners, late_legs=float(rest or _LEGS_LATE))
        case Manner.DUPLICATE_EVENTS:
            return replace(manners, duplicate=True)
        case Manner.SHUFFLE_EVENTS:
            return replace(manners, shuffle=True)
        case Manner.LOSE_EVENTS:
            return replace(manners, lose=True)
        case Manner.BATCH_EVENTS:
            return replace(manners, batch=True)
        case Manner.ENTITY_ARRAYS:
            return replace(manners, arrays=True)
        case Manner.EXTRA_FIELDS:
            return replace(manners, extra_fields=True)
        case Manner.PARTIAL_ENTITIES:
            return replace(manners, partial=True)
        case _:
            return None


class Sockets:
    """All open sockets; hears the floor and passes its events on."""

    def __init__(self, counter: Counter, timing: Timing, rng: Random) -> None:
        self.counter = counter
        self.timing = timing
        self.manners = Manners()
        self.open: set[Connection] = set()
        self._rng = rng
        counter.floor.listeners.add(self.pass_on)

    async def serve(self, websocket: WebSocket) -> None:
        """One socket, from its opening to its end."""
        await websocket.accept()
        connection = Connection(websocket, self)
        self.open.add(connection)
        try:
            await connection.run()
        finally:
            self.open.discard(connection)

    def pass_on(self, frames: Sequence[Frame]) -> None:
        for delay, together in groupby(parcels(frames, self._manners(), self._rng), lambda parcel: parcel.delay):
            self._send_in(delay, [parcel.text for parcel in together])

    def _manners(self) -> Manners:
        """The manners of this change: those that hold, and those of the mixture's whim."""
        manners = self.manners
        for item in self.counter.mixture.whims():
            manners = behave(manners, Manner(item.name), item.text.partition(":")[2]) or manners
            self.counter.diary.note(f"{item.text} struck the events of a change")
        return manners

    def _send_in(self, delay: float, texts: Sequence[str]) -> None:
        if delay:
            asyncio.get_running_loop().call_later(delay, self._send, texts)
        else:
            self._send(texts)

    def _send(self, texts: Sequence[str]) -> None:
        for connection in tuple(self.open):
            connection.hear(texts)

    def silence(self) -> None:
        """The sockets of now stay open and say nothing more, not even a heartbeat."""
        for connection in self.open:
            connection.silent = True

    def leave(self) -> None:
        """The sockets of now stay open with nobody at this end: nothing is said, nothing is read."""
        for connection in self.open:
            connection.silent = connection.deaf = True

    def expire(self) -> None:
        """The tokens of all sockets are over: they end, where a socket ends with its token."""
        for connection in tuple(self.open) if self.timing.close_at_expiry else ():
            connection.expire()

    def drop(self) -> None:
        """The sockets of now are cut, without a closing frame."""
        for connection in tuple(self.open):
            connection.drop()

    def shut_down(self, reason: str) -> None:
        for connection in tuple(self.open):
            connection.shut_down(reason)


class Connection:
    def __init__(self, websocket: WebSocket, sockets: Sockets) -> None:
        self.silent = False
        self.deaf = False
        self._websocket = websocket
        self._sockets = sockets
        self._token = ""
        self._session: Session | None = None
        self._synced = False
        self._out: asyncio.Queue[str | None] = asyncio.Queue(_LONGEST_QUEUE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._errors: list[BaseException] = []
        self._alarm: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        self._say("o")
        if self._sockets.counter.doors.are_shut:
            self.shut_down("Maintenance")
        self._wake_in(self._sockets.timing.authorize, "Not authorized in time")
        reader, writer = asyncio.create_task(self._read()), asyncio.create_task(self._write())
        try:
            await asyncio.wait((reader, writer), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._end(reader, writer)

    async def _end(self, *own: asyncio.Task[None]) -> None:
        if self._alarm:
            self._alarm.cancel()
        if self._session:
            self._session.on_close.discard(self.shut_down)
        tasks = (*own, *self._tasks)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in (*self._errors, *results):
            if isinstance(result, Exception) and not _is_hangup(result):
                raise result

    # ── out ──────────────────────────────────────────────────────────────────────────────────────────────

    def hear(self, texts: Sequence[str]) -> None:
        """Events, each text one frame's array."""
        for text in texts if self._synced else ():
            self._say(f"a{text}")

    def _say(self, frame: str) -> None:
        try:
            self._out.put_nowait(frame)
        except asyncio.QueueFull:
            self.drop()

    def shut_down(self, reason: str) -> None:
        self._say(f"a{dumps([{'e': 'shutdown', 'd': {'reasonCode': reason}}])}")
        self._close(1000, reason)

    def _close(self, code: int, reason: str) -> None:
        self._say(f"c{dumps([code, reason])}")
        with suppress(asyncio.QueueFull):
            self._out.put_nowait(None)

    def expire(self) -> None:
        if self._session is not None:
            self._close(1000, "Token expired")

    def drop(self) -> None:
        cut(self._websocket.scope)

    def _wake_in(self, seconds: float, reason: str) -> None:
        if self._alarm:
            self._alarm.cancel()
        self._alarm = asyncio.get_running_loop().call_later(seconds, self._close, 1000, reason)

    async def _write(self) -> None:
        """Send what there is to say; a heartbeat when there has been nothing. None ends the socket."""
        while True:
            try:
                frame = await asyncio.wait_for(self._out.get(), self._sockets.timing.heartbeat)
            except TimeoutError:
                frame = "h"
            if self.silent:
                continue
            if frame is None:
                await self._websocket.close()
                return
            await self._websocket.send_text(frame)

    # ── in ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _read(self) -> None:
        while True:
            try:
                text = await asyncio.wait_for(self._websocket.receive_text(), self._sockets.timing.silence)
            except TimeoutError:
                if self.deaf:
                    continue
                self._close(1002, "No activity")
                await asyncio.sleep(self._sockets.timing.silence)
                return
            if text and text != "[]" and not self.deaf:
                self._start(self._answer(text))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A request that failed inside the simulator ends the socket, which then raises the error."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._errors.append(error)
            self._close(1011, "Internal error")

    async def _answer(self, text: str) -> None:
        fields = text.split("\n", 3)
        if len(fields) < 2 or not fields[1].strip().isdecimal():
            self._close(1003, "Bad request")
            return
        endpoint, number, query, body = (*fields, "", "")[:4]
        reply = await self._reply(endpoint.strip(), query, body)
        if reply.cut:
            self.drop()
        else:
            for part in _parts(reply) if _is_split(endpoint, body) else (reply,):
                self._say(_response(int(number), part))
        self._sockets.counter.floor.tell(reply.frames)

    async def _reply(self, endpoint: str, query: str, body: str) -> Reply:
        if endpoint == "authorize":
            return self._authorize(body.strip().strip('"'))
        if self._session is None:
            return replies.DENIED
        parsed = _read_body(body)
        if parsed is None:
            return replies.plain(400, "Bad request")
        counter = self._sockets.counter
        spelled = counter.operations.spelled(endpoint)
        if spelled is None:
            return replies.NOT_FOUND
        if spelled != endpoint:  # reported of order/placeOSO
            return replies.DENIED
        client = self._websocket.client
        address = client.host if client else ""
        call = Call(endpoint.lower(), dict(parse_qsl(query)), parsed, token=self._token, address=address)
        return await (self._sync(call) if call.endpoint == SYNC else counter.take(call))

    def _authorize(self, token: str) -> Reply:
        counter = self._sockets.counter
        counter.requests["authorize"] += 1
        now = counter.floor.clock()
        session = counter.sessions.of(token, now)
        if session is None:
            return replies.plain(401, "Invalid access token")
        self._token, self._session = token, session
        session.on_close.add(self.shut_down)
        self._watch_expiry((session.tokens[token] - now).total_seconds())
        return Reply(200, "")

    def _watch_expiry(self, seconds: float) -> None:
        if self._sockets.timing.close_at_expiry:
            self._wake_in(seconds, "Token expired")
        elif self._alarm:
            self._alarm.cancel()

    async def _sync(self, call: Call) -> Reply:
        """Exactly one sync per socket (official). Nothing is missed from the answer on: what is told while
        the fault counter holds it back is heard too."""
        if self._synced:
            return replies.plain(400, "Already synchronized")
        self._synced = True
        reply = await self._sockets.counter.take(call)
        self._synced = reply.status == 200 and not reply.text.startswith('{"p-ticket"')
        return reply


def _is_split(endpoint: str, body: str) -> bool:
    return endpoint.strip() == SYNC and (_read_body(body) or {}).get("splitResponses") is True


def _parts(reply: Reply) -> list[Reply]:
    """A sync answer as several messages, a collection each; nothing marks the last one (section 4)."""
    found = loads(reply.text) if reply.status == 200 else None
    if not isinstance(found, dict) or "users" not in found:
        return [reply]
    return [replace(reply, text=dumps({name: rows})) for name, rows in found.items()]


def _response(number: int, reply: Reply) -> str:
    """On success `d` is JSON, on failure a plain string; a 429 has none (official)."""
    head = f'a[{{"s":{reply.status},"i":{number}'
    if reply.kind == replies.JSON:
        return f'{head},"d":{reply.text}}}]' if reply.text else f"{head}}}]"
    return f"{head}}}]" if reply.status == 429 else f'{head},"d":{json.dumps(reply.text)}}}]'


def _read_body(text: str) -> dict[str, Any] | None:
    """None for what is not a JSON object."""
    if not text.strip():
        return {}
    try:
        body = loads(text)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _is_hangup(error: Exception) -> bool:
    """The other side is gone: a disconnect, or a send after one."""
    return isinstance(error, WebSocketDisconnect | RuntimeError | OSError)
