"""What follows from a lane's fills: whose they are, what we hold, at what average.

The broker tells fills by its own order ids. A fill of an order we know is ours. Any other fill was made by
somebody else (the trader's own platform, the broker's risk desk), except while an order of ours has no
broker id yet: then it may be that order's, and it waits. Somebody else's fill first undoes what is foreign on
this contract, then reduces ours (the trader closed by hand), and only its rest is foreign. Ids rise, so
folding in id order gives one answer for a set of fills, whatever order they arrived in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from justtrades.positions.model import Fill, Lane, Order, Purpose, Status

ZERO = Decimal(0)
Price = Decimal | None


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a fill that moved our position: signed contracts, and the order if it was ours."""

    fill: Fill
    signed: int
    order: Order | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Our signed quantity, the foreign one, and the parts of fills that made ours."""

    held: int
    foreign: int
    parts: tuple[Part, ...]
    waiting: bool
    """Some fill cannot be attributed yet, because an order of ours has no broker id so far."""


def standing(lane: Lane) -> Standing:
    """Folded once for the same orders and fills: a step asks for it many times.

    Asked in two threads at once: the event loop decides while the database's writer makes rows. So what was last
    asked is one value, read once and replaced as a whole; question and answer cannot come apart.
    """
    last = _last_asked[0]
    if last.orders is lane.orders and last.fills is lane.fills and last.foreign == lane.foreign:
        return last.answer
    answer = _standing(lane)
    _last_asked[0] = _Asked(lane.orders, lane.fills, lane.foreign, answer)
    return answer


@dataclass(frozen=True, slots=True)
class _Asked:
    """The last question and its answer; values never change, so neither can the answer."""

    orders: tuple[Order, ...]
    fills: tuple[Fill, ...]
    foreign: int
    answer: Standing


_last_asked = [_Asked((), (), 0, Standing(0, 0, (), waiting=False))]


def _standing(lane: Lane) -> Standing:
    owners = {order.broker_id: order for order in lane.orders if order.broker_id is not None}
    unbound = any(order.unbound for order in lane.orders)
    held, foreign, parts, waiting = 0, lane.foreign, [], False
    for fill in sorted(lane.fills, key=lambda f: f.order_key):
        order = owners.get(fill.broker_order_id)
        if order is not None:
            held += fill.signed
            parts.append(Part(fill, fill.signed, order))
        elif unbound:
            waiting = True
        else:
            taken, foreign = _undo(fill.signed, held, foreign)
            held += taken
            if taken:
                parts.append(Part(fill, taken, None))
    return Standing(held, foreign, tuple(parts), waiting)


def _undo(signed: int, held: int, foreign: int) -> tuple[int, int]:
    """What of somebody else's fill reduces ours, and what is foreign after it."""
    from_foreign = _reduction(signed, foreign)
    foreign += from_foreign
    taken = _reduction(signed - from_foreign, held)
    return taken, foreign + signed - from_foreign - taken


def _reduction(signed: int, position: int) -> int:
    """The part of `signed` that reduces `position` without crossing zero."""
    if signed * position >= 0:
        return 0
    return max(signed, -position) if signed < 0 else min(signed, -position)


def held(lane: Lane) -> int:
    """Signed contracts of ours, long positive."""
    return standing(lane).held


def foreign_quantity(lane: Lane) -> int:
    """Signed contracts on this contract that are not ours."""
    return standing(lane).foreign


def lacks(lane: Lane) -> int:
    """Signed contracts of ours that the broker does not hold: something that is not ours stands against them."""
    known = standing(lane)
    return -_reduction(known.foreign, known.held)


def agrees(lane: Lane) -> bool:
    """The broker's position is ours and what we know to be foreign."""
    known = standing(lane)
    return lane.broker_quantity == known.held + known.foreign


def at_broker(lane: Lane) -> int:
    """Signed contracts of ours that the broker still holds, as far as that is certain."""
    return held(lane) - (lane.short.sure if lane.short is not None else 0)


def average_price(lane: Lane) -> Decimal | None:
    """Average price of the open part in points; adds move it, reductions do not. None when flat."""
    position, cost = 0, Fraction(0)
    for part in standing(lane).parts:
        price = Fraction(part.fill.price)
        if position * part.signed >= 0:
            cost += price * part.signed
        elif abs(part.signed) <= abs(position):
            cost += cost / position * part.signed
        else:
            cost = price * (position + part.signed)
        position += part.signed
    return as_decimal(cost / position) if position else None


def as_decimal(value: Fraction) -> Decimal:
    """To 28 significant digits, Decimal's default precision."""
    return Decimal(value.numerator) / Decimal(value.denominator)


def weighted(parts: Iterable[Part]) -> Decimal | None:
    """Volume-weighted price of some parts in points."""
    volume, cost = 0, Fraction(0)
    for part in parts:
        volume += abs(part.signed)
        cost += Fraction(part.fill.price) * abs(part.signed)
    return as_decimal(cost / volume) if volume else None


def order_fills(lane: Lane, order: Order) -> tuple[Fill, ...]:
    if order.broker_id is None:
        return ()
    return tuple(f for f in lane.fills if f.broker_order_id == order.broker_id)


def filled(lane: Lane, order: Order) -> int:
    """Contracts of this order that are filled, as far as fills are here."""
    return sum(f.quantity for f in order_fills(lane, order))


def executed(lane: Lane, order: Order) -> int:
    """Contracts of this order that were ever executed, those included that the exchange undid afterwards."""
    return filled(lane, order) + sum(f.quantity for f in lane.undone if f.broker_order_id == order.broker_id)


def claimed(order: Order) -> int:
    """Contracts the broker says are filled, whether or not the fills are here.

    A filled order claims its quantity. When a change of it crossed the fill, that is not certain: a picture
    whose position agrees settles it (`fold`).
    """
    return max(order.claimed, order.quantity) if order.status is Status.FILLED else order.claimed


def settled(lane: Lane, order: Order) -> bool:
    """Ended, and every fill it claims is here, was busted since, or is waited for no longer."""
    return order.status.ended and (order.written_off or executed(lane, order) >= claimed(order))


def unsettled(lane: Lane) -> tuple[Order, ...]:
    """Orders that may still change what we hold. An entry that never left is none of them."""
    return tuple(o for o in lane.orders if not o.unsent and not settled(lane, o))


def resting(lane: Lane) -> tuple[Order, ...]:
    """Targets and stops that have not ended."""
    return tuple(o for o in lane.orders if o.purpose.rests and o.live)


def in_doubt(lane: Lane) -> bool:
    """Something was sent and nobody knows what became of it."""
    return lane.stale_since is not None or any(o.doubt is not None for o in lane.orders)


def entered(lane: Lane) -> int:
    """Contracts that entries of the open trade have filled, unsigned."""
    return sum(abs(p.signed) for p in standing(lane).parts if p.order and p.order.purpose is Purpose.ENTRY)


def quiet(lane: Lane) -> bool:
    """Nothing in flight, nothing unknown: books and broker can be compared."""
    return lane.call is None and not in_doubt(lane) and not unsettled_moving(lane)


def unsettled_moving(lane: Lane) -> bool:
    """An order that is neither settled nor plainly resting at the broker."""
    return any(not (o.purpose.rests and o.status.at_broker) for o in unsettled(lane))
