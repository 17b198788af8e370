"""How many contracts: what a signal asks for, times the account's multiplier, within what may be held.

Always down, never up: half a contract is no contract, and an order over the limit becomes what still fits.
Nothing left means blocked, with the sentence that the receipt shows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal


@dataclass(frozen=True, slots=True)
class Sized:
    """The quantity to order; 0 means blocked. `reason` says why it is less than asked, else it is None."""

    quantity: int
    trimmed: bool = False
    reason: str | None = None


def size(base: int, multiplier: Decimal, held: int, max_quantity: int | None) -> Sized:
    """`base` × `multiplier` in whole contracts, trimmed to what `max_quantity` leaves beside `held`.

    `held` is what the order adds to (its sign does not matter); `max_quantity` None means no limit.
    """
    wanted = whole(base, multiplier)
    if wanted <= 0:
        return Sized(0, reason=f"{base} × {multiplier:f} is less than one whole contract")
    if max_quantity is None or wanted <= max_quantity - abs(held):
        return Sized(wanted)
    return _trimmed(wanted, abs(held), max_quantity)


def whole(base: int, multiplier: Decimal) -> int:
    """`base` × `multiplier`, rounded down to whole contracts."""
    return int((base * multiplier).to_integral_value(ROUND_FLOOR))


def split(total: int, percents: tuple[Decimal, ...]) -> tuple[int, ...]:
    """`total` contracts over target legs in proportion to `percents`; the legs sum to exactly `total`.

    The largest remainders get the contracts left over, an earlier leg before a later one. With fewer
    contracts than legs the first legs get one each: the nearest targets protect first, and the last legs stay
    empty. Percents are weights: they need not sum to 100. ValueError unless each is above zero.
    """
    if total < 0 or not percents or not all(percent.is_finite() and percent > 0 for percent in percents):
        raise ValueError("a split needs a quantity and legs above zero percent")
    if total < len(percents):
        return tuple(int(leg < total) for leg in range(len(percents)))
    return _largest_remainder(total, percents)


def _trimmed(wanted: int, held: int, max_quantity: int) -> Sized:
    room = max_quantity - held
    if room <= 0:
        return Sized(0, reason=f"max quantity {max_quantity} is reached: {held} held")
    reason = f"trimmed from {wanted} to {room}: max quantity {max_quantity}, {held} held"
    return Sized(room, trimmed=True, reason=reason)


def _largest_remainder(total: int, weights: tuple[Decimal, ...]) -> tuple[int, ...]:
    # Fractions as integers over one denominator: no rounding can make the sum miss.
    ratios = [weight.as_integer_ratio() for weight in weights]
    scale = math.lcm(*(denominator for _, denominator in ratios))
    parts = [numerator * (scale // denominator) for numerator, denominator in ratios]
    shares = [divmod(total * part, sum(parts)) for part in parts]
    left = total - sum(share for share, _ in shares)
    favoured = sorted(range(len(shares)), key=lambda leg: (-shares[leg][1], leg))[:left]
    return tuple(share + (leg in favoured) for leg, (share, _) in enumerate(shares))
