"""Which targets and stops should rest for what is held, and the one change that brings them nearer.

Wanted is computed from the fills alone: one leg per target of the terms, each with its share of what was
entered less what it has filled, all legs together exactly what is held (less what the broker certainly lacks);
prices from the average, rounded towards the promise. What rests is compared leg by leg. With a stop, target and
stop of a leg are placed as an OCO pair, so that two orders that reduce the position can never both fill, whether
we run or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from justtrades.positions import book
from justtrades.positions.limits import Limits, cancel_again
from justtrades.positions.model import (
    Action,
    ClientOrderId,
    Lane,
    Order,
    OrderType,
    Purpose,
    Status,
    Stop,
    Target,
    TargetUpdate,
)
from justtrades.positions.prices import Exit, Rounding, price_at, round_to_tick
from justtrades.positions.sizing import split

MOST_LOST = 2
"""An exit that somebody else cancelled is put back once; the second time it is left away."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One part of the position and where it shall end: quantity in contracts, prices in points."""

    index: int
    quantity: int
    target: Decimal | None
    stop: Decimal | None


@dataclass(frozen=True, slots=True)
class Place:
    leg: Leg


@dataclass(frozen=True, slots=True)
class Change:
    order: Order
    quantity: int
    price: Decimal


@dataclass(frozen=True, slots=True)
class Remove:
    order: Order


Step = Place | Change | Remove


def wanted(lane: Lane) -> tuple[Leg, ...]:
    """The legs that should rest now; none when flat, on the wrong side, or while the position is being closed."""
    trade, quantity = lane.trade, abs(book.at_broker(lane))
    if trade is None or quantity == 0 or book.held(lane) * trade.side.sign < 0:
        return ()
    average = book.average_price(lane)
    if average is None:
        return ()
    if any(job.exiting for job in lane.jobs):
        return ()
    targets = trade.terms.targets or ((None,) if trade.terms.stop else ())
    stop = _price(lane, trade.terms.stop, average, Exit.STOP)
    legs = zip(targets, _shares(lane, targets, quantity), strict=True)
    priced = (Leg(i, n, _price(lane, target, average, Exit.TARGET), stop) for i, (target, n) in enumerate(legs) if n)
    return tuple(priced)


def _shares(lane: Lane, targets: tuple[Target | None, ...], quantity: int) -> tuple[int, ...]:
    """Each leg's share of what was entered less what it filled; trimmed or topped up at the end to fit."""
    if not targets:
        return ()
    percents = tuple(t.percent if t else Decimal(100) for t in targets)
    planned = split(max(book.entered(lane), quantity), percents)
    done = [_leg_filled(lane, index) for index in range(len(targets))]
    left = [max(0, plan - gone) for plan, gone in zip(planned, done, strict=True)]
    left[-1] += max(0, quantity - sum(left))
    for index in reversed(range(len(left))):
        left[index] -= min(left[index], max(0, sum(left) - quantity))
    return tuple(left)


def _leg_filled(lane: Lane, index: int) -> int:
    return sum(book.filled(lane, o) for o in lane.orders if o.purpose.rests and o.leg == index)


def _price(lane: Lane, rule: Target | Stop | None, average: Decimal, kind: Exit) -> Decimal | None:
    if rule is None or lane.trade is None:
        return None
    tick, sign = lane.contract.tick_size, lane.trade.side.sign
    if rule.price is not None:
        return round_to_tick(rule.price, tick, Rounding.UP if sign > 0 else Rounding.DOWN)
    if rule.distance is None:
        return None
    return price_at(average, sign, rule.distance, tick, lane.contract.point_value, kind)


def protected(lane: Lane) -> bool:
    """Every leg wanted rests at the broker, whole and at its price; trivially true when none is wanted."""
    return all(_leg_stands(lane, leg) for leg in wanted(lane))


def _leg_stands(lane: Lane, leg: Leg) -> bool:
    pairs = ((Purpose.TARGET, leg.target), (Purpose.STOP, leg.stop))
    return all(_stands(lane, leg, purpose, price) for purpose, price in pairs if price is not None)


def _stands(lane: Lane, leg: Leg, purpose: Purpose, price: Decimal) -> bool:
    live = _resting(lane, leg.index, purpose)
    return len(live) == 1 and live[0].status.at_broker and _fits(lane, live[0], leg, price)


def resting_for_all(lane: Lane) -> bool:
    """Each leg wanted has its exits at the broker, though perhaps for fewer contracts or at an older price."""
    return all(
        any(order.status.at_broker and order.cancel_asked < 1 for order in _resting(lane, leg.index, purpose))
        for leg in wanted(lane)
        for purpose, price in _prices(leg)
        if price is not None
    )


def _fits(lane: Lane, order: Order, leg: Leg, price: Decimal) -> bool:
    return order.price == price and order.quantity - book.executed(lane, order) == leg.quantity


def _resting(lane: Lane, index: int, purpose: Purpose) -> list[Order]:
    return [o for o in book.resting(lane) if o.leg == index and o.purpose is purpose]


# ── the next change ──────────────────────────────────────────────────────────────────────────────────────


def next_step(lane: Lane, now: datetime, limits: Limits) -> Step | None:
    """The one change that brings what rests nearer to what is wanted, or None."""
    if any(o.purpose.rests and not book.settled(lane, o) and o.status.ended for o in lane.orders):
        return None  # an exit ended and its fills are not all here: what is held is about to change
    legs = wanted(lane)
    surplus = _surplus(lane, legs, now, limits)
    if surplus is not None:
        return surplus
    return next((step for leg in legs if (step := _leg_step(lane, leg, now, limits)) is not None), None)


def _surplus(lane: Lane, legs: tuple[Leg, ...], now: datetime, limits: Limits) -> Remove | None:
    """An exit no leg wants: of a leg that is gone, of a price that is gone, one too many, or one that vanished."""
    prices = {(leg.index, p): price for leg in legs for p, price in _prices(leg)}
    seen: set[tuple[int, Purpose]] = set()
    for order in book.resting(lane):
        key = (order.leg, order.purpose)
        unwanted = prices.get(key) is None or key in seen or vanished(lane, order, limits)
        if unwanted and may_cancel(order, now, limits) and not _leaves_by_itself(lane, order, now, limits):
            return Remove(order)
        seen.add(key)
    return None


def _prices(leg: Leg) -> tuple[tuple[Purpose, Decimal | None], ...]:
    return ((Purpose.TARGET, leg.target), (Purpose.STOP, leg.stop))


def may_cancel(order: Order, now: datetime, limits: Limits) -> bool:
    """It lives at the broker, and a cancel sent before has had its time."""
    if not order.status.at_broker or order.broker_id is None:
        return False
    if order.cancel_asked < 1 or order.changed_at is None:
        return True
    return now >= order.changed_at + cancel_again(limits, order.cancel_asked)


def vanished(lane: Lane, order: Order, limits: Limits) -> bool:
    """Pictures have not shown it for the settle window. It may rest all the same, and a second one beside it could
    fill too: it is cancelled first, and has ended when the broker says so or has nothing to cancel."""
    since, seen = order.unlisted_since, lane.checked_at
    return since is not None and seen is not None and seen - since >= limits.settle


def sibling_of(lane: Lane, order: Order) -> Order | None:
    return next((o for o in lane.orders if o.id == order.oco), None)


def _leaves_by_itself(lane: Lane, order: Order, now: datetime, limits: Limits) -> bool:
    """Its OCO sibling ended a moment ago: the broker cancels this one."""
    sibling = sibling_of(lane, order)
    ended = sibling.ended_at if sibling is not None else None
    return ended is not None and now < ended + limits.sibling_grace


def _leg_step(lane: Lane, leg: Leg, now: datetime, limits: Limits) -> Step | None:
    wants = [(purpose, price) for purpose, price in _prices(leg) if price is not None]
    have = {purpose: _resting(lane, leg.index, purpose) for purpose, _ in wants}
    if not any(have.values()):
        return Place(leg) if lane.protect_again_at is None or now >= lane.protect_again_at else None
    if not all(have.values()) and not _half_stays(lane, now):
        # one half of a pair is gone: both are placed anew, never two that can both fill
        lone = next(orders[0] for orders in have.values() if orders)
        return Remove(lone) if may_cancel(lone, now, limits) else None
    mends = (_mend(lane, leg, have[p][0], price, now, limits) for p, price in wants if have[p])
    return next((step for step in mends if step is not None), None)


def entries_stopped(lane: Lane) -> str | None:
    """Why this lane takes no entry until a person resumes it, or until what is in the way is gone."""
    return lane.stopped or lane.blocked or _asks(lane)


def _asks(lane: Lane) -> str | None:
    """An exit somebody took away twice is missed: more is not put beside a position that nobody lets us protect."""
    if not left_to_a_person(lane) or protected(lane):
        return None
    return "an exit was cancelled again, not by us: it stays away, and entries with it, until a person resumes the lane"


def left_to_a_person(lane: Lane) -> bool:
    """Somebody cancelled an exit again after it was put back: what is gone stays away until a person resumes."""
    return lane.exits_lost >= MOST_LOST


def _half_stays(lane: Lane, now: datetime) -> bool:
    """Half a pair protects better than nothing: it goes only when the whole pair may follow at once."""
    return left_to_a_person(lane) or (lane.protect_again_at is not None and now < lane.protect_again_at)


def _mend(lane: Lane, leg: Leg, order: Order, price: Decimal, now: datetime, limits: Limits) -> Step | None:
    if _fits(lane, order, leg, price) or order.broker_id is None or not order.status.at_broker:
        return None
    replace_it = lane.trade is not None and lane.trade.terms.target_update is TargetUpdate.REPLACE
    if replace_it or order.modify_refused >= 2:
        return Remove(order) if may_cancel(order, now, limits) else None
    return Change(order, leg.quantity + book.executed(lane, order), price)


def orders_of(lane: Lane, leg: Leg, ids: tuple[str, str], now: datetime) -> tuple[Order, Order | None]:
    """The order, or OCO pair, that protects a leg. The ids are taken in turn: the next order's follows the last."""
    wants = [(purpose, price) for purpose, price in _prices(leg) if price is not None]
    made = [
        _order(lane, leg, purpose, price, client_id, now)
        for (purpose, price), client_id in zip(wants, ids, strict=False)
    ]
    return made[0], made[1] if len(made) > 1 else None


def _order(lane: Lane, leg: Leg, purpose: Purpose, price: Decimal, client_id: str, now: datetime) -> Order:
    return Order(
        id=ClientOrderId(client_id),
        purpose=purpose,
        action=Action.of(-book.held(lane)),
        quantity=leg.quantity,
        order_type=OrderType.LIMIT if purpose is Purpose.TARGET else OrderType.STOP,
        sent_at=now,
        price=price,
        leg=leg.index,
        signal_id=lane.trade.signal_id if lane.trade else None,
        status=Status.SENDING,
    )
