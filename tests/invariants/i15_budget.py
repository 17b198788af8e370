"""I15: requests stay within the budget, a share kept for exits; during a penalty only what the contract allows.

Counted over one life of the engine: the budget is not kept over a restart.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tests.invariants.checker import Checker, Written

MINUTE, HOUR = 60.0, 3600.0
PUBLISHED = 5_000
PENALTY, RESTS, HEARD = 429, 39.0, 0.05
"""The simulated engine rests 40 s (`life.PENALTY_REST`); requests of other lanes may be leaving as it is heard."""
ENTRY = "select 1 from orders where id = ? and purpose = 'entry'"


@dataclass
class WithinBudget(Checker):
    id = "I15"
    sent: deque[float] = field(default_factory=deque)
    hour: deque[float] = field(default_factory=deque)
    punished: float | None = None
    """When the last 429 was heard; None from the moment a read works again."""

    def written(self, sent: Written) -> None:
        before, within_hour = _counted(self.sent, sent.at, MINUTE), _counted(self.hour, sent.at, HOUR)
        if before >= PUBLISHED or within_hour >= PUBLISHED:
            self.broken(f"{before + 1} requests within a minute, {within_hour + 1} within an hour")
        if not any(self.facts.one(ENTRY, client_id) for client_id in sent.client_ids):
            return
        if before >= self.facts.budget:
            self.broken(f"an entry left as request {before + 1} of a minute that has {self.facts.budget}")
        if within_hour >= self.facts.hourly:
            self.broken(f"an entry left as request {within_hour + 1} of an hour that has {self.facts.hourly}")
        if self.punished is not None and HEARD < sent.at - self.punished < RESTS:
            self.broken(f"an entry left {sent.at - self.punished:.1f} s after a 429, and no read has worked since")

    def over(self, sent: Written) -> None:
        if sent.status == PENALTY:
            self.punished = self.condition.now
        elif sent.answered and not sent.mutates:
            self.punished = None

    def died(self) -> None:
        self.punished = None
        self.sent.clear()
        self.hour.clear()


def _counted(sent: deque[float], at: float, window: float) -> int:
    """How many were sent within `window` before this one, which is counted from now on."""
    while sent and sent[0] <= at - window:
        sent.popleft()
    sent.append(at)
    return len(sent) - 1
