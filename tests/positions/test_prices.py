"""Exit prices keep their promise on the exchange's grid, and what a trade made is the sum over its fills."""

from __future__ import annotations

from decimal import Context, Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from justtrades.positions.contracts import ROOTS, Root
from justtrades.positions.prices import (
    Distance,
    Exit,
    Rounding,
    Unit,
    average,
    is_on_tick,
    pnl_money,
    pnl_ticks,
    price_at,
    realized,
    round_to_tick,
)

D = Decimal
LONG, SHORT = 1, -1
QUARTER, TWO_DOLLARS = D("0.25"), D(2)

roots = st.sampled_from(tuple(ROOTS.values()))
sides = st.sampled_from((LONG, SHORT))
distances = st.builds(Distance, st.decimals("0.01", "2000", places=2), st.sampled_from(Unit))
prices = st.decimals("-40", "30000", places=6)
tick_counts = st.integers(1, 200_000)


def promised(average: Decimal, distance: Distance, root: Root) -> Fraction:
    """The distance in points, exactly, worked out apart from the code under test."""
    value = Fraction(distance.value)
    return {
        Unit.TICKS: value * Fraction(root.tick_size),
        Unit.POINTS: value,
        Unit.PERCENT: abs(Fraction(average)) * value / 100,
        Unit.DOLLARS: value / Fraction(root.point_value),
    }[distance.unit]


def exit_price(average: str, side: int, value: str, unit: Unit, kind: Exit) -> Decimal:
    return price_at(D(average), side, Distance(D(value), unit), QUARTER, TWO_DOLLARS, kind)


@pytest.mark.parametrize(
    ("side", "value", "unit", "kind", "expected"),
    [
        (LONG, "20", Unit.TICKS, Exit.TARGET, "25005"),
        (SHORT, "20", Unit.TICKS, Exit.TARGET, "24995"),
        (LONG, "40", Unit.TICKS, Exit.STOP, "24990"),
        (SHORT, "40", Unit.TICKS, Exit.STOP, "25010"),
        (LONG, "5.1", Unit.POINTS, Exit.TARGET, "25005.25"),
        (SHORT, "5.1", Unit.POINTS, Exit.TARGET, "24994.75"),
        (LONG, "5.1", Unit.POINTS, Exit.STOP, "24995"),
        (SHORT, "5.1", Unit.POINTS, Exit.STOP, "25005"),
        (LONG, "0.1", Unit.PERCENT, Exit.TARGET, "25025"),
        (LONG, "10", Unit.DOLLARS, Exit.TARGET, "25005"),
        (SHORT, "10.10", Unit.DOLLARS, Exit.TARGET, "24994.75"),
    ],
)
def test_an_exit_rests_its_distance_from_the_average_rounded_towards_the_promise(
    side: int, value: str, unit: Unit, kind: Exit, expected: str
) -> None:
    assert exit_price("25000", side, value, unit, kind) == D(expected)


@given(roots, prices, sides, distances)
def test_a_target_is_on_tick_and_never_short_of_its_promise(
    root: Root, entry: Decimal, side: int, distance: Distance
) -> None:
    price = price_at(entry, side, distance, root.tick_size, root.point_value, Exit.TARGET)
    surplus = side * (Fraction(price) - Fraction(entry)) - promised(entry, distance, root)
    assert is_on_tick(price, root.tick_size)
    assert 0 <= surplus < Fraction(root.tick_size)


@given(roots, prices, sides, distances)
def test_a_stop_is_on_tick_on_the_losing_side_and_never_loses_more_than_promised(
    root: Root, entry: Decimal, side: int, distance: Distance
) -> None:
    price = price_at(entry, side, distance, root.tick_size, root.point_value, Exit.STOP)
    loss = side * (Fraction(entry) - Fraction(price))
    limit = max(promised(entry, distance, root), Fraction(root.tick_size))
    assert is_on_tick(price, root.tick_size)
    assert 0 < loss <= limit < loss + Fraction(root.tick_size)


@given(tick_counts, tick_counts, sides, st.sampled_from(Exit), roots)
def test_whole_ticks_from_an_average_on_the_grid_need_no_rounding(
    start: int, ticks: int, side: int, kind: Exit, root: Root
) -> None:
    away = side if kind is Exit.TARGET else -side
    entry = start * root.tick_size
    price = price_at(entry, side, Distance(D(ticks), Unit.TICKS), root.tick_size, root.point_value, kind)
    assert price == (start + away * ticks) * root.tick_size


def test_the_last_digit_of_an_endless_average_does_not_cost_a_tick() -> None:
    entry = average([(2, D("66.66")), (1, D("66.68"))])  # 66.666… and 2 % more is exactly 68
    target = price_at(entry, LONG, Distance(D(2), Unit.PERCENT), D("0.01"), D(1000), Exit.TARGET)
    assert target == D("68.00")


def test_a_stop_closer_than_a_tick_rests_a_tick_away() -> None:
    assert exit_price("25000", LONG, "0.1", Unit.POINTS, Exit.STOP) == D("24999.75")
    assert exit_price("25000.1", SHORT, "0.1", Unit.POINTS, Exit.STOP) == D("25000.25")


def test_nobody_elses_decimal_context_changes_a_price() -> None:
    with localcontext(Context(prec=3)):
        assert exit_price("25000.25", LONG, "20", Unit.TICKS, Exit.TARGET) == D("25005.25")
        assert average([(1, D("25000.25")), (1, D("25000.75"))]) == D("25000.5")
        assert realized([(1, D("25000.25")), (-1, D("25125.5"))], QUARTER, TWO_DOLLARS).money == D("250.5")
        assert pnl_money(LONG, D("25000.25"), D("25125.5"), 10, D(20)) == D("25050")
        assert is_on_tick(D("25000.25"), QUARTER)


@pytest.mark.parametrize("value", ["0", "-1", "NaN", "Infinity"])
def test_a_distance_of_nothing_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="above zero"):
        Distance(D(value), Unit.TICKS)


@pytest.mark.parametrize("sign", [0, 2, -3])
def test_a_position_is_long_or_short(sign: int) -> None:
    with pytest.raises(ValueError, match="long"):
        exit_price("25000", sign, "20", Unit.TICKS, Exit.TARGET)


@pytest.mark.parametrize(
    ("price", "rounding", "expected"),
    [
        ("100.10", Rounding.UP, "100.25"),
        ("100.10", Rounding.DOWN, "100"),
        ("100.10", Rounding.NEAREST, "100"),
        ("100.15", Rounding.NEAREST, "100.25"),
        ("100.25", Rounding.UP, "100.25"),
        ("-37.60", Rounding.UP, "-37.5"),
        ("-37.60", Rounding.DOWN, "-37.75"),
    ],
)
def test_a_price_is_rounded_to_the_grid_in_the_direction_asked(price: str, rounding: Rounding, expected: str) -> None:
    assert round_to_tick(D(price), QUARTER, rounding) == D(expected)


@given(prices, roots, st.sampled_from(Rounding))
def test_rounding_again_changes_nothing(price: Decimal, root: Root, rounding: Rounding) -> None:
    once = round_to_tick(price, root.tick_size, rounding)
    assert round_to_tick(once, root.tick_size, rounding) == once


def test_the_average_weighs_by_quantity() -> None:
    assert average([(1, D("25000")), (3, D("25001"))]) == D("25000.75")
    assert average([(-2, D("10")), (-1, D("11"))]) == D("10.33333333333333333333333333")
    with pytest.raises(ValueError, match="no average"):
        average([])


def test_pnl_is_difference_times_quantity_times_point_value() -> None:
    assert pnl_money(LONG, D("25000"), D("25005"), 3, TWO_DOLLARS) == 30
    assert pnl_money(SHORT, D("25000"), D("25005"), 3, TWO_DOLLARS) == -30
    assert pnl_ticks(LONG, D("25000"), D("25005"), 3, QUARTER) == 60
    assert pnl_ticks(SHORT, D("25000"), D("25000.125"), 1, QUARTER) == D("-0.5")


def test_a_trade_with_adds_and_a_partial_exit_comes_to_the_sum_of_its_fills() -> None:
    fills = [(-1, D(100)), (-2, D(103)), (1, D(101)), (-1, D(104)), (3, D(99))]
    trade = realized(fills, QUARTER, TWO_DOLLARS)
    assert (trade.side_sign, trade.quantity) == (SHORT, 4)
    assert (trade.entry_average, trade.exit_average) == (D("102.5"), D("99.5"))
    assert (trade.money, trade.ticks) == (D(24), D(48))


@given(
    roots,
    sides,
    st.lists(st.tuples(st.integers(1, 9), tick_counts), min_size=1, max_size=6),
    st.lists(tick_counts, min_size=1, max_size=6),
)
def test_money_is_ticks_times_the_value_of_a_tick(
    root: Root, side: int, entries: list[tuple[int, int]], exits: list[int]
) -> None:
    bought = [(side * quantity, price * root.tick_size) for quantity, price in entries]
    held = sum(quantity for quantity, _ in entries)
    exits = exits[:held]
    sold = [(-side, price * root.tick_size) for price in exits[:-1]]
    sold.append((-side * (held - len(sold)), exits[-1] * root.tick_size))
    trade = realized(bought + sold, root.tick_size, root.point_value)
    assert trade.ticks == trade.ticks.to_integral_value()
    assert trade.money == trade.ticks * root.tick_value
    assert trade.quantity == held


@pytest.mark.parametrize(
    ("fills", "complaint"),
    [
        ([], "begins with a fill"),
        ([(0, D(1))], "begins with a fill"),
        ([(1, D(1))], "end flat"),
        ([(1, D(1)), (-1, D(1)), (1, D(1)), (-1, D(1))], "one side"),
        ([(1, D(1)), (-2, D(1)), (1, D(1))], "one side"),
    ],
)
def test_fills_that_are_not_one_trade_are_refused(fills: list[tuple[int, Decimal]], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        realized(fills, QUARTER, TWO_DOLLARS)
