"""I7: whatever a close meets on its way, it closes: it never flips, never adds, and ends flat with nothing left."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from tests.positions.racing import KINDS, Race

RACES = 5_400
"""Each seed another interleaving; `HYPOTHESIS_PROFILE=search` plays ten times as many."""
PARTS = 6
WIDER = 10 if os.environ.get("HYPOTHESIS_PROFILE") == "search" else 1


def _seeds(part: int) -> range:
    each = RACES * WIDER // PARTS
    return range(part * each, (part + 1) * each)


@pytest.mark.parametrize("part", range(PARTS))
def test_a_close_never_flips_whatever_it_meets(part: int) -> None:
    for seed in _seeds(part):
        if (wrong := Race(seed).run().wrong()) is not None:
            raise AssertionError(wrong)


def test_the_races_are_real() -> None:
    """Each kind of race is often lost and often won: what was to be met really came while the close was under way."""
    met = Counter((race.kind, what) for seed in range(600) for race in [Race(seed).run()] for what in race.world.met)
    for kind, what in (("target", "target"), ("stop", "stop"), ("parts", "part"), ("hand", "hand")):
        assert met[kind, what] > 5, met
    assert all(met[kind, "too late"] > 5 for kind in KINDS), met
