"""The application: ready parts in, routes out. It starts nothing; the engine's lifetime is the caller's.

`/api/v1` is one router that asks everything below it for a key; which scope it needs, and what outside is open,
stands in `rules`.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache, partial
from typing import Final

from fastapi import APIRouter, Depends, FastAPI
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from justtrades.api import (
    acts,
    connections,
    contracts,
    docs,
    explain,
    health,
    history,
    keys,
    moving,
    notifications,
    oauth,
    problems,
    recorders,
    status,
)
from justtrades.api.audited import AuditedRoute
from justtrades.api.keyring import Keyring
from justtrades.api.known import Tokens
from justtrades.api.openapi import describe
from justtrades.api.parts import Parts
from justtrades.api.rates import Strangers
from justtrades.api.security import admin
from justtrades.api.watch import Watch
from justtrades.api.webhook import Webhook
from justtrades.settings import allowed_networks, trusted_networks
from justtrades.store.audit import AuditLog

WEBHOOK: Final = "/webhook/"


class Application(FastAPI):
    """FastAPI with the webhook in front of it: alerts pass neither middleware nor route matching.

    The same endpoint is also a route, which answers what is no alert (405) and shows up in lists of routes.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"].startswith(WEBHOOK):
            webhook: Webhook = self.state.webhook
            await webhook.take(scope["path"][len(WEBHOOK) :], scope, receive, send)
            return
        await super().__call__(scope, receive, send)


def create_app(parts: Parts) -> FastAPI:
    """The whole HTTP surface over these parts."""
    app = Application(
        title="justtrades",
        version=parts.version,
        description="TradingView alerts become protected, closed and recorded trades at Tradovate.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    tokens = Tokens(parts.settings.webhook_rate_per_minute)
    watch = Watch(parts.database, parts.clock, parts.notices.notify)
    tokens.watch = watch
    webhook = _webhook(parts, tokens, watch)
    app.state.watch = watch
    app.state.parts, app.state.tokens, app.state.webhook = parts, tokens, webhook
    app.state.keyring = Keyring()
    app.state.audit = AuditLog(parts.database, None, flush_after=0.0)
    problems.install(app)
    app.router.routes.append(Route(f"{WEBHOOK}{{token}}", webhook, methods=["POST"], name="webhook"))
    app.include_router(health.router)
    app.include_router(docs.router)
    app.state.oauth = oauth.Begins()
    app.include_router(oauth.door)
    app.include_router(_api())
    app.openapi = partial(describe, app, parts)  # type: ignore[method-assign]  # FastAPI's own way to replace it
    return app


@cache
def _api() -> APIRouter:
    """Holds nothing of an application: what a request needs is in `app.state`."""
    api = APIRouter(prefix="/api/v1", dependencies=[Depends(admin)], route_class=AuditedRoute)
    for module in (connections, oauth, recorders, history, explain, acts, keys, contracts, notifications, status):
        api.include_router(module.router)
    api.include_router(moving.router)
    return api


def _webhook(parts: Parts, tokens: Tokens, watch: Watch) -> Webhook:
    settings = parts.settings
    return Webhook(
        database=parts.database,
        desk=parts.desk,
        tokens=tokens,
        clock=parts.clock,
        allowed=allowed_networks(settings.webhook_allowed_ips),
        trusted=trusted_networks(settings.trusted_proxies),
        duplicate_seconds=settings.duplicate_seconds,
        entry_max_age=timedelta(seconds=settings.entry_max_age_seconds),
        strangers=Strangers(settings.webhook_rate_per_minute),
        load=partial(tokens.refresh, parts),
        heard=watch.heard,
        notices=parts.notices,
    )
