"""The engine's audit of its own books: each check finds what it is for, in rows that were made wrong by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pytest
from sqlalchemy import Connection, Table, delete, insert, select, update
from sqlalchemy.sql.dml import UpdateBase

from justtrades.positions.events import (
    CallRefused,
    Event,
    LaneResumed,
    OrderReported,
    PictureTaken,
    PositionReported,
    TimePassed,
)
from justtrades.positions.limits import Limits
from justtrades.positions.model import (
    Action,
    BrokerOrder,
    BrokerOrderId,
    Call,
    CallKind,
    ClientOrderId,
    Lane,
    OrderType,
    Status,
    Verb,
)
from justtrades.selfaudit.checks import CHECKS, Finding, Memory, check, whole
from justtrades.selfaudit.replay import MOST, Replay
from justtrades.selfaudit.rows import Rows, read
from justtrades.store import apart, codec, switches, tables
from justtrades.store.session import Database
from tests.store.conftest import START, Clock
from tests.store.test_lanes import ACCOUNT, LANE, MNQ, Story
from tests.store.test_start_reads import instructions

DAY: Final = timedelta(days=1)
NAMES: Final = {"first entry": "jtt-1", "first target": "jtt-2", "entry": "jtt-3", "target": "jtt-4"}
"""Our ids of the orders of `traded`. A trade has that of its entry."""


@pytest.fixture
async def books(db: Database, clock: Clock) -> Story:
    return await traded(db, clock)


async def traded(db: Database, clock: Clock) -> Story:
    """A trade that its target closed, and one that is open with its target at the broker; all of it as it must be."""
    story = Story(db, clock)
    await db.write(_set_up)
    await story.enter_long()
    await story.accepted("102")
    await story.filled("102", "2", Action.SELL, "18005.25")
    await story.ask(Verb.BUY, "sig-2")
    await story.accepted("201")
    await story.filled("201", "21", Action.BUY, "18010.25")
    await story.accepted("202")
    entry, target = story.lane.orders
    shown = (
        BrokerOrder(BrokerOrderId("201"), entry.id, Status.FILLED, claimed=1),
        BrokerOrder(BrokerOrderId("202"), target.id, Status.WORKING, target.action, 1, OrderType.LIMIT, target.price),
    )
    await story.tell(OrderReported(shown[1]))
    await story.tell(PictureTaken(clock.now, shown, story.lane.fills, 1))
    await db.write(_requests)
    clock.advance(60)
    return story


def _set_up(connection: Connection) -> None:
    login = {"id": "paper", "name": "paper", "environment": "paper", "auth": "password", "enabled": True}
    connection.execute(insert(tables.connections).values(**login, created_at=START, updated_at=START))
    account = {"id": ACCOUNT, "connection_id": "paper", "broker_account_id": "1", "name": "DEMO1", "active": True}
    connection.execute(insert(tables.accounts).values(**account, halted=False, updated_at=START))


def _requests(connection: Connection) -> None:
    """The audit's rows of each order, which a `Story` does not write."""
    one = {"method": "POST", "endpoint": "/order/placeorder"}
    connection.execute(insert(tables.audit).values(id="0", at=START, method="GET", endpoint="/account/list"))
    for number, order in enumerate(connection.execute(select(tables.orders).order_by(tables.orders.c.number)).all()):
        connection.execute(insert(tables.audit).values(id=f"a{number}", at=order.created_at, order_id=order.id, **one))


async def found(story: Story, running_since: datetime | None = START) -> list[Finding]:
    now = story.clock.now
    return check(await story.db.read(lambda c: read(c, now, now - DAY, running_since=running_since)))


def change(table: Table, key: str, **values: Any) -> UpdateBase:
    """Of the rows with this id, whatever it is called there; orders and trades by their name."""
    names = {"fills": "broker_fill_id", "signal_routes": "signal_id", "recorder_positions": "status"}
    return update(table).where(table.c[names.get(table.name, "id")] == NAMES.get(key, key)).values(**values)


def lanes(**values: Any) -> UpdateBase:
    return update(tables.lanes).values(**values)


S, R, T, P = tables.signals, tables.signal_routes, tables.recorded_trades, tables.recorder_positions
ORDERS, F = tables.orders, tables.fills
LATE: Final = START - timedelta(seconds=20)
HOUR: Final = timedelta(hours=1)

WRONG: Final[dict[str, tuple[UpdateBase, str]]] = {
    "no reason": (change(S, "sig-1", reason=None), "I2: signal sig-1 ended filled without a reason"),
    "no outcome": (change(S, "sig-1", outcome=None), "I2: signal sig-1 is done with the outcome none"),
    "refused and ended": (
        change(S, "sig-1", status="refused"),
        "I2: signal sig-1 was refused and has the outcome filled",
    ),
    "a route without a reason": (
        change(R, "sig-1", reason=None),
        "I2: signal sig-1 at acc-1 is done, outcome filled, reason none",
    ),
    "a route open": (
        change(R, "sig-1", status="working", outcome=None),
        "I2: signal sig-1 ended filled and is still open at acc-1",
    ),
    "over at each account": (
        change(S, "sig-1", status="working", outcome=None),
        "I2: signal sig-1 is working though it has ended at each account",
    ),
    "not the best outcome": (
        change(S, "sig-1", outcome="blocked"),
        "I2: signal sig-1 ended blocked, the best of its accounts is filled",
    ),
    "let go by its lane": (
        change(R, "sig-2", status="working", outcome=None),
        "I2: signal sig-2 is working, and the lane of MNQH6 has let it go",
    ),
    "two entries": (
        change(ORDERS, "entry", signal_id="sig-1"),
        "I3: signal sig-1 made 2 entries at acc-1 MNQH6: {first entry} and {entry}",
    ),
    "one order twice": (
        change(ORDERS, "target", broker_order_id="201"),
        "I3: orders {target} and {entry} are the same order 201 of acc-1",
    ),
    "an order its lane forgot": (
        change(ORDERS, "first target", status="working", ended_at=None),
        "I4: target {first target} is working, and the lane of MNQH6 does not know it",
    ),
    "another word in its lane": (
        change(ORDERS, "target", status="sent"),
        "I4: target {target} is sent, and the lane of MNQH6 says working",
    ),
    "off the tick": (
        change(ORDERS, "target", price=Decimal("18015.30")),
        "I5: target {target} of MNQH6 is at 18015.30, off the tick 0.25",
    ),
    "an exit too small": (lanes(quantity=2), "I5: acc-1 MNQH6: +2 held, target orders for 1 rest"),
    "an exit too many": (change(ORDERS, "target", quantity=3), "I7: acc-1 MNQH6: +1 held, and exits for 3 can fill"),
    "an exit that adds": (
        change(ORDERS, "target", action="Buy"),
        "I7: acc-1 MNQH6: +1 held, and the target {target} would add to it",
    ),
    "flat beside an exit": (lanes(quantity=0), "I6: acc-1 MNQH6 is flat, and target {target} still works"),
    "a fill of nothing": (change(F, "2", quantity=0), "I8: fill 2 of MNQH6 has 0 contracts"),
    "a fill without an id": (change(F, "2", broker_fill_id=""), "I8: fill without an id of MNQH6 has 1 contracts"),
    "another order's fill": (
        change(F, "2", broker_order_id="999"),
        "I8: fill 2 of the broker's order 999 is counted for {first target}",
    ),
    "a fill of the other side": (
        change(F, "1", action="Sell"),
        "I8: fill 1 is a Sell and its order {first entry} a Buy",
    ),
    "an order counts too much": (
        change(ORDERS, "first entry", filled_quantity=2),
        "I8: entry {first entry} says 2 filled, its fills are 1",
    ),
    "an order's average": (
        change(ORDERS, "first entry", average_price=Decimal(18001)),
        "I8: entry {first entry} says 18001, its fills average 18000.25",
    ),
    "a trade of nothing": (delete(F).where(F.c.trade_id.is_not(None)), "I8: trade {first entry} has no fill"),
    "a closed trade that is left": (
        change(F, "2", quantity=3),
        "I8: closed trade {first entry} is left with -2 by its fills",
    ),
    "a gain": (change(T, "first entry", pnl=Decimal(11)), "I8: trade {first entry} says gain 11, its fills make 10"),
    "a gain in ticks": (
        change(T, "first entry", pnl_ticks=Decimal(21)),
        "I8: trade {first entry} says gain in ticks 21, its fills make 20",
    ),
    "a trade's quantity": (
        change(T, "first entry", quantity=2),
        "I8: trade {first entry} says quantity 2, its fills make 1",
    ),
    "an exit price": (
        change(T, "first entry", exit_price=Decimal(18006)),
        "I8: trade {first entry} says exit price 18006, its fills make 18005.25",
    ),
    "fees": (change(T, "first entry", fees=Decimal(1)), "I8: trade {first entry} says fees 1, its fills cost None"),
    "two open trades": (
        change(T, "first entry", status="open"),
        "I8: acc-1 MNQH6 has 2 open trades: {first entry}, {entry}",
    ),
    "held without a trade": (change(T, "entry", status="closed"), "I8: acc-1 MNQH6: +1 held, and no trade is open"),
    "a trade and its lane": (
        change(T, "entry", quantity=2),
        "I8: open trade {entry} holds +2, its lane +1",
    ),
    "a trade on the other side": (
        change(T, "entry", side="SHORT"),
        "I8: open trade {entry} is SHORT, its lane holds +1",
    ),
    "a trade without its position": (
        change(P, "open", status="closed"),
        "I8: open trade {entry} has no position of its recorder",
    ),
    "a trade and its position": (
        change(P, "open", total_quantity=5),
        "I8: open trade {entry} holds +1, its recorder's position says 5",
    ),
    "a trade and its fills": (
        change(F, "21", quantity=2),
        "I8: open trade {entry} holds +1, its fills leave +2",
    ),
    "an average": (
        change(T, "entry", entry_price=Decimal(18011)),
        "I8: open trade {entry} says entry price 18011, its fills make 18010.25",
    ),
    "too old": (
        change(S, "sig-2", expires_at=LATE),
        "I14: entry {entry} of signal sig-2 was sent 20.9 s after it was too old",
    ),
    "an exit that expired": (
        change(S, "sig-1", outcome="expired", verb="close"),
        "I14: signal sig-1 asked to close and expired",
    ),
    "no request": (
        delete(tables.audit).where(tables.audit.c.id == "a2"),
        "I16: entry {entry} of MNQH6 is at the broker without a request in the audit",
    ),
}


async def test_books_that_are_right_give_no_finding(books: Story) -> None:
    assert await found(books) == []
    assert await books.db.read(whole) == []


@pytest.mark.parametrize("name", WRONG)
async def test_what_is_wrong_is_told_in_one_sentence(books: Story, name: str) -> None:
    statement, sentence = WRONG[name]
    await books.db.write(lambda c: c.execute(statement))
    told = [str(finding) for finding in await found(books)]
    assert [text for text in told if text == _filled_in(sentence)] != [], told


def _filled_in(sentence: str) -> str:
    for name, client_id in NAMES.items():
        sentence = sentence.replace(f"{{{name}}}", client_id)
    return sentence


def test_every_check_has_something_it_finds() -> None:
    """Those that take more than one wrong row have a test of their own below."""
    told = {sentence.partition(":")[0] for _, sentence in WRONG.values()}
    assert told | {"I13"} == {one.invariant for one in CHECKS}


async def test_an_entry_after_the_kill_switch_is_found_unless_the_clock_was_set_back(books: Story) -> None:
    await books.db.write(lambda c: switches.set_kill(c, True, "news", START - HOUR))
    told = "I13: entry jtt-3 of signal sig-2 left although the kill switch is on since before it"
    assert told in [str(finding) for finding in await found(books)]
    earlier = {"account_id": ACCOUNT, "contract": MNQ.name, "event_json": "{}", "commands_json": "[]"}
    await books.db.write(lambda c: c.execute(insert(tables.journal).values(at=START - HOUR, **earlier)))
    assert await found(books) == []


async def test_a_trade_open_where_nothing_is_held_is_found_once_its_lane_has_let_it_go(books: Story) -> None:
    await books.db.write(lambda c: c.execute(lanes(quantity=0)))
    told = "I8: acc-1 MNQH6 is flat, and a trade is open there"
    assert told not in [str(finding) for finding in await found(books)]
    gone = codec.lane_text(replace(books.lane, trade=None, fills=(), orders=()))
    await books.db.write(lambda c: c.execute(lanes(state_json=gone)))
    assert told in [str(finding) for finding in await found(books)]


async def test_a_lane_that_still_works_on_what_has_ended_is_found(books: Story) -> None:
    await books.ask(Verb.BUY, "sig-3")
    await books.db.write(lambda c: c.execute(change(R, "sig-3", status="done", outcome="filled", reason="x")))
    told = "I2: signal sig-3 ended filled and the lane of MNQH6 still works on it"
    assert told in [str(finding) for finding in await found(books)]


async def test_an_entry_that_nobody_took_on_and_nobody_ended_is_found_while_the_engine_runs(books: Story) -> None:
    waits = change(R, "sig-2", status="accepted", contract="", outcome=None)
    is_open = change(S, "sig-2", status="accepted", outcome=None, verb="buy", expires_at=START)
    await books.db.write(lambda c: [c.execute(statement) for statement in (waits, is_open)])
    assert await found(books) == []
    books.clock.advance(601)
    assert [str(f) for f in await found(books)] == [
        "I2: signal sig-2 could be sent until 14:30:00 and has no outcome yet"
    ]
    assert await found(books, running_since=books.clock.now) == []
    assert await found(books, running_since=None) == []


async def test_an_outcome_that_changes_is_found_and_goes_on_being_told(books: Story) -> None:
    memory, now = Memory(), books.clock.now

    async def looked() -> list[str]:
        seen: Rows = await books.db.read(lambda c: read(c, now, now - DAY))
        return [str(finding) for finding in memory.changed(seen)]

    assert await looked() == []
    await books.db.write(lambda c: c.execute(change(S, "sig-2", outcome="blocked")))
    assert await looked() == await looked() == ["I2: signal sig-2 had ended filled and now reads blocked"]
    await books.db.write(lambda c: c.execute(change(S, "sig-2", status="working", outcome=None)))
    assert await looked() == ["I2: signal sig-2 had ended filled and now reads none"]


async def test_signals_that_are_only_too_many_or_too_old_to_be_read_are_not_missed(books: Story) -> None:
    memory, now = Memory(), books.clock.now
    for most in (2, 1):
        seen = await books.db.read(lambda c, most=most: read(c, now, None, most))  # type: ignore[misc]
        assert memory.changed(seen) == []


async def test_a_lane_that_its_journal_does_not_lead_to_is_found_from_there_on(books: Story) -> None:
    played = Replay(Limits())

    async def looked() -> list[str]:
        return await books.db.read(lambda c: played.differs(played.read(c), read(c, START, None).states))

    assert await looked() == []
    await books.tell(PositionReported(1, books.clock.now))
    assert await looked() == []
    state = codec.lane_text(replace(books.lane, serial=99))
    await books.db.write(lambda c: c.execute(lanes(state_json=state)))
    told = await looked()
    assert [text.partition(" from ")[0] for text in told] == ["acc-1 MNQH6: the journal's rows"]
    assert await looked() == told


async def test_a_lane_that_was_halted_and_resumed_between_two_audits_is_followed_from_there(books: Story) -> None:
    """Its journal holds the event that the core could not take, and cannot take when it is played again."""
    played, call = Replay(Limits()), Call(ClientOrderId("c"), CallKind.CANCEL, (ClientOrderId("gone"),), START)

    async def after(event: Event, state: Lane) -> list[str]:
        row = {"at": START, "account_id": ACCOUNT, "contract": MNQ.name, "commands_json": "[]"}
        text = codec.event_text(event)
        await books.db.write(lambda c: c.execute(insert(tables.journal).values(event_json=text, **row)))
        return played.differs(await books.db.read(played.read), {LANE: state})

    lane = replace(books.lane, call=call)
    assert await after(TimePassed(), lane) == []
    assert await after(CallRefused(call.id, "TooLate"), replace(lane, halted="a bug")) == []
    assert await after(LaneResumed(adopt=False), replace(books.lane, serial=7)) == []
    assert await after(TimePassed(), replace(books.lane, serial=8)) != []


async def test_a_halted_lane_and_a_storm_of_steps_are_not_played_again(books: Story) -> None:
    played = Replay(Limits())
    for state in (books.lane, replace(books.lane, serial=99, halted="a bug")):
        seen = await books.db.read(played.read)
        assert played.differs(seen, {LANE: state}) == []
    storm = {"at": START, "account_id": ACCOUNT, "contract": MNQ.name, "event_json": "{}", "commands_json": "[]"}
    await books.db.write(lambda c: c.execute(insert(tables.journal), [storm] * (MOST + 1)))
    seen = await books.db.read(played.read)
    assert seen.rows is None
    assert played.differs(seen, {LANE: replace(books.lane, serial=5)}) == []


async def test_it_reads_beside_the_engine_on_a_connection_that_cannot_write(books: Story, newest_url: str) -> None:
    assert await asyncio.to_thread(apart.look, newest_url, whole) == []
    with pytest.raises(Exception, match=r"readonly|read-only"):
        await asyncio.to_thread(apart.look, newest_url, lambda c: c.execute(change(S, "sig-1", reason="x")))


async def test_old_rows_cost_nothing(lite: Database, clock: Clock) -> None:
    """Counted in SQLite's own instructions."""
    await traded(lite, clock)
    question: Callable[[Connection], object] = lambda c: read(c, clock.now, clock.now - HOUR)  # noqa: E731
    await lite.write(lambda c: _aged(c, range(20)))
    before = await lite.write(lambda c: instructions(c, question))
    await lite.write(lambda c: _aged(c, range(20, 2_000)))
    assert await lite.write(lambda c: instructions(c, question)) < before + 100


def _aged(connection: Connection, numbers: range) -> None:
    """The rows of the closed trade once more for each number, a year before; their ids are older too."""
    moments = ("created_at", "updated_at", "ended_at", "filled_at", "opened_at", "closed_at", "received_at", "at")
    for table, key in (
        (ORDERS, "id"),
        (F, "broker_fill_id"),
        (T, "id"),
        (S, "id"),
        (R, "signal_id"),
        (tables.audit, "id"),
    ):
        first = connection.execute(table.select().limit(1)).mappings().one()
        row = {name: value for name, value in first.items() if name != "number"}
        row |= {name: row[name] - 365 * DAY for name in moments if row.get(name) is not None}
        row |= {name: "0" for name in ("trade_id", "order_id", "signal_id") if row.get(name) is not None}
        connection.execute(table.insert(), [{**row, key: f"00old-{number}"} for number in numbers])
