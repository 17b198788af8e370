"""Statements that both databases know under one name but two classes: insert … on conflict.

A statement is built once for each database at import, so that running it costs no building, and SQLAlchemy's
cache finds its SQL at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

Insert = sqlite.Insert | postgresql.Insert


class Upsert:
    """An insert for either database: `connection.execute(upsert.on(connection), values)`."""

    def __init__(self, into: Table, conflict: Callable[[Insert], Insert]) -> None:
        self._built: dict[str, Insert] = {
            "sqlite": conflict(sqlite.insert(into)),
            "postgresql": conflict(postgresql.insert(into)),
        }

    def on(self, connection: Connection) -> Insert:
        return self._built[connection.dialect.name]


def insert_or_ignore(into: Table) -> Upsert:
    """A row whose key is there already stays as it is."""
    return Upsert(into, lambda insert: insert.on_conflict_do_nothing())


def insert_or_update(into: Table, key: Iterable[str], keep: Iterable[str] = ()) -> Upsert:
    """A row whose `key` is there already takes the new values, except of the columns to `keep`."""
    columns = tuple(key)
    kept = {*columns, *keep, *(c.name for c in into.primary_key if c.autoincrement is True)}
    names = [c.name for c in into.columns if c.name not in kept and c.name != "number"]

    def conflict(insert: Insert) -> Insert:
        return insert.on_conflict_do_update(
            index_elements=columns, set_={name: insert.excluded[name] for name in names}
        )

    return Upsert(into, conflict)
