"""One writer per database: whatever waits is committed together.

A durable commit costs one flush of the disk however much is in it. So the first to come goes at once, and all
who come while it is being flushed share the next commit; nothing ever waits on a timer. In a group each work
runs in order inside one transaction. When one of them raises, the group is rolled back and each is run again
alone, so that a bad one fails only itself. A work may therefore run twice and must touch nothing but its
connection.

What a database failure (disk full, locked, gone) leaves undone is told as `NotDurable`: it is not known to be
kept. The writer itself goes on and tries the next group.

Three shells around the same `commit_group`: a thread (SQLite), a task (PostgreSQL), and none at all (inline,
for simulations that must run the same way twice). A waiter that is cancelled loses only its answer.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection

log = logging.getLogger(__name__)

GROUP_LIMIT: Final = 200
QUEUE_LIMIT: Final = 10_000

Work = Callable[[Connection], Any]


class NotDurable(Exception):
    """The write is not known to be kept: the database failed, is full, or too much already waits."""


@dataclass(slots=True)
class Job:
    """One work and who wants to hear of it: a waiter's future, or a callback that takes the error or None."""

    work: Work
    future: asyncio.Future[Any] | None = None
    done: Callable[[Exception | None], None] | None = None

    def settle(self, result: Settled) -> None:
        """On the event loop: tell whoever still listens."""
        if self.future is not None:
            self._answer(self.future, result)
        elif self.done is not None:
            self.done(result.error)
        elif result.error is not None:
            log.error("a write that nobody waited for failed: %s", result.error)

    def _answer(self, future: asyncio.Future[Any], result: Settled) -> None:
        if future.done():
            return  # the waiter was cancelled; its write is kept all the same
        if result.error is None:
            future.set_result(result.value)
        else:
            future.set_exception(result.error)


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one work: its value, or its error."""

    value: Any = None
    error: Exception | None = None


class Writer(Protocol):
    """Takes jobs, settles each on the event loop once it is committed or failed."""

    def put(self, job: Job) -> None:
        """NotDurable when too much already waits."""

    async def close(self) -> None:
        """Commits everything that waits, then ends."""

    @property
    def waiting(self) -> int: ...


# ── the transaction ──────────────────────────────────────────────────────────────────────────────────────


def commit_group(connection: Connection, jobs: Sequence[Job]) -> list[Settled]:
    """Run the works in order in one transaction; if one raises, each alone. Never raises."""
    if len(jobs) > 1:
        try:
            return _together(connection, jobs)
        except NotDurable as error:
            return [Settled(error=error)] * len(jobs)
        except Exception as error:
            # Rolled back. Run alone, the one at fault is told its own error and the others succeed.
            log.debug("a group of %d is run one by one: %s", len(jobs), type(error).__name__)
    return _each_alone(connection, jobs)


def _each_alone(connection: Connection, jobs: Sequence[Job]) -> list[Settled]:
    settled: list[Settled] = []
    for job in jobs:
        try:
            settled += _together(connection, (job,))
        except NotDurable as error:
            # The database itself failed: the rest would only wait for the same answer.
            return settled + [Settled(error=error)] * (len(jobs) - len(settled))
        except Exception as error:  # whatever it is, it belongs to this work's waiter
            settled.append(Settled(error=_told(error)))
    return settled


def _together(connection: Connection, jobs: Sequence[Job]) -> list[Settled]:
    """One transaction. Raises what a work raises (rolled back), NotDurable when begin or commit fails."""
    try:
        transaction = connection.begin()
    except Exception as error:
        _rollback(connection)
        raise _not_durable(error) from error
    try:
        settled = [Settled(job.work(connection)) for job in jobs]
    except BaseException:
        _rollback(connection)
        raise
    try:
        transaction.commit()
    except Exception as error:
        _rollback(connection)
        raise _not_durable(error) from error
    return settled


def _rollback(connection: Connection) -> None:
    try:
        connection.rollback()
    except Exception as error:
        # The connection is broken: drop it, the next begin opens another.
        log.warning("rollback failed, the connection is dropped: %s", type(error).__name__)
        connection.invalidate()


def _told(error: Exception) -> Exception:
    """A failing database becomes NotDurable; a work's own error stays what it is."""
    if isinstance(error, (OperationalError, InterfaceError, InternalError, PoolTimeout, OSError)):
        return _not_durable(error)
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return _not_durable(error)
    return error


def _not_durable(error: Exception) -> NotDurable:
    # The driver's own sentence: SQLAlchemy's would carry the statement and its values.
    cause = error.orig if isinstance(error, DBAPIError) else error
    told = NotDurable(f"not durable: {type(cause).__name__}: {cause}")
    told.__cause__ = error
    return told


# ── shells ───────────────────────────────────────────────────────────────────────────────────────────────


class InlineWriter:
    """Runs each work at once, where it stands."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def waiting(self) -> int:
        return 0

    def put(self, job: Job) -> None:
        job.settle(commit_group(self._connection, (job,))[0])

    async def close(self) -> None:
        return None


class ThreadWriter:
    """A thread that owns the connection; the event loop hears of each group once."""

    def __init__(self, connection: Connection, loop: asyncio.AbstractEventLoop, limit: int) -> None:
        self._connection = connection
        self._loop = loop
        self._limit = limit
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="justtrades-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    def put(self, job: Job) -> None:
        if self._queue.qsize() >= self._limit:
            raise NotDurable(f"not durable: {self._limit} writes already wait")
        self._queue.put(job)

    async def close(self) -> None:
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        going = True
        while going:
            jobs, going = self._take()
            if jobs:
                self._tell(jobs, commit_group(self._connection, jobs))

    def _take(self) -> tuple[list[Job], bool]:
        """Everything that waits, up to a group; False at the end of the queue's life."""
        job = self._queue.get()
        jobs: list[Job] = []
        while job is not None:
            jobs.append(job)
            if len(jobs) == GROUP_LIMIT or self._queue.empty():
                return jobs, True
            job = self._queue.get()
        return jobs, False

    def _tell(self, jobs: list[Job], results: list[Settled]) -> None:
        try:
            self._loop.call_soon_threadsafe(_settle_all, jobs, results)
        except RuntimeError:
            log.warning("the event loop ended before %d writes could be answered; they are kept", len(jobs))


class TaskWriter:
    """A task that owns an asyncpg connection; one round trip per statement, one commit per group."""

    def __init__(self, connection: AsyncConnection, limit: int) -> None:
        self._connection = connection
        self._queue: asyncio.Queue[Job | None] = asyncio.Queue()
        self._limit = limit
        self._task = asyncio.create_task(self._run(), name="justtrades-writer")

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    def put(self, job: Job) -> None:
        if self._queue.qsize() >= self._limit:
            raise NotDurable(f"not durable: {self._limit} writes already wait")
        self._queue.put_nowait(job)

    async def close(self) -> None:
        self._queue.put_nowait(None)
        await self._task

    async def _run(self) -> None:
        going = True
        while going:
            jobs, going = await self._take()
            if jobs:
                _settle_all(jobs, await self._connection.run_sync(commit_group, jobs))

    async def _take(self) -> tuple[list[Job], bool]:
        job = await self._queue.get()
        jobs: list[Job] = []
        while job is not None:
            jobs.append(job)
            if len(jobs) == GROUP_LIMIT or self._queue.empty():
                return jobs, True
            job = self._queue.get_nowait()
        return jobs, False


def _settle_all(jobs: Sequence[Job], results: Sequence[Settled]) -> None:
    for job, result in zip(jobs, results, strict=True):
        job.settle(result)
