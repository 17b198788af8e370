"""Keys of people and scripts: named, scoped, revocable; only their hashes are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, bindparam, select

from justtrades.store.dialects import insert_or_update
from justtrades.store.tables import admin_keys

FIRST: Final = "admin"
"""The id of the key that `serve` makes at its first start."""

_K = admin_keys.c
_write: Final = insert_or_update(admin_keys, ["id"], keep=["created_at"])
_used: Final = admin_keys.update().where(_K.id == bindparam("b_id")).values(last_used_at=bindparam("at"))


class Scope(StrEnum):
    """What a key may do; each includes the one before."""

    READ = "read"
    TRADE = "trade"
    ADMIN = "admin"

    def includes(self, other: Scope) -> bool:
        order = tuple(Scope)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Key:
    """`last_used_at` is exact to about a minute."""

    id: str
    name: str
    scope: Scope
    hash: str
    created_at: datetime
    last_used_at: datetime | None = None


class NameTaken(Exception):
    """Another key has this name."""


class LastAdmin(Exception):
    """Without this key nobody could make another."""


def keep(connection: Connection, key: Key) -> None:
    """Add a key, or replace the one with the same id."""
    _write.run(connection, asdict(key))


def add(connection: Connection, key: Key) -> None:
    """A new key. Raises `NameTaken`."""
    if connection.execute(select(_K.id).where((_K.name == key.name) | (_K.id == key.name))).first() is not None:
        raise NameTaken
    keep(connection, key)


def every(connection: Connection) -> list[Key]:
    """All keys, the newest first."""
    found = select(admin_keys).order_by(_K.created_at.desc(), _K.id.desc())
    return [
        Key(row.id, row.name, Scope(row.scope), row.hash, row.created_at, row.last_used_at)
        for row in connection.execute(found)
    ]


def revoke(connection: Connection, id_or_name: str, *, other_admin: bool) -> Key | None:
    """Take a key away; None when there is no such key. `other_admin`: an admin key stands outside this table, so
    that the last one in it may go. Raises `LastAdmin`."""
    keys = every(connection)
    found = next((key for key in keys if id_or_name in (key.id, key.name)), None)
    if found is None:
        return None
    admins = [key for key in keys if key.scope is Scope.ADMIN]
    if admins == [found] and not other_admin:
        raise LastAdmin
    connection.execute(admin_keys.delete().where(_K.id == found.id))
    return found


def note_used(connection: Connection, used: Mapping[str, datetime]) -> None:
    """When keys were last used, by id."""
    for key_id, at in used.items():
        connection.execute(_used, {"b_id": key_id, "at": at})
