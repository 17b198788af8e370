"""Databases for the store's tests: the same claims are made of SQLite and of a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from justtrades.store import migrate
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
