"""I12: the risk gate is passed immediately before the write: no entry leaves that the engine itself would stop."""

from __future__ import annotations

from tests.invariants.checker import Checker, Written

ENTRY = "select account_id, contract from orders where id = ? and purpose = 'entry'"


class Gate(Checker):
    id = "I12"

    def written(self, sent: Written) -> None:
        desk = self.condition.desk
        for client_id in sent.client_ids if desk is not None else ():
            found = self.facts.rows(ENTRY, client_id)
            if not found or desk is None:
                continue
            if desk.switch.on:
                self.broken(f"entry {client_id} left while the kill switch was on")
            executor = desk._lanes.get(found[0])
            if executor is not None and executor.lane.halted is not None:
                self.broken(f"entry {client_id} left a halted lane")
