"""The engine's audit of itself raises no false alarm: at rest (`tests.invariants.self_audit`) or at any moment."""

from __future__ import annotations

from itertools import count

import pytest

from justtrades.positions.limits import Limits
from justtrades.selfaudit.checks import Finding
from justtrades.selfaudit.replay import Replay
from justtrades.selfaudit.rows import read
from tests.simulation import loop
from tests.simulation.life import shared_engine
from tests.simulation.script import KINDS, kind_of, named, play
from tests.simulation.soak import quiet
from tests.simulation.world import World


class Asked:
    """What is said to need no second look, asked after every so many commits; and what happened since, played again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, every: int) -> None:
        self.found: list[Finding] = []
        commits, told, played = count(1), World.committed, Replay(Limits())

        def committed(world: World) -> None:
            told(world)
            if next(commits) % every == 0:
                self.found += world.self_audit(certain=True)
                with shared_engine().connect() as connection:
                    lanes = read(connection, loop.engine_clock(), None).states
                    found = played.differs(played.read(connection), lanes)
                self.found += [Finding("I16", text) for text in found]

        monkeypatch.setattr(World, "committed", committed)


@pytest.mark.parametrize("seed", range(len(KINDS)), ids=lambda seed: kind_of(seed).name)
def test_what_one_snapshot_tells_for_certain_is_never_found_between_two_commits(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(monkeypatch, every=10)
    with quiet():
        play(seed)
    assert asked.found == []


@pytest.mark.parametrize(
    ("seed", "kind"),
    [
        # Fills that a person took over after their close was undone count for the act that took them.
        (7576, "taken over"),
        # A hand and an exit that fill together, and an entry found late, leave a lane on the other side for a moment.
        (60245, "hands"),
        (60360, "held up"),
    ],
)
def test_a_seed_in_which_a_check_once_was_wrong(seed: int, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(monkeypatch, every=1)
    with quiet():
        play(seed, named(kind))
    assert asked.found == []
