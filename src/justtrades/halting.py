"""What a lane that meets the unexpected says, to whom, and how it stands.

The engine's code was not built for it, so nothing is guessed: the lane halts, durably, says how it goes on, and the
signals that were about to reach it end for a person.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from justtrades.positions.model import Lane, Noted, Outcome, SignalDone, SignalId
from justtrades.positions.values import replace


def reason(lane: Lane, error: Exception, on: str) -> str:
    """One line that any text column takes: an error may quote the very text that could not be kept."""
    said = f"{error}".partition("\n")[0].encode("ascii", "backslashreplace").decode()
    way_on = f"look at the broker, then: justtrades resume {lane.account_id} {lane.contract.name} --leave"
    return f"unexpected {type(error).__name__} on {on}: {said}; {way_on}"


def told(lane: Lane, why: str) -> tuple[Noted, ...]:
    """The alarm, once."""
    if lane.halted is not None:
        return ()
    return (Noted(lane.trade.signal_id if lane.trade else None, f"halted: {why}", alarm=True),)


def unheard(lane: Lane, came: Iterable[SignalId], why: str) -> tuple[SignalDone, ...]:
    """The signals that came and are not in the lane; they end here, or they would never end."""
    here = {job.signal.id for job in lane.jobs}
    text = f"this lane is halted: {lane.halted or why}"
    return tuple(SignalDone(i, Outcome.NEEDS_ATTENTION, text) for i in dict.fromkeys(came) if i not in here)


def as_saved(saved: Lane, why: str, again_at: datetime) -> Lane:
    """As it was before what could not be saved. It does not ask for that again by itself: it might get it again."""
    return replace(saved, halted=saved.halted or why, read=None, read_again_at=again_at)


__all__ = ["as_saved", "reason", "told", "unheard"]
