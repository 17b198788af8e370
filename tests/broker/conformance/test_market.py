"""Market orders: what a yes means, which reports follow, and what the gate stops."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from justtrades.broker.port import NotSent, OrderReport, PositionReport
from justtrades.positions.commands import PlaceOrder
from justtrades.positions.model import Action, BrokerAccountId, ContractName, OrderType, Purpose, Status
from tests.broker.conformance.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_yes_names_one_order(stage: Stage) -> None:
    sent = await stage.place(stage.entry())
    assert len(sent.broker_ids) == 1
    assert sent.broker_ids[0].isdigit()


async def test_the_order_is_told_filled_under_our_id(stage: Stage) -> None:
    order = stage.entry()
    sent = await stage.place(order)
    done = await stage.status(order.id, Status.FILLED)
    assert (done.account, done.contract) == (stage.account.id, stage.contract.name)
    assert done.order.broker_id == sent.broker_ids[0]
    assert done.order.claimed in (0, 1)  # the status may come before the fill


async def test_its_fill_is_told_with_quantity_price_and_time(stage: Stage) -> None:
    order = stage.entry()
    await stage.place(order)
    fill = (await stage.fills(order.id))[0].fill
    assert (fill.action, fill.quantity, fill.broker_order_id) == (Action.BUY, 1, stage.placed[order.id])
    assert fill.price % stage.contract.tick_size == 0
    assert abs(fill.at - datetime.now(UTC)) < timedelta(minutes=2)


async def test_a_fill_is_told_once(stage: Stage) -> None:
    order = await stage.enter()
    await stage.leave()
    assert len(await stage.fills(order.id)) == 1


async def test_a_buy_makes_the_position_long_and_a_sell_flat(stage: Stage) -> None:
    await stage.enter(Action.BUY)
    assert stage.quantity == 1
    await stage.leave()
    assert stage.said(PositionReport)[-1].quantity == 0


async def test_a_sell_makes_it_short(stage: Stage) -> None:
    await stage.enter(Action.SELL)
    assert stage.quantity == -1
    await stage.leave()


async def test_a_report_of_the_position_is_dated(stage: Stage) -> None:
    await stage.enter()
    assert abs(stage.said(PositionReport)[-1].at - datetime.now(UTC)) < timedelta(minutes=2)


async def test_a_closed_gate_lets_nothing_out(stage: Stage) -> None:
    order = stage.entry()
    with pytest.raises(NotSent) as stopped:
        await stage.send(PlaceOrder(order.id, order), lambda: "the kill switch is on")
    assert stopped.value.final
    orders, fills = await stage.broker.look(stage.account.id, (order.id,))
    assert (orders, fills) == ((), ())


async def test_the_gate_is_asked_once_and_before_the_write(stage: Stage) -> None:
    asked: list[int] = []

    def gate() -> str | None:
        asked.append(len(stage.said(OrderReport, lambda r: r.order.client_id == order.id)))
        return None

    order = stage.entry()
    await stage.send(PlaceOrder(order.id, order), gate)
    await stage.fills(order.id)
    assert asked == [0]


async def test_an_account_of_somebody_else_gets_no_order(stage: Stage) -> None:
    order = stage.entry()
    request = stage.broker.prepare(PlaceOrder(order.id, order), BrokerAccountId("1"), stage.contract.name)
    with pytest.raises(NotSent, match="does not list"):
        await stage.broker.send(request, lambda: None)


async def test_an_order_for_no_contract_is_never_a_yes(stage: Stage) -> None:
    order = stage.entry()
    real, stage.contract = stage.contract, replace(stage.contract, name=ContractName("MNQ1!"))
    try:
        assert await stage.refused(order)
    finally:
        stage.contract = real
    await stage.holds(0)


async def test_every_request_says_whose_it_is_and_that_a_machine_sends_it(stage: Stage) -> None:
    order = stage.entry()
    body = stage.request(PlaceOrder(order.id, order)).body
    assert (body["accountSpec"], body["accountId"]) == (stage.account.name, int(stage.account.id))
    assert body["isAutomated"] is True
    assert body["clOrdId"] == order.id


async def test_the_audit_holds_request_and_answer_of_a_placement(stage: Stage) -> None:
    order = stage.entry()
    sent = await stage.place(order)
    row = next(row for row in stage.audit.calls("/order/placeorder") if row.order_id == order.id)
    assert row.status == 200
    assert row.duration_ms is not None
    assert row.duration_ms >= 0
    assert sent.broker_ids[0] in (row.response or "")
    assert order.id in (row.request or "")


async def test_every_frame_of_events_is_in_the_audit(stage: Stage) -> None:
    before = len(stage.audit.events("props/"))
    await stage.enter()
    assert len(stage.audit.events("props/")) > before


async def test_two_orders_at_once_get_each_their_own_answer(stage: Stage) -> None:
    one = stage.target(await stage.far(1))
    other = stage.target(await stage.far(1, further=4))
    await asyncio.gather(stage.rest(one), stage.rest(other))
    prices = {o.client_id: o.price for o in (await stage.picture()).orders}
    assert (prices[one.id], prices[other.id]) == (one.price, other.price)


async def test_a_limit_the_market_has_reached_fills_at_its_price_or_better(stage: Stage) -> None:
    above = await stage.far(1)
    order = stage.order(Purpose.ENTRY, Action.BUY, OrderType.LIMIT, above)
    await stage.place(order)
    assert (await stage.fills(order.id))[0].fill.price <= above


async def test_a_price_off_the_tick_is_refused(stage: Stage) -> None:
    order = stage.target(await stage.far(1) + Decimal("0.1"))
    assert await stage.refused(order)
