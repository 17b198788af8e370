"""I18: a signal never touches an account that its recorder is not routed to."""

from __future__ import annotations

from tests.invariants.checker import Checker, Written
from tests.invariants.i10_in_order import place_of

WHOSE = """select s.recorder_id, o.purpose, o.account_id, o.contract from orders o
           left join signals s on s.id = o.signal_id where o.id = ?"""


class Routed(Checker):
    id = "I18"

    def written(self, sent: Written) -> None:
        place = place_of(self, sent)
        for client_id in sent.client_ids if place is not None else ():
            for recorder_id, purpose, account_id, contract in self.facts.rows(WHOSE, client_id):
                if place is None or self.facts.lane(place) != (account_id, contract):
                    self.broken(f"{purpose} {client_id} of {account_id} {contract} was sent to {place}")
                elif recorder_id is not None and place[0] not in self.facts.routes[recorder_id]:
                    self.broken(f"{purpose} {client_id} of {recorder_id} went to {place[0]}, which it is not routed to")
