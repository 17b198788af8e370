"""I21: foreign orders and positions are never traded against."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from justtrades.positions.model import Lane
from tests.invariants.checker import Checker, Written
from tests.invariants.facts import Place
from tests.invariants.i10_in_order import place_of

ENTRY = "select 1 from orders where id = ? and purpose = 'entry'"
FOREIGN = "select foreign_quantity from lanes where account_id = ? and contract = ?"
NOT_TAKEN = """select id from signals s where verb = 'adopt' and outcome = 'filled' and not exists
               (select 1 from orders o where o.signal_id = s.id and o.purpose = 'entry')"""
KNOWN_AFTER = timedelta(seconds=15)
"""A hand's act that the engine had time to hear of and to see in the broker's lists."""


@dataclass
class LeftAlone(Checker):
    id = "I21"
    touched: set[Place] = field(default_factory=set)

    def alarmed(self, lane: Lane, text: str) -> None:
        """Where no hand ever acted nothing is foreign, whatever lists and events say for a while."""
        if not any(words in text for words in ("is not ours", "no order of ours explains", "than our books")):
            return
        place = next(
            (p for p in self.facts.places() if self.facts.lane(p) == (lane.account_id, lane.contract.name)), None
        )
        if place is not None and place not in self.facts.hands and not self.facts.standing(place).foreign:
            self.broken(f"{self.facts.shown(place)}: an alarm of what is not ours, and all of it is: {text}")

    def written(self, sent: Written) -> None:
        order_id = sent.body.get("orderId")
        if order_id is not None and sent.mutates and int(order_id) in self.facts.docs["order"]:
            if not self.facts.ours(int(order_id)):
                self.broken(f"{sent.endpoint} of order {order_id}, which is not ours")
        elif sent.endpoint == "order/liquidateposition":
            self._liquidates(sent)
        elif any(self.facts.one(ENTRY, client_id) for client_id in sent.client_ids):
            self._enters(sent)

    def _enters(self, sent: Written) -> None:
        """An increase by hand blocks entries until a person decides."""
        place = place_of(self, sent)
        at = self.facts.hands.get(place) if place is not None else None
        if place is None or place in self.facts.taken or at is None or self.facts.now() - at < KNOWN_AFTER:
            return
        shown = self.facts.one(FOREIGN, *self.facts.lane(place))
        if shown and shown == self.facts.standing(place).foreign:
            self.broken(f"{self.facts.shown(place)}: an entry left beside {shown:+d} not ours, and nobody resumed")

    def at_rest(self) -> None:
        for (signal_id,) in self.facts.rows(NOT_TAKEN):
            self.broken(f"signal {signal_id} took over what was not ours, and no entry of ours came of it")

    def _liquidates(self, sent: Written) -> None:
        place = place_of(self, sent)
        at = self.facts.hands.get(place) if place is not None else None
        if place is None or place in self.facts.taken or at is None or self.facts.now() - at < KNOWN_AFTER:
            return
        standing = self.facts.standing(place)
        if standing.foreign and standing.foreign * standing.ours >= 0:
            self.broken(f"{self.facts.shown(place)}: liquidated beside {standing.foreign:+d} that is not ours")
