"""I14: no entry older than its limit is sent; exits never expire silently; a refused alert is never silent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.invariants.checker import Checker, Written

ENTRY = """select s.id, s.received_at from orders o join signals s on s.id = o.signal_id
           where o.id = ? and o.purpose = 'entry'"""


@dataclass
class Age(Checker):
    id = "I14"
    limit: timedelta = timedelta(seconds=30)

    def written(self, sent: Written) -> None:
        for client_id in sent.client_ids:
            for signal_id, received_at in self.facts.rows(ENTRY, client_id):
                age = self.facts.now() - moment(received_at)
                if age >= self.limit:
                    self.broken(f"the entry of signal {signal_id} left {age.total_seconds():.1f} s after its receipt")

    def at_rest(self) -> None:
        query = "select id, verb from signals where outcome = 'expired' and verb like 'close%'"
        for signal_id, verb in self.facts.rows(query):
            self.broken(f"exit {signal_id} ({verb}) expired")
        refused = self.facts.one("select count(*) from signals where status = 'refused'")
        told = sum(1 for answer in self.facts.answers if answer.status in (400, 413, 422))
        if refused < told:
            self.broken(f"{told} alerts were refused and {refused} are listed")


def moment(stored: object) -> datetime:
    """A time as SQLite keeps it here: ISO text in UTC."""
    return datetime.fromisoformat(str(stored))
