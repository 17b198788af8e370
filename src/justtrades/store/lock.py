"""One engine per database: two would each plan for the same lanes.

SQLite: a lock on a file beside the database, which the operating system lets go of with the process, however it
ends. PostgreSQL: an advisory lock held by a connection of its own; when that connection is lost so is the lock,
and `lost` says so.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from filelock import BaseFileLock, FileLock, Timeout
from sqlalchemy import text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from justtrades.store import engines

_KEY: Final = 0x6A74_7264
"""The advisory lock's number: "jtrd" in ASCII. Advisory locks are per database."""


class EngineLocked(Exception):
    """Another engine runs on this database."""


class EngineLock:
    """Taken for as long as an engine runs: `async with EngineLock(url): …`. Raises `EngineLocked`."""

    def __init__(self, url: str) -> None:
        self._url = engines.parse(url)
        self.lost = asyncio.Event()
        """Set when the lock was lost while held: another engine may start, so this one must end."""
        self._file: BaseFileLock | None = None
        self._engine: AsyncEngine | None = None
        self._connection: AsyncConnection | None = None

    async def __aenter__(self) -> EngineLock:
        if not engines.is_sqlite(self._url):
            await self._lock_postgres()
        elif not engines.in_memory(self._url):
            self._lock_file(f"{self._url.database}.lock")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.release()
        await self._close()

    def _lock_file(self, path: str) -> None:
        self._file = FileLock(path, timeout=0)
        try:
            self._file.acquire()
        except Timeout:
            self._file = None
            raise EngineLocked(f"another engine runs on this database ({path} is locked)") from None

    async def _lock_postgres(self) -> None:
        self._engine = _engine(self._url)
        try:
            self._connection = await self._engine.connect()
            taken = await self._connection.scalar(text(f"SELECT pg_try_advisory_lock({_KEY})"))
            await self._connection.commit()
            if not taken:
                raise EngineLocked("another engine runs on this database (its advisory lock is taken)")
            await self._watch(self._connection)
        except BaseException:
            await self._close()
            raise

    async def _watch(self, connection: AsyncConnection) -> None:
        raw = await connection.get_raw_connection()
        driver: Any = raw.driver_connection
        driver.add_termination_listener(lambda _: self.lost.set())

    async def _close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
        if self._engine is not None:
            await self._engine.dispose()
        self._connection = self._engine = None


def _engine(url: URL) -> AsyncEngine:
    return create_async_engine(url, pool_size=1, max_overflow=0)
