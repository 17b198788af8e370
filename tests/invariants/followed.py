"""A followed strategy's position is a level: what is held for it is never more than the strategy ever had.

Only where every recorder of the place takes its sizes from the alerts (`Facts.most`).
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.invariants.checker import Change, Checker


class Followed(Checker):
    id = "following"

    def changed(self, changes: Sequence[Change]) -> None:
        if any(change.kind == "fill" and change.created for change in changes):
            for place, most in self.facts.most.items():
                if abs(held := self.facts.our_net(place)) > most:
                    self.broken(f"{self.facts.shown(place)}: {held:+d} held, and the strategy never had {most + 1}")
