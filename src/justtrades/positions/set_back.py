"""A lane whose clock was set back: nothing that has happened is still to come.

Everything a lane remembers happened at or before `now`, and what it waits for comes within a minute. When the clock of
the machine is set back, that is true no longer: what just ended would seem to end in an hour, no look could be late
enough to show it, and a close would wait for that hour. So a moment that is still to come is now; how long ago it was
nobody knows, and every wait begins anew. The last sight of the broker counts as none.

Moments of the broker's own clock (of fills, of positions) are never compared with ours here, and stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from justtrades.positions.model import Job, Lane, Order
from justtrades.positions.values import replace

LONGEST_WAIT = timedelta(seconds=60)
"""Before anything is tried, or asked, again. Where entries have to rest for longer, the adapter knows."""


def put_right(lane: Lane, now: datetime) -> Lane:
    """The lane as its clock tells it, which shows `now`."""
    if all(at is None or at <= now for at in _past(lane)):
        return lane
    latest = now + LONGEST_WAIT
    return replace(
        lane,
        orders=tuple(_order(order, now) for order in lane.orders),
        jobs=tuple(_job(job, now) for job in lane.jobs),
        call=replace(lane.call, at=min(lane.call.at, now)) if lane.call is not None else None,
        read=replace(lane.read, at=min(lane.read.at, now)) if lane.read is not None else None,
        short=replace(lane.short, since=min(lane.short.since, now)) if lane.short is not None else None,
        checked_at=lane.checked_at if lane.checked_at is not None and lane.checked_at <= now else None,
        stale_since=_not_after(lane.stale_since, now),
        stuck_since=_not_after(lane.stuck_since, now),
        unprotected_since=_not_after(lane.unprotected_since, now),
        retry_at=_not_after(lane.retry_at, latest),
        protect_again_at=_not_after(lane.protect_again_at, latest),
        read_again_at=_not_after(lane.read_again_at, latest),
        entries_again_at=_not_after(lane.entries_again_at, latest),
        divergence=None,
    )


def _past(lane: Lane) -> Iterator[datetime | None]:
    for order in lane.orders:
        yield from (order.sent_at, order.changed_at, order.ended_at, order.unlisted_since)
        if order.doubt is not None:
            yield from (order.doubt.since, order.doubt.last_look)
    yield from (lane.checked_at, lane.stale_since, lane.stuck_since, lane.unprotected_since)
    yield from (job.signal.received_at for job in lane.jobs)
    yield from (one.at for one in (lane.call, lane.read) if one is not None)
    if lane.short is not None:
        yield lane.short.since


def _not_after(at: datetime | None, latest: datetime) -> datetime | None:
    return min(at, latest) if at is not None else None


def _order(order: Order, now: datetime) -> Order:
    doubt = order.doubt
    if doubt is not None:
        doubt = replace(doubt, since=min(doubt.since, now), last_look=_not_after(doubt.last_look, now))
    return replace(
        order,
        sent_at=min(order.sent_at, now),
        changed_at=_not_after(order.changed_at, now),
        ended_at=_not_after(order.ended_at, now),
        unlisted_since=_not_after(order.unlisted_since, now),
        doubt=doubt,
    )


def _job(job: Job, now: datetime) -> Job:
    """It may wait as long as it might have."""
    signal = job.signal
    ahead = max(signal.received_at - now, timedelta(0))
    return replace(
        job, signal=replace(signal, received_at=signal.received_at - ahead, expires_at=signal.expires_at - ahead)
    )


__all__ = ["put_right"]
