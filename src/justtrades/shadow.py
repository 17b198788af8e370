"""Recorders in shadow mode: everything is done but the sending, so that we can run beside another provider.

A shadow has lanes of its own, which no broker knows of. A signal is judged and played on them by the functions that
trade (`rehearse`), and what it would have sent stands in its receipt; its outcome is always `no_action`. The price
an alert brings is all the market a shadow has: entries fill at it, and a target or stop that it has passed is taken
to have filled at its own price before the alert is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from justtrades.positions.model import AccountId, ContractName, Lane, Outcome, RecorderId, SignalId, TradeClosed
from justtrades.positions.recorder import Route
from justtrades.positions.rehearsal import priced
from justtrades.rehearse import Arrival, Books, Rehearsed, rehearsed
from justtrades.sentences import account_sentence
from justtrades.store import books as stored
from justtrades.store import outcomes, shadows

Key = tuple[RecorderId, AccountId, ContractName]


@dataclass(slots=True)
class Shadows:
    _lanes: dict[Key, Lane] = field(default_factory=dict)

    def remembered(self, told: list[tuple[RecorderId, Lane]]) -> None:
        self._lanes = {(recorder, lane.account_id, lane.contract.name): lane for recorder, lane in told}

    def of(self, recorder_id: RecorderId) -> tuple[Lane, ...]:
        return tuple(lane for (owner, _, _), lane in self._lanes.items() if owner == recorder_id)

    def play(self, books: Books, arrival: Arrival, route: Route, now: datetime) -> Callable[[Connection], None]:
        """Moves the shadow's lane, and returns what has to be written for it, in one go."""
        price = arrival.reading.price
        before = tuple(replace(lane, killed=books.killed) for lane in self.of(arrival.recorder.id))
        if price is not None:
            before = tuple(priced(lane, price, now, books.limits) for lane in before)
        only = replace(arrival, recorder=replace(arrival.recorder, routes=(replace(route, enabled=True),)))
        (would,) = rehearsed(replace(books, lanes=before), only, now)
        lane = self._moved(arrival.recorder.id, would)
        return partial(_write, arrival.recorder.id, arrival.signal_id, would, lane, now)

    def _moved(self, recorder_id: RecorderId, would: Rehearsed) -> Lane | None:
        if would.played is None or would.played.done is None:
            return None
        lane = replace(would.played.lane, news=())
        self._lanes[recorder_id, lane.account_id, lane.contract.name] = lane
        return lane


def _write(
    recorder_id: RecorderId, signal_id: SignalId, would: Rehearsed, lane: Lane | None, at: datetime, c: Connection
) -> None:
    if lane is not None:
        shadows.keep(c, recorder_id, lane, at)
    outcomes.note(c, signal_id, would.account_id, would.contract, at, _notes(would))
    reason = f"shadow mode, nothing was sent; it would have been: {account_sentence(would)}"
    stored.end_route(c, signal_id, would.account_id, Outcome.NO_ACTION, reason, at)


def _notes(would: Rehearsed) -> tuple[str, ...]:
    rules = tuple(rule.text for rule in would.rules)
    closed = would.played.closed if would.played is not None else ()
    outcome = () if would.outcome is None else (f"shadow: would have ended {would.outcome} ({would.reason})",)
    return (*rules, *outcome, *(_closed(trade) for trade in closed))


def _closed(told: TradeClosed) -> str:
    return f"shadow: its trade of {told.entry_quantity} closed by {told.exit_reason}, P&L {told.pnl:f} before fees"


__all__ = ["Shadows"]
