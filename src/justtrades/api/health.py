"""`/healthz`, `/readyz` and `/metrics`: alive, fit to trade, and figures. None of them shows a secret."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from justtrades.api.parts import Parts
from justtrades.api.security import PartsOf, admin
from justtrades.api.watch import Watch
from justtrades.api.webhook import Webhook
from justtrades.broker.port import ConnectionState
from justtrades.store import connections
from justtrades.store.connections import ConnectionRow

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@router.get("/readyz", responses={503: {"description": "Not ready, with the reasons"}})
async def readyz(parts: PartsOf) -> Response:
    """Every enabled connection is synced and compared, and no lane is in doubt for long."""
    reasons = parts.desk.not_ready()
    body = {"status": "not ready" if reasons else "ready", "reasons": list(reasons)}
    return JSONResponse(body, 503 if reasons else 200)


@router.get("/metrics", response_class=PlainTextResponse, dependencies=[Depends(admin)])
async def metrics(request: Request, parts: PartsOf) -> Response:
    """Prometheus text."""
    webhook: Webhook = request.app.state.webhook
    rows = await parts.database.read(connections.every)
    lines = [*_engine(parts), *_alerts(webhook), *_silent(request), *_lanes(parts), *_connections(parts, rows)]
    lines += _self_audit(parts)
    return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")


def _engine(parts: Parts) -> Iterator[str]:
    yield from _gauge("justtrades_ready", "1 when /readyz says so", not parts.desk.not_ready())
    yield from _gauge("justtrades_kill_switch", "1 while no entry may leave", parts.desk.kill_state().on)
    yield from _gauge("justtrades_writes_waiting", "database writes that wait", parts.database.waiting)


def _alerts(webhook: Webhook) -> Iterator[str]:
    yield "# HELP justtrades_webhook_answers_total answers of the webhook by status"
    yield "# TYPE justtrades_webhook_answers_total counter"
    for status, count in sorted(webhook.counts.items()):
        yield f'justtrades_webhook_answers_total{{status="{status}"}} {count}'


def _silent(request: Request) -> Iterator[str]:
    watch: Watch = request.app.state.watch
    yield from _gauge("justtrades_recorders_silent", "recorders whose heartbeat is missing", watch.silent())


def _lanes(parts: Parts) -> Iterator[str]:
    views = parts.desk.lanes()
    yield from _gauge("justtrades_lanes", "lanes ever traded", len(views))
    yield from _gauge(
        "justtrades_lanes_open", "lanes that hold a position of ours", sum(bool(v.quantity) for v in views)
    )
    yield from _gauge("justtrades_lanes_in_doubt", "lanes in doubt", sum(v.in_doubt for v in views))
    yield from _gauge("justtrades_lanes_halted", "lanes a person must resume", sum(v.halted for v in views))
    unprotected = max((v.unprotected_seconds_today_max for v in views), default=0)
    yield from _gauge("justtrades_unprotected_seconds_today_max", "longest time without a target", unprotected)


def _self_audit(parts: Parts) -> Iterator[str]:
    if parts.self_audit is None:
        return
    report = parts.self_audit.report
    found = len(report.findings)
    yield from _gauge("justtrades_self_audit_findings", "what the audit of the books found and still stands", found)
    yield from _gauge("justtrades_self_audit_failed", "1 while the last audit of the books failed", bool(report.error))
    if report.at is not None:
        when = report.at.timestamp()
        yield from _gauge("justtrades_self_audit_at_seconds", "when the books were last audited, unix time", when)


def _connections(parts: Parts, rows: list[ConnectionRow]) -> Iterator[str]:
    yield "# HELP justtrades_connection_synced 1 while the stream is synced"
    yield "# TYPE justtrades_connection_synced gauge"
    for row in rows:
        health = parts.desk.health(row.id) if row.enabled else None
        synced = health is not None and health.state is ConnectionState.SYNCED
        yield f'justtrades_connection_synced{{connection="{row.id}"}} {int(synced)}'


def _gauge(name: str, text: str, value: float) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} gauge"
    yield f"{name} {int(value) if isinstance(value, bool) else value}"
