"""Targets and stops at the broker: placed, moved, cancelled, paired, and liquidated over."""

from __future__ import annotations

from contextlib import suppress

import pytest

from justtrades.broker.port import BrokerError, Refused
from justtrades.positions.commands import CancelOrder, PlaceOrder
from justtrades.positions.model import Action, BrokerOrderId, OrderType, Purpose, Status
from tests.broker.conformance.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_target_rests_working_at_its_price(stage: Stage) -> None:
    order = await stage.rest(stage.target(await stage.far(1)))
    told = await stage.status(order.id, Status.WORKING)
    assert (told.order.price, told.order.quantity, told.order.order_type) == (order.price, 1, OrderType.LIMIT)
    assert told.order.action is Action.SELL


async def test_a_target_of_a_short_rests_below(stage: Stage) -> None:
    order = await stage.rest(stage.target(await stage.far(-1), Action.BUY))
    assert (await stage.status(order.id, Status.WORKING)).order.action is Action.BUY


async def test_a_stop_rests_at_its_trigger(stage: Stage) -> None:
    order = await stage.rest(stage.loss(await stage.far(-1)))
    told = (await stage.status(order.id, Status.WORKING)).order
    assert (told.price, told.order_type) == (order.price, OrderType.STOP)


async def test_exits_outlive_the_session(stage: Stage) -> None:
    order = stage.target(await stage.far(1))
    assert stage.request(PlaceOrder(order.id, order)).body["timeInForce"] == "GTC"


async def test_resting_orders_do_not_fill(stage: Stage) -> None:
    await stage.rest(stage.target(await stage.far(1)))
    assert (await stage.picture()).quantity == 0


async def test_a_moved_target_is_told_at_its_new_price(stage: Stage) -> None:
    order = await stage.rest(stage.target(await stage.far(1)))
    price = await stage.far(1, further=8)
    await stage.modify(order, price)
    moved = await stage.until_price(order, price)
    assert moved.order.broker_id == stage.placed[order.id]
    assert moved.order.version > 0


async def test_the_last_of_two_moves_counts(stage: Stage) -> None:
    order = await stage.rest(stage.target(await stage.far(1)))
    first, last = await stage.far(1, further=4), await stage.far(1, further=12)
    await stage.modify(order, first)
    await stage.until_price(order, first)
    await stage.modify(order, last)
    await stage.until_price(order, last)
    assert [o.price for o in (await stage.picture()).orders if o.client_id == order.id] == [last]


async def test_the_quantity_of_a_target_can_change(stage: Stage) -> None:
    order = await stage.rest(stage.target(await stage.far(1), quantity=2))
    assert order.price is not None
    await stage.modify(order, order.price, quantity=1)
    await stage.until_quantity(order, 1)


async def test_a_moved_stop_stays_a_stop(stage: Stage) -> None:
    order = await stage.rest(stage.loss(await stage.far(-1)))
    price = await stage.far(-1, further=8)
    await stage.modify(order, price)
    assert (await stage.until_price(order, price)).order.order_type is OrderType.STOP


async def test_a_cancelled_target_is_told_and_gone(stage: Stage) -> None:
    order = await stage.rest(stage.target(await stage.far(1)))
    await stage.cancel(order)
    await stage.status(order.id, Status.CANCELED)
    assert [o for o in (await stage.picture()).orders if o.client_id == order.id and not o.status.ended] == []


async def test_a_second_cancel_is_too_late(stage: Stage) -> None:
    order = await stage.rest(stage.target(await stage.far(1)))
    await stage.cancel(order)
    await stage.status(order.id, Status.CANCELED)
    with pytest.raises(Refused):
        await stage.cancel(order)


async def test_a_filled_order_cannot_be_cancelled(stage: Stage) -> None:
    order = await stage.enter()
    with pytest.raises(Refused):
        await stage.cancel(order)


async def test_a_cancelled_order_cannot_be_moved(stage: Stage) -> None:
    order = await stage.rest(stage.target(await stage.far(1)))
    await stage.cancel(order)
    await stage.status(order.id, Status.CANCELED)
    with pytest.raises(BrokerError):
        await stage.modify(order, await stage.far(1, further=8))


async def test_an_order_that_does_not_exist_cannot_be_cancelled(stage: Stage) -> None:
    command = CancelOrder(stage.new_id(), stage.new_id(), BrokerOrderId("7"), Purpose.TARGET)
    with pytest.raises(BrokerError):
        await stage.send(command)


# ── pairs ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_pair_is_two_orders_with_an_id_of_ours_each(stage: Stage) -> None:
    target, loss = stage.target(await stage.far(1)), stage.loss(await stage.far(-1))
    await stage.rest(target, loss)
    assert len({stage.placed[target.id], stage.placed[loss.id]}) == 2


async def test_both_of_a_pair_are_found_by_our_ids(stage: Stage) -> None:
    target, loss = stage.target(await stage.far(1)), stage.loss(await stage.far(-1))
    await stage.rest(target, loss)
    found, _ = await stage.broker.look(stage.account.id, (target.id, loss.id))
    assert {o.client_id: o.price for o in found} == {target.id: target.price, loss.id: loss.price}


async def test_one_of_a_pair_moves_and_the_other_stays(stage: Stage) -> None:
    target, loss = stage.target(await stage.far(1)), stage.loss(await stage.far(-1))
    await stage.rest(target, loss)
    price = await stage.far(1, further=8)
    await stage.modify(target, price)
    await stage.until_price(target, price)
    prices = {o.client_id: o.price for o in (await stage.picture()).orders}
    assert (prices[target.id], prices[loss.id]) == (price, loss.price)


async def test_when_one_of_a_pair_fills_the_other_is_cancelled(stage: Stage) -> None:
    await stage.enter()
    target, loss = stage.target(await stage.far(1)), stage.loss(await stage.far(-1))
    await stage.rest(target, loss)
    await stage.modify(target, await stage.far(-1, further=40))  # the market is there already
    await stage.fills(target.id)
    await stage.status(loss.id, Status.CANCELED)
    await stage.holds(0)


async def test_both_of_a_pair_can_be_cancelled(stage: Stage) -> None:
    target, loss = stage.target(await stage.far(1)), stage.loss(await stage.far(-1))
    await stage.rest(target, loss)
    await stage.tidy()
    assert [o for o in (await stage.picture()).orders if not o.status.ended] == []


# ── liquidation ──────────────────────────────────────────────────────────────────────────────────────────


async def test_liquidation_makes_it_flat(stage: Stage) -> None:
    await stage.enter()
    await stage.liquidate()
    await stage.holds(0)
    assert (await stage.picture()).quantity == 0


async def test_liquidation_of_a_short_makes_it_flat(stage: Stage) -> None:
    await stage.enter(Action.SELL)
    await stage.liquidate()
    await stage.holds(0)


async def test_liquidation_cancels_what_rests(stage: Stage) -> None:
    await stage.enter()
    order = await stage.rest(stage.target(await stage.far(1)))
    await stage.liquidate()
    await stage.status(order.id, Status.CANCELED)
    await stage.holds(0)


async def test_liquidation_when_flat_opens_nothing(stage: Stage) -> None:
    with suppress(BrokerError):  # what a real one answers is not documented: anything but a position is right
        await stage.liquidate()
    assert (await stage.picture()).quantity == 0
