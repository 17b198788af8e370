"""The core's own `replace` does what the standard one does."""

from __future__ import annotations

import dataclasses

import pytest

from justtrades.positions.prices import Distance, Unit
from justtrades.positions.values import replace
from tests.positions.lane_world import MNQ, started, ticks


def test_a_copy_is_equal_to_the_standard_one_and_leaves_the_original() -> None:
    lane = started().lane
    changed = replace(lane, blocked="why", serial=7)
    assert changed == dataclasses.replace(lane, blocked="why", serial=7)
    assert (lane.blocked, lane.serial) == (None, 0)
    assert replace(MNQ) == MNQ


def test_a_name_that_is_no_field_is_refused() -> None:
    with pytest.raises(AttributeError):
        replace(MNQ, nothing=1)  # type: ignore[call-arg]  # what is being refused


def test_a_value_that_checks_itself_is_not_copied_past_its_check() -> None:
    with pytest.raises(TypeError, match="Distance"):
        replace(ticks(4), unit=Unit.POINTS)
    assert isinstance(ticks(4), Distance)
