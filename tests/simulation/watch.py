"""The checkers at work in one schedule: each is told of everything, whatever the engine thinks of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from justtrades.broker.simulator.tape import Event
from justtrades.lane_view import LaneView
from justtrades.positions.model import Lane
from tests.invariants.checker import Change, Checker, Condition, Written
from tests.invariants.every import CHECKERS
from tests.invariants.i09_again import Again
from tests.simulation import loop

if TYPE_CHECKING:
    from tests.simulation.world import World

EVENTS_TAKE = 2.0
"""Seconds."""
LATELY = timedelta(seconds=25)


class Watch:
    def __init__(self, world: World) -> None:
        self._world = world
        self.condition = Condition()
        self.checkers: list[Checker] = [make(world.facts, self.condition) for make in CHECKERS]
        self._acted_at = 0.0
        self._by_moment: dict[str, list[Checker]] = {}

    @property
    def again(self) -> Again:
        return next(checker for checker in self.checkers if isinstance(checker, Again))

    def wrote(self, sent: Written) -> None:
        self.condition.under_way[id(sent)] = loop.seconds()
        if sent.mutates:
            self._acted_at = loop.seconds()
        self._all("written", lambda checker: checker.written(sent))

    def over(self, sent: Written) -> None:
        self.condition.under_way.pop(id(sent), None)
        if not 200 <= sent.status < 300:
            self.condition.silent_at = loop.seconds()
        self._all("over", lambda checker: checker.over(sent))

    def heard(self) -> None:
        self._all("heard", lambda checker: checker.heard())

    def alarmed(self, lane: Lane, text: str) -> None:
        self._all("alarmed", lambda checker: checker.alarmed(lane, text))

    def venue_changed(self, events: Sequence[Event]) -> None:
        changes = [Change(e.entity_type, e.event_type == "Created", e.entity) for e in events]
        self._all("changed", lambda checker: checker.changed(changes))

    def committed(self) -> None:
        self._all("committed", lambda checker: checker.committed())

    def received(self) -> None:
        self._all("received", lambda checker: checker.received())

    def died(self) -> None:
        self.condition.under_way.clear()
        self.condition.silent_at = loop.seconds()
        self._all("died", lambda checker: checker.died())

    def ticked(self) -> None:
        self._all("ticked", lambda checker: checker.ticked())

    @property
    def has_acted(self) -> bool:
        """Something was asked of the broker a moment ago, and its events may be on their way."""
        return loop.seconds() - self._acted_at < EVENTS_TAKE

    def is_at_rest(self) -> bool:
        """Whether nothing would be amiss if this were the end, and nothing is going to happen by itself: a lane that
        stopped may yet cut its exits, and one that was not compared lately (its reads wait for room in the budget) may
        learn something. Nothing is kept of what would be amiss."""
        facts, desk = self._world.facts, self.condition.desk
        if self.has_acted or desk is None or any(lane.halted or _is_stale(lane) for lane in desk.lanes()):
            return False
        before = len(facts.broken)
        for checker in self._concerned("at_rest"):
            checker.at_rest()
        amiss = len(facts.broken) > before
        del facts.broken[before:]
        return not amiss

    def at_rest(self) -> None:
        self._all("at_rest", lambda checker: checker.at_rest())

    def _all(self, moment: str, tell: Callable[[Checker], None]) -> None:
        """Those who have something to do at this moment."""
        world, condition = self._world, self.condition
        condition.now = loop.seconds()
        condition.desk = world.engine.desk if world.engine is not None and world.alive else None
        condition.full = world.trouble.full
        before = len(world.facts.broken)
        for checker in self._concerned(moment):
            tell(checker)
        for broken in world.facts.broken[before:]:
            world.trace.tell(f"# {broken}")

    def _concerned(self, moment: str) -> list[Checker]:
        if moment not in self._by_moment:
            nothing = getattr(Checker, moment)
            self._by_moment[moment] = [c for c in self.checkers if getattr(type(c), moment) is not nothing]
        return self._by_moment[moment]


def _is_stale(lane: LaneView) -> bool:
    return lane.checked_at is None or loop.clock() - lane.checked_at > LATELY
