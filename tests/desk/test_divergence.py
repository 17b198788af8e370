"""Other hands on the same account: what is taken over, left alone, compared, and undone by the exchange."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from justtrades.broker.port import BustReport, OrderReport, Refused
from justtrades.desk import NoSuchLane
from justtrades.lane_view import OtherOrderView
from justtrades.others import MOST, Others
from justtrades.positions.commands import Mutation, PlaceOrder
from justtrades.positions.events import OrderReported
from justtrades.positions.model import (
    AccountId,
    Action,
    BrokerOrder,
    BrokerOrderId,
    ContractName,
    OrderType,
    Outcome,
    Purpose,
    SignalId,
    Status,
    Verb,
)
from justtrades.positions.recorder import Recorder
from justtrades.store import books, recorders
from justtrades.takeover import CannotAdopt
from tests.desk.fakes import ACCOUNT, ES, FIRST, MNQ, World, played, recorder, ticks
from tests.positions.lane_world import started

RULES = recorder(targets=ticks(20))


async def keep(here: World, *kept: Recorder) -> None:
    for number, one in enumerate(kept):
        await here.database.write(lambda c, r=one, n=number: recorders.add(c, here.box, r, f"token-{n}", here.clock()))  # type: ignore[misc]  # bound now


async def by_hand(here: World, contracts: int, price: str = "100") -> None:
    """A person's own position, on a lane that has been traded and is flat."""
    here.broker.price = Decimal(price)
    here.broker.by_hand(contracts)
    await here.desk.reconcile(None)
    await here.until(lambda: here.view().foreign == contracts)


async def adopt(here: World, contract: ContractName = MNQ, **named: Any) -> SignalId:
    signal = await here.desk.resume(ACCOUNT, contract, adopt=True, by="a person", **named)
    assert signal is not None
    return signal


# ── taken over ───────────────────────────────────────────────────────────────────────────────────────────


@played()
async def test_what_a_person_opened_becomes_the_recorders_trade_with_its_target(here: World) -> None:
    await keep(here, RULES)
    await here.trade(Verb.BUY, RULES)
    await here.trade(Verb.CLOSE, RULES)
    await by_hand(here, 2, "110")
    act = await adopt(here)
    assert (await here.outcome(act))[0] is Outcome.FILLED
    await here.until(lambda: here.view().protected)
    seen = here.view()
    assert (seen.quantity, seen.foreign, seen.owner_recorder_id, seen.average_price) == (2, 0, "r1", Decimal(110))
    assert [(t.price, t.quantity) for t in seen.targets] == [(Decimal(115), 2)]
    query = "select recorder_id, side, quantity, entry_price, status from recorded_trades where signal_id = ?"
    assert here.saved(query, act) == [("r1", "LONG", 2, "110", "open")]
    await here.trade(Verb.CLOSE, RULES)
    assert here.broker.net() == 0
    assert here.saved("select status, pnl from recorded_trades where signal_id = ?", act) == [("closed", "0")]


@played()
async def test_a_position_on_a_contract_nobody_traded_can_be_taken_over(here: World) -> None:
    await keep(here, RULES)
    here.broker.by_hand(-1)
    with pytest.raises(NoSuchLane):
        here.desk._lane(ACCOUNT, MNQ)
    act = await adopt(here)
    assert (await here.outcome(act))[0] is Outcome.FILLED
    assert here.view().quantity == -1


@played()
async def test_what_was_taken_over_survives_a_restart(here: World) -> None:
    await keep(here, RULES)
    here.broker.by_hand(1)
    await adopt(here)
    await here.until(lambda: here.view().protected and here.lane().idle)
    await here.restart()
    seen = here.view()
    assert (seen.quantity, seen.foreign, seen.blocked) == (1, 0, None)
    assert len(here.broker.placed(Purpose.TARGET)) == 1


@played()
async def test_nothing_foreign_is_nothing_to_take_over(here: World) -> None:
    await keep(here, RULES)
    await here.trade(Verb.BUY, RULES)
    with pytest.raises(CannotAdopt, match="nothing here that is not ours"):
        await adopt(here)


@played()
async def test_without_a_recorder_for_it_a_person_must_name_one(here: World) -> None:
    here.broker.by_hand(1)
    with pytest.raises(CannotAdopt, match="no recorder trades this contract"):
        await adopt(here)


@played()
async def test_of_several_recorders_a_person_names_one(here: World) -> None:
    other = recorder(id="r2", name="second", targets=ticks(8))
    await keep(here, RULES, other, recorder(id="r3", name="gold", symbol="GC1!"))
    here.broker.by_hand(1)
    with pytest.raises(CannotAdopt, match=r"\(momentum, second\): name one"):
        await adopt(here)
    await adopt(here, recorder_id=other.id)
    await here.until(lambda: here.view().protected)
    assert here.view().owner_recorder_id == "r2"


@played()
async def test_an_account_or_contract_that_does_not_exist_takes_nothing_over(here: World) -> None:
    with pytest.raises(NoSuchLane):
        await here.desk.resume(AccountId("nobody"), MNQ, adopt=True, by="a person")

    async def unknown(what: str) -> None:
        if what.startswith("contract"):
            raise Refused("UnknownContract", "no such contract")

    here.broker.read = unknown
    with pytest.raises(Refused):
        await adopt(here, ES)


@played()
async def test_an_act_that_a_crash_cut_off_ends_and_says_so(here: World) -> None:
    await here.trade(Verb.BUY, RULES)
    act = SignalId(here.database.new_id())
    at = here.clock()
    await here.database.write(lambda c: books.keep_act(c, act, ACCOUNT, MNQ, Verb.ADOPT, "a person", at))
    await here.restart()
    outcome, reason = await here.outcome(act)
    assert (outcome, "say it again" in reason) == (Outcome.NO_ACTION, True)
    assert here.view().quantity == 1


# ── left alone ───────────────────────────────────────────────────────────────────────────────────────────


@played()
async def test_what_is_left_stays_shown_and_entries_go_on_beside_it(here: World) -> None:
    await here.trade(Verb.BUY, RULES)
    await by_hand(here, 3)
    assert await here.trade(Verb.BUY, RULES) is Outcome.BLOCKED
    await here.desk.resume(ACCOUNT, MNQ, adopt=False, by="a person")
    assert await here.trade(Verb.BUY, RULES) is Outcome.FILLED
    await here.restart()
    assert await here.trade(Verb.BUY, RULES) is Outcome.FILLED
    assert (here.view().foreign, here.view().quantity, here.broker.net()) == (3, 3, 6)


# ── compared without mending ─────────────────────────────────────────────────────────────────────────────


@played()
async def test_a_comparison_tells_and_changes_nothing(here: World) -> None:
    await here.trade(Verb.BUY, RULES)
    await here.until(lambda: here.view().protected and here.lane().idle)
    assert [c.differences for c in await here.desk.compare(None)] == [()]
    here.broker.mute = True
    here.broker.by_hand(-1)
    lane = here.lane().lane
    (one,) = await here.desk.compare(None)
    assert (one.quantity, one.broker_quantity, one.differences) == (1, 0, ("position: books +1, broker +0",))
    assert here.lane().lane is lane


@played()
async def test_a_comparison_shows_what_is_held_where_nothing_was_traded(here: World) -> None:
    here.broker.by_hand(2, (FIRST, ES))
    (one,) = await here.desk.compare(None)
    assert (one.contract, one.broker_quantity) == (ES, 2)
    assert one.differences == ("+2 contracts at the broker; nothing of ours was ever traded here",)
    assert await here.desk.compare(AccountId("another")) == ()


@played()
async def test_a_broker_that_cannot_be_read_is_not_flat(here: World) -> None:
    await here.trade(Verb.BUY, RULES)

    async def fails(what: str) -> None:
        if what == "picture":
            raise Refused("Denied", "no")

    here.broker.read = fails
    (one,) = await here.desk.compare(None)
    assert one.broker_quantity is None
    assert "could not be read" in one.differences[0]


# ── undone by the exchange ───────────────────────────────────────────────────────────────────────────────


@played()
async def test_a_bust_after_the_trade_was_closed_is_taken_out_of_it(here: World) -> None:
    twice = recorder(add_quantity=1)
    await here.trade(Verb.BUY, twice)
    here.broker.price = Decimal(104)
    await here.trade(Verb.BUY, twice)
    here.broker.price = Decimal(110)
    await here.trade(Verb.CLOSE, twice)
    query = "select quantity, entry_price, pnl, status from recorded_trades"
    assert here.saved(query) == [(2, "102", "32", "closed")]
    lane, fill = here.broker.fills.pop(1)
    here.broker.tell(BustReport(*lane, fill.id))
    await here.until(lambda: here.saved("select busted from fills where broker_fill_id = ?", fill.id) == [(1,)])
    assert here.saved(query) == [(1, "100", "20", "closed")], "one contract bought at 100 and sold at 110"


@played()
async def test_a_trade_whose_close_is_undone_and_whose_entry_is_taken_over_is_no_trade_any_more(here: World) -> None:
    await keep(here, RULES)
    await here.trade(Verb.BUY, RULES)
    await here.trade(Verb.CLOSE, RULES)
    (old,) = [row[0] for row in here.saved("select id from recorded_trades")]
    lane, close = here.broker.fills.pop(-1)
    here.broker.tell(BustReport(*lane, close.id))
    await here.until(lambda: here.view().foreign == 1)
    act = await adopt(here)
    assert (await here.outcome(act))[0] is Outcome.FILLED
    trades = here.saved("select id, status, quantity from recorded_trades")
    assert [(status, quantity) for _, status, quantity in trades] == [("open", 1)]
    assert old not in {row[0] for row in trades}
    assert here.saved("select trade_id, status, total_quantity from recorder_positions") == [(trades[0][0], "open", 1)]


@played()
async def test_a_close_by_hand_is_among_the_fills_of_its_trade(here: World) -> None:
    await here.trade(Verb.BUY, RULES)
    here.broker.by_hand(-1)
    await here.until(lambda: here.saved("select 1 from recorded_trades where status = 'closed'") != [])
    assert here.saved("select count(*) from fills where trade_id is not null") == [(2,)]


# ── what is promised of a position ───────────────────────────────────────────────────────────────────────


@played()
async def test_a_position_says_what_is_promised_and_when_that_was_seen(here: World) -> None:
    await here.trade(Verb.BUY, RULES)
    await here.until(lambda: here.view().protected)
    await here.desk.reconcile(None)
    assert here.view().promise == "protected, checked 0.0 s ago"
    await asyncio.sleep(7)
    assert here.view().promise == "protected, checked 7.0 s ago"
    await here.trade(Verb.CLOSE, RULES)
    assert here.view().promise == ""


@played()
async def test_a_position_without_its_exit_says_for_how_long(here: World) -> None:
    async def refuse(command: Mutation) -> None:
        if isinstance(command, PlaceOrder) and command.purpose is Purpose.TARGET:
            raise Refused("InvalidPrice", "no")

    here.broker.before = refuse
    await here.trade(Verb.BUY, RULES)
    await asyncio.sleep(12)
    assert here.view().promise.startswith("NOT protected for 12.")
    assert here.view().unprotected_seconds_today_max > 10
    assert "without its exit for 10 s" in here.said()


@played()
async def test_the_longest_time_without_an_exit_counts_to_its_end_and_outlives_a_crash(here: World) -> None:
    async def slow(command: Mutation) -> None:
        if isinstance(command, PlaceOrder) and command.purpose is Purpose.TARGET:
            await asyncio.sleep(0.7)

    here.broker.before = slow
    await here.trade(Verb.BUY, RULES)
    await here.until(lambda: here.view().protected)
    assert 0.7 <= here.view().unprotected_seconds_today_max < 0.8
    await here.restart()
    assert 0.7 <= here.view().unprotected_seconds_today_max < 0.8
    here.clock.ahead += timedelta(days=1)
    assert here.view().unprotected_seconds_today_max == 0


@played()
async def test_a_position_whose_rules_ask_for_no_exit_says_so(here: World) -> None:
    await here.trade(Verb.BUY, recorder())
    assert here.view().promise.startswith("its rules ask for no exit, checked ")


# ── orders of others ─────────────────────────────────────────────────────────────────────────────────────


def resting(number: str, price: str, status: Status = Status.WORKING) -> BrokerOrder:
    """A person's limit order to sell two, one of them filled elsewhere already."""
    return BrokerOrder(BrokerOrderId(number), None, status, Action.SELL, 2, OrderType.LIMIT, Decimal(price), claimed=1)


@played()
async def test_working_orders_of_others_are_shown_while_they_work_and_ours_are_not_among_them(here: World) -> None:
    await here.trade(Verb.BUY, RULES)
    here.broker.tell(OrderReport(FIRST, MNQ, resting("9001", "130")))
    await here.until(lambda: len(here.view().foreign_orders) == 1)
    assert here.view().foreign_orders == (
        OtherOrderView(BrokerOrderId("9001"), Action.SELL, 1, OrderType.LIMIT, Decimal(130)),
    )
    here.broker.tell(OrderReport(FIRST, MNQ, resting("9001", "130", Status.CANCELED)))
    await here.until(lambda: not here.view().foreign_orders)
    assert len(here.view().targets) == 1


@played()
async def test_a_picture_says_anew_which_orders_of_others_work(here: World) -> None:
    await here.trade(Verb.BUY, RULES)
    here.broker.tell(OrderReport(FIRST, MNQ, resting("9001", "130")))
    await here.until(lambda: len(here.view().foreign_orders) == 1)
    here.broker.lanes[BrokerOrderId("9002")] = (FIRST, MNQ)
    here.broker.orders[BrokerOrderId("9002")] = resting("9002", "131")
    await here.desk.reconcile(None)
    await here.until(lambda: [o.broker_order_id for o in here.view().foreign_orders] == ["9002"])


@played()
async def test_an_order_that_rests_before_the_contract_is_traded_is_shown_and_its_fill_is_not_ours(here: World) -> None:
    here.broker.lanes[BrokerOrderId("9003")] = (FIRST, MNQ)
    here.broker.orders[BrokerOrderId("9003")] = resting("9003", "130")
    await here.trade(Verb.BUY, RULES)
    await here.desk.reconcile(None)
    await here.until(lambda: [o.broker_order_id for o in here.view().foreign_orders] == ["9003"])


def test_a_picture_that_was_overtaken_does_not_say_which_orders_of_others_work() -> None:
    world, others = started(), Others()
    newer = replace(world.picture(), orders=(resting("9002", "131"),))
    older = replace(newer, began_at=newer.began_at - timedelta(seconds=1), orders=(resting("9001", "130"),))
    for picture in (newer, older):
        world.tell(picture)
        others.hear(picture, world.lane)
    assert [order.broker_id for order in others.working(world.lane)] == ["9002"]


def test_no_more_orders_of_others_are_remembered_than_a_hundred() -> None:
    others, lane = Others(), started().lane
    for number in range(MOST + 50):
        others.hear(OrderReported(resting(str(9000 + number), "130")), lane)
    shown = others.working(lane)
    assert (len(shown), shown[-1].broker_id) == (MOST, str(9000 + MOST + 49))


def test_an_order_nobody_can_tell_yet_is_not_called_somebody_elses_while_one_of_ours_is_unanswered() -> None:
    world, others = started(), Others()
    world.alert(Verb.BUY)
    world.tell(world.queue.pop(0))
    others.hear(OrderReported(resting("9001", "130")), world.lane)
    assert world.lane.orders[0].unbound
    assert others.working(world.lane) == ()
