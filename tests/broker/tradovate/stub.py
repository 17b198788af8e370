"""A small Tradovate of the tests' own: tables for look-ups, scripts for the rest, sockets on queues.

It knows the protocol from the same notes as the adapter and shares no code with it, but for `go_ahead`, which
every transport owes the adapter.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

import httpx

from justtrades.broker.port import AuditId, Exchange, Report
from justtrades.broker.tradovate import Credentials, MemoryTokenBox, TradovateBroker, TradovateSettings
from justtrades.broker.tradovate.line import go_ahead
from tests.broker.tradovate.virtual import clock

USER, ACCOUNT, CONTRACT = 15460, 60039759, 4399631
AT = "2026-11-23T14:30:00.123Z"
PASSWORD, SEC = "pass-of-the-tests", "sec-of-the-tests"

Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


class Ledger:
    """An auditor that keeps everything."""

    def __init__(self) -> None:
        self.before_rows: list[Exchange] = []
        self.rows: list[Exchange] = []
        self._count = 0

    def new_id(self) -> AuditId:
        self._count += 1
        return AuditId(f"row-{self._count}")

    async def before(self, exchange: Exchange) -> None:
        self.before_rows.append(exchange)

    def after(self, exchange: Exchange) -> None:
        self.rows.append(exchange)

    def everything(self) -> str:
        return repr(self.rows + self.before_rows)


class Socket:
    """The server's end is `heard` and `say`; silence is simply not saying anything."""

    def __init__(self, stub: Stub) -> None:
        self._stub = stub
        self._inbox: asyncio.Queue[str | Exception] = asyncio.Queue()
        self.heard: list[tuple[float, str]] = []
        self.closed = False

    def say(self, *messages: Any) -> None:
        self.raw("a" + json.dumps(messages))

    def raw(self, frame: str) -> None:
        self._inbox.put_nowait(frame)

    def breaks(self) -> None:
        self._inbox.put_nowait(ConnectionResetError())

    async def send(self, message: str, /) -> None:
        if self.closed:
            raise ConnectionResetError
        self.heard.append((asyncio.get_running_loop().time(), message))
        if message != "[]":
            self._stub.on_frame(self, *message.split("\n", 3))

    async def recv(self) -> str:
        got = await self._inbox.get()
        if isinstance(got, Exception):
            raise got
        return got

    async def close(self) -> None:
        self.closed = True

    @property
    def requests(self) -> list[str]:
        return [frame.split("\n")[0] for _, frame in self.heard if frame != "[]"]


def props(kind: str, entity: Any, event: str = "Created") -> dict[str, Any]:
    return {"e": "props", "d": {"entityType": kind, "eventType": event, "entity": entity}}


@dataclass
class Stub(httpx.AsyncBaseTransport):
    """Answers look-ups from `tables`, anything else from `scripts`; the last script of an endpoint stays."""

    tables: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    scripts: dict[str, deque[Answer]] = field(default_factory=lambda: defaultdict(deque))
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    sockets: list[Socket] = field(default_factory=list)
    snapshot: dict[str, Any] | None = None
    answers_sync: bool = True
    dials: int = 0
    seconds: float = 0.01
    lifetime: timedelta = timedelta(minutes=80)

    def __post_init__(self) -> None:
        self.tables["account"] = [account()]
        self.tables["contract"] = [{"id": CONTRACT, "name": "MNQZ6", "contractMaturityId": 77}]
        self.tables["contractMaturity"] = [
            {"id": 77, "productId": 7, "expirationMonth": 202612, "expirationDate": "2026-12-18T14:30Z"}
        ]
        self.tables["product"] = [{"id": 7, "name": "MNQ", "tickSize": 0.25, "valuePerPoint": 2}]

    def script(self, endpoint: str, *answers: Answer | dict[str, Any]) -> None:
        self.scripts[endpoint].extend(ok(a) if isinstance(a, dict) else a for a in answers)

    def asked(self, endpoint: str) -> list[dict[str, Any]]:
        return [body for called, body in self.calls if called == endpoint]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        endpoint = request.url.path.removeprefix("/v1")
        go_ahead()
        await asyncio.sleep(self.seconds)
        self.calls.append((endpoint, {**dict(request.url.params), **json.loads(request.content or b"{}")}))
        self.tokens.append(request.headers.get("authorization", ""))
        if waiting := self.scripts[endpoint]:
            answer = waiting.popleft() if len(waiting) > 1 else waiting[0]
            return _given(answer, request)
        return self._default(endpoint, request)

    def _default(self, endpoint: str, request: httpx.Request) -> httpx.Response:
        if endpoint.startswith("/auth/"):
            return ok(self.token(f"token-{len(self.calls)}"))
        _, kind, operation = endpoint.split("/")
        return _looked_up(self.tables[kind], operation, dict(request.url.params))

    def token(self, value: str) -> dict[str, Any]:
        expires = (clock() + self.lifetime).isoformat().replace("+00:00", "Z")
        return {"accessToken": value, "mdAccessToken": "md", "expirationTime": expires, "userId": USER}

    # ── the user socket ──────────────────────────────────────────────────────────────────────────────────

    async def dial(self, url: str) -> Socket:
        self.dials += 1
        socket = Socket(self)
        self.sockets.append(socket)
        socket.raw("o")
        return socket

    def on_frame(self, socket: Socket, endpoint: str, number: str, query: str, body: str) -> None:
        if endpoint == "authorize":
            socket.say({"s": 200, "i": int(number)})
        elif endpoint == "user/syncrequest" and self.answers_sync:
            socket.say({"s": 200, "i": int(number), "d": self.sync()})

    def sync(self) -> dict[str, Any]:
        if self.snapshot is not None:
            return self.snapshot
        names = {"account": "accounts", "contract": "contracts", "position": "positions", "order": "orders"}
        return {"users": [{"id": USER}], **{names[k]: self.tables[k] for k in names if self.tables[k]}}

    @property
    def socket(self) -> Socket:
        return self.sockets[-1]


def _given(answer: Answer, request: httpx.Request) -> httpx.Response:
    if isinstance(answer, Exception):
        raise answer
    if isinstance(answer, httpx.Response):
        return httpx.Response(answer.status_code, content=answer.content)
    return answer(request)


def _looked_up(rows: list[dict[str, Any]], operation: str, query: dict[str, str]) -> httpx.Response:
    masters = {int(i) for i in query.get("masterids", query.get("masterid", "0")).split(",")}
    parents = ("orderId", "commandId", "accountId")
    match operation:
        case "list":
            return ok(rows)
        case "item" | "find":
            key, wanted = ("id", int(query["id"])) if operation == "item" else ("name", query["name"])
            found = [row for row in rows if row[key] == wanted]
            return ok(found[0]) if found else httpx.Response(404, text="")
        case "items":
            return ok([row for row in rows if row["id"] in {int(i) for i in query["ids"].split(",")}])
        case "deps" | "ldeps":
            return ok([row for row in rows if any(row.get(parent) in masters for parent in parents)])
    return httpx.Response(404, text="")


def ok(value: Any) -> httpx.Response:
    return httpx.Response(200, text=json.dumps(value))


# ── entities ─────────────────────────────────────────────────────────────────────────────────────────────


def account(account_id: int = ACCOUNT, **more: Any) -> dict[str, Any]:
    row = {"id": account_id, "name": f"DEMO{account_id}", "userId": 99, "accountType": "Customer", "active": True}
    return {**row, "legalStatus": "Individual", "archived": False, **more}


def order(order_id: int, status: str = "Working", **more: Any) -> dict[str, Any]:
    row = {"id": order_id, "accountId": ACCOUNT, "contractId": CONTRACT, "timestamp": AT, "action": "Buy"}
    return {**row, "ordStatus": status, "archived": False, "external": False, "admin": False, **more}


def version(order_id: int, *, version_id: int | None = None, **more: Any) -> dict[str, Any]:
    row = {"id": version_id or order_id, "orderId": order_id, "orderQty": 1, "orderType": "Market"}
    return {**row, **more}


def command(order_id: int, client_id: str | None, **more: Any) -> dict[str, Any]:
    row = {"id": order_id, "orderId": order_id, "timestamp": AT, "commandType": "New"}
    named = {"clOrdId": client_id} if client_id else {}
    return {**row, "commandStatus": "Pending", **named, **more}


def fill(fill_id: int, order_id: int, **more: Any) -> dict[str, Any]:
    row = {"id": fill_id, "orderId": order_id, "contractId": CONTRACT, "timestamp": AT, "action": "Buy", "qty": 1}
    return {**row, "price": 24652.25, "active": True, "finallyPaired": 0, "external": False, **more}


def position(net: int, **more: Any) -> dict[str, Any]:
    row = {"id": 5, "accountId": ACCOUNT, "contractId": CONTRACT, "timestamp": AT, "netPos": net, "prevPos": 0}
    return {**row, "tradeDate": {"year": 2026, "month": 11, "day": 23}, **more}


# ── the adapter, ready to run ────────────────────────────────────────────────────────────────────────────


@dataclass
class Desk:
    """A broker around a stub, and what it reported so far."""

    stub: Stub
    broker: TradovateBroker
    ledger: Ledger
    box: MemoryTokenBox
    reports: list[Report] = field(default_factory=list)
    _reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Desk:
        await self.broker.start()
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._reader is not None
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        await self.broker.close()

    async def _read(self) -> None:
        async for report in self.broker.reports():
            self.reports.append(report)

    def said(self, kind: type[Any]) -> list[Any]:
        return [report for report in self.reports if isinstance(report, kind)]

    async def until(self, kind: type[Any], count: int = 1, *, within: float = 120.0) -> Any:
        """The `count`-th report of a kind, waiting for it in virtual time."""
        async with asyncio.timeout(within):
            while len(self.said(kind)) < count:  # noqa: ASYNC110 - virtual time: the wait costs nothing
                await asyncio.sleep(0.01)
        return self.said(kind)[count - 1]


def desk(stub: Stub | None = None, box: MemoryTokenBox | None = None, seed: int = 7, **settings: Any) -> Desk:
    stub, ledger, box = stub or Stub(), Ledger(), box or MemoryTokenBox()
    credentials = Credentials("trader", PASSWORD, device_id="device", cid="8", sec=SEC)
    told = TradovateSettings("https://demo.example/v1", credentials, **settings)
    broker = TradovateBroker(told, ledger, box, clock, Random(seed), transport=stub, dial=stub.dial)
    return Desk(stub, broker, ledger, box)
