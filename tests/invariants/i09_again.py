"""I9: told again, shuffled, repeated and batched, the broker's events change nothing that was known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.invariants.checker import Checker

SETTLED = {
    "signals": "select id, outcome, reason from signals order by id",
    "orders": "select id, broker_order_id, status, filled_quantity from orders order by id",
    "fills": "select broker_fill_id, order_id, quantity, price, busted from fills order by broker_fill_id",
    "trades": "select id, status, pnl, quantity, entry_price, exit_price from recorded_trades order by id",
    "lanes": "select account_id, contract, quantity, foreign_quantity, in_doubt, halted from lanes order by 1, 2",
}


@dataclass
class Again(Checker):
    id = "I9"
    before: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)

    def remember(self) -> None:
        """What is known before everything is told once more."""
        self.before = self._known()

    def compare(self) -> None:
        now = self._known()
        for name, rows in self.before.items():
            changed = [row for row in now[name] if row not in rows]
            gone = [row for row in rows if row not in now[name]]
            if changed or gone:
                self.broken(f"{name} changed when the same events came again: {gone[:2]} became {changed[:2]}")

    def _known(self) -> dict[str, list[tuple[Any, ...]]]:
        return {name: self.facts.rows(query) for name, query in SETTLED.items()}
