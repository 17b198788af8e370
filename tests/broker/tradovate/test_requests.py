"""What we send: exact numbers, the spec's spelling, and every body valid under the published schema."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from justtrades.broker.port import AuditId, Request
from justtrades.broker.tradovate import exact, requests
from justtrades.positions.commands import CancelOrder, Liquidate, ModifyOrder, Mutation, PlaceOrder
from justtrades.positions.model import (
    Action,
    BrokerAccountId,
    BrokerOrderId,
    ClientOrderId,
    Order,
    OrderType,
    Purpose,
    SignalId,
)

PUBLISHED = Path(__file__).parents[4] / "shared" / "tradovate" / "openapi.json"
NOW = datetime(2026, 11, 23, tzinfo=UTC)

# The published facts that matter here, for when the document is not at hand.
FACTS: dict[str, dict[str, Any]] = {
    "PlaceOrder": {
        "required": ["action", "symbol", "orderQty", "orderType"],
        "strings": ["accountSpec", "clOrdId", "symbol", "text"],
        "integers": ["accountId", "orderQty"],
    },
    "PlaceOCO": {
        "required": ["action", "symbol", "orderQty", "orderType", "other"],
        "strings": ["accountSpec", "clOrdId", "symbol", "text"],
        "integers": ["accountId", "orderQty"],
    },
    "ModifyOrder": {
        "required": ["orderId", "orderQty", "orderType"],
        "strings": ["clOrdId", "text"],
        "integers": ["orderId", "orderQty"],
    },
    "CancelOrder": {"required": ["orderId"], "strings": ["clOrdId"], "integers": ["orderId"]},
    "LiquidatePosition": {
        "required": ["accountId", "contractId", "admin"],
        "strings": [],
        "integers": ["accountId", "contractId"],
    },
}
SCHEMA_OF = {
    requests.PLACE: "PlaceOrder",
    requests.PAIR: "PlaceOCO",
    requests.MODIFY: "ModifyOrder",
    requests.CANCEL: "CancelOrder",
    requests.LIQUIDATE: "LiquidatePosition",
}


def order(purpose: Purpose, kind: OrderType, price: str | None = None) -> Order:
    action = Action.BUY if purpose is Purpose.ENTRY else Action.SELL
    limit = Decimal(price) if price else None
    return Order(ClientOrderId(f"jt-{purpose}"), purpose, action, 2, kind, NOW, limit, signal_id=SignalId("s1"))


ENTRY = order(Purpose.ENTRY, OrderType.MARKET)
TARGET = order(Purpose.TARGET, OrderType.LIMIT, "25871.75")
STOP = order(Purpose.STOP, OrderType.STOP, "2633.00")
COMMANDS: dict[str, Mutation] = {
    "entry": PlaceOrder(ENTRY.id, ENTRY, not_after=NOW),
    "target": PlaceOrder(TARGET.id, TARGET),
    "stop": PlaceOrder(STOP.id, STOP),
    "pair": PlaceOrder(TARGET.id, TARGET, STOP),
    "close": PlaceOrder(ClientOrderId("jt-c"), order(Purpose.CLOSE, OrderType.MARKET)),
    "modify": ModifyOrder(
        ClientOrderId("jt-m"), STOP.id, BrokerOrderId("62496"), Purpose.STOP, 1, OrderType.STOP, Decimal("2633.00")
    ),
    "cancel": CancelOrder(ClientOrderId("jt-x"), TARGET.id, BrokerOrderId("601683390113"), Purpose.TARGET),
    "liquidate": Liquidate(ClientOrderId("jt-l"), order(Purpose.CLOSE, OrderType.MARKET)),
}


def prepared(command: Mutation, name: str | None = "DEMO33", contract_id: int | None = 4399631) -> Request:
    return requests.request(
        command,
        audit_id=AuditId("row"),
        account=BrokerAccountId("33"),
        account_name=name,
        contract_name="MNQZ6",
        contract_id=contract_id,
    )


def schema(name: str) -> dict[str, Any]:
    if PUBLISHED.exists():
        document = json.loads(PUBLISHED.read_text(encoding="utf-8"))
        return {"$ref": f"#/components/schemas/{name}", "components": _draft4(document["components"])}
    facts = FACTS[name]
    typed = {n: {"type": "string", "maxLength": 64} for n in facts["strings"]}
    typed |= {n: {"type": "integer", "exclusiveMinimum": 0} for n in facts["integers"]}
    return {"type": "object", "required": facts["required"], "properties": typed}


def _draft4(node: Any) -> Any:
    """OpenAPI 3.0 writes `exclusiveMinimum: true`; JSON Schema wants the number there."""
    if isinstance(node, dict):
        found = {key: _draft4(value) for key, value in node.items()}
        if found.get("exclusiveMinimum") is True:
            found["exclusiveMinimum"] = found.pop("minimum", 0)
        return found
    return [_draft4(item) for item in node] if isinstance(node, list) else node


@pytest.mark.parametrize("name", COMMANDS)
def test_every_request_is_valid_under_the_published_schema(name: str) -> None:
    request = prepared(COMMANDS[name])
    jsonschema.validate(json.loads(exact.dumps(request.body)), schema(SCHEMA_OF[request.endpoint]))


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published document is not at hand")
@pytest.mark.parametrize("name", COMMANDS)
def test_no_request_has_a_field_the_published_schema_does_not_know(name: str) -> None:
    request = prepared(COMMANDS[name])
    document = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    schemas = document["components"]["schemas"]
    known = set(schemas[SCHEMA_OF[request.endpoint]]["properties"])
    later = {"isAutomated"} if request.endpoint == requests.LIQUIDATE else set()  # in the newer partner document
    assert set(request.body) <= known | later
    assert set(request.body.get("other", {})) <= set(schemas["RestrainedOrderVersion"]["properties"])


def test_a_market_entry_is_a_day_order_with_our_id_twice() -> None:
    assert prepared(COMMANDS["entry"]).body == {
        "accountSpec": "DEMO33",
        "accountId": 33,
        "clOrdId": "jt-entry",
        "action": "Buy",
        "symbol": "MNQZ6",
        "orderQty": 2,
        "orderType": "Market",
        "timeInForce": "Day",
        "text": "jt-entry",
        "isAutomated": True,
    }


def test_resting_exits_stay_beyond_the_session() -> None:
    pair = prepared(COMMANDS["pair"]).body
    assert pair["timeInForce"] == pair["other"]["timeInForce"] == "GTC"
    assert prepared(COMMANDS["modify"]).body["timeInForce"] == "GTC"


def test_a_stop_carries_its_trigger_and_no_price() -> None:
    for body in (prepared(COMMANDS["stop"]).body, prepared(COMMANDS["pair"]).body["other"]):
        assert body["stopPrice"] == Decimal("2633.00")
        assert "price" not in body


def test_the_second_leg_of_a_pair_inherits_account_symbol_and_quantity() -> None:
    assert set(prepared(COMMANDS["pair"]).body["other"]) == {
        "action",
        "clOrdId",
        "orderType",
        "stopPrice",
        "timeInForce",
        "text",
    }


def test_a_modify_says_again_all_that_shall_stay() -> None:
    assert exact.dumps(prepared(COMMANDS["modify"]).body) == (
        '{"orderId":62496,"clOrdId":"jt-m","orderQty":1,"orderType":"Stop","stopPrice":2633.00,'
        '"timeInForce":"GTC","text":"jt-stop","isAutomated":true}'
    )


def test_only_an_entry_does_not_protect() -> None:
    protecting = {name for name, command in COMMANDS.items() if prepared(command).urgency.protects}
    assert protecting == COMMANDS.keys() - {"entry"}


def test_what_is_incomplete_is_known_before_it_is_sent() -> None:
    assert requests.missing(prepared(COMMANDS["entry"], name=None))
    assert requests.missing(prepared(COMMANDS["liquidate"], contract_id=None))
    assert requests.missing(prepared(COMMANDS["cancel"], name=None, contract_id=None)) is None


@pytest.mark.parametrize("number", ["0.1", "0.0000005", "25871.369565217", "-3.5", "2633.00", "1E+3", "1E-7"])
def test_a_price_survives_the_round_trip_digit_by_digit(number: str) -> None:
    text = exact.dumps({"price": Decimal(number)})
    assert "E" not in text.removeprefix('{"price"')
    assert exact.loads(text)["price"] == Decimal(number)


@pytest.mark.parametrize("wrong", [0.1, Decimal("NaN"), object()])
def test_what_has_no_exact_form_is_not_written(wrong: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        exact.dumps(wrong)
