"""What a lane's broker may tell again: finished orders and fills, recognised so that old news stays old.

A lane forgets a finished trade. Pictures, repeats around the session's end and a restart bring its orders and
fills once more; without this they would look like somebody else's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from justtrades.broker.port import (
    LanePicture,
)
from justtrades.positions.events import (
    Event,
    OrderFilled,
    OrderReported,
)
from justtrades.positions.model import (
    BrokerOrderId,
    FillId,
    Lane,
    LetGo,
    News,
)
from justtrades.positions.values import replace

T = TypeVar("T")

REMEMBERED = 20_000
"""Ids of finished orders, and of their fills, one lane remembers to recognise old news."""


class Remembered(dict[T, None]):
    """The newest so many ids; the oldest are forgotten. A session's repeats are far fewer."""

    def __init__(self, ids: Iterable[T] = (), most: int = REMEMBERED) -> None:
        super().__init__()
        self._most = most
        self.add(ids)

    def add(self, ids: Iterable[T]) -> None:
        self.update(dict.fromkeys(ids))
        for oldest in [*islice(self, max(len(self) - self._most, 0))]:
            del self[oldest]


@dataclass(slots=True)
class Past:
    """Broker ids of finished orders and their fills: news of them is old news."""

    orders: Remembered[BrokerOrderId] = field(default_factory=Remembered)
    fills: Remembered[FillId] = field(default_factory=Remembered)

    def is_old(self, event: Event, lane: Lane) -> bool:
        match event:
            case OrderReported(order):
                return order.broker_id in self.orders and lane.ours(order.broker_id) is None
            case OrderFilled(fill):
                return fill.id in self.fills and all(f.id != fill.id for f in lane.fills)
            case _:
                return False

    def without_old(self, picture: LanePicture, lane: Lane) -> LanePicture:
        orders = tuple(o for o in picture.orders if not self.is_old(OrderReported(o), lane))
        fills = tuple(f for f in picture.fills if not self.is_old(OrderFilled(f), lane))
        return replace(picture, orders=orders, fills=fills)

    def let_go(self, news: tuple[News, ...]) -> None:
        for told in news:
            if isinstance(told, LetGo):
                self.orders.add(o.broker_id for o in told.orders if o.broker_id is not None)
                self.fills.add(f.id for f in told.fills)
