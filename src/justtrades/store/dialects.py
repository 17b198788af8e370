"""Statements that both databases know under one name but two classes: insert … on conflict.

A statement is built once for each database at import. How it is run: see `quick`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite

from justtrades.store.quick import Quick

Insert = sqlite.Insert | postgresql.Insert


class Upsert(Quick):
    """An insert that says what becomes of a row whose key is there already."""

    def __init__(self, into: Table, conflict: Callable[[Insert], Insert]) -> None:
        super().__init__(conflict(sqlite.insert(into)), conflict(postgresql.insert(into)))


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
