"""Log-in by OAuth: `GET /connections/{id}/oauth-url` begins it, and the broker sends the browser back here.

The broker's redirect carries no key of ours. What lets it in is the `state`: made for one connection when somebody
with a key asked for the page, good for ten minutes and for one use, also when that use fails.
"""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from justtrades.api import problems
from justtrades.api.audited import AuditedRoute
from justtrades.api.connections import check_live, get
from justtrades.api.lists import Id
from justtrades.api.parts import Grants, Parts
from justtrades.api.problems import Problem
from justtrades.api.schemas import OAuthUrlOut
from justtrades.api.security import PartsOf
from justtrades.broker.port import BrokerError, Refused
from justtrades.positions.model import ConnectionId
from justtrades.store.connections import ConnectionRow
from justtrades.store.secrets import hashed, new_token

LIFE: Final = timedelta(minutes=10)
MOST: Final = 100
CALLBACK: Final = "/api/v1/oauth/callback"
_UNKNOWN: Final = (
    "this log-in was not begun here, was used already, or is too old: ask for a new address and begin again"
)
_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
_PAGE: Final = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>justtrades</title>
<style>body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 36rem; padding: 0 1rem }}</style>
</head><body><h1>{title}</h1><p>{text}</p></body></html>
"""

router = APIRouter(tags=["connections"], route_class=AuditedRoute)
door = APIRouter(tags=["connections"])
"""Outside the router that asks for a key, and outside the document: no program calls it."""

Given = Annotated[str | None, Query(max_length=8192)]


@dataclass(frozen=True, slots=True)
class Begun:
    connection_id: ConnectionId
    redirect_uri: str
    until: datetime


@dataclass(slots=True)
class Begins:
    """Log-ins begun and not finished, by the hash of their state. A restart forgets them; one begins again."""

    _open: dict[str, Begun] = field(default_factory=dict)

    def begin(self, begun: Begun) -> str:
        while len(self._open) >= MOST:
            del self._open[next(iter(self._open))]
        state = new_token()
        self._open[hashed(state)] = begun
        return state

    def finish(self, state: str, now: datetime) -> Begun | None:
        """What was begun under this state, once."""
        begun = self._open.pop(hashed(state), None)
        return begun if begun is not None and begun.until > now else None


@router.get("/connections/{connection_id}/oauth-url")
async def oauth_url(request: Request, parts: PartsOf, connection_id: Id) -> OAuthUrlOut:
    """The broker's page on which a person logs this connection in. For one use, within ten minutes."""
    row = await get(parts, connection_id)
    if row.auth != "oauth":
        raise Problem(409, "this connection logs in by password, not by OAuth")
    check_live(parts, row.environment)
    until = parts.clock() + LIFE
    redirect_uri = parts.settings.tradovate_oauth_redirect_url or f"{str(request.base_url).rstrip('/')}{CALLBACK}"
    begins: Begins = request.app.state.oauth
    state = begins.begin(Begun(row.id, redirect_uri, until))
    try:
        url = await _grants(parts).page(row, redirect_uri, state)
    except Refused as error:
        begins.finish(state, parts.clock())
        raise Problem(409, error.text) from None
    return OAuthUrlOut(url=url, redirect_uri=redirect_uri, expires_at=until)


@door.get(CALLBACK, include_in_schema=False)
@door.get("/oauth/callback", include_in_schema=False)
async def oauth_callback(
    request: Request,
    parts: PartsOf,
    state: Given = None,
    code: Given = None,
    error: Given = None,
    error_description: Given = None,
) -> Response:
    """Where the broker sends the browser after the log-in: the code becomes the connection's token."""
    begins: Begins = request.app.state.oauth
    try:
        begun = begins.finish(state or "", parts.clock())
        if begun is None:
            raise Problem(400, _UNKNOWN)
        row = await _finished(parts, begun, code, error, error_description)
    except (Problem, BrokerError) as failed:
        return _failed(request, failed)
    return _done(request, row)


async def _finished(
    parts: Parts, begun: Begun, code: str | None, error: str | None, description: str | None
) -> ConnectionRow:
    row = await get(parts, begun.connection_id)
    check_live(parts, row.environment)
    if error or not code:
        told = ": ".join(part[:200] for part in (error, description) if part)
        raise Problem(400, f"the broker did not log anybody in ({told or 'no code came back'})")
    await _grants(parts).exchange(row, code, begun.redirect_uri)
    await parts.desk.connections_changed()
    return await get(parts, row.id)


def _grants(parts: Parts) -> Grants:
    if parts.grants is None:
        raise Problem(503, "no engine is running that could log in")
    return parts.grants


def _failed(request: Request, failed: Problem | BrokerError) -> Response:
    status = problems.status_of(failed)
    text = failed.detail if isinstance(failed, Problem) else failed.text or failed.reason
    if _is_browser(request):
        return _page("The log-in did not work", text, status)
    return problems.answer(status, text, {**_HEADERS})


def _done(request: Request, row: ConnectionRow) -> Response:
    who = f" as {row.username}" if row.username else ""
    if _is_browser(request):
        return _page("Logged in", f"The connection {row.name} is logged in{who}. You may close this page.", 200)
    shown = {"id": row.id, "name": row.name, "environment": row.environment, "username": row.username}
    return JSONResponse(shown, headers=_HEADERS)


def _page(title: str, text: str, status: int) -> HTMLResponse:
    return HTMLResponse(_PAGE.format(title=html.escape(title), text=html.escape(text)), status, _HEADERS)


def _is_browser(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")
