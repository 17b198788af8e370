"""The one place that knows whether a byte was written, against real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
import respx
from aiohttp import web

from justtrades.broker.port import NotSent, Unreachable
from justtrades.broker.tradovate import line as lines
from justtrades.broker.tradovate.line import Line, Outgoing

POST = Outgoing("POST", "/order/placeorder", body={"orderQty": 1}, token="t")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def no_gate() -> str | None:
    return None


class Server:
    """A local server whose one route does what a test wants."""

    def __init__(self) -> None:
        self.answer: Handler = self.fine
        self.heard: list[web.Request] = []
        self.base = ""

    async def fine(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text='{"orderId": 7}')

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.heard.append(request)
        return await self.answer(request)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    serving = Server()
    app = web.Application()
    app.router.add_route("*", "/{anything:.*}", serving.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    _, port = runner.addresses[0][:2]
    serving.base = f"http://127.0.0.1:{port}/v1"
    yield serving
    await runner.cleanup()


@pytest.fixture
async def line(server: Server) -> AsyncIterator[Line]:
    one = Line(server.base, 2.0)
    yield one
    await one.close()


async def test_an_answer_comes_back_with_its_status(server: Server, line: Line) -> None:
    assert await line.send(POST, no_gate) == lines.Raw(200, '{"orderId": 7}')
    (request,) = server.heard
    assert (request.path, request.headers["Authorization"]) == ("/v1/order/placeorder", "Bearer t")


async def test_a_gate_that_closed_before_the_write_keeps_every_byte_back(server: Server, line: Line) -> None:
    await line.send(POST, no_gate)
    with pytest.raises(NotSent) as stopped:
        await line.send(POST, lambda: "the kill switch is on")
    assert stopped.value.final
    assert stopped.value.text == "the kill switch is on"
    assert len(server.heard) == 1
    await line.send(POST, no_gate)


async def test_a_gate_is_asked_after_the_connection_stands(server: Server, line: Line) -> None:
    asked: list[int] = []

    def gate() -> str | None:
        asked.append(len(server.heard))
        return None

    await line.send(POST, gate)
    await line.send(POST, gate)
    assert asked == [0, 1]


async def test_a_refused_connection_was_certainly_not_sent(unused_tcp_port: int) -> None:
    line = Line(f"http://127.0.0.1:{unused_tcp_port}/v1", 2.0)
    with pytest.raises(NotSent) as failed:
        await line.send(POST, no_gate)
    assert not failed.value.final
    await line.close()


async def test_an_unknown_host_was_certainly_not_sent() -> None:
    line = Line("http://nobody.invalid/v1", 2.0)
    with pytest.raises(NotSent):
        await line.send(POST, no_gate)
    await line.close()


async def test_a_connection_lost_after_the_write_decides_nothing(server: Server, line: Line) -> None:
    async def hang_up(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    server.answer = hang_up
    with pytest.raises(Unreachable):
        await line.send(POST, no_gate)
    assert len(server.heard) == 1


async def test_a_body_cut_short_decides_nothing(server: Server, line: Line) -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"orderId":')
        assert request.transport is not None
        request.transport.close()
        return response

    server.answer = half
    with pytest.raises(Unreachable):
        await line.send(POST, no_gate)


async def test_an_answer_that_is_too_late_decides_nothing(server: Server) -> None:
    asked_to_stop = asyncio.Event()

    async def never(request: web.Request) -> web.StreamResponse:
        await asked_to_stop.wait()
        return web.Response()

    server.answer = never
    line = Line(server.base, 0.3)
    with pytest.raises(Unreachable) as lost:
        await line.send(POST, no_gate)
    assert lost.value.reason == "timeout"
    asked_to_stop.set()
    await line.close()


async def test_nothing_is_redirected(server: Server, line: Line) -> None:
    async def elsewhere(request: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "/v1/elsewhere"})

    server.answer = elsewhere
    assert (await line.send(POST, no_gate)).status == 302
    assert len(server.heard) == 1


async def test_a_huge_answer_is_not_swallowed(server: Server, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LARGEST_BODY", 1000)

    async def huge(request: web.Request) -> web.StreamResponse:
        return web.Response(text="[" + "1," * 10_000 + "1]")

    server.answer = huge
    with pytest.raises(Unreachable):
        await line.send(POST, no_gate)


@respx.mock(base_url="https://demo.example/v1")
async def test_the_transport_is_a_seam_for_mocks_too(respx_mock: respx.MockRouter) -> None:
    respx_mock.post("/order/placeorder").mock(return_value=httpx.Response(200, text="{}"))
    line = Line("https://demo.example/v1", 2.0, httpx.AsyncHTTPTransport())
    assert (await line.send(POST, no_gate)).text == "{}"
    await line.close()
