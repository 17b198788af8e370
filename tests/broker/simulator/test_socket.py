"""The user socket over a real WebSocket: frames, authorization, sync, events, and how it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import websockets

from justtrades.broker.simulator.server import Options
from justtrades.broker.simulator.sockets import Timing
from tests.broker.simulator.client import Rest, Socket, connected, synced, trading

SYNC_ARRAYS = {
    *("users", "accounts", "accountRiskStatuses", "marginSnapshots", "userAccountAutoLiqs", "cashBalances"),
    *("currencies", "positions", "fillPairs", "orders", "contracts", "contractMaturities", "products"),
    *("exchanges", "spreadDefinitions", "commands", "commandReports", "executionReports", "orderVersions"),
    *("fills", "orderStrategies", "orderStrategyLinks", "userProperties", "properties", "userPlugins"),
    *("contractGroups", "orderStrategyTypes"),
}


@pytest.fixture
async def rest(tmp_path: Path) -> AsyncIterator[Rest]:
    async with trading(tmp_path) as client:
        yield client


def hurried(**seconds: Any) -> Options:
    return Options(timing=Timing(**seconds))


async def end_of(socket: Socket) -> tuple[list[str], int | None]:
    """Everything that still comes, and the code of the close."""
    frames = []
    try:
        while True:
            frames.append(await socket.frame())
    except websockets.ConnectionClosed as closed:
        return frames, closed.rcvd.code if closed.rcvd else None


# ── frames ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_authorize_takes_the_raw_or_the_quoted_token(rest: Rest) -> None:
    for token in (rest.token, f'"{rest.token}"'):
        async with connected(rest) as socket:
            assert await socket.ask("authorize", body=token) == {"s": 200, "i": 1}


async def test_a_wrong_token_is_401_with_a_plain_string(rest: Rest) -> None:
    async with connected(rest) as socket:
        assert await socket.ask("authorize", body="x") == {"s": 401, "i": 1, "d": "Invalid access token"}


async def test_before_authorize_everything_is_denied(rest: Rest) -> None:
    async with connected(rest) as socket:
        assert await socket.ask("account/list") == {"s": 401, "i": 1, "d": "Access is denied"}


async def test_look_ups_take_their_parameters_from_the_query_line_only(rest: Rest) -> None:
    contract = await rest.get("contract/find", name="MNQZ6")
    async with synced(rest) as socket:
        good = await socket.ask("contract/item", query=f"id={contract['id']}")
        assert (good["s"], good["d"]) == (200, contract)
        assert (await socket.ask("contract/item", body={"id": contract["id"]}))["s"] != 200
        assert await socket.ask("contract/item", query="id=1") == {"s": 404, "i": 5, "d": ""}


async def test_a_request_without_its_trailing_lines_is_understood(rest: Rest) -> None:
    async with synced(rest) as socket:
        await socket.ws.send("account/list\n77")
        answer = await socket.until(lambda message: message.get("i") == 77)
        assert answer["d"][0]["name"] == "PAPER1"


async def test_orders_may_be_sent_over_the_socket(rest: Rest) -> None:
    async with synced(rest) as socket:
        body = {"accountId": rest.account["id"], "symbol": "MNQZ6", "action": "Buy", "orderQty": 1}
        answer = await socket.ask("order/placeorder", body=body | {"orderType": "Market", "isAutomated": True})
        fill = await socket.event("fill")
        assert fill["orderId"] == answer["d"]["orderId"]


@pytest.mark.parametrize("body", ["{", "[1]", "[" * 100_000])
async def test_a_body_that_is_no_object_is_refused(rest: Rest, body: str) -> None:
    async with synced(rest) as socket:
        assert (await socket.ask("order/placeorder", body=body))["s"] == 400


@pytest.mark.parametrize("endpoint", ["order/placeOSO", "Account/list", "executionreport/list", "cashbalance/list"])
async def test_the_socket_denies_a_spelling_that_is_not_the_published_one(rest: Rest, endpoint: str) -> None:
    async with synced(rest) as socket:
        assert await socket.ask(endpoint) == {"s": 401, "i": 3, "d": "Access is denied"}
        assert (await socket.ask("order/placeous"))["s"] == 404


async def test_the_socket_takes_every_look_up_in_its_published_spelling(rest: Rest) -> None:
    async with synced(rest) as socket:
        for kind in ("executionReport", "cashBalance", "contractMaturity", "accountRiskStatus", "orderVersion"):
            assert (await socket.ask(f"{kind}/list"))["s"] == 200
        body = {"accountId": rest.account["id"]}
        assert (await socket.ask("cashBalance/getcashbalancesnapshot", body=body))["d"]["netLiq"] == 50_000


# ── sync and events ──────────────────────────────────────────────────────────────────────────────────────


async def test_the_sync_message_has_all_its_arrays_even_when_empty(rest: Rest) -> None:
    async with connected(rest) as socket:
        await socket.ask("authorize", body=rest.token)
        sync = (await socket.ask("user/syncrequest", body={"users": [1]}))["d"]
        assert set(sync) >= SYNC_ARRAYS
        assert sync["accounts"][0]["name"] == "PAPER1"
        assert sync["orders"] == []


async def test_the_sync_message_tells_what_was_before(rest: Rest) -> None:
    order = (await rest.order())["orderId"]
    async with connected(rest) as socket:
        await socket.ask("authorize", body=rest.token)
        sync = (await socket.ask("user/syncrequest", body={"splitResponses": False}))["d"]
        assert [one["id"] for one in sync["orders"]] == [order]
        assert [one["orderId"] for one in sync["fills"]] == [order]
        assert [one["name"] for one in sync["contracts"]] == ["MNQZ6"]
        assert [one["name"] for one in sync["products"]] == ["MNQ"]


async def test_empty_arrays_may_be_left_out(rest: Rest) -> None:
    await rest.control("faults", fault="omit_empty")
    async with connected(rest) as socket:
        await socket.ask("authorize", body=rest.token)
        sync = (await socket.ask("user/syncrequest", body={}))["d"]
        assert {"users", "contractGroups", "accounts"} <= set(sync)
        assert "orders" not in sync


async def test_a_sync_may_come_in_parts_of_which_none_is_marked_as_the_last(rest: Rest) -> None:
    await rest.order()
    async with connected(rest) as socket:
        await socket.ask("authorize", body=rest.token)
        await socket.ask("user/syncrequest", body={"splitResponses": True})
        await socket.ask("account/list")
        parts = [message["d"] for message in socket.messages if message.get("i") == 2]
    assert len(parts) > 20
    assert all(len(part) == 1 for part in parts)
    assert {name for part in parts for name in part} >= SYNC_ARRAYS


async def test_a_second_sync_is_refused(rest: Rest) -> None:
    async with synced(rest) as socket:
        assert (await socket.ask("user/syncrequest", body={}))["s"] == 400


async def test_a_rest_order_tells_its_events_to_every_synced_socket(rest: Rest) -> None:
    async with synced(rest) as one, synced(rest) as other, connected(rest) as unsynced:
        await unsynced.ask("authorize", body=rest.token)
        order = (await rest.order(clOrdId="a"))["orderId"]
        for socket in (one, other):
            assert (await socket.event("command"))["clOrdId"] == "a"
            await socket.event("order", ordStatus="Filled")
            assert (await socket.event("fill"))["orderId"] == order
            assert (await socket.event("position"))["netPos"] == 1
        await unsynced.ask("account/list")
        assert unsynced.events == []


async def test_the_market_moving_to_a_target_is_told(rest: Rest) -> None:
    async with synced(rest) as socket:
        order = (await rest.order(action="Sell", orderType="Limit", price=25_010))["orderId"]
        await rest.control("price", symbol="MNQZ6", price=25_010)
        assert (await socket.event("fill", orderId=order))["price"] == 25_010


async def test_events_of_one_change_keep_their_order(rest: Rest) -> None:
    async with synced(rest) as socket:
        await rest.order()
        await socket.event("cashBalance")
        assert socket.events[:3] == ["order Created", "command Created", "orderVersion Created"]
        assert socket.events.index("fill Created") < socket.events.index("position Created")


async def test_over_the_socket_the_answer_comes_before_its_events_unless_told_otherwise(rest: Rest) -> None:
    body = {"accountId": rest.account["id"], "symbol": "MNQZ6", "action": "Buy", "orderQty": 1}
    body |= {"orderType": "Market"}
    async with synced(rest) as socket:
        await socket.ask("order/placeorder", body=body)
        assert socket.events == []
        await socket.event("cashBalance")
        await rest.fault("events_first")
        before = len(socket.events)
        await socket.ask("order/placeorder", body=body)
        assert len(socket.events) > before + 5


async def test_nothing_private_is_shown(rest: Rest) -> None:
    async with synced(rest) as socket:
        await rest.order(orderType="Stop", stopPrice=24_990)
        await socket.event("fill")
        await rest.control("accounts", account="PAPER1", max_order_qty=3)
        await socket.event("accountRiskStatus")
        assert not [name for name in socket.events if name.startswith("_")]


# ── how it ends ──────────────────────────────────────────────────────────────────────────────────────────


async def test_heartbeats_come_when_there_is_nothing_else_to_say(tmp_path: Path) -> None:
    async with trading(tmp_path, options=hurried(heartbeat=0.01)) as rest, connected(rest) as socket:
        assert [await socket.frame() for _ in range(3)] == ["h", "h", "h"]


async def test_a_silent_client_is_dropped(tmp_path: Path) -> None:
    async with trading(tmp_path, options=hurried(silence=0.5)) as rest, synced(rest) as socket:
        frames, code = await end_of(socket)
        assert (frames[-1], code) == ('c[1002,"No activity"]', 1000)


async def test_a_client_that_sends_heartbeats_is_kept(tmp_path: Path) -> None:
    options = hurried(silence=1.0, heartbeat=0.05)
    async with trading(tmp_path, options=options) as rest, synced(rest) as socket:
        for _ in range(30):  # 1.5 s in all: longer than the silence that would end it
            assert await socket.frame() == "h"
            await socket.ws.send("[]")


async def test_a_client_that_does_not_authorize_is_closed(tmp_path: Path) -> None:
    async with trading(tmp_path, options=hurried(authorize=0.05)) as rest, connected(rest) as socket:
        frames, _ = await end_of(socket)
        assert frames[-1] == 'c[1000,"Not authorized in time"]'


@pytest.mark.parametrize(("closes", "last"), [(True, 'c[1000,"Token expired"]'), (False, "h")])
async def test_a_socket_may_end_with_its_token(tmp_path: Path, closes: bool, last: str) -> None:
    timing = Timing(close_at_expiry=closes, heartbeat=1.5)
    options = Options(token_lifetime=timedelta(seconds=1), timing=timing)
    async with trading(tmp_path, options=options) as rest, synced(rest) as socket:
        assert await socket.frame() == last


async def test_a_third_login_shuts_the_oldest_sessions_socket_down(rest: Rest) -> None:
    async with synced(rest) as socket:
        await rest.log_in()
        await rest.log_in()
        frames, _ = await end_of(socket)
        assert json.loads(frames[0][1:]) == [{"e": "shutdown", "d": {"reasonCode": "ConnectionQuotaReached"}}]
        assert frames[1].startswith("c[")


async def test_bytes_that_are_no_request_close_the_socket(rest: Rest) -> None:
    async with connected(rest) as socket:
        await socket.ws.send("what?")
        frames, _ = await end_of(socket)
        assert frames[-1] == 'c[1003,"Bad request"]'


async def test_requests_of_one_socket_do_not_wait_for_each_other(rest: Rest) -> None:
    async with synced(rest) as socket:
        await rest.fault("stall:60", "order/list")
        await socket.ws.send("order/list\n900\n\n")
        assert (await socket.ask("account/list"))["s"] == 200


async def test_two_hundred_orders_at_once_are_all_told(rest: Rest) -> None:
    async with synced(rest) as socket:
        answers: list[dict[str, Any]] = await asyncio.gather(*(rest.order() for _ in range(200)))
        ids = {answer["orderId"] for answer in answers}
        await socket.until(lambda m: m.get("e") == "props" and m["d"]["entity"].get("netPos") == 200)
        fills = {m["d"]["entity"]["orderId"] for m in socket.messages if m.get("e") and m["d"]["entityType"] == "fill"}
        assert fills == ids
        assert len(ids) == 200
