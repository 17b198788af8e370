"""Signals: one outcome with a reason (I2), no entry while the kill switch is on (I13), none too old (I14)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from justtrades.positions.model import Outcome
from justtrades.selfaudit.rows import Row, Rows, is_theirs

LONG: Final = timedelta(minutes=10)
"""An entry that could have been sent till then, and has no outcome so much later, was forgotten."""
CLOCK: Final = timedelta(seconds=1)


def outcomes_have_reasons(rows: Rows) -> Iterator[str]:
    for signal in rows.signals:
        if signal.status == "refused":
            if signal.outcome is not None:
                yield f"signal {signal.id} was refused and has the outcome {signal.outcome}"
        elif (signal.status == "done") != (signal.outcome is not None):
            yield f"signal {signal.id} is {signal.status} with the outcome {signal.outcome or 'none'}"
        elif signal.outcome is not None and not signal.reason:
            yield f"signal {signal.id} ended {signal.outcome} without a reason"


def routes_make_the_outcome(rows: Rows) -> Iterator[str]:
    """Each account's outcome has a reason, and the signal's is the best of them once none is open."""
    of: dict[str, list[Row]] = defaultdict(list)
    for route in rows.routes:
        of[route.signal_id].append(route)
        if (route.status == "done") != (route.outcome is not None) or (route.outcome and not route.reason):
            told = f"is {route.status}, outcome {route.outcome or 'none'}, reason {route.reason or 'none'}"
            yield f"signal {route.signal_id} at {route.account_id} {told}"
    for signal in rows.signals:
        if routes := of.get(signal.id):
            yield from _as_a_whole(signal, routes)


def _as_a_whole(signal: Row, routes: list[Row]) -> Iterator[str]:
    still_open = [route for route in routes if route.outcome is None]
    if signal.outcome is None:
        if not still_open:
            yield f"signal {signal.id} is {signal.status} though it has ended at each account"
        return
    if still_open:
        yield f"signal {signal.id} ended {signal.outcome} and is still open at {still_open[0].account_id}"
        return
    best = Outcome.best(Outcome(route.outcome) for route in routes)
    if signal.outcome != best:
        yield f"signal {signal.id} ended {signal.outcome}, the best of its accounts is {best}"


def lanes_know_their_signals(rows: Rows) -> Iterator[str]:
    """What a lane has taken on is among its jobs until its outcome is written, in one step with it."""
    for route in rows.routes:
        state = rows.states.get((route.account_id, route.contract))
        if state is None:
            continue
        has_it = any(job.signal.id == route.signal_id for job in state.jobs)
        if route.status == "working" and not has_it:
            yield f"signal {route.signal_id} is {route.status}, and the lane of {route.contract} has let it go"
        elif route.status == "done" and has_it:
            yield f"signal {route.signal_id} ended {route.outcome} and the lane of {route.contract} still works on it"


def none_waits_for_ever(rows: Rows) -> Iterator[str]:
    """An entry that no lane has taken on may wait for its contract until it is too old, and not much longer.

    What a lane has taken on ends by the lane's own patience, or waits for a broker that does not answer. While no
    engine runs, everything waits.
    """
    if rows.running_since is None:
        return
    waits = {route.signal_id for route in rows.routes if route.status == "accepted"}
    for signal in rows.signals:
        if signal.id in waits and signal.verb in ("buy", "sell") and signal.expires_at is not None:
            since = max(signal.expires_at, rows.running_since)
            if signal.outcome is None and rows.now - since > LONG:
                yield f"signal {signal.id} could be sent until {signal.expires_at:%H:%M:%S} and has no outcome yet"


def no_entry_after_the_kill(rows: Rows) -> Iterator[str]:
    """Decided after the switch was thrown, and at the broker: the gate before the write was not asked."""
    if not rows.kill.on or rows.kill.since is None:
        return
    for order in rows.orders:
        if order.purpose != "entry" or order.broker_order_id is None or is_theirs(order) or order.id in rows.set_back:
            continue
        if order.created_at > rows.kill.since + CLOCK:
            yield f"entry {order.id} of signal {order.signal_id} left although the kill switch is on since before it"


def no_entry_too_old(rows: Rows) -> Iterator[str]:
    for order in rows.orders:
        if order.purpose != "entry" or order.broker_order_id is None or is_theirs(order) or order.expires_at is None:
            continue
        last = max([order.created_at, *rows.posted.get(order.id, ())])
        if last >= order.expires_at + CLOCK:
            late = (last - order.expires_at).total_seconds()
            yield f"entry {order.id} of signal {order.signal_id} was sent {late:.1f} s after it was too old"


def no_exit_expires(rows: Rows) -> Iterator[str]:
    for signal in rows.signals:
        if signal.outcome == Outcome.EXPIRED and (signal.verb or "").startswith("close"):
            yield f"signal {signal.id} asked to close and expired"
