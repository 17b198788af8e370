"""I7: a close never flips or adds, and orders that reduce and can both fill never sum to more than the position.

Judged at the broker, fill by fill. A trader who acts at the same place at the same time can make our resting exit
one too many, which nobody can prevent: places where a hand acted lately are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from tests.invariants.checker import Change, Checker
from tests.invariants.facts import Entity, Place, signed

PURPOSE = "select purpose from orders where id = ?"
HAND_FOR = timedelta(seconds=60)


@dataclass
class NoFlip(Checker):
    id = "I7"
    net: dict[Place, int] = field(default_factory=dict)

    def changed(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.kind == "fill" and change.created:
                self._filled(change.entity)
            elif change.kind == "order" and change.created:
                self._ordered(change.entity)

    def _filled(self, fill: Entity) -> None:
        place = self.facts.place(fill["orderId"])
        before = self.net.get(place, 0)
        after = self.net[place] = before + signed(fill)
        if not self.facts.ours(fill["orderId"]) or self._by_hand(place):
            return
        if self._purpose(fill["orderId"]) != "entry" and (before * after < 0 or abs(after) > abs(before)):
            self.broken(
                f"{self.facts.shown(place)}: order {fill['orderId']} closes and turned {before:+d} into {after:+d}"
            )

    def _ordered(self, order: Entity) -> None:
        place, sign = (order["accountId"], order["contractId"]), 1 if order["action"] == "Buy" else -1
        net = self.net.get(place, 0)
        if self._purpose(order["id"]) == "entry" or not self.facts.ours(order["id"]) or self._by_hand(place):
            return
        if net * sign > 0 or not net:
            self.broken(f"{self.facts.shown(place)}: a closing {order['action']} was placed beside {net:+d}")

    def ticked(self) -> None:
        for place in self.facts.places():
            if not self._by_hand(place):
                self._sum(place)

    def _sum(self, place: Place) -> None:
        """One of an OCO pair counts, since only one can fill. What follows a fill by a moment is not judged."""
        net = self.net.get(place, 0)
        total, counted = 0, set[int]()
        for order in self.facts.working(place):
            if order["id"] in counted or not self.facts.ours(order["id"]) or self._purpose(order["id"]) == "entry":
                continue
            counted |= {order["id"], order.get("ocoId", 0)}
            total += self.facts.version(order["id"])["orderQty"] - self.facts.filled(order["id"])
        if net and total > abs(net) and self.condition.calm_for(30):
            self.broken(f"{self.facts.shown(place)}: closing orders for {total} work beside {net:+d}")

    def _purpose(self, order_id: int) -> str:
        """Of an order of ours; what has no id of ours is a liquidation."""
        client_id = self.facts.client_id(order_id)
        return str(self.facts.one(PURPOSE, client_id)) if client_id is not None else "close"

    def _by_hand(self, place: Place) -> bool:
        at = self.facts.hands.get(place)
        return at is not None and self.facts.now() - at < HAND_FOR
