"""No signal waits for ever: what ends one that nothing under way could end.

An entry that was not sent has its own end, its age. Everything else waits for the broker: for a fill, a cancel, a
look. While the broker cannot be seen, or says when to ask again, that may last; it is told and tried again. But a
broker that is seen, answers, and for a good while changes nothing (an order that neither fills nor goes away, fills it
claims and never shows, an exit it does not cancel) will not be helped by waiting, nor by a read that fails now and
then. Then the signal ends for a person, who is told, and entries stop until that person resumes the lane. What was
sent stays in the books as it is: if it fills after all, it is ours and protected.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from justtrades.positions import book, jobs
from justtrades.positions.limits import Limits
from justtrades.positions.model import CallKind, Job, Lane, Order, Outcome, SignalId
from justtrades.positions.values import replace

UNSEEN = 3
"""So many reads failed one after the other, and the broker is not seen."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The signal ends unfinished, a person is told why, and entries stop."""

    signal_id: SignalId
    outcome: Outcome
    reason: str


def watched(lane: Lane, now: datetime, limits: Limits) -> Lane:
    """The lane knowing since when its first signal waits for nothing that is under way."""
    since = _since(lane, now, limits)
    return lane if since == lane.stuck_since else replace(lane, stuck_since=since)


def given_up(lane: Lane, now: datetime, limits: Limits) -> GiveUp | None:
    since = _since(lane, now, limits)
    if since is None or lane.reads_failed or lane.call is not None or now < since + limits.patience:
        return None
    job = lane.jobs[0]
    waited = f"nothing has changed at the broker for {(now - since).total_seconds():.0f} s"
    outcome = Outcome.PARTIALLY_FILLED if _some_done(lane, job) else Outcome.NEEDS_ATTENTION
    return GiveUp(job.signal.id, outcome, f"{_waits_for(lane)}: {waited}")


def _since(lane: Lane, now: datetime, limits: Limits) -> datetime | None:
    job = lane.jobs[0] if lane.jobs else None
    if job is None or jobs.sendable(lane, job) or not _sees(lane, now) or _gets_on(lane, now, limits):
        return None
    moments = [job.signal.received_at, *(o.sent_at for o in lane.orders)]
    moments += [o.ended_at for o in lane.orders if o.ended_at is not None]
    return max(lane.stuck_since or now, *(m for m in moments if m <= now))


def _sees(lane: Lane, now: datetime) -> bool:
    """The broker is seen and answers, but for a read or two; nothing is looked for, and it asked for no time."""
    if not lane.synced or lane.reads_failed >= UNSEEN or book.in_doubt(lane):
        return False
    return lane.retry_at is None or now >= lane.retry_at


def _gets_on(lane: Lane, now: datetime, limits: Limits) -> bool:
    """A call is under way. A cancel may be one more of those that do nothing, unless it waits for room to be sent."""
    if lane.call is None:
        return False
    return lane.call.kind is not CallKind.CANCEL or now >= lane.call.at + limits.cancel_pace_most


def _some_done(lane: Lane, job: Job) -> bool:
    if job.entry is not None:
        return job.exited or book.filled(lane, lane.order(job.entry)) > 0
    return job.exiting and abs(book.held(lane)) < abs(job.exit_from)


def _waits_for(lane: Lane) -> str:
    odd = next((text for order in lane.orders if (text := _odd(lane, order)) is not None), None)
    if odd is not None:
        return odd
    shown = "unknown" if lane.broker_quantity is None else f"{lane.broker_quantity:+d}"
    return (
        f"our books hold {book.held(lane):+d} {lane.contract.name}, the broker shows {shown}, and nothing can be sent"
    )


def _odd(lane: Lane, order: Order) -> str | None:
    name = f"the {order.purpose} {order.broker_id or order.id}"
    if order.unsent or book.settled(lane, order):
        return None
    if order.status.ended:
        return f"{name} has {book.claimed(order)} filled by the broker's word, which shows {book.executed(lane, order)}"
    if order.purpose.rests:
        return f"{name} goes on working after {order.cancel_asked} cancels" if order.cancel_asked > 0 else None
    return f"{name} neither fills nor goes away"


__all__ = ["GiveUp", "given_up", "watched"]
