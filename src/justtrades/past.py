"""What a lane's broker may tell again: finished orders and fills, recognised so that old news stays old.

A lane forgets a finished trade. Pictures, repeats around the session's end and a restart bring its orders and
fills once more; without this they would look like somebody else's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from justtrades.positions.events import (
    Event,
    FillBusted,
    Looked,
    OrderFilled,
    OrderReported,
    PictureTaken,
)
from justtrades.positions.model import (
    BrokerOrder,
    BrokerOrderId,
    Fill,
    FillId,
    Lane,
    LetGo,
    News,
)
from justtrades.positions.values import replace

T = TypeVar("T")

REMEMBERED = 20_000
"""Ids of finished orders, and of their fills, one lane remembers to recognise old news."""
REMEMBERED_FOR = timedelta(days=7)
"""The broker tells a session again, and a session is no longer than this, holidays included."""


class Remembered(dict[T, datetime]):
    """The newest so many ids of a week, each with when it was let go; the oldest are forgotten."""

    def __init__(self, most: int = REMEMBERED) -> None:
        super().__init__()
        self._most = most

    def add(self, ids: Iterable[T], at: datetime) -> None:
        self.update(dict.fromkeys(ids, at))
        while self and (len(self) > self._most or self._oldest < at - REMEMBERED_FOR):
            del self[next(iter(self))]

    @property
    def _oldest(self) -> datetime:
        return next(iter(self.values()))


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

    def news_in(self, event: Event, lane: Lane) -> Event:
        """A read without what is old news in it: a look or picture under way while a trade ends still shows it.
        And of an execution undone it is said whether it was counted here: no other ever moved anything."""
        match event:
            case FillBusted(fill_id, fill):
                return FillBusted(fill_id, fill, counted=fill_id in self.fills)
            case PictureTaken(_, orders, fills) | Looked(_, orders, fills):
                return replace(event, orders=self._new_orders(orders, lane), fills=self._new_fills(fills, lane))
            case _:
                return event

    def _new_orders(self, orders: tuple[BrokerOrder, ...], lane: Lane) -> tuple[BrokerOrder, ...]:
        return tuple(o for o in orders if not self.is_old(OrderReported(o), lane))

    def _new_fills(self, fills: tuple[Fill, ...], lane: Lane) -> tuple[Fill, ...]:
        return tuple(f for f in fills if not self.is_old(OrderFilled(f), lane))

    def add(self, orders: Iterable[BrokerOrderId], fills: Iterable[FillId], at: datetime) -> None:
        self.orders.add(orders, at)
        self.fills.add(fills, at)

    def let_go(self, news: tuple[News, ...], now: datetime) -> None:
        for told in news:
            if isinstance(told, LetGo):
                orders = (o.broker_id for o in told.orders if o.broker_id is not None)
                self.add(orders, (f.id for f in told.fills), now)

    def keep(self, news: Iterable[LetGo]) -> None:
        """What was let go of is in the lane after all: news of it is news."""
        for told in news:
            for order in told.orders:
                if order.broker_id is not None:
                    self.orders.pop(order.broker_id, None)
            for fill in told.fills:
                self.fills.pop(fill.id, None)
