"""An independent Tradovate client logs in, syncs, places, modifies, cancels and reads at the simulator.

The simulator runs as the program a user starts, in a process of its own.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.broker.independent.stranger import Json, Stranger, Wire

ACCOUNT_KEYS = {
    *("id", "name", "userId", "accountType", "active", "clearingHouseId", "riskCategoryId", "autoLiqProfileId"),
    *("marginAccountType", "legalStatus", "timestamp", "restricted", "closed", "archived"),
}
SYNC = {
    *("users", "accounts", "accountRiskStatuses", "marginSnapshots", "userAccountAutoLiqs", "cashBalances"),
    *("currencies", "positions", "fillPairs", "orders", "contracts", "contractMaturities", "products", "exchanges"),
    *("spreadDefinitions", "commands", "commandReports", "executionReports", "orderVersions", "fills"),
    *("orderStrategies", "orderStrategyLinks", "userProperties", "properties", "userPlugins", "contractGroups"),
    "orderStrategyTypes",
}
"""The 27 arrays of protocol.md section 4."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    ledger = tmp_path_factory.mktemp("paper") / "ledger.db"
    command = [sys.executable, "-m", "justtrades", "paper", "--port", "0", "--ledger", str(ledger), "--market", "still"]
    with subprocess.Popen([*command, "--no-limits"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.fixture
async def client(base: str) -> AsyncIterator[Stranger]:
    stranger = Stranger(base)
    await stranger.log_in("stranger", "secret")
    yield stranger
    await _calm(stranger)
    await stranger.http.aclose()


async def _calm(client: Stranger) -> None:
    await client.http.delete(f"{client.base.removesuffix('/v1')}/control/faults")


@pytest.fixture
async def account(client: Stranger) -> Json:
    found: list[Json] = await client.get("account/list")
    return found[0]


@pytest.fixture
async def symbol(client: Stranger) -> str:
    """The contract nearest to its expiry, as the simulator suggests it."""
    suggested: list[Json] = await client.get("contract/suggest", t="MNQ", l=1)
    return str(suggested[0]["name"])


def test_the_client_shares_no_code_with_this_project() -> None:
    tree = ast.parse(Path(__file__).with_name("stranger.py").read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported == {"__future__", "asyncio", "json", "typing", "httpx", "websockets"}


def order(account: Json, symbol: str, **fields: Any) -> Json:
    body = {"accountSpec": account["name"], "accountId": account["id"], "symbol": symbol, "action": "Buy"}
    return body | {"orderQty": 1, "orderType": "Market", "isAutomated": True} | fields


async def price_of(client: Stranger, account: Json, symbol: str) -> float:
    """What a market order paid; the position is closed again."""
    placed = await client.post("order/placeorder", order(account, symbol))
    fills: list[Json] = await client.get("fill/deps", masterid=placed["orderId"])
    await client.post("order/placeorder", order(account, symbol, action="Sell"))
    return float(fills[0]["price"])


async def test_it_logs_in_and_learns_who_it_is(client: Stranger) -> None:
    me = await client.get("auth/me")
    assert (me["userId"], me["name"]) == (client.user_id, "stranger")
    assert client.expires.endswith("Z")


async def test_it_renews_and_both_tokens_work(client: Stranger) -> None:
    old = client.token
    await client.renew()
    assert client.token != old
    assert await client.get("account/list")
    client.token = old
    assert await client.get("account/list")


async def test_a_wrong_token_is_denied(client: Stranger) -> None:
    client.token = "nonsense"
    assert await client.status("account/list") == 401


async def test_the_account_is_as_the_broker_lists_it(account: Json, client: Stranger) -> None:
    assert set(account) == ACCOUNT_KEYS
    assert account["userId"] != client.user_id, "as in a prop firm: never filter by it"


async def test_it_looks_up_a_contract_and_its_product(client: Stranger, symbol: str) -> None:
    contract = await client.get("contract/find", name=symbol)
    assert await client.get("contract/items", ids=f"{contract['id']},1") == [contract]
    maturity = await client.get("contractMaturity/item", id=contract["contractMaturityId"])
    product = await client.get("product/item", id=maturity["productId"])
    assert (product["name"], product["tickSize"], product["valuePerPoint"]) == ("MNQ", 0.25, 2)
    assert product == await client.get("product/find", name="MNQ")
    assert maturity["expirationDate"].endswith("Z")
    rolled = await client.post("contract/rollcontract", {"name": symbol, "forward": True})
    assert rolled["contract"]["name"] != symbol
    for unknown in ("MNQ", "MNQ1!", "NOPEZ6"):
        assert await client.status("contract/find", name=unknown) == 404


async def test_rest_takes_any_case_and_an_unknown_order_is_404(client: Stranger) -> None:
    assert await client.get("Account/List") == await client.get("account/list")
    assert await client.status("order/item", id=1) == 404


async def test_it_syncs_and_hears_what_rest_does(client: Stranger, account: Json, symbol: str) -> None:
    async with Wire(client) as wire:
        assert await wire.authorize() == {"s": 200, "i": 1}
        sync = (await wire.sync())["d"]
        assert set(sync) >= SYNC
        assert [one["id"] for one in sync["accounts"]] == [account["id"]]
        placed = await client.post("order/placeorder", order(account, symbol, clOrdId="mine"))
        number = placed["orderId"]
        assert number >= 600_000_000_000
        assert (await wire.until("order", id=number, ordStatus="Filled"))["action"] == "Buy"
        assert (await wire.until("command", orderId=number))["clOrdId"] == "mine"
        assert (await wire.until("fill", orderId=number))["id"] == number + 3
        position = await wire.until("position", netPos=1)
        assert position["netPrice"] > 0
        await client.post(
            "order/liquidateposition",
            {"accountId": account["id"], "contractId": position["contractId"], "admin": False},
        )
        await wire.until("position", netPos=0)
    rows: list[Json] = await client.get("position/list")
    assert [(row["netPos"], "netPrice" in row) for row in rows] == [(0, False)]


async def test_it_places_modifies_and_cancels_over_rest(client: Stranger, account: Json, symbol: str) -> None:
    below = await price_of(client, account, symbol) - 100
    terms = {"orderType": "Limit", "price": below, "timeInForce": "GTC"}
    placed = await client.post("order/placeorder", order(account, symbol, **terms))
    number = placed["orderId"]
    modified = await client.post(
        "order/modifyorder",
        {"orderId": number, "orderQty": 2, "orderType": "Limit", "price": below - 1, "timeInForce": "GTC"},
    )
    versions: list[Json] = await client.get("orderVersion/deps", masterid=number)
    newest = max(versions, key=lambda version: int(version["id"]))
    assert (newest["id"], newest["orderQty"], newest["price"]) == (modified["commandId"], 2, below - 1)
    assert (await client.get("order/item", id=number))["ordStatus"] == "Working"
    assert set(await client.post("order/cancelorder", {"orderId": number})) == {"commandId"}
    assert (await client.get("order/item", id=number))["ordStatus"] == "Canceled"
    assert await client.post("order/cancelorder", {"orderId": number}) == {"failureReason": "TooLate"}


async def test_the_same_over_the_socket(client: Stranger, account: Json, symbol: str) -> None:
    below = await price_of(client, account, symbol) - 100
    async with Wire(client) as wire:
        await wire.authorize()
        await wire.sync()
        body = json.dumps(order(account, symbol, orderType="Limit", price=below))
        number = (await wire.ask("order/placeorder", body=body))["d"]["orderId"]
        await wire.until("order", id=number, ordStatus="Working")
        change = {"orderId": number, "orderQty": 1, "orderType": "Limit", "price": below - 2}
        command = (await wire.ask("order/modifyorder", body=json.dumps(change)))["d"]["commandId"]
        assert (await wire.until("orderVersion", id=command))["price"] == below - 2
        assert (await wire.ask("order/item", query=f"id={number}"))["d"]["id"] == number
        await wire.ask("order/cancelorder", body=json.dumps({"orderId": number}))
        await wire.until("order", id=number, ordStatus="Canceled")
        assert await wire.ask("order/placeOrder", body=body) == {"s": 401, "i": 7, "d": "Access is denied"}


async def test_brackets_wait_suspended_and_cancel_each_other(client: Stranger, account: Json, symbol: str) -> None:
    price = await price_of(client, account, symbol)
    target = {"action": "Sell", "orderType": "Limit", "price": price + 25}
    stop = {"action": "Sell", "orderType": "Stop", "stopPrice": price - 25}
    async with Wire(client) as wire:
        await wire.authorize()
        await wire.sync()
        body = order(account, symbol, orderType="Limit", price=price - 10)
        made = await client.post("order/placeoso", body | {"bracket1": target, "bracket2": stop})
        legs = (made["oso1Id"], made["oso2Id"])
        assert legs == (made["orderId"] + 1, made["orderId"] + 2)
        for leg in legs:
            await wire.until("order", id=leg, ordStatus="Suspended", parentId=made["orderId"])
        await _trade_at(client, symbol, price - 10)
        for leg in legs:
            await wire.until("order", id=leg, ordStatus="Working")
        await _trade_at(client, symbol, price + 25)
        await wire.until("order", id=legs[0], ordStatus="Filled")
        await wire.until("order", id=legs[1], ordStatus="Canceled")
        await wire.until("position", netPos=0)
        pair = await wire.until("fillPair", qty=1, sellPrice=price + 25)
        assert pair["buyPrice"] == price - 10


async def _trade_at(client: Stranger, symbol: str, price: float) -> None:
    url = f"{client.base.removesuffix('/v1')}/control/price"
    (await client.http.post(url, json={"symbol": symbol, "price": price})).raise_for_status()


async def test_an_oco_is_two_orders_of_which_one_remains(client: Stranger, account: Json, symbol: str) -> None:
    price = await price_of(client, account, symbol)
    other = {"action": "Sell", "orderType": "Stop", "stopPrice": price - 50}
    body = order(account, symbol, action="Sell", orderType="Limit", price=price + 50)
    made = await client.post("order/placeoco", body | {"other": other})
    assert made["ocoId"] == made["orderId"] + 1
    for number in made.values():
        await client.post("order/cancelorder", {"orderId": number})
        assert (await client.get("order/item", id=number))["ordStatus"] == "Canceled"


async def test_the_cash_moves_with_the_result(client: Stranger, account: Json, symbol: str) -> None:
    before = await client.post("cashBalance/getcashbalancesnapshot", {"accountId": account["id"]})
    price = await price_of(client, account, symbol)
    await client.post("order/placeorder", order(account, symbol))
    await _trade_at(client, symbol, price + 10)
    held = await client.post("cashBalance/getcashbalancesnapshot", {"accountId": account["id"]})
    assert held["openPnL"] == 20
    await client.post("order/placeorder", order(account, symbol, action="Sell"))
    after = await client.post("cashBalance/getcashbalancesnapshot", {"accountId": account["id"]})
    assert after["openPnL"] == 0
    assert after["realizedPnL"] - before["realizedPnL"] == 20
    assert after["totalCashValue"] < before["totalCashValue"] + 20, "fees"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"symbol": "MNQ"}, "UnknownReason"),
        ({"symbol": "MNQ1!"}, "UnknownReason"),
        ({"accountId": 1}, "UnknownReason"),
        ({"orderType": "Limit", "price": 25_000.1}, "InvalidPrice"),
    ],
)
async def test_a_refusal_is_http_200_with_a_reason(
    client: Stranger, account: Json, symbol: str, wrong: Json, reason: str
) -> None:
    answer = await client.post("order/placeorder", order(account, symbol) | wrong)
    assert answer["failureReason"] == reason


async def test_a_penalty_is_served_with_its_ticket_over_rest_and_socket(
    client: Stranger, account: Json, symbol: str
) -> None:
    faults = f"{client.base.removesuffix('/v1')}/control/faults"
    await client.http.post(faults, json={"fault": "penalty:0.1", "endpoint": "order/placeorder"})
    below = order(account, symbol, orderType="Limit", price=1_000)
    placed = await client.post("order/placeorder", below)
    async with Wire(client) as wire:
        await wire.authorize()
        await client.http.post(faults, json={"fault": "penalty:0", "endpoint": "order/cancelorder"})
        cancel = {"orderId": placed["orderId"]}
        asked = (await wire.ask("order/cancelorder", body=json.dumps(cancel)))["d"]
        assert set(asked) == {"p-ticket", "p-time"}
        assert "p-ticket" in (await wire.ask("order/cancelorder", body=json.dumps(cancel)))["d"]
        served = await wire.ask("order/cancelorder", body=json.dumps(cancel | {"p-ticket": asked["p-ticket"]}))
        assert set(served["d"]) == {"commandId"}


async def test_a_third_log_in_sends_the_oldest_session_away(base: str) -> None:
    sessions = [Stranger(base) for _ in range(3)]
    await sessions[0].log_in("crowded", "secret")
    async with Wire(sessions[0]) as wire:
        await wire.authorize()
        for other in sessions[1:]:
            await other.log_in("crowded", "secret")
        await wire.ended()
        assert wire.shutdown == {"reasonCode": "ConnectionQuotaReached"}
        assert wire.closing
    assert [await one.status("account/list") for one in sessions] == [401, 200, 200]
    for one in sessions:
        await one.http.aclose()
