"""The HTTP server inside somebody else's program: it tells when it listens, and leaves signals alone."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from typing import Final

import uvicorn
from fastapi import FastAPI

_WSAEACCES: Final = 10013
_WSAEADDRINUSE: Final = 10048
"""What Windows calls them; its `errno` module has other numbers under the POSIX names."""


class Cannot(Exception):
    """The engine cannot start; one sentence. `code` is the exit code."""

    def __init__(self, sentence: str, code: int = 1) -> None:
        super().__init__(sentence)
        self.code = code


class Server(uvicorn.Server):
    """uvicorn that tells when it listens and leaves signals to whoever runs the engine."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def uvicorn_config(app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=3,
        ws="none",
    )


def listen(host: str, port: int) -> socket.socket:
    """With the protocol named, so that the connections it makes have TCP_NODELAY set (40 ms a round trip)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except (OSError, UnicodeError) as error:
        listener.close()
        raise _cannot_listen(host, port, error) from None
    return listener


def _cannot_listen(host: str, port: int, error: OSError | UnicodeError) -> Cannot:
    """A port that is taken or forbidden may be free at the next start; an address that is not ours never is."""
    if isinstance(error, OSError) and error.errno in {errno.EADDRINUSE, errno.EACCES, _WSAEADDRINUSE, _WSAEACCES}:
        return Cannot(f"cannot listen on {host}:{port}: {error.strerror}")
    told = error.strerror if isinstance(error, OSError) and error.strerror else "it is no address"
    return Cannot(f"JUSTTRADES_HOST: cannot listen on {host}: {told}", 2)
