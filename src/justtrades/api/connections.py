"""`/api/v1/connections` and `/api/v1/accounts`: logins at brokers and what they showed.

Credentials go in and never come out: they are sealed before they are stored, and no schema of an answer has a
field for them. After each change the desk is told, so that logins follow at once.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from sqlalchemy import Connection

from justtrades.api.audited import AuditedRoute
from justtrades.api.lists import USUAL, Cursor, Filter, Id, Limit, cut
from justtrades.api.parts import Parts
from justtrades.api.problems import Problem, not_found
from justtrades.api.schemas import (
    AccountOut,
    BrokerAccountOut,
    ConnectionIn,
    ConnectionOut,
    ConnectionPatch,
    ConnectionTested,
    Credentials,
    Page,
)
from justtrades.api.security import PartsOf
from justtrades.broker.port import ConnectionState
from justtrades.positions.model import ConnectionId
from justtrades.store import accounts, connections
from justtrades.store.accounts import AccountRow
from justtrades.store.connections import ConnectionRow

router = APIRouter(tags=["connections"], route_class=AuditedRoute)

_SECRETS = ("username", "password", "app_id", "app_version", "cid", "sec", "device_id")


@router.post("/connections", status_code=201)
async def add_connection(parts: PartsOf, body: ConnectionIn) -> ConnectionOut:
    """A login at a broker. `paper` needs only a name and the environment."""
    _check(parts, body)
    at = parts.clock()

    def work(connection: Connection) -> ConnectionRow:
        _check_only(connection, body.environment, body.username)
        return connections.add(
            connection,
            parts.box,
            name=body.name,
            environment=body.environment,
            auth=body.auth,
            username=body.username,
            secrets=_with_device(connection, body, at),
            at=at,
        )

    row = await parts.database.write(work)
    await parts.desk.connections_changed()
    return _shown(parts, row)


@router.get("/connections")
async def list_connections(parts: PartsOf, limit: Limit = USUAL, before: Cursor = None) -> Page[ConnectionOut]:
    """Every login, with how it is at this moment."""
    rows = await parts.database.read(connections.every)
    shown = [_shown(parts, row) for row in reversed(rows)]
    return Page[ConnectionOut].model_validate(cut(shown, lambda row: row.id, limit, before))


@router.patch("/connections/{connection_id}")
async def edit_connection(parts: PartsOf, connection_id: Id, body: ConnectionPatch) -> ConnectionOut:
    """New credentials, another name, on or off. What is not named stays; another login than the one that holds a
    position is refused."""
    before = await get(parts, connection_id)
    if body.enabled:
        check_live(parts, before.environment)
    another = body.username is not None and body.username != before.username
    if before.enabled and (body.enabled is False or another):
        _check_flat(parts, await _account_ids(parts, before.id))
    await _edit(parts, before, body)
    return _shown(parts, await get(parts, connection_id))


@router.delete("/connections/{connection_id}")
async def disable_connection(parts: PartsOf, connection_id: Id) -> ConnectionOut:
    """Stops using the login; refused while it holds a position."""
    row = await get(parts, connection_id)
    _check_flat(parts, await _account_ids(parts, row.id))
    await _edit(parts, row, ConnectionPatch(enabled=False))
    return _shown(parts, await get(parts, connection_id))


@router.post("/connections/{connection_id}/test")
async def try_connection(parts: PartsOf, connection_id: Id) -> ConnectionTested:
    """Asks the broker for the accounts of this login, now."""
    row = await get(parts, connection_id)
    found = await parts.desk.test_connection(row.id)
    return ConnectionTested(
        accounts=[
            BrokerAccountOut(broker_account_id=one.id, name=one.name, active=one.active, why=one.why) for one in found
        ]
    )


@router.get("/accounts")
async def list_accounts(
    parts: PartsOf, connection_id: Filter = None, limit: Limit = USUAL, before: Cursor = None
) -> Page[AccountOut]:
    """Trading accounts as the brokers list them."""
    rows = [
        _account(row)
        for row in await parts.database.read(accounts.every)
        if connection_id is None or row.connection_id == connection_id
    ]
    return Page[AccountOut].model_validate(cut(rows, lambda row: row.id, limit, before))


# ── rules ────────────────────────────────────────────────────────────────────────────────────────────────────


def _check(parts: Parts, body: ConnectionIn) -> None:
    check_live(parts, body.environment)
    if body.auth == "oauth" and body.environment == "paper":
        raise Problem(422, "auth: a paper connection logs in by itself; oauth is for demo and live")
    if body.auth == "password" and body.environment != "paper" and not (body.username and body.password):
        raise Problem(422, "a demo or live connection needs username and password, or auth oauth")


def check_live(parts: Parts, environment: str) -> None:
    if environment == "live" and not parts.settings.live_trading:
        raise Problem(422, "live trading is off: set JUSTTRADES_LIVE_TRADING=true and start again")


def _check_flat(parts: Parts, account_ids: frozenset[str]) -> None:
    held = [lane for lane in parts.desk.lanes() if lane.account_id in account_ids]
    if any(lane.quantity or lane.broker_quantity or lane.in_doubt or lane.signals_waiting for lane in held):
        raise Problem(409, "the connection holds a position, or has an order under way or in doubt: close it first")


def _check_only(
    connection: Connection, environment: str, username: str | None, itself: ConnectionId | None = None
) -> None:
    """One login shows an account once: over two, each would take the other's orders for those of a stranger."""
    for other in connections.every(connection):
        if other.id == itself or not other.enabled or other.environment != environment:
            continue
        if environment == "paper":
            raise Problem(409, f"there is a paper connection already, {other.id}: one shows all of its accounts")
        if username is not None and other.username == username:
            raise Problem(409, f"the connection {other.id} uses this {environment} login already")


# ── leaves ───────────────────────────────────────────────────────────────────────────────────────────────────


async def get(parts: Parts, connection_id: str) -> ConnectionRow:
    row = await parts.database.read(lambda c: connections.get(c, ConnectionId(connection_id)))
    if row is None:
        raise not_found("connection")
    return row


async def _account_ids(parts: Parts, connection_id: ConnectionId) -> frozenset[str]:
    rows = await parts.database.read(lambda c: accounts.of_connection(c, connection_id))
    return frozenset(row.id for row in rows)


async def _edit(parts: Parts, row: ConnectionRow, body: ConnectionPatch) -> None:
    changes = body.model_dump(exclude_none=True, include={"name", "username", "enabled"})
    secrets, at = _secrets(body), parts.clock()

    def work(connection: Connection) -> None:
        if changes.get("enabled", row.enabled):
            _check_only(connection, row.environment, changes.get("username", row.username), row.id)
        connections.edit(connection, parts.box, row.id, at=at, secrets=secrets, **changes)

    await parts.database.write(work)
    await parts.desk.connections_changed()


def _secrets(body: Credentials) -> dict[str, str]:
    given: dict[str, str] = body.model_dump(exclude_none=True, include=set(_SECRETS))
    return given


def _account(row: AccountRow) -> AccountOut:
    """What stops it is one reason for people, whoever it is that stops it."""
    reasons = [reason for reason in (row.halt_reason, row.why) if reason]
    stopped = row.halted or not row.active
    shown = AccountOut.model_validate(row)
    return shown.model_copy(update={"halted": stopped, "halt_reason": "; ".join(reasons) if stopped else None})


def _with_device(connection: Connection, body: ConnectionIn, at: datetime) -> dict[str, str]:
    """A login by password names its device: the installation's own, unless another is given."""
    given = _secrets(body)
    if body.environment == "paper" or body.auth == "oauth" or "device_id" in given:
        return given
    return {**given, "device_id": connections.device_id(connection, at)}


def _shown(parts: Parts, row: ConnectionRow) -> ConnectionOut:
    """The row with the state of its login; a login that does not run is offline."""
    values: dict[str, Any] = {name: getattr(row, name) for name in ConnectionRow.__slots__}
    health = parts.desk.health(row.id) if row.enabled else None
    if health is None:
        return ConnectionOut(**values, state=ConnectionState.OFFLINE.value)
    return ConnectionOut.model_validate(
        {
            **values,
            "state": health.state.value,
            "reason": health.reason,
            "token_expires_at": health.token_expires_at,
            "last_event_at": health.last_event_at,
            "budget": health.budget,
        }
    )
