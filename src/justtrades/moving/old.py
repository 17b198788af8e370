"""The old database, read as what it is: a file of somebody else's making.

It is opened read only and never written, also not by SQLite itself. Only plain tables are read (a view could run for
ever), only so many rows, no value longer than a megabyte, and whatever a column holds is kept as it came: SQLite
lets a column that is called REAL hold a text.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

TABLES: Final = ("recorders", "recorded_trades", "recorder_positions")
ROWS: Final = 200_000
_LONGEST: Final = 1_000_000
_STEPS: Final = 200_000_000

Row = dict[str, Any]


class NotReadable(Exception):
    """No SQLite database, or one that cannot be read; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Old:
    """`tables` by name, columns in small letters; a row that has no `id` of its own gets SQLite's row number.
    `missing` tables are not there, `others` are there and not read."""

    tables: dict[str, list[Row]]
    columns: dict[str, tuple[str, ...]]
    missing: tuple[str, ...]
    others: tuple[str, ...]
    cut: tuple[str, ...] = field(default=())
    """Tables with more rows than are read."""


def read(path: Path) -> Old:
    """Raises `NotReadable`."""
    if not path.is_file():
        raise NotReadable(f"there is no file {path}")
    try:
        with _opened(path) as database:
            return _read(database)
    except sqlite3.Error as error:
        raise NotReadable(f"{path} cannot be read as an SQLite database ({_told(error)})") from None


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """With what its log still holds; a file in a place that cannot be written is read without it."""
    try:
        with _connected(path, "mode=ro") as database:
            database.execute("SELECT count(*) FROM sqlite_master").fetchone()
            yield database
    except sqlite3.OperationalError as error:
        if "unable to open" not in str(error) and "readonly" not in str(error):
            raise
        with _connected(path, "immutable=1") as database:
            yield database


@contextmanager
def _connected(path: Path, how: str) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True, timeout=5)) as database:
        database.text_factory = lambda raw: raw.decode("utf-8", "replace")
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
        database.execute("PRAGMA trusted_schema=OFF")
        database.execute("PRAGMA query_only=ON")
        steps = iter(range(_STEPS // 10_000))
        database.set_progress_handler(lambda: next(steps, None) is None, 10_000)
        yield database


def _read(database: sqlite3.Connection) -> Old:
    named = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    there = {str(name).lower(): str(name) for (name,) in named if not str(name).startswith("sqlite_")}
    tables: dict[str, list[Row]] = {}
    columns: dict[str, tuple[str, ...]] = {}
    cut: list[str] = []
    for wanted in TABLES:
        if wanted not in there:
            continue
        rows, names = _rows(database, there[wanted])
        if len(rows) > ROWS:
            cut.append(wanted)
        tables[wanted], columns[wanted] = rows[:ROWS], names
    missing = tuple(name for name in TABLES if name not in there)
    others = tuple(sorted(original for name, original in there.items() if name not in TABLES))
    return Old(tables, columns, missing, others, tuple(cut))


def _rows(database: sqlite3.Connection, name: str) -> tuple[list[Row], tuple[str, ...]]:
    quoted = name.replace('"', '""')
    names = tuple(str(row[1]).lower() for row in database.execute(f'PRAGMA table_info("{quoted}")'))
    numbered = "rowid, " if "id" not in names else ""
    found = database.execute(f'SELECT {numbered}* FROM "{quoted}" LIMIT {ROWS + 1}')  # noqa: S608,RUF100 - quoted above
    keys = (*(("id",) if numbered else ()), *names)
    return [dict(zip(keys, row, strict=True)) for row in found], names


def _told(error: sqlite3.Error) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
