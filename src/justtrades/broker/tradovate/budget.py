"""Whose request goes next: the budget of one login and the queue before it.

The limits of protocol.md section 3 are shared by all accounts of a login. The budget counts in rolling windows
of a minute and an hour. What protects a position goes on beyond our own limit, up to the one the broker
publishes; everything else leaves a fifth for it, and never less than an entry's own target and close. So the
more urgent always has at least as much room as the less urgent, and one queue, the most urgent first and then
the oldest, is fair without ever looking behind its head.

Waiting has an end. What protects comes back soon to be decided anew: an old closing order may close what is
gone. An entry asks its gate while it waits, so that a kill or a close behind it ends the wait. Times are the
event loop's seconds.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from justtrades.broker import port
from justtrades.broker.port import Gate, NotSent
from justtrades.positions.urgency import Urgency

MINUTE, HOUR = 60.0, 3600.0
PUBLISHED = 5_000
"""Tradovate's own limit, per minute and per hour (protocol.md section 3, official)."""
ENTRY_LEAVES = 2
"""An entry's own target and close."""
PROTECTING_WAITS, OTHERS_WAIT = 1.0, 60.0
GATE_EVERY = 0.25
MOST_WAITING = 1_000
OTHERS_AT_ONCE = 24
"""Entries and reads under way at the same time; the connections beyond are kept for what protects."""


@dataclass(order=True, slots=True)
class _Waiting:
    """One request in the queue; sorts by urgency, then age."""

    urgency: Urgency
    number: int
    turn: asyncio.Future[float] = field(compare=False, repr=False)


class Budget:
    """Counts requests; every one that is sent is counted here first."""

    def __init__(self, per_minute: int, per_hour: int) -> None:
        self._limits = ((MINUTE, per_minute), (HOUR, per_hour))
        self._spent: deque[float] = deque()
        self._queue: list[_Waiting] = []
        self._numbers = 0
        self._others = 0
        self._timer: asyncio.TimerHandle | None = None

    # ── counting ─────────────────────────────────────────────────────────────────────────────────────────

    def spend(self, now: float) -> None:
        """Count a request that asks nobody: a log-in, a renewal, a sync."""
        self._spent.append(now)

    def wait_for(self, urgency: Urgency, now: float) -> float:
        """Seconds until there will be room for it; 0 when there is."""
        self._forget(now)
        return max(self._room_in(urgency, now, window, limit) for window, limit in self._limits)

    def used(self, now: float) -> port.Budget:
        self._forget(now)
        (minute, per_minute), (_, per_hour) = self._limits
        waiting = len(self._queue)
        return port.Budget(self._count(now, minute), per_minute, len(self._spent), per_hour, waiting)

    def _room_in(self, urgency: Urgency, now: float, window: float, limit: int) -> float:
        allowed = _share(urgency, limit)
        if self._count(now, window) < allowed:
            return 0.0
        if allowed == 0:
            return window
        return max(self._spent[-allowed] + window - now, 0.001)

    def _count(self, now: float, window: float) -> int:
        """How many were sent within `window`; searched from the newest, since minutes are short."""
        if window >= HOUR:
            return len(self._spent)
        count = 0
        for at in reversed(self._spent):
            if at <= now - window:
                break
            count += 1
        return count

    def _forget(self, now: float) -> None:
        while self._spent and self._spent[0] <= now - HOUR:
            self._spent.popleft()

    # ── the queue ────────────────────────────────────────────────────────────────────────────────────────

    @asynccontextmanager
    async def turn(self, urgency: Urgency, gate: Gate) -> AsyncIterator[None]:
        """Inside, the request may go, and is counted. `NotSent` when there is no room in time, or its gate closed."""
        await self._admitted(urgency, gate)
        try:
            yield
        finally:
            self._others -= not urgency.protects
            self._serve()

    async def _admitted(self, urgency: Urgency, gate: Gate) -> None:
        me = self._join(urgency)
        self._serve()
        try:
            await self._called(me, gate)
        except BaseException:
            self._leave(me)
            raise

    async def _called(self, me: _Waiting, gate: Gate) -> None:
        loop = asyncio.get_running_loop()
        give_up = loop.time() + (PROTECTING_WAITS if me.urgency.protects else OTHERS_WAIT)
        while not me.turn.done():
            left = give_up - loop.time()
            if left <= 0:
                seconds = self.wait_for(me.urgency, loop.time())
                raise NotSent("budget", f"the request budget is used up for {seconds:.0f} s")
            await asyncio.wait({me.turn}, timeout=min(GATE_EVERY, left))
            if not me.turn.done() and (sentence := gate()):
                raise NotSent("budget", f"{sentence}; it waited for room in the request budget", final=True)
        me.turn.result()

    def _join(self, urgency: Urgency) -> _Waiting:
        self._numbers += 1
        me = _Waiting(urgency, self._numbers, asyncio.get_running_loop().create_future())
        insort(self._queue, me)
        if len(self._queue) > MOST_WAITING:
            last = self._queue.pop()
            last.turn.set_exception(NotSent("budget", f"{MOST_WAITING} requests wait already"))
        return me

    def _leave(self, me: _Waiting) -> None:
        """Out of the queue; what was counted for it and never used is given back."""
        at = bisect_left(self._queue, me)
        if at < len(self._queue) and self._queue[at] is me:
            del self._queue[at]
        elif me.turn.done() and not me.turn.cancelled() and me.turn.exception() is None:
            self._spent.remove(me.turn.result())
            self._others -= not me.urgency.protects
        self._serve()

    def _serve(self) -> None:
        """Calls whoever is first, as long as there is room for the first; else comes back when there will be."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        while self._queue:
            first, now = self._queue[0], loop.time()
            if wait := self.wait_for(first.urgency, now):
                self._timer = loop.call_later(wait, self._serve)
                return
            if not first.urgency.protects:
                if self._others >= OTHERS_AT_ONCE:
                    return  # whoever ends next serves again
                self._others += 1
            del self._queue[0]
            self._spent.append(now)
            first.turn.set_result(now)


def _share(urgency: Urgency, limit: int) -> int:
    """What protects goes on up to the broker's own limit; the others leave it a fifth of ours."""
    if urgency.protects:
        return max(limit, PUBLISHED)
    return max(limit - max(limit // 5, ENTRY_LEAVES), 0)
