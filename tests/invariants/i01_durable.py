"""I1: an alert answered 2xx is in the database, whatever was killed afterwards."""

from __future__ import annotations

from tests.invariants.checker import Checker


class Durable(Checker):
    id = "I1"

    def died(self) -> None:
        self.at_rest()

    def at_rest(self) -> None:
        for answer in self.facts.answers:
            if 200 <= answer.status < 300 and answer.signal_id is not None and not self._kept(answer.signal_id):
                self.broken(f"signal {answer.signal_id} was answered {answer.status} and is not in the database")

    def _kept(self, signal_id: str) -> bool:
        return self.facts.one("select 1 from signals where id = ?", signal_id) is not None
