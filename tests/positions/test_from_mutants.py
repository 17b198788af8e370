"""What mutants of the core showed to be untested."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from justtrades.positions.commands import CancelOrder, Command, PlaceOrder, TakePicture
from justtrades.positions.events import PictureWanted, ReadFailed
from justtrades.positions.limits import Limits, cancel_again
from justtrades.positions.model import Noted, Outcome, Purpose, SignalId, Target, Verb
from tests.positions.lane_world import World, started, terms, ticks


def test_a_cancel_without_effect_is_repeated_ever_more_slowly_up_to_a_most() -> None:
    assert [cancel_again(Limits(), asked).total_seconds() for asked in range(6)] == [2, 2, 4, 8, 10, 10]


def test_entry_and_exit_of_a_trade_are_averages_by_volume() -> None:
    world = started()
    world.alert(Verb.BUY, terms(2, target=None))
    world.wait(5)
    world.move("97")
    first = world.alert(Verb.BUY, terms(1, target=None))
    world.wait(5)
    assert world.outcome(first).reason == "bought 1 MNQZ6 at 97"
    world.alert(Verb.CLOSE, quantity=1)
    world.wait(5)
    world.move("100")
    world.alert(Verb.CLOSE)
    world.wait(5)
    (trade,) = world.trades()
    assert (trade.entry_price, trade.exit_price, trade.exit_reason) == (Decimal(99), Decimal(99), "close")


def test_a_leg_that_filled_in_part_rests_for_its_own_rest() -> None:
    world = started()
    legs = tuple(Target(distance=ticks(n), percent=Decimal(50)) for n in (20, 40))
    world.alert(Verb.BUY, replace(terms(4), targets=legs))
    world.wait(5)
    world.fill(world.working()[0], 1)
    world.wait(5)
    assert [(str(o.price), o.quantity - o.filled) for o in world.working()] == [("105.00", 1), ("110.00", 2)]


def test_the_newest_entry_says_where_the_exits_of_all_stand() -> None:
    world = started()
    world.alert(Verb.BUY, terms(1, target=20))
    world.wait(5)
    world.alert(Verb.BUY, terms(1, target=8))
    world.wait(5)
    assert [(str(o.price), o.quantity) for o in world.working()] == [("102.00", 2)]


def test_who_asks_for_a_comparison_gets_a_picture() -> None:
    world = started()
    world.tell(PictureWanted())
    assert isinstance(world.commands[-1], TakePicture)


def test_a_read_that_failed_is_tried_again_after_a_growing_wait() -> None:
    world = started()
    waits = []
    for _ in range(3):
        world.tell(ReadFailed("no connection"))
        assert world.lane.read_again_at is not None
        waits.append(world.lane.read_again_at - world.now)
    assert waits == [timedelta(seconds=s) for s in (0.5, 1, 2)]


def test_a_signal_on_a_halted_lane_is_told_why_it_halted() -> None:
    world = started()
    world.lane = replace(world.lane, halted="something broke")
    done = world.outcome(_run(world.alert(Verb.BUY), world))
    assert (done.outcome, done.reason) == (Outcome.NEEDS_ATTENTION, "this lane is halted: something broke")


def test_a_doubt_remembers_why_and_what_is_found_after_it_is_an_alarm() -> None:
    world = started(hides=True)
    world.alert(Verb.BUY)
    world.run()
    (order,) = world.lane.orders
    assert order.doubt is not None
    assert order.doubt.why == "timed out"
    world.wait(60)
    world.show_hidden()
    world.wait(5)
    assert [n.alarm for n in world.news if isinstance(n, Noted) and "after it counted as not placed" in n.text] == [
        True
    ]


def test_a_cancel_is_counted_once_with_its_moment() -> None:
    world = started()
    world.alert(Verb.BUY)
    world.wait(5)
    world.reach = _not_cancels
    world.alert(Verb.CLOSE)
    world.tell(world.queue.pop(0))
    target = next(o for o in world.lane.orders if o.purpose is Purpose.TARGET)
    assert (target.cancel_asked, target.changed_at) == (1, world.now)


def _not_cancels(command: Command) -> bool:
    return not isinstance(command, CancelOrder | PlaceOrder)


def _run(signal_id: SignalId, world: World) -> SignalId:
    world.run()
    return signal_id
