"""A storm of adds: what is held first is protected, and one change of its exits follows them all."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from justtrades.positions.commands import Command, ModifyOrder, PlaceOrder
from justtrades.positions.events import Event, OrderReported
from justtrades.positions.machine import fold_in
from justtrades.positions.model import OrderType, Outcome, Purpose, Verb
from justtrades.positions.plan import plan
from justtrades.positions.withdraw import withdrawn
from tests.positions.lane_world import World, started, terms


def _entries(commands: list[Command]) -> list[Command]:
    return [c for c in commands if isinstance(c, PlaceOrder) and c.purpose is Purpose.ENTRY]


def _storm(world: World, count: int, stop: int | None = None) -> list[Command]:
    """One entry and its exits, then `count` adds at once; what they led to."""
    rules = terms(target=20, stop=stop)
    world.alert(Verb.BUY, rules)
    world.run()
    before = len(world.commands)
    signals = [world.alert(Verb.BUY, rules) for _ in range(count)]
    world.run()
    assert all(world.outcome(signal).outcome is Outcome.FILLED for signal in signals)
    return world.commands[before:]


def test_ten_adds_at_once_are_ten_entries_and_one_change_of_the_target() -> None:
    world = started()
    commands = _storm(world, 10)
    assert len(_entries(commands)) == 10
    assert [type(c) for c in commands[10:]] == [ModifyOrder]
    (target,) = world.working()
    assert (target.quantity, target.price) == (11, Decimal(105))


def test_target_and_stop_follow_a_storm_once_each() -> None:
    world = started()
    commands = _storm(world, 10, stop=40)
    changes = [c for c in commands if isinstance(c, ModifyOrder)]
    assert sorted(c.purpose for c in changes) == [Purpose.STOP, Purpose.TARGET]
    assert {order.quantity for order in world.working()} == {11}


def test_the_first_entry_of_a_storm_has_its_target_before_any_add_goes() -> None:
    world = started()
    for _ in range(5):
        world.alert(Verb.BUY)
    world.run()
    kinds = [(type(c), c.purpose) for c in world.commands if isinstance(c, PlaceOrder | ModifyOrder)]
    assert kinds[:2] == [(PlaceOrder, Purpose.ENTRY), (PlaceOrder, Purpose.TARGET)]
    assert kinds.count((ModifyOrder, Purpose.TARGET)) == 1


def test_a_storm_that_does_not_end_keeps_the_target_back_for_two_seconds_at_most() -> None:
    def slow(command: Command, event: Event) -> list[Event]:
        if isinstance(command, PlaceOrder) and command.order.order_type is OrderType.MARKET:
            world.now += timedelta(milliseconds=500)
        return [event]

    world = started(answer=slow)
    behind: list[timedelta] = []

    def watch(now: World) -> None:
        if now.lane.unprotected_since is not None and now.held > 1:
            behind.append(now.now - now.lane.unprotected_since)

    world.each_step = watch
    commands = _storm(world, 20)
    changes = [c for c in commands if isinstance(c, ModifyOrder)]
    assert max(behind) <= timedelta(seconds=3)
    assert 3 <= len(changes) <= 6


def test_a_close_behind_a_storm_waits_for_no_target() -> None:
    world = started()
    world.alert(Verb.BUY)
    world.run()
    before = len(world.commands)
    for _ in range(5):
        world.alert(Verb.BUY)
    close = world.alert(Verb.CLOSE)
    world.run()
    assert world.outcome(close).outcome is Outcome.FILLED
    assert not [c for c in world.commands[before:] if isinstance(c, ModifyOrder)]
    assert world.net == 0


def test_an_add_that_had_to_wait_for_the_broker_lets_the_target_go_first() -> None:
    """Seen on the trading day: adds that waited for the budget kept the target of what had filled back."""
    world = started()
    world.alert(Verb.BUY)
    world.run()
    world.entries_wait_until = world.now + timedelta(seconds=1)
    world.alert(Verb.BUY)
    world.run()
    (target,) = world.working()
    target.price, target.version = Decimal(104), 2  # a hand moved it: it is to be put right
    lane = fold_in(world.lane, OrderReported(target.report()), world.now, world.limits)
    assert isinstance(plan(lane, world.now + timedelta(seconds=1), world.limits), ModifyOrder)


def test_a_waiting_add_is_withdrawn_while_what_is_held_lacks_its_exits() -> None:
    world = started()
    world.alert(Verb.BUY)
    world.run()
    world.hides, world.answer = True, lambda *_: []  # under way, and no answer yet
    world.alert(Verb.BUY)
    world.run()
    add = world.commands[-1]
    assert isinstance(add, PlaceOrder)
    assert withdrawn(world.lane, add) is None
    for order in world.working():
        world.cancel(order)
    world.run()
    assert withdrawn(world.lane, add) == "what is held needs its exits first"
