"""Prices, ticks and what a trade made: exact decimal arithmetic with one rule for rounding.

An exit is a promise made in a distance from the average fill: "at least 20 ticks of profit", "at most 40
ticks of loss". The exchange only takes prices on its tick, so rounding goes *towards the promise*: a target
never pays less than promised and a stop never costs more. For a long both round up, for a short both down.

An average of fills can be endless (a third of a tick), so it is kept to 28 significant digits. A price closer
than 10^-12 of a tick to the grid is taken to be on it; otherwise such a last digit would push a target a
whole tick away. Arithmetic runs in a context of its own, so nobody's `getcontext()` changes a price.

Fills are pairs (signed quantity, price): +2 bought two, -2 sold two. Money is US dollars without fees.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import (
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
    localcontext,
)
from enum import StrEnum
from typing import Final

_WIDE: Final = Context(prec=60, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])
_KEPT: Final = Context(prec=28, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])
_SAME_TICK: Final = Decimal("1E-12")


class Unit(StrEnum):
    """What a distance is counted in: ticks, points of price, percent of the average, or USD per contract."""

    TICKS = "ticks"
    POINTS = "points"
    PERCENT = "percent"
    DOLLARS = "dollars"


class Exit(StrEnum):
    """The two resting exits, named as the purposes of their orders."""

    TARGET = "target"
    STOP = "stop"


class Rounding(StrEnum):
    """Where a price between two ticks goes; nearest takes the even tick when it is exactly between."""

    UP = ROUND_CEILING
    DOWN = ROUND_FLOOR
    NEAREST = ROUND_HALF_EVEN


@dataclass(frozen=True, slots=True)
class Distance:
    """How far from the average fill an exit rests. ValueError unless it is a finite number above zero."""

    value: Decimal
    unit: Unit

    def __post_init__(self) -> None:
        """No exit rests at no distance: nothing, less than nothing and NaN are refused."""
        if not self.value.is_finite() or self.value <= 0:
            raise ValueError("a distance is a number above zero")


@dataclass(frozen=True, slots=True)
class Realized:
    """What one trade, flat to flat, came to."""

    side_sign: int
    """+1 it was long, -1 it was short."""
    quantity: int
    """Contracts entered, adds included; as many were exited."""
    entry_average: Decimal
    exit_average: Decimal
    money: Decimal
    """USD, before fees."""
    ticks: Decimal
    """Ticks summed over the contracts: two contracts that made 20 ticks each made 40."""


def round_to_tick(price: Decimal, tick: Decimal, rounding: Rounding) -> Decimal:
    """The price on the grid of `tick`; below zero (oil was there once) up is still towards plus infinity."""
    with localcontext(_WIDE):
        ticks = (price / tick).quantize(_SAME_TICK)
        return ticks.to_integral_value(rounding.value) * tick


def is_on_tick(price: Decimal, tick: Decimal) -> bool:
    """True when the price is a whole number of ticks, exactly."""
    with localcontext(_WIDE):
        return price % tick == 0


def offset(average: Decimal, distance: Distance, tick: Decimal, point_value: Decimal) -> Decimal:
    """The distance in points of price, before rounding. Percent of a negative average counts its size."""
    with localcontext(_WIDE):
        match distance.unit:
            case Unit.TICKS:
                return distance.value * tick
            case Unit.POINTS:
                return distance.value
            case Unit.PERCENT:
                return abs(average) * distance.value / 100
            case Unit.DOLLARS:
                return distance.value / point_value


def price_at(
    average: Decimal, side_sign: int, distance: Distance, tick: Decimal, point_value: Decimal, kind: Exit
) -> Decimal:
    """Where the exit of a position rests: on tick, rounded towards the promise.

    `side_sign` is +1 for a long, -1 for a short. A stop closer than one tick rests one tick away: rounded
    towards its promise it would come to lie on the winning side, where a broker refuses it.
    """
    _check_sign(side_sign)
    points = offset(average, distance, tick, point_value)
    with localcontext(_WIDE):
        away = points if kind is Exit.TARGET else -max(points, tick)
        ideal = average + side_sign * away
    return round_to_tick(ideal, tick, Rounding.UP if side_sign > 0 else Rounding.DOWN)


def average(fills: Iterable[tuple[int, Decimal]]) -> Decimal:
    """The volume-weighted price of fills of one side, to 28 significant digits; ValueError without any."""
    listed = tuple(fills)
    quantity = sum(abs(signed) for signed, _ in listed)
    if quantity == 0:
        raise ValueError("nothing was filled, so there is no average price")
    return _KEPT.divide(_value((abs(signed), price) for signed, price in listed), Decimal(quantity))


def pnl_money(side_sign: int, entry: Decimal, exit_: Decimal, quantity: int, point_value: Decimal) -> Decimal:
    """USD made (negative: lost) by `quantity` contracts from entry to exit, before fees."""
    return _KEPT.plus(_made(side_sign, entry, exit_, quantity, point_value))


def pnl_ticks(side_sign: int, entry: Decimal, exit_: Decimal, quantity: int, tick: Decimal) -> Decimal:
    """Ticks made, summed over the contracts; a fraction is possible when a price is an average."""
    with localcontext(_WIDE):
        return _KEPT.plus(_made(side_sign, entry, exit_, quantity, Decimal(1)) / tick)


def realized(fills: Iterable[tuple[int, Decimal]], tick: Decimal, point_value: Decimal) -> Realized:
    """The trade that these fills made, in their order, from flat to flat.

    Money and ticks are sums over the fills, so no rounded average is in them. ValueError when the fills do
    not end flat, or are flat or cross zero on the way: those are more than one trade.
    """
    listed = tuple(fills)
    side_sign = _side_of_one_trade(listed)
    entries = tuple(fill for fill in listed if fill[0] * side_sign > 0)
    exits = tuple(fill for fill in listed if fill[0] * side_sign < 0)
    points = _WIDE.minus(_value(listed))
    return Realized(
        side_sign,
        quantity=sum(abs(signed) for signed, _ in entries),
        entry_average=average(entries),
        exit_average=average(exits),
        money=_KEPT.multiply(points, point_value),
        ticks=_KEPT.divide(points, tick),
    )


def _value(fills: Iterable[tuple[int, Decimal]]) -> Decimal:
    with localcontext(_WIDE):
        return sum((signed * price for signed, price in fills), Decimal(0))


def _made(side_sign: int, entry: Decimal, exit_: Decimal, quantity: int, value: Decimal) -> Decimal:
    _check_sign(side_sign)
    with localcontext(_WIDE):
        return side_sign * (exit_ - entry) * quantity * value


def _side_of_one_trade(fills: tuple[tuple[int, Decimal], ...]) -> int:
    if not fills or fills[0][0] == 0:
        raise ValueError("a trade begins with a fill")
    side_sign = 1 if fills[0][0] > 0 else -1
    held = 0
    for signed, _ in fills[:-1]:
        held += signed
        if held * side_sign <= 0:
            raise ValueError("the fills of one trade stay on one side until its last")
    if held + fills[-1][0] != 0:
        raise ValueError("the fills of a finished trade end flat")
    return side_sign


def _check_sign(side_sign: int) -> None:
    if side_sign not in (1, -1):
        raise ValueError("a position is long (+1) or short (-1)")
