"""Following a strategy's position: the alert says where to be, and every lane goes there from where it is.

An alert with the strategy's position after its order, and before it, is level and not edge. The same one twice is
once, because the second finds the position already held. And since each names the position it starts from, alerts
are links of a chain: `before` must be where the last one left the strategy, or what is held here. A link that
fits neither is a gap: an alert was missed, or two came in the wrong order. What is then done is the recorder's
choice (`OnGap`):

* block: the entry is not made, until an alert fits again (after a flat strategy every one does);
* hold: the alert waits a moment for the missing one, which then goes first; if it does not come, block;
* resync: go to the position the alert names, as though nothing were missing.

Taking risk off never waits for any of this: a close with a gap before it closes. An alert that is older, by its own
clock, than one already followed is late and changes nothing.

How much a strategy's contracts are here depends on whose sizes count. With `quantity_from: alert` they are
multiplied by the route's multiplier and rounded down, and an order is what is missing to that. With
`quantity_from: recorder` the strategy's contracts say only on which side it is, and whether it grew: flat means
flat, its first position is the recorder's quantity, and each alert that finds it larger than the one before is one
add of the recorder's own size.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from justtrades.positions import book
from justtrades.positions.model import Follow, Heard, Job, Lane, OnGap, RecorderId, Signal
from justtrades.positions.values import replace

HEARD_MOST = 20
"""Recorders whose chain one lane remembers."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """There is nothing to do, for this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Reduce:
    """More is held than the strategy's position comes to: go down to `to` signed contracts."""

    to: int


@dataclass(frozen=True, slots=True)
class Missing:
    """An alert before this one is missing, and the recorder does not go on without it."""

    reason: str


Verdict = Nothing | Reduce | Missing


def verdict(lane: Lane, signal: Signal) -> Verdict | None:
    """What the strategy's position means for this signal; None: it is to be done by the usual rules."""
    follow = signal.follow
    if follow is None:
        return None
    if (late := _late(lane, signal, follow)) is not None:
        return Nothing(late)
    if signal.verb.enters:
        return _entering(lane, signal, follow)
    return _leaving(lane, signal, follow)


def gap(lane: Lane, signal: Signal) -> str | None:
    """Why an alert must be missing before this one; None when it fits, or says nothing of it."""
    follow = signal.follow
    if follow is None or follow.before is None or _fits(lane, signal, follow):
        return None
    heard = _heard(lane, signal.recorder_id)
    last = "none was heard before" if heard is None else f"the last one left it {_shown(heard.position)}"
    return (
        f"an alert is missing or out of order: the strategy comes from {_shown(follow.before)}, but {last}, "
        f"and {own_held(lane, signal):+d} is held"
    )


def holds(lane: Lane, job: Job) -> bool:
    """The signal waits for the one that is missing before it (its time is for the caller to watch)."""
    signal = job.signal
    if job.begun or signal.follow is None or signal.follow.on_gap is not OnGap.HOLD or gap(lane, signal) is None:
        return False
    return isinstance(verdict(lane, signal), Missing) if signal.verb.enters else own_held(lane, signal) == 0


def place_in(lane: Lane, new: Job) -> int:
    """Where in the queue a new signal goes: before the one that waits for it, else at the end."""
    if lane.jobs and _leads_to(new, lane.jobs[0]) and holds(lane, lane.jobs[0]):
        return 0
    return len(lane.jobs)


def heard(lane: Lane, signal: Signal) -> Lane:
    """The lane knowing that this link of the chain has come."""
    follow, recorder_id = signal.follow, signal.recorder_id
    if follow is None or recorder_id is None or _late(lane, signal, follow) is not None:
        return lane
    others = tuple(h for h in lane.heard if h.recorder_id != recorder_id)
    return replace(lane, heard=(*others[1 - HEARD_MOST :], Heard(recorder_id, follow.after, follow.told_at)))


def is_first(lane: Lane, signal: Signal) -> bool:
    """Nothing of this recorder's chain was heard on this lane."""
    return _heard(lane, signal.recorder_id) is None


def told(lane: Lane, signal: Signal) -> str:
    """The numbers of the chain, for the receipt."""
    follow = signal.follow
    if follow is None:
        return "the alert names no position"
    before = "?" if follow.before is None else _shown(follow.before)
    last = _heard(lane, signal.recorder_id)
    known = "nothing heard before" if last is None else f"last heard {_shown(last.position)}"
    here = "" if follow.contracts is None else f", {follow.contracts:+d} here"
    return f"strategy from {before} to {_shown(follow.after)}{here}; {known}, {own_held(lane, signal):+d} held"


def own_held(lane: Lane, signal: Signal) -> int:
    """Signed contracts this recorder holds here; another's trade is not its position."""
    if lane.trade is not None and lane.trade.recorder_id != signal.recorder_id:
        return 0
    return book.held(lane)


# ── leaves ───────────────────────────────────────────────────────────────────────────────────────────────


def _entering(lane: Lane, signal: Signal, follow: Follow) -> Verdict | None:
    held = own_held(lane, signal)
    if (there := _already(lane, signal, follow, held)) is not None:
        return there
    if follow.on_gap is not OnGap.RESYNC and (missing := gap(lane, signal)) is not None:
        return Missing(missing)
    if follow.contracts is not None and held * follow.contracts > 0 and abs(held) > abs(follow.contracts):
        return Reduce(follow.contracts)
    return None


def _already(lane: Lane, signal: Signal, follow: Follow, held: int) -> Nothing | None:
    """The strategy's position is what is held."""
    if follow.contracts is not None:
        same = held == follow.contracts
        return Nothing(f"already {_contracts(held)}: the strategy's position is held") if same else None
    last = _heard(lane, signal.recorder_id)
    earlier = last.position if last is not None else follow.before
    if held * follow.after <= 0 or earlier is None or _grew(earlier, follow.after):
        return None
    return Nothing(f"already {_contracts(held)}: the strategy's position has not grown")


def _leaving(lane: Lane, signal: Signal, follow: Follow) -> Verdict | None:
    held = own_held(lane, signal)
    if held * follow.after <= 0:
        return None  # flat, or gone to the other side: all of it goes
    if follow.contracts is not None:
        if abs(held) > abs(follow.contracts):
            return Reduce(follow.contracts)
        return Nothing(f"{_contracts(held)}: no more than the strategy's position is held")
    last = _heard(lane, signal.recorder_id)
    if last is not None and (last.position == follow.after or _grew(last.position, follow.after)):
        return Nothing(f"{_contracts(held)}: the strategy's position has not shrunk")
    return None


def _grew(earlier: Decimal, after: Decimal) -> bool:
    return earlier * after > 0 and abs(after) > abs(earlier)


def _late(lane: Lane, signal: Signal, follow: Follow) -> str | None:
    last = _heard(lane, signal.recorder_id)
    if last is None or last.at is None or follow.told_at is None or follow.told_at >= last.at:
        return None
    seconds = (last.at - follow.told_at).total_seconds()
    return f"late: a newer alert of the strategy, {seconds:g} s younger by its own clock, was followed already"


def _fits(lane: Lane, signal: Signal, follow: Follow) -> bool:
    last, held = _heard(lane, signal.recorder_id), own_held(lane, signal)
    if last is not None and (last.position == follow.before or _same(last, follow)):
        return True
    if follow.contracts_before is not None:
        return follow.contracts_before == held
    if not follow.before:
        return held == 0
    return last is None and held * follow.before > 0


def _same(last: Heard, follow: Follow) -> bool:
    """The very alert that was heard last: it comes again, and nothing is missing before it."""
    return last.position == follow.after and last.at == follow.told_at


def _leads_to(new: Job, waiting: Job) -> bool:
    one, other = new.signal, waiting.signal
    if one.follow is None or other.follow is None or one.recorder_id != other.recorder_id:
        return False
    return one.follow.after == other.follow.before


def _heard(lane: Lane, recorder_id: RecorderId | None) -> Heard | None:
    return next((h for h in lane.heard if h.recorder_id == recorder_id), None)


def _shown(position: Decimal) -> str:
    return f"{position.normalize():+f}" if position else "flat"


def _contracts(held: int) -> str:
    return "flat" if held == 0 else f"{'long' if held > 0 else 'short'} {abs(held)}"
