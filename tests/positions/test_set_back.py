"""The machine's clock is set back: what has happened is not still to come, and nothing waits for that long."""

from __future__ import annotations

from datetime import timedelta

import pytest

from justtrades.positions import book
from justtrades.positions.commands import CancelOrder, Command, TakePicture
from justtrades.positions.events import AnswerLost, Event, TimePassed
from justtrades.positions.model import Outcome, Verb
from justtrades.positions.set_back import put_right
from tests.positions.lane_world import World, holding, started, terms

BACK = [timedelta(seconds=8), timedelta(hours=1)]


def set_back(world: World, by: timedelta) -> None:
    """Something is heard soon after, if only the comparison that is due."""
    world.now -= by
    world.queue.append(TimePassed())


def pictures(world: World) -> int:
    return sum(isinstance(command, TakePicture) for command in world.commands)


@pytest.mark.parametrize("back", BACK)
def test_a_close_goes_at_once_and_asks_no_more_than_ever(back: timedelta) -> None:
    world = holding(2)
    before = pictures(world)
    set_back(world, back)
    close = world.alert(Verb.CLOSE)
    world.wait(5)
    assert (world.outcome(close).outcome, world.net) == (Outcome.FILLED, 0)
    assert pictures(world) - before == 1


@pytest.mark.parametrize("back", BACK)
def test_a_close_under_way_goes_on(back: timedelta) -> None:
    world = holding(2)

    def set_back_by_a_cancel(command: Command, event: Event) -> list[Event]:
        if isinstance(command, CancelOrder):
            set_back(world, back)
        return [event]

    world.answer = set_back_by_a_cancel
    close = world.alert(Verb.CLOSE)
    world.wait(5)
    assert (world.outcome(close).outcome, world.net) == (Outcome.FILLED, 0)


@pytest.mark.parametrize("back", BACK)
def test_an_order_without_an_answer_is_looked_for_as_long_as_ever(back: timedelta) -> None:
    world = started()
    world.hides = True
    entry = world.alert(Verb.BUY)
    world.wait(5)
    set_back(world, back)
    world.wait(world.limits.settle.total_seconds() + 10)
    assert world.outcome(entry).outcome is Outcome.NOT_PLACED
    assert not book.in_doubt(world.lane)


def test_a_lost_change_is_looked_for() -> None:
    world = holding(2, stop=40)
    world.answer = lambda command, event: (
        [AnswerLost(command.id, "timed out")] if isinstance(command, CancelOrder) else [event]
    )
    close = world.alert(Verb.CLOSE)
    world.tell(world.queue.pop(0))
    world.tell(world.queue.pop())
    assert world.lane.stale_since is not None
    set_back(world, timedelta(hours=1))
    world.wait(30)
    assert (world.outcome(close).outcome, world.net) == (Outcome.FILLED, 0)


def test_a_refused_exit_is_tried_again_within_a_minute() -> None:
    world = started()
    world.refuses_exits = True
    world.alert(Verb.BUY)
    world.wait(30)
    set_back(world, timedelta(hours=1))
    world.refuses_exits = False
    world.wait(61)
    assert [order.quantity for order in world.working()] == [1]


def test_an_entry_that_waits_waits_no_longer_than_it_might_have() -> None:
    world = started()
    world.entries_wait_until = world.now + timedelta(hours=9)
    entry = world.alert(Verb.BUY)
    world.wait(10)
    set_back(world, timedelta(hours=1))
    world.wait(40)
    assert world.outcome(entry).outcome is Outcome.EXPIRED


def test_entries_rest_no_longer_than_they_had_to() -> None:
    world = started()
    world.entries_wait_until = world.now + timedelta(seconds=20)
    world.alert(Verb.BUY)
    world.wait(10)
    set_back(world, timedelta(hours=1))
    world.wait(70)
    world.entries_wait_until = None
    entry = world.alert(Verb.BUY)
    world.wait(10)
    assert world.outcome(entry).outcome is Outcome.FILLED


def test_the_books_are_compared_again() -> None:
    world = holding(2)
    set_back(world, timedelta(hours=1))
    world.net = 3
    for _ in range(20):
        world.queue.append(world.picture())
        world.wait(1)
    assert (world.lane.broker_quantity, world.lane.foreign) == (3, 1)


def test_a_lane_is_put_right_once_and_left_alone_where_nothing_lies_ahead() -> None:
    world = holding(2, stop=40)
    world.hides = True
    world.alert(Verb.BUY, terms(2, stop=40))
    world.wait(3)
    assert book.in_doubt(world.lane)
    assert put_right(world.lane, world.now) is world.lane
    earlier = world.now - timedelta(days=1)
    right = put_right(world.lane, earlier)
    assert right != world.lane
    assert put_right(right, earlier) is right
