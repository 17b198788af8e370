"""Working orders at the broker that are not ours: shown beside a lane, never traded against, and not kept.

They are what the last picture showed and what was reported since. A restart asks the broker anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from justtrades.positions.events import Event, OrderReported, PictureTaken
from justtrades.positions.model import BrokerOrder, BrokerOrderId, Lane

MOST = 100
"""Orders of others one lane remembers, the newest heard of."""


@dataclass(slots=True)
class Others:
    """Orders of a lane's contract that somebody else placed and that work."""

    _working: dict[BrokerOrderId, BrokerOrder] = field(default_factory=dict)

    def hear(self, event: Event, lane: Lane) -> None:
        """`event` without old news in it, `lane` as it stands after that event."""
        match event:
            case PictureTaken(began_at, orders) if lane.checked_at is None or began_at >= lane.checked_at:
                self._working = {}
                self._take(orders, lane)
            case OrderReported(order):
                self._working.pop(order.broker_id, None)
                self._take((order,), lane)
            case _:
                pass

    def working(self, lane: Lane) -> tuple[BrokerOrder, ...]:
        """As they are known now: one that was taken for somebody else's may be ours since its command was read."""
        return tuple(order for order in self._working.values() if not _ours(order, lane))

    def _take(self, orders: Iterable[BrokerOrder], lane: Lane) -> None:
        self._working |= {o.broker_id: o for o in orders if not o.status.ended and not _ours(o, lane)}
        while len(self._working) > MOST:
            del self._working[next(iter(self._working))]


def _ours(order: BrokerOrder, lane: Lane) -> bool:
    """Also while nobody can say yet: an order without an id of ours, beside one of ours without the broker's."""
    if lane.ours(order.broker_id) is not None or any(o.id == order.client_id for o in lane.orders):
        return True
    return order.client_id is None and any(o.unbound for o in lane.orders)
