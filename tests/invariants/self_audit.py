"""The engine's audit of itself, asked of the same rows: at rest it finds nothing, or it would raise false alarms."""

from __future__ import annotations

from tests.invariants.checker import Checker


class SelfAudit(Checker):
    id = "self-audit"

    def at_rest(self) -> None:
        for found in self.facts.self_audit():
            self.broken(str(found))
