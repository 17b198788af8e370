"""How long a login's broker asked to be left alone, so that a restart keeps to it too. Among the other switches."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, select

from justtrades.positions.model import ConnectionId
from justtrades.store.dialects import insert_or_update
from justtrades.store.tables import switches

NAMES: Final = "penalty of "
_write: Final = insert_or_update(switches, ["name"])


@dataclass(frozen=True, slots=True)
class Kept:
    """`status` is the HTTP status that asked for it, 0 for a captcha. `base_url` and `as_of` (when the connection
    was last edited) say which login was asked."""

    status: int
    until: datetime
    base_url: str
    as_of: str | None


def keep(connection: Connection, connection_id: ConnectionId, kept: Kept) -> None:
    told = json.dumps({"status": kept.status, "base_url": kept.base_url, "as_of": kept.as_of})
    row = {"name": _name(connection_id), "is_on": True, "reason": told, "at": kept.until}
    _write.run(connection, row)


def load(connection: Connection, connection_id: ConnectionId) -> Kept | None:
    row = connection.execute(select(switches).where(switches.c.name == _name(connection_id))).one_or_none()
    return Kept(until=row.at, **json.loads(row.reason)) if row is not None else None


def forget(connection: Connection, connection_id: ConnectionId) -> None:
    connection.execute(delete(switches).where(switches.c.name == _name(connection_id)))


def _name(connection_id: ConnectionId) -> str:
    return f"{NAMES}{connection_id}"
