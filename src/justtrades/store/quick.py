"""A statement of a hot path, on SQLite handed straight to the driver.

A step of a lane is some ten small statements. SQLAlchemy takes ten times as long to find, fill in and wrap each of
them as SQLite takes to run it, and does so under the interpreter's lock, in everybody's way. So the SQL is compiled
once for each set of columns, and what remains is to convert the values (by the columns' own types) and to run it.
The transaction is SQLAlchemy's as ever, and so are the errors. On PostgreSQL it is an ordinary statement.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from sqlalchemy import Connection, Select
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.types import TypeEngine

Values = Mapping[str, Any]
Convert = Callable[[Any], Any] | None

_SQLITE: Final[Any] = sqlite.dialect()


class Quick:
    """One statement for both databases, or one for each where they differ."""

    def __init__(self, statement: UpdateBase | Select[Any], other: UpdateBase | None = None) -> None:
        """`other` is PostgreSQL's."""
        self._statement = statement
        self._other = statement if other is None else other
        self._compiled: dict[tuple[str, ...], _Compiled] = {}
        self._results: tuple[Convert, ...] = ()
        if isinstance(statement, Select):
            self._results = tuple(_from_row(column.type) for column in statement.selected_columns)

    def run(self, connection: Connection, values: Values) -> int:
        """How many rows it changed."""
        if connection.dialect.name != "sqlite":
            return connection.execute(self._other, values).rowcount
        return self._on_sqlite(connection, values).rowcount

    def run_all(self, connection: Connection, rows: Sequence[Values]) -> None:
        """For each of the rows, which name the same columns; for none, nothing."""
        if len(rows) == 1:
            self.run(connection, rows[0])
        elif rows and connection.dialect.name != "sqlite":
            connection.execute(self._other, rows)
        elif rows:
            compiled = self._for(tuple(rows[0]))
            driver = _driver(connection)
            _told(compiled.text, lambda: driver.executemany(compiled.text, map(compiled.arguments, rows)))

    def rows(self, connection: Connection, values: Values) -> list[tuple[Any, ...]]:
        """What a select finds."""
        if connection.dialect.name != "sqlite":
            return [tuple(row) for row in connection.execute(self._statement, values)]
        found = self._on_sqlite(connection, values).fetchall()
        if not any(self._results):
            return found
        return [
            tuple(convert(value) if convert else value for convert, value in zip(self._results, row, strict=True))
            for row in found
        ]

    def _on_sqlite(self, connection: Connection, values: Values) -> sqlite3.Cursor:
        compiled = self._for(tuple(values))
        driver = _driver(connection)
        return _told(compiled.text, lambda: driver.execute(compiled.text, compiled.arguments(values)))

    def _for(self, names: tuple[str, ...]) -> _Compiled:
        found = self._compiled.get(names)
        if found is None:
            found = self._compiled[names] = _Compiled(self._statement, names)
        return found


class _Compiled:
    """SQL for values of these names, and how each becomes an argument."""

    def __init__(self, statement: UpdateBase | Select[Any], names: tuple[str, ...]) -> None:
        keys = None if isinstance(statement, Select) else [*names]
        made = statement.compile(dialect=_SQLITE, column_keys=keys)
        if "POSTCOMPILE" in made.string:
            raise ValueError("a list of unknown length is no part of a quick statement")
        self.text = made.string
        fixed = made.params
        self._parts: list[tuple[str | None, Convert, Any]] = []
        for name in made.positiontup or ():
            convert = _to_argument(made.binds[name].type)
            value = fixed[name] if name not in names else None
            self._parts.append((name if name in names else None, convert, convert(value) if convert else value))

    def arguments(self, values: Values) -> list[Any]:
        return [
            fixed if name is None else values[name] if convert is None else convert(values[name])
            for name, convert, fixed in self._parts
        ]


def _driver(connection: Connection) -> sqlite3.Connection:
    if not connection.in_transaction():
        connection.begin()
    return cast(sqlite3.Connection, connection.connection.driver_connection)


def _told(text: str, run: Callable[[], sqlite3.Cursor]) -> sqlite3.Cursor:
    """The driver's errors as SQLAlchemy tells them, without the values."""
    try:
        return run()
    except sqlite3.Error as error:
        raise DBAPIError.instance(text, None, error, sqlite3.Error, hide_parameters=True, dialect=_SQLITE) from error


def _to_argument(kind: TypeEngine[Any]) -> Convert:
    return kind.dialect_impl(_SQLITE).bind_processor(_SQLITE)


def _from_row(kind: TypeEngine[Any]) -> Convert:
    return kind.dialect_impl(_SQLITE).result_processor(_SQLITE, None)
