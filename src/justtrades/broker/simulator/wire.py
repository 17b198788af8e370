"""The outermost ASGI door: remembers each connection's transport, so that a fault can cut it for real.

An ASGI application cannot close a connection without answering. uvicorn's `send` is a bound method of the
object that owns the transport; where it is not (another server), the cut is an answer that is never finished.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send

_TRANSPORT: Final = "justtrades.simulator.transport"


class Door:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[_TRANSPORT] = getattr(getattr(send, "__self__", None), "transport", None)
        await self._app(scope, receive, send)


def cut(scope: MutableMapping[str, Any]) -> bool:
    """Close the connection under a request or socket at once, without a word; False where that cannot be done."""
    transport = scope.get(_TRANSPORT)
    abort = getattr(transport, "abort", None)  # uvloop's transports are no asyncio.Transport
    if abort is None:
        return False
    abort()
    return True


async def gone(receive: Receive) -> None:
    """Until the server knows that the connection is cut; else it takes the silence for a mistake."""
    while (await receive())["type"] != "http.disconnect":
        pass
