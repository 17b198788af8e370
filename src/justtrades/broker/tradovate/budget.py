"""Requests per minute and hour of one login (protocol.md section 3: the limits are shared by all its accounts).

Rolling windows on the event loop's time. What protects a position always goes, up to the broker's published
limit; an entry goes only if its own target and close would fit behind it; reads leave a fifth for orders and
wait their turn. A queue ordered by urgency would stand between `take` and `turn`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from enum import StrEnum

from justtrades.broker import port
from justtrades.broker.port import NotSent

MINUTE, HOUR = 60.0, 3600.0
PUBLISHED = 5_000
"""Tradovate's own limit, per minute and per hour (protocol.md section 3, official)."""
ENTRY_LEAVES = 2
READ_WAITS = 60.0


class Use(StrEnum):
    EXIT = "exit"
    URGENT = "urgent"
    """A read that an exit or a doubt needs."""
    ENTRY = "entry"
    READ = "read"

    @property
    def protects(self) -> bool:
        return self in (Use.EXIT, Use.URGENT)


class Budget:
    """Counts requests; every one that is sent is taken here first."""

    def __init__(self, per_minute: int, per_hour: int) -> None:
        self._limits = ((MINUTE, per_minute), (HOUR, per_hour))
        self._taken: deque[float] = deque()

    def take(self, use: Use, now: float) -> float:
        """0 when a request may go (and is counted), else the seconds until there will be room."""
        self._forget(now)
        wait = max(self._room_in(use, now, window, limit) for window, limit in self._limits)
        if not wait:
            self._taken.append(now)
        return wait

    async def turn(self, use: Use) -> None:
        """Returns when a request may go. Only reads wait; NotSent("budget") otherwise or after a minute."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + READ_WAITS
        while wait := self.take(use, loop.time()):
            if use is not Use.READ or loop.time() + wait > give_up:
                raise NotSent("budget", f"the request budget is used up for {wait:.0f} s")
            await asyncio.sleep(wait)

    def used(self, now: float) -> port.Budget:
        self._forget(now)
        (minute, per_minute), (_, per_hour) = self._limits
        return port.Budget(self._count(now, minute), per_minute, len(self._taken), per_hour)

    def _room_in(self, use: Use, now: float, window: float, limit: int) -> float:
        allowed = max(_share(use, limit), 0)
        over = self._count(now, window) - allowed
        if over < 0:
            return 0.0
        if allowed == 0:
            return window
        oldest = self._taken[-allowed]
        return max(oldest + window - now, 0.001)

    def _count(self, now: float, window: float) -> int:
        """How many were taken within `window`; searched from the newest, since minutes are short."""
        if window >= HOUR:
            return len(self._taken)
        count = 0
        for at in reversed(self._taken):
            if at <= now - window:
                break
            count += 1
        return count

    def _forget(self, now: float) -> None:
        while self._taken and self._taken[0] <= now - HOUR:
            self._taken.popleft()


def _share(use: Use, limit: int) -> int:
    """Exits go on up to the broker's own limit; nobody's setting is above it for the others."""
    if use.protects:
        return max(limit, PUBLISHED)
    return limit - ENTRY_LEAVES if use is Use.ENTRY else limit - limit // 5
