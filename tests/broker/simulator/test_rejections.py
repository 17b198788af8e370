"""What the venue refuses, in which words, and that a refusal changes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from justtrades.broker.simulator.rules import Leg, Malformed, Refused, Ticket
from justtrades.positions.contracts import Root, is_open
from tests.broker.simulator.world import ACCOUNT, MNQ, NOW, SYMBOL, World, limit, market, stop

DENIED = ("UnknownReason", "Access is denied")


@pytest.fixture
def world() -> World:
    return World()


def refusal(world: World, leg: Leg, qty: int = 1, **ticket: Any) -> tuple[str, str]:
    before = world.venue.book.next_id
    with pytest.raises(Refused) as refused:
        world.place(leg, qty, **ticket)
    assert world.venue.book.next_id == before
    assert world.venue.book.orders == {}
    return refused.value.reason, refused.value.text


@pytest.mark.parametrize(
    "symbol", ["MNQ", "MNQ1!", "MNQZ26", "MNQZ2026", "@MNQ", "mnqz6", "ABCZ6", "MNQF6", "", "Z6", "6"]
)
def test_what_is_no_contract_name_is_denied(world: World, symbol: str) -> None:
    assert refusal(world, market(), symbol=symbol) == DENIED


def test_an_unknown_account_is_denied(world: World) -> None:
    assert refusal(world, market(), account_id=4711) == DENIED


def test_an_account_spec_that_is_not_the_accounts_name_is_denied(world: World) -> None:
    assert refusal(world, market(), account_spec="somebody") == DENIED


def test_a_closed_account_is_denied(world: World) -> None:
    world.limits(active=False)
    assert refusal(world, market()) == DENIED


def test_an_expired_contract_is_invalid(world: World) -> None:
    assert refusal(world, market(), symbol="MNQU6")[0] == "InvalidContract"


@pytest.mark.parametrize("leg", [limit("Buy", "25000.10"), stop("Sell", "24999.9"), limit("Buy", "25000.3")])
def test_a_price_off_the_tick_is_refused(world: World, leg: Leg) -> None:
    assert refusal(world, leg) == ("InvalidPrice", "Invalid price increment")


@pytest.mark.parametrize(
    "leg",
    [Leg("Buy", "Limit"), Leg("Buy", "Stop"), replace(stop("Buy", "25000"), price=Decimal(25_000))],
)
def test_a_price_that_is_missing_or_too_many_is_refused(world: World, leg: Leg) -> None:
    assert refusal(world, leg)[0] == "InvalidPrice"


def test_an_order_type_that_is_not_simulated_is_unsupported(world: World) -> None:
    assert refusal(world, Leg("Buy", "TrailingStop"))[0] == "Unsupported"


def test_a_market_order_without_a_price_finds_no_quote(world: World) -> None:
    world.venue.book.prices.clear()
    assert refusal(world, market()) == ("NoQuote", "No quote available")


def test_more_than_the_largest_order_is_refused(world: World) -> None:
    world.limits(max_order_qty=2)
    expected = ("MaxOrderQtyLimitReached", "Your maximum order quantity has been met.")
    assert refusal(world, market(), 3) == expected


def test_a_position_beyond_the_limit_is_refused_and_a_smaller_one_is_not(world: World) -> None:
    world.limits(max_position=3)
    assert refusal(world, market(), 4)[0] == "MaxPosLimitReached"
    world.place(market(), 3)
    with pytest.raises(Refused, match="MaxPosLimitReached"):
        world.place(market("Buy"))
    world.place(market("Sell"), 2)
    assert world.position["netPos"] == 1


def test_liquidation_only_lets_through_what_reduces(world: World) -> None:
    world.place(market(), 2)
    world.limits(liquidation_only=True)
    with pytest.raises(Refused, match=r"LiquidationOnly: Your account is set to liquidation only\."):
        world.place(market("Buy"))
    with pytest.raises(Refused, match="LiquidationOnly"):
        world.place(market("Sell"), 3)
    world.place(limit("Sell", "24990"), 2)
    assert world.position["netPos"] == 0


def test_a_locked_account_trades_nothing_but_liquidates(world: World) -> None:
    world.place(market(), 2)
    world.limits(locked=True)
    with pytest.raises(Refused, match="TradingLocked"):
        world.place(market("Sell"))
    world.heard(world.venue.liquidate(ACCOUNT, MNQ, NOW))
    assert world.position["netPos"] == 0


def test_late_risk_answers_with_an_order_id_and_rejects_then(world: World) -> None:
    world.limits(max_order_qty=2, late_risk=True)
    order = world.place(market(), 3)
    assert world.status(order) == "Rejected"
    assert world.known["commandReport"][order + 1]["rejectReason"] == "MaxOrderQtyLimitReached"


def closed(_root: Root, _at: datetime) -> bool:
    return False


def test_outside_the_session_nothing_is_placed_modified_or_liquidated(world: World) -> None:
    order = world.place(limit("Buy", "24000"))
    world.terms(is_open=closed)
    with pytest.raises(Refused, match="SessionClosed"):
        world.venue.place(Ticket(ACCOUNT, SYMBOL, 1, market()), NOW)
    with pytest.raises(Refused, match="SessionClosed"):
        world.venue.modify(order, 1, limit("Buy", "24500"), NOW)
    with pytest.raises(Refused, match="SessionClosed"):
        world.venue.liquidate(ACCOUNT, MNQ, NOW)


def test_the_calendar_of_positions_fits_the_terms(world: World) -> None:
    world.terms(is_open=is_open)
    saturday = NOW.replace(day=28)
    ticket = Ticket(ACCOUNT, SYMBOL, 1, market())
    world.venue.place(ticket, NOW)
    with pytest.raises(Refused, match="SessionClosed"):
        world.venue.place(ticket, saturday)


def test_outside_the_session_prices_fill_nothing(world: World) -> None:
    order = world.place(limit("Buy", "24000"))
    world.terms(is_open=closed)
    world.tick("23000")
    assert world.fills(order) == []


@pytest.mark.parametrize("qty", [0, -1])
def test_a_quantity_below_one_is_malformed(world: World, qty: int) -> None:
    with pytest.raises(Malformed):
        world.place(market(), qty)


@pytest.mark.parametrize("leg", [{"action": "Hold"}, {"time_in_force": "Forever"}])
def test_words_outside_the_enums_are_malformed(leg: dict[str, str]) -> None:
    with pytest.raises(Malformed):
        Leg(**{"action": "Buy", "kind": "Market"} | leg)  # type: ignore[arg-type]  # words only


def test_one_wrong_bracket_refuses_the_whole_request(world: World) -> None:
    with pytest.raises(Refused, match="InvalidPrice"):
        world.oso(market("Buy"), limit("Sell", "25010"), stop("Sell", "24980.1"))
    assert world.venue.book.orders == {}


def test_a_contract_ends_when_its_last_day_does(world: World) -> None:
    ticket = Ticket(ACCOUNT, SYMBOL, 1, market())
    world.venue.place(ticket, MNQ.expires - timedelta(seconds=1))
    with pytest.raises(Refused, match="InvalidContract"):
        world.venue.place(ticket, MNQ.expires)
