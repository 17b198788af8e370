"""Some seeds of each kind, and fresh ones for a while.

`SIMULATION_SECONDS` says for how long fresh seeds are played (90), `SIMULATION_SEED` with which the first one
begins; it is printed, and a failure of a fresh seed is a real finding. `make soak SEEDS=1 START=…` plays it again.
"""

from __future__ import annotations

import os
import secrets
from math import gcd

import pytest

from tests.simulation.script import KINDS, Kind, named, play
from tests.simulation.soak import CORE_EVERY, Soaked, every_seed, failed, quiet

SECONDS = 90.0


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_kind_of_misfortune_leaves_books_and_broker_equal(kind: Kind) -> None:
    with quiet():
        broken = [story for seed in range(4) if (story := failed(play(seed, kind))) is not None]
    assert not broken, broken[0]


FOUND_ONCE = [(734872746, "decisions"), (100000298, "decisions")]
"""Closes that waited for ever, and a stop for more than the broker held, after an execution of a finished trade was
undone."""


@pytest.mark.parametrize(("seed", "kind"), FOUND_ONCE)
def test_a_seed_that_once_failed_holds(seed: int, kind: str) -> None:
    with quiet():
        story = failed(play(seed, named(kind)))
    assert story is None, story


def test_fresh_seeds_hold(capsys: pytest.CaptureFixture[str]) -> None:
    seconds = float(os.environ.get("SIMULATION_SECONDS", SECONDS))
    first = int(os.environ.get("SIMULATION_SEED", secrets.randbelow(10**9) + 10**6))
    done = Soaked()
    stories = list(every_seed(done, first, 0, seconds))
    with capsys.disabled():
        print(f"\nsimulation: seeds {first} to {first + done.seeds - 1}, violations {done.violations}, {done.figures}")
    assert not stories, stories[0]


def test_soak_plays_every_kind_and_the_core() -> None:
    """The turns of the kinds and of the core must not fall on the same seeds for ever."""
    assert gcd(CORE_EVERY, len(KINDS)) == 1
