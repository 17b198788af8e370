"""The leanest HTTP client there is room for: one request at a time on a connection, connections kept in a pile.

Floor F sends its orders with it and the measuring process its alerts. It understands exactly the answers that the
stub and uvicorn give: a status, a Content-Length, a body.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final, cast
from urllib.parse import urlsplit

IDLE_MOST: Final = 2.0
"""Seconds: uvicorn closes what was idle for five, and on a busy machine a request may cross that close."""


class Link(asyncio.Protocol):
    """One connection; `ask` writes a request and waits for its answer."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.WriteTransport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._used = time.monotonic()

    @property
    def open(self) -> bool:
        if self._transport is None or self._transport.is_closing():
            return False
        return time.monotonic() - self._used < IDLE_MOST

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.WriteTransport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("closed before the answer"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        at = head.lower().find(b"content-length:")
        length = int(head[at + 15 :].partition(b"\r\n")[0]) if at >= 0 else 0
        if len(body) >= length and self._answer is not None and not self._answer.done():
            self._buffer = b""
            self._answer.set_result((int(head[9:12]), body))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        answer = await self._answer
        self._used = time.monotonic()
        return answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Client:
    """Posts to one host. A connection is taken from the pile, or opened when the pile is empty."""

    def __init__(self, base: str) -> None:
        parts = urlsplit(base)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._free: list[Link] = []

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        for link in self._free:
            link.close()
        await asyncio.sleep(0)

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        return await self._ask(b"POST", path, body)

    async def get(self, path: str) -> tuple[int, bytes]:
        return await self._ask(b"GET", path, b"")

    async def _ask(self, method: bytes, path: str, body: bytes) -> tuple[int, bytes]:
        link = await self._link()
        answer = await link.ask(
            b"%b %b HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (method, path.encode(), len(body), body)
        )
        self._free.append(link)
        return answer

    async def _link(self) -> Link:
        while self._free:
            link = self._free.pop()
            if link.open:
                return link
            link.close()
        _, link = await asyncio.get_running_loop().create_connection(Link, self._host, self._port)
        return link
