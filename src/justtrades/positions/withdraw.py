"""What had to wait before it could leave, and should not leave any more.

A request may wait for room in the budget or for a penalty ticket while the lane goes on hearing: a close comes,
the position changes, the order ends by itself. Asked of the lane as it is now; a withdrawn request was never
sent, so the lane decides afresh.
"""

from __future__ import annotations

from typing import assert_never

from justtrades.positions import book, exits, jobs
from justtrades.positions.changes import put
from justtrades.positions.commands import CancelOrder, Liquidate, ModifyOrder, Mutation, PlaceOrder
from justtrades.positions.model import Lane, Order, Purpose
from justtrades.positions.settle import beside_ours, others_came
from justtrades.positions.values import replace


def withdrawn(lane: Lane, command: Mutation) -> str | None:
    """Why a command that waited should not be sent any more, as a sentence; None when it still should."""
    match command:
        case PlaceOrder(order=Order(purpose=Purpose.ENTRY)):
            return _entry(lane, command.order)
        case PlaceOrder(order=Order(purpose=Purpose.CLOSE)):
            return None if _closes(lane, command.order) and book.agrees(lane) else "the position has changed"
        case Liquidate():
            return None if _closes(lane, command.order) else "the position has changed"
        case PlaceOrder() | ModifyOrder():
            return "a close came meanwhile" if _close_waits(lane) else None
        case CancelOrder():
            order = next((o for o in lane.orders if o.id == command.order_id), None)
            return None if order is not None and not order.status.ended else "the order has ended"
        case _:
            assert_never(command)


def _entry(lane: Lane, order: Order) -> str | None:
    job = next((j for j in lane.jobs if j.entry == order.id), None)
    if job is None or jobs.overtaken(lane, job):
        return "a later close overtook it"
    # It has not left, so no fill that came meanwhile can be its own.
    lane = put(lane, replace(order, unsent=True))
    if (other := jobs.outgrown(lane, job)) is not None:
        return other
    if (closed := jobs.lane_says_no(lane, job.signal)) is not None:
        return closed
    if others_came(lane, standing := book.standing(lane)):
        return beside_ours(lane, standing)
    return None if exits.protected(lane) else "what is held needs its exits first"


def _closes(lane: Lane, order: Order) -> bool:
    held = book.held(lane)
    return held * order.action.sign < 0 and order.quantity <= abs(held)


def _close_waits(lane: Lane) -> bool:
    """A close of this trade, its recorder's or a person's, waits for the request to end."""
    owner = lane.trade.recorder_id if lane.trade is not None else None
    return any(j.exiting or (not j.signal.verb.enters and j.signal.recorder_id in (None, owner)) for j in lane.jobs)


__all__ = ["withdrawn"]
