"""I16: from the tables of any moment, the journal's rows since then rebuild the lanes, after any misfortune."""

from __future__ import annotations

from typing import Any

import pytest

from justtrades.positions.limits import Limits
from justtrades.selfaudit.replay import Tables, refolded, rows
from justtrades.store import codec
from tests.simulation.life import driver
from tests.simulation.script import KINDS, kind_of, play
from tests.simulation.soak import quiet
from tests.simulation.world import World

JOURNAL = "select number, account_id, contract, at, event_json, commands_json from journal order by number"


def tables(ask: Any) -> Tables:
    lanes = {(a, c): codec.lane_from(text) for a, c, text in ask("select account_id, contract, state_json from lanes")}
    return Tables(lanes, ask("select coalesce(max(number), 0) from journal")[0][0])


def durable(query: str) -> list[tuple[Any, ...]]:
    """What the schedule left behind."""
    return driver().execute(query).fetchall()


class Taken:
    """The tables of every so many commits of a schedule."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, every: int = 25) -> None:
        self.moments: list[Tables] = []
        commits, told = iter(range(10**6)), World.committed

        def committed(world: World) -> None:
            told(world)
            if next(commits) % every == 0:
                self.moments.append(tables(world.rows))

        monkeypatch.setattr(World, "committed", committed)


@pytest.mark.parametrize("seed", range(len(KINDS)), ids=lambda seed: kind_of(seed).name)
def test_the_journal_rebuilds_the_lanes_from_the_tables_of_any_moment(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = Taken(monkeypatch)
    with quiet():
        play(seed)
    now, journal = tables(durable), rows(durable(JOURNAL))
    assert journal or not now.lanes
    for moment in (Tables({}, 0), *taken.moments):
        assert refolded(moment, journal, Limits(), now.lanes) == now.lanes, (seed, moment.number)
