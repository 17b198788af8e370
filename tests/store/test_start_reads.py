"""What a start reads: the last days, however many years of rows lie before them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, cast

import pytest
from sqlalchemy import Connection, Table

from justtrades.positions.model import Action
from justtrades.store import books, prices, reads, tables
from justtrades.store.lanes import known_ids
from justtrades.store.session import Database
from tests.store.conftest import START, Clock
from tests.store.test_lanes import Story

YEAR: Final = timedelta(days=365)
STARTING: Final[dict[str, Callable[[Connection], object]]] = {
    "the state": books.load,
    "unfinished signals": books.unfinished,
    "known ids": lambda c: known_ids(c, START),
    "last prices": lambda c: prices.last_prices(c, START),
    "the day before's trades": lambda c: reads.list_trades(c, status="closed", limit=3),
}


@pytest.fixture
async def grown(lite: Database, clock: Clock) -> Database:
    """A few old trades, and one from after `START`."""
    story = Story(lite, clock)
    await story.enter_long()
    await story.accepted("102")
    await story.filled("102", "2", Action.SELL, "18005.25")
    await lite.write(lambda c: age(c, range(20)))
    return lite


@pytest.mark.parametrize("name", STARTING)
async def test_a_start_reads_no_more_however_much_is_old(grown: Database, name: str) -> None:
    """Counted in SQLite's own instructions: a walk past old rows would cost some for each of them."""
    before = await grown.write(lambda c: instructions(c, STARTING[name]))
    await grown.write(lambda c: age(c, range(20, 1_000)))
    assert await grown.write(lambda c: instructions(c, STARTING[name])) < before + 100


def instructions(connection: Connection, question: Callable[[Connection], object]) -> int:
    counted, driver = 0, cast(Any, connection.connection.driver_connection)

    def count() -> None:
        nonlocal counted
        counted += 1

    driver.set_progress_handler(count, 1)
    question(connection)
    driver.set_progress_handler(None, 0)
    return counted


def age(connection: Connection, numbers: range) -> None:
    """The rows of the first trade once more for each number, a year before."""
    _copy(connection, tables.orders, numbers, "id", "sent_at", "updated_at", "ended_at")
    _copy(connection, tables.fills, numbers, "broker_fill_id", "filled_at")
    _copy(connection, tables.recorded_trades, numbers, "id", "opened_at", "closed_at")
    _copy(connection, tables.signals, numbers, "id", "received_at", "finished_at")
    _copy(connection, tables.signal_routes, numbers, "signal_id", "finished_at")


def _copy(connection: Connection, table: Table, numbers: range, key: str, *moments: str) -> None:
    first = connection.execute(table.select().limit(1)).mappings().one()
    kept = {name: value for name, value in first.items() if name != "number"}
    before = {name: kept[name] - YEAR for name in moments if kept.get(name) is not None}
    connection.execute(table.insert(), [{**kept, **before, key: f"old-{n}"} for n in numbers])
