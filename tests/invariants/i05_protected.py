"""I5: a position has exactly one working target per leg, together the position, on tick, at the planned price.

At rest all of it is asked; while the broker answers and nothing stands in the way, the exit may be missing for
ten seconds at most. A lane that says it is protected while the broker has no such order is wrong even sooner than
the next comparison with the broker's lists.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.invariants.checker import Change, Checker
from tests.invariants.facts import Entity, Facts, Place, Standing, one_line

LONGEST = 10.0
SETTLES = 5.0
CLAIM = 45.0
"""Two comparisons with the broker's lists, and a little."""
TRADE = """select recorder_id, signal_id, side from recorded_trades
           where status = 'open' and account_id = ? and contract = ?"""
HALTED = "select halted from lanes where account_id = ? and contract = ?"
TOLD = """select 1 from signal_notes n join recorded_trades t on t.signal_id = n.signal_id
          where t.status = 'open' and t.account_id = ? and t.contract = ? and n.alarm
          and (n.text like ? or n.text like ?)"""
RULES = "select recorder_json from signals where id = ?"


@dataclass
class Protected(Checker):
    id = "I5"
    since: dict[Place, float] = field(default_factory=dict)
    told: set[Place] = field(default_factory=set)
    clear: dict[Place, float] = field(default_factory=dict)
    """Since when a lane knows that it lacks its exit, and nothing stands in the way of placing it."""
    filled_at: dict[Place, float] = field(default_factory=dict)
    before: dict[Place, Standing] = field(default_factory=dict)
    """As of the last change: a target that fills at once has already moved what it stands beside."""

    def changed(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.kind == "fill" and change.created:
                self.filled_at[self.facts.place(change.entity["orderId"])] = self.condition.now
            elif change.kind == "orderVersion" and change.entity["orderType"] == "Limit":
                self._pays(change.entity)
        if any(change.kind in ("order", "fill", "orderVersion") for change in changes):
            self._look()
            self.before = {place: self.facts.standing(place) for place in self.facts.places()}

    def _pays(self, version: Entity) -> None:
        """A target is beyond the average when it is placed (what filled a moment ago is not judged yet, nor what a
        person took over: of contracts that an undone close left standing, the ledger's average is not their price)."""
        order_id = version["orderId"]
        place = self.facts.place(order_id)
        standing, waited = self.before.get(place), self.condition.now - self.filled_at.get(place, 0.0)
        if (
            standing is None
            or not standing.ours
            or not self.facts.ours(order_id)
            or place in self.facts.taken
            or (waited < SETTLES and not self.condition.always_calm)
        ):
            return
        gain = (Decimal(str(version["price"])) - standing.average) * (1 if standing.ours > 0 else -1)
        if gain <= 0 and waited > 0.01:
            self.broken(f"{self.facts.shown(place)}: a target at {version['price']} beside {standing.average}")

    def ticked(self) -> None:
        self._known_and_free()
        for place, since in [*self.since.items()]:
            waited = self.condition.now - since
            if waited < LONGEST or place in self.told or not self._nothing_in_the_way(place):
                continue
            if waited > LONGEST and self.condition.calm_for(waited + 20):
                self._tell(place, f"without its exit for {waited:.1f} s with nothing in the way")
            elif waited > CLAIM and self.condition.calm_for(CLAIM) and self._claims(place):
                self._tell(place, f"claims to be protected and is not for {waited:.1f} s")

    def _known_and_free(self) -> None:
        """While faults last too: what a lane knows to be missing is there ten seconds later, if the broker answers."""
        for place in self.since:
            free = self.condition.answers_for(SETTLES) and self._knows(place) and self._nothing_in_the_way(place)
            began = self.clear.setdefault(place, self.condition.now) if free else self.clear.pop(place, None)
            if free and began is not None and self.condition.now - began > LONGEST and place not in self.told:
                self._tell(
                    place, f"is known to lack its exit for {self.condition.now - began:.1f} s while the broker answers"
                )
        self.clear = {place: began for place, began in self.clear.items() if place in self.since}

    def _knows(self, place: Place) -> bool:
        view = self._view(place)
        return view is not None and view.quantity == self.facts.our_net(place) and not view.protected

    def at_rest(self) -> None:
        for place in self.facts.places():
            if (lack := missing(self.facts, place)) and not self._stopped(place):
                self.broken(f"{self.facts.shown(place)}: {lack}")

    def _look(self) -> None:
        for place in self.facts.places():
            net = self.facts.our_net(place)
            if net and not covered(self.facts, place, net):
                self.since.setdefault(place, self.condition.now)
            else:
                self.since.pop(place, None)
                self.told.discard(place)

    def _tell(self, place: Place, text: str) -> None:
        self.told.add(place)
        self.broken(f"{self.facts.shown(place)}: {text}")

    def _view(self, place: Place) -> Any:
        if self.condition.desk is None:
            return None
        wanted = self.facts.lane(place)
        return next((v for v in self.condition.desk.lanes() if (v.account_id, v.contract) == wanted), None)

    def _claims(self, place: Place) -> bool:
        view = self._view(place)
        return view is not None and view.protected and not view.in_doubt

    def _nothing_in_the_way(self, place: Place) -> bool:
        view = self._view(place)
        if view is None or view.in_doubt or view.halted or view.blocked or view.signals_waiting:
            return False
        return bool(wanted(self.facts, place)) and not self._stopped(place)

    def _stopped(self, place: Place) -> bool:
        """A refusal, a halt, or somebody else's cancel: told, and a person's to decide."""
        lane = self.facts.lane(place)
        if place in self.facts.hands or self.facts.one(HALTED, *lane):
            return True
        if self.condition.always_calm:
            return False
        return self.facts.one(TOLD, *lane, "%not by us%", "%refused the%") is not None


def wanted(facts: Facts, place: Place) -> tuple[list[dict[str, Any]], dict[str, Any] | None] | None:
    """Targets and stop of the open trade's rules; None without a trade or exits."""
    trade = facts.rows(TRADE, *facts.lane(place))
    if not trade:
        return None
    text = facts.one(RULES, trade[0][1])
    rules = json.loads(text) if text else {}
    targets, stop = rules.get("targets") or [], rules.get("stop")
    return (targets, stop) if targets or stop else None


def exits(facts: Facts, place: Place, net: int) -> list[Entity]:
    """Our working orders that rest on the closing side."""
    side = "Sell" if net > 0 else "Buy"
    found = [o for o in facts.working(place) if facts.ours(o["id"]) and o["action"] == side]
    return [o for o in found if facts.version(o["id"])["orderType"] in ("Limit", "Stop")]


def covered(facts: Facts, place: Place, net: int) -> bool:
    """What rests of one kind makes the whole position (or nothing is wanted)."""
    rules = wanted(facts, place)
    if rules is None:
        return True
    kind = "Limit" if rules[0] else "Stop"
    return _sum(facts, exits(facts, place, net), kind) == abs(net)


def _sum(facts: Facts, orders: list[Entity], kind: str) -> int:
    versions = [(facts.version(o["id"]), o["id"]) for o in orders]
    return sum(v["orderQty"] - facts.filled(i) for v, i in versions if v["orderType"] == kind)


def missing(facts: Facts, place: Place) -> str | None:
    """What is wrong with the exits of a place at rest; None when nothing is."""
    net, rules = facts.our_net(place), wanted(facts, place)
    if not net or rules is None:
        return None
    targets, stop = rules
    resting = exits(facts, place, net)
    kinds = [("Limit", bool(targets)), ("Stop", stop is not None)]
    for kind, needed in kinds:
        total = _sum(facts, resting, kind)
        if needed and total != abs(net):
            return f"{net:+d} held, {kind} orders for {total} rest"
        if not needed and total:
            return f"{net:+d} held, {kind} orders for {total} rest and none is wanted"
    limits = [facts.version(o["id"]) for o in resting]
    if len([v for v in limits if v["orderType"] == "Limit"]) > len(targets):
        return f"more targets rest than legs: {one_line(v['id'] for v in limits)}"
    return _prices(facts, place, net, limits)


def _prices(facts: Facts, place: Place, net: int, versions: list[Entity]) -> str | None:
    """On tick, and a target never short of what was promised: at least one tick beyond the average."""
    tick, average = facts.contracts[place[1]].tick, facts.standing(place).average
    for version in versions:
        price = Decimal(str(version.get("price", version.get("stopPrice"))))
        if price % tick:
            return f"{version['orderType']} at {price} is off the tick {tick}"
        gain = (price - average) * (1 if net > 0 else -1)
        if (version["orderType"] == "Limit") != (gain > 0):
            return f"{version['orderType']} at {price} is on the wrong side of the average {average}"
    return None
