"""Lists: newest first, page by page, and by an index however much is old."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from justtrades.positions.events import PictureTaken
from justtrades.positions.model import Action, RecorderId, SignalId, Stop, Verb
from justtrades.positions.prices import Distance, Unit
from justtrades.store import reads
from justtrades.store.lanes import save_step
from justtrades.store.reads import BadCursor, Page
from justtrades.store.session import Database
from justtrades.store.signals import Refusal, accept, refuse, unfinished
from tests.store.conftest import START, Clock
from tests.store.test_lanes import ACCOUNT, Story
from tests.store.test_signals import alert


@pytest.fixture
def story(db: Database, clock: Clock) -> Story:
    return Story(db, clock)


async def test_pages_follow_each_other_newest_first_and_miss_nothing(db: Database) -> None:
    made = [alert(db, repeat_key=str(number)) for number in range(7)]
    for new in made:
        await db.write(partial(accept, new=new))
    seen: list[str] = []
    before: str | None = None
    while True:
        page = await db.read(partial(reads.list_signals, limit=3, before=before))
        seen += [row["id"] for row in page.items]
        before = page.next
        if before is None:
            break
    assert seen == [new.id for new in reversed(made)]


async def test_rows_added_meanwhile_do_not_shift_a_page(db: Database) -> None:
    made = [alert(db, repeat_key=str(number)) for number in range(5)]
    for new in made[:4]:
        await db.write(partial(accept, new=new))
    first = await db.read(lambda c: reads.list_signals(c, limit=2))
    await db.write(lambda c: accept(c, made[4]))
    second = await db.read(lambda c: reads.list_signals(c, limit=2, before=first.next))
    assert [row["id"] for row in first.items + second.items] == [n.id for n in reversed(made[:4])]


async def test_a_page_is_never_larger_than_the_most(db: Database) -> None:
    for number in range(4):
        new = alert(db, repeat_key=str(number))
        await db.write(partial(accept, new=new))
    assert len((await db.read(lambda c: reads.list_signals(c, limit=0))).items) == 1
    assert len((await db.read(lambda c: reads.list_signals(c, limit=10**9))).items) == 4


@pytest.mark.parametrize("cursor", ["x", "--1", "", "9" * 40, "1; DROP TABLE orders"])
async def test_a_cursor_of_another_kind_is_refused(lite: Database, cursor: str) -> None:
    with pytest.raises(BadCursor):
        await lite.read(lambda c: reads.list_orders(c, before=cursor))


async def test_refused_alerts_are_listed_by_their_status(db: Database) -> None:
    await db.write(lambda c: accept(c, alert(db)))
    refusal = Refusal(SignalId(db.new_id()), RecorderId("rec-1"), START, "webhook", "not an order", "{…}")
    await db.write(lambda c: refuse(c, refusal))
    page = await db.read(lambda c: reads.list_signals(c, status="refused", recorder_id="rec-1"))
    assert [(row["id"], row["reason"]) for row in page.items] == [(refusal.id, "not an order")]
    accepted = await db.read(lambda c: reads.list_signals(c, status="accepted"))
    assert len(accepted.items) == 1


async def test_an_open_position_shows_its_exits_and_what_the_broker_holds(story: Story) -> None:
    await story.ready()
    await story.ask(Verb.BUY, "sig-1", stop=Stop(Distance(Decimal(40), Unit.TICKS)))
    await story.accepted("101")
    await story.filled("101", "1", Action.BUY, "18000.25")
    await story.accepted("102", "103")
    (position,) = await story.db.read(reads.list_positions)
    assert (position["side"], position["quantity"], position["average_price"]) == ("LONG", 1, Decimal("18000.25"))
    assert position["targets"] == [{"price": Decimal("18005.25"), "quantity": 1, "broker_order_id": "102"}]
    assert position["stop"] == {"price": Decimal("17990.25"), "quantity": 1, "broker_order_id": "103"}
    assert position["contract"] == "MNQH6"
    assert position["ticker"] == "MNQ1!"


async def test_a_receipt_tells_one_signals_whole_story(story: Story) -> None:
    await story.enter_long()
    await story.accepted("102")
    receipt = await story.db.read(lambda c: reads.get_receipt(c, "sig-1"))
    assert receipt is not None
    assert receipt.signal["outcome"] == "filled"
    assert [route["contract"] for route in receipt.routes] == ["MNQH6"]
    assert [order["purpose"] for order in receipt.orders] == ["entry", "target"]
    assert [fill["broker_fill_id"] for fill in receipt.fills] == ["1"]
    assert [trade["status"] for trade in receipt.trades] == ["open"]
    assert len(receipt.steps) >= 3
    assert await story.db.read(lambda c: reads.get_receipt(c, "nobody")) is None


async def test_lists_of_trades_orders_and_fills_take_filters(story: Story) -> None:
    await story.enter_long()
    await story.accepted("102")
    await story.filled("102", "2", Action.SELL, "18005.25")

    async def ids(query: Callable[[Connection], Page], name: str) -> list[Any]:
        return [row[name] for row in (await story.db.read(query)).items]

    assert await ids(lambda c: reads.list_trades(c, status="closed", account_id=ACCOUNT), "exit_reason") == ["target"]
    assert await ids(lambda c: reads.list_trades(c, status="open"), "id") == []
    assert await ids(lambda c: reads.list_orders(c, status="filled"), "broker_order_id") == ["102", "101"]
    assert await ids(lambda c: reads.list_fills(c, account_id=ACCOUNT, limit=1), "broker_fill_id") == ["2"]
    orders = await story.db.read(lambda c: reads.list_orders(c, signal_id="sig-1"))
    assert all(row["client_order_id"] == row["id"] for row in orders.items)


async def test_a_lane_that_is_bare_now_shows_the_seconds_running(story: Story) -> None:
    await story.tell(PictureTaken(START, (), (), 0))
    bare = replace(story.lane, unprotected_since=story.clock.now)
    await story.db.write(lambda c: save_step(c, story.lane, bare, at=story.clock.now))
    later = story.clock.advance(4)
    (lane,) = await story.db.read(lambda c: reads.list_lanes(c, later))
    assert lane["unprotected_seconds_today_max"] == 4
    assert "state_json" not in lane


# ── every hot question is answered by an index ───────────────────────────────────────────────────────────

QUESTIONS: dict[str, Callable[[Connection], object]] = {
    "signals": reads.list_signals,
    "signals of a recorder": lambda c: reads.list_signals(c, recorder_id="r", before="0"),
    "refused": lambda c: reads.list_signals(c, status="refused"),
    "refused of a recorder": lambda c: reads.list_signals(c, status="refused", recorder_id="r"),
    "working": lambda c: reads.list_signals(c, status="working"),
    "unfinished": unfinished,
    "trades": lambda c: reads.list_trades(c, before="5"),
    "open trades": lambda c: reads.list_trades(c, status="open"),
    "trades of an account": lambda c: reads.list_trades(c, account_id="a"),
    "orders of a lane": lambda c: reads.list_orders(c, account_id="a", contract="x"),
    "orders of an account": lambda c: reads.list_orders(c, account_id="a"),
    "fills of an account": lambda c: reads.list_fills(c, account_id="a"),
    "positions": reads.list_positions,
    "audit": lambda c: reads.list_audit(c, before="0"),
    "audit of a signal": lambda c: reads.list_audit(c, signal_id="s"),
    "audit of a connection": lambda c: reads.list_audit(c, connection_id="x"),
    "receipt": lambda c: reads.get_receipt(c, "s"),
}


@pytest.mark.parametrize("name", QUESTIONS)
async def test_no_list_scans_or_sorts_a_table(lite: Database, name: str) -> None:
    """SQLite says how it would answer: a scan along an index in its order is fine, of a table it is not."""
    plans: list[str] = []

    def explained(connection: Connection) -> None:
        def explain(conn: Connection, _cursor: object, sql: str, parameters: Any, *_: object) -> None:
            driver: Any = conn.connection.driver_connection
            plans.extend(row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {sql}", parameters))

        event.listen(connection, "before_cursor_execute", explain)
        QUESTIONS[name](connection)

    await lite.write(lambda c: fill(c, 50))
    await lite.write(explained)
    assert plans
    small = ("signal_routes", "lanes", "recorder_positions")
    bad = [p for p in plans if p.startswith("SCAN") and "USING" not in p and not p.endswith(small)]
    allowed = {"signals", "recorded_trades", "audit"}  # read along the primary key, which is the order itself
    assert [p for p in bad if p.split()[1] not in allowed] == []
    if name not in ("positions", "unfinished", "receipt", "audit of a signal"):
        assert [p for p in plans if "TEMP B-TREE" in p] == []


def fill(connection: Connection, rows: int) -> None:
    values = ", ".join(f"('s{n}', 'r', '2026-01-01T00:00:00.000000Z', 'w', 'done', 'h', '')" for n in range(rows))
    columns = "(id, recorder_id, received_at, source, status, content_hash, raw)"
    connection.execute(text(f"INSERT INTO signals {columns} VALUES {values}"))
    connection.execute(text("ANALYZE"))
