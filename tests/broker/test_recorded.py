"""Recorded messages of the real broker: the adapter reads each, and the simulator speaks with the same keys and types.

`recorded.jsonl` holds them in a form of our own: kind, transport, who says it, and what is said, with names, account
numbers and prose replaced. It is compared with the collection it was made from wherever that is at hand.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from justtrades.broker.port import Refused, Unreachable
from justtrades.broker.simulator import documents
from justtrades.broker.simulator.tape import Event
from justtrades.broker.tradovate import answers, exact, frames, wire
from justtrades.positions.model import BrokerAccountId
from tests.broker.simulator.client import Rest, Socket, synced, trading

OWN: Final = Path(__file__).with_name("recorded.jsonl")
COLLECTION: Final = Path(__file__).parents[3] / "shared" / "tradovate" / "samples.jsonl"
SAMPLES: Final = [json.loads(line) for line in OWN.read_text("utf-8").splitlines()]
SAID: Final = [sample for sample in SAMPLES if sample["from"] == "server"]
EVENTS: Final = [sample for sample in SAID if isinstance(sample["says"], dict) and sample["says"].get("e") == "props"]
OF_OTHERS: Final = {"md.dom", "md.getChart.response", "md.chart", "ws.replay.initializeclock", "rest.oauthgrant.ok"}
"""Market data, replay and the browser's part of OAuth: nobody here asks for them, and none may do harm."""


Reading = Callable[[object], Any]


def kind(sample: dict[str, Any]) -> str:
    return str(sample["kind"])


def shape(value: Any) -> Any:
    """Keys and JSON types; a list by the shapes that occur in it."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [dict(pairs) if pairs else {} for pairs in sorted({_items(shape(item)) for item in value})]
    if isinstance(value, bool) or value is None:
        return type(value).__name__
    return "number" if isinstance(value, int | float | Decimal) else "string"


def _items(found: Any) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, str(item)) for key, item in found.items())) if isinstance(found, dict) else (("", found),)


@pytest.mark.skipif(not COLLECTION.exists(), reason="the collection is not at hand")
def test_the_copies_have_the_keys_and_types_of_the_collection() -> None:
    collected = [json.loads(line) for line in COLLECTION.read_text("utf-8").splitlines()]
    assert [kind(sample) for sample in SAMPLES] == [kind(sample) for sample in collected]
    assert [shape(one["says"]) for one in SAMPLES] == [shape(one["payload"]) for one in collected]
    assert [one["from"] for one in SAMPLES] == [one["direction"].partition("->")[0] for one in collected]


# ── the adapter reads them ───────────────────────────────────────────────────────────────────────────────


def session() -> frames.Session:
    """A socket that is past its snapshot, so that events are told at once."""
    found = frames.Session("token", {"splitResponses": False}, 0.0)
    found.receive("o", 0.0)
    found.receive('a[{"s":200,"i":1}]', 0.0)
    found.receive('a[{"s":200,"i":2,"d":{"users":[],"orders":[],"accounts":[]}}]', 0.0)
    assert found.state is frames.State.SYNCED
    return found


def heard(sample: dict[str, Any]) -> list[frames.Heard]:
    return session().receive(f"a{json.dumps([sample['says']])}", 1.0)


def said(name: str) -> Any:
    """What the adapter's reader makes of the body of a sample."""
    found = next(sample["says"] for sample in SAMPLES if kind(sample) == name)
    body = found["d"] if isinstance(found, dict) and "s" in found else found
    return exact.loads(json.dumps(body))


@pytest.mark.parametrize("sample", [s for s in SAID if s["over"] == "ws" and ("e" in s["says"])], ids=kind)
def test_events_are_told_as_what_they_are_or_not_at_all(sample: dict[str, Any]) -> None:
    said_as = heard(sample)
    told = sample["says"]
    match told["e"]:
        case "props":
            (props,) = said_as
            assert isinstance(props, frames.Props)
            assert (props.kind, props.deleted) == (told["d"]["entityType"], False)
            assert [dict(entity) for entity in props.entities] == [exact.loads(json.dumps(told["d"]["entity"]))]
        case "shutdown":
            assert said_as == [frames.Shutdown("ConnectionQuotaReached")]
        case _:
            assert said_as == []


@pytest.mark.parametrize("sample", [s for s in SAID if s["over"] == "ws" and "s" in s["says"]], ids=kind)
def test_answers_over_the_socket_are_sorted_by_status_and_body(sample: dict[str, Any]) -> None:
    told = sample["says"]
    body = told.get("d", "")
    found = answers.heard(told["s"], body if isinstance(body, str) and body else json.dumps(body))
    expected = {401: answers.Denied, 404: answers.No}.get(told["s"], answers.Payload)
    assert isinstance(found, answers.Ticket if "p-ticket" in body else expected)
    assert heard({"says": {**told, "i": 99}}) == [], "an answer nobody waits for is left alone"


def test_fills_are_read_exactly() -> None:
    read = {name: wire.fill(said(name)["d"]["entity"]) for name in ("props.fill.Created", "props.fill")}
    listed = wire.fill(said("rest.fill.list.item"))
    assert [fill.price for fill in (*read.values(), listed) if fill] == [
        *(Decimal("7759.75"), Decimal("30231.75"), Decimal(24_652)),
    ]
    assert not any(wire.busted(said(name)["d"]["entity"]) for name in read)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("ws.props.order.Created", "SENT"),
        ("props.order.Updated(Suspended)", "WORKING"),
        ("props.order.Updated(Canceled)", "CANCELED"),
        ("props.order.Updated(Rejected)", "REJECTED"),
    ],
)
def test_orders_are_read_with_status_and_place(name: str, status: str) -> None:
    row = said(name)["d"]["entity"]
    found = wire.joined(wire.Parts(row))
    assert found is not None
    assert (found.status.name, found.broker_id) == (status, str(row["id"]))
    assert wire.place(row) == wire.Place(BrokerAccountId(str(row["accountId"])), row["contractId"])


def test_an_account_of_a_prop_firm_can_trade_and_its_risk_status_does_not_stop_it() -> None:
    found = wire.account(said("sync.accounts[]"), said("sync.accountRiskStatuses[]"))
    assert found is not None
    assert (found.active, found.why) == (True, None)
    assert wire.account(said("rest.account.list")[0], None) is not None


def test_a_flat_row_is_flat() -> None:
    (row,) = said("rest.position.list(flat row)")
    assert (wire.number(row, "netPos"), wire.price(row, "netPrice")) == (0, None)


@pytest.mark.parametrize(
    ("name", "reads", "error"),
    [
        ("rest.placeorder.fail", answers.placed, Unreachable),
        ("rest.placeorder.fail(unknown contract)", answers.placed, Unreachable),
        ("response.order/cancelorder(logical reject)", answers.commanded, Refused),
        ("response.order/modifyorder(logical reject)", answers.commanded, Refused),
        ("rest.simpleResponse.error", answers.placed, Refused),
        ("rest.violations", answers.placed, Refused),
    ],
)
def test_a_no_inside_http_200_is_a_no_or_a_doubt(name: str, reads: Reading, error: type[Exception]) -> None:
    with pytest.raises(error):
        reads(said(name))


def test_a_yes_names_what_was_made() -> None:
    assert answers.paired(said("response.order/placeoco")).broker_ids == ("663695020301", "663695020302")
    assert answers.commanded(said("ws.order/modifyorder.response")).broker_ids == ()


def test_a_penalty_is_a_ticket_with_its_seconds() -> None:
    asked = answers.of_value(said("rest.auth.penalty"))
    assert isinstance(asked, answers.Ticket)
    assert (asked.seconds, asked.captcha) == (19.0, True)
    chart = answers.of_value(said("ws.penalty"))
    assert isinstance(chart, answers.Ticket)
    assert (chart.seconds, chart.captcha) == (1.0, False)


def test_a_sync_answer_with_few_collections_is_a_snapshot_without_the_others() -> None:
    found = frames.Session("token", {}, 0.0)
    found.receive("o", 0.0)
    found.receive('a[{"s":200,"i":1}]', 0.0)
    sync = next(sample for sample in SAID if kind(sample) == "ws.user/syncrequest.response(synthetic)")
    (snapshot,) = found.receive(f"a{json.dumps([sync['says']])}", 0.0)
    assert isinstance(snapshot, frames.Snapshot)
    assert (snapshot.bare, snapshot.collections["position"], snapshot.collections["order"]) == (False, (), ())


# ── the simulator speaks so ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("sample", SAID, ids=kind)
def test_through_the_simulators_own_codec_a_message_keeps_its_keys_types_and_values(sample: dict[str, Any]) -> None:
    text = json.dumps(sample["says"])
    again = json.loads(documents.dumps(documents.loads(text)))
    assert shape(again) == shape(sample["says"])
    assert again == sample["says"]


@pytest.mark.parametrize("sample", EVENTS, ids=kind)
def test_an_event_of_the_simulators_is_worded_like_the_brokers(sample: dict[str, Any]) -> None:
    told = sample["says"]["d"]
    event = Event(told["entityType"], told.get("eventType", "Created"), documents.loads(json.dumps(told["entity"])))
    worded = json.loads(documents.dumps(event.message))
    assert shape(worded["d"]["entity"]) == shape(told["entity"])
    assert set(worded) == set(sample["says"])
    assert set(worded["d"]) == set(told) | {"eventType"}


@pytest.fixture
async def rest(tmp_path: Path) -> AsyncIterator[Rest]:
    async with trading(tmp_path) as client:
        yield client


Source = Callable[[Rest, Socket], Awaitable[Any]]


async def _told(rest: Rest, socket: Socket, what: str, **fields: Any) -> Any:
    await rest.order(orderQty=2)
    bracket = {"action": "Sell", "orderType": "Limit", "price": 25_100}
    other = {"action": "Sell", "orderType": "Stop", "stopPrice": 24_900}
    await rest.order(path="order/placeoso", bracket1=bracket, bracket2=other)
    await rest.control("price", symbol="MNQZ6", price=25_100)
    await rest.control("accounts", account="PAPER1", max_order_qty=2, late_risk=True)
    await rest.order(orderQty=3)
    await socket.event("order", ordStatus="Rejected")  # the last of all: nothing stays unread
    return await socket.event(what, **fields)


def event(what: str, **fields: Any) -> Source:
    return lambda rest, socket: _told(rest, socket, what, **fields)


def get(path: str, **query: Any) -> Source:
    return lambda rest, _: rest.get(path, **query)


def first(path: str) -> Source:
    async def found(rest: Rest, _: Socket) -> Any:
        return (await rest.get(path))[0]

    return found


def armed(fault: str, path: str = "order/placeorder") -> Source:
    async def found(rest: Rest, _: Socket) -> Any:
        await rest.fault(fault, path)
        return await rest.order(path=path)

    return found


def ask(endpoint: str, query: str = "", body: Any = None) -> Source:
    async def found(_: Rest, socket: Socket) -> Any:
        return await socket.ask(endpoint, query, body)

    return found


async def _pair(rest: Rest, socket: Socket) -> Any:
    other = {"action": "Sell", "orderType": "Stop", "stopPrice": 24_900}
    who = {"accountId": rest.account["id"], "symbol": "MNQZ6", "action": "Sell", "orderQty": 1, "orderType": "Limit"}
    return await socket.ask("order/placeoco", body=who | {"price": 25_100, "other": other})


async def _modified(rest: Rest, socket: Socket) -> Any:
    order = (await rest.order(orderType="Limit", price=24_000))["orderId"]
    change = {"orderId": order, "orderQty": 1, "orderType": "Limit", "price": 24_001}
    return await socket.ask("order/modifyorder", body=change)


async def _below_filled(rest: Rest, socket: Socket) -> Any:
    await rest.control("liquidity", depth=2)
    order = (await rest.order(orderType="Limit", price=25_000, orderQty=3))["orderId"]
    change = {"orderId": order, "orderQty": 1, "orderType": "Limit", "price": 25_000}
    return await socket.ask("order/modifyorder", body=change)


async def _too_late(rest: Rest, _: Socket) -> Any:
    return await rest.post("order/cancelorder", orderId=(await rest.order())["orderId"])


async def _flat(rest: Rest, _: Socket) -> Any:
    await rest.order()
    await rest.order(action="Sell")
    return await rest.get("position/list")


async def _sync(_: Rest, socket: Socket) -> Any:
    return next(message for message in socket.messages if message.get("i") == 2)


async def _kicked(rest: Rest, socket: Socket) -> Any:
    await rest.control("faults", fault="kick_out")
    return await socket.until(lambda message: message.get("e") == "shutdown")


async def _penalty_over_the_socket(rest: Rest, socket: Socket) -> Any:
    await rest.fault("penalty:1:Rate limit exceeded", "account/list")
    return await socket.ask("account/list")


async def _first_fill(rest: Rest, _: Socket) -> Any:
    await rest.order()
    return (await rest.get("fill/list"))[0]


async def _authorized(_: Rest, socket: Socket) -> Any:
    return next(message for message in socket.messages if message.get("i") == 1)


async def _log_in(rest: Rest, _: Socket) -> Any:
    return await rest.log_in()


SPOKEN: Final[dict[str, Source]] = {
    "props.fill.Created": event("fill"),
    "props.order.Updated(Suspended)": event("order", ordStatus="Suspended"),
    "props.executionReport.Created(Canceled)": event("executionReport", execType="Canceled"),
    "props.order.Updated(Canceled)": event("order", ordStatus="Canceled"),
    "props.order.Updated(Rejected)": event("order", ordStatus="Rejected"),
    "props.fill.Created(partial)": event("fill"),
    "props.fill": event("fill"),
    "ws.props.order.Created": event("order", ordStatus="PendingNew"),
    "response.order/placeoco": _pair,
    "response.contract/item": ask("contract/find", "name=NQZ6"),
    "response.contract/item(404)": ask("contract/item", "id=1"),
    "response.order/modifyorder(logical reject)": _below_filled,
    "response.order/cancelorder(logical reject)": _too_late,
    "rest.placeorder.fail": armed("failure:UnknownReason:Access is denied"),
    "rest.placeorder.fail(unknown contract)": lambda rest, _: rest.order(symbol="E6H9"),
    "rest.auth.penalty": armed("penalty:19:captcha"),
    "ws.placeorder.denied": ask("order/placeOrder"),
    "ws.authorize.denied": ask("authorize", body="nonsense"),
    "ws.response.contract/find": ask("contract/find", "name=CLZ7"),
    "ws.order/modifyorder.response": _modified,
    "ws.shutdown": _kicked,
    "ws.user/syncrequest.response(synthetic)": _sync,
    "rest.accesstokenrequest.ok": _log_in,
    "rest.accesstokenrequest.ok(2026)": _log_in,
    "rest.account.list": get("account/list"),
    "rest.simpleResponse.error": armed("error_text"),
    "rest.violations": armed("violations"),
    "sync.users[]": first("user/list"),
    "sync.accounts[]": first("account/list"),
    "sync.cashBalances[]": first("cashBalance/list"),
    "sync.exchanges[]": first("exchange/list"),
    "rest.position.list(flat row)": _flat,
    "rest.product.find": get("product/find", name="NQ"),
    "rest.contract.suggest(t=ES)": get("contract/suggest", t="ES", l=3),
    "rest.productMargin.ldeps(814,799)": get("productMargin/list"),
    "rest.fill.list.item": _first_fill,
    "ws.authorize.ok": _authorized,
    "ws.penalty": _penalty_over_the_socket,
}
NOT_SPOKEN: Final = OF_OTHERS | {
    "props.orderStrategy.Created",  # here strategies are disabled, as they are for some users of the real one
    "sync.userAccountAutoLiqs[]",  # no trailing drawdown is simulated; the risk desk's acts are, by rehearsal
    "sync.accountRiskStatuses[]",  # the same: its highest net liquidation value belongs to a drawdown
}
MORE: Final[dict[str, set[str]]] = {
    "order": {"executionProviderId", "ocoId", "parentId", "archived", "external"},
    "contract": {"contractMaturityId", "status", "providerTickSize"},
    "account": {"restricted", "closed", "archived", "timestamp"},
    "accesstokenrequest": {
        *("hasSimPlus", "requiredNonProCertification", "outdatedSentimentPolicy", "orgName", "apiHosts"),
        "outdatedLiquidationPolicy",
    },
    "props": {"eventType"},
    "user/syncrequest": set(),
}
"""Published or recorded fields that ours may have where a sample (cut, older, or of a leg) has them not."""


def misfit(spoken: Any, recorded: Any, more: set[str], at: str = "") -> list[str]:
    """Where the spoken value's keys or types are not the recorded one's."""
    if isinstance(recorded, dict):
        if not isinstance(spoken, dict):
            return [f"{at} is no object"]
        found = [f"{at}.{key} is missing" for key in recorded.keys() - spoken.keys()]
        found += [f"{at}.{key} is too much" for key in spoken.keys() - recorded.keys() - more]
        both = recorded.keys() & spoken.keys()
        return found + [line for key in both for line in misfit(spoken[key], recorded[key], more, f"{at}.{key}")]
    if isinstance(recorded, list):
        if not isinstance(spoken, list):
            return [f"{at} is no list"]
        return [line for item in spoken for line in misfit(item, recorded[0], more, f"{at}[]")] if recorded else []
    return [] if shape(spoken) == shape(recorded) else [f"{at} is {spoken!r}, recorded was {recorded!r}"]


def test_every_kind_is_spoken_or_said_to_be_not() -> None:
    assert {kind(sample) for sample in SAID} == SPOKEN.keys() | NOT_SPOKEN
    assert not SPOKEN.keys() & NOT_SPOKEN


@pytest.mark.parametrize("name", SPOKEN)
async def test_the_simulator_speaks_with_the_recorded_keys_and_types(rest: Rest, name: str) -> None:
    recorded = next(sample["says"] for sample in SAID if kind(sample) == name)
    async with synced(rest) as socket:
        spoken = await SPOKEN[name](rest, socket)
    if isinstance(recorded, dict) and recorded.get("e") == "props":
        recorded = recorded["d"]["entity"]
    more = set().union(*(fields for part, fields in MORE.items() if part in name))
    if name.startswith("ws.user/syncrequest"):  # a client's own cut of the answer: its collections, and ours whole
        assert recorded["d"].keys() <= spoken["d"].keys()
        ours, theirs = (answer["d"]["cashBalances"][0] for answer in (spoken, recorded))
        assert misfit(ours, theirs, {*ours}) == []
        return
    assert misfit(spoken, recorded, more) == []


# ── the simulator hears what clients were recorded to send ───────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "status"),
    [("frame.query", 200), ("frame.noargs", 200), ("ws.order/modifyorder.request", 404)],
)
async def test_recorded_request_frames_are_understood(rest: Rest, name: str, status: int) -> None:
    """The order of the modify request is nobody's here: 404 says that it was understood."""
    frame = next(sample["says"] for sample in SAMPLES if kind(sample) == name)
    async with synced(rest) as socket:
        await socket.ws.send(frame)
        answer = await socket.until(lambda message: message.get("i") == int(frame.split("\n")[1]))
        assert answer["s"] == status


async def test_a_recorded_heartbeat_is_no_request(rest: Rest) -> None:
    beat = next(sample["says"] for sample in SAMPLES if kind(sample) == "frame.heartbeat")
    assert beat == frames.HEARTBEAT
    async with synced(rest) as socket:
        await socket.ws.send(beat)
        assert (await socket.ask("account/list"))["s"] == 200


async def test_the_web_clients_log_in_is_taken_with_its_unpublished_fields(rest: Rest) -> None:
    body = next(sample["says"] for sample in SAMPLES if kind(sample).startswith("rest.accesstokenrequest.request"))
    assert "accessToken" in await rest.post("auth/accesstokenrequest", **body)
