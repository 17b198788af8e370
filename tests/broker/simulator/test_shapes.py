"""The documents have the keys and types of the recorded ones (protocol.md section 6 and appendix A).

`RECORDED` are key sets of messages captured from the real broker. A document of ours may carry more only where
the published field list has it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.broker.simulator.client import Rest, trading

RECORDED: Final[dict[str, set[str]]] = {
    "order": {"id", "accountId", "contractId", "timestamp", "action", "ordStatus", "archived", "external", "admin"},
    "fill": {
        *("id", "orderId", "contractId", "timestamp", "tradeDate", "action", "qty", "price", "active"),
        *("finallyPaired", "external"),
    },
    "executionReport": {
        *("id", "commandId", "name", "accountId", "contractId", "timestamp", "orderId", "execType"),
        *("ordStatus", "action"),
    },
    "position": {
        *("id", "accountId", "contractId", "timestamp", "tradeDate", "netPos", "bought", "boughtValue"),
        *("sold", "soldValue", "archived", "prevPos"),
    },
    "account": {
        *("id", "name", "userId", "accountType", "restricted", "closed", "clearingHouseId"),
        *("riskCategoryId", "autoLiqProfileId", "marginAccountType", "legalStatus", "archived", "timestamp"),
        "active",
    },
    "cashBalance": {
        *("id", "accountId", "timestamp", "tradeDate", "currencyId", "amount", "realizedPnL"),
        *("weekRealizedPnL", "archived", "amountSOD"),
    },
    "contract": {"id", "name", "contractMaturityId", "status", "providerTickSize"},
}
PUBLISHED: Final[dict[str, set[str]]] = {
    "order": {"executionProviderId", "ocoId", "parentId", "linkedId", "spreadDefinitionId"},
    "executionReport": {
        *("tradeDate", "execRefId", "cumQty", "avgPx", "lastQty", "lastPx", "rejectReason", "text"),
        *("exchangeOrderId", "externalClOrdId"),
    },
    "position": {"netPrice", "prevPrice"},
}
REQUIRED: Final[dict[str, set[str]]] = {
    "command": {"id", "orderId", "timestamp", "commandType", "commandStatus"},
    "commandReport": {"id", "commandId", "timestamp", "commandStatus"},
    "orderVersion": {"id", "orderId", "orderQty", "orderType"},
    "fillPair": {"id", "positionId", "buyFillId", "sellFillId", "qty", "buyPrice", "sellPrice", "active"},
    "contractMaturity": {"id", "productId", "expirationMonth", "expirationDate", "isFront"},
    "product": {
        *("id", "name", "currencyId", "productType", "description", "exchangeId", "contractGroupId", "status"),
        *("valuePerPoint", "priceFormatType", "priceFormat", "tickSize"),
    },
    "user": {"id", "name", "timestamp", "email", "status", "professional"},
    "marginSnapshot": {
        *("id", "timestamp", "riskTimePeriodId", "initialMargin", "maintenanceMargin", "totalUsedMargin"),
        *("fullInitialMargin", "positionMargin"),
    },
    "cashBalanceLog": {
        *("id", "accountId", "timestamp", "tradeDate", "currencyId", "amount", "cashChangeType", "delta"),
    },
    "exchange": {"id", "name"},
    "currency": {"id", "name"},
}
INTEGERS: Final = {"id", "accountId", "contractId", "orderId", "qty", "netPos", "prevPos", "bought", "sold", "orderQty"}
WORDS: Final = {"timestamp", "action", "ordStatus", "name", "execType", "orderType", "commandStatus"}
FLAGS: Final = {"archived", "external", "admin", "active", "isFront", "isAutomated"}
NUMBERS: Final = {"price", "netPrice", "avgPx", "lastPx", "boughtValue", "soldValue", "amount", "tickSize"}


@pytest.fixture
async def rest(tmp_path: Path) -> AsyncIterator[Rest]:
    """After a round trip, a bracket and a working order."""
    async with trading(tmp_path) as client:
        await client.order(orderQty=2, clOrdId="a")
        await client.order(action="Sell")
        leg = {"action": "Sell", "orderType": "Limit", "price": 25_100}
        await client.order(path="order/placeoso", bracket1=leg)
        yield client


async def entities(rest: Rest, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await rest.get(f"{kind}/list")
    assert found
    return found


@pytest.mark.parametrize("kind", RECORDED)
async def test_documents_have_the_recorded_keys_and_only_published_ones_more(rest: Rest, kind: str) -> None:
    for entity in await entities(rest, kind):
        assert set(entity) >= RECORDED[kind]
        assert set(entity) - RECORDED[kind] <= PUBLISHED.get(kind, set())


@pytest.mark.parametrize("kind", REQUIRED)
async def test_documents_have_every_required_field(rest: Rest, kind: str) -> None:
    for entity in await entities(rest, kind):
        assert set(entity) >= REQUIRED[kind]


@pytest.mark.parametrize("kind", [*RECORDED, *REQUIRED])
async def test_fields_have_their_json_types_and_none_is_null(rest: Rest, kind: str) -> None:
    types: dict[str, Any] = dict.fromkeys(INTEGERS, int) | dict.fromkeys(WORDS, str)
    types |= dict.fromkeys(FLAGS, bool) | dict.fromkeys(NUMBERS, int | float)
    for entity in await entities(rest, kind):
        assert None not in entity.values()
        for key in entity.keys() & types.keys():
            assert isinstance(entity[key], types[key]), key


async def test_times_are_utc_with_milliseconds_and_dates_are_objects(rest: Rest) -> None:
    fill = (await entities(rest, "fill"))[0]
    assert len(fill["timestamp"]) == len("2026-08-18T01:50:08.482Z")
    assert fill["timestamp"].endswith("Z")
    assert set(fill["tradeDate"]) == {"year", "month", "day"}


async def test_the_token_answer_has_the_official_keys(rest: Rest) -> None:
    answer = await rest.post("auth/accesstokenrequest", name="a", password="b", appId="x", cid=1, sec="y")
    assert set(answer) >= {
        *("accessToken", "mdAccessToken", "expirationTime", "userStatus", "userId", "name", "hasLive"),
    }
    assert "errorText" not in answer
