"""Tradovate's REST surface over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from justtrades.broker.simulator.server import Options
from tests.broker.simulator.client import Rest, trading

DENIED = {"failureReason": "UnknownReason", "failureText": "Access is denied"}


@pytest.fixture
async def rest(tmp_path: Path) -> AsyncIterator[Rest]:
    async with trading(tmp_path) as client:
        yield client


# ── authentication ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("token", ["", "nonsense"])
async def test_without_a_good_token_everything_is_denied_in_plain_text(rest: Rest, token: str) -> None:
    rest.token = token
    answer = await rest.raw("GET", "account/list")
    assert (answer.status_code, answer.text) == (401, "Access is denied")


async def test_a_renewal_gives_another_token_and_leaves_the_old_one_good(rest: Rest) -> None:
    old, renewed = rest.token, await rest.get("auth/renewaccesstoken")
    assert renewed["accessToken"] != old
    assert (await rest.raw("GET", "account/list")).status_code == 200
    rest.token = renewed["accessToken"]
    assert (await rest.raw("GET", "account/list")).status_code == 200


async def test_a_third_session_closes_the_oldest(rest: Rest) -> None:
    oldest = rest.token
    await rest.log_in()
    await rest.log_in()
    assert (await rest.raw("GET", "account/list")).status_code == 200
    rest.token = oldest
    assert (await rest.raw("GET", "account/list")).status_code == 401


async def test_a_token_ends_at_its_expiration_time(tmp_path: Path) -> None:
    times = [datetime(2026, 11, 23, 15, tzinfo=UTC)]
    async with trading(tmp_path, clock=lambda: times[-1]) as rest:
        expires = (await rest.get("auth/renewaccesstoken"))["expirationTime"]
        assert expires == "2026-11-23T16:20:00.000Z"
        times.append(times[0] + timedelta(minutes=80))
        assert (await rest.raw("GET", "auth/renewaccesstoken")).status_code == 401


async def test_configured_users_need_their_password(tmp_path: Path) -> None:
    options = Options(users={"trader": "any"})
    async with trading(tmp_path, options=options) as rest:
        wrong = await rest.post("auth/accesstokenrequest", name="trader", password="wrong")
        assert list(wrong) == ["errorText"]


async def test_me_tells_who_is_logged_in(rest: Rest) -> None:
    me = await rest.get("auth/me")
    assert me["name"] == "trader"
    assert me["userId"] != rest.account["userId"]


async def test_an_authorization_code_works_once(rest: Rest) -> None:
    grant = {"grant_type": "authorization_code", "code": "abc", "client_id": "1"}
    first = (await rest.raw("POST", "auth/oauthtoken", data=grant)).json()
    assert (first["token_type"], first["expires_in"]) == ("bearer", 4800)
    again = await rest.post("auth/oauthtoken", **grant)
    assert again["error"] == "invalid_grant"
    rest.token = first["access_token"]
    assert (await rest.raw("GET", "account/list")).status_code == 200


# ── look-ups ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_ways_to_a_contract_agree(rest: Rest) -> None:
    found = await rest.get("contract/find", name="MNQZ6")
    assert await rest.get("contract/item", id=found["id"]) == found
    assert await rest.get("contract/items", ids=f"{found['id']},1") == [found]
    assert await rest.get("contract/deps", masterid=found["contractMaturityId"]) == [found]
    maturity = await rest.get("contractMaturity/item", id=found["contractMaturityId"])
    assert (maturity["expirationMonth"], maturity["isFront"]) == (202612, True)
    product = await rest.get("product/item", id=maturity["productId"])
    assert product == await rest.get("product/find", name="MNQ")
    assert (product["tickSize"], product["valuePerPoint"]) == (0.25, 2)
    assert maturity in await rest.get("contractMaturity/ldeps", masterids=f"{product['id']},3")


@pytest.mark.parametrize("name", ["MNQ", "MNQ1!", "MNQZ26", "NOPE"])
async def test_what_is_no_contract_is_not_found(rest: Rest, name: str) -> None:
    assert (await rest.raw("GET", "contract/find", params={"name": name})).status_code == 404


async def test_suggestions_come_nearest_first(rest: Rest) -> None:
    names = [contract["name"] for contract in await rest.get("contract/suggest", t="ES", l=3)]
    assert names[0][:2] == "ES"
    assert len(names) == 3


async def test_rolling_a_contract_gives_its_neighbour(rest: Rest) -> None:
    rolled = await rest.post("contract/rollcontract", name="MNQZ6", forward=True)
    assert rolled["contract"]["name"] == "MNQH7"
    assert "errorText" in await rest.post("contract/rollcontract", name="MNQ", forward=True)


@pytest.mark.parametrize("path", ["order/item?id=1", "nonsense/list", "order/nonsense", "user/syncrequest", "x"])
async def test_what_does_not_exist_is_404(rest: Rest, path: str) -> None:
    assert (await rest.raw("GET", path)).status_code == 404


@pytest.mark.parametrize("path", ["order/item", "order/item?id=x", "fill/deps", "contract/find"])
async def test_a_missing_parameter_is_named_so(rest: Rest, path: str) -> None:
    answer = await rest.raw("GET", path)
    assert (answer.status_code, answer.text) == (400, "Invalid or missed parameters")


async def test_rest_takes_any_case_and_any_method(rest: Rest) -> None:
    assert (await rest.raw("POST", "Account/LIST")).json() == await rest.get("account/list")


async def test_every_readable_entity_has_a_list(rest: Rest) -> None:
    await rest.order()
    for kind in ("order", "orderVersion", "command", "commandReport", "executionReport", "fill", "fillFee"):
        assert len(await rest.get(f"{kind}/list")) >= 1
    for kind in ("accountRiskStatus", "marginSnapshot"):
        assert (await rest.get(f"{kind}/list"))[0]["id"] == rest.account["id"]
    for kind in ("fillPair", "orderStrategy", "userAccountAutoLiq"):
        assert await rest.get(f"{kind}/list") == []
    for kind in ("exchange", "currency", "product", "contract", "contractMaturity", "user", "cashBalance"):
        assert await rest.get(f"{kind}/list")


# ── orders ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_from_an_account_one_finds_the_order_of_a_client_id(rest: Rest) -> None:
    order_id = (await rest.order(clOrdId="jt-7", customTag50="mine"))["orderId"]
    orders = await rest.get("order/deps", masterid=rest.account["id"])
    assert [order["id"] for order in orders] == [order_id]
    commands = await rest.get("command/ldeps", masterids=str(order_id))
    assert (commands[0]["clOrdId"], commands[0]["customTag50"]) == ("jt-7", "mine")
    assert commands[0]["isAutomated"] is True
    fills = await rest.get("fill/ldeps", masterids=str(order_id))
    reports = await rest.get("executionReport/ldeps", masterids=str(commands[0]["id"]))
    assert (fills[0]["orderId"], len(reports)) == (order_id, 2)


@pytest.mark.parametrize("wrong", [{"symbol": "MNQ"}, {"symbol": "E6H9"}, {"accountId": 1}, {"accountSpec": "trader"}])
async def test_a_wrong_symbol_or_account_is_denied_with_http_200(rest: Rest, wrong: dict[str, Any]) -> None:
    body = {"accountId": rest.account["id"], "symbol": "MNQZ6", "action": "Buy", "orderQty": 1}
    answer = await rest.raw("POST", "order/placeorder", json=body | {"orderType": "Market"} | wrong)
    assert (answer.status_code, answer.json()) == (200, DENIED)
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "wrong",
    [
        {"orderQty": "many"},
        {"orderQty": 1.5},
        {"orderQty": 10**30},
        {"accountId": "1e99999999"},
        {"accountId": "NaN"},
        {"orderType": "Limit", "price": 1e300},
        {"orderType": "Limit", "price": 1e-300},
        {"isAutomated": "true"},
        {"action": "buy"},
        {"clOrdId": "x" * 65},
        {"price": "24000"},
        {"orderType": None},
    ],
)
async def test_a_parameter_of_the_wrong_kind_is_malformed(rest: Rest, wrong: dict[str, Any]) -> None:
    body = {"accountId": rest.account["id"], "symbol": "MNQZ6", "action": "Buy", "orderQty": 1}
    answer = await rest.raw("POST", "order/placeorder", json=body | {"orderType": "Market"} | wrong)
    assert answer.status_code == 400
    assert (await rest.ledger())["order"] == []


@pytest.mark.parametrize("content", [b"\xff", b"[1]", b"{", b"[" * 100_000, b"x" * 2_000_000])
async def test_an_unreadable_body_is_400(rest: Rest, content: bytes) -> None:
    assert (await rest.raw("POST", "order/placeorder", content=content)).status_code == 400


async def test_oco_and_oso_answer_with_all_their_ids(rest: Rest) -> None:
    other = {"action": "Sell", "orderType": "Stop", "stopPrice": 24_900}
    target = {"action": "Sell", "orderType": "Limit", "price": 25_100}
    oco = await rest.order(path="order/placeoco", **target, other=other)
    assert oco["ocoId"] == oco["orderId"] + 1
    oso = await rest.order(path="order/placeoso", bracket1=target, bracket2=other)
    assert (oso["oso1Id"], oso["oso2Id"]) == (oso["orderId"] + 1, oso["orderId"] + 2)


async def test_modify_answers_with_its_command_and_a_newer_version_wins(rest: Rest) -> None:
    order = (await rest.order(action="Sell", orderType="Limit", price=25_100))["orderId"]
    body = {"orderId": order, "orderQty": 1, "orderType": "Limit", "price": 25_050.25, "isAutomated": True}
    command = (await rest.post("order/modifyorder", **body, clOrdId="m"))["commandId"]
    newest = (await rest.get("orderVersion/deps", masterid=order))[-1]
    assert (newest["id"], newest["price"]) == (command, 25_050.25)


async def test_cancel_answers_with_its_command_then_too_late_then_404_for_a_stranger(rest: Rest) -> None:
    order = (await rest.order(orderType="Limit", price=24_000))["orderId"]
    assert list(await rest.post("order/cancelorder", orderId=order, clOrdId="c")) == ["commandId"]
    assert await rest.post("order/cancelorder", orderId=order) == {"failureReason": "TooLate"}
    assert (await rest.raw("POST", "order/cancelorder", json={"orderId": 5})).status_code == 404


async def test_liquidate_closes_by_contract_id(rest: Rest) -> None:
    await rest.order(orderQty=3)
    row = (await rest.get("position/list"))[0]
    body = {"accountId": rest.account["id"], "contractId": row["contractId"], "admin": False}
    assert list(await rest.post("order/liquidateposition", **body)) == ["orderId"]
    assert (await rest.get("position/list"))[0]["netPos"] == 0
    assert await rest.post("order/liquidateposition", **body) == {}


async def test_liquidate_many_takes_position_ids(rest: Rest) -> None:
    await rest.order()
    await rest.order(symbol="MESZ6", action="Sell")
    ids = [row["id"] for row in await rest.get("position/list")]
    assert await rest.post("order/liquidatepositions", positions=ids, admin=False) == {"ok": True}
    assert [row["netPos"] for row in await rest.get("position/list")] == [0, 0]


async def test_the_cash_snapshot_knows_the_open_profit(rest: Rest) -> None:
    await rest.control("price", symbol="MNQZ6", price=25_000)
    await rest.order(orderQty=2)
    await rest.control("price", symbol="MNQZ6", price=25_010)
    cash = await rest.post("cashBalance/getcashbalancesnapshot", accountId=rest.account["id"])
    assert (cash["openPnL"], cash["realizedPnL"]) == (40, 0)
    assert cash["netLiq"] == cash["totalCashValue"] + 40 == pytest.approx(50_000 + 40 - 1.44)
    assert "errorText" in await rest.post("cashBalance/getcashbalancesnapshot", accountId=1)


# ── restart ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_restart_keeps_orders_positions_and_ids_and_forgets_tokens(tmp_path: Path) -> None:
    async with trading(tmp_path) as rest:
        filled = (await rest.order(orderQty=2))["orderId"]
        resting = (await rest.order(action="Sell", orderType="Limit", price=25_100))["orderId"]
        before, token = await rest.ledger(), rest.token
    async with trading(tmp_path) as rest:
        assert await rest.ledger() == before
        assert await rest.post("order/cancelorder", orderId=filled) == {"failureReason": "TooLate"}
        await rest.control("price", symbol="MNQZ6", price=25_100)
        assert (await rest.get("order/item", id=resting))["ordStatus"] == "Filled"
        assert (await rest.order())["orderId"] > resting
        rest.token = token
        assert (await rest.raw("GET", "account/list")).status_code == 401


async def test_as_many_accounts_as_asked_for(tmp_path: Path) -> None:
    async with trading(tmp_path, accounts=3) as rest:
        names = [account["name"] for account in await rest.get("account/list")]
        assert names == ["PAPER1", "PAPER2", "PAPER3"]
