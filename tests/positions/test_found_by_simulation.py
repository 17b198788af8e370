"""What the simulation of the whole engine found in the core, each as the shortest story that shows it."""

from __future__ import annotations

from justtrades.positions.model import Verb
from tests.positions.lane_world import started, terms


def test_a_stop_without_a_target_takes_no_id_that_the_next_order_gets() -> None:
    world = started()
    for _ in range(2):
        world.alert(Verb.BUY, terms(1, target=None, stop=40))
        world.run()
    ids = [order.client_id for order in world.orders.values()]
    assert len(ids) == len(set(ids)) == 3
