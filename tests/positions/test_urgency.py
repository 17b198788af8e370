"""How urgent a picture is when requests are rationed: as urgent as what waits for it, also when that came later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from justtrades.positions.commands import Command, TakePicture
from justtrades.positions.events import CallAccepted, ConnectionLost, Event, OrderFilled, PictureWanted
from justtrades.positions.model import Verb
from justtrades.positions.urgency import Urgency
from tests.positions.lane_world import World, holding, started, terms


def pictures(world: World) -> list[Urgency]:
    return [command.urgency for command in world.commands if isinstance(command, TakePicture)]


def unanswered(world: World, which: Callable[[TakePicture], bool] = lambda _: True) -> None:
    """Pictures stand in line and are not answered for the time being."""

    def answer(command: Command, event: Event) -> list[Event]:
        return [] if isinstance(command, TakePicture) and which(command) else [event]

    world.answer = answer


def low(command: TakePicture) -> bool:
    return command.urgency > Urgency.LOOK


def test_a_position_heard_of_while_a_picture_stands_in_line_gets_one_that_goes_first_and_its_exit() -> None:
    """What was only a comparison is now what the exit waits for."""
    world = started()
    world.alert(Verb.BUY, terms(2))
    world.tell(world.queue.pop(0))
    answers = [event for event in world.queue if isinstance(event, CallAccepted)]
    told = [event for event in world.queue if event not in answers]
    world.queue = [*answers, ConnectionLost()]
    unanswered(world, low)
    world.wait(0.1)
    world.queue += told
    world.wait(5)
    assert pictures(world)[-1] is Urgency.LOOK
    assert [order.quantity for order in world.working()] == [2]


def test_a_close_that_comes_while_a_picture_stands_in_line_does_not_wait_for_it() -> None:
    world = holding(2)
    unanswered(world, lambda command: command.urgency > Urgency.CLOSE)
    world.queue.append(PictureWanted())
    world.wait(0.1)
    close = world.alert(Verb.CLOSE)
    world.wait(5)
    assert pictures(world)[-1] is Urgency.CLOSE
    assert world.net == 0
    assert world.outcome(close).reason == "closed 2 MNQZ6, flat"


def test_a_picture_under_way_is_asked_for_again_only_when_more_depends_on_it() -> None:
    world = holding(1)
    before = len(pictures(world))
    unanswered(world)
    world.queue.append(PictureWanted())
    world.wait(30)
    assert pictures(world)[before:] == [Urgency.LOOK]


def test_an_entry_whose_fill_was_not_heard_of_is_looked_for_as_what_is_held() -> None:
    world = started()
    world.alert(Verb.BUY, terms(2))
    world.tell(world.queue.pop(0))
    world.queue = [event for event in world.queue if not isinstance(event, OrderFilled)]
    world.wait(20)
    assert pictures(world) == [Urgency.LOOK]
    assert [order.quantity for order in world.working()] == [2]


@pytest.mark.parametrize("older", [0, -2])
def test_a_picture_that_comes_after_a_newer_one_says_nothing_of_now(older: int) -> None:
    world = holding(2)
    old = replace(world.picture(), quantity=older)
    world.wait(20)
    world.queue.append(world.picture())
    world.run()
    checked = world.lane.checked_at
    unanswered(world)
    world.queue.append(old)
    world.run()
    assert (world.lane.broker_quantity, world.lane.checked_at, world.lane.divergence) == (2, checked, None)


def test_a_picture_that_comes_after_a_newer_one_takes_the_sight_of_the_broker_from_nobody() -> None:
    """The stream was lost and came back while it stood in line."""
    world = holding(2)
    old = replace(world.picture(), streaming=False)
    world.wait(20)
    world.queue.append(world.picture())
    world.run()
    unanswered(world)
    world.queue += [PictureWanted(), old]
    world.run()
    assert (world.lane.synced, world.lane.picture_wanted) == (True, True)


def test_a_picture_that_stood_in_line_does_not_say_that_a_difference_lasted() -> None:
    """What counts is when it was begun: a list that lagged then says nothing of the minute it waited."""
    world = holding(2)
    world.alert(Verb.CLOSE)
    world.wait(20)
    unanswered(world)
    shown = replace(world.picture(), quantity=2)
    for seconds in (0, 1, 2):
        world.queue.append(replace(shown, began_at=shown.began_at + timedelta(seconds=seconds)))
        world.wait(1)
    world.wait(60)
    world.queue.append(replace(shown, began_at=shown.began_at + timedelta(seconds=4)))
    world.run()
    assert (world.lane.blocked, world.lane.foreign) == (None, 0)
    assert world.lane.divergence is not None
