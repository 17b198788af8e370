"""I15: requests stay within the budget, a share kept for exits; during a penalty only what the contract allows.

Counted over one life of the engine: the budget is not kept over a restart.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tests.invariants.checker import Checker, Written

MINUTE = 60.0
PUBLISHED = 5_000
ENTRY = "select 1 from orders where id = ? and purpose = 'entry'"


@dataclass
class WithinBudget(Checker):
    id = "I15"
    sent: deque[float] = field(default_factory=deque)

    def written(self, sent: Written) -> None:
        while self.sent and self.sent[0] <= sent.at - MINUTE:
            self.sent.popleft()
        before = len(self.sent)
        self.sent.append(sent.at)
        if before >= PUBLISHED:
            self.broken(f"{before + 1} requests within a minute")
        if not any(self.facts.one(ENTRY, client_id) for client_id in sent.client_ids):
            return
        if before >= self.facts.budget:
            self.broken(f"an entry left as request {before + 1} of a minute that has {self.facts.budget}")
        if self.facts.resting_until is not None and self.facts.now() < self.facts.resting_until:
            self.broken(f"an entry left before {self.facts.resting_until:%H:%M:%S}, when the broker's penalty ends")

    def died(self) -> None:
        self.sent.clear()
