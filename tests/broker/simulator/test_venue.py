"""What one order does at the venue."""

from __future__ import annotations

from decimal import Decimal

import pytest

from justtrades.broker.simulator.change import ExchangeCancel, LateReject
from justtrades.broker.simulator.rules import Leg, Refused, Unknown
from tests.broker.simulator.world import ACCOUNT, MNQ, NOW, World, limit, market, stop

RESTING_EVENTS = [
    "order Created",
    "command Created",
    "orderVersion Created",
    "commandReport Created",
    "command Updated",
    "executionReport Created",
    "order Updated",
]


@pytest.fixture
def world() -> World:
    return World()


# ── one order of each type ───────────────────────────────────────────────────────────────────────────────


def test_a_market_order_fills_at_the_last_price(world: World) -> None:
    order = world.place(market(), 2)
    assert world.status(order) == "Filled"
    assert world.fills(order) == [(2, Decimal(25_000))]


def test_a_filled_market_order_tells_its_events_in_the_recorded_order(world: World) -> None:
    world.place(market())
    assert world.heard_last == [
        *RESTING_EVENTS[:-1],
        "fill Created",
        "executionReport Created",
        "order Updated",
        "fillFee Created",
        "position Created",
        "cashBalance Updated",
        "cashBalanceLog Created",
    ]


def test_a_new_orders_order_command_and_version_come_in_one_frame(world: World) -> None:
    world.place(limit("Buy", "24000"))
    first = [event.entity_type for event in world.last.frames[0]]
    assert first == ["order", "command", "orderVersion"]


def test_command_and_first_version_have_the_orders_id_and_the_report_the_next(world: World) -> None:
    order = world.place(limit("Buy", "24000"))
    assert order in world.known["command"]
    assert order in world.known["orderVersion"]
    assert world.known["commandReport"][order + 1]["commandId"] == order


def test_the_fill_of_a_market_order_is_its_id_plus_three(world: World) -> None:
    order = world.place(market())
    assert world.known["fill"][order + 3]["orderId"] == order


def test_ids_begin_above_what_32_bits_hold_and_only_rise(world: World) -> None:
    first, second = world.place(market()), world.place(market())
    assert 600_000_000_000 <= first < second


def test_the_client_id_is_kept_on_the_command_only(world: World) -> None:
    order = world.place(market(cl_ord_id="jt-1"))
    assert world.known["command"][order]["clOrdId"] == "jt-1"
    assert "clOrdId" not in world.known["order"][order]
    assert all("clOrdId" not in fill for fill in world.of("fill"))


def test_a_limit_below_the_market_rests_and_fills_at_its_own_price(world: World) -> None:
    order = world.place(limit("Buy", "24990"))
    assert world.heard_last == RESTING_EVENTS
    assert world.status(order) == "Working"
    world.tick("24985")
    assert world.fills(order) == [(1, Decimal(24_990))]


def test_a_limit_that_is_better_than_the_market_fills_at_the_market(world: World) -> None:
    assert world.fills(world.place(limit("Buy", "25010"))) == [(1, Decimal(25_000))]
    assert world.fills(world.place(limit("Sell", "24990"))) == [(1, Decimal(25_000))]


def test_a_sell_limit_waits_for_the_market_to_rise(world: World) -> None:
    order = world.place(limit("Sell", "25010"))
    world.tick("25009.75")
    assert world.fills(order) == []
    world.tick("25010")
    assert world.fills(order) == [(1, Decimal(25_010))]


@pytest.mark.parametrize(("action", "trigger", "beyond"), [("Buy", "25010", "25012"), ("Sell", "24990", "24988")])
def test_a_stop_fills_at_the_price_that_reached_it(world: World, action: str, trigger: str, beyond: str) -> None:
    order = world.place(stop(action, trigger))
    world.tick("25000.25")
    assert world.fills(order) == []
    world.tick(beyond)
    assert world.fills(order) == [(1, Decimal(beyond))]


def test_a_stop_limit_once_triggered_waits_for_its_limit(world: World) -> None:
    order = world.place(Leg("Buy", "StopLimit", price=Decimal(25_010), stop_price=Decimal(25_010)))
    world.tick("25020")
    assert world.status(order) == "Working"
    world.tick("25005")
    assert world.fills(order) == [(1, Decimal(25_010))]


def test_an_untriggered_stop_limit_does_not_trade_at_its_limit(world: World) -> None:
    order = world.place(Leg("Buy", "StopLimit", price=Decimal(25_010), stop_price=Decimal(25_010)))
    world.tick("25005")
    assert world.fills(order) == []


def test_an_mit_order_fills_when_the_market_comes_to_it(world: World) -> None:
    order = world.place(Leg("Buy", "MIT", stop_price=Decimal(24_990)))
    world.tick("24989")
    assert world.fills(order) == [(1, Decimal(24_989))]


# ── parts ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_market_order_comes_in_several_fills_whose_ids_rise_by_two(world: World) -> None:
    world.terms(lot=4)
    order = world.place(market(), 10)
    assert [qty for qty, _ in world.fills(order)] == [4, 4, 2]
    assert [fill["id"] - order for fill in world.of("fill")] == [3, 5, 7]
    trades = [report for report in world.of("executionReport") if report["execType"] == "Trade"]
    assert [(report["lastQty"], report["cumQty"]) for report in trades] == [(4, 4), (4, 8), (2, 10)]


def test_a_thin_market_fills_an_order_over_several_ticks_and_it_stays_working(world: World) -> None:
    world.terms(depth=2)
    order = world.place(limit("Buy", "25000"), 5)
    assert world.status(order) == "Working"
    world.tick("25000")
    world.tick("25000")
    assert world.fills(order) == [(2, Decimal(25_000)), (2, Decimal(25_000)), (1, Decimal(25_000))]
    assert world.status(order) == "Filled"


def test_an_ioc_order_cancels_what_it_does_not_get(world: World) -> None:
    world.terms(depth=2)
    order = world.place(limit("Buy", "25000", time_in_force="IOC"), 5)
    assert world.fills(order) == [(2, Decimal(25_000))]
    assert world.status(order) == "Canceled"


def test_a_fok_order_gets_all_or_nothing(world: World) -> None:
    world.terms(depth=2)
    refused = world.place(limit("Buy", "25000", time_in_force="FOK"), 5)
    assert (world.fills(refused), world.status(refused)) == ([], "Canceled")
    filled = world.place(limit("Buy", "25000", time_in_force="FOK"), 2)
    assert world.status(filled) == "Filled"


# ── modify, cancel ───────────────────────────────────────────────────────────────────────────────────────


def test_a_modify_makes_a_version_with_the_commands_id(world: World) -> None:
    order = world.place(limit("Sell", "25020"))
    answer = world.heard(world.venue.modify(order, 1, limit("Sell", "25010"), NOW)).answer
    version = world.known["orderVersion"][answer["commandId"]]
    assert (version["orderId"], version["price"]) == (order, Decimal(25_010))
    assert world.known["command"][answer["commandId"]]["commandType"] == "Modify"
    world.tick("25010")
    assert world.fills(order) == [(1, Decimal(25_010))]


def test_a_modify_to_a_marketable_price_fills_at_the_market(world: World) -> None:
    order = world.place(limit("Sell", "25020"))
    world.heard(world.venue.modify(order, 1, limit("Sell", "24990"), NOW))
    assert world.fills(order) == [(1, Decimal(25_000))]


def test_a_modified_quantity_is_the_new_total(world: World) -> None:
    world.terms(depth=1)
    order = world.place(limit("Buy", "25000"), 3)
    world.heard(world.venue.modify(order, 2, limit("Buy", "24000"), NOW))
    world.terms(depth=None)
    world.tick("24000")
    assert [qty for qty, _ in world.fills(order)] == [1, 1]


def test_a_cancel_ends_the_order_and_its_report_is_the_next_id(world: World) -> None:
    order = world.place(limit("Buy", "24000"))
    command = world.heard(world.venue.cancel(order, NOW, stamp={"clOrdId": "c-1"})).answer["commandId"]
    assert world.status(order) == "Canceled"
    assert world.known["executionReport"][command + 1]["execType"] == "Canceled"
    assert world.known["command"][command]["clOrdId"] == "c-1"


@pytest.mark.parametrize("ending", ["filled", "canceled", "rejected"])
def test_an_ended_order_is_too_late_to_cancel_or_modify(world: World, ending: str) -> None:
    if ending == "canceled":
        order = world.place(limit("Buy", "24000"))
        world.venue.cancel(order, NOW)
    else:
        order = world.place(market(), fate=LateReject("NoQuote", "") if ending == "rejected" else None)
    with pytest.raises(Refused, match="TooLate"):
        world.venue.cancel(order, NOW)
    with pytest.raises(Refused, match="TooLate"):
        world.venue.modify(order, 1, limit("Buy", "24000"), NOW)


def test_an_order_that_never_was_is_unknown(world: World) -> None:
    with pytest.raises(Unknown):
        world.venue.cancel(600_000_000_999, NOW)


def test_a_partly_filled_order_cannot_be_modified_below_what_it_filled(world: World) -> None:
    world.terms(depth=2)
    order = world.place(limit("Buy", "25000"), 5)
    with pytest.raises(Refused, match="Too late"):
        world.venue.modify(order, 2, limit("Buy", "25000"), NOW)


# ── fates ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_late_rejection_leaves_a_rejected_order_without_execution_report_or_provider(world: World) -> None:
    order = world.place(market(), fate=LateReject("MaxOrderQtyLimitReached", "Your maximum …"))
    assert world.status(order) == "Rejected"
    assert "executionProviderId" not in world.known["order"][order]
    assert world.of("executionReport") == []
    assert world.of("fill") == []
    report = world.known["commandReport"][order + 1]
    assert report["commandStatus"] == "RiskRejected"
    assert (report["rejectReason"], report["text"]) == ("MaxOrderQtyLimitReached", "Your maximum …")


def test_an_accepted_market_order_may_be_cancelled_by_the_exchange(world: World) -> None:
    order = world.place(market(), fate=ExchangeCancel())
    assert (world.status(order), world.fills(order)) == ("Canceled", [])


# ── position, pairs, cash ────────────────────────────────────────────────────────────────────────────────


def test_an_open_position_carries_the_average_of_its_fills(world: World) -> None:
    world.place(market(), 1)
    world.tick("25001")
    world.place(market(), 2)
    assert world.position["netPos"] == 3
    assert world.position["netPrice"] == Decimal("25000.666666667")
    assert (world.position["bought"], world.position["boughtValue"]) == (3, Decimal(75_002))


def test_a_flat_position_row_stays_without_net_price(world: World) -> None:
    world.place(market("Buy"))
    world.place(market("Sell"))
    assert world.position["netPos"] == 0
    assert "netPrice" not in world.position
    assert "prevPrice" not in world.position
    assert (world.position["bought"], world.position["sold"], world.position["prevPos"]) == (1, 1, 0)


def test_a_short_position_is_negative(world: World) -> None:
    world.place(market("Sell"), 3)
    assert (world.position["netPos"], world.position["netPrice"]) == (-3, Decimal(25_000))


def test_an_order_through_zero_turns_the_position(world: World) -> None:
    world.place(market("Buy"), 2)
    world.tick("25010")
    world.place(market("Sell"), 5)
    assert (world.position["netPos"], world.position["netPrice"]) == (-3, Decimal(25_010))
    assert [pair["qty"] for pair in world.of("fillPair")] == [2]


def test_lots_close_first_in_first_out_and_pairs_carry_both_prices(world: World) -> None:
    world.place(market("Sell"))
    world.tick("25010")
    world.place(market("Sell"))
    world.tick("24990")
    world.place(market("Buy"))
    pair = world.of("fillPair")[0]
    assert (pair["sellPrice"], pair["buyPrice"]) == (Decimal(25_000), Decimal(24_990))
    assert world.position["netPrice"] == Decimal(25_010)


def test_cash_moves_by_fees_and_by_what_pairs_realize(world: World) -> None:
    world.place(market("Buy"), 2)
    world.tick("25010")
    world.place(market("Sell"), 2)
    fees, realized = 4 * Decimal("0.72"), 2 * 10 * 2
    assert world.cash["amount"] == 50_000 - fees + realized
    assert world.cash["realizedPnL"] == realized
    assert sum(log["delta"] for log in world.of("cashBalanceLog")) == realized - fees


def test_a_fee_has_the_id_of_its_fill(world: World) -> None:
    order = world.place(market(), 2)
    assert world.known["fillFee"][order + 3]["commission"] == Decimal("0.50")


# ── liquidation and the session's end ────────────────────────────────────────────────────────────────────


def test_liquidate_cancels_every_working_order_and_closes_at_market(world: World) -> None:
    world.place(market("Sell"), 3)
    target, foreign = world.place(limit("Buy", "24000"), 3), world.place(stop("Buy", "26000"), 9)
    answer = world.heard(world.venue.liquidate(ACCOUNT, MNQ, NOW)).answer
    assert (world.status(target), world.status(foreign)) == ("Canceled", "Canceled")
    assert world.fills(answer["orderId"]) == [(3, Decimal(25_000))]
    assert world.known["order"][answer["orderId"]]["action"] == "Buy"
    assert world.position["netPos"] == 0


def test_liquidating_a_flat_position_trades_nothing_and_is_no_failure(world: World) -> None:
    order = world.place(limit("Buy", "24000"))
    assert world.heard(world.venue.liquidate(ACCOUNT, MNQ, NOW)).answer == {}
    assert world.status(order) == "Canceled"
    assert world.of("fill") == []


def test_at_the_sessions_end_day_orders_expire_and_positions_are_carried(world: World) -> None:
    world.place(market(), 2)
    day, gtc = world.place(limit("Buy", "24000")), world.place(limit("Buy", "24000", time_in_force="GTC"))
    world.heard(world.venue.roll(NOW))
    assert (world.status(day), world.status(gtc)) == ("Expired", "Working")
    row = world.position
    assert "netPrice" not in row
    assert (row["netPos"], row["prevPos"], row["prevPrice"]) == (2, 2, Decimal(25_000))
    assert (row["bought"], row["boughtValue"]) == (0, 0)
