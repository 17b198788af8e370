"""What a lane wants done, in the imperative. `plan` emits at most one mutation at a time.

Every command that reaches the broker has an id of ours (`clOrdId`), made from the lane's serial number.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from justtrades.positions.model import (
    Action,
    BrokerOrderId,
    ClientOrderId,
    Order,
    OrderType,
    Purpose,
    SignalId,
)
from justtrades.positions.urgency import Urgency


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """Send one order, or two as an OCO pair (one cancels the other at the broker, also while we are down)."""

    id: ClientOrderId
    order: Order
    other: Order | None = None
    not_after: datetime | None = None
    """An entry is not sent after this moment; None for orders that reduce or protect."""

    @property
    def purpose(self) -> Purpose:
        return self.order.purpose

    @property
    def signal_id(self) -> SignalId | None:
        return self.order.signal_id


@dataclass(frozen=True, slots=True)
class ModifyOrder:
    """Change quantity and price of a working order in place; values are absolute, never differences."""

    id: ClientOrderId
    order_id: ClientOrderId
    broker_id: BrokerOrderId
    purpose: Purpose
    quantity: int
    """The order's new total quantity, what is filled already included (protocol.md section 5, guess)."""
    order_type: OrderType
    price: Decimal | None
    signal_id: SignalId | None = None


@dataclass(frozen=True, slots=True)
class CancelOrder:
    id: ClientOrderId
    order_id: ClientOrderId
    broker_id: BrokerOrderId
    purpose: Purpose
    signal_id: SignalId | None = None


@dataclass(frozen=True, slots=True)
class Liquidate:
    """Close the broker's own position of this contract at market; cancels every working order of it first."""

    id: ClientOrderId
    order: Order
    """The closing order as we shall know it (its broker id comes with the answer)."""

    @property
    def purpose(self) -> Purpose:
        return Purpose.CLOSE

    @property
    def signal_id(self) -> SignalId | None:
        return self.order.signal_id


@dataclass(frozen=True, slots=True)
class LookForOrders:
    """Read this account's orders and commands to find orders whose answer never came."""

    ids: tuple[ClientOrderId, ...]
    signal_id: SignalId | None = None


@dataclass(frozen=True, slots=True)
class TakePicture:
    """Read everything the broker knows of this lane: orders, fills, position.

    `order_id` is the order whose cancel, change or liquidation was not answered, if that is why.
    """

    urgency: Urgency = Urgency.RECONCILE
    order_id: ClientOrderId | None = None
    signal_id: SignalId | None = None


Mutation = PlaceOrder | ModifyOrder | CancelOrder | Liquidate
Query = LookForOrders | TakePicture
Command = Mutation | Query

__all__ = [
    "Action",
    "CancelOrder",
    "Command",
    "Liquidate",
    "LookForOrders",
    "ModifyOrder",
    "Mutation",
    "PlaceOrder",
    "Query",
    "TakePicture",
    "Urgency",
]
