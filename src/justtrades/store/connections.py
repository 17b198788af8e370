"""Logins at brokers: what people may see of them, and their sealed secrets.

Secrets are one sealed JSON object per connection and never part of a row that is handed out. The access token
is sealed apart, because it changes every hour or so; it survives a restart, since brokers count logins.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import Connection, Row, bindparam, select, true

from justtrades.positions.model import ConnectionId
from justtrades.store.secrets import Box
from justtrades.store.tables import connections, switches

_ID_LENGTH: Final = 24
_DEVICE: Final = "device id"
_C = connections.c
_seen: Final = select(_C.id, _C.name, _C.environment, _C.auth, _C.username, _C.enabled, _C.created_at, _C.updated_at)
_one: Final = connections.update().where(_C.id == bindparam("b_id"))


@dataclass(frozen=True, slots=True)
class ConnectionRow:
    """A login without its secrets."""

    id: ConnectionId
    name: str
    environment: str
    auth: str
    username: str | None
    enabled: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, or whatever the adapter keeps of one."""

    value: str = field(repr=False)
    expires_at: datetime


def add(
    connection: Connection,
    box: Box,
    *,
    name: str,
    environment: str,
    auth: str,
    username: str | None,
    secrets: Mapping[str, str],
    at: datetime,
) -> ConnectionRow:
    """A new login. Its id is a short word made from its name."""
    connection_id = _free_id(connection, name)
    new = ConnectionRow(connection_id, name, environment, auth, username, True, at, at)
    insert(connection, new, _sealed(box, new.id, secrets))
    return new


def device_id(connection: Connection, at: datetime) -> str:
    """One for this installation, made when it is first asked for: a live login may refuse a device it has not seen."""
    found = connection.execute(select(switches.c.reason).where(switches.c.name == _DEVICE)).scalar_one_or_none()
    if found is None:
        found = str(uuid4())
        row = {"name": _DEVICE, "is_on": True, "reason": found, "at": at}
        connection.execute(switches.insert(), row)
    return str(found)


def insert(connection: Connection, new: ConnectionRow, sealed: bytes | None = None) -> None:
    """A login as it is, such as the first paper connection, which needs no secrets."""
    connection.execute(connections.insert(), {**asdict(new), "secrets": sealed})


def edit(
    connection: Connection,
    box: Box,
    connection_id: ConnectionId,
    *,
    at: datetime,
    secrets: Mapping[str, str] | None = None,
    **changes: str | bool | None,
) -> ConnectionRow | None:
    """Change `name`, `username`, `enabled` and single secrets; new secrets end the old access token."""
    values: dict[str, Any] = {**changes, "updated_at": at}
    if secrets:
        merged = {**load_secrets(connection, box, connection_id), **secrets}
        values |= {"secrets": _sealed(box, connection_id, merged), "token": None, "token_expires_at": None}
    connection.execute(_one.values(**values), {"b_id": connection_id})
    return get(connection, connection_id)


def get(connection: Connection, connection_id: ConnectionId) -> ConnectionRow | None:
    row = connection.execute(_seen.where(_C.id == connection_id)).one_or_none()
    return _row(row) if row is not None else None


def every(connection: Connection) -> list[ConnectionRow]:
    """All of them, the oldest first."""
    return [_row(row) for row in connection.execute(_seen.order_by(_C.created_at, _C.id))]


def load_secrets(connection: Connection, box: Box, connection_id: ConnectionId) -> dict[str, str]:
    """Empty for a connection that has none. Raises `NotOpened`."""
    sealed = connection.execute(select(_C.secrets).where(_C.id == connection_id)).scalar_one_or_none()
    opened: dict[str, str] = json.loads(box.open(sealed, about(connection_id, "secrets"))) if sealed else {}
    return opened


def save_token(
    connection: Connection, box: Box, connection_id: ConnectionId, token: Token, *, as_of: datetime | None = None
) -> bool:
    """False, and nothing is kept, when the connection was edited after `as_of`: the token is of another login."""
    sealed = box.seal(token.value, about(connection_id, "token"))
    values = {"token": sealed, "token_expires_at": token.expires_at}
    still = _C.updated_at == as_of if as_of is not None else true()
    return bool(connection.execute(_one.where(still).values(**values), {"b_id": connection_id}).rowcount)


def load_token(connection: Connection, box: Box, connection_id: ConnectionId) -> Token | None:
    """The last token, expired or not. Raises `NotOpened`."""
    found = select(_C.token, _C.token_expires_at).where(_C.id == connection_id)
    row = connection.execute(found).one_or_none()
    if row is None or row.token is None:
        return None
    return Token(box.open(row.token, about(connection_id, "token")), row.token_expires_at)


def forget_token(connection: Connection, connection_id: ConnectionId) -> None:
    connection.execute(_one.values(token=None, token_expires_at=None), {"b_id": connection_id})


def _row(row: Row[*tuple[Any, ...]]) -> ConnectionRow:
    return ConnectionRow(**row._mapping)


def _free_id(connection: Connection, name: str) -> ConnectionId:
    word = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:_ID_LENGTH] or "connection"
    taken = set(connection.execute(select(_C.id)).scalars())
    free = (word if number == 1 else f"{word}-{number}" for number in range(1, len(taken) + 2))
    return ConnectionId(next(candidate for candidate in free if candidate not in taken))


def _sealed(box: Box, connection_id: ConnectionId, secrets: Mapping[str, str]) -> bytes | None:
    return box.seal(json.dumps(dict(secrets)), about(connection_id, "secrets")) if secrets else None


def about(connection_id: str, column: str) -> str:
    """What a sealed column is bound to."""
    return f"connections:{connection_id}:{column}"
