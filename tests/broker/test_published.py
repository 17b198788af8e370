"""Every request the adapter can send is one the published document knows, with all it requires and nothing else."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest

import justtrades.broker.tradovate as adapter
from justtrades.broker.port import Synced
from justtrades.broker.simulator import Paper, serve_paper
from justtrades.broker.simulator.counter import Counter
from justtrades.broker.tradovate import Credentials, MemoryTokenBox, TradovateBroker, TradovateSettings, exact
from justtrades.broker.tradovate.oauth import Exchange as CodeExchange
from justtrades.broker.tradovate.oauth import OAuthClient
from justtrades.positions.commands import CancelOrder, Liquidate, ModifyOrder, PlaceOrder
from justtrades.positions.model import Action, ClientOrderId, ContractName, Order, OrderType, Purpose
from tests.broker import published
from tests.broker.conformance.stage import Notebook
from tests.broker.tradovate.test_requests import COMMANDS, prepared

DOCUMENT: Final = Path(__file__).parents[3] / "shared" / "tradovate" / "openapi.json"
at_hand = pytest.mark.skipif(not DOCUMENT.exists(), reason="the published document is not at hand")
NOW: Final = datetime(2026, 11, 23, 15, tzinfo=UTC)
MNQ: Final = ContractName("MNQZ6")


def complaints(endpoint: str, sent: dict[str, Any]) -> list[str]:
    """What a request has against the table; [] when nothing."""
    own = {name: value for name, value in sent.items() if name != published.TICKET}
    looks = endpoint in published.PLAIN or endpoint.rpartition("/")[2] in published.QUERIES
    schema = published.query_schema(endpoint) if looks else published.schema(endpoint) | {"additionalProperties": False}
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(own)]


# ── the table is the document ────────────────────────────────────────────────────────────────────────────


def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    return found


def resolved(node: Any, schemas: dict[str, Any]) -> Any:
    """A schema of the document without its references, prose and widths, in the table's spelling."""
    if isinstance(node, list):
        return [resolved(item, schemas) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return resolved(schemas[node["$ref"].rpartition("/")[2]], schemas)
    if node.get("type") == "array":
        return {"type": "array", "items": {"type": node["items"]["type"]}}
    kept = {key: resolved(value, schemas) for key, value in node.items() if key != "description"}
    if kept.get("format") in ("int32", "int64", "double"):
        del kept["format"]
    if kept.get("exclusiveMinimum") is True:
        kept["exclusiveMinimum"] = kept.pop("minimum")
    return kept


@at_hand
@pytest.mark.parametrize("name", [name for name in published.BODIES if "/" in name])
def test_the_bodies_are_those_of_the_document(name: str) -> None:
    spec = document()
    content = spec["paths"][f"/{name}"]["post"]["requestBody"]["content"]["application/json"]
    assert published.schema(name, later=False) == resolved(content["schema"], spec["components"]["schemas"])


@at_hand
@pytest.mark.parametrize("entity", published.LOOKUPS)
def test_the_look_ups_are_those_of_the_document_with_all_they_require(entity: str) -> None:
    paths = document()["paths"]
    there = {path.rpartition("/")[2] for path in paths if path.startswith(f"/{entity}/") and "get" in paths[path]}
    assert set(published.LOOKUPS[entity].split()) == there
    for name in there:
        parameters = paths[f"/{entity}/{name}"]["get"].get("parameters", [])
        assert {p["name"] for p in parameters if p["required"]} == set(published.QUERIES[name])
        assert len(parameters) == len(published.QUERIES[name])


@at_hand
@pytest.mark.parametrize("name", published.PLAIN)
def test_what_takes_nothing_takes_nothing_in_the_document(name: str) -> None:
    operation = document()["paths"][f"/{name}"]["get"]
    assert not operation.get("parameters")
    assert "requestBody" not in operation


# ── the adapter keeps to the table ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", COMMANDS)
def test_every_mutation_is_valid_and_has_no_field_of_its_own(name: str) -> None:
    request = prepared(COMMANDS[name])
    body = json.loads(exact.dumps(request.body))
    assert complaints(request.endpoint.removeprefix("/"), body) == []
    assert set(body.get("other", {})) <= set(published.BODIES["leg"][0])


def test_every_endpoint_the_adapter_names_stands_in_the_table() -> None:
    source = "".join(file.read_text(encoding="utf-8") for file in Path(adapter.__file__).parent.glob("*.py"))
    named = set(re.findall(r'"/?([a-z]+[A-Za-z]*/[a-z]+)"', source)) - {"application/json"}
    assert {"order/placeorder", "auth/renewaccesstoken", "user/syncrequest"} <= named
    assert named <= published.known()


class Sent(Notebook):
    """Every request that went out, in the words the audit keeps."""

    @property
    def sent(self) -> list[tuple[str, dict[str, Any]]]:
        calls = [row for row in self.rows.values() if row.method != "EVENT"]
        return [(row.endpoint.removeprefix("/"), json.loads(row.request or "{}")) for row in calls]


def order(name: str, purpose: Purpose, action: Action, kind: OrderType, price: str | None = None) -> Order:
    return Order(ClientOrderId(name), purpose, action, 1, kind, NOW, Decimal(price) if price else None)


async def trade(broker: TradovateBroker) -> None:
    """Everything an engine asks of a login, once."""

    async def send(command: Any) -> Any:
        return await broker.send(broker.prepare(command, account, MNQ), lambda: None)

    account = (await broker.accounts())[0].id
    await broker.contract(MNQ)
    await send(PlaceOrder(ClientOrderId("e"), order("e", Purpose.ENTRY, Action.BUY, OrderType.MARKET)))
    target = order("t", Purpose.TARGET, Action.SELL, OrderType.LIMIT, "25100")
    stop = order("s", Purpose.STOP, Action.SELL, OrderType.STOP, "24900")
    pair = await send(PlaceOrder(target.id, target, stop))
    changed = (ClientOrderId("m"), target.id, pair.broker_ids[0], Purpose.TARGET, 1, OrderType.LIMIT, Decimal(25_050))
    await send(ModifyOrder(*changed))
    await send(CancelOrder(ClientOrderId("x"), stop.id, pair.broker_ids[1], Purpose.STOP))
    await broker.look(account, (target.id,))
    await broker.picture()
    await send(Liquidate(ClientOrderId("l"), order("l", Purpose.CLOSE, Action.SELL, OrderType.MARKET)))


async def test_the_exchange_of_an_authorization_code_is_valid(tmp_path: Path) -> None:
    notes = Sent()
    async with serve_paper(Paper(tmp_path / "ledger.db", market="still")) as url:
        client = OAuthClient("https://somewhere.invalid/oauth", f"{url}/auth/oauthtoken", "7", "not-a-secret")
        exchange = CodeExchange(client, notes, lambda: datetime.now(UTC), 5.0)
        await exchange.take("code", "https://here.invalid/oauth/callback")
    sent = dict(notes.sent)
    assert sent["auth/oauthtoken"]["grant_type"] == "authorization_code"
    assert complaints("auth/oauthtoken", sent["auth/oauthtoken"]) == []
    assert complaints("auth/me", sent["auth/me"]) == []


async def test_every_sync_request_is_valid_also_the_one_that_asks_by_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket's frames are not in the audit: they are noted where the simulator takes them."""
    bodies = list[dict[str, Any]]()
    take = Counter.take

    async def counted(counter: Counter, call: Any) -> Any:
        bodies.extend([dict(call.body)] if call.endpoint == "user/syncrequest" else [])
        return await take(counter, call)

    monkeypatch.setattr(Counter, "take", counted)
    async with serve_paper(Paper(tmp_path / "ledger.db", market="still", faults="bare_sync")) as url:
        broker = TradovateBroker(TradovateSettings(url, Credentials("a", "b")), Sent(), MemoryTokenBox())
        await broker.start()
        try:
            async for report in broker.reports():
                if isinstance(report, Synced):
                    break
        finally:
            await broker.close()
    assert len(bodies) == 2
    assert "entityTypes" in bodies[-1]
    assert [complaints("user/syncrequest", body) for body in bodies] == [[], []]


async def test_every_request_of_a_whole_session_is_valid(tmp_path: Path) -> None:
    notes = Sent()
    credentials = Credentials("trader", "any", device_id="one-machine", cid="8", sec="secret")
    async with serve_paper(Paper(tmp_path / "ledger.db", market="still", clock=lambda: NOW)) as url:
        settings = TradovateSettings(base_url=url, credentials=credentials, budget_per_minute=1_000)
        broker = TradovateBroker(settings, notes, MemoryTokenBox(), clock=lambda: NOW)
        await broker.start()
        try:
            async for report in broker.reports():
                if isinstance(report, Synced):
                    break
            await trade(broker)
        finally:
            await broker.close()
    assert {endpoint for endpoint, _ in notes.sent} >= {
        *("auth/accesstokenrequest", "account/list", "accountRiskStatus/list", "contract/find", "product/item"),
        *("order/placeorder", "order/placeoco", "order/modifyorder", "order/cancelorder", "order/liquidateposition"),
        *("order/list", "fill/list", "position/list", "command/ldeps", "orderVersion/ldeps", "order/deps"),
    }
    assert [(endpoint, sent, found) for endpoint, sent in notes.sent if (found := complaints(endpoint, sent))] == []
