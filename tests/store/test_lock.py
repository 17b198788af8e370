"""One engine per database, on both kinds."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from justtrades.store import engines
from justtrades.store.lock import EngineLock, EngineLocked


async def test_a_second_engine_is_refused_until_the_first_ends(url: str) -> None:
    async with EngineLock(url):
        with pytest.raises(EngineLocked, match="another engine"):
            async with EngineLock(url):
                pass
    async with EngineLock(url):
        pass


@pytest.mark.postgres
async def test_a_lock_that_is_lost_says_so(postgres_url: str) -> None:
    engine = engines.postgres(engines.parse(postgres_url))
    others = text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype='advisory'")
    async with EngineLock(postgres_url) as lock:
        assert not lock.lost.is_set()
        async with engine.connect() as connection:
            await connection.execute(others)
        await asyncio.wait_for(lock.lost.wait(), 10)
    await engine.dispose()


async def test_a_database_in_memory_needs_no_lock() -> None:
    async with EngineLock("sqlite+aiosqlite://"), EngineLock("sqlite+aiosqlite://"):
        pass
