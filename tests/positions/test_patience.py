"""No signal stays working for ever beside a broker that is seen, answers, and changes nothing."""

from __future__ import annotations

import pytest

from justtrades.positions.commands import CancelOrder, Command, PlaceOrder, TakePicture
from justtrades.positions.events import CallAccepted, Event, LaneResumed, OrderFilled, ReadFailed
from justtrades.positions.model import Action, Noted, Outcome, Purpose, SignalDone, Verb
from justtrades.positions.patience import UNSEEN
from tests.positions.lane_world import AtBroker, World, started, terms

PATIENCE = 45


def alarms(world: World) -> str:
    return "\n".join(n.text for n in world.news if isinstance(n, Noted) and n.alarm)


def without_cancels(world: World) -> None:
    """The broker takes every cancel and cancels nothing."""
    real = world.carry_out

    def carry_out(command: Command) -> Event:
        return CallAccepted(command.id, ()) if isinstance(command, CancelOrder) else real(command)

    world.carry_out = carry_out  # type: ignore[method-assign]  # the same broker, idle


def without_fills(world: World) -> None:
    """Market orders work, and nothing trades."""
    world.trade = lambda order: None  # type: ignore[method-assign]  # as above


def beside_foreign() -> World:
    """Three of ours beside two that a person left, so that liquidation is out of the question."""
    world = started()
    world.by_hand(Action.BUY, 2)
    world.wait(5)
    world.queue.append(LaneResumed(adopt=False))
    world.alert(Verb.BUY, terms(3))
    world.wait(5)
    assert (world.held, world.net) == (3, 5)
    return world


def test_a_close_whose_exits_cannot_be_cancelled_ends_for_a_person() -> None:
    world = beside_foreign()
    without_cancels(world)
    closes = [world.alert(Verb.CLOSE) for _ in range(3)]
    world.wait(PATIENCE + 40)
    assert [world.outcome(close).outcome for close in closes] == [Outcome.NEEDS_ATTENTION] * 3
    assert "goes on working after" in world.outcome(closes[0]).reason
    assert world.net == 5
    assert "given up" in alarms(world)


def test_a_close_that_neither_fills_nor_goes_away_ends_for_a_person_and_is_ours_when_it_fills() -> None:
    world = started()
    world.alert(Verb.BUY, terms(2, target=None))
    world.wait(5)
    without_cancels(world)
    without_fills(world)
    close = world.alert(Verb.CLOSE)
    world.wait(PATIENCE + 20)
    assert world.outcome(close).outcome is Outcome.NEEDS_ATTENTION
    assert "neither fills nor goes away" in world.outcome(close).reason
    order = world.working()[-1]
    world.fill(order, order.quantity)
    world.wait(20)
    assert (world.held, world.net, world.working()) == (0, 0, [])


def test_an_entry_that_neither_fills_nor_goes_away_ends_and_is_protected_when_it_fills() -> None:
    world = started()
    without_cancels(world)
    without_fills(world)
    entry = world.alert(Verb.BUY)
    world.wait(PATIENCE + 20)
    assert world.outcome(entry).outcome is Outcome.NEEDS_ATTENTION
    (order,) = world.working()
    world.fill(order, 1)
    world.wait(10)
    assert (world.held, [o.quantity for o in world.working()]) == (1, [1])


def test_fills_the_broker_claims_and_never_shows_hold_no_signal_for_ever() -> None:
    world = started()

    def unheard(order: AtBroker, quantity: int) -> None:
        order.filled += quantity
        World.fill(world, order, 0)

    world.fill = unheard  # type: ignore[method-assign]  # a broker that keeps its fills to itself
    entry, close = world.alert(Verb.BUY), world.alert(Verb.CLOSE, recorder="other")
    world.queue[:] = [e for e in world.queue if not isinstance(e, OrderFilled)]
    world.wait(2 * PATIENCE + 20)
    assert world.outcome(entry).outcome is Outcome.NEEDS_ATTENTION
    assert "by the broker's word" in world.outcome(entry).reason
    assert world.outcome(close).outcome is Outcome.NEEDS_ATTENTION
    world.queue.append(LaneResumed(adopt=False))
    world.wait(20)
    assert (world.lane.orders, world.lane.trade) == ((), None), "the lane goes on without them"


def test_a_signal_given_up_stops_entries_until_a_person_resumes() -> None:
    world = beside_foreign()
    real = world.carry_out
    without_cancels(world)
    world.alert(Verb.CLOSE)
    world.wait(PATIENCE + 40)
    world.carry_out = real  # type: ignore[method-assign]  # the broker works again
    stopped = world.alert(Verb.BUY)
    world.wait(5)
    assert world.outcome(stopped).outcome is Outcome.BLOCKED
    world.queue.append(LaneResumed(adopt=False))
    world.wait(20)
    close = world.alert(Verb.CLOSE)
    world.wait(20)
    assert (world.outcome(close).outcome, world.net) == (Outcome.FILLED, 2)


@pytest.mark.parametrize("every", [1, 2, 3])
def test_a_read_that_fails_now_and_then_holds_no_signal_for_ever(every: int) -> None:
    world = started()
    without_cancels(world)
    without_fills(world)
    reads = 0

    def fails(command: Command, event: Event) -> list[Event]:
        nonlocal reads
        reads += isinstance(command, TakePicture)
        return [ReadFailed("HTTP 503")] if isinstance(command, TakePicture) and reads % (every + 1) else [event]

    entry = world.alert(Verb.BUY)
    world.wait(1)
    world.answer = fails
    world.wait(3 * PATIENCE)
    ended = [n for n in world.news if isinstance(n, SignalDone) and n.signal_id == entry]
    assert [n.outcome for n in ended] == [Outcome.NEEDS_ATTENTION] * (every < UNSEEN)


@pytest.mark.parametrize("away", [60, 600])
def test_a_close_outlasts_a_broker_that_cannot_be_reached(away: int) -> None:
    world = started()
    world.alert(Verb.BUY)
    world.wait(5)
    world.reach = lambda _: False
    close = world.alert(Verb.CLOSE)
    world.wait(away)
    world.reach = lambda _: True
    world.wait(90)
    assert (world.outcome(close).outcome, world.net) == (Outcome.FILLED, 0)


def test_a_close_that_is_slow_but_gets_on_is_not_given_up() -> None:
    """Each closing order fills one contract, twenty seconds after it was sent."""
    world = started()
    world.alert(Verb.BUY, terms(4, target=None))
    world.wait(5)
    without_fills(world)
    close = world.alert(Verb.CLOSE)
    for _ in range(4):
        world.wait(12)
        order = next(o for o in world.working() if o.type.value == "Market")
        world.fill(order, 1)
        world.wait(3)
    assert sum(isinstance(c, PlaceOrder) and c.purpose is Purpose.CLOSE for c in world.commands) == 4
    assert (world.outcome(close).outcome, world.net) == (Outcome.FILLED, 0)


def test_a_signal_given_up_says_what_it_waited_for_and_how_long() -> None:
    world = started()
    without_cancels(world)
    without_fills(world)
    entry = world.alert(Verb.BUY)
    world.wait(PATIENCE + 20)
    (order,) = world.working()
    waited = world.outcome(entry).reason.removeprefix(f"the entry {order.id} neither fills nor goes away: ")
    assert waited == f"nothing has changed at the broker for {PATIENCE} s"
    said = f"a signal was given up: {world.outcome(entry).reason}; entries stop until a person resumes the lane"
    assert world.lane.stopped == said
    assert said in alarms(world)
