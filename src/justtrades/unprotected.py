"""How long positions stood without their exit today: of each lane the longest stretch of the trade date."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from justtrades.positions import contracts
from justtrades.positions.model import AccountId, ContractName, Lane
from justtrades.store.lanes import Unprotected

LaneKey = tuple[AccountId, ContractName]


@dataclass(slots=True)
class _Day:
    day: str
    seconds: float = 0.0
    since: datetime | None = None
    """When the stretch under way began."""


@dataclass(slots=True)
class Longest:
    _of: dict[LaneKey, _Day] = field(default_factory=dict)

    def remembered(self, kept: Iterable[Unprotected]) -> None:
        """What the engine knew when it stopped."""
        for one in kept:
            self._of[one.account_id, one.contract] = _Day(one.day, one.seconds)

    def seconds(self, lane: Lane, now: datetime) -> float:
        """The longest stretch of today, the one under way included; one that is over by now counts up to now."""
        key, today = (lane.account_id, lane.contract.name), str(contracts.trade_date(now))
        known = self._of.setdefault(key, _Day(today))
        if known.day != today:
            known.day, known.seconds = today, 0.0
        for since in (known.since, lane.unprotected_since):
            if since is not None:
                known.seconds = max(known.seconds, (now - since).total_seconds())
        known.since = lane.unprotected_since
        return known.seconds
