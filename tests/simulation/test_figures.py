"""How long a doubt lasts and how soon a difference is repaired; `python -m tests.simulation.figures` measures more."""

from __future__ import annotations

from tests.simulation.figures import doubts, heard, measured, percentile, reconnected, without_a_word
from tests.simulation.life import TRUTH_POLL


def test_a_doubt_is_over_within_thirty_seconds() -> None:
    found = measured(range(3), (doubts,))
    assert sum(len(values) for values in found.seconds.values()) > 5
    assert all(percentile(values, 0.99) <= 30 for values in found.seconds.values()), found.seconds


def test_a_difference_is_repaired_at_once_when_it_is_heard_of_and_after_a_reconnect() -> None:
    found = measured(range(3), (heard, reconnected))
    after_reconnect = found.seconds.pop("from the break of the socket, reconnect included")
    assert max(after_reconnect) <= 5
    assert all(max(values) <= 15 for values in found.seconds.values()), found.seconds


def test_a_difference_nobody_tells_of_is_repaired_by_the_next_comparison() -> None:
    (took,) = measured(range(2), (without_a_word,)).seconds.values()
    assert max(took) <= TRUTH_POLL + 2
