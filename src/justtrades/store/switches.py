"""What people set for the whole engine and must survive a restart: the kill switch, and who may command."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select

from justtrades.store.dialects import insert_or_update
from justtrades.store.tables import admin_keys, switches

KILL: Final = "kill"
FIRST_KEY: Final = "admin"
"""The id of the key that `serve` makes at its first start."""
_write_switch: Final = insert_or_update(switches, ["name"])
_write_key: Final = insert_or_update(admin_keys, ["id"], keep=["created_at"])


@dataclass(frozen=True, slots=True)
class Kill:
    """While on, no entry leaves. `since` is the moment it was last switched, None if never."""

    on: bool = False
    reason: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class AdminKey:
    """A named key with scope `read`, `trade` or `admin`; only its hash is known here."""

    id: str
    name: str
    scope: str
    hash: str
    created_at: datetime


def get_kill(connection: Connection) -> Kill:
    row = connection.execute(select(switches).where(switches.c.name == KILL)).one_or_none()
    return Kill(row.is_on, row.reason or "", row.at) if row is not None else Kill()


def set_kill(connection: Connection, on: bool, reason: str, at: datetime) -> Kill:
    row = {"name": KILL, "is_on": on, "reason": reason, "at": at}
    connection.execute(_write_switch.on(connection), row)
    return Kill(on, reason, at)


def keep_key(connection: Connection, key: AdminKey) -> None:
    """Add a key, or replace the one with the same id."""
    connection.execute(_write_key.on(connection), asdict(key))


def keys(connection: Connection) -> list[AdminKey]:
    """All keys, the newest first."""
    found = select(admin_keys).order_by(admin_keys.c.created_at.desc(), admin_keys.c.id)
    return [AdminKey(**row._mapping) for row in connection.execute(found)]


def delete_key(connection: Connection, key_id: str) -> bool:
    """False when there was none."""
    return connection.execute(admin_keys.delete().where(admin_keys.c.id == key_id)).rowcount > 0
