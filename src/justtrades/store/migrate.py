"""The schema: brought to the newest at start, checked, and copied away.

The scripts lie in `alembic/` of the repository and, in an installed package, beside this module. They run on
a connection and in a transaction of ours, so on both databases a migration happens wholly or not at all.

Alembic is loaded only when there is something to do: a start on the newest schema does without.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine import URL

from justtrades.store import engines

if TYPE_CHECKING:
    from alembic.config import Config

T = TypeVar("T")

HEAD: Final = "0006"
"""The newest revision among the scripts."""
_HERE: Final = Path(__file__).resolve().parent


class NewerSchema(Exception):
    """The database was written by a newer version of this program; going on could lose what it added."""


def scripts() -> Path:
    """Where the migrations are: in the installed package, else in the repository around the source tree."""
    for place in (_HERE / "alembic", _HERE.parents[2] / "alembic"):
        if (place / "env.py").is_file():
            return place
    raise FileNotFoundError("the migrations are missing from this installation")


async def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database to the newest schema (or another). Raises `NewerSchema`."""
    await on_connection(url, lambda connection: _upgrade(connection, revision))


async def downgrade(url: str, revision: str) -> None:
    """Back to an earlier schema; `base` empties the database."""
    await on_connection(url, lambda connection: _downgrade(connection, revision))


async def revision(url: str) -> str | None:
    """The schema the database has; None: none yet."""
    return await on_connection(url, _current)


async def check(url: str) -> list[str]:
    """What is wrong with the database, one sentence each; empty when nothing is."""
    return await on_connection(url, _problems)


def is_newest(connection: Connection) -> bool:
    return _current(connection) == HEAD


async def backup(url: str, path: Path) -> None:
    """A consistent copy of a running SQLite database. ValueError on PostgreSQL, which has `pg_dump`."""
    parsed = engines.parse(url)
    if not engines.is_sqlite(parsed) or engines.in_memory(parsed):
        raise ValueError("only an SQLite file is copied here; PostgreSQL has pg_dump")
    await asyncio.to_thread(_copy, Path(str(parsed.database)), path)


async def on_connection(url: str, work: Callable[[Connection], T]) -> T:
    """Run `work` in one transaction on a fresh connection to `url`."""
    parsed = engines.parse(url)
    if engines.is_sqlite(parsed):
        return await asyncio.to_thread(_on_sqlite, parsed, work)
    engine = engines.postgres(parsed)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


def create(connection: Connection) -> None:
    """The newest schema on a connection of the caller's, inside its transaction: for databases in memory."""
    _upgrade(connection, "head")


def _on_sqlite(url: URL, work: Callable[[Connection], T]) -> T:
    engine = engines.sqlite_writer(url)
    try:
        with engine.begin() as connection:
            return work(connection)
    finally:
        engine.dispose()


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection, revision: str) -> None:
    current = _current(connection)
    if current == HEAD and revision in ("head", HEAD):
        return
    from alembic.script import ScriptDirectory

    from alembic import command

    config = _config(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise NewerSchema(f"the database has schema {current}, which this version does not know")
    command.upgrade(config, revision)


def _downgrade(connection: Connection, revision: str) -> None:
    from alembic import command

    command.downgrade(_config(connection), revision)


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _problems(connection: Connection) -> list[str]:
    found = _sqlite_problems(connection) if connection.dialect.name == "sqlite" else _ping(connection)
    current = _current(connection)
    if current != HEAD:
        found.append(f"the schema is {current or 'missing'}, the newest is {HEAD}: run `justtrades db upgrade`")
    return found


def _sqlite_problems(connection: Connection) -> list[str]:
    integrity = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
    orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    problems = [f"integrity: {line}" for line in integrity if line != "ok"]
    return problems + [f"a row of {row[0]} points to a missing row of {row[2]}" for row in orphans]


def _ping(connection: Connection) -> list[str]:
    connection.execute(text("SELECT 1"))
    return []


def _copy(source: Path, target: Path) -> None:
    if not source.is_file():
        raise FileNotFoundError(f"{source} does not exist")
    if target.exists():
        raise FileExistsError(f"{target} exists already")
    with closing(sqlite3.connect(source)) as origin, closing(sqlite3.connect(target)) as copy:
        origin.backup(copy)
