"""One HTTP attempt: gated, limited in time and size, and honest about whether a byte was written.

`Connector` is the whole trick: aiohttp asks it for a connection right before it writes, so the gate stands
there, after DNS, TLS and waiting for the pool; and an attempt that never got a connection certainly was not
sent. (The exceptions alone cannot tell: httpx-aiohttp calls a connection lost after the write a
`ConnectTimeout` too.) A transport given from outside keeps the same promise by calling `go_ahead` itself.
Nothing is redirected and no mutation is repeated here: aiohttp repeats idempotent methods only.

The transport is called directly: of what httpx's client adds (redirects, authentication, hooks) nothing is wanted
here but cookies, and reading an address anew for each request costs more than sending it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache, lru_cache
from typing import Any, Final

import aiohttp
import httpx
from aiohttp.client import ClientTimeout
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from httpx_aiohttp import AiohttpTransport

from justtrades.broker.port import Gate, NotSent, Unreachable
from justtrades.broker.tradovate import exact

LARGEST_BODY = 32 * 1024 * 1024
KEEP_ALIVE = 15.0
"""Shorter than usual server limits: a connection that the server just closed would cost a doubt."""
CONNECTIONS = 32
ADDRESSES_KEPT = 1_000
USUAL_HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "Connection": "keep-alive",
    "User-Agent": f"python-httpx/{httpx.__version__}",
}


class GateClosed(Exception):
    """A gate of ours said no; nothing was written."""


@dataclass(slots=True)
class Attempt:
    gate: Gate
    open: bool = False
    """A connection was handed out: from here on bytes may have been written."""


_attempt: ContextVar[Attempt | None] = ContextVar("tradovate_attempt", default=None)


def go_ahead() -> None:
    """To be called by a transport immediately before it writes; raises when the gate says no."""
    attempt = _attempt.get()
    if attempt is None:
        return
    if sentence := attempt.gate():
        raise GateClosed(sentence)
    attempt.open = True


class Connector(aiohttp.TCPConnector):
    """A connection pool that asks the gate before it hands out a connection."""

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,  # noqa: ASYNC109 - aiohttp's own signature
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        try:
            go_ahead()
        except GateClosed:
            connection.release()
            raise
        return connection


@cache
def tls() -> ssl.SSLContext:
    """One for all connections of the process: to read the system's certificates takes longer than a log-in."""
    return httpx.create_ssl_context()


def transport() -> httpx.AsyncBaseTransport:
    """The transport of a login; connects lazily, inside the running loop."""

    def session() -> aiohttp.ClientSession:
        connector = Connector(
            limit=CONNECTIONS,
            keepalive_timeout=KEEP_ALIVE,
            ssl=tls(),
            ttl_dns_cache=300,
        )
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    return AiohttpTransport(client=session, verify=tls())


@dataclass(frozen=True, slots=True)
class Raw:
    status: int
    text: str
    at: datetime | None = field(default=None, compare=False)
    """The server's clock, where it told it (`Date`)."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One HTTP request, complete with its token."""

    method: str
    endpoint: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    token: str | None = field(default=None, repr=False)

    @property
    def headers(self) -> dict[str, str]:
        found = dict(USUAL_HEADERS)
        if self.body is not None:
            found["Content-Type"] = "application/json"
        if self.token:
            found["Authorization"] = f"Bearer {self.token}"
        return found


class Line:
    """The way to one base URL."""

    def __init__(self, base_url: str, time_limit: float, way: httpx.AsyncBaseTransport | None = None) -> None:
        self._base = base_url.rstrip("/")
        self._limit = time_limit
        timeout = httpx.Timeout(time_limit, connect=time_limit * 0.8, pool=time_limit * 0.8)
        self._extensions = {"timeout": timeout.as_dict()}
        self._way = way or transport()
        self._cookies = httpx.Cookies()

    async def close(self) -> None:
        await self._way.aclose()

    async def send(self, outgoing: Outgoing, gate: Gate) -> Raw:
        """The response. `NotSent` only when no byte can have been written, else `Unreachable`."""
        attempt = Attempt(gate)
        mark = _attempt.set(attempt)
        try:
            async with asyncio.timeout(self._limit):
                return await self._exchange(outgoing)
        except GateClosed as closed:
            raise NotSent("gate", str(closed), final=True) from None
        except (httpx.HTTPError, aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _lost(error, attempt) from error
        finally:
            _attempt.reset(mark)

    async def _exchange(self, outgoing: Outgoing) -> Raw:
        content = None if outgoing.body is None else exact.dumps(outgoing.body).encode()
        request = httpx.Request(
            outgoing.method,
            _address(self._base + outgoing.endpoint, tuple(outgoing.params.items())),
            content=content,
            headers=outgoing.headers,
            cookies=self._cookies or None,
            extensions=self._extensions,
        )
        response = await self._way.handle_async_request(request)
        response.request = request
        if "set-cookie" in response.headers:
            self._cookies.extract_cookies(response)
        try:
            return Raw(response.status_code, await _text(response), _date(response.headers.get("date")))
        finally:
            await response.aclose()


@lru_cache(ADDRESSES_KEPT)
def _address(base: str, params: tuple[tuple[str, str], ...]) -> httpx.URL:
    return httpx.URL(base, params=dict(params)) if params else httpx.URL(base)


def _date(told: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(told or "")
    except ValueError:
        return None
    return found if found.tzinfo else None


async def _text(response: httpx.Response) -> str:
    found = bytearray()
    async for chunk in response.aiter_bytes():
        found += chunk
        if len(found) > LARGEST_BODY:
            raise httpx.DecodingError("the body is too large", request=response.request)
    return found.decode("utf-8", errors="replace")


def _lost(error: Exception, attempt: Attempt) -> NotSent | Unreachable:
    name = "timeout" if isinstance(error, TimeoutError | httpx.TimeoutException) else type(error).__name__
    if attempt.open:
        return Unreachable(name, "the answer did not come")
    return NotSent(name, "no connection to the broker")
