"""The adapter as the engine sees it: reports joined from events in any order, clean looks and pictures."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import suppress
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from justtrades.broker.port import (
    AccountReport,
    BrokerError,
    BustReport,
    FillReport,
    NotSent,
    OrderReport,
    PositionReport,
    Refused,
    Report,
    Synced,
    Unreachable,
)
from justtrades.broker.tradovate import exact
from justtrades.broker.tradovate.entities import Memory
from justtrades.positions.commands import PlaceOrder
from justtrades.positions.model import (
    Action,
    BrokerAccountId,
    ClientOrderId,
    ContractName,
    Order,
    OrderType,
    Purpose,
    Status,
)
from justtrades.positions.urgency import Urgency
from tests.broker.tradovate.stub import (
    ACCOUNT,
    CONTRACT,
    Desk,
    Stub,
    account,
    command,
    desk,
    fill,
    ok,
    order,
    position,
    props,
    version,
)
from tests.broker.tradovate.virtual import BEGAN, run

N = 601683390102
MINE = BrokerAccountId(str(ACCOUNT))
OURS = ClientOrderId("jt-1")


def with_desk(work: Any, stub: Stub | None = None) -> Any:
    async def whole() -> Any:
        async with desk(stub) as one:
            await one.until(Synced)
            return await work(one)

    return run(whole())


# ── reports ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_filled_market_order_is_told_with_our_id_and_its_fill() -> None:
    async def work(one: Desk) -> None:
        say = one.stub.socket.say
        say(
            props("order", order(N, "PendingNew")),
            props("command", command(N, OURS)),
            props("orderVersion", version(N)),
        )
        say(props("fill", fill(N + 3, N)))
        say(props("order", order(N, "Filled"), "Updated"), props("position", position(1)))
        done = await one.until(OrderReport, 3)
        assert (done.account, done.contract) == (MINE, "MNQZ6")
        assert (done.order.client_id, done.order.status, done.order.claimed) == (OURS, Status.FILLED, 1)
        assert one.said(FillReport)[0].fill.price == Decimal("24652.25")
        assert one.said(PositionReport)[0].quantity == 1

    with_desk(work)


def test_a_fill_waits_for_its_order_and_the_order_for_its_command() -> None:
    async def work(one: Desk) -> None:
        say = one.stub.socket.say
        say(props("fill", fill(N + 3, N)))
        await asyncio.sleep(0.3)
        say(props("order", order(N, "Working")))
        await asyncio.sleep(0.3)
        assert one.said(FillReport) == one.said(OrderReport) == []
        say(props("command", command(N, OURS)))
        await one.until(FillReport)
        assert one.said(OrderReport)[0].order.client_id == OURS

    with_desk(work)


def test_what_does_not_come_by_the_socket_is_looked_up() -> None:
    async def work(one: Desk) -> None:
        one.stub.tables["order"] = [order(N, "Filled")]
        one.stub.tables["command"] = [command(N, OURS)]
        one.stub.socket.say(props("fill", fill(N + 3, N)))
        began = asyncio.get_running_loop().time()
        told = await one.until(FillReport)
        assert told.fill.broker_order_id == str(N)
        assert one.said(OrderReport)[0].order.client_id == OURS
        assert asyncio.get_running_loop().time() - began < 3

    with_desk(work)


def test_an_order_of_an_unknown_contract_waits_for_its_name() -> None:
    async def work(one: Desk) -> None:
        one.stub.tables["contract"].append({"id": 9, "name": "ESZ6", "contractMaturityId": 78})
        one.stub.socket.say(props("order", order(N, contractId=9)), props("command", command(N, None)))
        one.stub.socket.say(props("position", position(2, contractId=9)))
        assert (await one.until(OrderReport)).contract == "ESZ6"
        assert (await one.until(PositionReport)).contract == "ESZ6"

    with_desk(work)


def test_a_foreign_order_is_told_without_an_id_of_ours() -> None:
    async def work(one: Desk) -> None:
        one.stub.socket.say(props("order", order(N)), props("command", command(N, None)))
        assert (await one.until(OrderReport)).order.client_id is None

    with_desk(work)


def test_an_order_whose_command_is_nowhere_is_told_after_a_while() -> None:
    async def work(one: Desk) -> None:
        one.stub.socket.say(props("order", order(N)))
        assert (await one.until(OrderReport, within=10)).order.client_id is None

    with_desk(work)


def test_a_rejection_is_told_with_the_reason_that_comes_after_it() -> None:
    report = {"id": N + 1, "commandId": N, "commandStatus": "RiskRejected", "rejectReason": "MaxOrderQtyLimitReached"}

    async def work(one: Desk) -> None:
        say = one.stub.socket.say
        say(props("order", order(N, "Rejected")), props("command", command(N, OURS)))
        await asyncio.sleep(0.1)
        say(props("commandReport", {**report, "text": "Your maximum order quantity has been met."}))
        told = await one.until(OrderReport)
        assert (told.order.status, told.order.reason) == (Status.REJECTED, "MaxOrderQtyLimitReached")
        assert len(one.said(OrderReport)) == 1

    with_desk(work)


def test_a_rejection_without_a_reason_is_looked_up_and_told_soon_even_so() -> None:
    async def work(one: Desk) -> None:
        one.stub.socket.say(props("order", order(N, "Rejected")), props("command", command(N, OURS)))
        told = await one.until(OrderReport, within=3)
        assert told.order.reason is None
        assert one.stub.asked("/commandReport/ldeps")

    with_desk(work)


def test_a_bust_is_told_once() -> None:
    async def work(one: Desk) -> None:
        say = one.stub.socket.say
        say(props("order", order(N, "Filled")), props("command", command(N, OURS)), props("fill", fill(N + 3, N)))
        for _ in range(2):
            say(props("fill", fill(N + 3, N, active=False), "Updated"))
        bust = await one.until(BustReport)
        await asyncio.sleep(1)
        assert (bust.fill_id, len(one.said(BustReport)), len(one.said(FillReport))) == (str(N + 3), 1, 1)
        assert bust.fill == one.said(FillReport)[0].fill

    with_desk(work)


def test_a_bust_that_no_event_told_is_found_in_the_lists() -> None:
    stub = Stub()
    placed(stub)

    async def work(one: Desk) -> None:
        await one.broker.picture()
        told = await one.until(FillReport)
        stub.tables["fill"] = [fill(N + 3, N, active=False)]
        assert not [f for lane in (await one.broker.picture()).lanes for f in lane.fills]
        assert (await one.until(BustReport)).fill == told.fill

    with_desk(work, stub)


def test_partial_and_batched_entities_are_merged_by_id() -> None:
    async def work(one: Desk) -> None:
        say = one.stub.socket.say
        say(props("order", [order(N), order(N + 50)]), props("command", [command(N, OURS), command(N + 50, "jt-2")]))
        say(props("order", {"id": N, "ordStatus": "Canceled"}, "Updated"))
        await one.until(OrderReport, 3)
        last = one.said(OrderReport)[-1].order
        assert (last.client_id, last.status, last.action) == (OURS, Status.CANCELED, Action.BUY)

    with_desk(work)


def test_an_account_that_gets_locked_and_free_again_is_told_both_times() -> None:
    async def work(one: Desk) -> None:
        risk = {"id": ACCOUNT, "adminAction": "LockTradingImmediately"}
        one.stub.socket.say(props("accountRiskStatus", risk, "Updated"))
        locked = await one.until(AccountReport, 2)
        one.stub.socket.say(props("accountRiskStatus", {"id": ACCOUNT}, "Updated"))
        free = await one.until(AccountReport, 3)
        assert (locked.account.active, locked.account.why) == (False, "locked by the broker")
        assert free.account.active

    with_desk(work)


def test_an_older_row_of_a_position_is_no_news() -> None:
    async def work(one: Desk) -> None:
        say = one.stub.socket.say
        say(props("position", position(2)))
        say(props("position", position(0, id=3, tradeDate={"year": 2026, "month": 11, "day": 20})))
        await asyncio.sleep(1)
        assert [report.quantity for report in one.said(PositionReport)] == [2]

    with_desk(work)


EVENTS: list[tuple[str, dict[str, Any]]] = [
    ("order", order(N, "PendingNew")),
    ("command", command(N, OURS)),
    ("orderVersion", version(N, orderQty=3)),
    ("commandReport", {"id": N + 1, "commandId": N, "commandStatus": "RiskPassed"}),
    ("order", order(N, "Working")),
    ("fill", fill(N + 3, N)),
    ("executionReport", {"id": N + 4, "commandId": N, "orderId": N, "execType": "Trade", "cumQty": 1}),
    ("fill", fill(N + 5, N, qty=2)),
    ("executionReport", {"id": N + 6, "commandId": N, "orderId": N, "execType": "Trade", "cumQty": 3}),
    ("order", order(N, "Filled")),
]


def told(events: list[tuple[str, dict[str, Any]]]) -> list[Report]:
    memory = Memory()
    memory.merge("contract", {"id": CONTRACT, "name": "MNQZ6"})
    said: list[Report] = []
    for kind, row in events:
        memory.merge(kind, exact.loads(json.dumps(row)))
        said += memory.due(0.0)
    return said


@settings(max_examples=100, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 5))
def test_events_in_any_order_and_any_number_end_the_same(rng: random.Random, repeats: int) -> None:
    events = EVENTS + rng.choices(EVENTS, k=repeats)
    rng.shuffle(events)
    said = told(events)
    last = [report.order for report in said if isinstance(report, OrderReport)][-1]
    assert (last.client_id, last.status, last.quantity, last.claimed) == (OURS, Status.FILLED, 3, 3)
    fills = [report.fill.id for report in said if isinstance(report, FillReport)]
    assert sorted(fills) == [str(N + 3), str(N + 5)]
    assert isinstance(said[0], OrderReport)


def test_what_is_long_over_is_forgotten() -> None:
    memory = Memory()
    memory.merge("contract", {"id": CONTRACT, "name": "MNQZ6"})
    for kind, row in EVENTS:
        memory.merge(kind, {**row, "timestamp": "2026-11-20T10:00:00Z"})
    memory.due(0.0)
    memory.forget(BEGAN)
    assert memory.order(N) is None
    assert memory.parts(N).fills == []


# ── questions ────────────────────────────────────────────────────────────────────────────────────────────


def test_accounts_are_listed_with_what_bars_them() -> None:
    stub = Stub()
    stub.tables["account"] = [account(), account(2, active=False), account(3)]
    stub.tables["accountRiskStatus"] = [{"id": 3, "liquidateOnly": "2026-11-23T14:00:00Z"}]

    async def work(one: Desk) -> None:
        found = {a.id: a.why for a in await one.broker.accounts()}
        assert found == {MINE: None, "2": "not active", "3": "liquidation only"}

    with_desk(work, stub)


def test_a_key_that_may_not_read_risk_statuses_still_sees_its_accounts() -> None:
    stub = Stub()
    stub.script("/accountRiskStatus/list", httpx.Response(404), httpx.Response(401, text="Access is denied"))

    async def work(one: Desk) -> None:
        assert [a.id for a in await one.broker.accounts()] == [MINE]
        assert [a.id for a in await one.broker.accounts()] == [MINE]

    with_desk(work, stub)


def test_an_account_that_leaves_the_list_may_not_trade_any_more() -> None:
    stub = Stub()
    stub.tables["account"] = [account(), account(2)]

    async def work(one: Desk) -> None:
        await one.until(AccountReport, 2)
        stub.tables["account"] = [account()]
        picture = await one.broker.picture()
        assert picture.accounts == {MINE}
        gone = await one.until(AccountReport, 3)
        assert (gone.account.id, gone.account.why) == ("2", "not listed by the broker")

    with_desk(work, stub)


def test_a_contract_comes_with_its_products_facts_and_is_asked_for_once() -> None:
    async def work(one: Desk) -> None:
        for _ in range(2):
            found = await one.broker.contract(ContractName("MNQZ6"))
            assert (found.id, found.tick_size, found.point_value) == (CONTRACT, Decimal("0.25"), Decimal(2))
            assert found.expires_at is not None
        assert len(one.stub.asked("/contract/find")) == 1
        with pytest.raises(Refused):
            await one.broker.contract(ContractName("MNQ1!"))

    with_desk(work)


def placed(stub: Stub, status: str = "Filled") -> None:
    stub.tables["order"] = [order(N, status), order(N + 50, "Working")]
    stub.tables["command"] = [command(N, OURS), command(N + 50, None)]
    stub.tables["orderVersion"] = [version(N), version(N + 50, orderType="Limit", price=24000.5)]
    stub.tables["fill"] = [fill(N + 3, N)]
    stub.tables["position"] = [position(1)]


def test_a_look_finds_our_order_with_its_fills() -> None:
    stub = Stub()

    async def work(one: Desk) -> None:
        placed(stub)
        orders, fills = await one.broker.look(MINE, (OURS, ClientOrderId("jt-2")))
        assert [(o.client_id, o.status, o.quantity) for o in orders] == [(OURS, Status.FILLED, 1)]
        assert [f.id for f in fills] == [str(N + 3)]

    with_desk(work, stub)


def test_a_look_that_finds_nothing_is_two_reads() -> None:
    stub = Stub()

    async def work(one: Desk) -> None:
        placed(stub)
        stub.calls.clear()
        assert await one.broker.look(MINE, (ClientOrderId("jt-9"),)) == ((), ())
        assert [endpoint for endpoint, _ in stub.calls] == ["/order/deps", "/command/ldeps"]

    with_desk(work, stub)


@pytest.mark.parametrize("endpoint", ["/order/deps", "/command/ldeps", "/fill/ldeps", "/orderVersion/ldeps"])
@pytest.mark.parametrize("answer", [httpx.Response(500), httpx.Response(200, text="{}"), httpx.ReadError("gone")])
def test_a_look_that_fails_anywhere_is_not_a_negative(endpoint: str, answer: Any) -> None:
    stub = Stub()
    stub.script(endpoint, answer)

    async def work(one: Desk) -> None:
        placed(stub)
        with pytest.raises(BrokerError):
            await one.broker.look(MINE, (OURS,))

    with_desk(work, stub)


def test_a_look_older_than_what_the_socket_told_is_not_a_negative() -> None:
    stub = Stub()

    async def work(one: Desk) -> None:
        one.stub.socket.say(props("order", order(N)), props("command", command(N, OURS)))
        await one.until(OrderReport)
        with pytest.raises(Unreachable):
            await one.broker.look(MINE, (ClientOrderId("jt-9"),))

    with_desk(work, stub)


def test_orders_of_the_snapshot_need_not_be_listed_any_more() -> None:
    stub = Stub()
    placed(stub)

    async def work(one: Desk) -> None:
        stub.tables["order"] = []
        assert await one.broker.look(MINE, (OURS,)) == ((), ())

    with_desk(work, stub)


def test_an_order_listed_without_its_command_is_not_a_negative() -> None:
    stub = Stub()

    async def work(one: Desk) -> None:
        stub.tables["order"] = [order(N)]
        with pytest.raises(Unreachable):
            await one.broker.look(MINE, (OURS,))

    with_desk(work, stub)


def test_a_picture_shows_orders_fills_and_net_position_by_lane() -> None:
    stub = Stub()

    async def work(one: Desk) -> None:
        placed(stub)
        stub.tables["contract"].append({"id": 9, "name": "ESZ6", "contractMaturityId": 78})
        stub.tables["position"] += [position(-2, id=6, contractId=9), position(0, id=8, contractId=10)]
        picture = await one.broker.picture()
        es, mnq = sorted(picture.lanes, key=lambda lane: lane.contract)
        assert (es.contract, es.quantity, es.orders) == ("ESZ6", -2, ())
        assert (mnq.quantity, [o.status for o in mnq.orders]) == (1, [Status.FILLED, Status.WORKING])
        assert [o.client_id for o in mnq.orders] == [OURS, None]
        assert [f.id for f in mnq.fills] == [str(N + 3)]

    with_desk(work, stub)


def test_a_picture_never_covers_an_account_that_is_not_listed() -> None:
    stub = Stub()

    async def work(one: Desk) -> None:
        placed(stub)
        stub.tables["position"].append(position(7, id=6, accountId=666))
        stub.tables["account"] = []
        picture = await one.broker.picture()
        assert (picture.accounts, picture.lanes) == (frozenset(), ())

    with_desk(work, stub)


@pytest.mark.parametrize(
    "endpoint", ["/account/list", "/order/list", "/fill/list", "/position/list", "/orderVersion/ldeps"]
)
def test_a_picture_that_fails_anywhere_is_no_picture(endpoint: str) -> None:
    stub = Stub()
    stub.script(endpoint, httpx.Response(500))

    async def work(one: Desk) -> None:
        placed(stub)
        with pytest.raises(BrokerError):
            await one.broker.picture()

    with_desk(work, stub)


def test_pictures_asked_for_at_once_are_one_and_none_began_before_it_was_asked_for() -> None:
    stub = Stub(seconds=1.0)

    async def work(one: Desk) -> None:
        stub.calls.clear()
        early = [asyncio.create_task(one.broker.picture()) for _ in range(5)]
        await asyncio.sleep(0.5)
        late = [asyncio.create_task(one.broker.picture()) for _ in range(5)]
        first, *_ = await asyncio.gather(*early)
        second, *_ = await asyncio.gather(*late)
        assert second.began_at > first.began_at
        assert len(stub.asked("/order/list")) == 2

    with_desk(work, stub)


def test_an_idle_picture_costs_four_reads() -> None:
    stub = Stub()

    async def work(one: Desk) -> None:
        stub.calls.clear()
        await one.broker.picture()
        assert len(stub.calls) == 4

    with_desk(work, stub)


def test_an_answer_binds_the_order_before_its_command_is_heard() -> None:
    stub = Stub()
    stub.script("/order/placeorder", {"orderId": N})

    async def work(one: Desk) -> None:
        market = Order(OURS, Purpose.ENTRY, Action.BUY, 1, OrderType.MARKET, BEGAN)
        request = one.broker.prepare(PlaceOrder(OURS, market), MINE, ContractName("MNQZ6"))
        await one.broker.send(request, lambda: None)
        one.stub.socket.say(props("order", order(N, "Working")))
        assert (await one.until(OrderReport, within=0.5)).order.client_id == OURS

    with_desk(work, stub)


def test_every_event_is_in_the_audit() -> None:
    async def work(one: Desk) -> None:
        one.stub.socket.say(props("fill", fill(N + 3, N)), props("cashBalance", {"id": 1, "amount": 50455.68}))
        await asyncio.sleep(1)
        heard = {row.endpoint: row.response for row in one.ledger.rows if row.method == "EVENT"}
        assert "50455.68" in (heard["props/fill+cashBalance"] or "")
        assert {"user/syncrequest", "props/fill+cashBalance"} <= set(heard)

    with_desk(work)


def test_a_contract_is_asked_for_once_however_many_lanes_wait_for_it() -> None:
    stub = Stub()

    async def whole() -> None:
        async with desk(stub) as one:
            await one.until(Synced)
            found = await asyncio.gather(*(one.broker.contract(ContractName("MNQZ6")) for _ in range(20)))
            assert len(set(found)) == 1

    run(whole())
    assert [len(stub.asked(f"/{what}")) for what in ("contract/find", "contractMaturity/item", "product/item")] == [
        1
    ] * 3


def test_pictures_of_many_lanes_that_fail_are_tried_no_more_often_than_one() -> None:
    """A server that is down for an hour: forty lanes that hold something ask again and again."""
    stub = Stub()
    stub.script("/position/list", httpx.Response(503))

    async def lane(one: Desk) -> None:
        for _ in range(60):
            with pytest.raises(Unreachable):
                await one.broker.picture(Urgency.LOOK)
            await asyncio.sleep(60)

    async def whole() -> None:
        async with desk(stub) as one:
            await one.until(Synced)
            began = asyncio.get_running_loop().time()
            await asyncio.gather(*(lane(one) for _ in range(40)))
            hours = (asyncio.get_running_loop().time() - began) / 3600
            assert len(stub.asked("/position/list")) < 300 * hours
            stub.script("/position/list", ok([]))
            stub.scripts["/position/list"].popleft()
            at = asyncio.get_running_loop().time()
            await one.broker.picture(Urgency.CLOSE)
            assert asyncio.get_running_loop().time() - at <= 16
            await one.broker.picture(Urgency.CLOSE)
            assert asyncio.get_running_loop().time() - at <= 17

    run(whole())


def test_a_comparison_that_found_no_room_in_the_budget_delays_no_picture_that_a_close_waits_for() -> None:
    async def whole() -> float:
        async with desk(Stub(), budget_per_hour=10) as one:
            await one.until(Synced)
            for _ in range(10):
                with suppress(NotSent):
                    await one.broker.picture(Urgency.RECONCILE)
            with pytest.raises(NotSent):
                await one.broker.picture(Urgency.RECONCILE)
            began = asyncio.get_running_loop().time()
            await one.broker.picture(Urgency.CLOSE)
            return asyncio.get_running_loop().time() - began

    assert run(whole()) < 1
