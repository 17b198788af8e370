"""Books beside broker: a sentence for each thing that is not the same, and none when all is."""

from __future__ import annotations

from dataclasses import replace

from justtrades.positions.differences import differences
from justtrades.positions.model import Action, Purpose, Status, Verb
from tests.positions.lane_world import World, started, terms


def told(world: World) -> tuple[str, ...]:
    seen = world.picture()
    return differences(world.lane, seen.orders, seen.fills, seen.quantity)


def holding() -> World:
    world = started()
    world.alert(Verb.BUY, terms(2))
    return world.run()


def test_books_that_equal_the_broker_differ_in_nothing() -> None:
    assert told(holding()) == ()


def test_contracts_and_a_fill_that_are_not_in_the_books_yet_are_told() -> None:
    world = holding()
    world.move("105")
    assert told(world) == (
        "position: books +2, broker +0",
        "target 1030: works in the books, filled at the broker",
        "fill 1040 of ours (-2 at 105.00) is not in the books",
    )


def test_what_is_known_not_to_be_ours_is_told_and_explains_the_position() -> None:
    world = holding()
    world.by_hand(Action.BUY, 1)
    world.wait(5)
    assert told(world) == ("+1 contracts at the broker are not ours",)


def test_an_exit_that_the_broker_lost_or_changed_is_told() -> None:
    world = holding()
    target = world.working()[0]
    target.quantity = 1
    assert told(world) == ("target 1030: 2 at 105.00 in the books, 1 at 105.00 there",)
    del world.orders[target.id]
    assert told(world) == ("target 1030: works in the books, the broker does not list it",)


def test_somebody_elses_working_order_is_told() -> None:
    world = holding()
    other = replace(world.working()[0], id=7, client_id=None, status=Status.WORKING)
    world.orders[7] = other
    assert told(world) == ("SELL order 7 for 2 at 105.00 works there and is not ours",)


def test_an_order_without_an_answer_is_told() -> None:
    world = started()
    world.reach = lambda command: getattr(command, "purpose", None) is not Purpose.ENTRY
    world.alert(Verb.BUY)
    world.run()
    assert told(world) == ("entry jttag-1: sent, and not answered yet",)
