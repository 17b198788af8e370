"""One step of a lane: a fact in, decisions out.

    step(lane, event, now)  =  apply, then plan until nothing is missing

Each decision is recorded in the lane before the next is asked for, so the lane that is saved already knows what
is about to be sent: a call in flight, a read asked for, a signal resolved. Decisions are values; the executor
saves the lane and then carries the commands out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from justtrades.positions import book, exits, follow, patience
from justtrades.positions.changes import put, put_job, tell
from justtrades.positions.commands import (
    CancelOrder,
    Command,
    Liquidate,
    LookForOrders,
    ModifyOrder,
    PlaceOrder,
    TakePicture,
)
from justtrades.positions.events import Event
from justtrades.positions.fold import apply
from justtrades.positions.jobs import BeginExit, EndExit, Resolve
from justtrades.positions.limits import Limits
from justtrades.positions.model import (
    Call,
    CallKind,
    Job,
    Lane,
    Noted,
    Outcome,
    Purpose,
    Read,
    ReadKind,
    SignalDone,
    Status,
)
from justtrades.positions.patience import GiveUp
from justtrades.positions.plan import Decision, GoFlat, plan, wake_at
from justtrades.positions.rules import rules
from justtrades.positions.set_back import put_right
from justtrades.positions.settle import go_flat
from justtrades.positions.values import replace

MOST_DECISIONS = 200
"""A step that decides more than this, beside what its waiting signals need, is a loop: the lane halts and says so."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a step came to: the lane to save (with its news) and the commands to carry out after saving."""

    lane: Lane
    commands: tuple[Command, ...]
    wake_at: datetime | None


class Loop(RuntimeError):
    """`plan` kept deciding without end."""


def step(lane: Lane, event: Event, now: datetime, limits: Limits) -> Step:
    """One fact, and what follows from it."""
    return decide(fold_in(lane, event, now, limits), now, limits)


def fold_in(lane: Lane, event: Event, now: datetime, limits: Limits) -> Lane:
    """One fact folded in, nothing decided yet. Facts that came together are decided on together."""
    return apply(put_right(replace(lane, news=()), now), event, now, limits)


def decide(lane: Lane, now: datetime, limits: Limits) -> Step:
    """Everything that is missing now, one decision after the other."""
    commands: list[Command] = []
    for _ in range(MOST_DECISIONS + 4 * len(lane.jobs)):
        decision = plan(lane, now, limits)
        if decision is None:
            lane = patience.watched(_watch(lane, now, limits), now, limits)
            return Step(lane, tuple(commands), wake_at(lane, now, limits))
        lane = record(lane, decision, now, limits)
        if isinstance(decision, Command):
            commands.append(decision)
    raise Loop("decisions without end")


def record(lane: Lane, decision: Decision, now: datetime, limits: Limits) -> Lane:  # noqa: PLR0911 - one arm a decision
    """The lane knowing that this was decided."""
    match decision:
        case Resolve():
            return _resolve(lane, decision, now)
        case GiveUp(signal_id, outcome, reason):
            return _give_up(lane, Resolve(signal_id, outcome, reason), now)
        case BeginExit():
            return _begin_exit(lane, decision, now)
        case EndExit(signal_id):
            job = _job(lane, signal_id)
            return put_job(lane, replace(job, exiting=False, exited=True, exit_refusal=None))
        case GoFlat():
            return go_flat(lane, now, limits)
        case LookForOrders():
            return replace(lane, read=Read(ReadKind.LOOK, now))
        case TakePicture(urgency):
            return replace(lane, read=Read(ReadKind.PICTURE, now, urgency))
        case PlaceOrder():
            return _placing(lane, decision, now)
        case ModifyOrder():
            call = Call(decision.id, CallKind.MODIFY, (decision.order_id,), now, decision.quantity, decision.price)
            return replace(lane, call=call, serial=lane.serial + 1)
        case CancelOrder():
            return _cancelling(lane, decision, now)
        case Liquidate(call_id, order):
            lane = _count_exit(put(lane, order))
            return replace(lane, call=Call(call_id, CallKind.LIQUIDATE, (order.id,), now), serial=lane.serial + 1)
        case _:
            assert_never(decision)


def _job(lane: Lane, signal_id: str) -> Job:
    return next(j for j in lane.jobs if j.signal.id == signal_id)


def _resolve(lane: Lane, decision: Resolve, now: datetime) -> Lane:
    job = _judged(lane, _job(lane, decision.signal_id), now)
    lane = _heard(lane, job, decision.outcome)
    if job.entry is not None and lane.order(job.entry).unsent:
        gone = replace(lane.order(job.entry), unsent=False, status=Status.ABSENT, ended_at=now)
        lane = put(lane, replace(gone, reason=decision.reason))
    lane = replace(lane, jobs=tuple(j for j in lane.jobs if j.signal.id != job.signal.id), stuck_since=None)
    if job.exiting and book.held(lane) != 0 and lane.trade is not None:  # whatever closes it now, this did not
        lane = replace(lane, trade=replace(lane.trade, exit_reason=None))
    return tell(lane, SignalDone(job.signal.id, decision.outcome, decision.reason, job.notes, job.gap))


def _give_up(lane: Lane, decision: Resolve, now: datetime) -> Lane:
    text = f"a signal was given up: {decision.reason}; entries stop until a person resumes the lane"
    lane = replace(_resolve(lane, decision, now), stopped=lane.stopped or text, stuck_since=lane.stuck_since)
    return tell(lane, Noted(decision.signal_id, text, alarm=True))


def _begin_exit(lane: Lane, decision: BeginExit, now: datetime) -> Lane:
    job = _judged(lane, _job(lane, decision.signal_id), now)
    from_quantity = book.held(lane)
    lane = put_job(
        _heard(lane, job), replace(job, begun=True, exiting=True, exit_from=from_quantity, exit_to=decision.to)
    )
    lane = replace(lane, retry_at=None, retries=0)
    if lane.trade is not None and decision.to == 0:
        lane = replace(lane, trade=replace(lane.trade, exit_reason=decision.reason))
    return lane


def _placing(lane: Lane, command: PlaceOrder, now: datetime) -> Lane:
    before, order, other = lane, command.order, command.other
    fresh = all(o.id != order.id for o in lane.orders)
    if other is not None:
        order, other = replace(order, oco=other.id), replace(other, oco=order.id)
        lane = put(lane, other)
    lane = put(lane, replace(order, unsent=False, sent_at=now, status=Status.SENDING, reason=None, barred=None))
    ids = (order.id,) if other is None else (order.id, other.id)
    lane = replace(lane, call=Call(command.id, CallKind.PLACE, ids, now))
    if fresh:
        lane = replace(lane, serial=lane.serial + len(ids))
    if order.purpose is Purpose.ENTRY:
        job = _judged(before, _job(lane, order.signal_id or ""), now)
        lane = replace(
            _heard(lane, job), exits_lost=0
        )  # a new entry wants its exit, whatever somebody took away before
        return put_job(lane, replace(job, begun=True, entry=order.id))
    return _count_exit(lane) if order.purpose is Purpose.CLOSE else lane


def _judged(lane: Lane, job: Job, now: datetime) -> Job:
    """The job with the rules it met, told once: when it begins, or when it ends without having begun."""
    if job.begun:
        return job
    told = tuple(rule.text for rule in rules(lane, job, now))
    return replace(job, notes=job.notes + told, gap=follow.gap(lane, job.signal))


def _heard(lane: Lane, job: Job, outcome: Outcome | None = None) -> Lane:
    """The strategy's chain goes on from this alert; blocked for a gap it does not, unless it is the first of all."""
    if job.begun or (outcome is Outcome.BLOCKED and job.gap is not None and not follow.is_first(lane, job.signal)):
        return lane
    return follow.heard(lane, job.signal)


def _count_exit(lane: Lane) -> Lane:
    jobs = (replace(j, exit_tries=j.exit_tries + 1) if j.exiting else j for j in lane.jobs)
    return replace(lane, jobs=tuple(jobs))


def _cancelling(lane: Lane, command: CancelOrder, now: datetime) -> Lane:
    order = lane.order(command.order_id)
    lane = put(lane, replace(order, cancel_asked=max(order.cancel_asked, 0) + 1, changed_at=now))
    return replace(lane, call=Call(command.id, CallKind.CANCEL, (order.id,), now), serial=lane.serial + 1)


def _watch(lane: Lane, now: datetime, limits: Limits) -> Lane:
    """Since when a position wants an exit and does not have it; past the limit a person is told, once."""
    if exits.protected(lane):
        return replace(lane, unprotected_since=None, unprotected_told=False) if lane.unprotected_since else lane
    if lane.unprotected_since is None:
        return replace(lane, unprotected_since=now)
    late = now - lane.unprotected_since
    if lane.unprotected_told or late < limits.unprotected_alarm:
        return lane
    text = f"{book.held(lane):+d} {lane.contract.name} is without its exit for {late.total_seconds():.0f} s"
    signal_id = lane.trade.signal_id if lane.trade else None
    return tell(replace(lane, unprotected_told=True), Noted(signal_id, text, alarm=True))


__all__ = ["Step", "decide", "fold_in", "record", "step"]
