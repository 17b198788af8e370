"""I16: the audit has a row before every broker mutation."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.invariants.checker import Checker, Written

BY_ID = "select 1 from audit where method = 'POST' and lower(endpoint) = ? and instr(request, ?) > 0"
COUNT = "select count(*) from audit where method = 'POST' and lower(endpoint) = ?"


@dataclass
class Audited(Checker):
    id = "I16"
    count: Counter[str] = field(default_factory=Counter)

    def written(self, sent: Written) -> None:
        if not sent.mutates:
            return
        endpoint, client_id = f"/{sent.endpoint}", sent.body.get("clOrdId")
        self.count[endpoint] += 1
        if client_id is not None and not self.facts.one(BY_ID, endpoint, f'"{client_id}"'):
            self.broken(f"{endpoint} {client_id} left before its audit row")
        if (rows := self.facts.one(COUNT, endpoint)) < self.count[endpoint]:
            self.broken(f"{self.count[endpoint]} requests to {endpoint} left, {rows} have audit rows")
