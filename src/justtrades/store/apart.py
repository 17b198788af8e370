"""A look at the database from beside whoever runs on it: on a connection of its own, which cannot write.

It sees one snapshot and holds up nobody: a reader of SQLite's write-ahead log blocks no writer, nor does PostgreSQL's.
It blocks the thread that calls it, so the event loop sends it to one of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine import URL

from justtrades.store import engines

T = TypeVar("T")


def look(url: str, work: Callable[[Connection], T]) -> T:
    """What `work` returns, from one snapshot. Raises what the database raises."""
    parsed = engines.parse(url)
    if not engines.is_sqlite(parsed):
        return asyncio.run(_on_postgres(parsed, work))
    engine = engines.sqlite_readers(parsed)
    try:
        with engine.connect() as connection:
            return work(connection)
    finally:
        engine.dispose()


async def _on_postgres(url: URL, work: Callable[[Connection], T]) -> T:
    engine = engines.postgres(url)
    try:
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            return await connection.run_sync(work)
    finally:
        await engine.dispose()
