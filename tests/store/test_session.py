"""The one writer: durable in order, shared commits, and nobody pays for another's mistake."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, event, select, text
from sqlalchemy.exc import IntegrityError

from justtrades.store import engines
from justtrades.store.session import Database, NotDurable
from tests.store.conftest import Clock

things = Table("things", MetaData(), Column("number", Integer, primary_key=True), Column("name", Text))


def add(number: int, name: str = "") -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        connection.execute(things.insert(), {"number": number, "name": name})
        return number

    return work


def fail(_: Connection) -> None:
    raise ValueError("this work is bad")


async def numbers(db: Database) -> list[int]:
    return list(await db.read(lambda c: c.execute(select(things.c.number).order_by(things.c.number)).scalars().all()))


@pytest.fixture
async def table(db: Database) -> Database:
    await db.write(things.create)
    return db


@pytest.fixture
async def lite_table(lite: Database) -> Database:
    await lite.write(things.create)
    return lite


async def test_a_write_returns_its_value_once_others_can_read_it(table: Database) -> None:
    assert await table.write(add(7)) == 7
    assert await numbers(table) == [7]


async def test_works_run_in_the_order_they_were_asked_for(table: Database) -> None:
    order: list[int] = []

    def note(number: int) -> Callable[[Connection], None]:
        return lambda _: order.append(number)

    await asyncio.gather(*(table.write(note(n)) for n in range(50)))
    assert order == list(range(50))


async def test_one_bad_work_fails_alone_in_its_group(table: Database) -> None:
    results = await asyncio.gather(table.write(add(1)), table.write(fail), table.write(add(2)), return_exceptions=True)
    assert results[0] == 1
    assert isinstance(results[1], ValueError)
    assert results[2] == 2
    assert await numbers(table) == [1, 2]


async def test_a_broken_constraint_is_told_to_its_own_waiter_only(table: Database) -> None:
    await table.write(add(1))
    results = await asyncio.gather(table.write(add(1)), table.write(add(2)), return_exceptions=True)
    assert isinstance(results[0], IntegrityError)
    assert results[1] == 2


async def test_half_of_a_failed_work_is_never_kept(table: Database) -> None:
    def half(connection: Connection) -> None:
        add(1)(connection)
        fail(connection)

    with pytest.raises(ValueError, match="bad"):
        await table.write(half)
    assert await numbers(table) == []


async def test_those_who_wait_share_one_commit(lite_table: Database) -> None:
    commits: list[int] = []
    release = HeldUp()

    def counted(connection: Connection) -> None:
        event.listen(connection.engine, "commit", lambda _: commits.append(1))

    await lite_table.write(counted)
    first = asyncio.create_task(lite_table.write(release.wait))
    await release.begun()
    commits.clear()  # the commit of `counted` itself
    rest = [asyncio.create_task(lite_table.write(add(n))) for n in range(100)]
    await until(lambda: lite_table.waiting == 100)
    release.go()
    await asyncio.gather(first, *rest)
    assert len(commits) == 2


async def test_a_cancelled_waiter_loses_neither_its_write_nor_the_writer(lite_table: Database) -> None:
    release = HeldUp()
    first = asyncio.create_task(lite_table.write(release.wait))
    await release.begun()
    waiter = asyncio.create_task(lite_table.write(add(5)))
    await until(lambda: lite_table.waiting == 1)
    waiter.cancel()
    first.cancel()
    release.go()
    await asyncio.gather(waiter, first, return_exceptions=True)
    assert waiter.cancelled()
    assert await lite_table.write(add(6)) == 6
    assert await numbers(lite_table) == [5, 6]


async def test_a_full_queue_refuses_instead_of_growing(sqlite_url: str, clock: Clock) -> None:
    db = Database(sqlite_url, clock=clock, queue_limit=3)
    await db.open()
    release = HeldUp()
    first = asyncio.create_task(db.write(release.wait))
    await release.begun()
    rest = [asyncio.create_task(db.write(lambda _: None)) for _ in range(3)]
    await until(lambda: db.waiting == 3)
    with pytest.raises(NotDurable):
        await db.write(lambda _: None)
    with pytest.raises(NotDurable):
        db.post(lambda _: None)
    release.go()
    await asyncio.gather(first, *rest)
    await db.close()


async def test_a_post_is_written_without_waiting_and_tells_how_it_went(table: Database) -> None:
    told: list[Exception | None] = []
    table.post(add(3), told.append)
    table.post(fail, told.append)
    await table.write(lambda _: None)
    assert await numbers(table) == [3]
    assert told[0] is None
    assert isinstance(told[1], ValueError)


async def test_closing_commits_what_still_waits(sqlite_url: str, clock: Clock) -> None:
    db = Database(sqlite_url, clock=clock)
    await db.open()
    await db.write(things.create)
    waiting = [asyncio.create_task(db.write(add(n))) for n in range(20)]
    await asyncio.sleep(0)  # the tasks have asked
    await db.close()
    assert await asyncio.gather(*waiting) == list(range(20))


async def test_a_reader_cannot_write(lite_table: Database) -> None:
    with pytest.raises(Exception, match="readonly"):
        await lite_table.read(add(1))


async def test_a_read_sees_one_snapshot(lite_table: Database) -> None:
    loop = asyncio.get_running_loop()

    def twice(connection: Connection) -> tuple[int, int]:
        count = text("SELECT count(*) FROM things")
        before = connection.execute(count).scalar_one()
        asyncio.run_coroutine_threadsafe(lite_table.write(add(1)), loop).result(5)
        return before, connection.execute(count).scalar_one()

    assert await lite_table.read(twice) == (0, 0)
    assert await numbers(lite_table) == [1]


async def test_a_locked_database_rejects_the_waiters_and_the_writer_goes_on(
    lite_table: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lite_table.write(lambda c: c.exec_driver_sql("PRAGMA busy_timeout=1").close())
    blocker = sqlite3.connect(str(lite_table.url.database), isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    results = await asyncio.gather(*(lite_table.write(add(n)) for n in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [NotDurable] * 5
    assert "locked" in str(results[0])
    blocker.execute("ROLLBACK")
    blocker.close()
    assert await lite_table.write(add(9)) == 9
    assert await numbers(lite_table) == [9]


async def test_a_full_disk_rejects_the_waiters_and_the_writer_goes_on(lite_table: Database) -> None:
    pages = await lite_table.write(lambda c: c.exec_driver_sql("PRAGMA page_count").scalar_one())
    await lite_table.write(lambda c: c.exec_driver_sql(f"PRAGMA max_page_count={pages}").close())
    with pytest.raises(NotDurable, match="full"):
        await lite_table.write(add(1, "x" * 100_000))
    await lite_table.write(lambda c: c.exec_driver_sql("PRAGMA max_page_count=100000").close())
    assert await lite_table.write(add(2)) == 2
    assert await numbers(lite_table) == [2]


async def test_the_message_of_a_failure_holds_no_values(lite_table: Database) -> None:
    with pytest.raises(NotDurable) as told:
        await lite_table.write(lambda c: c.execute(text("INSERT INTO nowhere VALUES (:secret)"), {"secret": "hunter2"}))
    assert "hunter2" not in str(told.value)


@pytest.mark.postgres
async def test_a_lost_connection_rejects_the_waiters_and_the_writer_connects_again(
    postgres_url: str, clock: Clock
) -> None:
    db = Database(postgres_url, clock=clock)
    await db.open()
    await db.write(things.create)
    kill = text("SELECT pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(NotDurable):
        await db.write(lambda c: c.execute(kill).all())
    assert await db.write(add(1)) == 1
    assert await numbers(db) == [1]
    await db.close()


# ── what is asserted when a database is opened ───────────────────────────────────────────────────────────


async def test_sqlite_is_opened_with_wal_and_full_synchronisation(lite: Database) -> None:
    def settings(connection: Connection) -> list[Any]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names]

    assert await lite.write(settings) == ["wal", 2, 1, 5_000]


async def test_a_database_that_does_not_flush_is_not_opened(
    sqlite_url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "_prepare_writer", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    with pytest.raises(engines.NotTrustworthy, match="synchronous"):
        await Database(sqlite_url, clock=clock).open()


@pytest.mark.postgres
async def test_postgresql_is_opened_with_synchronous_commit(postgres_url: str, clock: Clock) -> None:
    db = Database(postgres_url, clock=clock)
    await db.open()
    assert await db.write(lambda c: c.execute(text("SHOW synchronous_commit")).scalar_one()) == "on"
    await db.close()


async def test_the_log_is_folded_back_when_the_database_is_closed(lite_table: Database) -> None:
    await lite_table.write(add(1, "x" * 100_000))
    await lite_table.close()
    assert size(Path(f"{lite_table.url.database}-wal")) == 0


def test_a_database_of_another_kind_is_refused(clock: Clock) -> None:
    with pytest.raises(ValueError, match="mysql"):
        Database("mysql+pymysql://localhost/x", clock=clock)


def test_a_database_in_memory_is_opened_inline_only(clock: Clock) -> None:
    with pytest.raises(ValueError, match="inline"):
        Database("sqlite+aiosqlite://", clock=clock)


@pytest.mark.parametrize("where", ["memory", "file"])
async def test_inline_every_work_is_done_before_anything_else_runs(where: str, sqlite_url: str, clock: Clock) -> None:
    db = Database("sqlite+aiosqlite://" if where == "memory" else sqlite_url, clock=clock, inline=True)
    await db.open()
    await db.write(things.create)
    db.post(add(1))
    assert await db.write(add(2)) == 2
    with pytest.raises(ValueError, match="bad"):
        await db.write(fail)
    assert await numbers(db) == [1, 2]
    await db.close()


async def test_a_closed_database_says_so(sqlite_url: str, clock: Clock) -> None:
    with pytest.raises(RuntimeError, match="not open"):
        await Database(sqlite_url, clock=clock).write(fail)


# ── holding the writer up ────────────────────────────────────────────────────────────────────────────────


class HeldUp:
    """A work that keeps the writer busy until it is let go."""

    def __init__(self) -> None:
        self._begun = threading.Event()
        self._go = threading.Event()

    def wait(self, _: Connection) -> None:
        self._begun.set()
        assert self._go.wait(10), "nobody let the writer go"

    async def begun(self) -> None:
        assert await asyncio.to_thread(self._begun.wait, 10)

    def go(self) -> None:
        self._go.set()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - what is waited for happens on the writer's thread
            await asyncio.sleep(0)


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
