"""I17: no password or token in plain pages of the database."""

from __future__ import annotations

from tests.invariants.checker import Checker

AUDIT = "select id from audit where instr(request, ?) + instr(response, ?) > 0 limit 1"
JOURNAL = "select number from journal where instr(event_json, ?) + instr(commands_json, ?) > 0 limit 1"
NOTES = "select number from signal_notes where instr(text, ?) + instr(text, ?) > 0 limit 1"


class NoSecrets(Checker):
    id = "I17"

    def at_rest(self) -> None:
        for secret in self.facts.secrets:
            for query in (AUDIT, JOURNAL, NOTES):
                if (found := self.facts.one(query, secret, secret)) is not None:
                    self.broken(f"a secret stands in row {found} ({query.split()[3]})")
