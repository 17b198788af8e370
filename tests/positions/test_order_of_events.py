"""I9: any order, repetition or batching of what the broker tells, mixed with pictures, ends in the same state."""

from __future__ import annotations

import os
from datetime import timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from justtrades.positions import book, exits
from justtrades.positions.events import Event, FillBusted, OrderFilled, OrderReported, PictureTaken, TimePassed
from justtrades.positions.limits import Limits
from justtrades.positions.machine import fold_in
from justtrades.positions.model import (
    Action,
    Lane,
    OnOpposite,
    OnSameSide,
    OrderType,
    SignalDone,
    Status,
    TargetUpdate,
    Terms,
    Verb,
)
from justtrades.positions.values import replace
from tests.positions.lane_world import START, World, started, terms

SEEDS = 40 * (10 if os.environ.get("HYPOTHESIS_PROFILE") == "search" else 1)
QUARTER = Decimal("0.25")


class Heard:
    """A world in which what the broker tells is heard as `hears` says; commands arrive as they are sent."""

    def __init__(self, rng: Random | None) -> None:
        self.rng = rng
        self.world = started()

    def hear_all(self) -> None:
        """Until nothing waits to be heard: one by one and in order, or in any order, in batches, again and again."""
        world, rng = self.world, self.rng
        told: list[Event] = []
        while world.queue:
            if rng is None:
                world.tell(world.queue.pop(0))
                continue
            world.now += timedelta(milliseconds=1)
            if rng.random() < 0.15:
                world.queue.append(world.picture())
            if told and rng.random() < 0.2:
                world.queue.append(rng.choice(told))
            batch = [world.queue.pop(rng.randrange(len(world.queue)))]
            while world.queue and rng.random() < 0.3:
                batch.append(world.queue.pop(rng.randrange(len(world.queue))))
            told += [e for e in batch if isinstance(e, OrderReported | OrderFilled)]
            self._together(batch)

    def _together(self, batch: list[Event]) -> None:
        """As an executor does with what came together: folded one by one, decided on once."""
        world = self.world
        for event in batch[:-1]:
            if not world.past.is_old(event, world.lane):
                world.lane = fold_in(world.lane, world.past.news_in(event, world.lane), world.now, world.limits)
                world.news += world.lane.news
        if world.tell(batch[-1]) is None:
            world.tell(TimePassed())

    def wait(self, seconds: float) -> None:
        world, end = self.world, self.world.now + timedelta(seconds=seconds)
        self.hear_all()
        while world.wake is not None and world.wake <= end:
            world.now = max(world.wake, world.now + timedelta(milliseconds=1))
            world.tell(TimePassed())
            self.hear_all()
        world.now = max(end, world.now)


def _played(seed: int, rng: Random | None) -> tuple[object, ...]:
    """The same people and the same market, told in an order of `rng`; what it all came to."""
    acts, heard = Random(seed), Heard(rng)
    world = heard.world
    for _ in range(8):
        match acts.choice(["buy", "sell", "buy", "sell", "close", "part", "move", "move", "move", "hand"]):
            case "buy" | "sell" as verb:
                world.alert(Verb(verb), _rules(acts))
            case "close":
                world.alert(Verb.CLOSE, quantity=acts.choice([None, 1]))
            case "part" if world.working():
                order = acts.choice(sorted(world.working(), key=lambda o: (o.type, o.price)))
                if order.quantity - order.filled > 1:
                    world.fill(order, 1)
            case "hand" if world.net:
                world.by_hand(Action.of(-world.net), 1)
            case _:
                world.move(str(world.price + acts.randint(-24, 24) * QUARTER))
        heard.wait(40)
    return _came_to(world)


def _rules(acts: Random) -> Terms:
    return terms(
        acts.choice([1, 2, 3]),
        target=acts.choice([8, 20]),
        stop=acts.choice([None, 40]),
        on_same_side=acts.choice([OnSameSide.ADD, OnSameSide.REENTER]),
        on_opposite=acts.choice(list(OnOpposite)),
        target_update=acts.choice(list(TargetUpdate)),
        max_quantity=6,
    )


def _came_to(world: World) -> tuple[object, ...]:
    lane = world.lane
    return (
        (world.net, book.held(lane), book.foreign_quantity(lane), lane.blocked, book.average_price(lane)),
        exits.wanted(lane),
        sorted((o.action, o.price, o.quantity - o.filled) for o in world.working()),
        [(t.pnl, t.entry_quantity, t.entry_price, t.exit_price, t.exit_reason) for t in world.trades()],
        sorted((n.signal_id, n.outcome, n.reason) for n in world.news if isinstance(n, SignalDone)),
    )


@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS // 4))
def test_the_same_events_in_any_order_and_batch_with_pictures_between_come_to_the_same(first: int) -> None:
    for seed in range(first, first + SEEDS // 4):
        straight = _played(seed, None)
        for shuffle in range(3):
            assert _played(seed, Random(f"{seed} {shuffle}")) == straight, (seed, shuffle)


def _disturbed(seed: int, rng: Random | None) -> World:
    """The same with hands and the exchange at work at the same moment, told in an order of `rng`."""
    acts, heard = Random(seed), Heard(rng)
    world = heard.world
    for _ in range(8):
        match acts.choice(["buy", "sell", "close", "part", "move", "bust", "bust and hand", "exit and hand"]):
            case "buy" | "sell" as verb:
                world.alert(Verb(verb), _rules(acts))
            case "close":
                world.alert(Verb.CLOSE, quantity=acts.choice([None, 1]))
            case "part" if world.working():
                order = acts.choice(sorted(world.working(), key=lambda o: (o.type, o.price)))
                world.fill(order, 1)
            case "bust":
                _bust(world, acts)
            case "bust and hand" if world.net:
                world.by_hand(Action.of(-world.net), 1)
                _bust(world, acts)
            case "exit and hand" if world.net and world.working():
                resting = min(world.working(), key=lambda o: (o.type, o.price))
                world.by_hand(Action.of(-world.net), abs(world.net))
                world.fill(resting, resting.quantity - resting.filled)
            case _:
                world.move(str(world.price + acts.randint(-24, 24) * QUARTER))
        heard.wait(60)
    return world


def _bust(world: World, acts: Random) -> None:
    ended = [f for f in world.fills if world.orders[int(f.broker_order_id)].status.ended]
    if ended:
        fill = acts.choice(ended[-4:])
        world.fills.remove(fill)
        world.net -= fill.signed
        world.queue.append(FillBusted(fill.id, fill))


@pytest.mark.parametrize("shuffled", [False, True])
def test_hands_and_busts_at_the_same_moment_leave_books_that_equal_the_broker_in_any_order(shuffled: bool) -> None:
    """What is done may differ, since it depends on what is known when: a target that fills beneath a close by hand is
    bought back when the hand was heard of first, and stands as not ours when the trade was already over."""
    for seed in range(60):
        world = _disturbed(seed, Random(f"{seed} disturbed") if shuffled else None)
        lane = world.lane
        assert book.held(lane) + book.foreign_quantity(lane) == world.net, seed
        assert not lane.jobs, seed
        for side in (Action.BUY, Action.SELL):
            resting = sum(
                o.quantity - o.filled for o in world.working() if (o.type, o.action) == (OrderType.LIMIT, side)
            )
            assert resting <= max(-side.sign * world.net, 0), (seed, "an exit that would open a position")


# ── without any decision between ─────────────────────────────────────────────────────────────────────────


def _told(stop: int | None, parts: list[int]) -> tuple[Lane, list[Event], PictureTaken]:
    """A lane whose entry has just been sent, and all that the broker tells until its position is protected."""
    world = started()
    world.alert(Verb.BUY, terms(sum(parts), target=20, stop=stop))
    world.tell(world.queue.pop(0))
    sent = world.lane
    (entry,) = world.orders.values()
    if len(parts) > 1:  # the broker fills it in parts
        world.fills.clear()
        world.net, entry.filled, entry.status = 0, 0, Status.WORKING
        world.queue = [e for e in world.queue if not isinstance(e, OrderFilled | OrderReported)]
        for part in parts:
            world.fill(entry, part)
    return sent, world.queue, world.picture()


@given(
    st.sampled_from([None, 40]),
    st.lists(st.integers(1, 3), min_size=1, max_size=4),
    st.data(),
)
def test_facts_alone_come_to_one_lane_in_any_order_any_number_of_times(
    stop: int | None, parts: list[int], data: st.DataObject
) -> None:
    """The picture is last, as the newest that was begun; but for the time of looking it says nothing new."""
    sent, told, picture = _told(stop, parts)
    again = data.draw(st.lists(st.sampled_from([*told, picture]), max_size=6))
    shuffled = data.draw(st.permutations([*told, *again]))
    straight, other = _folded(sent, [*told, picture]), _folded(sent, [*shuffled, picture])
    assert other == straight


def _folded(lane: Lane, events: list[Event]) -> Lane:
    now, limits = START + timedelta(seconds=1), Limits()
    for event in events:
        lane = fold_in(lane, event, now, limits)
    return replace(lane, fills=tuple(sorted(lane.fills, key=lambda f: f.order_key)), news=(), picture_wanted=False)
