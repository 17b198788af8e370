"""`/api/v1/recorders`: strategies, their rules and their webhook tokens.

A token is shown once, when it is made; only its hash is kept. Whatever changes here is in force for the next
alert, because the webhook's own list is refreshed before the answer leaves. Signals under way keep the rules
they were accepted with.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError
from sqlalchemy import Connection

from justtrades.api import alerts
from justtrades.api.audited import AuditedRoute
from justtrades.api.doors import client_is_trusted
from justtrades.api.known import Tokens
from justtrades.api.lists import USUAL, Cursor, IdOrName, Limit, cut
from justtrades.api.parts import Parts
from justtrades.api.problems import Problem, not_found, sentence_of
from justtrades.api.schemas import (
    Page,
    RecorderIn,
    RecorderMade,
    RecorderOut,
    RecorderPatch,
    RotateIn,
    RotateOut,
)
from justtrades.api.security import PartsOf
from justtrades.api.watch import Watch
from justtrades.positions.model import AccountId, RecorderId, Stop, Target
from justtrades.positions.prices import Distance
from justtrades.positions.recorder import Recorder, Route
from justtrades.positions.symbols import UnknownSymbol, parse_symbol
from justtrades.settings import trusted_networks
from justtrades.store import accounts, recorders, watch
from justtrades.store.recorders import RecorderRow
from justtrades.store.secrets import new_token
from justtrades.store.watch import Gaps

router = APIRouter(tags=["recorders"], route_class=AuditedRoute)

_PLAIN = (
    *("name", "symbol", "quantity", "quantity_from", "add_quantity", "max_quantity", "on_same_side", "on_opposite"),
    *("exits_from", "target_update", "dialect", "mode", "on_gap", "max_alert_age_seconds", "secret"),
    *("heartbeat_seconds", "enabled"),
)


@router.post("/recorders", status_code=201)
async def add_recorder(request: Request, parts: PartsOf, body: RecorderIn) -> RecorderMade:
    """A strategy with its webhook. `token` and `webhook_url` are shown this once."""
    recorder = _recorder(parts, RecorderId(parts.database.new_id()), body)
    token, at = new_token(), parts.clock()

    def work(connection: Connection) -> None:
        _check_accounts(connection, recorder)
        recorders.add(connection, parts.box, recorder, token, at)

    await parts.database.write(work)
    await _tokens(request).refresh(parts)
    shown = await _shown(request, parts, RecorderRow(recorder, at, at))
    return RecorderMade(**shown.model_dump(), token=token, webhook_url=_webhook_url(request, parts, token))


@router.get("/recorders")
async def list_recorders(
    request: Request, parts: PartsOf, limit: Limit = USUAL, before: Cursor = None
) -> Page[RecorderOut]:
    """Every recorder, disabled ones included."""
    rows = await parts.database.read(lambda c: recorders.every(c, parts.box))
    shown = await _all_shown(request, parts, rows)
    return Page[RecorderOut].model_validate(cut(shown, lambda row: row.id, limit, before))


@router.get("/recorders/{recorder_id}")
async def show_recorder(request: Request, parts: PartsOf, recorder_id: IdOrName) -> RecorderOut:
    return await _shown(request, parts, await _get(parts, recorder_id))


@router.patch("/recorders/{recorder_id}")
async def edit_recorder(request: Request, parts: PartsOf, recorder_id: IdOrName, body: RecorderPatch) -> RecorderOut:
    """Change some of the rules; what is not named stays."""
    changes, at = body.model_dump(exclude_unset=True), parts.clock()

    def work(connection: Connection) -> RecorderId:
        row = find(connection, parts, recorder_id)
        edited = _recorder(parts, row.recorder.id, _merged(row.recorder, changes))
        _check_accounts(connection, edited)
        recorders.edit(connection, parts.box, edited, at)
        return edited.id

    edited_id = await parts.database.write(work)
    await _tokens(request).refresh(parts)
    return await _shown(request, parts, await _get(parts, edited_id))


@router.delete("/recorders/{recorder_id}")
async def disable_recorder(request: Request, parts: PartsOf, recorder_id: IdOrName) -> RecorderOut:
    """Its webhook answers 404 from now on; what it holds stays protected and can be closed by hand."""
    row, at = await _get(parts, recorder_id), parts.clock()
    off = replace(row.recorder, enabled=False)
    await parts.database.write(lambda c: recorders.edit(c, parts.box, off, at))
    await _tokens(request).refresh(parts)
    return await _shown(request, parts, await _get(parts, off.id))


@router.post("/recorders/{recorder_id}/rotate-token")
async def rotate_token(
    request: Request, parts: PartsOf, recorder_id: IdOrName, body: RotateIn | None = None
) -> RotateOut:
    """A new token. The old one goes on for `overlap_seconds`, since the alert has to be edited by hand."""
    row, token, at = await _get(parts, recorder_id), new_token(), parts.clock()
    overlap = timedelta(seconds=(body or RotateIn()).overlap_seconds)
    until = await parts.database.write(lambda c: recorders.rotate(c, row.recorder.id, token, overlap, at))
    await _tokens(request).refresh(parts)
    return RotateOut(token=token, webhook_url=_webhook_url(request, parts, token), old_token_expires_at=until)


# ── rules ────────────────────────────────────────────────────────────────────────────────────────────────────


def _recorder(parts: Parts, recorder_id: RecorderId, body: RecorderIn) -> Recorder:
    _check(parts, body)
    return Recorder(
        id=recorder_id,
        **{name: getattr(body, name) for name in _PLAIN},
        targets=tuple(Target(Distance(t.distance, t.unit), percent=t.percent) for t in body.targets),
        stop=Stop(Distance(body.stop.distance, body.stop.unit)) if body.stop else None,
        routes=tuple(Route(AccountId(r.account_id), r.multiplier, r.enabled) for r in body.routes),
    )


def _check(parts: Parts, body: RecorderIn) -> None:
    if body.dialect not in alerts.NAMES:
        raise Problem(422, f"dialect: must be one of {', '.join(alerts.NAMES)}")
    if body.targets and sum(target.percent for target in body.targets) != 100:
        raise Problem(422, "targets: their percents must sum to 100, so that the whole position has a target")
    if len({route.account_id for route in body.routes}) != len(body.routes):
        raise Problem(422, "routes: the same account stands there twice")
    if body.max_quantity is not None and body.max_quantity < body.quantity:
        raise Problem(422, "max_quantity: must not be below quantity, or no entry would ever fit")
    if body.symbol is not None:
        _check_symbol(parts, body.symbol)


def _check_symbol(parts: Parts, symbol: str) -> None:
    try:
        parse_symbol(symbol, parts.clock().date())
    except UnknownSymbol as error:
        raise Problem(422, f"symbol: {error}") from None


def _check_accounts(connection: Connection, recorder: Recorder) -> None:
    known = {row.id for row in accounts.every(connection)}
    if any(route.account_id not in known for route in recorder.routes):
        raise Problem(422, "routes: there is no such account; GET /api/v1/accounts lists them")


# ── leaves ───────────────────────────────────────────────────────────────────────────────────────────────────


def _merged(recorder: Recorder, changes: dict[str, Any]) -> RecorderIn:
    try:
        return RecorderIn.model_validate({**_body(recorder), **changes})
    except ValidationError as error:
        raise Problem(422, sentence_of(list(error.errors()))) from None


def _body(recorder: Recorder) -> dict[str, Any]:
    """The recorder as its schema has it, the secret included."""
    return {
        **{name: getattr(recorder, name) for name in _PLAIN},
        "targets": [{**_distance(t.distance), "percent": t.percent} for t in recorder.targets],
        "stop": _distance(recorder.stop.distance) if recorder.stop else None,
        "routes": [
            {"account_id": r.account_id, "multiplier": r.multiplier, "enabled": r.enabled} for r in recorder.routes
        ],
    }


def _distance(distance: Distance | None) -> dict[str, Any]:
    return {} if distance is None else {"distance": distance.value, "unit": distance.unit}


async def _shown(request: Request, parts: Parts, row: RecorderRow) -> RecorderOut:
    (shown,) = await _all_shown(request, parts, [row])
    return shown


async def _all_shown(request: Request, parts: Parts, rows: list[RecorderRow]) -> list[RecorderOut]:
    watching: Watch = request.app.state.watch
    await watching.load()
    gaps = await parts.database.read(watch.gaps)
    return [_one(request, row, watching, gaps.get(row.recorder.id, Gaps())) for row in rows]


def _one(request: Request, row: RecorderRow, watching: Watch, gaps: Gaps) -> RecorderOut:
    recorder = row.recorder
    now = watching.of(recorder)
    return RecorderOut(
        **{**_body(recorder), "secret": None},
        id=recorder.id,
        has_secret=recorder.secret is not None,
        last_alert_at=_tokens(request).heard_at.get(recorder.id),
        heartbeat_state=now.colour.value,
        last_heartbeat_at=now.heard_at,
        heartbeat_period_seconds=now.period_seconds,
        gaps=gaps.count,
        last_gap_at=gaps.last_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


async def _get(parts: Parts, id_or_name: str) -> RecorderRow:
    return await parts.database.read(lambda c: find(c, parts, id_or_name))


def find(connection: Connection, parts: Parts, id_or_name: str) -> RecorderRow:
    """An id is never another's name: ids are tried first."""
    row = recorders.get(connection, parts.box, RecorderId(id_or_name))
    if row is not None:
        return row
    named = [one for one in recorders.every(connection, parts.box) if one.recorder.name == id_or_name]
    if len(named) > 1:
        raise Problem(409, "several recorders have this name: say which by its id")
    if not named:
        raise not_found("recorder")
    return named[0]


def _tokens(request: Request) -> Tokens:
    tokens: Tokens = request.app.state.tokens
    return tokens


def _webhook_url(request: Request, parts: Parts, token: str) -> str:
    """Where this engine is reached, as the client sees it: what a trusted proxy says, else how it was asked."""
    base = request.base_url
    if client_is_trusted(request.scope, trusted_networks(parts.settings.trusted_proxies)):
        scheme = request.headers.get("x-forwarded-proto", base.scheme).partition(",")[0].strip()
        host = request.headers.get("x-forwarded-host", base.netloc).partition(",")[0].strip()
        base = base.replace(scheme=scheme, netloc=host)
    return f"{base}webhook/{token}"
