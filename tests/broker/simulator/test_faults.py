"""Faults: matched purely, carried out over real connections, and never at the price of the ledger's truth."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import websockets

from justtrades.broker.simulator.faults import Fault, Faults, Kind, parse_fault
from tests.broker.simulator.client import Rest, connected, synced, trading


@pytest.fixture
async def rest(tmp_path: Path) -> AsyncIterator[Rest]:
    async with trading(tmp_path) as client:
        yield client


async def orders(rest: Rest) -> int:
    return len((await rest.ledger())["order"])


# ── matching ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_fault_hits_the_nth_call_of_its_endpoint_and_then_no_more() -> None:
    faults = Faults()
    faults.arm(Fault(Kind.EMPTY, "a", nth=2))
    hits = [faults.take(endpoint) is not None for endpoint in ("a", "b", "a", "a")]
    assert hits == [False, False, True, False]


def test_a_fault_may_hit_several_times_in_a_row() -> None:
    faults = Faults()
    faults.arm(Fault(Kind.EMPTY, "a", times=2))
    assert [faults.take("a") is not None for _ in range(3)] == [True, True, False]


def test_two_faults_on_one_endpoint_hit_one_call_each() -> None:
    faults = Faults()
    faults.arm(Fault(Kind.EMPTY, "a"))
    faults.arm(Fault(Kind.HTML, "a"))
    assert [fault.kind for _ in range(2) if (fault := faults.take("a"))] == [Kind.EMPTY, Kind.HTML]


def test_a_fault_without_an_endpoint_hits_any() -> None:
    faults = Faults()
    faults.arm(parse_fault({"fault": "status:503"}))
    hit = faults.take("account/list")
    assert hit is not None
    assert hit.word(0) == "503"


@pytest.mark.parametrize("text", ["", "nonsense", "stall:soon"])
def test_a_fault_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"Kind|float"):
        parse_fault({"fault": text})


# ── calls ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_lost_request_does_nothing(rest: Rest) -> None:
    await rest.fault("lose_request")
    with pytest.raises(httpx.TransportError):
        await rest.order()
    assert await orders(rest) == 0
    assert "orderId" in await rest.order()


async def test_a_cut_call_is_no_mistake_of_the_server(rest: Rest, caplog: pytest.LogCaptureFixture) -> None:
    for fault in ("lose_request", "lose_answer"):
        await rest.fault(fault)
        with pytest.raises(httpx.TransportError):
            await rest.order()
    await rest.get("account/list")
    assert caplog.records == []


async def test_a_lost_answer_leaves_the_order_filled_and_told(rest: Rest) -> None:
    async with synced(rest) as socket:
        await rest.fault("lose_answer")
        with pytest.raises(httpx.TransportError):
            await rest.order(clOrdId="lost")
        assert (await socket.event("command"))["clOrdId"] == "lost"
        await socket.event("fill")
    assert await orders(rest) == 1


async def test_a_stalled_answer_outlives_the_clients_patience(rest: Rest) -> None:
    await rest.fault("stall:30")
    with pytest.raises(httpx.ReadTimeout):
        await rest.http.post(
            "/v1/order/placeorder",
            headers={"Authorization": f"Bearer {rest.token}"},
            json={"accountId": rest.account["id"], "symbol": "MNQZ6", "action": "Buy", "orderQty": 1}
            | {"orderType": "Market"},
            timeout=0.2,
        )
    assert await orders(rest) == 1


@pytest.mark.parametrize(("when", "placed"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize(("fault", "status", "text"), [("status:500", 500, ""), ("empty", 200, "{}")])
async def test_an_error_may_come_before_or_after_the_act(
    rest: Rest, when: str, placed: int, fault: str, status: int, text: str
) -> None:
    await rest.fault(fault, when=when)
    body = {"accountId": rest.account["id"], "symbol": "MNQZ6", "action": "Buy", "orderQty": 1}
    answer = await rest.raw("POST", "order/placeorder", json=body | {"orderType": "Market"})
    assert (answer.status_code, answer.text) == (status, text)
    assert await orders(rest) == placed


@pytest.mark.parametrize(("status", "placed"), [("401", 0), ("423", 0), ("429", 0), ("408", 1), ("503", 1)])
async def test_a_status_that_turns_a_request_away_is_not_done_unless_told_so(
    rest: Rest, status: str, placed: int
) -> None:
    await rest.fault(status)
    body = {"accountId": rest.account["id"], "symbol": "MNQZ6", "action": "Buy", "orderQty": 1}
    answer = await rest.raw("POST", "order/placeorder", json=body | {"orderType": "Market"})
    assert (answer.status_code, await orders(rest)) == (int(status), placed)


async def test_a_429_has_no_body_and_on_the_socket_no_d(rest: Rest) -> None:
    await rest.fault("429", "account/list", when="before", times=2)
    answer = await rest.raw("GET", "account/list")
    assert (answer.status_code, answer.content) == (429, b"")
    async with connected(rest) as socket:
        await socket.ask("authorize", body=rest.token)
        assert await socket.ask("account/list") == {"s": 429, "i": 2}


async def test_html_may_come_instead_of_json(rest: Rest) -> None:
    await rest.fault("html:502")
    answer = await rest.raw("POST", "order/placeorder", json={})
    assert (answer.status_code, answer.text[:6]) == (502, "<html>")


async def test_a_failure_has_the_reason_asked_for_and_does_nothing(rest: Rest) -> None:
    await rest.fault("failure:RiskCheckTimeout:Took: too long")
    assert await rest.order() == {"failureReason": "RiskCheckTimeout", "failureText": "Took: too long"}
    assert await orders(rest) == 0


async def test_a_late_rejection_comes_as_events_after_an_order_id(rest: Rest) -> None:
    async with synced(rest) as socket:
        await rest.fault("late_reject:MaxOrderQtyLimitReached:Your maximum order quantity has been met.")
        order = (await rest.order())["orderId"]
        report = await socket.event("commandReport", commandStatus="RiskRejected")
        assert report["rejectReason"] == "MaxOrderQtyLimitReached"
        assert (await socket.event("order", ordStatus="Rejected"))["id"] == order


async def test_the_exchange_may_cancel_an_accepted_market_order(rest: Rest) -> None:
    await rest.fault("exchange_cancel")
    order = (await rest.order())["orderId"]
    assert (await rest.get("order/item", id=order))["ordStatus"] == "Canceled"
    assert await rest.get("position/list") == []


async def test_a_penalty_demands_its_ticket(rest: Rest) -> None:
    await rest.fault("penalty:0")
    penalty = await rest.order()
    assert set(penalty) == {"p-ticket", "p-time"}
    assert "p-ticket" in await rest.order()
    assert "orderId" in await rest.order(**{"p-ticket": penalty["p-ticket"]})
    assert "orderId" in await rest.order()
    assert await orders(rest) == 2


async def test_a_ticket_is_no_good_before_its_time(tmp_path: Path) -> None:
    times = [datetime(2026, 11, 23, 15, tzinfo=UTC)]
    async with trading(tmp_path, clock=lambda: times[-1]) as rest:
        await rest.fault("penalty:19")
        ticket = {"p-ticket": (await rest.order())["p-ticket"]}
        assert "p-ticket" in await rest.order(**ticket)
        times.append(times[0] + timedelta(seconds=19))
        assert "orderId" in await rest.order(**ticket)


async def test_a_captcha_is_served_by_nothing_but_clearing(rest: Rest) -> None:
    await rest.fault("penalty:0:captcha")
    penalty = await rest.order()
    assert penalty["p-captcha"] is True
    assert "p-ticket" in await rest.order(**{"p-ticket": penalty["p-ticket"]})
    await rest.http.delete("/control/faults")
    assert "orderId" in await rest.order()


async def test_a_lost_answer_on_the_socket_cuts_it_without_a_closing_frame(rest: Rest) -> None:
    async with synced(rest) as socket:
        await rest.fault("lose_answer", "account/list")
        with pytest.raises(websockets.ConnectionClosedError):
            await socket.ask("account/list")


# ── reads and sockets ────────────────────────────────────────────────────────────────────────────────────


async def test_reads_may_lag_behind_while_the_ledger_tells_the_truth(tmp_path: Path) -> None:
    times = [datetime(2026, 11, 23, 15, tzinfo=UTC)]
    async with trading(tmp_path, clock=lambda: times[-1]) as rest:
        resting = (await rest.order(orderType="Limit", price=24_000))["orderId"]
        await rest.control("faults", fault="visibility_lag:3")
        await rest.post("order/cancelorder", orderId=resting)
        unseen = (await rest.order())["orderId"]
        assert [(one["id"], one["ordStatus"]) for one in await rest.get("order/list")] == [(resting, "Working")]
        assert (await rest.raw("GET", f"order/item?id={unseen}")).status_code == 404
        assert await rest.get("position/list") == []
        assert await orders(rest) == 2
        times.append(times[0] + timedelta(seconds=3))
        assert len(await rest.get("order/list")) == 2
        assert (await rest.get("order/item", id=resting))["ordStatus"] == "Canceled"


async def test_events_may_come_twice(rest: Rest) -> None:
    async with synced(rest) as socket:
        await rest.control("faults", fault="duplicate_events")
        await rest.order()
        await socket.until(lambda _: socket.events.count("cashBalance Updated") == 2)
        assert socket.events.count("fill Created") == 2


async def test_events_may_come_shuffled_and_late_and_still_all_come(rest: Rest) -> None:
    async with synced(rest) as socket:
        await rest.control("faults", fault="shuffle_events")
        await rest.control("faults", fault="delay_events:0.05")
        await rest.order()
        await socket.until(lambda _: len(socket.events) >= 12)
        assert sorted(set(socket.events)) == [
            "cashBalance Updated",
            "cashBalanceLog Created",
            "command Created",
            "command Updated",
            "commandReport Created",
            "executionReport Created",
            "fill Created",
            "fillFee Created",
            "order Created",
            "order Updated",
            "orderVersion Created",
            "position Created",
        ]


async def test_a_dropped_socket_is_cut_and_a_new_one_works(rest: Rest) -> None:
    async with synced(rest) as socket:
        await rest.control("faults", fault="drop_socket")
        with pytest.raises(websockets.ConnectionClosedError):
            await socket.frame()
    async with synced(rest) as socket:
        await rest.order()
        await socket.event("fill")


async def test_a_silent_socket_says_nothing_while_new_ones_do(rest: Rest) -> None:
    async with synced(rest) as silent:
        await rest.control("faults", fault="silent_socket")
        async with synced(rest) as other:
            await rest.order()
            await other.event("cashBalance")
        with pytest.raises(TimeoutError):  # its own events would long be here
            await asyncio.wait_for(silent.ws.recv(), 0.3)


async def test_a_shutdown_is_announced_before_the_close(rest: Rest) -> None:
    async with synced(rest) as socket:
        await rest.control("faults", fault="shutdown:Maintenance")
        message = await socket.until(lambda m: m.get("e") == "shutdown")
        assert message["d"] == {"reasonCode": "Maintenance"}


async def test_clearing_takes_everything_back(rest: Rest) -> None:
    for fault in ("events_first", "delay_events:9", "duplicate_events", "shuffle_events", "visibility_lag:9", "429"):
        await rest.control("faults", fault=fault)
    cleared = (await rest.http.delete("/control/faults")).json()
    assert cleared["faults"] == []
    assert not any(cleared["manners"].values())
