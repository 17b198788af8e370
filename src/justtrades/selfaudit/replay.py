"""The journal played through the pure core once more: from a day's tables to the lanes that follow from them (I16).

A row holds an event, the moment of its step, and the commands that were decided with it. Events that came together
were decided on once, after the last of them: where the core, asked at a row, decides otherwise than the row says, the
row was one of those, and only its fact counts.

What no row can tell, and is taken from the lane's own row when it was not there on the day before: the lane's birth
(its random tag, its contract, whether the kill switch was on). A lane that an unexpected error has halted holds no
more than what led to it. Reports that changed nothing at all have no row here; the socket's own words are not kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, func, select

from justtrades.positions.commands import Command
from justtrades.positions.events import Event, LaneResumed
from justtrades.positions.limits import Limits
from justtrades.positions.machine import Loop, decide, fold_in
from justtrades.positions.model import Lane
from justtrades.positions.values import replace
from justtrades.selfaudit.rows import Place
from justtrades.store import codec
from justtrades.store.tables import journal

MOST: Final = 500
"""Rows that are played between two audits; of a storm of more nothing is said."""

_J = journal.c
_newest: Final = select(func.coalesce(func.max(_J.number), 0))
_asked: Final = select(_J.number, _J.account_id, _J.contract, _J.at, _J.event_json, _J.commands_json)


@dataclass(frozen=True, slots=True)
class Row:
    number: int
    place: Place
    at: datetime
    event: Event
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class Tables:
    """The lanes of one moment, and the number of the last journal row that was there."""

    lanes: Mapping[Place, Lane]
    number: int


@dataclass(frozen=True, slots=True)
class Since:
    """What the journal has since the last look: its newest number, and the rows, or None when they are too many."""

    number: int
    rows: Sequence[Any] | None


@dataclass(slots=True)
class Replay:
    """Plays the rows since its last look on the lanes as they were then. What does not come to the lanes as they are
    stands from there on. Its first look only remembers; so does any look at a lane that it had not seen before, that
    is halted, or that was resumed since: the row of an event that the core could not take cannot be played."""

    limits: Limits
    _then: dict[Place, Lane] = field(default_factory=dict)
    _number: int | None = None
    _wrong: dict[Place, str] = field(default_factory=dict)

    def read(self, connection: Connection) -> Since:
        number = connection.execute(_newest).scalar_one()
        if self._number is None:
            return Since(number, None)
        asked = _asked.where(_J.number > self._number).order_by(_J.number).limit(MOST + 1)
        found = connection.execute(asked).all()
        return Since(number, found if len(found) <= MOST else None)

    def differs(self, since: Since, now: Mapping[Place, Lane]) -> list[str]:
        """A sentence for each lane that is not what its rows make of it. `now` are lanes of the snapshot `since`."""
        if since.rows is not None and self._number is not None:
            seen = rows(since.rows)
            resumed = {row.place for row in seen if isinstance(row.event, LaneResumed)}
            known = {place for place in self._then.keys() & now.keys() - resumed if now[place].halted is None}
            made = refolded(
                Tables(self._then, self._number), [row for row in seen if row.place in known], self.limits, {}
            )
            for place in known:
                if made[place] != now[place]:
                    told = f"the journal's rows from {self._number} to {since.number}"
                    self._wrong.setdefault(place, f"{' '.join(place)}: {told} do not lead to the lane as it is")
        self._then |= now
        self._number = since.number
        return [*self._wrong.values()]


def rows(found: Iterable[tuple[int, str, str, str | datetime, str, str]]) -> list[Row]:
    """Of number, account_id, contract, at, event_json and commands_json, in the order of their numbers."""
    return [
        Row(number, (account, contract), _moment(at), codec.event_from(event), codec.commands_from(commands))
        for number, account, contract, at, event, commands in found
    ]


def _moment(at: str | datetime) -> datetime:
    """As the table has it, or as SQLite's text."""
    return at if isinstance(at, datetime) else datetime.fromisoformat(at.replace("Z", "+00:00")).astimezone(UTC)


def refolded(since: Tables, journal: Iterable[Row], limits: Limits, births: Mapping[Place, Lane]) -> dict[Place, Lane]:
    """The lanes that follow from the tables and the rows after them; `births` are lanes that were not there."""
    lanes = dict(since.lanes)
    for row in journal:
        if row.number > since.number:
            before = lanes.get(row.place) or _born(births[row.place])
            lanes[row.place] = replace(_step(before, row, limits), news=())
    return lanes


def _born(lane: Lane) -> Lane:
    return Lane(lane.account_id, lane.contract, lane.tag)


def _step(lane: Lane, row: Row, limits: Limits) -> Lane:
    folded = fold_in(lane, row.event, row.at, limits)
    try:
        done = decide(folded, row.at, limits)
    except Loop:
        return folded
    return done.lane if done.commands == row.commands else folded
