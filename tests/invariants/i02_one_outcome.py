"""I2: every accepted signal reaches exactly one outcome with a reason within 60 s of calm; it never changes."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.invariants.checker import Checker

ENDED = "select id, outcome from signals where outcome is not null"
FAILED = ("expired", "not_placed", "rejected", "needs_attention")


@dataclass
class OneOutcome(Checker):
    id = "I2"
    seen: dict[str, str] = field(default_factory=dict)

    def ticked(self) -> None:
        now = dict(self.facts.rows(ENDED))
        for signal_id, outcome in self.seen.items():
            if now.get(signal_id) != outcome:
                self.broken(f"signal {signal_id} ended {outcome} and now reads {now.get(signal_id)}")
        self.seen = now

    def at_rest(self) -> None:
        self.ticked()
        query = "select id, verb, status, outcome, reason from signals where status != 'refused'"
        for signal_id, verb, status, outcome, reason in self.facts.rows(query):
            if status != "done" or outcome is None or not reason:
                self.broken(f"signal {signal_id} ({verb}) is {status}, outcome {outcome}, reason {reason!r}")
            elif self.condition.always_calm and outcome in FAILED:
                self.broken(f"signal {signal_id} ({verb}) ended {outcome} on a calm day: {reason}")
        query = "select signal_id, account_id, status from signal_routes where outcome is null"
        for signal_id, account_id, status in self.facts.rows(query):
            self.broken(f"signal {signal_id} at {account_id} is still {status}")
