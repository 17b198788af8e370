"""I7: a close never flips or adds, and orders that reduce and can both fill never sum to more than the position.

Judged at the broker, fill by fill. A trader who acts at the same place at the same time can make our resting exit
one too many, which nobody can prevent: places where a hand acted lately are left out. So is the moment in which an
entry fills that was held up on its way for longer than it was looked for, and what rests beside it then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.invariants.checker import Change, Checker
from tests.invariants.facts import Entity, Place, signed
from tests.invariants.i14_age import moment

PURPOSE = "select purpose from orders where id = ?"
SENT = "select created_at from orders where id = ? and purpose = 'entry'"
HAND_FOR = timedelta(seconds=60)
HELD_UP, CROSSES = timedelta(seconds=15), timedelta(seconds=1)


@dataclass
class NoFlip(Checker):
    id = "I7"
    net: dict[Place, int] = field(default_factory=dict)
    late: dict[Place, datetime] = field(default_factory=dict)
    """When an entry last filled that nobody waited for any more."""

    def changed(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.kind == "fill" and change.created:
                self._filled(change.entity)
            elif change.kind == "fill" and not change.entity.get("active", True):
                self.net[self.facts.place(change.entity["orderId"])] -= signed(change.entity)
            elif change.kind == "order" and change.created:
                self._ordered(change.entity)

    def _filled(self, fill: Entity) -> None:
        place = self.facts.place(fill["orderId"])
        before = self.net.get(place, 0)
        after = self.net[place] = before + signed(fill)
        if self._held_up(fill["orderId"]):
            self.late[place] = self.facts.now()
        if not self.facts.ours(fill["orderId"]) or self._disturbed(place):
            return
        if self._purpose(fill["orderId"]) != "entry" and (before * after < 0 or abs(after) > abs(before)):
            self.broken(
                f"{self.facts.shown(place)}: order {fill['orderId']} closes and turned {before:+d} into {after:+d}"
            )

    def _ordered(self, order: Entity) -> None:
        place, sign = (order["accountId"], order["contractId"]), 1 if order["action"] == "Buy" else -1
        net = self.net.get(place, 0)
        if self._purpose(order["id"]) == "entry" or not self.facts.ours(order["id"]) or self._disturbed(place):
            return
        if net * sign > 0 or not net:
            self.broken(f"{self.facts.shown(place)}: a closing {order['action']} was placed beside {net:+d}")

    def ticked(self) -> None:
        for place in self.facts.places():
            if not self._disturbed(place):
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

    def _held_up(self, order_id: int) -> bool:
        """An entry whose order was made long after it was sent."""
        sent = self.facts.one(SENT, self.facts.client_id(order_id))
        return sent is not None and moment(self.facts.docs["order"][order_id]["timestamp"]) - moment(sent) >= HELD_UP

    def _disturbed(self, place: Place) -> bool:
        late = self.late.get(place)
        return self._by_hand(place) or (late is not None and self.facts.now() - late < CROSSES)

    def _by_hand(self, place: Place) -> bool:
        at = self.facts.hands.get(place)
        return at is not None and self.facts.now() - at < HAND_FOR
