"""I8: no trade without a broker's fill, every fill counted once, and trades are the sums over their fills."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

from justtrades.positions.model import ADOPTED
from tests.invariants.checker import Checker
from tests.invariants.facts import Place, signed

FILLS = """select broker_fill_id, broker_order_id, action, quantity, price, busted, order_id, trade_id, contract
           from fills"""
TRADES = "select id, contract, status, pnl, quantity, exit_reason, entry_price from recorded_trades"

BOOKED = "select pnl from recorded_trades where status = 'closed' and account_id = ? and contract = ?"


class FillsCounted(Checker):
    id = "I8"

    def at_rest(self) -> None:
        rows = self.facts.rows(FILLS)
        self._each_is_the_brokers(rows)
        self._each_of_ours_is_here({row[0]: row for row in rows})
        self._trades_are_sums(rows)
        for place in self.facts.places():
            if place not in self.facts.hands and not self.facts.our_net(place):
                self._all_is_booked(place)

    def _each_is_the_brokers(self, rows: list[tuple[Any, ...]]) -> None:
        for fill_id, order_id, action, quantity, price, busted, *_ in rows:
            if fill_id.startswith(ADOPTED):
                continue  # stands for what a person took over, or gave up, without a fill to show
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
            elif row[6] is None and self.facts.client_id(fill["orderId"]) is not None:
                self.broken(f"fill {fill['id']} of our order {fill['orderId']} is not known as ours")

    def _trades_are_sums(self, rows: list[tuple[Any, ...]]) -> None:
        of: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        for row in rows:
            if row[7] is not None and not row[5]:
                of[row[7]].append(row)
        undone = {row[7] for row in rows if row[5]}
        points = {traded.name: traded.point for traded in self.facts.contracts.values()}
        for trade_id, contract, status, pnl, _, reason, _ in self.facts.rows(TRADES):
            fills = of.get(trade_id, [])
            if not fills:
                self.broken(f"trade {trade_id} has no fill")
            elif trade_id in undone:
                continue  # its exits may stand without their entries now
            elif status == "closed" and reason not in ("manual", "unknown"):
                self._closed(trade_id, pnl, fills, points[contract])

    def _closed(self, trade_id: str, pnl: Any, fills: list[tuple[Any, ...]], point: Decimal) -> None:
        net = sum((_sign(f) * f[3] for f in fills), 0)
        made = -sum((_sign(f) * f[3] * Decimal(str(f[4])) for f in fills), Decimal(0)) * point
        if net and any(row[6] is None for row in self.facts.rows(FILLS)):
            return  # closed by a liquidation whose answer was lost: it has no id by which it could be known
        if net:
            self.broken(f"closed trade {trade_id} is left with {net:+d} by its fills")
        elif Decimal(str(pnl)) != made:
            self.broken(f"trade {trade_id} says {pnl}, its fills make {made}")

    def _all_is_booked(self, place: Place) -> None:
        """Flat at the end: what all trades made is what all fills made."""
        fills = [f for o in self.facts.orders_at(place) for f in self.facts.fills_of(o["id"])]
        spent = sum((signed(f) * Decimal(str(f["price"])) for f in fills), Decimal(0))
        booked = sum((Decimal(p) for (p,) in self.facts.rows(BOOKED, *self.facts.lane(place))), Decimal(0))
        made = -spent * self.facts.contracts[place[1]].point
        if booked != made:
            self.broken(f"{self.facts.shown(place)}: the trades made {booked}, the broker's fills {made}")


def _sign(row: tuple[Any, ...]) -> int:
    return 1 if row[2] == "Buy" else -1
