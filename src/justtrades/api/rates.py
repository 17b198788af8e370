"""How often one token may speak: a bucket that holds a minute's worth, all of which may come at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

EXITS: int = 10
"""Exits have a bucket of their own, so many times as large: no flood of entries keeps a position open."""


@dataclass(slots=True)
class Bucket:
    """`per_minute` at once, then one whenever a minute's share has passed. Moments are seconds on any clock."""

    per_minute: int
    _left: float = field(init=False)
    _at: float = field(init=False, default=-math.inf)

    def __post_init__(self) -> None:
        self._left = self.per_minute

    def take(self, now: float) -> bool:
        self._left = min(self.per_minute, self._left + max(now - self._at, 0) * self.per_minute / 60)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    @property
    def wait(self) -> int:
        """Whole seconds until one more fits, at least 1."""
        return max(1, math.ceil((1 - self._left) * 60 / self.per_minute))


@dataclass(slots=True)
class Pace:
    """One token's three buckets. `refusals` bounds how many refused alerts are kept of a flood."""

    per_minute: int
    entries: Bucket = field(init=False)
    exits: Bucket = field(init=False)
    refusals: Bucket = field(init=False)

    def __post_init__(self) -> None:
        self.entries = Bucket(self.per_minute)
        self.exits = Bucket(self.per_minute * EXITS)
        self.refusals = Bucket(self.per_minute)
