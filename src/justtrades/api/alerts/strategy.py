"""Where a strategy says it is: TradingView's four position placeholders, whatever dialect carries them.

    {{strategy.market_position}}       long, short or flat        {{strategy.prev_market_position}}
    {{strategy.market_position_size}}  contracts, without a sign  {{strategy.prev_market_position_size}}

An alert says where to be only when side *and* size are in it: a side alone decides what an action means (see
`just_trades.staying`) and leaves the size to the recorder. `{{strategy.position_size}}`, which has a sign, is
taken in the place of the size. What contradicts itself (long with -2, flat with 1) is not used, and said.

The earlier side may be missing: then it is the one that the order's side and size lead away from. When two would
do, nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from justtrades.api.alerts import values
from justtrades.api.alerts.model import Fields, NotAnOrder
from justtrades.positions.model import Verb
from justtrades.positions.recorder import StrategyPosition

SIZES: Final = ("market_position_size", "position_size")
SIDES_BEFORE: Final = ("prev_market_position", "prev_position")
SIZES_BEFORE: Final = ("prev_market_position_size", "prev_position_size")

CONTRADICTS: Final = (
    "the strategy's position contradicts itself (its side and its size do not fit), so the alert was read by its "
    "action alone: use {{strategy.market_position}} with {{strategy.market_position_size}}"
)
_SIGN: Final = {"long": 1, "short": -1, "flat": 0}


def position(
    fields: Fields, side: str, *, said: Verb, contracts: Decimal | None
) -> tuple[StrategyPosition | None, tuple[str, ...]]:
    """The strategy's position and what is wrong with it; None unless `side` (after the order) has its size.

    `fields` in lower case; `said` and `contracts` are the alert's own action and quantity.
    """
    if side not in _SIGN or values.first(fields, SIZES) == ("", None):
        return None, ()
    size = size_of(fields, SIZES)
    after = None if size is None else _signed(side, size)
    if after is None:
        return None, (CONTRADICTS,)
    return StrategyPosition(after, _before(fields, after, said, contracts)), ()


def lowered(fields: Fields) -> Fields:
    """The position fields for a dialect whose names keep their case."""
    names = (*SIZES, *SIDES_BEFORE, *SIZES_BEFORE)
    return {name: fields[name] for name in names if name in fields}


def size_of(fields: Fields, names: Iterable[str]) -> Decimal | None:
    """What is no number says nothing: the alert's action still counts."""
    try:
        return values.number(*values.first(fields, names))
    except NotAnOrder:
        return None


# ── leaves ───────────────────────────────────────────────────────────────────────────────────────────────────


def _signed(side: str, size: Decimal) -> Decimal | None:
    """None when side and size contradict each other."""
    sign = _SIGN[side]
    if (size == 0) != (sign == 0) or (size < 0 and sign > 0):
        return None
    return abs(size) * sign


def _before(fields: Fields, after: Decimal, said: Verb, contracts: Decimal | None) -> Decimal | None:
    _, word = values.first(fields, SIDES_BEFORE)
    size = size_of(fields, SIZES_BEFORE)
    side = word.strip().lower() if isinstance(word, str) else ""
    if side == "flat":
        return Decimal(0) if not size else None
    if size is None:
        return None
    if side in _SIGN:
        return _signed(side, size)
    return size if size <= 0 else _led_away_from(size, after, said, contracts)


def _led_away_from(size: Decimal, after: Decimal, said: Verb, contracts: Decimal | None) -> Decimal | None:
    """Which of +size and -size the order came from; None when that cannot be told."""
    possible: Iterable[Decimal] = (size, -size)
    if said.enters:
        sign = 1 if said is Verb.BUY else -1
        possible = [p for p in possible if (after - p) * sign > 0]
        if contracts:
            possible = [p for p in possible if abs(after - p) == contracts] or possible
    found = [*possible]
    return found[0] if len(found) == 1 else None
