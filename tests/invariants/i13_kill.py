"""I13: after kill is acknowledged no entry leaves, and a restart changes nothing about that."""

from __future__ import annotations

from tests.invariants.checker import Checker, Written

ENTRY = "select 1 from orders where id = ? and purpose = 'entry'"


class Killed(Checker):
    id = "I13"

    def written(self, sent: Written) -> None:
        if self.facts.killed_at is None:
            return
        for client_id in sent.client_ids:
            if self.facts.one(ENTRY, client_id) is not None:
                self.broken(f"entry {client_id} left after the kill switch was acknowledged on")
