"""I11: an unknown outcome is never guessed: what a signal's outcome says of the broker is what the broker did.

And a lane whose request nobody answered sends nothing before it asked or heard (`doubt.md`, "the lane is latched").
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from tests.invariants.checker import Checker, Written
from tests.invariants.facts import Place
from tests.invariants.i10_in_order import place_of
from tests.invariants.i14_age import moment

ROUTES = """select r.signal_id, r.account_id, r.contract, r.outcome from signal_routes r
            join signals s on s.id = r.signal_id where s.verb != 'adopt'"""
ENTRIES = """select id, quantity from orders where purpose = 'entry' and signal_id = ? and account_id = ?
             and contract = ?"""
TOLD_LATE = "select 1 from signal_notes where signal_id = ? and text like '%after it counted as not placed%'"
ASKED = ("order/", "command/", "fill/", "position/")
EMERGENCY = "order/liquidateposition"
LOOKED_FOR = timedelta(seconds=14)
NOTHING = ("blocked", "rejected", "not_placed", "expired", "superseded", "killed", "no_action")


@dataclass
class NeverGuessed(Checker):
    id = "I11"
    asked: dict[Place, str] = field(default_factory=dict)
    """The last request of each place, while nothing at all was heard of the broker's books since it left."""
    unanswered: set[Place] = field(default_factory=set)

    def written(self, sent: Written) -> None:
        place = place_of(self, sent)
        if place is None:
            return
        if place in self.unanswered and sent.endpoint != EMERGENCY:
            self.broken(f"{sent.endpoint} was sent, and nobody had asked or heard what became of {self.asked[place]}")
        self.asked[place] = sent.endpoint
        self.unanswered.discard(place)

    def over(self, sent: Written) -> None:
        place = place_of(self, sent)
        if place in self.asked and not sent.answered:
            self.unanswered.add(place)
        elif place is None and sent.answered and sent.endpoint.startswith(ASKED):
            self.heard()

    def heard(self) -> None:
        self.asked.clear()
        self.unanswered.clear()

    def died(self) -> None:
        self.heard()

    def at_rest(self) -> None:
        broker_ids = {client_id: order_id for order_id, client_id in self.facts._clients.items()}
        for signal_id, account_id, contract, outcome in self.facts.rows(ROUTES):
            entries = self.facts.rows(ENTRIES, signal_id, account_id, contract)
            done = sum(self._filled(broker_ids.get(client_id)) for client_id, _ in entries)
            asked = sum(quantity for _, quantity in entries)
            if outcome == "not_placed" and any(client_id in broker_ids for client_id, _ in entries):
                self._looked_for(signal_id, [client_id for client_id, _ in entries])
            if outcome in NOTHING and done and not self._told_late(signal_id):
                self.broken(f"signal {signal_id} at {account_id} ended {outcome} and its entry filled {done}")
            if outcome == "filled" and entries and done < asked:
                self.broken(f"signal {signal_id} at {account_id} ended filled with {done} of {asked}")

    def _looked_for(self, signal_id: str, client_ids: list[str]) -> None:
        """What the broker had after all was looked for as long as its lists may lag."""
        ended = self.facts.one("select finished_at from signals where id = ?", signal_id)
        for client_id in client_ids:
            sent = self.facts.one("select created_at from orders where id = ?", client_id)
            waited = moment(ended) - moment(sent) if ended and sent else LOOKED_FOR
            if waited < LOOKED_FOR:
                text = f"{waited.total_seconds():.1f} s after {client_id} was sent, which the broker had"
                self.broken(f"signal {signal_id} ended not_placed {text}")

    def _filled(self, order_id: int | None) -> int:
        """Busted fills too: the outcome was true when it was told."""
        if order_id is None:
            return 0
        return sum(f["qty"] for f in self.facts.docs["fill"].values() if f["orderId"] == order_id)

    def _told_late(self, signal_id: str) -> bool:
        return self.facts.one(TOLD_LATE, signal_id) is not None
