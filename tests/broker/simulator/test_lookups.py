"""Every readable entity answers every look-up of protocol.md section 1, and children belong to their masters."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.broker.simulator.client import Rest, trading

MASTERS: Final = {
    **dict.fromkeys(("order", "position", "cashBalance", "cashBalanceLog"), "accountId"),
    **dict.fromkeys(("marginSnapshot", "accountRiskStatus", "productMargin", "fillFee"), "id"),
    **dict.fromkeys(("command", "orderVersion", "fill"), "orderId"),
    **dict.fromkeys(("commandReport", "executionReport"), "commandId"),
    **{"fillPair": "positionId", "contractMaturity": "productId", "contract": "contractMaturityId"},
    **{"product": "exchangeId", "account": "userId"},
}
"""The field that names an entity's master; one-to-one children share its id."""
WITHOUT: Final = (
    *("userAccountAutoLiq", "orderStrategy", "userAccountPositionLimit", "orderStrategyLink", "productSession"),
    "tradingPermission",
)
"""Entities of section 1 that exist here and have nothing to show."""
NAMED: Final = ("account", "contract", "product", "exchange", "currency", "contractGroup", "user", "executionReport")


@pytest.fixture
async def rest(tmp_path: Path) -> AsyncIterator[Rest]:
    """After a round trip and with a working order."""
    async with trading(tmp_path) as client:
        await client.order(orderQty=2)
        await client.order(action="Sell", orderQty=2)
        await client.order(orderType="Limit", price=24_000)
        yield client


async def some(rest: Rest, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await rest.get(f"{kind}/list")
    assert found, kind
    return found


@pytest.mark.parametrize("kind", [*MASTERS, "user", "exchange", "currency", "contractGroup"])
async def test_item_and_items_find_what_the_list_shows(rest: Rest, kind: str) -> None:
    one = (await some(rest, kind))[0]
    assert await rest.get(f"{kind}/item", id=one["id"]) == one
    assert await rest.get(f"{kind}/items", ids=f"{one['id']},7") == [one]
    assert (await rest.raw("GET", f"{kind}/item?id=7")).status_code == 404


@pytest.mark.parametrize(("kind", "field"), MASTERS.items())
async def test_deps_and_ldeps_give_exactly_the_masters_children(rest: Rest, kind: str, field: str) -> None:
    listed = await some(rest, kind)
    master = listed[-1][field]
    children = [one for one in listed if one[field] == master]
    key = {"order": "id"}.get(kind, "id")
    for found in (
        await rest.get(f"{kind}/deps", masterid=master),
        await rest.get(f"{kind}/ldeps", masterids=f"{master},7"),
    ):
        assert sorted(found, key=lambda one: int(one[key])) == sorted(children, key=lambda one: int(one[key]))
    assert await rest.get(f"{kind}/deps", masterid=7) == []


@pytest.mark.parametrize("kind", WITHOUT)
async def test_an_entity_with_nothing_to_show_still_answers(rest: Rest, kind: str) -> None:
    assert await rest.get(f"{kind}/list") == await rest.get(f"{kind}/items", ids="1,2") == []
    assert await rest.get(f"{kind}/deps", masterid=1) == await rest.get(f"{kind}/ldeps", masterids="1,2") == []
    assert (await rest.raw("GET", f"{kind}/item?id=1")).status_code == 404


@pytest.mark.parametrize("kind", NAMED)
async def test_find_knows_names_and_nothing_else(rest: Rest, kind: str) -> None:
    one = (await some(rest, kind))[0]
    assert await rest.get(f"{kind}/find", name=one["name"]) == one
    assert (await rest.raw("GET", f"{kind}/find", params={"name": "nobody"})).status_code == 404


async def test_a_position_is_never_found_by_name(rest: Rest) -> None:
    assert (await rest.raw("GET", "position/find", params={"name": "MNQZ6"})).status_code == 404


async def test_suggestions_are_as_many_as_asked_for_and_fit(rest: Rest) -> None:
    for text, most in (("MNQ", 3), ("ES", 1), ("GC", 5)):
        names = [one["name"] for one in await rest.get("contract/suggest", t=text, l=most)]
        assert len(names) == most
        assert all(name.startswith(text) for name in names)
    assert [one["name"] for one in await rest.get("account/suggest", t="paper", l=5)] == ["PAPER1"]


async def test_from_an_order_one_comes_to_its_reports_only_over_its_commands(rest: Rest) -> None:
    order = (await some(rest, "order"))[0]
    commands = await rest.get("command/deps", masterid=order["id"])
    ids = ",".join(str(command["id"]) for command in commands)
    reports = await rest.get("executionReport/ldeps", masterids=ids)
    assert {report["orderId"] for report in reports} == {order["id"]}
    assert {report["execType"] for report in reports} == {"New", "Trade"}
