"""What the simulation of the whole engine found in the core, each as the shortest story that shows it."""

from __future__ import annotations

from justtrades.positions.events import OrderReported
from justtrades.positions.model import OrderType, Outcome, Status, Verb
from tests.positions.lane_world import AtBroker, started, terms


def test_a_stop_without_a_target_takes_no_id_that_the_next_order_gets() -> None:
    world = started()
    for _ in range(2):
        world.alert(Verb.BUY, terms(1, target=None, stop=40))
        world.run()
    ids = [order.client_id for order in world.orders.values()]
    assert len(ids) == len(set(ids)) == 3


def test_an_order_rejected_without_a_reason_ends_its_signal_with_one() -> None:
    world = started()

    def reject(order: AtBroker) -> None:
        order.status = Status.REJECTED
        world.queue.append(OrderReported(order.report()))

    world.trade = reject  # type: ignore[method-assign]  # the same broker in a bad mood
    signal = world.alert(Verb.BUY)
    world.run()
    done = world.outcome(signal)
    assert (done.outcome, done.reason) == (Outcome.REJECTED, "the broker rejected it and named no reason")


def test_a_late_entry_against_the_position_changes_none_of_its_exit_rules() -> None:
    """Both are found late; the second is another recorder's, which asks for no stop."""
    world = started()
    world.hides = True
    lost = [world.alert(Verb.BUY, terms(3, stop=40)), world.alert(Verb.SELL, terms(1), recorder="other")]
    world.wait(45)
    assert {world.outcome(signal).outcome for signal in lost} == {Outcome.NOT_PLACED}
    world.show_hidden()
    world.wait(10)
    assert world.held == world.net == 2
    assert sorted((o.type, o.quantity) for o in world.working()) == [(OrderType.LIMIT, 2), (OrderType.STOP, 2)]
