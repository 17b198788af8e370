"""The journal played through the pure core once more: from a day's tables to the lanes that follow from them (I16).

A row holds an event, the moment of its step, and the commands that were decided with it. Events that came together
were decided on once, after the last of them: where the core, asked at a row, decides otherwise than the row says, the
row was one of those, and only its fact counts.

What no row can tell, and is taken from the lane's own row when it was not there on the day before: the lane's birth
(its random tag, its contract, whether the kill switch was on). A lane that an unexpected error has halted holds no
more than what led to it. Reports that changed nothing at all have no row here; the socket's own words are not kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from justtrades.positions.commands import Command
from justtrades.positions.events import Event
from justtrades.positions.limits import Limits
from justtrades.positions.machine import Loop, decide, fold_in
from justtrades.positions.model import Lane
from justtrades.positions.values import replace
from justtrades.store import codec

Place = tuple[str, str]
"""Account and contract."""


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


def rows(found: Iterable[tuple[int, str, str, str, str, str]]) -> list[Row]:
    """Of `select number, account_id, contract, at, event_json, commands_json from journal order by number`."""
    return [
        Row(number, (account, contract), _moment(at), codec.event_from(event), codec.commands_from(commands))
        for number, account, contract, at, event, commands in found
    ]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)


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
