"""Floor F: G, then the intent is made durable, then one order is sent; a fill on the socket is made durable and
answered with the target.

    python -m bench.floor_f DATABASE STUB_URL

It checks nothing, remembers nothing that it could lose, and has one account per webhook token: what is left is
what every engine that keeps the same promises must do.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from decimal import Decimal
from typing import Any, Final

from websockets.asyncio.client import connect

from bench.client import Client
from bench.floor_g import ALERTS, create_app, serve
from bench.grouped import Grouped
from bench.loop import run_loop
from bench.stub_books import FIRST_ACCOUNT

INTENTS: Final = "CREATE TABLE intents (id INTEGER PRIMARY KEY, account INTEGER, body BLOB)"
FILLS: Final = "CREATE TABLE fills (id INTEGER PRIMARY KEY, row TEXT)"
ADD_INTENT: Final = "INSERT INTO intents (account, body) VALUES (?, ?)"
ADD_FILL: Final = "INSERT INTO fills (id, row) VALUES (?, ?)"
DISTANCE: Final = Decimal(5)
_HEARTBEAT_EVERY: Final = 2.4


class Floor:
    def __init__(self, store: Grouped, client: Client) -> None:
        self._store = store
        self._client = client
        self._numbers = itertools.count(1)
        self._account_of: dict[int, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def alert(self, token: str, _body: bytes) -> None:
        self._go(self._enter(FIRST_ACCOUNT + int(token)))

    async def _enter(self, account: int) -> None:
        body = self._order(account, "Buy", '"orderType":"Market","timeInForce":"Day"')
        await self._store.write(ADD_INTENT, (account, body))
        await self._client.post("/v1/order/placeorder", body)

    def _order(self, account: int, action: str, terms: str) -> bytes:
        number = f"b{next(self._numbers)}"
        return (
            f'{{"accountSpec":"BENCH{account}","accountId":{account},"clOrdId":"{number}","action":"{action}",'
            f'"symbol":"MNQZ6","orderQty":1,{terms},"text":"{number}","isAutomated":true}}'
        ).encode()

    # ── the socket ──

    async def listen(self, url: str, ready: asyncio.Event) -> None:
        async with connect(url, ping_interval=None, max_size=None, proxy=None) as socket:
            await socket.recv()
            await socket.send("authorize\n1\n\nnobody")
            await socket.send('user/syncrequest\n2\n\n{"users":[7]}')
            self._go(self._beat(socket))
            async for frame in socket:
                ready.set()
                if frame[:1] == "a":
                    self._hear(json.loads(frame[1:], parse_float=Decimal))

    async def _beat(self, socket: Any) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT_EVERY)
            await socket.send("[]")

    def _hear(self, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            if message.get("e") == "props":
                event = message["d"]
                if event["entityType"] == "order":
                    self._account_of[event["entity"]["id"]] = event["entity"]["accountId"]
                elif event["entityType"] == "fill":
                    self._go(self._filled(event["entity"]))

    async def _filled(self, fill: dict[str, Any]) -> None:
        await self._store.write(ADD_FILL, (fill["id"], str(fill)))
        if fill["action"] == "Buy":
            terms = f'"orderType":"Limit","price":{fill["price"] + DISTANCE},"timeInForce":"GTC"'
            body = self._order(self._account_of[fill["orderId"]], "Sell", terms)
            await self._client.post("/v1/order/placeorder", body)

    def _go(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _serve() -> None:
    _, database, stub = sys.argv
    store, ready = Grouped(database, ALERTS, INTENTS, FILLS), asyncio.Event()
    async with Client(stub) as client:
        floor = Floor(store, client)
        listening = asyncio.create_task(floor.listen(stub.replace("http", "ws", 1) + "/v1/websocket", ready))
        await ready.wait()
        await serve(create_app(store, floor.alert))
        listening.cancel()


if __name__ == "__main__":
    run_loop(_serve())
