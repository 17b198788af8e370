"""The user socket, kept open: one `frames.Session` after another, each on a fresh connection.

Three things go on at once on a connection: reading, our own heartbeat (from its own timer, whatever comes in),
and the wait for the first sign of silence. Any end of it is one exception, `Ended`, and tenacity decides when to
come again: full jitter from one second to a minute, starting over only after a connection that held; a quota
shutdown means that somebody else logged in, and waiting is the only polite answer to that. There is no replay:
what happened meanwhile comes with the next snapshot and the picture that the engine takes on `Synced`.

Timers run on the event loop's time, so that a loop with virtual time drives them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type
from tenacity.wait import wait_base
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from justtrades.broker.port import BrokerError, NotHandled
from justtrades.broker.tradovate import frames
from justtrades.broker.tradovate.access import Access, Token
from justtrades.broker.tradovate.answers import Ticket
from justtrades.broker.tradovate.frames import Closed, Failed, Props, Session, Shutdown, Snapshot, Ticketed
from justtrades.broker.tradovate.penalty import FullJitter

LARGEST_FRAME = 64 * 1024 * 1024
HELD = 30.0
"""A connection that lasted this long was a good one: the next back-off begins anew."""
QUOTA_REST = 60.0
LONGEST_REST = 30.0
"""How long to rest before asking ourselves again; a wait may be lifted, and asking costs nothing."""
MAINTENANCE_REST = 30.0
QUOTA_SHUTDOWNS = ("ConnectionQuotaReached", "IPQuotaReached")
CLOSE_WITHIN = 2.0
SHUT_SILENCE = 30.0
"""How long a synced socket may be silent while the doors are shut."""
SHUT_REST = 300.0
"""The longest rest between two connections while the doors are shut; never past their opening."""
OPENING = 10.0
"""Everybody comes back when the doors open: spread over so many seconds."""


class Socket(Protocol):
    async def send(self, message: str, /) -> None: ...

    async def recv(self) -> str | bytes: ...

    async def close(self) -> None: ...


Dial = Callable[[str], Awaitable[Socket]]
UntilOpen = Callable[[float], float | None]
"""Seconds until the doors open; 0 while they are open, None when they stay shut for the seconds given."""


class Listener(Protocol):
    """Who hears the feed. `snapshot` and `props` take what they need before they return."""

    async def snapshot(self, collections: Mapping[str, tuple[Mapping[str, Any], ...]], *, whole: bool) -> None: ...

    def frame(self, text: str, kinds: tuple[str, ...]) -> None:
        """One frame of events as it came, and the kinds of entities in it; before they are told, which for events
        that come ahead of the snapshot is later."""

    def props(self, props: Props) -> None: ...

    async def heard_out(self) -> None:
        """A frame's events are all told: what is complete now may be said."""

    async def synced(self) -> None: ...

    async def lost(self, why: str) -> None: ...

    async def slowed(self, status: int) -> None:
        """Sync or authorize was answered 423 or 429."""

    def captcha(self) -> None:
        """Sync was answered with a captcha."""


class _Connect(connect):
    """A socket that is sent elsewhere stays where it was meant to be: no redirects."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def dial(url: str) -> Socket:
    """A connection to the user socket. Heartbeats are the protocol's own, so the library sends no pings."""
    return await _Connect(
        url,
        open_timeout=frames.SILENCE,
        close_timeout=CLOSE_WITHIN,
        ping_interval=None,
        max_size=LARGEST_FRAME,
        proxy=None,
    )


class Ended(Exception):
    """A connection ended, or never came to be. `rest`: at least so many seconds before the next."""

    def __init__(self, why: str, *, rest: float = 0.0, held: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.rest = rest
        self.held = held


class _Pause(wait_base):
    """How long to wait before the next connection."""

    def __init__(self, rng: Random, until_open: UntilOpen) -> None:
        self._rng = rng
        self._jitter = FullJitter(rng)
        self._until_open = until_open
        self._in_a_row = 0

    def __call__(self, retry_state: RetryCallState) -> float:
        ended = retry_state.outcome.exception() if retry_state.outcome else None
        assert isinstance(ended, Ended)
        self._in_a_row = 1 if ended.held else self._in_a_row + 1
        opens = self._until_open(SHUT_REST)
        if opens == 0.0:
            return ended.rest + self._jitter.after(self._in_a_row)
        wait = ended.rest + self._jitter.after(self._in_a_row, SHUT_REST)
        return wait if opens is None or wait < opens else opens + self._rng.uniform(0.0, OPENING)


@dataclass(slots=True)
class _Life:
    """One connection: its socket, its session, when it was synced and what the server said before closing."""

    socket: Socket
    session: Session
    token: Token
    synced_at: float | None = None
    shutdown: str | None = None
    bare: bool = False


class Feed:
    def __init__(
        self,
        url: str,
        access: Access,
        listener: Listener,
        rng: Random,
        *,
        dial: Dial = dial,
        hold: Callable[[], float] = lambda: 0.0,
        count: Callable[[], None] = lambda: None,
        until_open: UntilOpen = lambda _: 0.0,
    ) -> None:
        """`hold` says for how many seconds nothing may be opened (a penalty); `count` is told of each sync."""
        self._url = url
        self._access = access
        self._listener = listener
        self._rng = rng
        self._dial = dial
        self._hold = hold
        self._count = count
        self._until_open = until_open
        self._by_types = False
        self._types_tried = False
        self.trouble: str | None = None
        """Why the last connection ended."""

    async def run(self) -> None:
        """Connects and listens until cancelled."""
        again = AsyncRetrying(
            retry=retry_if_exception_type(Ended),
            wait=_Pause(self._rng, self._until_open),
            sleep=asyncio.sleep,
            reraise=True,
            before_sleep=self._note,
        )
        await again(self._live)

    def _note(self, retry_state: RetryCallState) -> None:
        ended = retry_state.outcome.exception() if retry_state.outcome else None
        self.trouble = str(ended) if ended else None

    async def _live(self) -> None:
        """One connection from dialling to its end; always ends with `Ended`."""
        if (wait := self._hold()) > 0:
            raise Ended("the broker asks to wait", rest=min(wait, LONGEST_REST))
        token = await self._token()
        socket = await self._dialled()
        now = asyncio.get_running_loop().time()
        body = frames.sync_body(token.user_id, by_types=self._by_types)
        life = _Life(socket, Session(token.access, body, now), token)
        try:
            await self._listen(life)
        except Ended as ended:
            raise await self._over(life, ended) from None
        finally:
            await _closed(socket)

    async def _token(self) -> Token:
        try:
            return await self._access.token()
        except NotHandled as error:
            rest = min(error.wait.total_seconds() if error.wait else LONGEST_REST, LONGEST_REST)
            raise Ended(error.text or error.reason, rest=rest) from error
        except BrokerError as error:
            raise Ended(str(error)) from error

    async def _dialled(self) -> Socket:
        try:
            return await self._dial(self._url)
        except (OSError, TimeoutError, WebSocketException) as error:
            raise Ended(f"no connection ({type(error).__name__})") from error

    async def _listen(self, life: _Life) -> None:
        """Read and beat until something ends it; the first end counts, the other task is cancelled."""
        beating = asyncio.create_task(self._beat(life))
        reading = asyncio.create_task(self._read(life))
        try:
            done, _ = await asyncio.wait({beating, reading}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (beating, reading):
                task.cancel()
            await asyncio.gather(beating, reading, return_exceptions=True)

    async def _beat(self, life: _Life) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(max(life.session.heartbeat_due - loop.time(), 0.001))
            if beat := life.session.beat(loop.time()):
                await _send(life.socket, beat)

    async def _read(self, life: _Life) -> None:
        loop = asyncio.get_running_loop()
        while True:
            heard = await self._next(life)
            for one in heard:
                await self._hear(life, one)
            if heard:
                await self._listener.heard_out()
            await _flush(life)
            life.session.dead_at = max(life.session.dead_at, loop.time() + frames.SILENCE)

    async def _next(self, life: _Life) -> list[frames.Heard]:
        """What the next frame says, or what the time says when none comes."""
        loop, session = asyncio.get_running_loop(), life.session
        dead_at = self._dead_at(life)
        text = await _received(life.socket, min(dead_at, session.whole_at))
        if text is None and session.whole_at < dead_at:
            return session.whole(session.whole_at)
        if text is None:
            raise Ended(f"silent for {dead_at - session.dead_at + frames.SILENCE:.0f} s")
        try:
            heard = session.receive(text, loop.time())
        except frames.BadFrame as error:
            raise Ended(f"a frame nobody understands ({error})") from error
        if session.kinds:
            self._listener.frame(text, session.kinds)
        return heard

    def _dead_at(self, life: _Life) -> float:
        """A synced socket may be silent for longer while the doors are shut."""
        patient = life.synced_at is not None and self._until_open(0.0) != 0.0
        return life.session.dead_at + (SHUT_SILENCE - frames.SILENCE if patient else 0.0)

    async def _hear(self, life: _Life, heard: frames.Heard) -> None:
        match heard:
            case Props():
                self._listener.props(heard)
            case Snapshot():
                await self._snapshot(life, heard)
            case Ticketed(ticket):
                await self._serve(life, ticket)
            case Failed():
                raise await self._failed(life, heard)
            case Shutdown(reason):
                life.shutdown = reason
                raise _shut_down(reason)
            case Closed(code, reason):
                raise Ended(f"closed by the server ({code} {reason})".rstrip())

    async def _snapshot(self, life: _Life, snapshot: Snapshot) -> None:
        if snapshot.late:
            await self._listener.snapshot(snapshot.collections, whole=False)
            return
        if snapshot.bare and not self._types_tried:
            self._types_tried = self._by_types = True
            raise Ended("a snapshot without orders; asking by entity types", held=True)
        self._access.worked(life.token)
        self._count()
        await self._listener.snapshot(snapshot.collections, whole=True)
        life.synced_at = asyncio.get_running_loop().time()
        await self._listener.synced()

    async def _serve(self, life: _Life, ticket: Ticket) -> None:
        """The snapshot met a penalty: the same again with the ticket. Our heartbeat goes on meanwhile."""
        if ticket.captcha:
            self._listener.captcha()
        if ticket.captcha or ticket.seconds > QUOTA_REST:
            raise Ended("the broker asks to wait", rest=max(ticket.seconds, QUOTA_REST))
        await asyncio.sleep(ticket.seconds)
        life.session.sync_again(ticket.ticket)

    async def _failed(self, life: _Life, failed: Failed) -> Ended:
        """A refused authorize wants another token; a refused sync by entity types goes back to users."""
        if failed.step == "sync" and self._by_types:
            self._by_types = False
        if failed.status == 401:
            try:
                await self._access.after_denied(life.token)
            except BrokerError as error:
                return Ended(str(error))
        if failed.status in (423, 429):
            await self._listener.slowed(failed.status)
        return Ended(f"{failed.step} answered {failed.status} {failed.text}".rstrip())

    async def _over(self, life: _Life, ended: Ended) -> Ended:
        if life.synced_at is None:
            return ended
        lasted = asyncio.get_running_loop().time() - life.synced_at
        ended.held = lasted >= HELD
        await self._listener.lost(ended.why)
        return ended


def _shut_down(reason: str) -> Ended:
    rest = QUOTA_REST if reason in QUOTA_SHUTDOWNS else MAINTENANCE_REST if reason == "Maintenance" else 0.0
    return Ended(f"shutdown: {reason}", rest=rest)


async def _flush(life: _Life) -> None:
    for frame in life.session.to_send():
        await _send(life.socket, frame)


async def _send(socket: Socket, text: str) -> None:
    try:
        async with asyncio.timeout(frames.SILENCE):
            await socket.send(text)
    except (OSError, TimeoutError, WebSocketException) as error:
        raise Ended(f"the connection broke ({type(error).__name__})") from error


async def _received(socket: Socket, until: float) -> str | None:
    """The next frame; None when none has come by then."""
    try:
        async with asyncio.timeout_at(until):
            text = await socket.recv()
    except TimeoutError:
        return None
    except (OSError, WebSocketException) as error:
        raise Ended(f"the connection broke ({type(error).__name__})") from error
    return text if isinstance(text, str) else text.decode("utf-8", errors="replace")


async def _closed(socket: Socket) -> None:
    """Close politely, but never wait long for somebody who may be gone."""
    try:
        async with asyncio.timeout(CLOSE_WITHIN + 1):
            await socket.close()
    except (OSError, TimeoutError, WebSocketException):
        return
