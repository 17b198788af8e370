"""The database as the rest of the program sees it: `write`, `post`, `read`, nothing else.

All three take a plain function of a SQLAlchemy `Connection`. `write` returns once what the function did is
durable, together with whoever else was waiting (see `writer`). `post` is for what nobody waits for. `read` runs
on a connection of its own and sees one snapshot. All commits of the program happen here.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection, Engine, func, inspect, select
from sqlalchemy.ext.asyncio import AsyncEngine

from justtrades.store import engines
from justtrades.store.ids import Clock, Ids
from justtrades.store.tables import Audit, Signal
from justtrades.store.writer import QUEUE_LIMIT, InlineWriter, Job, NotDurable, TaskWriter, ThreadWriter, Writer

__all__ = ["Database", "NotDurable"]

T = TypeVar("T")


class Database:
    """One database, opened once. Close it: the log is folded back and everything waiting is committed.

    `inline` runs every work in the event loop itself, without threads, in the order they are asked for: slow
    under load and exactly repeatable. An in-memory SQLite database needs it.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        inline: bool = False,
        queue_limit: int = QUEUE_LIMIT,
        rng: random.Random | None = None,
    ) -> None:
        self.url = engines.parse(url)
        self.ids = Ids(clock, rng)
        self._clock = clock
        self._inline = inline
        self._limit = queue_limit
        self._writer: Writer | None = None
        self._lifetime = AsyncExitStack()
        self._readers: Engine | AsyncEngine | None = None
        self._pool: ThreadPoolExecutor | None = None
        if engines.in_memory(self.url) and not inline:
            raise ValueError("an in-memory database lives on one connection: open it inline")
        if inline and not engines.is_sqlite(self.url):
            raise ValueError("only SQLite runs inline")

    async def open(self) -> None:
        """NotTrustworthy when the database would not keep what it commits; its own error when it cannot open."""
        async with AsyncExitStack() as stack:
            if engines.is_sqlite(self.url):
                await self._open_sqlite(stack)
            else:
                await self._open_postgres(stack)
            for made in await self.read(_newest_ids):
                self.ids.rise_above(made)
            self._lifetime = stack.pop_all()

    async def close(self) -> None:
        """Commit what waits, fold the log back, let go of the files."""
        await self._lifetime.aclose()
        self._writer = None

    def now(self) -> datetime:
        return self._clock()

    def new_id(self) -> str:
        """An id that is greater than all before it (see `ids`)."""
        return self.ids.new()

    @property
    def waiting(self) -> int:
        """How many writes wait at this moment."""
        return self._open_writer().waiting

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction; returns its value once durable. Raises `NotDurable`, or what it raises.

        `work` may be run twice (see `writer`): it touches its connection and nothing else.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._open_writer().put(Job(work, future))
        return await future

    def post(
        self, work: Callable[[Connection], object], done: Callable[[Exception | None], None] | None = None
    ) -> None:
        """Enqueue `work` and go on. `done` hears on the event loop how it went; without it an error is logged.

        Raises `NotDurable` when too much already waits.
        """
        self._open_writer().put(Job(work, done=done))

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on one snapshot of the database. It cannot write."""
        readers = self._readers
        if isinstance(readers, AsyncEngine):
            async with readers.connect() as connection:
                return await connection.run_sync(work)
        if readers is None:
            raise RuntimeError("the database is not open")
        if self._pool is None:
            return _read(readers, work)
        return await asyncio.get_running_loop().run_in_executor(self._pool, _read, readers, work)

    def _open_writer(self) -> Writer:
        if self._writer is None:
            raise RuntimeError("the database is not open")
        return self._writer

    async def _open_sqlite(self, stack: AsyncExitStack) -> None:
        memory = engines.in_memory(self.url)
        engine = engines.sqlite_writer(self.url)
        stack.callback(engine.dispose)
        connection = await self._away(_open_connection, engine, memory)
        stack.callback(connection.close)
        if not memory:
            stack.push_async_callback(self._away, engines.truncate_wal, connection)
        self._open_readers(stack, engine)
        loop = asyncio.get_running_loop()
        self._writer = InlineWriter(connection) if self._inline else ThreadWriter(connection, loop, self._limit)
        stack.push_async_callback(self._writer.close)

    def _open_readers(self, stack: AsyncExitStack, writer: Engine) -> None:
        if engines.in_memory(self.url):
            self._readers = writer
            return
        self._readers = engines.sqlite_readers(self.url)
        stack.callback(self._readers.dispose)
        if not self._inline:
            self._pool = ThreadPoolExecutor(engines.READERS, thread_name_prefix="justtrades-reader")
            stack.callback(self._pool.shutdown)

    async def _open_postgres(self, stack: AsyncExitStack) -> None:
        self._readers = engine = engines.postgres(self.url)
        stack.push_async_callback(engine.dispose)
        connection = await stack.enter_async_context(engine.connect())
        await connection.run_sync(engines.assert_postgres)
        await connection.rollback()
        self._writer = TaskWriter(connection, self._limit)
        stack.push_async_callback(self._writer.close)

    async def _away(self, call: Callable[..., T], *arguments: object) -> T:
        """In a thread, unless everything runs inline: folding a long log back may take a second."""
        return call(*arguments) if self._inline else await asyncio.to_thread(call, *arguments)


def _open_connection(engine: Engine, memory: bool) -> Connection:
    connection = engine.connect()
    try:
        engines.assert_sqlite(connection, memory=memory)
        connection.rollback()
        if not memory:
            engines.truncate_wal(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _newest_ids(connection: Connection) -> list[str]:
    """The last ids given before this start; none in a database without a schema."""
    found = [
        connection.execute(select(func.max(row.id))).scalar()
        for row in (Signal, Audit)
        if inspect(connection).has_table(row.__tablename__)
    ]
    return [made for made in found if made is not None]


def _read(engine: Engine, work: Callable[[Connection], T]) -> T:
    with engine.connect() as connection:
        return work(connection)
