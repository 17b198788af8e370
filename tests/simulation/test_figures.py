"""How long a doubt lasts and how soon a difference is repaired; `python -m tests.simulation.figures` measures more."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulation import loop
from tests.simulation.differed import ACTS, Play, heard, reconnected, requests_at_rest, without_a_word
from tests.simulation.doubted import crashed, deaf_doubts, doubts
from tests.simulation.figures import measured


@pytest.mark.parametrize("play", [doubts, deaf_doubts, crashed])
def test_a_doubt_is_over_within_thirty_seconds_and_twelve_reads(play: Play) -> None:
    found = measured(range(2), [play])
    assert found.seconds, "something was in doubt"
    assert max(most for values in found.seconds.values() for most in values) <= 30, found.seconds
    assert max(most for values in found.own.values() for most in values) <= 12, found.own


@pytest.mark.parametrize("play", [heard, without_a_word], ids=["heard of", "without a word"])
@pytest.mark.parametrize("what", ACTS)
def test_a_difference_is_repaired_within_fifteen_seconds(what: str, play: Callable[[str], Play]) -> None:
    ((took,),) = measured([1], [play(what)]).seconds.values()
    assert took <= 15


@pytest.mark.parametrize("what", ACTS)
def test_a_difference_is_repaired_within_five_seconds_of_a_reconnect(what: str) -> None:
    ((took,),) = measured([1], [reconnected(what)]).seconds.values()
    assert took <= 5


def test_at_rest_half_of_the_requests_suffice_however_many_positions_are_open() -> None:
    assert [loop.run(requests_at_rest(positions, 1, 60)) for positions in (1, 5)] == [30, 30]
