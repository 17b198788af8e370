"""Which signal a step is about, so that its receipt finds it: the event's own, else the command's."""

from __future__ import annotations

from collections.abc import Iterable

from justtrades.positions.commands import CancelOrder, Command, Liquidate, ModifyOrder, PlaceOrder
from justtrades.positions.events import (
    AnswerLost,
    CallAccepted,
    CallNotSent,
    CallRefused,
    Event,
    OrderFilled,
    OrderReported,
    SignalReceived,
)
from justtrades.positions.model import BrokerOrderId, ClientOrderId, Lane, SignalId, TradeClosed


def subject(lane: Lane, event: Event, commands: Iterable[Command]) -> SignalId | None:
    """`lane` is the lane after the step; None when nobody's signal is concerned (or nobody can tell)."""
    return _of_event(lane, event) or _of_commands(commands) or _of_trade(lane, event)


def _of_event(lane: Lane, event: Event) -> SignalId | None:
    match event:
        case SignalReceived(signal):
            return signal.id
        case OrderReported(order):
            return _of_order(lane, order.client_id, order.broker_id)
        case OrderFilled(fill):
            return _of_order(lane, None, fill.broker_order_id)
        case CallAccepted(call_id) | CallRefused(call_id) | CallNotSent(call_id) | AnswerLost(call_id):
            return _of_order(lane, call_id, None)
        case _:
            return None


def _of_commands(commands: Iterable[Command]) -> SignalId | None:
    calls = (c for c in commands if isinstance(c, (PlaceOrder, ModifyOrder, CancelOrder, Liquidate)))
    return next((c.signal_id for c in calls if c.signal_id is not None), None)


def _of_order(lane: Lane, client: ClientOrderId | None, broker: BrokerOrderId | None) -> SignalId | None:
    for order in lane.orders:
        if order.id == client or (broker is not None and order.broker_id == broker):
            return order.signal_id
    return None


def _of_trade(lane: Lane, event: Event) -> SignalId | None:
    """A report that ended a trade: its order may have left the lane with it."""
    if not isinstance(event, (OrderFilled, OrderReported)):
        return None
    closed = (told.trade for told in lane.news if isinstance(told, TradeClosed))
    trade = next(closed, lane.trade)
    return trade.signal_id if trade else None
