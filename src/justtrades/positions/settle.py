"""What follows from the facts by itself: a trade opens with its first fill, a flat lane lets go of what is over.

`settle` runs after every fact; `go_flat` is a decision of the plan, made once no signal needs the orders any more.
"""

from __future__ import annotations

from datetime import datetime

from justtrades.positions import book
from justtrades.positions.changes import put, tell
from justtrades.positions.exits import left_to_a_person
from justtrades.positions.limits import Limits, backoff
from justtrades.positions.model import (
    Lane,
    LetGo,
    Noted,
    Order,
    Purpose,
    Short,
    Side,
    Status,
    Trade,
    TradeClosed,
    TradeId,
)
from justtrades.positions.values import replace


def settle(lane: Lane, now: datetime, limits: Limits) -> Lane:
    lane = _filled_whole(lane, now)
    standing = book.standing(lane)
    lane = _blocked_by_hand(lane, standing)
    lane = _short(lane, standing, now, limits)
    lane = _lost_exits(lane, now, limits)
    if standing.held and lane.trade is None:
        lane = _open_trade(lane, standing, now)
    if lane.trade is not None:
        lane = _follow_terms(lane)
    return lane


def _filled_whole(lane: Lane, now: datetime) -> Lane:
    """An order whose fills sum to its quantity has ended, whether or not its status has arrived."""
    for order in lane.orders:
        if order.status.at_broker and book.executed(lane, order) >= order.quantity:
            lane = put(lane, replace(order, status=Status.FILLED, ended_at=now))
    return lane


def _blocked_by_hand(lane: Lane, standing: book.Standing) -> Lane:
    if standing.waiting or not book.quiet(lane):
        return lane
    left = _still_left(lane.left, standing.foreign)
    lane = replace(lane, left=left) if left != lane.left else lane
    if standing.foreign == left:
        return replace(lane, blocked=None) if lane.blocked is not None else lane
    text = beside_ours(lane, standing)
    if lane.blocked is not None:
        return replace(lane, blocked=text) if lane.blocked != text else lane
    signal_id = lane.trade.signal_id if lane.trade else None
    return tell(replace(lane, blocked=text), Noted(signal_id, text, alarm=True))


def others_came(lane: Lane, standing: book.Standing) -> bool:
    """Contracts stand here that are not ours and that nobody decided to leave."""
    return standing.foreign != _still_left(lane.left, standing.foreign)


def beside_ours(lane: Lane, standing: book.Standing) -> str:
    """What blocks entries here, and how they go on: something that is not ours, or that the broker has less of ours."""
    name, lacks = lane.contract.name, book.lacks(lane)
    if lacks and lacks == -standing.foreign:
        return (
            f"the broker holds {abs(lacks)} {name} less than our books, and no fill says why: entries wait until a "
            "person resumes the lane, and then the books follow the broker"
        )
    return (
        f"a position of {standing.foreign:+d} on {name} is not ours: it is left alone, and entries wait until it is "
        "gone or a person resumes the lane, to adopt it or to leave it"
    )


def _short(lane: Lane, standing: book.Standing, now: datetime, limits: Limits) -> Lane:
    """What the broker lacks of ours. Exits go on standing for it, until pictures have said so for a good while after
    a person was told: a list that lags takes no exit away, and no exit opens a position that is not there."""
    lacks = book.lacks(lane)
    if not lacks or standing.waiting:
        return replace(lane, short=None) if lane.short is not None and not standing.waiting else lane
    seen = lane.short
    if seen is None or seen.quantity != lacks:
        sure = _still_left(seen.sure, lacks) if seen is not None else 0
        return replace(lane, short=Short(lacks, now, sure))
    agreed = lane.checked_at is not None and lane.checked_at >= seen.since + limits.short_for and book.agrees(lane)
    return replace(lane, short=replace(seen, sure=lacks)) if agreed and seen.sure != lacks else lane


def surely_short(before: Lane, lane: Lane, now: datetime) -> Lane:
    """What the broker lacks of ours now and did not before, it lacks for certain: it said so by contract."""
    lacks, more = book.lacks(lane), book.lacks(lane) - book.lacks(before)
    sure = before.short.sure if before.short is not None else 0
    return replace(lane, short=Short(lacks, now, sure + more)) if more * lacks > 0 else lane


def _still_left(left: int, foreign: int) -> int:
    """What a person left alone and somebody closed since is not left any more; more than that was never left."""
    if left * foreign <= 0:
        return 0
    return min(left, foreign) if left > 0 else max(left, foreign)


def _lost_exits(lane: Lane, now: datetime, limits: Limits) -> Lane:
    """Exits that ended without us: each is told once and marked, and the next one waits a little."""
    for order in lane.orders:
        if not order.purpose.rests or order.cancel_asked != 0 or order.broker_id is None:
            continue
        if order.status is Status.CANCELED:
            lane = _taken_away(put(lane, replace(order, cancel_asked=-1)), order, now, limits)
        elif order.status in (Status.REJECTED, Status.EXPIRED):
            said = ": ".join(part for part in (order.reason, order.text) if part) or order.status.name.lower()
            lane = exit_denied(put(lane, replace(order, cancel_asked=-1)), order, said, now, limits)
    return lane


def _taken_away(lane: Lane, order: Order, now: datetime, limits: Limits) -> Lane:
    """Cancelled by somebody else: perhaps the first half of a flatten by hand, so the broker is looked at first."""
    if _ended_by_sibling(lane, order):
        return lane
    text = f"the {order.purpose} {order.broker_id} was cancelled, not by us"
    same_hand = lane.exits_lost > 0 and lane.protect_again_at is not None and now < lane.protect_again_at
    lane = replace(lane, exits_lost=lane.exits_lost + (0 if same_hand else 1), picture_wanted=True)
    if left_to_a_person(lane):
        text += "; that is the second time: it is not put back, and entries stop, until a person resumes the lane"
    lane = replace(lane, protect_again_at=now + limits.taken_away_grace)
    return tell(lane, Noted(lane.trade.signal_id if lane.trade else None, text, alarm=True))


def exit_denied(lane: Lane, order: Order, said: str, now: datetime, limits: Limits) -> Lane:
    """The broker refused or ended a target or stop: told, and tried again with growing waits."""
    if book.held(lane) == 0:
        return lane
    again_at = now + backoff(limits, lane.exits_refused)
    lane = replace(lane, exits_refused=lane.exits_refused + 1, protect_again_at=again_at)
    text = f"the broker refused the {order.purpose} of an open position: {said}"
    return tell(lane, Noted(lane.trade.signal_id if lane.trade else None, text, alarm=True))


def _ended_by_sibling(lane: Lane, order: Order) -> bool:
    """An OCO sibling that filled, or that we cancelled, takes the other with it."""
    sibling = next((o for o in lane.orders if o.id == order.oco), None)
    if book.held(lane) == 0:
        return True
    return sibling is not None and (sibling.cancel_asked != 0 or book.filled(lane, sibling) > 0)


def _open_trade(lane: Lane, standing: book.Standing, now: datetime) -> Lane:
    opener = next((p.order for p in standing.parts if p.order is not None and p.order.terms is not None), None)
    if opener is None or opener.terms is None or opener.signal_id is None or opener.recorder_id is None:
        return lane
    side = Side.LONG if standing.held > 0 else Side.SHORT
    trade = Trade(TradeId(opener.id), opener.signal_id, opener.recorder_id, side, opener.terms, now)
    return replace(lane, trade=trade, exits_refused=0, exits_lost=0, protect_again_at=None)


def _follow_terms(lane: Lane) -> Lane:
    """The newest entry of the trade that filled anything says where the exits of the whole position stand. One found
    late may be another recorder's, or one against it: its rules are not the trade's."""
    trade = lane.trade
    if trade is None:
        return lane
    entries = [o for o in lane.orders if _entered_by(o, trade) and book.filled(lane, o)]
    if not entries or entries[-1].terms == trade.terms or entries[-1].terms is None:
        return lane
    return replace(lane, trade=replace(trade, terms=entries[-1].terms))


def _entered_by(order: Order, trade: Trade) -> bool:
    if order.purpose is not Purpose.ENTRY or order.terms is None or order.recorder_id != trade.recorder_id:
        return False
    return order.action.sign == trade.side.sign


def is_flat(lane: Lane) -> bool:
    """Nothing of ours is held and nothing sent can change that."""
    standing = book.standing(lane)
    return standing.held == 0 and not book.unsettled(lane) and not standing.waiting and lane.call is None


def go_flat(lane: Lane, now: datetime, limits: Limits) -> Lane:
    """Close the trade, if there is one, and let go of what is finished. The lane must be flat."""
    standing = book.standing(lane)
    if lane.trade is not None:
        lane = tell(lane, _closed(lane, lane.trade, standing, now))
    kept = tuple(o for o in lane.orders if still_of_use(lane, o, now, limits))
    gone = tuple(o for o in lane.orders if o not in kept)
    lane = tell(lane, LetGo(gone, lane.fills, lane.trade.id if lane.trade else None))
    return replace(lane, trade=None, fills=(), undone=(), orders=kept, foreign=standing.foreign, short=None)


def still_of_use(lane: Lane, order: Order, now: datetime, limits: Limits) -> bool:
    """Of a flat lane only ids we watch for stay: entries that wait to be sent, and what was never found.

    Settled orders must go with their fills, or they would seem to claim fills that are not here.
    """
    if order.unsent:
        return True
    if order.ended_at is None or book.filled(lane, order) or book.claimed(order):
        return False
    if order.status in (Status.REJECTED, Status.FILLED):
        return False
    if order.status is not Status.ABSENT:
        return now - order.ended_at < limits.late_fill
    if order.purpose is Purpose.CLOSE:
        return any(j.exiting and order.signal_id == j.signal.id for j in lane.jobs)
    return now - order.ended_at < limits.absent_kept


def _closed(lane: Lane, trade: Trade, standing: book.Standing, now: datetime) -> TradeClosed:
    sign = trade.side.sign
    entries = [p for p in standing.parts if p.signed * sign > 0]
    exits = [p for p in standing.parts if p.signed * sign < 0]
    points = -sum((p.signed * p.fill.price for p in standing.parts), start=book.ZERO)
    first_price = book.weighted(entries)
    return TradeClosed(
        trade=trade,
        fills=tuple(p.fill for p in standing.parts),
        closed_at=max((p.fill.at for p in standing.parts), default=now),
        entry_quantity=sum(abs(p.signed) for p in entries),
        entry_price=first_price if first_price is not None else book.ZERO,
        exit_price=book.weighted(exits),
        pnl=points * lane.contract.point_value,
        pnl_ticks=points / lane.contract.tick_size,
        exit_reason=_exit_reason(lane, trade, exits),
        target_price=_last_price(lane, Purpose.TARGET),
        stop_price=_last_price(lane, Purpose.STOP),
        entry_broker_id=next((p.order.broker_id for p in entries if p.order), None),
    )


def _exit_reason(lane: Lane, trade: Trade, exits: list[book.Part]) -> str:
    """What closed the last contract: `target`, `stop`, `manual`, `liquidated`, or why a closing order was sent."""
    if not exits:
        return "undone"
    last = exits[-1].order
    if exits[-1].fill.broker_order_id in lane.liquidators:
        return "liquidated"
    if last is None:  # a liquidation whose answer was lost has no id of ours
        return trade.exit_reason or "manual"
    return trade.exit_reason or "close" if last.purpose is Purpose.CLOSE else last.purpose.value


def _last_price(lane: Lane, purpose: Purpose) -> book.Price:
    return next((o.price for o in reversed(lane.orders) if o.purpose is purpose), None)


__all__ = [
    "beside_ours",
    "exit_denied",
    "go_flat",
    "is_flat",
    "others_came",
    "settle",
    "still_of_use",
    "surely_short",
]
