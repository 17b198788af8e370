"""A lane as people see it: one flat value, derived from the lane at the moment somebody asks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from justtrades.positions import book, exits
from justtrades.positions.model import (
    AccountId,
    Action,
    BrokerOrder,
    BrokerOrderId,
    ContractName,
    Lane,
    Order,
    OrderType,
    Purpose,
    RecorderId,
)


@dataclass(frozen=True, slots=True)
class ExitView:
    price: Decimal
    quantity: int
    broker_order_id: BrokerOrderId | None


@dataclass(frozen=True, slots=True)
class OtherOrderView:
    """An order of somebody else that works at the broker; None where the broker has not said yet."""

    broker_order_id: BrokerOrderId
    action: Action | None
    quantity: int | None
    order_type: OrderType | None
    price: Decimal | None


@dataclass(frozen=True, slots=True)
class LaneView:
    """A lane as people see it. Quantities are signed contracts, prices points, times UTC."""

    account_id: AccountId
    contract: ContractName
    quantity: int
    broker_quantity: int | None
    foreign: int
    foreign_orders: tuple[OtherOrderView, ...]
    in_doubt: bool
    doubt_seconds: float
    halted: bool
    halt_reason: str | None
    blocked: str | None
    owner_recorder_id: RecorderId | None
    unprotected_seconds_today_max: float
    checked_at: datetime | None
    protected: bool
    promise: str
    """What is promised of an open position, watched and said: `protected, checked 0.4 s ago`; empty when flat."""
    average_price: Decimal | None
    targets: tuple[ExitView, ...]
    stop: ExitView | None
    opened_at: datetime | None
    side: str | None
    signals_waiting: int


def view(
    lane: Lane, others: tuple[BrokerOrder, ...], now: datetime, doubt_since: datetime | None, unprotected_today: float
) -> LaneView:
    """`others`: working orders that are not ours; `unprotected_today`: the longest time without a wanted exit in
    today's session, in seconds."""
    standing, trade = book.standing(lane), lane.trade
    rests = {p: tuple(o for o in book.resting(lane) if o.purpose is p) for p in (Purpose.TARGET, Purpose.STOP)}
    views = {p: tuple(_exit_view(lane, o) for o in orders) for p, orders in rests.items()}
    return LaneView(
        account_id=lane.account_id,
        contract=lane.contract.name,
        quantity=standing.held,
        broker_quantity=lane.broker_quantity,
        foreign=standing.foreign,
        foreign_orders=tuple(_other(order) for order in others),
        in_doubt=book.in_doubt(lane),
        doubt_seconds=(now - doubt_since).total_seconds() if doubt_since else 0.0,
        halted=lane.halted is not None,
        halt_reason=lane.halted,
        blocked=exits.entries_stopped(lane),
        owner_recorder_id=trade.recorder_id if trade else None,
        unprotected_seconds_today_max=unprotected_today,
        checked_at=lane.checked_at,
        protected=standing.held == 0 or exits.protected(lane),
        promise=_promise(lane, now),
        average_price=book.average_price(lane),
        targets=views[Purpose.TARGET],
        stop=next(iter(views[Purpose.STOP]), None),
        opened_at=trade.opened_at if trade else None,
        side=trade.side if trade else None,
        signals_waiting=len(lane.jobs),
    )


def _other(order: BrokerOrder) -> OtherOrderView:
    left = order.quantity - order.claimed if order.quantity is not None else None
    return OtherOrderView(order.broker_id, order.action, left, order.order_type, order.price)


def _promise(lane: Lane, now: datetime) -> str:
    if not book.held(lane):
        return ""
    checked = _ago(lane.checked_at, now)
    if not book.at_broker(lane):
        return f"the broker holds none of it, checked {checked}"
    if not exits.wanted(lane) and not any(job.exiting for job in lane.jobs):
        return f"its rules ask for no exit, checked {checked}"
    if exits.protected(lane):
        said = "being closed" if any(job.exiting for job in lane.jobs) else "protected"
        return f"{said}, checked {checked}"
    since = (now - lane.unprotected_since).total_seconds() if lane.unprotected_since else 0.0
    return f"NOT protected for {since:.1f} s, checked {checked}"


def _ago(at: datetime | None, now: datetime) -> str:
    return "never" if at is None else f"{max((now - at).total_seconds(), 0.0):.1f} s ago"


def _exit_view(lane: Lane, order: Order) -> ExitView:
    left = order.quantity - book.executed(lane, order)
    return ExitView(order.price or Decimal(0), left, order.broker_id)
