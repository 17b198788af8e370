"""Databases for the store's tests: the same claims are made of SQLite and of a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from justtrades.store import migrate
from justtrades.store.session import Database
from tests import newest

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


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{(tmp_path / 'store.db').as_posix()}"


EACH_KIND = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(params=EACH_KIND)
def url(request: pytest.FixtureRequest) -> str:
    """An empty database of each kind."""
    address: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return address


@pytest.fixture(params=EACH_KIND)
def newest_url(request: pytest.FixtureRequest) -> str:
    """A database of each kind, with the newest schema."""
    address: str = request.getfixturevalue("sqlite_newest_url" if request.param == "sqlite" else "postgres_newest_url")
    return address


@pytest.fixture
async def sqlite_newest_url(sqlite_url: str) -> str:
    await migrate.on_connection(sqlite_url, newest.create)
    return sqlite_url


@pytest.fixture
async def db(newest_url: str, clock: Clock) -> AsyncIterator[Database]:
    """An open database with the newest schema, of each kind."""
    database = Database(newest_url, clock=clock)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def lite(sqlite_newest_url: str, clock: Clock) -> AsyncIterator[Database]:
    """An open SQLite database with the newest schema."""
    database = Database(sqlite_newest_url, clock=clock)
    await database.open()
    yield database
    await database.close()
