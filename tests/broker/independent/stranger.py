"""Somebody else's Tradovate client: plain httpx and websockets, written from the protocol's description alone.

It imports nothing of this project, neither the adapter nor the tests' own client, so a misreading that those two
share with the simulator would show here.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import websockets

Json = dict[str, Any]
PATIENCE = 10.0


class Stranger:
    """One login: REST and the user socket with one token."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.token = ""
        self.user_id = 0
        self.expires = ""
        self.http = httpx.AsyncClient(timeout=PATIENCE, trust_env=False)

    async def log_in(self, name: str, password: str) -> Json:
        body = {"name": name, "password": password, "appId": "Stranger", "appVersion": "0.1"}
        body |= {"deviceId": "d1f5", "cid": "7", "sec": "not-a-secret"}
        return self._keep(await self.post("auth/accessTokenRequest", body))

    async def renew(self) -> Json:
        return self._keep(await self.get("auth/renewAccessToken"))

    def _keep(self, answer: Json) -> Json:
        if answer.get("errorText"):
            raise PermissionError(answer["errorText"])
        if "accessToken" in answer:
            self.token, self.expires, self.user_id = answer["accessToken"], answer["expirationTime"], answer["userId"]
        return answer

    async def get(self, path: str, **query: Any) -> Any:
        return await self._call("GET", path, params=query)

    async def post(self, path: str, body: Json) -> Any:
        """A penalty is served as the protocol says: wait, then the identical request with its ticket."""
        answer = await self._call("POST", path, json=body)
        if isinstance(answer, dict) and "p-ticket" in answer and not answer.get("p-captcha"):
            await asyncio.sleep(answer["p-time"])
            answer = await self._call("POST", path, json={**body, "p-ticket": answer["p-ticket"]})
        return answer

    async def status(self, path: str, **query: Any) -> int:
        return (await self._send("GET", path, params=query)).status_code

    async def _call(self, method: str, path: str, **more: Any) -> Any:
        response = await self._send(method, path, **more)
        response.raise_for_status()
        return response.json()

    async def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Accept": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return await self.http.request(method, f"{self.base}/{path}", headers=headers, **more)


class Wire:
    """The user socket: frames, one reader, answers by number, entities merged by type and id."""

    def __init__(self, stranger: Stranger) -> None:
        self._stranger = stranger
        self._numbers = 0
        self._answers: dict[int, asyncio.Future[Json]] = {}
        self._changed = asyncio.Event()
        self._opened = asyncio.Event()
        self.heartbeats = 0
        self.entities: dict[str, dict[int, Json]] = {}
        self.shutdown: Json | None = None
        self.closing: str | None = None

    async def __aenter__(self) -> Wire:
        url = self._stranger.base.replace("http", "ws", 1) + "/websocket"
        self._socket = await websockets.connect(url, ping_interval=None)
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._beat())]
        await asyncio.wait_for(self._opened.wait(), PATIENCE)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._socket.close()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(2)
            await self._socket.send("[]")

    async def _read(self) -> None:
        async for frame in self._socket:
            text = str(frame)
            if text == "o":
                self._opened.set()
            elif text == "h":
                self.heartbeats += 1
            elif text.startswith("a"):
                for message in json.loads(text[1:]):
                    self._take(message)
            elif text.startswith("c"):
                self.closing = text
            self._changed.set()

    def _take(self, message: Json) -> None:
        if "i" in message:
            self._answers.pop(message["i"]).set_result(message)
        elif message["e"] == "props":
            data = message["d"]
            found = data["entity"] if isinstance(data["entity"], list) else [data["entity"]]
            for entity in found:
                known = self.entities.setdefault(data["entityType"], {}).setdefault(entity["id"], {})
                known.update(entity)
        elif message["e"] == "shutdown":
            self.shutdown = message["d"]

    async def ask(self, endpoint: str, query: str = "", body: str = "") -> Json:
        self._numbers += 1
        answer = self._answers[self._numbers] = asyncio.get_running_loop().create_future()
        await self._socket.send("\n".join((endpoint, str(self._numbers), query, body)))
        return await asyncio.wait_for(answer, PATIENCE)

    async def authorize(self) -> Json:
        return await self.ask("authorize", body=self._stranger.token)

    async def sync(self) -> Json:
        body = {"users": [self._stranger.user_id], "splitResponses": False}
        return await self.ask("user/syncrequest", body=json.dumps(body))

    async def ended(self) -> None:
        """The broker has closed the socket."""
        await asyncio.wait_for(asyncio.wait([self._tasks[0]]), PATIENCE)

    async def until(self, entity_type: str, **fields: Any) -> Json:
        """The first entity of a type that has these fields, now or later."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for entity in self.entities.get(entity_type, {}).values():
                    if fields.items() <= entity.items():
                        return entity
                self._changed.clear()
                await self._changed.wait()
