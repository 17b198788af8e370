"""The waits and counts the core decides by, in one place; times are `timedelta`, counts are plain integers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from justtrades.positions.model import Divergence, Doubt

LOOK_AT = (0.033, 0.1, 0.2, 0.4, 0.667, 1.0, 1.133, 1.333, 1.667)
"""When to look for an unanswered order, as fractions of `settle`: 0.5, 1.5, 3, 6, 10, 15 s (doubt.md), and soon
after, where looks failed, 17, 20, 25 s."""
LOOKS_APART = timedelta(seconds=60)
"""Between two looks at most, when they go on failing."""
MOST_READS = 12
"""Requests that looking for an unanswered order may take, as long as the broker's lists can be read."""
LOOK_READS = 2
"""Requests of one look at most: the account's orders, and the commands of those not known yet."""
FOUND_READS = 2
"""Requests more, at most, when it is found: its fills, and its version or why it ended."""


@dataclass(frozen=True, slots=True)
class Limits:
    settle: timedelta = timedelta(seconds=15)
    """How long an unanswered order is looked for before it counts as not placed (`SETTLE_SECONDS`)."""
    clean_negatives: int = 3
    partial_grace: timedelta = timedelta(seconds=1)
    """How long a partly filled entry may go on filling before what is held gets its target."""
    storm: timedelta = timedelta(seconds=2)
    """How long adds that wait may go before the exits of what is held follow them."""
    sibling_grace: timedelta = timedelta(seconds=1)
    """How long the broker has to cancel an OCO sibling by itself."""
    missing_after: timedelta = timedelta(seconds=2)
    """A market order not settled after this is looked at in a picture: an event may be missing."""
    overdue_after: timedelta = timedelta(seconds=15)
    """A market entry still working this long is cancelled; what it filled stays and is protected."""
    reread: timedelta = timedelta(seconds=1)
    """Between two pictures of a lane whose books and broker differ, or that waits for something."""
    reread_most: timedelta = timedelta(seconds=4)
    """While a difference is not old enough to be believed."""
    divergence_seen: int = 3
    divergence_for: timedelta = timedelta(seconds=11)
    """A position list may lag ten seconds behind."""
    short_for: timedelta = timedelta(seconds=30)
    """How long after a person was told pictures must go on showing less than our books, before exits are cut to it."""
    change_trusted_after: timedelta = timedelta(seconds=5)
    """A picture this much later than an accepted change shows what the broker made of it."""
    patience: timedelta = timedelta(seconds=45)
    """How long a signal waits for a broker that is seen and changes nothing, before it ends for a person."""
    exit_tries: int = 8
    exit_refusals: int = 5
    cancels: int = 5
    """After so many cancels without effect a close turns to liquidation; targets go on, ever more slowly."""
    cancel_pace: timedelta = timedelta(seconds=2)
    cancel_pace_most: timedelta = timedelta(seconds=10)
    taken_away_grace: timedelta = timedelta(milliseconds=1500)
    """After somebody else cancelled an exit: a whole flatten by hand may be under way."""
    backoff: timedelta = timedelta(milliseconds=250)
    backoff_most: timedelta = timedelta(seconds=60)
    exit_backoff_most: timedelta = timedelta(seconds=10)
    """Between two tries of a close that could not be sent or whose answer was lost."""
    absent_kept: timedelta = timedelta(days=1)
    """How long the id of an order that was not found is watched for."""
    late_fill: timedelta = timedelta(seconds=60)
    """How long an order that ended unfilled is kept, in case a fill of it was only late."""
    gap_hold: timedelta = timedelta(seconds=5)
    """How long an alert waits for one that is missing before it, where its recorder says `hold`."""
    unprotected_alarm: timedelta = timedelta(seconds=10)


def backoff(limits: Limits, tries: int) -> timedelta:
    """Doubles with each try up to the most; the caller adds the jitter."""
    return min(limits.backoff * float(2 ** min(tries, 12)), limits.backoff_most)


def cancel_again(limits: Limits, asked: int) -> timedelta:
    """How long after the last cancel the next may be sent, while the order still lives."""
    return min(limits.cancel_pace * float(2 ** min(max(asked - 1, 0), 10)), limits.cancel_pace_most)


def look_due(limits: Limits, doubt: Doubt) -> timedelta:
    """How long after the doubt began its next look is due: the first moment of the schedule after the last look.

    A look that failed is no reason for another at once, and a picture that a comparison took anyway counts as one.
    Past the schedule (the engine was down, or reads failed) clean looks follow each other.
    """
    last = doubt.last_look - doubt.since if doubt.last_look is not None else timedelta(-1)
    early = _affordable(limits, doubt)
    ahead = (limits.settle * share for share in LOOK_AT if early or share >= 1)
    late = limits.reread if doubt.clean else min(last / 2, LOOKS_APART)
    return next((due for due in ahead if due > last), last + late)


def _affordable(limits: Limits, doubt: Doubt) -> bool:
    """A look before `settle` leaves enough reads for those that must come: looking never takes more than the most."""
    still_clean = max(limits.clean_negatives - doubt.negatives, 1)
    return doubt.reads + LOOK_READS * (1 + still_clean) + FOUND_READS <= MOST_READS


def look_again(limits: Limits, seen: Divergence, now: datetime) -> timedelta:
    """How long after the last picture a difference is looked at again: ever more slowly, until it may be believed."""
    lasted = now - seen.since
    if lasted >= limits.divergence_for:
        return limits.reread
    return max(limits.reread, min(lasted / 2, limits.reread_most))
