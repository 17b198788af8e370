"""Tradovate's REST surface: `/v1/{entity}/{operation}`, in any case and by any method ("relaxed REST").

Look-up parameters come in the query string, actions as a JSON body; where both are there the body wins. An
answer's events are told after it was sent, even when the client has gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from justtrades.broker.simulator import replies
from justtrades.broker.simulator.calls import Call
from justtrades.broker.simulator.counter import Counter
from justtrades.broker.simulator.documents import loads
from justtrades.broker.simulator.floor import Floor
from justtrades.broker.simulator.replies import Reply
from justtrades.broker.simulator.sockets import SYNC
from justtrades.broker.simulator.tape import Frame
from justtrades.broker.simulator.wire import cut, gone

_LARGEST_BODY: Final = 1_000_000
_FORM: Final = "application/x-www-form-urlencoded"


class Answer(Response):
    """Sends a reply, or cuts the connection; then tells the events, whatever became of the sending."""

    def __init__(self, reply: Reply, floor: Floor) -> None:
        super().__init__(reply.text, reply.status or 200, {"access-control-allow-origin": "*"}, reply.kind)
        self._floor = floor
        self._frames: Sequence[Frame] = reply.frames
        self._cut = reply.cut

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if self._cut:
                if cut(scope):
                    await gone(receive)
            else:
                await super().__call__(scope, receive, send)
        finally:
            self._floor.tell(self._frames)


class Rest:
    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    async def serve(self, request: Request) -> Response:
        endpoint = request.path_params["endpoint"].strip("/").lower()
        call = await _read(request, endpoint)
        return Answer(await self._reply(call), self._counter.floor)

    async def _reply(self, call: Call | None) -> Reply:
        if call is None:
            return replies.plain(400, "Bad request")
        if call.endpoint == SYNC:  # socket only (official)
            return replies.NOT_FOUND
        return await self._counter.take(call)


async def _read(request: Request, endpoint: str) -> Call | None:
    """None for what cannot be read."""
    query = dict(request.query_params)
    body = await _body(request)
    if body is None:
        return None
    words = {key: str(value) for key, value in body.items() if isinstance(value, str | int)}
    address = request.client.host if request.client else ""
    return Call(endpoint, query | words, query | body, token=_bearer(request), address=address)


async def _body(request: Request) -> dict[str, Any] | None:
    text = await _text(request)
    if text is None or not text.strip():
        return None if text is None else {}
    if request.headers.get("content-type", "").startswith(_FORM):
        return dict(parse_qsl(text))
    try:
        body = loads(text)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


async def _text(request: Request) -> str | None:
    received = b""
    try:
        async for chunk in request.stream():
            received += chunk
            if len(received) > _LARGEST_BODY:
                return None
        return received.decode()
    except (ClientDisconnect, UnicodeDecodeError):
        return None


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
