"""The audit: before and after, in batches, without secrets, and only as much as is worth keeping."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from justtrades.broker.port import AuditId, Auditor, Exchange
from justtrades.store.audit import BODY_LIMIT, AuditLog, clean, prune
from justtrades.store.session import Database
from justtrades.store.tables import audit
from tests.store.conftest import START, Clock


def call(number: int | str, **fields: Any) -> Exchange:
    given: dict[str, Any] = {"method": "POST", "endpoint": "order/placeorder", **fields}
    return Exchange(AuditId(f"{number:0>26}"), START, **given)


async def rows(db: Database) -> list[Any]:
    return list(await db.read(lambda c: c.execute(select(audit).order_by(audit.c.id)).all()))


@pytest.fixture
def log(db: Database) -> AuditLog:
    return AuditLog(db, "paper")


async def test_it_is_the_auditor_the_broker_asks_for(log: AuditLog) -> None:
    auditor: Auditor = log
    assert auditor.new_id() < auditor.new_id()


async def test_a_call_written_before_is_completed_by_its_answer(db: Database, log: AuditLog) -> None:
    await log.before(call(1, request='{"qty":1}', signal_id="sig", order_id="ord"))
    (row,) = await rows(db)
    assert (row.status, row.response, row.request) == (None, None, '{"qty":1}')
    log.after(call(1, status=200, duration_ms=12.5, response='{"orderId":7}'))
    await log.drain()
    await db.write(lambda _: None)
    (row,) = await rows(db)
    assert (row.status, row.duration_ms, row.response) == (200, 12.5, '{"orderId":7}')
    assert (row.request, row.signal_id, row.order_id, row.connection_id) == ('{"qty":1}', "sig", "ord", "paper")


async def test_answers_that_come_while_one_is_written_share_a_batch_in_order(db: Database, log: AuditLog) -> None:
    for number in range(700):
        log.after(call(number, status=200))
    await log.drain()
    await db.write(lambda _: None)
    assert len(await rows(db)) == 700
    assert log.lost == 0


async def test_a_read_whose_answer_is_unchanged_keeps_only_its_hash(db: Database, log: AuditLog) -> None:
    for number, answer in enumerate(["[]", "[]", "[1]", "[]"]):
        log.after(call(number, method="GET", endpoint="order/list", status=200, response=answer))
    await log.drain()
    await db.write(lambda _: None)
    found = await rows(db)
    assert [row.response for row in found] == ["[]", None, "[1]", "[]"]
    assert found[0].response_hash == found[1].response_hash != found[2].response_hash


async def tried(log: AuditLog) -> None:
    """The database has answered to what was gathered, whatever it said."""
    async with asyncio.timeout(20):
        while log._timer is not None or log._writing:  # noqa: ASYNC110 - the log tells nobody when it has written
            await asyncio.sleep(0)


async def refused(log: AuditLog) -> None:
    """The database has answered that it takes nothing: what was gathered waits for its next try."""
    first = log._timer
    async with asyncio.timeout(20):
        while log._timer in (first, None):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)


async def once_refused(lite: Database) -> AuditLog:
    """A log whose first row the database did not take, since somebody else was writing; nobody is any more."""
    log = AuditLog(lite, "paper", flush_after=0, retry_after=0)
    await lite.write(lambda c: c.exec_driver_sql("PRAGMA busy_timeout=1").close())
    blocker = sqlite3.connect(str(lite.url.database), isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    log.after(call(1, status=200))
    await refused(log)
    with pytest.raises(Exception, match="locked"):
        await lite.write(lambda _: None)
    blocker.execute("ROLLBACK")
    blocker.close()
    return log


async def test_rows_the_database_refused_are_written_later(lite: Database) -> None:
    log = await once_refused(lite)
    log.after(call(2, status=200))
    await tried(log)
    assert [int(row.id) for row in await rows(lite)] == [1, 2]


async def test_rows_the_database_refused_are_written_although_no_other_comes(lite: Database) -> None:
    await once_refused(lite)
    async with asyncio.timeout(10):
        while not await rows(lite):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
    assert [int(row.id) for row in await rows(lite)] == [1]


@pytest.mark.parametrize("at_the_end", [False, True])
async def test_a_row_that_no_database_takes_keeps_no_other_from_being_written(
    db: Database, log: AuditLog, at_the_end: bool
) -> None:
    for number in range(5):
        log.after(call(number, status=200 if number != 2 else object()))
    await (log.drain() if at_the_end else tried(log))
    assert [int(row.id) for row in await rows(db)] == [0, 1, 3, 4]
    assert log.lost == 1
    log.after(call(7, status=200))
    log.after(call(8, status=200))
    await tried(log)
    assert len(await rows(db)) == 6


def test_a_body_holds_nothing_that_a_database_refuses() -> None:
    assert clean("bad gateway\0: \ud83d") == "bad gateway\N{REPLACEMENT CHARACTER}: ?"
    assert clean("d\xe9j\xe0 vu \N{GRINNING FACE}") == "d\xe9j\xe0 vu \N{GRINNING FACE}"


@pytest.mark.parametrize(
    "body",
    [
        '{"name":"u","password":"hunter2"}',
        '{"accessToken": "hunter2", "userId": 1}',
        '{"sec":"hunter2","cid":8}',
        "grant_type=authorization_code&client_secret=hunter2",
        "GET /x?token=hunter2&y=1",
        "Authorization: Bearer hunter2",
        '{"password":"hunt\\"er2"}',
        '{"password":"hunter2',
    ],
)
def test_known_secrets_are_dropped_whatever_the_form(body: str) -> None:
    assert "er2" not in (clean(body) or "")


def test_what_is_no_secret_stays() -> None:
    body = '{"orderId":7,"action":"Buy","symbol":"MNQH6","price":18000.25}'
    assert clean(body) == body
    assert clean(None) is None


def test_a_huge_body_is_cut_and_says_so() -> None:
    shown = clean("x" * (BODY_LIMIT * 3))
    assert shown is not None
    assert len(shown) < BODY_LIMIT + 100
    assert str(BODY_LIMIT * 3) in shown


async def test_pruning_deletes_what_is_older_and_nothing_else(db: Database, clock: Clock) -> None:
    log = AuditLog(db, None)
    for _ in range(3):
        await log.before(Exchange(log.new_id(), clock.now, "GET", "x"))
        clock.advance(86_400)
    deleted = await db.write(lambda c: prune(c, START + timedelta(days=1, hours=12)))
    assert deleted == 2
    assert [row.at for row in await rows(db)] == [START + timedelta(days=2)]
