"""Books beside broker, told and not mended: what differs on one lane, a sentence each.

What reconciliation would do about it is not asked here. A difference may be gone a moment later: an order on its
way, a list that lags.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from justtrades.positions import book
from justtrades.positions.model import BrokerOrder, BrokerOrderId, Fill, Lane, Order, Status


def differences(lane: Lane, orders: Iterable[BrokerOrder], fills: Iterable[Fill], quantity: int) -> tuple[str, ...]:
    """`orders`, `fills` and `quantity` are the broker's, from one clean picture of this lane."""
    shown = {o.broker_id: o for o in orders}
    return (
        *_position(lane, quantity),
        *_unanswered(lane),
        *(text for order in lane.orders if (text := _order(lane, order, shown)) is not None),
        *_others(lane, shown.values()),
        *_fills(lane, fills),
    )


def _position(lane: Lane, quantity: int) -> Iterable[str]:
    standing = book.standing(lane)
    if book.lacks(lane):
        yield f"position: books {standing.held:+d}, broker {quantity:+d}, and no fill says why"
        return
    if standing.foreign:
        yield f"{standing.foreign:+d} contracts at the broker are not ours"
    if quantity != standing.held + standing.foreign:
        explained = f" and {standing.foreign:+d} not ours" if standing.foreign else ""
        yield f"position: books {standing.held:+d}{explained}, broker {quantity:+d}"


def _unanswered(lane: Lane) -> Iterable[str]:
    for order in lane.orders:
        if order.unbound and order.status is Status.SENDING:
            yield f"{order.purpose} {order.id}: sent, and not answered yet"


def _order(lane: Lane, order: Order, shown: dict[BrokerOrderId, BrokerOrder]) -> str | None:
    """One of ours that the broker should show as we know it."""
    if order.broker_id is None or not order.status.at_broker:
        return None
    name = f"{order.purpose} {order.broker_id}"
    said = shown.get(order.broker_id)
    if said is None:
        return f"{name}: works in the books, the broker does not list it"
    if said.status.ended:
        return f"{name}: works in the books, {said.status.name.lower()} at the broker"
    if said.quantity not in (None, order.quantity) or said.price not in (None, order.price):
        return f"{name}: {_terms(order.quantity, order.price)} in the books, {_terms(said.quantity, said.price)} there"
    return None


def _others(lane: Lane, shown: Iterable[BrokerOrder]) -> Iterable[str]:
    for said in shown:
        if not said.status.ended and lane.ours(said.broker_id) is None:
            side = said.action.upper() if said.action else "an"
            yield f"{side} order {said.broker_id} for {_terms(said.quantity, said.price)} works there and is not ours"


def _fills(lane: Lane, fills: Iterable[Fill]) -> Iterable[str]:
    known = {f.id for f in lane.fills} | {*lane.busted}
    ours = {o.broker_id for o in lane.orders}
    for fill in fills:
        if fill.broker_order_id in ours and fill.id not in known:
            yield f"fill {fill.id} of ours ({fill.signed:+d} at {fill.price:f}) is not in the books"


def _terms(quantity: int | None, price: Decimal | None) -> str:
    return f"{quantity if quantity is not None else '?'}" + (f" at {price:f}" if price is not None else "")
