"""I6: flat means no working exit of ours on that contract, five seconds later at most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.invariants.checker import Change, Checker
from tests.invariants.facts import Place, one_line

LONGEST = 5.0
WORKING = """select 1 from orders where account_id = ? and contract = ? and status in ('sent', 'working')
             and purpose in ('target', 'stop')"""
LANE = "select quantity, foreign_quantity from lanes where account_id = ? and contract = ?"


@dataclass
class Flat(Checker):
    id = "I6"
    since: dict[Place, float] = field(default_factory=dict)
    clear: dict[Place, float] = field(default_factory=dict)
    """Since when the lane knows that it is flat beside an exit, in no doubt, while the broker answers."""

    def changed(self, changes: Sequence[Change]) -> None:
        if any(change.kind in ("order", "fill") for change in changes):
            self._look()

    def ticked(self) -> None:
        self._known_and_free()
        for place, since in [*self.since.items()]:
            waited = self.condition.now - since
            if waited > LONGEST and self.condition.calm_for(waited + 20):
                self.broken(f"{self.facts.shown(place)}: flat for {waited:.1f} s beside {self._resting(place)}")
                del self.since[place]

    def _known_and_free(self) -> None:
        """While faults last too: an exit that the lane knows to be left over is gone five seconds later."""
        for place in [*self.since]:
            free = self.condition.answers_for(LONGEST) and self._knows(place)
            began = self.clear.setdefault(place, self.condition.now) if free else self.clear.pop(place, None)
            if free and began is not None and self.condition.now - began > LONGEST:
                known = f"known to be flat for {self.condition.now - began:.1f} s beside {self._resting(place)}"
                self.broken(f"{self.facts.shown(place)}: {known}, and the broker answers")
                del self.since[place]
        self.clear = {place: began for place, began in self.clear.items() if place in self.since}

    def _knows(self, place: Place) -> bool:
        """The lane holds nothing, doubts nothing, and counts an order of its own as working."""
        desk, key = self.condition.desk, self.facts.lane(place)
        views = desk.lanes() if desk is not None else ()
        view = next((view for view in views if (view.account_id, view.contract) == key), None)
        if view is None or view.quantity or view.in_doubt or view.halted or view.blocked or view.signals_waiting:
            return False
        return self.facts.one(WORKING, *key) is not None

    def at_rest(self) -> None:
        for place in self.facts.places():
            if not self.facts.our_net(place) and (resting := self._resting(place)):
                self.broken(f"{self.facts.shown(place)}: flat, and {resting} still work")

    def _look(self) -> None:
        for place in self.facts.places():
            if not self.facts.our_net(place) and self._resting(place):
                self.since.setdefault(place, self.condition.now)
            else:
                self.since.pop(place, None)

    def _resting(self, place: Place) -> str:
        if place in self.facts.taken or self._asks(place) or self._fills_a_gap(place):
            return ""
        return one_line(o["id"] for o in self.facts.working(place) if self.facts.ours(o["id"]))

    def _asks(self, place: Place) -> bool:
        """The broker holds less than the books and no fill of this trade tells why: told, and a person's to decide."""
        found = self.facts.rows(LANE, *self.facts.lane(place)) if place in self.facts.hands else []
        return bool(found) and found[0][0] * found[0][1] < 0

    def _fills_a_gap(self, place: Place) -> bool:
        """An execution of ours was undone, and what a hand bought or sold since stands in for it: whose that is can be
        told either way. The books count it as ours, the broker holds just that, and exits beside it open nothing."""
        found = self.facts.rows(LANE, *self.facts.lane(place)) if place in self.facts.hands else []
        if not found or not found[0][0] or found[0] != (self.facts.net(place), 0):
            return False
        fills = self.facts.docs["fill"].values()
        lost = (f["orderId"] for f in fills if not f.get("active", True))
        return any(self.facts.place(order) == place and self.facts.ours(order) for order in lost)
