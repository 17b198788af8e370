"""I20: in doubt longer than 15 s, entries are blocked and the engine says that it is not ready."""

from __future__ import annotations

from datetime import timedelta

from tests.invariants.checker import Checker, Written

ENTRY = "select account_id, contract from orders where id = ? and purpose = 'entry'"
SHOWN_AFTER = 15.5


class DoubtShown(Checker):
    id = "I20"

    def written(self, sent: Written) -> None:
        desk = self.condition.desk
        for client_id in sent.client_ids if desk is not None else ():
            for key in self.facts.rows(ENTRY, client_id):
                executor = desk._lanes.get(key) if desk is not None else None
                since = executor.doubt_since if executor is not None else None
                if since is not None and self.facts.now() - since > timedelta(seconds=SHOWN_AFTER):
                    self.broken(f"entry {client_id} left a lane in doubt since {since:%H:%M:%S}")

    def ticked(self) -> None:
        desk = self.condition.desk
        if desk is None or not desk._ready.is_set():
            return
        limit = self.facts.now() - timedelta(seconds=SHOWN_AFTER)
        doubtful = [
            key for key, lane in desk._lanes.items() if lane.doubt_since is not None and lane.doubt_since < limit
        ]
        if doubtful and not desk.not_ready():
            self.broken(f"ready while {doubtful[0]} is in doubt since before {limit:%H:%M:%S}")
