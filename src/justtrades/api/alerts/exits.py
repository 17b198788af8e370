"""Targets and stops of an alert: which of its fields counts, and whether it can be meant.

Each dialect lists its fields in the order in which one wins over the other, with what they are measured in. A
field that is 0, empty or NaN is not given, so the next one counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from justtrades.api.alerts import values
from justtrades.api.alerts.model import Fields, NotAnOrder
from justtrades.positions.model import Stop, Target, Verb
from justtrades.positions.prices import Distance, Unit

Measures = Iterable[tuple[str, Unit | None]]
"""Fields with their unit, the winner first; None: an absolute price."""

NO_TRAIL: Final = (
    "a trailing stop was asked for and is not supported yet: the stop rests where it is placed first and does not "
    "follow the price"
)
_UNITS: Final = {
    "%": Unit.PERCENT,
    **dict.fromkeys(("t", "tick", "ticks"), Unit.TICKS),
    **dict.fromkeys(("pt", "pts", "point", "points"), Unit.POINTS),
    **dict.fromkeys(("$", "usd", "dollar", "dollars"), Unit.DOLLARS),
}
_MEASURED: Final = re.compile(r"([+-]?[0-9.]{1,24}) ?(%|[a-z$]{1,7})")


@dataclass(frozen=True, slots=True)
class Measured:
    """A distance, or an absolute price; exactly one of them."""

    distance: Distance | None = None
    price: Decimal | None = None

    @property
    def target(self) -> Target:
        return Target(distance=self.distance, price=self.price)

    @property
    def stop(self) -> Stop:
        return Stop(distance=self.distance, price=self.price)


def first(fields: Fields, measures: Measures, prefix: str = "") -> Measured | None:
    """The first of these fields that is given, as what it measures; `NotAnOrder` for one that is no number."""
    for name, unit in measures:
        if value := values.positive(prefix + name, fields.get(name)):
            return measured(value, unit)
    return None


def measured(value: Decimal, unit: Unit | None) -> Measured:
    return Measured(price=value) if unit is None else Measured(Distance(value, unit))


def with_unit(name: str, value: Any, bare: Unit | None) -> Measured | None:
    """Such as `25 ticks`, `1.5%`, `15 points` or `250 dollars`; a number alone counts as `bare`. Signs do not matter:
    a target is on the side of profit and a stop on that of loss."""
    if not isinstance(value, str) or not (found := _MEASURED.fullmatch(value.strip().lower())):
        number = values.positive(name, value)
        return None if number is None else measured(number, bare)
    if found[2] not in _UNITS:
        raise NotAnOrder(f"the field {name} must be a number, alone or with %, ticks, points or dollars")
    number = values.positive(name, found[1].lstrip("+-"))
    return None if number is None else measured(number, _UNITS[found[2]])


def refuse_impossible(
    verb: Verb, seen: Decimal | None, targets: Iterable[Target], stop: Stop | None, hint: str = ""
) -> None:
    """`NotAnOrder` when an exit's absolute price cannot be meant beside the price the alert saw.

    On the wrong side of it a target would fill at once and a stop be refused; below half or above twice of it a stop
    protects nothing. Most often either is a distance in a field that takes a price."""
    if not seen or not verb.enters:
        return
    sign = 1 if verb is Verb.BUY else -1
    for target in targets:
        if target.price is not None:
            _refuse_far("target", seen, target.price, hint)
            if sign * (target.price - seen) <= 0:
                raise NotAnOrder(f"the target's price is on the losing side of the alert's own price{hint}")
    if stop is not None and stop.price is not None:
        _refuse_far("stop", seen, stop.price, hint)
        if sign * (seen - stop.price) <= 0:
            raise NotAnOrder(f"the stop's price is on the winning side of the alert's own price{hint}")


def _refuse_far(exit_: str, seen: Decimal, price: Decimal, hint: str) -> None:
    if seen > 0 and not seen / 2 <= price <= seen * 2:
        raise NotAnOrder(f"the {exit_}'s price is below half or above twice of the alert's own price{hint}")


def trail_warnings(*, trails: bool, stop: Stop | None) -> tuple[str, ...]:
    """A trailing stop beside a fixed one is a refinement; alone it is all the protection the alert has."""
    if not trails:
        return ()
    if stop is None:
        raise NotAnOrder("a trailing stop is not supported yet and the alert carries no other: give it a fixed stop")
    return (NO_TRAIL,)
