"""The wires between engine and broker: an httpx transport and a user socket, both without a network.

A request travels for a while, is handled at the broker whatever becomes of its sender, and the answer travels
back; each way may fail as the weather of the moment says. The socket keeps the order of its frames, as TCP does,
unless a fault of the server's own shuffles what it tells.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import Any
from urllib.parse import parse_qsl, unquote

import httpx
from starlette.datastructures import Address

from justtrades.broker.simulator import replies
from justtrades.broker.simulator.calls import Call
from justtrades.broker.simulator.documents import loads
from justtrades.broker.simulator.replies import Reply
from justtrades.broker.tradovate.line import go_ahead
from tests.invariants.checker import Written
from tests.simulation.exchange import Exchange
from tests.simulation.loop import seconds

TRANSPORT = "justtrades.simulator.transport"
NEVER = 3600.0
EVENTS = 'a[{"e":"props"'
"""How a frame of events begins."""
HELD_UP = (16.0, 40.0)
"""Seconds for which a request may lie somewhere on its way: longer than it is looked for."""


@dataclass(frozen=True)
class Weather:
    """How likely each misfortune is now. All zero: a quiet day."""

    not_sent: float = 0.0
    lost_request: float = 0.0
    lost_answer: float = 0.0
    server_error: float = 0.0
    """Answered 5xx, 408, {} or a page, before or after it was carried out."""
    reads: float = 1.0
    """How much of these misfortunes a read meets, beside what changes something."""
    slow: float = 0.0
    slow_reads: float = 1.0
    """How often a read is slow, beside what changes something."""
    lag: float = 0.0
    """Most seconds a read is behind."""
    partial: float = 0.0
    """A list lacks one of its rows."""
    blind: str = ""
    """Reads of endpoints with this word in their name fail, all of them; empty: none do."""
    penalty: bool = False
    """Everything is answered 429."""
    late_entry: float = 0.0
    """An entry that nobody waits for any more arrives after all."""
    frames_lost: float = 0.0
    frames_late: float = 0.0
    frames_doubled: float = 0.0


@dataclass
class Net:
    """Everything between one login and its broker. `life` counts the engine's lives; an older one hears nothing."""

    exchange: Exchange
    rng: Random
    told: Callable[[str], None]
    weather: Weather = field(default_factory=Weather)
    life: int = 0
    wrote: Callable[[Written], None] = lambda _: None
    over: Callable[[Written], None] = lambda _: None
    heard: Callable[[], None] = lambda: None
    received: Callable[[], None] = lambda: None
    enters: Callable[[Written], bool] = lambda _: False
    """Whether a request places an entry."""
    at_point: Callable[[str], Awaitable[None]] | None = None
    """May end the engine's life here."""
    server_tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    def chance(self, probability: float) -> bool:
        return probability > 0 and self.rng.random() < probability

    def delay(self, sent: Written) -> float:
        share = 1.0 if sent.mutates else self.weather.slow_reads
        if self.chance(self.weather.slow * share):
            return self.rng.uniform(0.5, 6.0)
        return self.rng.uniform(0.005, 0.06)

    def spawn_later(self, work: Callable[[], Any]) -> None:
        """For a timer: the broker's work begins when it fires."""
        self.spawn(work())

    def spawn(self, work: Any) -> asyncio.Task[Any]:
        """The broker's own work: it outlives the engine."""
        task = asyncio.get_running_loop().create_task(work)
        self.server_tasks.add(task)
        task.add_done_callback(self.server_tasks.discard)
        return task


class Wire(httpx.AsyncBaseTransport):
    """The transport of one engine's life."""

    def __init__(self, net: Net) -> None:
        self._net = net
        self._life = net.life

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        net, call = self._net, _call(request)
        await asyncio.sleep(net.rng.uniform(0.001, 0.01))
        if net.chance(net.weather.not_sent):
            raise httpx.ConnectError("no connection")
        await self._alive()
        sent = Written(seconds(), call.endpoint, dict(call.body), self._life)
        await self._point(sent, "before the write")
        go_ahead()
        sent.at = seconds()
        net.wrote(sent)
        try:
            answer = net.spawn(self._carried(call, sent))
            await self._point(sent, "after the write")
            reply = await asyncio.shield(answer)
            sent.answered, sent.status = reply is not None, reply.status if reply is not None else 0
            await self._alive()
            await self._point(sent, "before the answer is read")
        finally:
            net.over(sent)
        if reply is None:
            raise httpx.ReadError("the connection broke")
        return httpx.Response(reply.status, headers={"content-type": reply.kind}, content=reply.text.encode())

    async def _point(self, sent: Written, name: str) -> None:
        if sent.mutates and self._net.at_point is not None:
            await self._net.at_point(name)
            await self._alive()

    async def _alive(self) -> None:
        """The request of an engine that has died goes nowhere."""
        if self._net.life != self._life:
            await asyncio.get_running_loop().create_future()

    async def _carried(self, call: Call, sent: Written) -> Reply | None:
        """At the broker; None when no answer comes back."""
        net = self._net
        await asyncio.sleep(net.delay(sent))
        if not sent.mutates and net.weather.blind and net.weather.blind in sent.endpoint:
            return replies.plain(503, "")
        if net.weather.penalty:
            return replies.plain(429, "")
        if net.enters(sent) and net.chance(net.weather.late_entry):
            net.told("    the request is held up")
            await asyncio.sleep(net.rng.uniform(*HELD_UP))
        share = 1.0 if sent.mutates else net.weather.reads
        if net.chance(net.weather.lost_request * share):
            net.told(f"    the request {call.endpoint} is lost")
            return await self._no_answer()
        if net.chance(net.weather.server_error * share):
            return await self._server_error(call, sent)
        lag = 0.0 if sent.mutates else net.rng.uniform(0, net.weather.lag) if net.weather.lag else 0.0
        reply = await net.exchange.take(call, lag)
        sent.answer = reply.text
        lost = net.chance(net.weather.lost_answer * share)
        if lost:
            net.told(f"    the answer to {call.endpoint} is lost: {reply.text[:80]}")
        net.exchange.floor.tell(reply.frames)
        if lost or reply.cut:
            return await self._no_answer()
        await asyncio.sleep(net.delay(sent))
        return self._partial(call, reply)

    async def _no_answer(self) -> Reply | None:
        if self._net.rng.random() < 0.5:
            await asyncio.sleep(NEVER)
        return None

    async def _server_error(self, call: Call, sent: Written) -> Reply:
        net = self._net
        done = net.rng.random() < 0.5
        kind = net.rng.choice(["500", "502", "408", "{}", "page"])
        net.told(f"    {call.endpoint} is answered {kind}, {'carried out' if done else 'not carried out'}")
        if done:
            reply = await net.exchange.take(call)
            net.exchange.floor.tell(reply.frames)
        await asyncio.sleep(net.delay(sent))
        match kind:
            case "{}":
                return Reply(200, "{}")
            case "page":
                return Reply(200, "<html><body>Bad gateway</body></html>", replies.HTML)
            case _:
                return replies.plain(int(kind), "")

    def _partial(self, call: Call, reply: Reply) -> Reply:
        net = self._net
        if not net.chance(net.weather.partial) or not reply.text.startswith("[{"):
            return reply
        rows = json.loads(reply.text)
        gone = rows.pop(net.rng.randrange(len(rows)))
        net.told(f"    {call.endpoint} lacks its row {gone.get('id')}")
        return Reply(reply.status, json.dumps(rows), reply.kind)

    async def aclose(self) -> None:
        return None


@lru_cache(1_000)
def _asked(address: bytes) -> tuple[str, dict[str, str]]:
    """Endpoint and query of a path; not to be changed."""
    path, _, query = address.decode().partition("?")
    return unquote(path).removeprefix("/v1/").lower(), dict(parse_qsl(query))


def _call(request: httpx.Request) -> Call:
    endpoint, query = _asked(request.url.raw_path)
    body = loads(request.content) if request.content else {}
    words = {key: str(value) for key, value in body.items() if isinstance(value, str | int)}
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    return Call(endpoint, query | words, query | body, token=token)


# ── the user socket ──────────────────────────────────────────────────────────────────────────────────────


class _Cut(asyncio.Transport):
    """What the simulator's `cut` aborts."""

    def __init__(self, tube: Tube) -> None:
        super().__init__()
        self._tube = tube

    def abort(self) -> None:
        self._tube.break_off()


class Tube:
    """One connection: frames both ways, in order, each with its delay. Both ends stand here."""

    def __init__(self, net: Net) -> None:
        self._net = net
        self._life = net.life
        self._to_client: asyncio.Queue[str | None] = asyncio.Queue()
        self._to_server: asyncio.Queue[str | None] = asyncio.Queue()
        self._last_down = self._last_up = 0.0
        self.dead = False
        self.half_open = False
        self.scope = {TRANSPORT: _Cut(self)}
        self.client = Address("127.0.0.1", 50_000)

    # the engine's end

    async def send(self, message: str, /) -> None:
        if self.dead:
            raise OSError("the connection broke")
        if not self.half_open and self._net.life == self._life:
            self._last_up = self._later(self._last_up, self._to_server, message)

    async def recv(self) -> str:
        text = await self._to_client.get()
        if text is None or self.dead:
            raise OSError("the connection broke")
        if text.startswith(EVENTS) and self._life == self._net.life:
            self._net.received()
        return text

    async def close(self) -> None:
        self._to_server.put_nowait(None)

    # the broker's end, as a starlette WebSocket

    async def accept(self) -> None:
        return None

    async def receive_text(self) -> str:
        text = await self._to_server.get()
        if text is None:
            raise OSError("the client has gone")
        return text

    async def send_text(self, text: str) -> None:
        net = self._net
        if self.half_open or self._life != net.life:
            return
        props = text.startswith(EVENTS)
        if props and net.chance(net.weather.frames_lost):
            net.told("    a frame of events is lost")
            return
        if props:
            net.heard()
        for _ in range(2 if props and net.chance(net.weather.frames_doubled) else 1):
            if props and net.chance(net.weather.frames_late):
                asyncio.get_running_loop().call_later(net.rng.uniform(0.1, 8), self._to_client.put_nowait, text)
            else:
                self._last_down = self._later(self._last_down, self._to_client, text)

    # what befalls it

    def break_off(self) -> None:
        self.dead = True
        self._to_client.put_nowait(None)
        self._to_server.put_nowait(None)

    def _later(self, last: float, queue: asyncio.Queue[str | None], text: str) -> float:
        """Delivers after a delay, never before what was sent earlier; returns when."""
        running = asyncio.get_running_loop()
        at = max(last + 1e-6, running.time() + self._net.rng.uniform(0.002, 0.05))
        running.call_at(at, queue.put_nowait, text)
        return at


@dataclass
class Dialler:
    """`dial` of the feed; knows the sockets that are open."""

    net: Net
    tubes: list[Tube] = field(default_factory=list)

    async def __call__(self, _url: str) -> Tube:
        await asyncio.sleep(self.net.rng.uniform(0.005, 0.05))
        if self.net.chance(self.net.weather.not_sent):
            raise OSError("no connection")
        tube = Tube(self.net)
        self.tubes = [one for one in self.tubes if not one.dead] + [tube]
        self.net.spawn(self._serve(tube))
        return tube

    async def _serve(self, tube: Tube) -> None:
        try:
            await self.net.exchange.sockets.serve(tube)  # type: ignore[arg-type]  # the five methods it uses
        finally:
            tube.break_off()
