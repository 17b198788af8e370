"""What becomes of the signals of a lane: which is worked, which is set aside, and with what outcome.

The first job is the one being worked; the others wait. Closing verbs overtake: an entry that has not begun
and has a later close behind it is superseded, one that has begun is bound (cancelled, or closed when it
filled) before the close ends. Everything here is a decision about signals; nothing here reaches the broker.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from justtrades.positions import book, exits, follow
from justtrades.positions.limits import Limits
from justtrades.positions.model import (
    Held,
    Job,
    Lane,
    OnOpposite,
    OnSameSide,
    Order,
    Outcome,
    Signal,
    SignalId,
    Status,
    Terms,
    Verb,
)
from justtrades.positions.sizing import Sized, size


@dataclass(frozen=True, slots=True)
class Resolve:
    """The signal has its outcome on this lane; `reason` is one sentence for the receipt."""

    signal_id: SignalId
    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class BeginExit:
    """Close what is held down to `to` signed contracts for this signal."""

    signal_id: SignalId
    to: int
    reason: str


@dataclass(frozen=True, slots=True)
class EndExit:
    """The first step of a reversal is done; its entry comes next."""

    signal_id: SignalId


JobDecision = Resolve | BeginExit | EndExit


def decide(lane: Lane, now: datetime, limits: Limits) -> JobDecision | None:
    """The next decision about a signal that needs nothing from the broker."""
    if lane.halted is not None and lane.jobs:
        return Resolve(lane.jobs[0].signal.id, Outcome.NEEDS_ATTENTION, f"this lane is halted: {lane.halted}")
    for job in lane.jobs:
        if (aside := _set_aside(lane, job, now)) is not None:
            return aside
    return _work(lane, lane.jobs[0], now, limits) if lane.jobs else None


# ── entries that are not sent any more ───────────────────────────────────────────────────────────────────


def sendable(lane: Lane, job: Job) -> bool:
    """The job still wants an entry that no byte of has left."""
    if not job.signal.verb.enters or job.exiting:
        return False
    return job.entry is None or lane.order(job.entry).unsent


def _set_aside(lane: Lane, job: Job, now: datetime) -> Resolve | None:
    if not sendable(lane, job):
        return None
    why = _why_not(lane, job, now)
    if why is None:
        return None
    outcome, reason = why
    if job.exited:
        return Resolve(job.signal.id, Outcome.PARTIALLY_FILLED, f"{_only_closed(job)}: {reason}")
    return Resolve(job.signal.id, outcome, reason)


def _only_closed(job: Job) -> str:
    same_side = job.exit_from * wanted_sign(job.signal.verb) > 0
    return "closed, but not entered anew" if same_side else "closed, but not reversed"


def _why_not(lane: Lane, job: Job, now: datetime) -> tuple[Outcome, str] | None:
    if overtaken(lane, job):
        return Outcome.SUPERSEDED, "overtaken in the queue by a later close"
    if lane.killed:
        return Outcome.KILLED, "the kill switch is on"
    if now >= job.signal.expires_at:
        return _too_old(lane, job, now)
    if (other := outgrown(lane, job)) is not None:
        return Outcome.BLOCKED, other
    closed = lane_says_no(lane, job.signal)
    if closed is not None and not _closes_first(lane, job):
        return Outcome.BLOCKED, closed
    if job.exited and job.signal.refusal is not None:
        return Outcome.BLOCKED, job.signal.refusal
    return None


def _too_old(lane: Lane, job: Job, now: datetime) -> tuple[Outcome, str]:
    waited = (now - job.signal.received_at).total_seconds()
    held_up = lane.order(job.entry).reason if job.entry is not None else None
    if job.entry is not None and (barred := lane.order(job.entry).barred) is not None:
        return Outcome.BLOCKED, f"{barred}, for the {waited:.0f} s it could wait"
    why = f"; it waited because of {held_up}" if held_up else ""
    return Outcome.EXPIRED, f"too old to be sent: {waited:.0f} s after it was received{why}"


def outgrown(lane: Lane, job: Job) -> str | None:
    """Why an entry that waits to be sent does not fit any more: since it was made, an order that had ended, or was
    given up, filled after all. It would turn the position round, or go beyond the most."""
    terms, held = job.signal.terms, book.held(lane)
    if terms is None or (job.entry is None and not job.exited):
        return None
    if held * wanted_sign(job.signal.verb) < 0:
        return f"{_position(held)} by now: it was made for another position"
    if job.entry is None:
        return None  # not sized yet
    made = lane.order(job.entry).quantity
    fits = size(made, Decimal(1), held, terms.max_quantity)
    return f"it does not fit any more: {fits.reason}" if fits.quantity < made else None


def _closes_first(lane: Lane, job: Job) -> bool:
    """An opposite signal ends what is held before it opens anything: that half of it is never blocked."""
    return not job.exited and book.held(lane) * wanted_sign(job.signal.verb) < 0


def lane_says_no(lane: Lane, signal: Signal) -> str | None:
    """Why no entry may be opened on this lane now: a person has to resume it, or it would trade against others."""
    if (closed := exits.entries_stopped(lane)) is not None:
        return closed
    foreign = book.foreign_quantity(lane)
    if foreign * wanted_sign(signal.verb) < 0:
        return f"it would trade against {foreign:+d} {lane.contract.name} that is not ours"
    return None


def overtaken(lane: Lane, job: Job) -> bool:
    """A later signal of the same recorder, or of a person, closes this lane."""
    later = lane.jobs[lane.jobs.index(job) + 1 :]
    return any(not j.signal.verb.enters and j.signal.recorder_id in (None, job.signal.recorder_id) for j in later)


# ── the job being worked ─────────────────────────────────────────────────────────────────────────────────


def _work(lane: Lane, job: Job, now: datetime, limits: Limits) -> JobDecision | None:
    if job.entry is not None:
        return _entry_result(lane, job, lane.order(job.entry))
    if job.exiting:
        return _exit_result(lane, job, limits)
    if job.exited or not known(lane):
        return None
    if lane.trade is not None and book.held(lane) == 0:
        return None  # the trade before is over but for what still rests: it goes first
    if (resolved := _followed(lane, job)) is not None:
        return None if _holds(lane, job, now, limits) else resolved
    return _enter_rules(lane, job) if job.signal.verb.enters else _exit_rules(lane, job, now, limits)


def _followed(lane: Lane, job: Job) -> JobDecision | None:
    """What the strategy's position decides by itself; whose lane it is comes first, with the other rules."""
    signal = job.signal
    if owner_says_no(lane, signal) is not None:
        return None
    match follow.verdict(lane, signal):
        case follow.Nothing(reason):
            return Resolve(signal.id, Outcome.NO_ACTION, reason)
        case follow.Reduce(to):
            return BeginExit(signal.id, to, "position")
        case follow.Missing(reason):
            return Resolve(signal.id, Outcome.BLOCKED, reason)
        case None:
            return None


def _holds(lane: Lane, job: Job, now: datetime, limits: Limits) -> bool:
    """It waits for the alert that is missing before it, and not for too long."""
    return follow.holds(lane, job) and now < job.signal.received_at + limits.gap_hold


def known(lane: Lane) -> bool:
    """What is held is known and nothing sent is about to change it."""
    seen = lane.synced or not lane.picture_wanted
    return seen and lane.call is None and book.quiet(lane) and not book.standing(lane).waiting


def owner_says_no(lane: Lane, signal: Signal) -> str | None:
    if lane.trade is None or signal.recorder_id in (None, lane.trade.recorder_id):
        return None
    return f"lane in use by recorder {lane.trade.recorder_id}"


def _enter_rules(lane: Lane, job: Job) -> JobDecision | None:
    signal, held = job.signal, book.held(lane)
    terms = signal.terms
    if terms is None:
        return Resolve(signal.id, Outcome.NEEDS_ATTENTION, "an entry without rules cannot be sized")
    if (owner := owner_says_no(lane, signal)) is not None:
        return Resolve(signal.id, Outcome.BLOCKED, owner)
    if (other := position_says_no(terms, held)) is not None:
        return Resolve(signal.id, Outcome.NO_ACTION, other)
    if signal.refusal is not None and held * wanted_sign(signal.verb) >= 0:
        return Resolve(signal.id, Outcome.BLOCKED, signal.refusal)
    if held == 0:
        return _fits(signal, terms, 0)
    if held * wanted_sign(signal.verb) > 0:
        return _same_side(signal, terms, held)
    return _opposite(signal, terms, held)


def wanted_sign(verb: Verb) -> int:
    return 1 if verb is Verb.BUY else -1


def position_says_no(terms: Terms, held: int) -> str | None:
    """Why an entry that asks for a certain position is not made beside this one."""
    if not terms.only_when or Held.of(held) in terms.only_when:
        return None
    return f"{_position(held)}: the alert enters only while {' or '.join(terms.only_when)}"


def _same_side(signal: Signal, terms: Terms, held: int) -> JobDecision | None:
    match terms.on_same_side:
        case OnSameSide.IGNORE:
            text = f"already {_position(held)}: same-side signals are ignored"
            return Resolve(signal.id, Outcome.NO_ACTION, text)
        case OnSameSide.REENTER:
            return BeginExit(signal.id, 0, "reenter")
        case OnSameSide.ADD:
            return _fits(signal, terms, held)


def _opposite(signal: Signal, terms: Terms, held: int) -> JobDecision:
    match terms.on_opposite:
        case OnOpposite.IGNORE:
            text = f"{_position(held)}: opposite signals are ignored"
            return Resolve(signal.id, Outcome.NO_ACTION, text)
        case OnOpposite.CLOSE | OnOpposite.REVERSE:
            return BeginExit(signal.id, 0, "reverse" if terms.on_opposite is OnOpposite.REVERSE else "opposite")
        case OnOpposite.NET:
            left = max(abs(held) - terms.quantity, 0)
            why = "reverse" if terms.quantity > abs(held) else "opposite"
            return BeginExit(signal.id, left if held > 0 else -left, why)


def _fits(signal: Signal, terms: Terms, held: int) -> Resolve | None:
    sized = entry_size(terms, held)
    if sized.quantity < 1:
        return Resolve(signal.id, Outcome.BLOCKED, sized.reason or "no contract fits")
    return None


def entry_size(terms: Terms, held: int, netted: int = 0) -> Sized:
    """Contracts to enter beside what is held: the first quantity from flat, the add quantity otherwise.

    `netted` contracts of the order are already used up: they closed the other side.
    """
    add = terms.add_quantity if terms.up_to is None else terms.up_to - abs(held)
    base = terms.quantity if held == 0 else add
    return size(base - netted, Decimal(1), held, terms.max_quantity)


def netted(job: Job) -> int:
    """How many contracts of this entry went into closing the other side, where orders net."""
    terms = job.signal.terms
    if not job.exited or terms is None or terms.on_opposite is not OnOpposite.NET:
        return 0
    return abs(job.exit_from) if job.exit_from * wanted_sign(job.signal.verb) < 0 else 0


def _exit_rules(lane: Lane, job: Job, now: datetime, limits: Limits) -> JobDecision | None:
    signal, held = job.signal, book.held(lane)
    if held == 0:
        if _holds(lane, job, now, limits) or not looked_since(lane, signal.received_at) or not book.agrees(lane):
            return None
        return Resolve(signal.id, Outcome.NO_ACTION, _nothing_to_close(lane))
    if (owner := owner_says_no(lane, signal)) is not None:
        return Resolve(signal.id, Outcome.NO_ACTION, owner)
    if (signal.verb is Verb.CLOSE_LONG and held < 0) or (signal.verb is Verb.CLOSE_SHORT and held > 0):
        return Resolve(signal.id, Outcome.NO_ACTION, f"{_position(held)}: nothing of that side to close")
    part = min(signal.quantity or abs(held), abs(held))
    return BeginExit(signal.id, held - part * (1 if held > 0 else -1), "close")


def _nothing_to_close(lane: Lane) -> str:
    foreign = book.foreign_quantity(lane)
    if not foreign:
        return "already flat at the broker"
    return f"nothing of ours is held; {foreign:+d} {lane.contract.name} at the broker is not ours"


def looked_since(lane: Lane, at: datetime) -> bool:
    """A picture of this lane was begun at or after `at`."""
    return lane.checked_at is not None and lane.checked_at >= at


def _exit_result(lane: Lane, job: Job, limits: Limits) -> JobDecision | None:
    if lane.call is not None or book.in_doubt(lane):
        return None
    if job.exit_tries >= limits.exit_tries:
        return _exit_failed(lane, job, Outcome.NEEDS_ATTENTION, "closing orders were taken but did not fill")
    if not book.quiet(lane) or book.standing(lane).waiting or book.resting(lane):
        return None
    if _reached(book.held(lane), job):
        return _exit_done(lane, job)
    if job.exit_refusal is not None and job.exit_tries >= limits.exit_refusals:
        return _exit_failed(lane, job, Outcome.REJECTED, job.exit_refusal)
    missing = _not_at_broker(lane, job)
    return _exit_failed(lane, job, Outcome.NEEDS_ATTENTION, missing) if missing is not None else None


def _not_at_broker(lane: Lane, job: Job) -> str | None:
    """Why nothing is left to close, though our books hold more than shall remain: the broker does not."""
    if not book.lacks(lane) or not book.agrees(lane) or not looked_since(lane, job.signal.received_at):
        return None
    held, shown = book.held(lane), lane.broker_quantity or 0
    tried = job.exit_tries or lane.retries  # a liquidation whose answer said nothing counts as no try
    if shown == 0:
        flat = "the broker is flat, our books are not, and no fill tells why: resume the lane to follow the broker"
        return flat if tried or job.exit_to else None
    if shown * held < 0 or abs(shown) <= abs(job.exit_to):
        shows = f"the broker holds {shown:+d} {lane.contract.name}, our books {held:+d}"
        return f"{shows}: it has no more of ours to close; resume the lane to follow the broker"
    return None


def _exit_failed(lane: Lane, job: Job, outcome: Outcome, reason: str) -> Resolve:
    some = abs(book.held(lane)) < abs(job.exit_from)
    return Resolve(job.signal.id, Outcome.PARTIALLY_FILLED if some else outcome, reason)


def _reached(held: int, job: Job) -> bool:
    """Held is what shall remain, or already less on the same side."""
    if job.exit_to == 0:
        return held == 0
    return held * job.exit_to >= 0 and abs(held) <= abs(job.exit_to)


def _exit_done(lane: Lane, job: Job) -> JobDecision:
    signal = job.signal
    if signal.verb.enters and signal.terms is not None and _enters_next(job, signal.terms):
        return EndExit(signal.id)
    done = abs(job.exit_from) - abs(book.held(lane))
    left = "flat" if book.held(lane) == 0 else f"{abs(book.held(lane))} left"
    return Resolve(signal.id, Outcome.FILLED, f"closed {done} {lane.contract.name}, {left}")


def _enters_next(job: Job, terms: Terms) -> bool:
    """The exit was only the first step of this entry."""
    if job.exit_from * wanted_sign(job.signal.verb) > 0:
        return job.exit_to == 0  # its own side was closed to enter anew; less of it was all that was wanted
    match terms.on_opposite:
        case OnOpposite.REVERSE:
            return True
        case OnOpposite.NET:
            return terms.quantity > abs(job.exit_from)
        case OnOpposite.CLOSE | OnOpposite.IGNORE:
            return False


# ── what became of an entry ──────────────────────────────────────────────────────────────────────────────


def _entry_result(lane: Lane, job: Job, order: Order) -> Resolve | None:
    if order.unsent or not book.settled(lane, order) or not seen_ended(lane, order):
        return None
    done = max(book.filled(lane, order), book.claimed(order))
    outcome, reason = _entry_outcome(lane, job, order, done)
    if job.exited and outcome is not Outcome.FILLED:
        return Resolve(job.signal.id, Outcome.PARTIALLY_FILLED, f"{_only_closed(job)}: {reason}")
    return Resolve(job.signal.id, outcome, reason)


def seen_ended(lane: Lane, order: Order) -> bool:
    """False for an entry that ended unfilled and that no picture has shown since: a fill may only be late."""
    unfilled = order.status in (Status.CANCELED, Status.EXPIRED) and not book.filled(lane, order)
    if not unfilled or order.ended_at is None:
        return True
    return lane.checked_at is not None and lane.checked_at > order.ended_at


def _entry_outcome(lane: Lane, job: Job, order: Order, done: int) -> tuple[Outcome, str]:
    if any(o.twin_of == order.id for o in lane.orders):
        text = f"the broker made two orders of one: {_filled_text(lane, order, done)}, and look at the second"
        return Outcome.NEEDS_ATTENTION, text
    if done >= order.quantity:
        return Outcome.FILLED, _filled_text(lane, order, done)
    if done > 0:
        return Outcome.PARTIALLY_FILLED, f"{_filled_text(lane, order, done)} of {order.quantity}"
    if order.status is Status.ABSENT:
        return _absent_outcome(lane, job, order)
    if order.status is Status.REJECTED:
        return Outcome.REJECTED, said(order) or "the broker rejected it and named no reason"
    if order.cancel_asked and overtaken(lane, job):
        return Outcome.SUPERSEDED, "cancelled unfilled: overtaken by a later close"
    if order.cancel_asked and lane.killed:
        return Outcome.KILLED, "cancelled unfilled: the kill switch is on"
    if order.cancel_asked:
        return Outcome.EXPIRED, "cancelled: it did not fill in time"
    return (
        Outcome.REJECTED,
        f"the broker ended it unfilled ({order.status.name.lower()}) {said(order)}".strip(),
    )


def _absent_outcome(lane: Lane, job: Job, order: Order) -> tuple[Outcome, str]:
    if order.named:
        return Outcome.REJECTED, said(order)
    if lane.killed:
        return Outcome.KILLED, "the kill switch is on"
    return Outcome.NOT_PLACED, said(order)


def said(order: Order) -> str:
    """What the broker said of an order, reason and text, as one phrase."""
    return ": ".join(part for part in (order.reason, order.text) if part)


def _filled_text(lane: Lane, order: Order, done: int) -> str:
    parts = [p for p in book.standing(lane).parts if p.order is not None and p.order.id == order.id]
    price = book.weighted(parts)
    verb = "bought" if order.action.sign > 0 else "sold"
    return f"{verb} {done} {lane.contract.name}" + (f" at {price:f}" if price is not None else "")


def _position(held: int) -> str:
    return "flat" if held == 0 else f"{'long' if held > 0 else 'short'} {abs(held)}"
