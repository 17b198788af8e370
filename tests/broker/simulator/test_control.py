"""The hand that moves the simulated world, over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Message

from justtrades.broker.simulator.floor import Floor
from justtrades.broker.simulator.ledger import Ledger
from justtrades.broker.simulator.paper import utc_now
from justtrades.broker.simulator.server import create_app
from tests.broker.simulator.client import Rest, synced, trading


@pytest.fixture
async def rest(tmp_path: Path) -> AsyncIterator[Rest]:
    async with trading(tmp_path) as client:
        yield client


async def test_a_price_is_answered_after_its_fills_are_in_the_ledger(rest: Rest) -> None:
    order = (await rest.order(orderType="Limit", price=24_990))["orderId"]
    await rest.control("price", symbol="MNQZ6", price="24990.00")
    assert [fill["orderId"] for fill in (await rest.ledger())["fill"]] == [order]
    assert (await rest.http.get("/control/prices")).json() == {"MNQZ6": 24_990}


@pytest.mark.parametrize(
    "body",
    [
        {"symbol": "MNQ1!", "price": 1},
        {"symbol": "MNQZ6", "price": 25_000.1},
        {"symbol": "MNQZ6", "price": "much"},
        {"price": 1},
        {"symbol": "MNQZ6"},
    ],
)
async def test_a_price_that_makes_no_sense_is_refused(rest: Rest, body: dict[str, Any]) -> None:
    assert (await rest.http.post("/control/price", json=body)).status_code == 400


async def test_a_price_set_outlives_a_restart(tmp_path: Path) -> None:
    async with trading(tmp_path) as rest:
        await rest.control("price", symbol="MNQZ6", price=21_000)
    async with trading(tmp_path) as rest:
        assert (await rest.http.get("/control/prices")).json() == {"MNQZ6": 21_000}


async def test_a_person_may_trade_at_the_same_account_and_sockets_hear_it(rest: Rest) -> None:
    async with synced(rest) as socket:
        answer = await rest.control("hand", account="PAPER1", symbol="MNQZ6", action="Sell", qty=2)
        assert (await socket.event("position"))["netPos"] == -2
        command = await socket.event("command", id=answer["orderId"])
        assert "clOrdId" not in command
        assert command["isAutomated"] is False


async def test_a_person_may_cancel_an_order_of_ours(rest: Rest) -> None:
    order = (await rest.order(orderType="Limit", price=24_000))["orderId"]
    await rest.control("cancel", orderId=order)
    assert (await rest.get("order/item", id=order))["ordStatus"] == "Canceled"


async def test_limits_hold_and_outlive_a_restart(tmp_path: Path) -> None:
    async with trading(tmp_path) as rest, synced(rest) as socket:
        await rest.control("accounts", account="PAPER1", liquidation_only=True)
        assert "liquidateOnly" in await socket.event("accountRiskStatus")
    async with trading(tmp_path) as rest:
        assert (await rest.order())["failureReason"] == "LiquidationOnly"
        await rest.control("accounts", account=rest.account["id"], liquidation_only=False)
        assert "orderId" in await rest.order()


async def test_an_account_that_does_not_exist_is_refused(rest: Rest) -> None:
    assert (await rest.http.post("/control/accounts", json={"account": "nobody"})).status_code == 400


async def test_liquidity_splits_fills(rest: Rest) -> None:
    await rest.control("liquidity", lot=2)
    await rest.order(orderQty=5)
    assert [fill["qty"] for fill in await rest.get("fill/list")] == [2, 2, 1]


async def test_a_new_session_expires_day_orders(rest: Rest) -> None:
    order = (await rest.order(orderType="Limit", price=24_000))["orderId"]
    await rest.control("roll")
    assert (await rest.get("order/item", id=order))["ordStatus"] == "Expired"


async def test_calls_are_counted_per_endpoint(rest: Rest) -> None:
    await rest.order()
    await rest.order()
    counts = (await rest.http.get("/control/requests")).json()
    assert (counts["order/placeorder"], counts["auth/accesstokenrequest"]) == (2, 1)


async def test_nobody_but_this_machine_may_use_it(tmp_path: Path) -> None:
    floor = Floor(Ledger(tmp_path / "ledger.db"), utc_now)
    transport = httpx.ASGITransport(create_app(floor), client=("192.0.2.7", 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://paper") as stranger:
        answer = await stranger.get("/control/ledger")
    await floor.close()
    assert (answer.status_code, answer.text) == (403, "Forbidden")


async def test_without_a_transport_to_cut_a_lost_answer_is_never_finished(tmp_path: Path) -> None:
    """Under a server that hides its transport the application simply ends without answering."""
    floor = Floor(Ledger(tmp_path / "ledger.db"), utc_now)
    app, sent = create_app(floor), list[Message]()

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b'{"fault": "lose_request"}', "more_body": False}

    scope = {"type": "http", "method": "POST", "path": "/control/faults", "headers": [], "query_string": b""}
    await app(scope | {"client": ("127.0.0.1", 1)}, receive, send)
    sent.clear()
    await app(scope | {"path": "/v1/account/list"}, receive, send)
    await floor.close()
    assert sent == []
