"""A route of `/api/v1`: its body is small, strict JSON, and what a person changed is in the audit.

The framework's own reader takes NaN and half characters and any number of bytes; so a body is read and checked
here, before it sees it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from justtrades.api.alerts import Unreadable
from justtrades.api.alerts.strict import parse, text_of
from justtrades.api.doors import Gone, TooLarge, read_body
from justtrades.api.parts import Parts
from justtrades.api.problems import Problem, status_of
from justtrades.api.redaction import kept_act
from justtrades.broker.port import AuditId, Exchange

BODY_LIMIT: Final = 256 * 1024
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]


class AuditedRoute(APIRoute):
    """Reads are not audited; every act is, with who did it and how it ended."""

    def get_route_handler(self) -> Endpoint:
        endpoint = super().get_route_handler()

        async def call(request: Request) -> Response:
            if request.method in _READING:
                return await endpoint(request)
            return await _audited(endpoint, request)

        return call


async def _audited(endpoint: Endpoint, request: Request) -> Response:
    began, status, body = time.monotonic(), 500, b""
    request.scope.setdefault("state", {})  # who asks is noted in it, and read below
    try:
        body = await _strict_body(request)
        response = await endpoint(_again(request, body))
        status = response.status_code
        return response
    except Exception as error:
        status = status_of(error)
        raise
    finally:
        _note(request, body, status, time.monotonic() - began)


async def _strict_body(request: Request) -> bytes:
    try:
        body = await read_body(request.scope, request.receive, BODY_LIMIT)
        if body.strip():
            parse(text_of(body))
    except TooLarge:
        raise Problem(413, f"a body has at most {BODY_LIMIT} bytes") from None
    except Unreadable as error:
        raise Problem(400, error.sentence) from None
    except Gone:
        raise Problem(400, "the body did not arrive") from None
    return body


def _again(request: Request, body: bytes) -> Request:
    """The request with its body still to be read; JSON is what it is, whatever the client called it."""
    headers = [(name, value) for name, value in request.scope["headers"] if name != b"content-type"]
    scope = {**request.scope, "headers": [*headers, (b"content-type", b"application/json")]}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(scope, receive)


def _note(request: Request, body: bytes, status: int, seconds: float) -> None:
    """Refused strangers are not written down: they could fill the disk."""
    by = request.scope["state"].get("by")
    if by is None:
        return
    parts: Parts = request.app.state.parts
    request.app.state.audit.after(
        Exchange(
            id=AuditId(parts.database.new_id()),
            at=parts.clock(),
            method=request.method,
            endpoint=request.url.path,
            request=kept_act(body, request.url.path) or None,
            status=status,
            duration_ms=seconds * 1000,
            response=f"by {by}",
        )
    )
