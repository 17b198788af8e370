"""Everything that can come between a call and its answer."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from justtrades.broker.port import (
    ConnectionState,
    NotHandled,
    NotSent,
    Refused,
    Request,
    Sent,
    Synced,
    Unreachable,
)
from justtrades.positions.commands import CancelOrder, PlaceOrder
from justtrades.positions.model import (
    Action,
    BrokerAccountId,
    BrokerOrderId,
    ClientOrderId,
    ContractName,
    Order,
    OrderType,
    Purpose,
)
from justtrades.positions.urgency import Urgency
from tests.broker.tradovate.stub import ACCOUNT, Desk, Stub, desk, ok
from tests.broker.tradovate.virtual import BEGAN, run

PLACE, CANCEL, RENEW = "/order/placeorder", "/order/cancelorder", "/auth/renewaccesstoken"
MINE = BrokerAccountId(str(ACCOUNT))
CONTRACT = ContractName("MNQZ6")


def entry(one: Desk, client_id: str = "jt-1") -> Request:
    market = Order(ClientOrderId(client_id), Purpose.ENTRY, Action.BUY, 1, OrderType.MARKET, BEGAN)
    return one.broker.prepare(PlaceOrder(market.id, market), MINE, CONTRACT)


def cancel(one: Desk) -> Request:
    what = CancelOrder(ClientOrderId("jt-x"), ClientOrderId("jt-1"), BrokerOrderId("7"), Purpose.TARGET)
    return one.broker.prepare(what, MINE, CONTRACT)


def no_gate() -> str | None:
    return None


def with_desk(stub: Stub, work: Any, **settings: Any) -> Any:
    async def whole() -> Any:
        async with desk(stub, **settings) as one:
            await one.until(Synced)
            return await work(one)

    return run(whole())


def test_a_placement_answers_with_its_id_and_completes_its_audit_row() -> None:
    stub = Stub()
    stub.script(PLACE, {"orderId": 601683390102})

    async def work(one: Desk) -> None:
        request = entry(one)
        assert await one.broker.send(request, no_gate) == Sent((BrokerOrderId("601683390102"),))
        (row,) = [row for row in one.ledger.rows if row.id == request.audit_id]
        assert (row.status, row.response) == (200, '{"orderId": 601683390102}')
        assert one.ledger.before_rows == []

    with_desk(stub, work)


def test_a_401_is_answered_with_another_token_once() -> None:
    stub = Stub()
    stub.script(PLACE, httpx.Response(401, text="Access is denied"), {"orderId": 7})

    async def work(one: Desk) -> None:
        assert await one.broker.send(entry(one), no_gate) == Sent((BrokerOrderId("7"),))
        (row,) = one.ledger.before_rows
        assert row.endpoint == PLACE

    with_desk(stub, work)
    assert len(stub.asked(RENEW)) == 1


def test_denied_twice_is_a_refusal_and_costs_one_renewal() -> None:
    stub = Stub()
    stub.script(PLACE, httpx.Response(401, text="Access is denied"))

    async def work(one: Desk) -> None:
        for _ in range(5):
            with pytest.raises(Refused):
                await one.broker.send(entry(one), no_gate)
            await one.broker.picture()

    with_desk(stub, work)
    assert len(stub.asked(RENEW)) == 1


def test_a_killed_session_is_renewed_once_for_all_who_notice() -> None:
    stub = Stub()
    good: set[str] = set()

    def guarded(request: httpx.Request) -> httpx.Response:
        known = request.headers["authorization"] in good
        return ok({"orderId": 7}) if known else httpx.Response(401)

    def renewed(request: httpx.Request) -> httpx.Response:
        good.add("Bearer fresh")
        return ok(stub.token("fresh"))

    stub.script(PLACE, guarded)
    stub.script(RENEW, renewed)

    async def work(one: Desk) -> None:
        sends = (one.broker.send(entry(one, f"jt-{n}"), no_gate) for n in range(10))
        assert len(await asyncio.gather(*sends)) == 10

    with_desk(stub, work)
    assert len(stub.asked(RENEW)) == 1


def test_a_ticket_is_served_with_the_identical_body() -> None:
    stub = Stub()
    stub.script(PLACE, {"p-ticket": "TKT", "p-time": 3}, {"orderId": 7})
    asked: list[float] = []

    async def work(one: Desk) -> None:
        def gate() -> str | None:
            asked.append(asyncio.get_running_loop().time())
            return None

        assert await one.broker.send(entry(one), gate) == Sent((BrokerOrderId("7"),))

    with_desk(stub, work)
    first, second = stub.asked(PLACE)
    assert second == {**first, "p-ticket": "TKT"}
    assert asked[-1] - asked[0] >= 3


def test_a_gate_that_closes_while_a_ticket_is_served_stops_the_entry() -> None:
    stub = Stub()
    stub.script(PLACE, {"p-ticket": "TKT", "p-time": 3}, {"orderId": 7})
    gates = iter([None, "too old"])

    async def work(one: Desk) -> None:
        with pytest.raises(NotSent) as stopped:
            await one.broker.send(entry(one), lambda: next(gates))
        assert stopped.value.final

    with_desk(stub, work)
    assert len(stub.asked(PLACE)) == 1


def test_the_long_ticket_of_an_entry_is_kept_until_the_entry_comes_again() -> None:
    stub = Stub()
    stub.script(PLACE, {"p-ticket": "TKT", "p-time": 25}, {"orderId": 7}, {"orderId": 8})

    async def work(one: Desk) -> None:
        with pytest.raises(NotHandled) as told:
            await one.broker.send(entry(one), no_gate)
        assert told.value.wait == timedelta(seconds=25)
        assert await one.broker.send(entry(one, "jt-other"), no_gate) == Sent((BrokerOrderId("7"),))
        assert await one.broker.send(entry(one), no_gate) == Sent((BrokerOrderId("8"),))

    with_desk(stub, work)
    assert [body.get("p-ticket") for body in stub.asked(PLACE)] == [None, None, "TKT"]


def test_the_long_ticket_of_an_exit_is_waited_for() -> None:
    """An exit that comes again has another id: only the one that waits is the identical request."""
    stub = Stub()
    stub.script(CANCEL, {"p-ticket": "TKT", "p-time": 90}, {"commandId": 8})

    async def work(one: Desk) -> None:
        began = asyncio.get_running_loop().time()
        assert await one.broker.send(cancel(one), no_gate) == Sent()
        assert asyncio.get_running_loop().time() - began == pytest.approx(90, abs=0.1)

    with_desk(stub, work)
    assert stub.asked(CANCEL)[1]["p-ticket"] == "TKT"


def test_a_captcha_stops_the_login_until_a_person_helps() -> None:
    stub = Stub()
    stub.script(PLACE, {"p-ticket": "TKT", "p-time": 19, "p-captcha": True})

    async def work(one: Desk) -> None:
        for request in (entry(one), cancel(one)):
            with pytest.raises(NotHandled) as told:
                await one.broker.send(request, no_gate)
            assert told.value.wait is None
        assert one.broker.health.state is ConnectionState.REFUSED

    with_desk(stub, work)
    assert stub.asked(CANCEL) == []


def test_a_429_of_a_killed_session_is_no_penalty() -> None:
    stub = Stub()
    stub.script(PLACE, httpx.Response(429), {"orderId": 7})

    async def work(one: Desk) -> None:
        assert await one.broker.send(entry(one), no_gate) == Sent((BrokerOrderId("7"),))
        assert one.broker.health.state is ConnectionState.SYNCED

    with_desk(stub, work)
    assert len(stub.asked(RENEW)) == 1


def locked(stub: Stub) -> None:
    for endpoint in (PLACE, CANCEL, "/account/list", "/order/list"):
        stub.script(endpoint, httpx.Response(429))


def test_a_penalty_rests_entries_and_reads_for_its_time() -> None:
    stub = Stub()
    locked(stub)

    async def work(one: Desk) -> None:
        for _ in range(60):
            with pytest.raises(NotHandled) as told:
                await one.broker.send(entry(one), no_gate)
            assert told.value.wait is not None
            assert told.value.wait <= timedelta(seconds=600)
            with pytest.raises(NotHandled):
                await one.broker.picture()
            assert one.broker.health.state is ConnectionState.PENALTY
            await asyncio.sleep(9)
        await asyncio.sleep(120)
        stub.scripts.clear()
        stub.script(PLACE, {"orderId": 7})
        await one.broker.send(entry(one), no_gate)

    with_desk(stub, work, penalty_rest=600.0)
    assert len(stub.asked(PLACE)) == 2
    assert len(stub.asked("/account/list")) == 1


def test_exits_come_again_during_a_penalty_at_growing_distances() -> None:
    stub = Stub()
    locked(stub)

    async def work(one: Desk) -> None:
        loop = asyncio.get_running_loop()
        tries: list[float] = []
        while loop.time() < 1000 + 1800:
            before = len(stub.asked(CANCEL))
            with pytest.raises(NotHandled) as told:
                await one.broker.send(cancel(one), no_gate)
            if len(stub.asked(CANCEL)) > before:
                tries.append(loop.time())
            assert told.value.wait is not None
            assert told.value.wait <= timedelta(seconds=60)
            await asyncio.sleep(max(told.value.wait.total_seconds(), 0.01))
        assert tries[1] - tries[0] <= 2
        assert 20 < len(tries) < 200

    with_desk(stub, work)


def test_an_exit_goes_through_as_soon_as_the_lock_is_gone_and_entries_still_rest() -> None:
    stub = Stub()
    locked(stub)

    async def work(one: Desk) -> None:
        with pytest.raises(NotHandled):
            await one.broker.send(cancel(one), no_gate)
        stub.scripts.clear()
        stub.script(CANCEL, {"commandId": 8})
        await asyncio.sleep(5)
        await one.broker.send(cancel(one), no_gate)
        await one.broker.send(cancel(one), no_gate)
        with pytest.raises(NotHandled):
            await one.broker.send(entry(one), no_gate)

    with_desk(stub, work)


def test_the_reads_an_exit_needs_go_through_together_once_the_lock_is_gone() -> None:
    stub = Stub()
    locked(stub)

    async def work(one: Desk) -> None:
        with pytest.raises(NotHandled):
            await one.broker.picture(Urgency.LOOK)
        stub.scripts.clear()
        await asyncio.sleep(5)
        picture = await one.broker.picture(Urgency.LOOK)
        assert picture.accounts == {MINE}

    with_desk(stub, work)


def test_a_socket_lost_with_a_killed_session_is_back_without_an_hour_of_rest() -> None:
    stub = Stub()
    stub.script(PLACE, httpx.Response(429), {"orderId": 7})

    async def work(one: Desk) -> None:
        stub.socket.breaks()
        await one.broker.send(entry(one), no_gate)
        await one.until(Synced, 2, within=60)

    with_desk(stub, work)


def test_a_423_rests_entries_and_lets_exits_go_on() -> None:
    stub = Stub()
    stub.script(PLACE, httpx.Response(423))
    stub.script(CANCEL, {"commandId": 8})

    async def work(one: Desk) -> None:
        for _ in range(3):
            with pytest.raises(NotHandled):
                await one.broker.send(entry(one), no_gate)
            await one.broker.send(cancel(one), no_gate)
        with pytest.raises(NotHandled):
            await one.broker.picture()
        await one.broker.picture(Urgency.LOOK)

    with_desk(stub, work)
    assert len(stub.asked(PLACE)) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_a_refusing_status_is_a_no(status: int) -> None:
    stub = Stub()
    stub.script(PLACE, httpx.Response(status))

    async def work(one: Desk) -> None:
        with pytest.raises(Refused):
            await one.broker.send(entry(one), no_gate)

    with_desk(stub, work)


@pytest.mark.parametrize(
    "answer", [httpx.Response(408), httpx.Response(500), httpx.Response(200, text="<html>"), httpx.ReadError("gone")]
)
def test_what_nobody_knows_is_sent_once_and_not_again(answer: Any) -> None:
    stub = Stub()
    stub.script(PLACE, answer)

    async def work(one: Desk) -> None:
        with pytest.raises(Unreachable):
            await one.broker.send(entry(one), no_gate)

    with_desk(stub, work)
    assert len(stub.asked(PLACE)) == 1


def test_an_account_the_broker_does_not_list_is_not_traded() -> None:
    stub = Stub()

    async def work(one: Desk) -> None:
        market = Order(ClientOrderId("jt-1"), Purpose.ENTRY, Action.BUY, 1, OrderType.MARKET, BEGAN)
        request = one.broker.prepare(PlaceOrder(market.id, market), BrokerAccountId("404"), CONTRACT)
        with pytest.raises(NotSent):
            await one.broker.send(request, no_gate)

    with_desk(stub, work)
    assert stub.asked(PLACE) == []


def test_an_order_is_not_lost_in_doubt_because_a_log_in_failed() -> None:
    stub = Stub()
    stub.script(PLACE, httpx.Response(401))
    stub.script(RENEW, httpx.ReadError("gone"))

    async def work(one: Desk) -> None:
        with pytest.raises(NotHandled):
            await one.broker.send(entry(one), no_gate)

    with_desk(stub, work)


def test_numbers_leave_exactly_as_they_are() -> None:
    stub = Stub()
    bodies: list[bytes] = []

    def seen(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        return ok({"commandId": 1})

    stub.script(CANCEL, seen)

    async def work(one: Desk) -> None:
        await one.broker.send(cancel(one), no_gate)

    with_desk(stub, work)
    assert json.loads(bodies[0])["orderId"] == 7
