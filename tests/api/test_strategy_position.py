"""What alerts say of the strategy's own position, as far as it can be trusted."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from justtrades.api import alerts
from justtrades.api.alerts import strategy
from justtrades.positions.model import Verb
from justtrades.positions.recorder import Reading, StrategyPosition


def read(**fields: Any) -> Reading:
    reading = alerts.read(alerts.parse(json.dumps({"ticker": "MNQ1!", "action": "buy", **fields}).encode()))
    assert isinstance(reading, Reading)
    return reading


def told(after: str, before: str | None = None) -> StrategyPosition:
    return StrategyPosition(Decimal(after), Decimal(before) if before is not None else None)


WHOLE = {
    "market_position": "long",
    "market_position_size": "2",
    "prev_market_position": "long",
    "prev_market_position_size": "1",
}


def test_side_and_size_together_say_where_the_strategy_is_and_was() -> None:
    assert read(quantity=1, **WHOLE).position == told("2", "1")
    short = {**WHOLE, "market_position": "short", "prev_market_position": "flat", "prev_market_position_size": 0}
    assert read(action="sell", quantity=2, **short).position == told("-2", "0")
    assert read(sentiment="long", market_position_size=3, prev_market_position="flat").position == told("3", "0")


def test_a_side_alone_or_a_size_alone_says_only_what_the_action_means() -> None:
    assert read(market_position="long").position is None
    assert read(market_position_size=2).position is None
    assert read(sentiment="bullish", quantity=2).position is None
    assert read(position="2", position_size=2).position is None
    assert read(**{**WHOLE, "market_position_size": "NaN"}).position is None


def test_a_signed_size_is_taken_with_its_side() -> None:
    assert read(action="sell", position="short", position_size=-3).position == told("-3")
    assert read(action="sell", position="short", position_size="3").position == told("-3")


@pytest.mark.parametrize("name", ["position_size", "market_position_size", "position"])
@pytest.mark.parametrize("action", ["sell", "buy"])
def test_an_order_that_leaves_a_size_of_nothing_is_an_exit_also_without_the_word_flat(name: str, action: str) -> None:
    assert read(action=action, quantity=1, **{name: "0"}).verb is Verb.CLOSE
    assert read(action=action, quantity=1, market_position="long", **{name: "NaN"}).verb is not Verb.CLOSE


def test_a_size_below_zero_is_short_so_buying_takes_a_part_off() -> None:
    reading = read(action="buy", quantity=1, position_size="-1")
    assert (reading.verb, reading.quantity, reading.position) == (Verb.CLOSE_SHORT, Decimal(1), told("-1"))
    assert read(action="sell", quantity=1, position_size="1").verb is Verb.SELL


@pytest.mark.parametrize(
    "wrong", [{"market_position_size": -2}, {"market_position_size": 0}, {"market_position": "flat"}]
)
def test_a_position_that_contradicts_itself_is_not_used_and_said(wrong: dict[str, Any]) -> None:
    reading = read(**{**WHOLE, **wrong})
    assert reading.position is None
    assert strategy.CONTRADICTS in reading.warnings


def test_a_size_that_is_no_number_does_not_lose_the_alert() -> None:
    reading = read(**{**WHOLE, "market_position_size": "two"})
    assert (reading.verb, reading.position) == (Verb.BUY, None)
    assert strategy.CONTRADICTS in reading.warnings


@pytest.mark.parametrize(
    ("action", "after", "size", "contracts", "before"),
    [
        ("buy", "long 3", "2", None, None),  # +2 and -2 both lead to +3 by buying
        ("buy", "long 3", "2", 1, "2"),
        ("buy", "long 3", "2", 5, "-2"),
        ("buy", "long 2", "3", None, "-3"),
        ("sell", "short 1", "1", None, "1"),
        ("sell", "flat 0", "1", None, "1"),
        ("sell", "short 1", "0", None, "0"),
    ],
)
def test_an_earlier_size_without_its_side_is_used_only_where_one_side_is_possible(
    action: str, after: str, size: str, contracts: int | None, before: str | None
) -> None:
    side, now = after.split()
    reading = read(
        action=action, quantity=contracts, market_position=side, market_position_size=now, prev_position_size=size
    )
    assert reading.position is not None
    assert reading.position.before == (None if before is None else Decimal(before))
