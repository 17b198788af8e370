"""Floor G: a FastAPI route that reads the body and answers 202 after a durable commit. Nothing else.

python -m bench.floor_g DATABASE
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Final

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from bench.grouped import Grouped
from bench.loop import run_loop

ALERTS: Final = "CREATE TABLE alerts (id INTEGER PRIMARY KEY, token TEXT, body BLOB, at INTEGER)"
ADD_ALERT: Final = "INSERT INTO alerts (token, body, at) VALUES (?, ?, ?)"

Then = Callable[[str, bytes], None]


def create_app(store: Grouped, then: Then | None = None) -> FastAPI:
    """`then` hears of each alert once it is durable, before the answer goes out."""
    app = FastAPI(openapi_url=None)

    @app.post("/webhook/{token}")
    async def alert(token: str, request: Request) -> JSONResponse:
        body = await request.body()
        await store.write(ADD_ALERT, (token, body, time.time_ns()))
        if then is not None:
            then(token, body)
        return JSONResponse({"status": "accepted"}, 202)

    return app


async def serve(app: FastAPI, ready: Callable[[], Awaitable[None]] | None = None) -> None:
    """uvicorn with the engine's own options, on a free port that is printed."""
    listener = _listen()
    options = {"lifespan": "off", "log_config": None, "access_log": False, "proxy_headers": False, "ws": "none"}
    server = uvicorn.Server(uvicorn.Config(app, server_header=False, date_header=False, **options))  # type: ignore[arg-type]  # a dictionary shared in spirit with the engine
    if ready is not None:
        await ready()
    print(f"ready http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    await server.serve(sockets=[listener])


def _listen() -> socket.socket:
    """With the protocol named: without it connections lack TCP_NODELAY, which costs 40 ms a round trip."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(1024)
    return listener


async def _serve() -> None:
    await serve(create_app(Grouped(sys.argv[1], ALERTS)))


if __name__ == "__main__":
    run_loop(_serve())
