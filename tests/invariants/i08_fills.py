"""I8: no trade without a broker's fill, every fill counted once, and trades are the sums over their fills."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

from tests.invariants.checker import Checker

FILLS = """select broker_fill_id, broker_order_id, action, quantity, price, busted, order_id, trade_id, contract
           from fills"""
TRADES = "select id, contract, status, pnl, quantity, exit_reason, entry_price from recorded_trades"


class FillsCounted(Checker):
    id = "I8"

    def at_rest(self) -> None:
        rows = self.facts.rows(FILLS)
        self._each_is_the_brokers(rows)
        self._each_of_ours_is_here({row[0]: row for row in rows})
        self._trades_are_sums(rows)

    def _each_is_the_brokers(self, rows: list[tuple[Any, ...]]) -> None:
        for fill_id, order_id, action, quantity, price, busted, *_ in rows:
            fill = self.facts.docs["fill"].get(int(fill_id))
            if fill is None:
                self.broken(f"fill {fill_id} is not the broker's")
                continue
            told = (str(fill["orderId"]), fill["action"], fill["qty"], Decimal(str(fill["price"])))
            if told != (order_id, action, quantity, Decimal(str(price))):
                self.broken(f"fill {fill_id} reads {(order_id, action, quantity, price)}, the broker says {told}")
            if bool(busted) is fill.get("active", True):
                self.broken(f"fill {fill_id}: busted is {bool(busted)}, the broker says active {fill.get('active')}")

    def _each_of_ours_is_here(self, rows: dict[str, tuple[Any, ...]]) -> None:
        for fill in self.facts.docs["fill"].values():
            if not self.facts.ours(fill["orderId"]) or not fill.get("active", True):
                continue
            row = rows.get(str(fill["id"]))
            if row is None:
                self.broken(f"fill {fill['id']} of our order {fill['orderId']} is not in the books")
            elif row[6] is None:
                self.broken(f"fill {fill['id']} of our order {fill['orderId']} is not known as ours")

    def _trades_are_sums(self, rows: list[tuple[Any, ...]]) -> None:
        of: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        for row in rows:
            if row[7] is not None and not row[5]:
                of[row[7]].append(row)
        points = {traded.name: traded.point for traded in self.facts.contracts.values()}
        for trade_id, contract, status, pnl, _, reason, _ in self.facts.rows(TRADES):
            fills = of.get(trade_id, [])
            if not fills:
                self.broken(f"trade {trade_id} has no fill")
            elif status == "closed" and reason not in ("manual", "unknown"):
                self._closed(trade_id, pnl, fills, points[contract])

    def _closed(self, trade_id: str, pnl: Any, fills: list[tuple[Any, ...]], point: Decimal) -> None:
        net = sum((_sign(f) * f[3] for f in fills), 0)
        made = -sum((_sign(f) * f[3] * Decimal(str(f[4])) for f in fills), Decimal(0)) * point
        if net:
            self.broken(f"closed trade {trade_id} is left with {net:+d} by its fills")
        elif Decimal(str(pnl)) != made:
            self.broken(f"trade {trade_id} says {pnl}, its fills make {made}")


def _sign(row: tuple[Any, ...]) -> int:
    return 1 if row[2] == "Buy" else -1
