"""I3: at most one broker order per intent, over the broker's whole ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.invariants.checker import Change, Checker

INTENTS = "select id, signal_id, account_id, contract, purpose from orders where purpose = 'entry'"


@dataclass
class OneOrder(Checker):
    id = "I3"
    ids: Counter[str] = field(default_factory=Counter)

    def changed(self, changes: Sequence[Change]) -> None:
        for change in changes:
            command = change.entity
            if change.kind != "command" or not change.created or "clOrdId" not in command:
                continue
            self.ids[command["clOrdId"]] += 1
            if command["commandType"] == "New" and self.ids[command["clOrdId"]] > 1:
                self.broken(f"client order id {command['clOrdId']} made a second order")

    def at_rest(self) -> None:
        made = Counter(c["clOrdId"] for c in self._news() if "clOrdId" in c)
        for client_id, count in made.items():
            if count > 1:
                self.broken(f"client order id {client_id} made {count} orders")
        entries: Counter[tuple[str, str, str]] = Counter()
        for client_id, signal_id, account_id, contract, _ in self.facts.rows(INTENTS):
            entries[signal_id, account_id, contract] += made[client_id]
        for (signal_id, account_id, contract), count in entries.items():
            if count > 1:
                self.broken(f"signal {signal_id} made {count} entries at {account_id} {contract}")

        self._repeats()

    def _repeats(self) -> None:
        """An alert with a time of its own is one signal, however often it comes."""
        first: dict[tuple[str, bytes], str] = {}
        for answer in self.facts.answers:
            if answer.signal_id is None:
                continue
            known = first.setdefault((answer.recorder_id, answer.body), answer.signal_id)
            if known != answer.signal_id:
                self.broken(f"one alert became the signals {known} and {answer.signal_id}")

    def _news(self) -> list[dict[str, str]]:
        return [c for c in self.facts.docs["command"].values() if c["commandType"] == "New"]
