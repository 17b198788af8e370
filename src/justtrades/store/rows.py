"""What a lane looks like as rows: pure functions from the frozen values to the columns of `tables`.

Everything numeric is derived from the fills through `positions.book`, exactly as the engine does it.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from justtrades.positions import book, contracts, exits
from justtrades.positions.model import (
    Action,
    Fill,
    Lane,
    Order,
    Purpose,
    Status,
    Trade,
    TradeClosed,
    TradeId,
)

Row = dict[str, Any]


def lane_row(lane: Lane, text: str, at: datetime, unprotected: float) -> Row:
    """`unprotected`: the longest stretch, in seconds, that ended or goes on at `at`."""
    return {
        "account_id": lane.account_id,
        "contract": lane.contract.name,
        "state_json": text,
        "quantity": book.held(lane),
        "broker_quantity": lane.broker_quantity,
        "foreign_quantity": book.foreign_quantity(lane),
        "in_doubt": book.in_doubt(lane),
        "halted": (lane.halted or exits.entries_stopped(lane)) is not None,
        "halt_reason": lane.halted or exits.entries_stopped(lane),
        "owner_recorder_id": lane.trade.recorder_id if lane.trade else None,
        "unprotected_since": lane.unprotected_since,
        "unprotected_day": str(contracts.trade_date(at)),
        "unprotected_seconds_max": unprotected,
        "checked_at": lane.checked_at,
        "updated_at": at,
    }


def order_row(lane: Lane, order: Order, trade_id: TradeId | None, at: datetime) -> Row:
    filled = book.order_fills(lane, order)
    return {
        "id": order.id,
        "broker_order_id": order.broker_id,
        "signal_id": order.signal_id,
        "trade_id": trade_id,
        "account_id": lane.account_id,
        "contract": lane.contract.name,
        "purpose": order.purpose,
        "leg": order.leg,
        "action": order.action,
        "quantity": order.quantity,
        "order_type": order.order_type,
        "price": order.price,
        "status": order.status.name.lower(),
        "filled_quantity": sum(fill.quantity for fill in filled),
        "average_price": average(filled),
        "reason": order.reason,
        "text": order.text,
        "created_at": order.sent_at,
        "updated_at": at,
        "ended_at": order.ended_at,
    }


def fill_row(lane: Lane, fill: Fill, order: Order | None, trade_id: TradeId | None) -> Row:
    """`trade_id`: the trade whose position this fill moved, also when the order was somebody else's."""
    return {
        "broker_fill_id": fill.id,
        "broker_order_id": fill.broker_order_id,
        "order_id": order.id if order else None,
        "trade_id": trade_id,
        "account_id": lane.account_id,
        "contract": lane.contract.name,
        "action": fill.action,
        "quantity": fill.quantity,
        "price": fill.price,
        "filled_at": fill.at,
        "busted": False,
    }


def open_trade_row(lane: Lane) -> Row | None:
    """The open trade as it stands, or None: without a fill there is no trade."""
    trade, quantity = lane.trade, book.held(lane)
    if trade is None or not quantity:
        return None
    average_price = book.average_price(lane)
    return {
        **_trade(lane, trade),
        "entry_price": average_price,
        "exit_price": None,
        "quantity": abs(quantity),
        "tp_price": _resting_price(lane, Purpose.TARGET),
        "sl_price": _resting_price(lane, Purpose.STOP),
        "status": "open",
        "pnl": None,
        "pnl_ticks": None,
        "exit_reason": trade.exit_reason,
        "broker_order_id": _entry_id(lane, trade),
        "broker_fill_price": average_price,
        "broker_managed_tp_sl": any(order.status.at_broker for order in book.resting(lane)),
        "closed_at": None,
    }


def closed_trade_row(lane: Lane, closed: TradeClosed) -> Row:
    return {
        **_trade(lane, closed.trade),
        "entry_price": closed.entry_price,
        "exit_price": closed.exit_price,
        "quantity": closed.entry_quantity,
        "tp_price": closed.target_price,
        "sl_price": closed.stop_price,
        "status": "closed",
        "pnl": closed.pnl,
        "pnl_ticks": closed.pnl_ticks,
        "exit_reason": closed.exit_reason,
        "broker_order_id": closed.entry_broker_id,
        "broker_fill_price": closed.entry_price,
        "broker_managed_tp_sl": closed.target_price is not None or closed.stop_price is not None,
        "closed_at": closed.closed_at,
    }


def position_row(trade: Row, at: datetime) -> Row:
    """The recorder's position that goes with a trade's row."""
    still_open = trade["status"] == "open"
    return {
        "recorder_id": trade["recorder_id"],
        "account_id": trade["account_id"],
        "contract": trade["contract"],
        "side": trade["side"],
        "total_quantity": trade["quantity"] if still_open else 0,
        "avg_entry_price": trade["entry_price"],
        "status": trade["status"],
        "trade_id": trade["id"],
        "opened_at": trade["opened_at"],
        "closed_at": trade["closed_at"],
        "updated_at": at,
    }


def average(fills: tuple[Fill, ...]) -> Decimal | None:
    """Volume-weighted price of one order's fills, in points."""
    quantity = sum(fill.quantity for fill in fills)
    return sum((fill.price * fill.quantity for fill in fills), Decimal(0)) / quantity if quantity else None


def _trade(lane: Lane, trade: Trade) -> Row:
    return {
        "id": trade.id,
        "recorder_id": trade.recorder_id,
        "signal_id": trade.signal_id,
        "account_id": lane.account_id,
        "contract": lane.contract.name,
        "action": Action.of(trade.side.sign).upper(),
        "side": trade.side,
        "fees": None,
        "broker_strategy_id": None,
        "opened_at": trade.opened_at,
    }


def _resting_price(lane: Lane, purpose: Purpose) -> Decimal | None:
    """The price of the nearest leg that rests, or is about to."""
    legs = [order for order in lane.orders if order.purpose is purpose and order.live]
    return min(legs, key=lambda order: order.leg).price if legs else None


def _entry_id(lane: Lane, trade: Trade) -> str | None:
    entries = (o for o in lane.orders if o.purpose is Purpose.ENTRY and o.signal_id == trade.signal_id)
    return next((o.broker_id for o in entries if o.status is not Status.ABSENT), None)
