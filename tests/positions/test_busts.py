"""An execution undone by the exchange, of the open trade or of one that is over: books, exits and closes after it."""

from __future__ import annotations

from typing import Any

import pytest

from justtrades.positions import book
from justtrades.positions.commands import Liquidate
from justtrades.positions.events import FillBusted, OrderFilled
from justtrades.positions.fold import MOST_BUSTED
from justtrades.positions.model import Action, Fill, FillId, Outcome, Status, Verb
from tests.positions.lane_world import World, holding, started, terms


def bust(world: World, fill: Fill) -> None:
    """The exchange undoes it, and tells so."""
    world.fills.remove(fill)
    world.net -= fill.signed
    world.queue.append(FillBusted(fill.id, fill))


def closed_once(contracts: int, *, target: int | None = 20) -> World:
    """A trade of so many signed contracts is over."""
    world = holding(contracts, target=target)
    world.alert(Verb.CLOSE)
    world.wait(5)
    assert (world.net, world.lane.trade) == (0, None)
    return world


def closing_fill(world: World) -> Fill:
    return next(f for f in reversed(world.fills) if f.action is Action.SELL)


def long_after_a_short(short: int, long: int, **rules: Any) -> tuple[World, Fill]:
    """So many contracts are held, and the fill that closed the short trade before them."""
    world = closed_once(-short)
    world.alert(Verb.BUY, terms(long, **rules))
    world.wait(5)
    return world, next(f for f in world.fills if f.quantity == short and f.action is Action.BUY)


# ── of a trade that is over ──────────────────────────────────────────────────────────────────────────────


def test_a_close_undone_after_its_trade_stands_at_once_as_not_ours_and_blocks_entries() -> None:
    world = closed_once(2)
    bust(world, closing_fill(world))
    entry = world.alert(Verb.BUY)
    world.wait(5)
    assert (world.held, book.foreign_quantity(world.lane), world.net) == (0, 2, 2)
    assert world.outcome(entry).outcome is Outcome.BLOCKED


def test_a_bust_told_twice_or_of_a_fill_never_heard_of_moves_nothing() -> None:
    world = closed_once(2)
    fill = closing_fill(world)
    bust(world, fill)
    world.queue += [FillBusted(fill.id, fill), FillBusted(fill.id)]
    stranger = Fill(**{**{name: getattr(fill, name) for name in Fill.__slots__}, "id": "999999"})
    world.queue.append(FillBusted(stranger.id, stranger))
    world.wait(30)
    assert (world.held, book.foreign_quantity(world.lane), world.net) == (0, 2, 2)


@pytest.mark.parametrize("heard", [True, False], ids=["told", "seen in the position only"])
def test_closes_of_what_the_broker_holds_the_other_way_end_for_a_person(heard: bool) -> None:
    """Ours is long, an undone close left more short: the broker's own position is not ours to close."""
    world, close = long_after_a_short(2, 1, target=None)
    bust(world, close)
    if not heard:
        world.queue.pop()
        world.queue.append(world.picture())
    world.wait(2)
    closes = [world.alert(Verb.CLOSE) for _ in range(3)]
    world.wait(30)
    assert world.net == -1
    assert {world.outcome(close).outcome for close in closes} == {Outcome.NEEDS_ATTENTION}
    assert "the broker holds -1" in world.outcome(closes[0]).reason


def test_exits_never_close_more_than_the_broker_holds_after_an_old_close_was_undone() -> None:
    world, close = long_after_a_short(2, 6, target=None, stop=40)
    bust(world, close)
    world.wait(5)
    assert (world.net, [o.quantity for o in world.working()]) == (4, [4])
    world.move("80").wait(30)
    assert world.net == 0


def test_a_bust_told_after_the_position_list_was_believed_cuts_no_exit_twice() -> None:
    world, close = long_after_a_short(2, 5)
    bust(world, close)
    late = world.queue.pop()
    least = 5
    for second in range(120):
        if second == 60:
            assert world.lane.foreign == -2
            world.queue.append(late)
        world.queue.append(world.picture())
        world.wait(1)
        least = min(least, sum(o.quantity for o in world.working()))
    assert (least, [o.quantity for o in world.working()]) == (3, [3])
    assert (world.held, world.lane.foreign, world.net) == (5, -2, 3)


def test_a_part_is_closed_only_down_to_what_shall_remain_at_the_broker() -> None:
    world, close = long_after_a_short(1, 5)
    bust(world, close)
    world.wait(5)
    part = world.alert(Verb.CLOSE, quantity=3)
    world.wait(30)
    assert world.net == 2, "five were held, three should go, and the broker had only four"
    assert world.outcome(part).outcome is Outcome.PARTIALLY_FILLED
    assert not [c for c in world.commands if isinstance(c, Liquidate)]


def test_no_more_undone_fills_are_remembered_than_a_lane_has_room_for() -> None:
    world = started()
    world.queue += [FillBusted(FillId(str(n))) for n in range(MOST_BUSTED + 3)]
    world.run()
    assert world.lane.busted == tuple(str(n) for n in range(3, MOST_BUSTED + 3))


# ── of an order that still works, or has ended ───────────────────────────────────────────────────────────


def test_a_partial_fill_of_a_working_target_undone_leaves_the_whole_position_protected() -> None:
    """The exchange does not give the undone contract back to the order: it has to be made larger."""
    world = started()
    world.alert(Verb.BUY, terms(3))
    world.wait(5)
    (target,) = world.working()
    world.fill(target, 1)
    world.wait(5)
    bust(world, next(f for f in world.fills if f.broker_order_id == str(target.id)))
    world.wait(10)
    assert (world.held, world.net) == (3, 3)
    assert [o.quantity - o.filled for o in world.working()] == [3]


def test_a_fill_undone_before_it_was_heard_of_is_waited_for_by_nobody() -> None:
    world = started()
    entry = world.alert(Verb.BUY, terms(2))
    world.tell(world.queue.pop(0))
    world.queue = [event for event in world.queue if not isinstance(event, OrderFilled)]
    bust(world, world.fills[0])
    world.wait(10)
    assert world.outcome(entry).outcome is Outcome.FILLED
    assert (world.held, world.working(), world.lane.orders) == (0, [], ())


def test_after_a_bust_an_entry_still_waits_for_the_fills_it_claims() -> None:
    world = closed_once(1)
    bust(world, closing_fill(world))
    bust(world, next(f for f in world.fills if f.action is Action.BUY))
    world.wait(20)
    assert (world.held, book.foreign_quantity(world.lane), world.lane.blocked) == (0, 0, None)
    world.alert(Verb.BUY, terms(2))
    late = []
    while world.queue:
        event = world.queue.pop(0)
        if type(event).__name__ == "OrderFilled":
            late.append(event)
        else:
            world.tell(event)
    order = next(o for o in world.lane.orders if o.signal_id == f"s{world.signals}")
    assert order.status is Status.FILLED
    assert not book.settled(world.lane, order)
    world.queue += late
    world.wait(5)
    assert (world.held, [o.quantity for o in world.working()]) == (2, [2])
