"""Durable rows with the least there is: one SQLite connection, one thread, and whoever waits shares a commit.

WAL and `synchronous=FULL`, as in the engine; the plain driver, prepared statements, no ORM and no checks.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from typing import Any

Waiting = tuple[str, tuple[Any, ...], asyncio.Future[None]]


class Grouped:
    """`write` returns once the row is on disk."""

    def __init__(self, path: str, *tables: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", *tables):
            self._db.execute(statement)
        assert self._db.execute("PRAGMA synchronous").fetchone() == (2,)
        self._thread = threading.Thread(target=self._run, name="grouped", daemon=True)
        self._thread.start()

    async def write(self, statement: str, row: tuple[Any, ...]) -> None:
        done: asyncio.Future[None] = self._loop.create_future()
        self._queue.put((statement, row, done))
        await done

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()
        self._db.close()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            group = [first]
            while not self._queue.empty() and (following := self._queue.get()) is not None:
                group.append(following)
            self._commit(group)
            self._loop.call_soon_threadsafe(_settle, group)

    def _commit(self, group: list[Waiting]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        for statement, row, _ in group:
            self._db.execute(statement, row)
        self._db.execute("COMMIT")


def _settle(group: list[Waiting]) -> None:
    for *_, done in group:
        if not done.done():
            done.set_result(None)
