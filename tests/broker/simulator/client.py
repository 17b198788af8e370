"""A plain client of Tradovate's REST and socket, written from protocol.md and nothing of ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import websockets
from websockets.asyncio.client import ClientConnection

from justtrades.broker.simulator import Paper, serve_paper

PATIENCE = 5.0
"""Seconds after which a wait has failed."""


@dataclass
class Rest:
    http: httpx.AsyncClient
    token: str = ""
    account: dict[str, Any] = field(default_factory=dict)

    async def log_in(self, name: str = "trader", password: str = "any") -> dict[str, Any]:
        answer: dict[str, Any] = await self.post("auth/accesstokenrequest", name=name, password=password)
        self.token = answer["accessToken"]
        self.account = (await self.get("account/list"))[0]
        return answer

    async def raw(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return await self.http.request(method, f"/v1/{path}", headers=headers, **more)

    async def get(self, path: str, **query: Any) -> Any:
        return (await self.raw("GET", path, params=query)).json()

    async def post(self, path: str, **body: Any) -> Any:
        return (await self.raw("POST", path, json=body)).json()

    async def order(self, **fields: Any) -> dict[str, Any]:
        """A market buy of one MNQZ6, unless told otherwise."""
        path = str(fields.pop("path", "order/placeorder"))
        fields = {"symbol": "MNQZ6", "action": "Buy", "orderQty": 1, "orderType": "Market"} | fields
        who = {"accountId": self.account["id"], "accountSpec": self.account["name"]}
        answer: dict[str, Any] = await self.post(path, **who, isAutomated=True, **fields)
        return answer

    async def control(self, path: str, **body: Any) -> Any:
        answer = await self.http.post(f"/control/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def fault(self, fault: str, endpoint: str = "order/placeorder", **more: Any) -> None:
        await self.control("faults", fault=fault, endpoint=endpoint, **more)

    async def ledger(self) -> dict[str, list[dict[str, Any]]]:
        answer: dict[str, list[dict[str, Any]]] = (await self.http.get("/control/ledger")).json()
        return answer


@dataclass
class Socket:
    ws: ClientConnection
    messages: list[dict[str, Any]] = field(default_factory=list)
    requests: int = 0

    async def frame(self) -> str:
        text = await asyncio.wait_for(self.ws.recv(), PATIENCE)
        assert isinstance(text, str)
        return text

    async def hear(self) -> None:
        frame = await self.frame()
        if frame.startswith("a"):
            self.messages += json.loads(frame[1:])

    async def until(self, found: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first message, heard or to come, that fits."""
        while not any(found(message) for message in self.messages):
            await self.hear()
        return next(message for message in self.messages if found(message))

    async def ask(self, endpoint: str, query: str = "", body: Any = None) -> dict[str, Any]:
        self.requests += 1
        number, text = self.requests, body if isinstance(body, str) else json.dumps(body) if body else ""
        await self.ws.send(f"{endpoint}\n{number}\n{query}\n{text}")
        return await self.until(lambda message: message.get("i") == number)

    async def event(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The first props entity of a kind with these fields."""
        message = await self.until(lambda m: _is_event(m, kind, fields))
        entity: dict[str, Any] = message["d"]["entity"]
        return entity

    @property
    def events(self) -> list[str]:
        return [f"{m['d']['entityType']} {m['d']['eventType']}" for m in self.messages if m.get("e") == "props"]


def _is_event(message: dict[str, Any], kind: str, fields: dict[str, Any]) -> bool:
    if message.get("e") != "props" or message["d"]["entityType"] != kind:
        return False
    return bool(fields.items() <= message["d"]["entity"].items())


@asynccontextmanager
async def trading(folder: Path, **paper: Any) -> AsyncIterator[Rest]:
    """A paper broker with a still market, and a client that is logged in."""
    settings = {"market": "still"} | paper
    async with serve_paper(Paper(folder / "ledger.db", **settings)) as url, visiting(url) as rest:
        yield rest


@asynccontextmanager
async def visiting(url: str) -> AsyncIterator[Rest]:
    async with httpx.AsyncClient(base_url=url.removesuffix("/v1"), timeout=PATIENCE) as http:
        rest = Rest(http)
        await rest.log_in()
        yield rest


@asynccontextmanager
async def connected(rest: Rest) -> AsyncIterator[Socket]:
    """A socket that has heard `o` and nothing else."""
    url = str(rest.http.base_url).replace("http", "ws", 1) + "/v1/websocket"
    async with websockets.connect(url, ping_interval=None) as ws:
        socket = Socket(ws)
        assert await socket.frame() == "o"
        yield socket


@asynccontextmanager
async def synced(rest: Rest) -> AsyncIterator[Socket]:
    async with connected(rest) as socket:
        assert (await socket.ask("authorize", body=rest.token))["s"] == 200
        assert (await socket.ask("user/syncrequest", body={"splitResponses": False}))["s"] == 200
        yield socket
