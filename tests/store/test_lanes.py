"""A lane's steps as rows: what is saved, what stays, and that saving twice changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Table, select

from justtrades.broker.port import AuditId, Exchange
from justtrades.positions.commands import PlaceOrder
from justtrades.positions.events import (
    CallAccepted,
    CallRefused,
    Event,
    FillBusted,
    OrderFilled,
    OrderReported,
    PictureTaken,
    SignalReceived,
)
from justtrades.positions.limits import Limits
from justtrades.positions.machine import step
from justtrades.positions.model import (
    AccountId,
    Action,
    BrokerOrder,
    BrokerOrderId,
    Contract,
    ContractName,
    Fill,
    FillId,
    Lane,
    Noted,
    RecorderId,
    Signal,
    SignalId,
    Status,
    Stop,
    Target,
    Terms,
    TradeClosed,
    Verb,
)
from justtrades.positions.prices import Distance, Unit
from justtrades.store import codec, tables
from justtrades.store.lanes import JournalRow, Known, Saved, known_ids, load_lanes, save_step
from justtrades.store.session import Database
from justtrades.store.signals import NewRoute, NewSignal, accept
from tests.store.conftest import START, Clock

ACCOUNT = AccountId("acc-1")
MNQ = Contract(ContractName("MNQH6"), Decimal("0.25"), Decimal(2))
LANE = (ACCOUNT, MNQ.name)
ENTRY, EXIT = BrokerOrderId("101"), BrokerOrderId("102")
TWENTY_TICKS = (Target(Distance(Decimal(20), Unit.TICKS)),)


@dataclass
class Story:
    """A lane that is told things and saved after each, as the executor does it."""

    db: Database
    clock: Clock
    lane: Lane = field(default_factory=lambda: Lane(ACCOUNT, MNQ, "t"))
    before: Lane | None = None
    entry: JournalRow | None = None
    saved: Saved = field(default_factory=Saved)

    async def tell(self, event: Event, key: str | None = None) -> None:
        now = self.clock.advance(0.1)
        self.before = self.lane
        done = step(self.lane, event, now, Limits())
        self.lane = done.lane
        self.entry = JournalRow(event, done.commands, key)
        await self.save()

    async def save(self) -> None:
        before, after, entry, at = self.before, self.lane, self.entry, self.clock.now
        journal = [entry] if entry else []
        self.saved = await self.db.write(lambda c: save_step(c, before, after, at=at, journal=journal))

    async def ready(self) -> None:
        await self.tell(PictureTaken(self.clock.now + timedelta(seconds=1), (), (), 0))

    async def ask(self, verb: Verb, signal_id: str, quantity: int = 1, stop: Stop | None = None) -> None:
        now = self.clock.now
        terms = Terms(quantity, quantity, targets=TWENTY_TICKS, stop=stop)
        new = NewSignal(
            SignalId(signal_id),
            now,
            "test",
            signal_id,
            recorder_id=RecorderId("rec"),
            ticker="MNQ1!",
            routes=(NewRoute(ACCOUNT),),
        )
        await self.db.write(lambda c: accept(c, new))
        signal = Signal(new.id, verb, now, now + timedelta(seconds=30), RecorderId("rec"), "mnq", terms)
        await self.tell(SignalReceived(signal))

    async def accepted(self, *broker_ids: str) -> None:
        assert self.lane.call is not None
        await self.tell(CallAccepted(self.lane.call.id, tuple(BrokerOrderId(i) for i in broker_ids)))

    async def filled(self, order: str, fill: str, action: Action, price: str, quantity: int = 1) -> None:
        event = Fill(FillId(fill), BrokerOrderId(order), action, quantity, Decimal(price), self.clock.now)
        await self.tell(OrderFilled(event))
        await self.tell(OrderReported(BrokerOrder(BrokerOrderId(order), None, Status.FILLED, claimed=quantity)))

    async def enter_long(self, signal_id: str = "sig-1") -> None:
        await self.ready()
        await self.ask(Verb.BUY, signal_id)
        await self.accepted("101")
        await self.filled("101", "1", Action.BUY, "18000.25")


@pytest.fixture
def story(db: Database, clock: Clock) -> Story:
    return Story(db, clock)


async def rows(db: Database, table: Table) -> list[Any]:
    return list(await db.read(lambda c: c.execute(select(table)).all()))


async def test_an_entry_that_fills_is_an_open_trade_with_its_fill_and_target(story: Story) -> None:
    await story.enter_long()
    await story.accepted("102")
    (trade,) = await rows(story.db, tables.recorded_trades)
    assert (trade.status, trade.side, trade.action, trade.quantity) == ("open", "LONG", "BUY", 1)
    assert (trade.entry_price, trade.broker_fill_price) == (Decimal("18000.25"), Decimal("18000.25"))
    assert (trade.ticker, trade.contract, trade.tp_price) == ("MNQ1!", "MNQH6", Decimal("18005.25"))
    assert (trade.broker_order_id, trade.signal_id, trade.pnl) == ("101", "sig-1", None)
    entry, target = await rows(story.db, tables.orders)
    assert (entry.status, entry.filled_quantity, entry.average_price) == ("filled", 1, Decimal("18000.25"))
    assert (target.purpose, target.broker_order_id, target.filled_quantity) == ("target", "102", 0)
    (fill,) = await rows(story.db, tables.fills)
    assert (fill.order_id, fill.trade_id, fill.price) == (entry.id, trade.id, Decimal("18000.25"))
    (position,) = await rows(story.db, tables.recorder_positions)
    assert (position.status, position.total_quantity, position.side) == ("open", 1, "LONG")
    (signal,) = await rows(story.db, tables.signals)
    assert (signal.status, signal.outcome) == ("done", "filled")


async def test_a_target_that_fills_closes_the_row_with_what_it_made(story: Story) -> None:
    await story.enter_long()
    await story.accepted("102")
    await story.filled("102", "2", Action.SELL, "18005.25")
    (trade,) = await rows(story.db, tables.recorded_trades)
    assert (trade.status, trade.exit_price, trade.exit_reason) == ("closed", Decimal("18005.25"), "target")
    assert (trade.pnl, trade.pnl_ticks, trade.tp_price) == (Decimal(10), Decimal(20), Decimal("18005.25"))
    (position,) = await rows(story.db, tables.recorder_positions)
    assert (position.status, position.total_quantity) == ("closed", 0)


async def test_orders_and_fills_that_leave_the_lane_keep_how_they_ended(story: Story) -> None:
    await story.enter_long()
    await story.accepted("102")
    await story.filled("102", "2", Action.SELL, "18005.25")
    assert story.lane.orders == ()
    assert story.lane.fills == ()
    orders = await rows(story.db, tables.orders)
    assert [(o.status, o.filled_quantity, o.broker_order_id) for o in orders] == [
        ("filled", 1, "101"),
        ("filled", 1, "102"),
    ]
    fills = await rows(story.db, tables.fills)
    assert [f.broker_fill_id for f in fills] == ["1", "2"]
    assert {f.order_id for f in fills} == {o.id for o in orders}


async def test_saving_a_step_twice_changes_nothing(story: Story) -> None:
    await story.enter_long()
    await story.accepted("102")
    before = [await rows(story.db, t) for t in (tables.orders, tables.fills, tables.recorded_trades, tables.signals)]
    await story.save()
    after = [await rows(story.db, t) for t in (tables.orders, tables.fills, tables.recorded_trades, tables.signals)]
    assert after == before


async def test_a_lane_comes_back_as_it_was_without_its_news(story: Story) -> None:
    await story.enter_long()
    saved = replace(story.lane, news=())
    assert await story.db.read(load_lanes) == [saved]


async def test_the_lane_row_shows_what_the_lane_holds(story: Story) -> None:
    await story.enter_long()
    (lane,) = await rows(story.db, tables.lanes)
    assert (lane.quantity, lane.foreign_quantity, lane.owner_recorder_id) == (1, 0, "rec")
    assert (lane.halted, lane.in_doubt, lane.updated_at) == (False, False, story.clock.now)


async def test_an_event_with_a_key_has_one_journal_row(story: Story) -> None:
    await story.ready()
    fill = Fill(FillId("9"), BrokerOrderId("999"), Action.BUY, 1, Decimal(18000), START)
    await story.tell(OrderFilled(fill), key="fill 9")
    await story.tell(OrderFilled(fill), key="fill 9")
    assert [row.key for row in await rows(story.db, tables.journal)].count("fill 9") == 1


async def test_the_journal_tells_what_happened_and_what_was_decided(story: Story) -> None:
    await story.ready()
    await story.ask(Verb.BUY, "sig-1")
    row = (await rows(story.db, tables.journal))[-1]
    event = codec.event_from(row.event_json)
    (command,) = codec.commands_from(row.commands_json)
    assert isinstance(event, SignalReceived)
    assert isinstance(command, PlaceOrder)
    assert row.signal_id == command.signal_id == "sig-1"


async def test_the_request_that_leaves_next_is_audited_in_the_same_step(story: Story) -> None:
    request = Exchange(AuditId("a1"), START, "POST", "order/placeorder", '{"action":"Buy"}', order_id=None)
    await story.db.write(lambda c: save_step(c, None, story.lane, at=START, requests=[request], connection_id="paper"))
    (row,) = await rows(story.db, tables.audit)
    assert (row.id, row.connection_id, row.endpoint, row.status) == ("a1", "paper", "order/placeorder", None)


async def test_a_refused_entry_leaves_no_trade_and_its_reason_is_kept(story: Story) -> None:
    await story.ready()
    await story.ask(Verb.BUY, "sig-1")
    assert story.lane.call is not None
    await story.tell(CallRefused(story.lane.call.id, "InvalidPrice", "no"))
    assert await rows(story.db, tables.recorded_trades) == []
    assert await rows(story.db, tables.recorder_positions) == []
    (order,) = await rows(story.db, tables.orders)
    assert (order.status, order.reason) == ("rejected", "InvalidPrice")
    (signal,) = await rows(story.db, tables.signals)
    assert (signal.status, signal.outcome) == ("done", "rejected")
    assert [done.signal_id for done in story.saved.finished] == ["sig-1"]


async def test_a_trade_whose_only_fill_is_busted_is_no_trade(story: Story) -> None:
    await story.enter_long()
    await story.tell(FillBusted(FillId("1")))
    (fill,) = await rows(story.db, tables.fills)
    assert fill.busted
    (entry, *_) = await rows(story.db, tables.orders)
    assert (entry.filled_quantity, entry.average_price) == (0, None)


async def test_an_undone_trade_leaves_neither_trade_nor_position(story: Story) -> None:
    await story.enter_long()
    trade = story.lane.trade
    assert trade is not None
    undone = TradeClosed(trade, (), START, 0, Decimal(0), None, Decimal(0), Decimal(0), "undone", None, None, None)
    flat = replace(story.lane, trade=None, fills=(), orders=(), news=(undone,))
    await story.db.write(lambda c: save_step(c, story.lane, flat, at=START))
    assert await rows(story.db, tables.recorded_trades) == []
    (position,) = await rows(story.db, tables.recorder_positions)
    assert (position.status, position.total_quantity) == ("closed", 0)


async def test_broker_ids_of_finished_trades_are_still_known(story: Story) -> None:
    await story.enter_long()
    await story.accepted("102")
    await story.filled("102", "2", Action.SELL, "18005.25")
    known = await story.db.read(lambda c: known_ids(c, START))
    assert known == {LANE: Known([ENTRY, EXIT], [FillId("1"), FillId("2")])}
    later = story.clock.advance(60)
    assert await story.db.read(lambda c: known_ids(c, later)) == {}


async def test_an_order_without_an_end_is_known_however_old(story: Story) -> None:
    await story.enter_long()
    await story.accepted("102")
    later = story.clock.advance(86400)
    assert await story.db.read(lambda c: known_ids(c, later)) == {LANE: Known([EXIT])}


async def test_notes_stand_on_the_receipt_with_their_alarm(story: Story) -> None:
    lane = replace(story.lane, news=(Noted(SignalId("s"), "late fill", alarm=True), Noted(None, "nobody's")))
    await story.db.write(lambda c: save_step(c, None, lane, at=START))
    (note,) = await rows(story.db, tables.signal_notes)
    assert (note.signal_id, note.text, note.alarm, note.contract) == ("s", "late fill", True, "MNQH6")


async def test_the_longest_unprotected_stretch_of_a_day_is_kept(story: Story) -> None:
    async def bare(since: datetime | None, until: datetime) -> float:
        before = replace(story.lane, unprotected_since=since)
        await story.db.write(lambda c: save_step(c, before, story.lane, at=until))
        (row,) = await rows(story.db, tables.lanes)
        longest: float = row.unprotected_seconds_max
        return longest

    assert await bare(START, START + timedelta(seconds=3)) == 3
    assert await bare(START, START + timedelta(seconds=1)) == 3
    assert await bare(START, START + timedelta(seconds=5)) == 5
    tomorrow = START + timedelta(days=1)
    assert await bare(tomorrow, tomorrow + timedelta(seconds=2)) == 2


async def test_a_lane_row_says_who_stopped_it_and_why(story: Story) -> None:
    async def shown(lane: Lane) -> tuple[bool, str]:
        await story.db.write(lambda c: save_step(c, story.lane, lane, at=START))
        (row,) = await rows(story.db, tables.lanes)
        return row.halted, row.halt_reason

    assert await shown(replace(story.lane, halted="a bug")) == (True, "a bug")
    assert await shown(replace(story.lane, blocked="foreign position")) == (True, "foreign position")
