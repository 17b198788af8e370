"""The small changes everybody makes to a lane: tell something, put an order or a job back changed."""

from __future__ import annotations

from justtrades.positions.model import (
    ClientOrderId,
    Job,
    Lane,
    News,
    Order,
)
from justtrades.positions.values import replace


def client_id(lane: Lane, offset: int = 0) -> ClientOrderId:
    """Made from the lane's serial number, so that replaying the same facts makes the same id."""
    return ClientOrderId(f"jt{lane.tag}-{lane.serial + offset + 1}")


def tell(lane: Lane, *news: News) -> Lane:
    return replace(lane, news=lane.news + news)


def put(lane: Lane, changed: Order) -> Lane:
    """The lane with this order changed (same id) or added."""
    if all(o.id != changed.id for o in lane.orders):
        return replace(lane, orders=(*lane.orders, changed))
    return replace(lane, orders=tuple(changed if o.id == changed.id else o for o in lane.orders))


def put_job(lane: Lane, changed: Job) -> Lane:
    return replace(lane, jobs=tuple(changed if j.signal.id == changed.signal.id else j for j in lane.jobs))
