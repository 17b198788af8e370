"""When an unanswered order is looked for, and what that may cost: times in seconds, reads in requests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache

import pytest

from justtrades.positions import book
from justtrades.positions.commands import CancelOrder, LookForOrders, TakePicture
from justtrades.positions.events import Event, Looked, PictureTaken, PositionReported, ReadFailed, Restarted
from justtrades.positions.fold import apply
from justtrades.positions.limits import FOUND_READS, LOOK_READS, MOST_READS, Limits, look_again, look_due
from justtrades.positions.machine import step
from justtrades.positions.model import (
    Action,
    Call,
    CallKind,
    ClientOrderId,
    Divergence,
    Doubt,
    Lane,
    Order,
    OrderType,
    Outcome,
    Purpose,
    Read,
    ReadKind,
    Verb,
)
from tests.positions.lane_world import World, started

LIMITS = Limits()
BEGAN = started().now
LISTS_LAG = timedelta(seconds=10)
"""The most a list may be behind (invariants: 0-10 s visibility lag)."""


def in_doubt(purpose: Purpose = Purpose.ENTRY, orders: int = 1) -> Lane:
    lane = started().lane
    made = (
        replace(
            _order(purpose, number),
            doubt=Doubt(since=BEGAN),
            oco=ClientOrderId(f"o{1 - number}") if orders == 2 else None,
        )
        for number in range(orders)
    )
    return replace(lane, orders=tuple(made), picture_wanted=False)


def _order(purpose: Purpose, number: int) -> Order:
    kind = OrderType.LIMIT if purpose.rests else OrderType.MARKET
    return Order(ClientOrderId(f"o{number}"), purpose, Action.BUY, 1, kind, sent_at=BEGAN)


def doubt_of(lane: Lane) -> Doubt | None:
    return lane.orders[0].doubt if lane.orders else None


def looked(lane: Lane, after: timedelta, event: Event) -> Lane:
    at = BEGAN + after
    return apply(replace(lane, read=Read(ReadKind.LOOK, at)), event, at, LIMITS)


def times(*reads: int, clean: bool = True) -> list[float]:
    """When looks come that take so many reads each, until the doubt is over."""
    lane, found = in_doubt(), []
    for requests in reads:
        if (doubt := doubt_of(lane)) is None:
            break
        due = look_due(LIMITS, doubt)
        found.append(round(due.total_seconds(), 1))
        event = Looked(BEGAN + due, (), (), requests) if clean else ReadFailed("stale", requests)
        lane = looked(lane, due, event)
    return found


# ── the schedule ─────────────────────────────────────────────────────────────────────────────────────────


def test_an_order_that_is_not_there_is_looked_for_six_times_in_fifteen_seconds() -> None:
    assert times(*[1] * 20) == [0.5, 1.5, 3, 6, 10, 15]


def test_looks_that_cost_more_are_fewer_and_last_as_long() -> None:
    assert times(*[2] * 20) == [0.5, 1.5, 3, 6, 15]


def test_looks_that_fail_go_on_ever_more_seldom_a_minute_apart_at_most() -> None:
    found = times(*[0] * 20, clean=False)
    assert found[:10] == [0.5, 1.5, 3, 6, 10, 15, 17, 20, 25, 37.5]
    assert found[-1] - found[-2] == 60


def test_after_a_long_stop_of_the_engine_three_clean_looks_in_a_row_are_enough() -> None:
    lane = in_doubt()
    late = timedelta(minutes=5)
    for seconds in range(3):
        lane = looked(
            lane, late + timedelta(seconds=seconds), Looked(BEGAN + late + timedelta(seconds=seconds), (), (), 1)
        )
        doubt = doubt_of(lane)
        assert doubt is None or look_due(LIMITS, doubt) == late + timedelta(seconds=seconds + 1)
    assert doubt_of(lane) is None


def test_a_picture_that_was_taken_anyway_moves_no_later_look() -> None:
    lane = looked(in_doubt(), timedelta(seconds=14), PictureTaken(BEGAN + timedelta(seconds=14), (), (), 0))
    doubt = doubt_of(lane)
    assert doubt is not None
    assert look_due(LIMITS, doubt) == timedelta(seconds=15)


def test_one_look_is_for_all_that_is_in_doubt() -> None:
    lane = in_doubt(Purpose.TARGET, orders=2)
    lane = replace(lane, orders=(lane.orders[0], replace(lane.orders[1], doubt=Doubt(BEGAN + timedelta(seconds=5)))))
    commands = step(lane, PositionReported(0, BEGAN), BEGAN + timedelta(seconds=1), LIMITS).commands
    assert [c.ids for c in commands if isinstance(c, LookForOrders)] == [("o0", "o1")]


# ── what it costs ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("purpose", "orders"),
    [(Purpose.ENTRY, 1), (Purpose.CLOSE, 1), (Purpose.TARGET, 1), (Purpose.STOP, 1), (Purpose.TARGET, 2)],
    ids=["entry", "close", "target", "stop", "pair"],
)
def test_whatever_the_lists_show_looking_takes_twelve_reads_at_most(purpose: Purpose, orders: int) -> None:
    """Each look finds it, or does not, or before `settle` is behind what we know; and each may take the most."""
    assert worst(in_doubt(purpose, orders)) <= MOST_READS


def test_after_a_crash_it_is_looked_for_in_the_same_way() -> None:
    lane = in_doubt()
    (order,) = lane.orders
    call = Call(order.id, CallKind.PLACE, (order.id,), BEGAN)
    dead = replace(lane, orders=(replace(order, doubt=None),), call=call)
    alive = apply(dead, Restarted(), BEGAN, LIMITS)
    assert book.in_doubt(alive)
    assert worst(alive) <= MOST_READS


@cache
def worst(lane: Lane) -> int:
    """The most reads after which the doubt is over."""
    doubt = doubt_of(lane)
    if doubt is None:
        return 0
    due = look_due(LIMITS, doubt)
    return max(cost + worst(after) for cost, after in outcomes(lane, due))


def outcomes(lane: Lane, due: timedelta) -> Iterator[tuple[int, Lane]]:
    yield LOOK_READS + FOUND_READS, replace(lane, orders=())
    for cost in (LOOK_READS - 1, LOOK_READS):
        yield cost, looked(lane, due, Looked(BEGAN + due, (), (), cost))
        if due < LIMITS.settle:
            yield cost, looked(lane, due, ReadFailed("stale", cost))


def test_a_lost_cancel_change_or_liquidation_is_known_after_twelve_reads_at_most() -> None:
    """That the list is behind takes one read to know, a whole picture seven."""
    lane = replace(in_doubt(), orders=(), stale_since=BEGAN, stale_order=ClientOrderId("o0"), picture_wanted=True)
    reads, now = 0, BEGAN
    while lane.stale_since is not None:
        done = step(lane, PositionReported(0, now), now, LIMITS)
        lane = done.lane
        if any(isinstance(c, TakePicture) for c in done.commands):
            late = now < BEGAN + LISTS_LAG
            reads += 1 if late else 7
            seen = ReadFailed("stale", 1) if late else PictureTaken(now, (), (), 0)
            lane = apply(lane, seen, now, LIMITS)
        now += timedelta(seconds=0.1)
    assert reads <= MOST_READS
    assert now - BEGAN <= timedelta(seconds=30)


def test_a_picture_after_a_lost_cancel_says_which_order_it_is_taken_for() -> None:
    world = started()
    world.alert(Verb.BUY)
    world.wait(5)
    (target,) = [o for o in world.lane.orders if o.purpose is Purpose.TARGET]
    world.reach = lambda command: not isinstance(command, CancelOrder)
    close = world.alert(Verb.CLOSE)
    world.wait(0.5)
    asked = [c for c in world.commands if isinstance(c, TakePicture) and c.order_id is not None]
    assert asked
    assert {c.order_id for c in asked} == {target.id}
    world.reach = lambda _: True
    world.wait(10)
    assert (world.outcome(close).outcome, world.lane.stale_order) == (Outcome.FILLED, None)


# ── a difference that no fill explains ───────────────────────────────────────────────────────────────────


def differing(moved_after: float, *, seen_after: float = 12) -> Lane:
    """Broker and books agreed at 0; what a picture shows `seen_after`, of a position that moved `moved_after`."""
    world = started()
    world.alert(Verb.BUY)
    world.wait(5)
    return shown(world, seen_after, moved_after)


def shown(world: World, after: float, moved_after: float) -> Lane:
    last = world.lane.checked_at
    assert last is not None
    at = last + timedelta(seconds=after)
    orders = tuple(o.report() for o in world.orders.values())
    seen = PictureTaken(at, orders, tuple(world.fills), 2, position_at=last + timedelta(seconds=moved_after))
    return apply(world.lane, seen, at, LIMITS)


def test_a_difference_counts_from_when_the_position_moved_as_the_broker_tells_it() -> None:
    lane = differing(8)
    assert lane.divergence is not None
    assert lane.checked_at is not None
    assert lane.checked_at - lane.divergence.since == timedelta(seconds=4)


@pytest.mark.parametrize("moved", [-100, -0.1, 12.5, 99], ids=["long ago", "before the last look", "after", "ahead"])
def test_a_moment_that_cannot_be_is_not_believed(moved: float) -> None:
    lane = differing(moved)
    assert lane.divergence is not None
    assert lane.checked_at == lane.divergence.since


def test_a_position_as_it_was_before_our_newest_fill_has_not_moved_since_also_when_that_trade_is_over() -> None:
    world = started()
    world.alert(Verb.BUY)
    world.wait(5)
    (entry,) = world.fills
    world.move("105")
    world.wait(2)
    assert (world.held, world.lane.fills) == (0, ())
    lane = replace(world.lane, checked_at=entry.at - timedelta(seconds=1))
    late = PictureTaken(world.now, (), (), 1, position_at=entry.at)
    assert apply(lane, late, world.now, LIMITS).divergence == Divergence(1, world.now)


def test_a_difference_that_a_late_list_may_make_is_looked_at_ever_more_slowly_until_it_may_be_believed() -> None:
    seen, looks, now = Divergence(1, BEGAN), [0.0], 0.0
    while now < 13:
        now += look_again(LIMITS, seen, BEGAN + timedelta(seconds=now)).total_seconds()
        looks.append(round(now, 2))
    assert looks == [0, 1, 2, 3, 4.5, 6.75, 10.12, 14.12]


@pytest.mark.parametrize(("snapshot", "not_yet", "by"), [(True, 0.5, 1.5), (False, 10.5, 12)])
def test_what_a_stream_begins_with_is_believed_as_soon_as_pictures_agree(
    snapshot: bool, not_yet: float, by: float
) -> None:
    """Position and fills in one piece: no fill of it can be late. A report alone may be ahead of its fill."""
    world = started()
    world.alert(Verb.BUY)
    world.wait(30)
    world.net += 1
    world.queue.append(PositionReported(2, world.now, snapshot))
    world.wait(not_yet)
    assert book.foreign_quantity(world.lane) == 0
    world.wait(by - not_yet)
    assert book.foreign_quantity(world.lane) == 1


def test_a_snapshot_that_pictures_do_not_confirm_changes_nothing() -> None:
    world = started()
    world.alert(Verb.BUY)
    world.wait(30)
    world.queue.append(PositionReported(2, world.now, snapshot=True))
    world.wait(30)
    assert (book.foreign_quantity(world.lane), world.lane.divergence) == (0, None)
