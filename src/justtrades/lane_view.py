"""A lane as people see it: one flat value, derived from the lane at the moment somebody asks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from justtrades.positions import book, exits
from justtrades.positions.model import (
    AccountId,
    BrokerOrderId,
    ContractName,
    Lane,
    Order,
    Purpose,
    RecorderId,
)


@dataclass(frozen=True, slots=True)
class ExitView:
    price: Decimal
    quantity: int
    broker_order_id: BrokerOrderId | None


@dataclass(frozen=True, slots=True)
class LaneView:
    """A lane as people see it. Quantities are signed contracts, prices points, times UTC."""

    account_id: AccountId
    contract: ContractName
    quantity: int
    broker_quantity: int | None
    foreign: int
    in_doubt: bool
    doubt_seconds: float
    halted: bool
    halt_reason: str | None
    blocked: str | None
    owner_recorder_id: RecorderId | None
    unprotected_seconds_today_max: float
    checked_at: datetime | None
    protected: bool
    average_price: Decimal | None
    targets: tuple[ExitView, ...]
    stop: ExitView | None
    opened_at: datetime | None
    side: str | None
    signals_waiting: int


def view(lane: Lane, now: datetime, doubt_since: datetime | None, unprotected_today: float) -> LaneView:
    """`unprotected_today`: the longest time without a wanted exit in today's session, in seconds."""
    standing, trade = book.standing(lane), lane.trade
    rests = {p: tuple(o for o in book.resting(lane) if o.purpose is p) for p in (Purpose.TARGET, Purpose.STOP)}
    views = {p: tuple(_exit_view(lane, o) for o in orders) for p, orders in rests.items()}
    return LaneView(
        account_id=lane.account_id,
        contract=lane.contract.name,
        quantity=standing.held,
        broker_quantity=lane.broker_quantity,
        foreign=standing.foreign,
        in_doubt=book.in_doubt(lane),
        doubt_seconds=(now - doubt_since).total_seconds() if doubt_since else 0.0,
        halted=lane.halted is not None,
        halt_reason=lane.halted,
        blocked=lane.blocked,
        owner_recorder_id=trade.recorder_id if trade else None,
        unprotected_seconds_today_max=unprotected_today,
        checked_at=lane.checked_at,
        protected=standing.held == 0 or exits.protected(lane),
        average_price=book.average_price(lane),
        targets=views[Purpose.TARGET],
        stop=next(iter(views[Purpose.STOP]), None),
        opened_at=trade.opened_at if trade else None,
        side=trade.side if trade else None,
        signals_waiting=len(lane.jobs),
    )


def _exit_view(lane: Lane, order: Order) -> ExitView:
    left = order.quantity - book.filled(lane, order)
    return ExitView(order.price or Decimal(0), left, order.broker_id)
