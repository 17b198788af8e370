"""I16: the audit has a row before every broker mutation and one for every frame of events that was received."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.invariants.checker import Checker, Written

BY_ID = "select 1 from audit where method = 'POST' and lower(endpoint) = ? and instr(request, ?) > 0"
COUNT = "select count(*) from audit where method = 'POST' and lower(endpoint) = ?"
EVENTS = "select count(*) from audit where method = 'EVENT' and endpoint like 'props/%'"
WRITTEN_AFTER, AFTER_TROUBLE = 2.0, 30.0
"""Seconds: rows of events are gathered before they are written; what a full disk refused is written with what
comes next."""


@dataclass
class Audited(Checker):
    id = "I16"
    count: Counter[str] = field(default_factory=Counter)
    received_at: list[float] = field(default_factory=list)
    """When each frame of events came, without those that died with the engine before they were written."""
    troubled_at: float = -AFTER_TROUBLE

    def written(self, sent: Written) -> None:
        if not sent.mutates:
            return
        endpoint, client_id = f"/{sent.endpoint}", sent.body.get("clOrdId")
        self.count[endpoint] += 1
        if client_id is not None and not self.facts.one(BY_ID, endpoint, f'"{client_id}"'):
            self.broken(f"{endpoint} {client_id} left before its audit row")
        if (rows := self.facts.one(COUNT, endpoint)) < self.count[endpoint]:
            self.broken(f"{self.count[endpoint]} requests to {endpoint} left, {rows} have audit rows")

    def received(self) -> None:
        self.received_at.append(self.condition.now)

    def ticked(self) -> None:
        if self.condition.full:
            self.troubled_at = self.condition.now
        rows, came = self.facts.one(EVENTS), len(self.received_at)
        if rows > came:
            self.broken(f"{came} frames of events came, {rows} have audit rows")
        elif rows < came and self._should_stand(self.received_at[rows]):
            self.broken(f"a frame of events came {self.condition.now - self.received_at[rows]:.1f} s ago without a row")

    def died(self) -> None:
        """What was not written yet is gone; the broker's documents tell it again."""
        del self.received_at[self.facts.one(EVENTS) :]

    def at_rest(self) -> None:
        self.ticked()

    def _should_stand(self, since: float) -> bool:
        now = self.condition.now
        return now - since > WRITTEN_AFTER and now - self.troubled_at > AFTER_TROUBLE
