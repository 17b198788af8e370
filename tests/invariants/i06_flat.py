"""I6: flat means no working exit of ours on that contract, five seconds later at most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.invariants.checker import Change, Checker
from tests.invariants.facts import Place, one_line

LONGEST = 5.0
LANE = "select quantity, foreign_quantity from lanes where account_id = ? and contract = ?"


@dataclass
class Flat(Checker):
    id = "I6"
    since: dict[Place, float] = field(default_factory=dict)

    def changed(self, changes: Sequence[Change]) -> None:
        if any(change.kind in ("order", "fill") for change in changes):
            self._look()

    def ticked(self) -> None:
        for place, since in [*self.since.items()]:
            waited = self.condition.now - since
            if waited > LONGEST and self.condition.calm_for(waited + 20):
                self.broken(f"{self.facts.shown(place)}: flat for {waited:.1f} s beside {self._resting(place)}")
                del self.since[place]

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
        if place in self.facts.taken or self._asks(place):
            return ""
        return one_line(o["id"] for o in self.facts.working(place) if self.facts.ours(o["id"]))

    def _asks(self, place: Place) -> bool:
        """The broker holds less than the books and no fill of this trade tells why: told, and a person's to decide."""
        found = self.facts.rows(LANE, *self.facts.lane(place)) if place in self.facts.hands else []
        return bool(found) and found[0][0] * found[0][1] < 0
