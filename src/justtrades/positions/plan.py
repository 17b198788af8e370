"""`plan`: which one thing is missing, and `wake_at`: when to ask again though nothing was reported.

Decisions that need no broker come first, then reads, then at most one mutation, in the order of what can hurt:
orders that should not be there, closing, protecting, and only then opening. A lane in doubt sends nothing
until the doubt is gone; a lane that lost sight of the broker looks before it acts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from justtrades.positions import book, exits, follow, jobs, patience
from justtrades.positions.changes import client_id
from justtrades.positions.commands import (
    CancelOrder,
    Command,
    Liquidate,
    LookForOrders,
    ModifyOrder,
    PlaceOrder,
    TakePicture,
)
from justtrades.positions.limits import Limits, look_again, look_due
from justtrades.positions.model import (
    Action,
    Job,
    Lane,
    Order,
    OrderType,
    Purpose,
    Read,
    ReadKind,
    SignalId,
    Status,
)
from justtrades.positions.settle import is_flat, still_of_use
from justtrades.positions.urgency import Urgency


@dataclass(frozen=True, slots=True)
class GoFlat:
    """Nothing is held and nothing is open: close the trade and let go of finished orders."""


Decision = jobs.JobDecision | patience.GiveUp | GoFlat | Command


def plan(lane: Lane, now: datetime, limits: Limits) -> Decision | None:
    """The next thing to do, or None when there is nothing to do now (see `wake_at`)."""
    return (
        jobs.decide(lane, now, limits)
        or _flat(lane, now, limits)
        or patience.given_up(lane, now, limits)
        or _read(lane, now, limits)
        or (_mutate(lane, now, limits) if _free(lane, now) else None)
    )


def _flat(lane: Lane, now: datetime, limits: Limits) -> GoFlat | None:
    if not is_flat(lane) or any(j.entry is not None or j.exiting for j in lane.jobs):
        return None
    over = lane.trade is not None or lane.fills or any(not still_of_use(lane, o, now, limits) for o in lane.orders)
    return GoFlat() if over else None


# ── reads ────────────────────────────────────────────────────────────────────────────────────────────────


def _read(lane: Lane, now: datetime, limits: Limits) -> LookForOrders | TakePicture | None:
    if lane.read is not None:
        return _picture(lane) if _stands_in_line(lane, lane.read, now, limits) else None
    if any((due := look_at(o, limits)) is not None and due <= now for o in lane.orders):
        return _look(lane)
    if lane.call is not None or (lane.read_again_at is not None and now < lane.read_again_at):
        return None
    wanted = lane.stale_since is not None or lane.picture_wanted or _sight_needed(lane, now, limits)
    return _picture(lane) if wanted else None


def _stands_in_line(lane: Lane, read: Read, now: datetime, limits: Limits) -> bool:
    """A picture asked for when less depended on it, and not here yet: where requests are rationed it may wait for a
    minute, and an exit or a close with it. One that is as urgent as they are goes first."""
    in_line = read.kind is ReadKind.PICTURE and now >= read.at + limits.reread
    return in_line and _urgency(lane) < read.urgency


def _picture(lane: Lane) -> TakePicture:
    """For the order whose cancel, change or liquidation was not answered, if there is one."""
    about = next((o for o in lane.orders if o.id == lane.stale_order), None) if lane.stale_since is not None else None
    return TakePicture(_urgency(lane), about.id if about else None, about.signal_id if about else None)


def _look(lane: Lane) -> LookForOrders:
    """For all that is in doubt at once: whoever is not asked for would count as not found."""
    lost = [o for o in lane.orders if o.doubt is not None]
    return LookForOrders(tuple(o.id for o in lost), lost[0].signal_id)


def look_at(order: Order, limits: Limits) -> datetime | None:
    """When the next look for an unanswered order is due."""
    if order.doubt is None:
        return None
    return order.doubt.since + look_due(limits, order.doubt)


def _urgency(lane: Lane) -> Urgency:
    if flipped(lane) or any(j.exiting or not j.signal.verb.enters for j in lane.jobs):
        return Urgency.CLOSE
    may_hold = book.held(lane) != 0 or any(o.purpose is Purpose.ENTRY for o in book.unsettled(lane))
    return Urgency.LOOK if book.in_doubt(lane) or may_hold else Urgency.RECONCILE


def _sight_needed(lane: Lane, now: datetime, limits: Limits) -> bool:
    if _closing_blind(lane):
        return lane.divergence is None or _since_look(lane, now) >= limits.reread
    if lane.divergence is None and _flat_in_dispute(lane):
        return True
    if lane.divergence is not None and _since_look(lane, now) >= look_again(limits, lane.divergence, now):
        return True
    if _ended_unseen(lane):
        return _since_look(lane, now) >= limits.reread
    return any(_overdue_news(o, lane, now, limits) for o in book.unsettled(lane))


def _ended_unseen(lane: Lane) -> bool:
    """An entry ended unfilled by events alone: a picture may yet show a fill that was only late."""
    entries = [lane.order(job.entry) for job in lane.jobs if job.entry is not None]
    return any(not jobs.seen_ended(lane, order) for order in entries)


def _since_look(lane: Lane, now: datetime) -> timedelta:
    return now - lane.checked_at if lane.checked_at is not None else timedelta.max


def _overdue_news(order: Order, lane: Lane, now: datetime, limits: Limits) -> bool:
    """News that should have come by now: of a market order, of fills an ended order claims, of a cancel taken."""
    if order.doubt is not None or order.broker_id is None:
        return False
    cancelling = order.live and order.cancel_asked > 0
    if order.purpose.rests and order.live and not cancelling:
        return False
    since = (order.changed_at if cancelling else None) or order.ended_at or order.sent_at
    waited = now - since  # the longer it lasts, the more seldom it is asked about
    return waited >= limits.missing_after and _since_look(lane, now) >= max(limits.missing_after, waited / 3)


def _closing_blind(lane: Lane) -> bool:
    """A close is under way and has not seen the broker's position since everything of ours ended."""
    job = lane.jobs[0] if lane.jobs else None
    if job is None or (job.signal.verb.enters and not job.exiting and not flipped(lane)):
        return flipped(lane) and not _seen_since_all_ended(lane, None)
    if book.unsettled(lane) or book.in_doubt(lane):
        return False
    return not _seen_since_all_ended(lane, job) or (job.exiting and not book.agrees(lane))


def _flat_in_dispute(lane: Lane) -> bool:
    """A close finds nothing of ours, and what was last seen of the broker's position says otherwise."""
    closes = bool(lane.jobs) and not lane.jobs[0].signal.verb.enters
    return closes and book.held(lane) == 0 and book.quiet(lane) and not book.agrees(lane)


def _seen_since_all_ended(lane: Lane, job: Job | None) -> bool:
    moments = [o.ended_at for o in lane.orders if o.ended_at is not None]
    if job is not None:
        moments.append(job.signal.received_at)
    return not moments or jobs.looked_since(lane, max(moments))


def flipped(lane: Lane) -> bool:
    """Held on the other side of the trade: two exits filled at once, by hand and by us."""
    return lane.trade is not None and book.held(lane) * lane.trade.side.sign < 0


# ── mutations ────────────────────────────────────────────────────────────────────────────────────────────


def _free(lane: Lane, now: datetime) -> bool:
    """The lane may send: nothing in flight, nothing in doubt, and the broker has been seen since we lost it."""
    if lane.halted is not None or lane.call is not None or book.in_doubt(lane):
        return False
    if lane.picture_wanted and not lane.synced:
        return False
    return lane.retry_at is None or now >= lane.retry_at


def _mutate(lane: Lane, now: datetime, limits: Limits) -> Command | None:
    if (stray := _stray(lane, now, limits)) is not None:
        return cancel(lane, stray)
    moving = [o for o in book.unsettled(lane) if not o.purpose.rests]
    if moving:
        return _protect(lane, now, limits) if _protect_meanwhile(lane, moving, now, limits) else None
    job = lane.jobs[0] if lane.jobs else None
    if (job is not None and job.exiting) or flipped(lane):
        return _close(lane, job if job is not None and job.exiting else None, now, limits)
    entry = _enter(lane, job, now) if job is not None else None
    if entry is not None and not entry.order.unsent and _adds_to_protected(lane, now, limits):
        return entry
    return _protect(lane, now, limits) or entry


def _adds_to_protected(lane: Lane, now: datetime, limits: Limits) -> bool:
    """Adds that wait go before the exits follow, so that a storm of them costs one change; not for long, never
    before what was held first has its exits, and not an add that had to wait for the broker already."""
    if lane.unprotected_since is not None and now - lane.unprotected_since >= limits.storm:
        return False
    return exits.resting_for_all(lane)


def cancel(lane: Lane, order: Order) -> CancelOrder | None:
    if order.broker_id is None:
        return None
    return CancelOrder(client_id(lane), order.id, order.broker_id, order.purpose, _cause(lane, order))


def _cause(lane: Lane, order: Order) -> SignalId | None:
    """Whose receipt tells of it: an exit order moves or goes for the exit under way, else for the last entry."""
    if not order.purpose.rests:
        return order.signal_id
    if lane.jobs and lane.jobs[0].exiting:
        return lane.jobs[0].signal.id
    entries = [o for o in lane.orders if o.purpose is Purpose.ENTRY and book.order_fills(lane, o)]
    return max(entries, key=lambda o: o.sent_at).signal_id if entries else order.signal_id


def _stray(lane: Lane, now: datetime, limits: Limits) -> Order | None:
    """An entry or close at the broker that nobody wants any more."""
    for order in lane.orders:
        if not order.purpose.rests and exits.may_cancel(order, now, limits) and _unwanted(lane, order, now, limits):
            return order
    return None


def _unwanted(lane: Lane, order: Order, now: datetime, limits: Limits) -> bool:
    if now - order.sent_at >= limits.overdue_after or order.twin_of is not None:
        return True
    if order.purpose is not Purpose.ENTRY:
        return False
    job = next((j for j in lane.jobs if j.entry == order.id), None)
    return job is None or lane.killed or jobs.overtaken(lane, job)


def _protect_meanwhile(lane: Lane, moving: list[Order], now: datetime, limits: Limits) -> bool:
    """An entry that goes on filling: what it filled so far waits only a moment for its target."""
    if any(o.purpose is not Purpose.ENTRY for o in moving):
        return False
    first = min((f.at for o in moving for f in book.order_fills(lane, o)), default=None)
    return first is not None and now - max(first, moving[0].sent_at) >= limits.partial_grace


def _protect(lane: Lane, now: datetime, limits: Limits) -> Command | None:
    step = exits.next_step(lane, now, limits)
    match step:
        case None:
            return None
        case exits.Remove(order):
            return cancel(lane, order)
        case exits.Change(order, quantity, price):
            return _modify(lane, order, quantity, price)
        case exits.Place(leg):
            return _place_exit(lane, leg, now)


def _modify(lane: Lane, order: Order, quantity: int, price: Decimal) -> ModifyOrder | None:
    if order.broker_id is None:
        return None
    return ModifyOrder(
        client_id(lane),
        order.id,
        order.broker_id,
        order.purpose,
        quantity,
        order.order_type,
        price,
        _cause(lane, order),
    )


def _place_exit(lane: Lane, leg: exits.Leg, now: datetime) -> PlaceOrder | None:
    if exits.left_to_a_person(lane):
        return None
    first, second = exits.orders_of(lane, leg, (client_id(lane), client_id(lane, 1)), now)
    return PlaceOrder(first.id, first, second)


def _close(lane: Lane, job: Job | None, now: datetime, limits: Limits) -> Command | None:
    """Cancel what rests, look, then close: never more than is held, never on an old sight of the broker."""
    to = job.exit_to if job is not None else 0
    for order in book.resting(lane):
        if order.cancel_asked >= limits.cancels and _only_ours(lane, to):
            return _liquidate(lane, job, now)  # cancels in vain: the broker cancels and closes in one
        if exits.may_cancel(order, now, limits):
            return cancel(lane, order)
    if book.unsettled(lane) or not _seen_since_all_ended(lane, job):
        return None
    if not book.agrees(lane):
        stubborn = lane.divergence is not None and lane.divergence.seen >= 2
        return _liquidate(lane, job, now) if stubborn and _only_ours(lane, to) else None
    if job is None and book.lacks(lane) == book.held(lane):
        return None  # the broker holds none of it, or the other side: a person was told
    if _only_ours(lane, to) and (_lost_one(lane, job) or book.lacks(lane)):
        return _liquidate(lane, job, now)
    return _close_at_market(lane, job, to, now)


def _close_at_market(lane: Lane, job: Job | None, to: int, now: datetime) -> PlaceOrder | None:
    """Never more than takes the broker's own position to what shall remain."""
    held = book.held(lane)
    quantity = (abs(held - to) if held * to >= 0 else abs(held)) - abs(book.lacks(lane))
    if quantity < 1:
        return None
    order = _closing_order(lane, job, Action.of(-held), quantity, now)
    return PlaceOrder(order.id, order)


def _only_ours(lane: Lane, to: int) -> bool:
    """All of it shall go, and whatever the broker holds is ours: liquidation cannot touch anybody else's."""
    held, foreign = book.held(lane), book.foreign_quantity(lane)
    return to == 0 and held * foreign <= 0 and _at_most(lane.broker_quantity or 0, held)


def _at_most(quantity: int, held: int) -> bool:
    """The broker holds nothing beyond ours, and on our side."""
    return quantity * held >= 0 and abs(quantity) <= abs(held)


def _lost_one(lane: Lane, job: Job | None) -> bool:
    """A closing order of this exit was sent and never found."""
    signal_id = job.signal.id if job is not None else None
    lost = (o for o in lane.orders if o.purpose is Purpose.CLOSE and o.status is Status.ABSENT)
    return any(o.signal_id == signal_id for o in lost)


def _closing_order(lane: Lane, job: Job | None, action: Action, quantity: int, now: datetime) -> Order:
    return Order(
        id=client_id(lane),
        purpose=Purpose.CLOSE,
        action=action,
        quantity=quantity,
        order_type=OrderType.MARKET,
        sent_at=now,
        signal_id=job.signal.id if job is not None else None,
    )


def _liquidate(lane: Lane, job: Job | None, now: datetime) -> Liquidate:
    held = book.held(lane)
    order = _closing_order(lane, job, Action.of(-held), abs(held), now)
    return Liquidate(order.id, order)


def _enter(lane: Lane, job: Job, now: datetime) -> PlaceOrder | None:
    """Only here is risk opened. The rules have passed in `jobs`; the sight of the broker must be whole."""
    signal = job.signal
    if not signal.verb.enters or signal.terms is None or not lane.synced or lane.divergence is not None:
        return None
    if not jobs.known(lane) or (not job.begun and follow.verdict(lane, signal) is not None):
        return None  # no rule has been asked yet: what is held is about to change
    if book.held(lane) == 0 and (lane.trade is not None or book.resting(lane)):
        return None  # flat, but the trade before is not over: its exits may still rest
    if lane.entries_again_at is not None and now < lane.entries_again_at:
        return None
    if job.entry is not None:
        order = lane.order(job.entry)
        return PlaceOrder(order.id, order, not_after=signal.expires_at) if order.unsent else None
    order = Order(
        id=client_id(lane),
        purpose=Purpose.ENTRY,
        action=Action.of(jobs.wanted_sign(signal.verb)),
        quantity=jobs.entry_size(signal.terms, book.held(lane), jobs.netted(job)).quantity,
        order_type=OrderType.MARKET,
        sent_at=now,
        signal_id=signal.id,
        recorder_id=signal.recorder_id,
        terms=signal.terms,
    )
    return PlaceOrder(order.id, order, not_after=signal.expires_at)


# ── waking ───────────────────────────────────────────────────────────────────────────────────────────────


def wake_at(lane: Lane, now: datetime, limits: Limits) -> datetime | None:
    """The next moment at which `plan` may say something new without any report; None when at rest."""
    moments = [*_moments(lane, limits)]
    ahead = [m for m in moments if m > now]
    if _restless(lane):
        ahead.append(now + limits.reread)
    return min(ahead, default=None)


def _moments(lane: Lane, limits: Limits) -> list[datetime]:
    found = [j.signal.expires_at for j in lane.jobs if jobs.sendable(lane, j)]
    found += [j.signal.received_at + limits.gap_hold for j in lane.jobs[:1] if follow.holds(lane, j)]
    found += [due for o in lane.orders if (due := look_at(o, limits)) is not None]
    found += [
        m for m in (lane.retry_at, lane.read_again_at, lane.entries_again_at, lane.protect_again_at) if m is not None
    ]
    for order in lane.orders:
        for since in (order.sent_at, order.changed_at, order.ended_at):
            if since is not None:
                found += [since + limits.missing_after, since + limits.sibling_grace, since + limits.overdue_after]
        found += [f.at + limits.partial_grace for f in book.order_fills(lane, order)]
    if lane.unprotected_since is not None:
        found.append(lane.unprotected_since + limits.unprotected_alarm)
    if lane.divergence is not None:
        found.append(lane.divergence.since + limits.divergence_for)
    return found


def _restless(lane: Lane) -> bool:
    """Something is unfinished, so looking again costs less than thinking of every reason to."""
    moving = lane.read is not None or bool(lane.jobs) or lane.divergence is not None or book.in_doubt(lane)
    cancelling = any(o.live and o.cancel_asked > 0 for o in lane.orders)
    return moving or cancelling or book.unsettled_moving(lane) or lane.unprotected_since is not None


__all__ = ["Decision", "GoFlat", "plan", "wake_at"]
