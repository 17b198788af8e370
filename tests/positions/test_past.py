"""What one lane remembers of finished trades."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from decimal import Decimal

from justtrades.past import Remembered
from justtrades.positions.model import Verb
from tests.positions.lane_world import START, World

DAY = timedelta(days=1)


def after(trades: int) -> World:
    """A lane that has made so many trades, five a day."""
    world = World()
    world.tell(world.picture())
    for number in range(trades):
        world.price = Decimal(100)
        world.alert(Verb.BUY)
        world.wait(1)
        world.move("200").wait(1)
        world.now += DAY / 5
        world.orders.clear()
        world.fills.clear()
        assert len(world.trades()) == number + 1
    return world


def held(world: World) -> dict[str, int]:
    parts = [(part.name, getattr(world.lane, part.name)) for part in fields(world.lane)]
    return {name: len(value) for name, value in parts if isinstance(value, tuple)}


def test_a_lane_keeps_no_more_after_hundreds_of_trades_than_after_ten() -> None:
    few, many, more = after(10), after(50), after(300)
    assert held(more) == held(few)
    assert len(few.past.orders) == 20
    assert len(more.past.orders) <= len(many.past.orders)
    assert len(more.past.fills) <= len(many.past.fills)


def test_what_was_let_go_within_a_week_is_remembered_and_no_longer() -> None:
    ids: Remembered[str] = Remembered()
    for day in range(30):
        ids.add([f"order-{day}"], START + day * DAY)
    assert list(ids) == [f"order-{day}" for day in range(22, 30)]


def test_of_too_many_the_newest_are_remembered() -> None:
    ids: Remembered[int] = Remembered(most=5)
    ids.add(range(20), START)
    assert list(ids) == [15, 16, 17, 18, 19]
