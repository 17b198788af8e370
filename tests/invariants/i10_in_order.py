"""I10: one mutating command in flight per lane; entries leave in the order their signals were accepted.

But an alert of a followed strategy that waits for the one missing before it (`on_gap: hold`) lets that one go first,
and so do the signals that stand in the queue behind it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.invariants.checker import Checker, Written
from tests.invariants.facts import Place

ENTRY = "select signal_id from orders where id = ? and purpose = 'entry'"
WAITED_FOR = """select count(*) from signals late, signals held
                where late.id = ? and held.id <= ? and held.id < late.id and held.recorder_id = late.recorder_id
                and json_extract(held.recorder_json, '$.on_gap') = 'hold'
                and cast(held.raw as text) like '%prev_market_position%'
                and cast(late.raw as text) like '%prev_market_position%'"""
"""Alerts of the late one's recorder that were held when the signal it overtakes stood at them or behind them."""


@dataclass
class InOrder(Checker):
    id = "I10"
    flying: dict[Place, Written] = field(default_factory=dict)
    last: dict[Place, str] = field(default_factory=dict)

    def written(self, sent: Written) -> None:
        place = place_of(self, sent)
        if place is None:
            return
        if place in self.flying:
            text = f"{sent.endpoint} was sent while {self.flying[place].endpoint} was under way"
            self.broken(f"{self.facts.shown(place)}: {text}")
        self.flying[place] = sent
        for client_id in sent.client_ids:
            signal_id = self.facts.one(ENTRY, client_id)
            if signal_id is None:
                continue
            last = self.last.get(place, "")
            if signal_id < last and not self.facts.one(WAITED_FOR, last, signal_id):
                self.broken(f"{self.facts.shown(place)}: signal {signal_id} entered after {last}")
            self.last[place] = signal_id

    def over(self, sent: Written) -> None:
        for place, flying in [*self.flying.items()]:
            if flying is sent:
                del self.flying[place]

    def died(self) -> None:
        self.flying.clear()


def place_of(checker: Checker, sent: Written) -> Place | None:
    """Where a mutation acts; None for a read."""
    if not sent.mutates:
        return None
    facts, body = checker.facts, sent.body
    if "orderId" in body and int(body["orderId"]) in facts.docs["order"]:
        return facts.place(int(body["orderId"]))
    name = body.get("symbol")
    contract = body.get("contractId") or next((i for i, c in facts.contracts.items() if c.name == name), None)
    return (int(body["accountId"]), int(contract)) if contract is not None and "accountId" in body else None
