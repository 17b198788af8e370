"""Positions that stayed behind their contract's roll: told once a trade date, until they are closed.

The position picks the contract, so nothing here rolls anything. But who holds a contract past its roll day holds
the thin month, and of a product that is delivered soon more than a price.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from justtrades.notices import Kind, Notify
from justtrades.positions import book
from justtrades.positions.calendar import trade_date
from justtrades.positions.contracts import RollRule
from justtrades.positions.model import AccountId, ContractName, Lane
from justtrades.positions.outlook import behind


@dataclass(slots=True)
class Overdue:
    """`rolls` are an operator's own rules by root."""

    clock: Callable[[], datetime]
    rolls: Mapping[str, RollRule]
    notify: Notify
    _told: dict[tuple[AccountId, ContractName], date] = field(default_factory=dict)

    def look(self, lanes: Iterable[Lane]) -> None:
        """At any time, as often as anybody likes."""
        today = trade_date(self.clock())
        for lane in lanes:
            if lane.trade is not None and self._told.get((lane.account_id, lane.contract.name)) != today:
                self._tell(lane, today)

    def _tell(self, lane: Lane, today: date) -> None:
        name, held = lane.contract.name, book.held(lane)
        why = behind(name, today, self.rolls) if held else None
        if why is not None:
            self._told[lane.account_id, name] = today
            self.notify(Kind.ALARM, f"{name} is held past its roll day", f"{lane.account_id} holds {held:+d}; {why}")
