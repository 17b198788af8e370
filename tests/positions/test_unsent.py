"""An entry that could not leave yet, and a fill that nobody expected any more: what was made for one position is not
sent into another."""

from __future__ import annotations

from datetime import timedelta

import pytest

from justtrades.positions.commands import Command, PlaceOrder
from justtrades.positions.events import Event, FillBusted, OrderFilled, OrderReported
from justtrades.positions.model import Action, Fill, FillId, Outcome, SignalId, Status, Terms, Verb
from justtrades.positions.withdraw import withdrawn
from tests.positions.lane_world import AtBroker, World, holding, started, terms


def ended_unfilled() -> tuple[World, AtBroker]:
    """The broker took an entry to buy one and ended it; the fill it had is late."""
    world, trade = started(), World.trade

    def end(order: AtBroker) -> None:
        order.status = Status.CANCELED
        world.queue.append(OrderReported(order.report()))

    world.trade = end  # type: ignore[method-assign]  # the same broker in a bad mood
    first = world.alert(Verb.BUY, terms(1))
    world.wait(5)
    assert world.outcome(first).outcome is Outcome.REJECTED
    world.trade = lambda order: trade(world, order)  # type: ignore[method-assign]  # as before
    return world, next(iter(world.orders.values()))


def fill_late(world: World, order: AtBroker) -> None:
    fill = Fill(FillId(str(world.make())), order.report().broker_id, order.action, 1, world.price, world.now)
    world.fills.append(fill)
    world.net += 1
    world.queue.append(OrderFilled(fill))


def waiting(verb: Verb, rules: Terms) -> tuple[World, SignalId]:
    """An entry that the broker asked to wait, made while the lane was flat; then one contract is held after all."""
    world, late = ended_unfilled()
    world.entries_wait_until = world.now + timedelta(seconds=20)
    entry = world.alert(verb, rules)
    world.wait(5)
    assert any(o.unsent for o in world.lane.orders)
    fill_late(world, late)
    return world, entry


@pytest.mark.parametrize(
    ("verb", "rules", "why"),
    [
        (Verb.SELL, terms(2), "long 1 by now"),
        (Verb.SELL, terms(1), "long 1 by now"),
        (Verb.BUY, terms(2, max_quantity=2), "trimmed from 2 to 1"),
        (Verb.BUY, terms(1, max_quantity=1), "max quantity 1 is reached"),
    ],
)
def test_an_entry_made_for_another_position_is_not_sent(verb: Verb, rules: Terms, why: str) -> None:
    world, entry = waiting(verb, rules)
    world.wait(5)
    world.entries_wait_until = None
    world.wait(30)
    assert why in world.outcome(entry).reason
    assert world.outcome(entry).outcome is Outcome.BLOCKED
    assert (world.held, world.net, [o.quantity for o in world.working()]) == (1, 1, [1])


def test_an_entry_that_still_fits_is_sent() -> None:
    world, entry = waiting(Verb.BUY, terms(2, max_quantity=3))
    world.wait(5)
    world.entries_wait_until = None
    world.wait(30)
    assert world.outcome(entry).outcome is Outcome.FILLED
    assert (world.held, world.net, [o.quantity for o in world.working()]) == (3, 3, [3])


def test_the_second_step_of_a_reversal_is_not_taken_from_a_position_found_late() -> None:
    world, late = ended_unfilled()
    world.alert(Verb.BUY, terms(1))
    world.wait(5)
    world.entries_wait_until = world.now + timedelta(seconds=20)
    reversal = world.alert(Verb.SELL, terms(3))
    world.wait(5)
    assert world.net == 0
    fill_late(world, late)
    world.wait(5)
    world.entries_wait_until = None
    world.wait(30)
    assert world.outcome(reversal).outcome is Outcome.PARTIALLY_FILLED
    assert world.outcome(reversal).reason.startswith("closed, but not reversed: long 1 by now")
    assert (world.held, world.net) == (1, 1)


def in_line(world: World, rules: Terms) -> PlaceOrder:
    """A sell that stands in line for the login's requests and is not answered yet."""
    sent: list[Command] = []

    def stands_in_line(command: Command, event: Event) -> list[Event]:
        if not isinstance(command, PlaceOrder):
            return [event]
        sent.append(command)
        return []

    world.entries_wait_until, world.answer = world.now, stands_in_line
    world.alert(Verb.SELL, rules)
    world.wait(1)
    (command,) = sent
    assert isinstance(command, PlaceOrder)
    assert withdrawn(world.lane, command) is None
    return command


def test_one_that_waits_for_its_turn_is_withdrawn() -> None:
    world, late = ended_unfilled()
    command = in_line(world, terms(2))
    fill_late(world, late)
    world.run()
    assert withdrawn(world.lane, command) == "long 1 by now: it was made for another position"


def test_one_that_waits_for_its_turn_is_withdrawn_when_it_would_trade_against_others() -> None:
    """The exchange undoes the close before it: what stands there again is nobody's of ours."""
    world = holding(1)
    world.alert(Verb.CLOSE)
    world.wait(20)
    close = world.fills[-1]
    command = in_line(world, terms(1))
    world.net = 1
    world.queue.append(FillBusted(close.id, close))
    world.run()
    assert withdrawn(world.lane, command) == "it would trade against +1 MNQZ6 that is not ours"


def test_nothing_that_others_trade_meanwhile_is_taken_for_an_order_that_has_not_left() -> None:
    """Whose a fill is cannot be told while an order of ours has no id at the broker; but this one is not there."""
    world = started()
    command = in_line(world, terms(2))
    world.by_hand(Action.BUY, 1)
    world.run()
    assert withdrawn(world.lane, command) == "it would trade against +1 MNQZ6 that is not ours"
    world.by_hand(Action.SELL, 2)
    world.run()
    assert (withdrawn(world.lane, command) or "").startswith("a position of -1 on MNQZ6 is not ours")
