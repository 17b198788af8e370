"""Less at the broker than in our books, and no fill says why: exits stay while it may be a list that lags, and no
exit stays that would open a position."""

from __future__ import annotations

import pytest

from tests.positions.lane_world import World, holding

BELIEVED, CUT = 13, 45
"""Seconds of pictures after which a difference is believed, and after which exits follow it."""


def shown(world: World, contracts: int, seconds: int) -> World:
    """Pictures of so many contracts, one a second."""
    world.net = contracts
    for _ in range(seconds):
        world.queue.append(world.picture())
        world.wait(1)
    return world


@pytest.mark.parametrize("left", [0, 1])
def test_exits_stay_while_it_may_be_a_lag_and_are_cut_when_it_stays(left: int) -> None:
    world = shown(holding(3), left, BELIEVED)
    assert (world.lane.blocked is not None, [o.quantity for o in world.working()]) == (True, [3])
    shown(world, left, CUT - BELIEVED)
    assert [o.quantity for o in world.working()] == [left] * bool(left)
    world.move("105").wait(20)
    assert (world.net, world.working()) == (0, []), "what rests never opens a position"


def test_exits_come_back_by_themselves_when_the_list_was_wrong() -> None:
    world = shown(holding(2, stop=40), 0, CUT)
    assert world.working() == []
    shown(world, 2, BELIEVED)
    assert [o.quantity for o in world.working()] == [2, 2]
    assert (world.held, world.lane.foreign, world.lane.blocked, world.lane.short) == (2, 0, None, None)


def test_a_list_that_goes_back_and_forth_takes_no_exit_away() -> None:
    world = holding(2)
    for _ in range(12):
        shown(world, 0, 9)
        shown(world, 2, 1)
    assert [o.quantity for o in world.working()] == [2]
