"""What `/api/v1` shows of what is and what happened: one model per list of the contract."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PlainSerializer

from justtrades.api.schemas import DecimalText, Given, Moment

Milliseconds = Annotated[float, PlainSerializer(lambda value: round(value, 3), return_type=float)]


class SignalRouteOut(Given):
    account_id: str
    contract: str | None = None
    status: str
    outcome: str | None = None
    reason: str | None = None
    finished_at: Moment | None = None


class SignalOut(Given):
    id: str
    recorder_id: str | None = None
    received_at: Moment
    source: str
    dialect: str | None = None
    verb: str | None = None
    ticker: str | None = None
    status: str
    outcome: str | None = None
    reason: str | None = None
    finished_at: Moment | None = None


class OtherOrderOut(Given):
    """An order at the broker that somebody else placed and that works; quantity in contracts still open."""

    broker_order_id: str
    action: str | None = None
    quantity: int | None = None
    order_type: str | None = None
    price: DecimalText | None = None


class LaneOut(Given):
    account_id: str
    contract: str
    quantity: int
    broker_quantity: int | None = None
    foreign_quantity: int = 0
    foreign_orders: list[OtherOrderOut] = Field(default_factory=list)
    in_doubt: bool
    doubt_seconds: float = 0
    halted: bool
    halt_reason: str | None = None
    owner_recorder_id: str | None = None
    unprotected_seconds_today_max: float
    checked_at: Moment | None = None


class ExitOut(Given):
    price: DecimalText
    quantity: int
    broker_order_id: str | None = None


class PositionOut(Given):
    recorder_id: str | None = None
    account_id: str
    contract: str
    side: Literal["LONG", "SHORT"]
    quantity: int
    average_price: DecimalText | None = None
    targets: list[ExitOut]
    stop: ExitOut | None = None
    protected: bool
    promise: str = ""
    """Such as `protected, checked 0.4 s ago`; empty while no engine watches."""
    unprotected_seconds_today_max: float = 0
    broker_quantity: int | None = None
    checked_at: Moment | None = None


class TradeOut(Given):
    id: str
    recorder_id: str
    signal_id: str
    account_id: str
    ticker: str
    contract: str
    action: str
    side: str
    entry_price: DecimalText | None = None
    exit_price: DecimalText | None = None
    quantity: int
    tp_price: DecimalText | None = None
    sl_price: DecimalText | None = None
    status: str
    pnl: DecimalText | None = None
    pnl_ticks: DecimalText | None = None
    fees: DecimalText | None = None
    exit_reason: str | None = None
    broker_order_id: str | None = None
    broker_strategy_id: str | None = None
    broker_fill_price: DecimalText | None = None
    broker_managed_tp_sl: bool
    opened_at: Moment
    closed_at: Moment | None = None


class OrderOut(Given):
    id: str
    client_order_id: str
    broker_order_id: str | None = None
    signal_id: str | None = None
    account_id: str
    contract: str
    purpose: Literal["entry", "target", "stop", "close"]
    action: str
    quantity: int
    order_type: str
    price: DecimalText | None = None
    status: str
    filled_quantity: int
    average_price: DecimalText | None = None
    reason: str | None = None
    text: str | None = None
    created_at: Moment


class FillOut(Given):
    id: str
    broker_fill_id: str
    order_id: str | None = None
    account_id: str
    contract: str
    action: str
    quantity: int
    price: DecimalText
    fee: DecimalText | None = None
    filled_at: Moment
    busted: bool = False


class AuditOut(Given):
    id: str
    at: Moment
    connection_id: str | None = None
    method: str
    endpoint: str
    status: int | None = None
    duration_ms: Milliseconds | None = None
    request: str | None = None
    response: str | None = None
    response_hash: str | None = None
    signal_id: str | None = None
    order_id: str | None = None


class LanesOut(Given):
    lanes: list[LaneOut]
    signal_id: str | None = None
    """The act's own signal, when something was taken over."""


class ComparedOut(Given):
    account_id: str
    contract: str
    quantity: int
    foreign_quantity: int
    broker_quantity: int | None = None
    differences: list[str]


class DifferencesOut(Given):
    lanes: list[ComparedOut]
