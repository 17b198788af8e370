"""From an alert's bytes to a durable signal."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from justtrades.api import webhook as webhook_module
from justtrades.api.app import create_app
from justtrades.positions.model import Verb
from justtrades.positions.recorder import Mode, QuantityFrom, Route
from justtrades.store.session import NotDurable
from tests.api.world import ACCOUNT, START, TOKEN, World, momentum
from tests.api.world import world as make_world

BUY = {"action": "buy", "ticker": "MNQ1!"}
TIMED = {**BUY, "time": "2026-09-01T14:30:00Z"}


async def outcome_of(world: World, signal_id: str) -> dict[str, Any]:
    return dict((await world.get(f"/signals/{signal_id}")).json())


async def test_an_alert_is_durable_before_its_202_and_then_dispatched(world: World) -> None:
    answer = await world.alert(BUY)
    assert answer.status_code == 202
    assert answer.json()["status"] == "accepted"
    signal_id = answer.json()["signal_id"]
    (arrival,) = world.desk.arrivals
    assert (arrival.signal_id, arrival.reading.verb) == (signal_id, Verb.BUY)
    assert arrival.expires_at - arrival.received_at == timedelta(seconds=30)
    kept = await outcome_of(world, signal_id)
    assert (kept["status"], kept["ticker"], kept["dialect"]) == ("accepted", "MNQ1!", "plain")
    assert [route["account_id"] for route in kept["routes"]] == [ACCOUNT]


async def test_text_plain_is_read_like_json(world: World) -> None:
    answer = await world.alert(json.dumps(BUY), **{"content-type": "text/plain; charset=utf-8"})
    assert answer.status_code == 202


async def test_a_byte_order_mark_is_no_reason_to_refuse(world: World) -> None:
    assert (await world.alert(b"\xef\xbb\xbf" + json.dumps(BUY).encode())).status_code == 202


async def test_the_same_alert_with_a_time_is_a_repeat_however_late(world: World) -> None:
    first = (await world.alert(TIMED)).json()["signal_id"]
    world.clock.pass_seconds(3600)
    again = await world.alert(TIMED)
    assert again.status_code == 200
    assert again.json() == {"signal_id": first, "status": "duplicate"}
    assert len(world.desk.arrivals) == 1


async def test_the_same_time_with_other_content_is_a_second_signal(world: World) -> None:
    await world.alert(TIMED)
    assert (await world.alert({**TIMED, "action": "sell"})).status_code == 202


async def test_a_timenow_in_any_field_makes_the_alert_its_own(world: World) -> None:
    await world.alert({**BUY, "comment": "entry 2026-09-01T14:30:00Z"})
    world.clock.pass_seconds(600)
    assert (await world.alert({**BUY, "comment": "entry 2026-09-01T14:30:00Z"})).json()["status"] == "duplicate"


async def test_without_a_time_only_the_same_bytes_at_once_are_a_repeat(world: World) -> None:
    await world.alert(BUY)
    assert (await world.alert(BUY)).json()["status"] == "duplicate"
    world.clock.pass_seconds(3.1)
    assert (await world.alert(BUY)).status_code == 202


async def test_an_alert_without_a_time_is_advised_to_carry_one(world: World) -> None:
    signal_id = (await world.alert(BUY)).json()["signal_id"]
    notes = [note["text"] for note in (await outcome_of(world, signal_id))["notes"]]
    assert any("{{timenow}}" in note for note in notes)


async def test_a_heartbeat_is_no_signal(world: World) -> None:
    answer = await world.alert({"action": "heartbeat"})
    assert (answer.status_code, answer.json()) == (200, {"status": "heartbeat"})
    assert (await world.get("/signals")).json()["items"] == []


async def test_unknown_and_disabled_tokens_look_the_same(world: World) -> None:
    unknown = await world.alert(BUY, token="no-such-token")
    await world.change(momentum(enabled=False))
    disabled = await world.alert(BUY)
    assert unknown.status_code == disabled.status_code == 404
    assert unknown.content == disabled.content
    assert unknown.headers.items() == disabled.headers.items()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"   ", 400),
        (b"\xff\xfe{}", 400),
        (b"MNQ1! Crossing 24500.25", 400),
        (b"buy the dip", 422),
        (b'{"action": "buy"', 400),
        (b'{"action": "buy", "action": "sell", "ticker": "MNQ1!"}', 400),
        (b'{"action": "buy", "ticker": "MNQ1!", "price": NaN}', 400),
        (b'{"action": "buy", "ticker": "MNQ1!", "price": -Infinity}', 400),
        (b'{"action": "buy", "ticker": "\\ud800"}', 400),
        (b'{"action": "buy", "ticker": "\\u0000"}', 400),
        (b"[" * 30_000, 400),
        (b'{"a":' * 40 + b"1" + b"}" * 40, 400),
        (b'{"action": "buy", "ticker": "MNQ1!", "quantity": 1e99999999999999999999}', 400),
        (b'{"action": "buy", "ticker": "MNQ1!", "price": 1e9999999}', 400),
        (b'{"action": "buy", "ticker": "MNQ1!", "time": 1e-99999999}', 400),
        (b'{"action": "buy", "ticker": "MNQ1!", "id": ' + b"9" * 5_000 + b"}", 400),
        (b'["buy"]', 422),
        (b'"buy"', 422),
        (b"{}", 422),
        (b'{"action": 7, "ticker": "MNQ1!"}', 422),
        (b'{"action": "hold", "ticker": "MNQ1!"}', 422),
        (b'{"action": "buy", "ticker": "MNQ1!", "quantity": "1e9"}', 422),
        (b'{"action": "buy", "ticker": "MNQ1!", "quantity": -1}', 422),
        (b'{"action": "buy", "ticker": "MNQ1!", "quantity": true}', 422),
        (b'{"action": "buy", "ticker": "MNQ1!", "quantity": "one"}', 422),
        (b'{"action": "{{strategy.order.action}}", "ticker": "MNQ1!"}', 422),
        (b'{"action": "buy", "ticker": "MNQ1!", "quantity": {{strategy.order.contracts}}}', 422),
        (b"x" * (64 * 1024 + 1), 413),
    ],
)
async def test_what_is_no_order_is_refused_without_an_echo(world: World, body: bytes, status: int) -> None:
    answer = await world.alert(body)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert len(answer.content) < 1024
    assert world.desk.arrivals == []


async def test_the_body_is_counted_while_it_arrives_whatever_its_header_says(world: World) -> None:
    async def chunks() -> Any:
        for _ in range(9):
            yield b"x" * 8192

    answer = await world.http.post(f"/webhook/{TOKEN}", content=chunks())
    assert answer.status_code == 413


async def test_a_refused_alert_is_kept_without_its_secrets(world: World) -> None:
    await world.alert({"action": "hold", "ticker": "MNQ1!", "secret": "correct horse", "key": "battery staple"})
    (refused,) = (await world.get("/signals", status="refused")).json()["items"]
    assert refused["recorder_id"] == "r1"
    assert "action is not known" in refused["reason"]
    receipt = await outcome_of(world, refused["id"])
    assert "horse" not in json.dumps(receipt)
    assert "staple" not in json.dumps(receipt)
    assert "hold" in receipt["alert"]


async def test_an_alert_of_an_unknown_token_is_not_kept(world: World) -> None:
    await world.alert(b"nonsense", token="no-such-token")
    assert (await world.get("/signals", status="refused")).json()["items"] == []


async def test_a_recorder_without_a_symbol_needs_the_alerts_ticker() -> None:
    async with make_world(recorder=momentum(symbol=None)) as world:
        assert (await world.alert({"action": "buy"})).status_code == 422
        assert (await world.alert(BUY)).status_code == 202


async def test_a_recorder_with_a_symbol_needs_no_ticker_and_notes_another_one(world: World) -> None:
    assert (await world.alert({"action": "buy"})).status_code == 202
    signal_id = (await world.alert({"action": "buy", "ticker": "ES1!"})).json()["signal_id"]
    notes = [note["text"] for note in (await outcome_of(world, signal_id))["notes"]]
    assert any("another than the recorder's symbol" in note for note in notes)
    signal_id = (await world.alert({"action": "buy", "ticker": "NYSE:XYZ"})).json()["signal_id"]
    notes = [note["text"] for note in (await outcome_of(world, signal_id))["notes"]]
    assert any("ticker is not known here" in note for note in notes)


# ── secret, address, rate ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["secret", "key", "token"])
async def test_a_recorders_secret_may_stand_in_any_of_three_fields(name: str) -> None:
    async with make_world(recorder=momentum(secret="open sesame")) as world:
        answer = await world.alert({**BUY, name: "open sesame"})
        assert answer.status_code == 202
        kept = await outcome_of(world, answer.json()["signal_id"])
        assert "sesame" not in json.dumps(kept)


async def test_a_secret_of_digits_may_be_sent_as_a_number() -> None:
    async with make_world(recorder=momentum(secret="8461973")) as world:
        answer = await world.alert({**BUY, "secret": 8461973})
        assert answer.status_code == 202
        assert "8461973" not in json.dumps(await outcome_of(world, answer.json()["signal_id"]))
        assert (await world.alert({**BUY, "secret": 8461974})).status_code == 422
        assert (await world.alert({**BUY, "secret": True})).status_code == 422


@pytest.mark.parametrize("sent", [{}, {"secret": "wrong"}, {"secret": 7}, {"password": "open sesame"}])
async def test_without_its_secret_an_alert_is_refused(sent: dict[str, Any]) -> None:
    async with make_world(recorder=momentum(secret="open sesame")) as world:
        assert (await world.alert({**BUY, **sent})).status_code == 422
        assert world.desk.arrivals == []


@pytest.mark.parametrize(
    ("peer", "forwarded", "status"),
    [
        ("52.89.214.238", None, 202),
        ("203.0.113.9", None, 403),
        ("203.0.113.9", "52.89.214.238", 403),
        ("10.0.0.5", "52.89.214.238", 202),
        ("10.0.0.5", "52.89.214.238, 203.0.113.9", 403),
        ("10.0.0.5", "203.0.113.9, 52.89.214.238", 202),
        ("10.0.0.5", "203.0.113.9, 52.89.214.238:4711, 10.0.0.6", 202),
        ("10.0.0.5", "52.89.214.238, nonsense", 403),
        ("10.0.0.5", None, 403),
        ("::ffff:52.89.214.238", None, 202),
    ],
)
async def test_only_tradingview_may_send_and_only_trusted_proxies_are_believed(
    peer: str, forwarded: str | None, status: int
) -> None:
    async with make_world(peer=peer, webhook_allowed_ips="tradingview", trusted_proxies="10.0.0.0/8") as world:
        headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
        assert (await world.alert(BUY, **headers)).status_code == status


async def test_a_forbidden_alert_of_a_known_token_is_not_silent() -> None:
    async with make_world(webhook_allowed_ips="tradingview") as world:
        await world.alert(BUY)
        (refused,) = (await world.get("/signals", status="refused")).json()["items"]
        assert "address" in refused["reason"]


async def test_a_minutes_worth_may_come_at_once_and_one_more_waits() -> None:
    async with make_world(webhook_rate_per_minute=3) as world:
        answers = [await world.alert({**BUY, "id": number}) for number in range(4)]
        assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
        assert answers[3].headers["retry-after"] == "20"
        world.clock.pass_seconds(20)
        assert (await world.alert({**BUY, "id": 5})).status_code == 202


async def test_exits_pass_while_entries_are_too_many() -> None:
    async with make_world(webhook_rate_per_minute=2) as world:
        for number in range(4):
            await world.alert({**BUY, "id": number})
        exits = [await world.alert({"action": "close", "id": f"x{number}"}) for number in range(21)]
        assert [answer.status_code for answer in exits] == [202] * 20 + [429]


async def test_changing_a_recorder_does_not_refill_its_bucket() -> None:
    async with make_world(webhook_rate_per_minute=1) as world:
        await world.alert({**BUY, "id": 1})
        await world.change(momentum(quantity=2))
        assert (await world.alert({**BUY, "id": 2})).status_code == 429


# ── rules that need no lane ──────────────────────────────────────────────────────────────────────────────────


async def test_shadow_mode_is_the_desks_to_play_and_not_over_at_once() -> None:
    async with make_world(recorder=momentum(mode=Mode.SHADOW)) as world:
        signal_id = (await world.alert(BUY)).json()["signal_id"]
        assert (await outcome_of(world, signal_id))["outcome"] is None
        assert [arrival.recorder.mode for arrival in world.desk.arrivals] == [Mode.SHADOW]


async def test_without_routes_a_signal_is_recorded_and_nothing_is_traded() -> None:
    async with make_world(recorder=momentum(routes=(Route(ACCOUNT, enabled=False),))) as world:
        signal_id = (await world.alert(BUY)).json()["signal_id"]
        assert (await outcome_of(world, signal_id))["outcome"] == "no_action"
        assert world.desk.arrivals == []


@pytest.mark.parametrize(("action", "outcome"), [("buy", "blocked"), ("close", None)])
async def test_the_age_of_an_alert_blocks_entries_and_never_exits(action: str, outcome: str | None) -> None:
    async with make_world(recorder=momentum(max_alert_age_seconds=60)) as world:
        old = (START - timedelta(seconds=61)).isoformat()
        signal_id = (await world.alert({**BUY, "action": action, "time": old})).json()["signal_id"]
        assert (await outcome_of(world, signal_id))["outcome"] == outcome


@pytest.mark.parametrize(("lag", "outcome"), [("300", None), ("30", "blocked")])
async def test_an_alert_may_bound_its_own_age_and_the_stricter_bound_counts(lag: str, outcome: str | None) -> None:
    async with make_world(recorder=momentum(max_alert_age_seconds=600)) as world:
        old = (START - timedelta(seconds=61)).isoformat()
        body = {"tv_instrument": "MNQ1!", "action": "buy", "bot_uuid": "any", "timestamp": old, "max_lag": lag}
        signal_id = (await world.alert(body)).json()["signal_id"]
        assert (await outcome_of(world, signal_id))["outcome"] == outcome


@pytest.mark.parametrize(("quantity_from", "said"), [("recorder", True), ("alert", False)])
async def test_an_order_that_nets_by_another_number_of_contracts_than_its_own_says_so(
    quantity_from: str, said: bool
) -> None:
    async with make_world(recorder=momentum(quantity_from=QuantityFrom(quantity_from))) as world:
        body = {"ticker": "MNQ1!", "action": "sell", "prev_position": "long", "quantity": "2", "pointer": "any"}
        signal_id = (await world.alert(body)).json()["signal_id"]
        assert ("set quantity_from to alert" in str(await outcome_of(world, signal_id))) == said


# ── when the database fails ──────────────────────────────────────────────────────────────────────────────────


async def test_what_cannot_be_made_durable_is_answered_503(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(_work: Any) -> None:
        raise NotDurable("not durable: disk full")

    monkeypatch.setattr(world.database, "write", fails)
    answer = await world.alert(BUY)
    assert answer.status_code == 503
    assert "disk" not in answer.text
    assert world.desk.arrivals == []


async def test_the_copy_sent_because_of_a_503_is_a_repeat_if_the_first_was_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = world.database.write

    async def keeps_and_fails(work: Any) -> None:
        await write(work)
        raise NotDurable("not durable: the answer was lost")

    with monkeypatch.context() as patch:
        patch.setattr(world.database, "write", keeps_and_fails)
        assert (await world.alert(BUY)).status_code == 503
    world.clock.pass_seconds(8)
    assert (await world.alert(BUY)).json()["status"] == "duplicate"


async def test_an_alert_kept_in_spite_of_its_503_is_dispatched_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = world.database.write

    async def keeps_and_fails(work: Any) -> None:
        await write(work)
        raise NotDurable("not durable: the answer was lost")

    with monkeypatch.context() as patch:
        patch.setattr(world.database, "write", keeps_and_fails)
        assert (await world.alert(BUY)).status_code == 503
    repeat = await world.alert(BUY)
    for _ in range(10):
        await asyncio.sleep(0)
    assert [arrival.signal_id for arrival in world.desk.arrivals] == [repeat.json()["signal_id"]]


async def test_an_unexpected_error_is_a_503_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaks(_work: Any) -> None:
        raise KeyError("nobody thought of this")

    monkeypatch.setattr(world.database, "write", breaks)
    assert (await world.alert(BUY)).status_code == 503


async def test_an_answer_leaves_in_time_and_a_write_that_was_under_way_is_still_dispatched(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_module, "ANSWER_WITHIN", 0.01)
    write, begun, go_on = world.database.write, asyncio.Event(), asyncio.Event()

    async def slow(work: Any) -> Any:
        done = await write(work)
        begun.set()
        await go_on.wait()
        return done

    monkeypatch.setattr(world.database, "write", slow)
    sent: list[dict[str, Any]] = []
    answered = asyncio.Event()

    async def send(message: Any) -> None:
        sent.append(message)
        if message["type"] == "http.response.body":
            answered.set()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(BUY).encode()}

    scope = {"type": "http", "path_params": {"token": TOKEN}, "headers": [], "client": ("203.0.113.7", 1)}
    call = asyncio.create_task(world.app.state.webhook(scope, receive, send))
    async with asyncio.timeout(5):
        await answered.wait()
        assert sent[0]["status"] == 503
        go_on.set()
        await call
    assert len(sent) == 2
    assert len(world.desk.arrivals) == 1


async def test_a_write_that_had_not_begun_is_abandoned_once_the_answer_was_no(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_module, "ANSWER_WITHIN", 0.01)
    write, go_on = world.database.write, asyncio.Event()

    async def queued(work: Any) -> Any:
        await go_on.wait()
        return await write(work)

    monkeypatch.setattr(world.database, "write", queued)
    answered = asyncio.Event()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            answered.set()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(BUY).encode()}

    scope = {"type": "http", "path_params": {"token": TOKEN}, "headers": [], "client": ("203.0.113.7", 1)}
    call = asyncio.create_task(world.app.state.webhook(scope, receive, send))
    async with asyncio.timeout(5):
        await answered.wait()
        go_on.set()
        await call
    assert world.desk.arrivals == []
    assert (await world.get("/signals")).json()["items"] == []


async def test_the_first_alert_after_a_start_finds_its_token_in_the_database(world: World) -> None:
    transport = httpx.ASGITransport(create_app(world.parts))
    async with httpx.AsyncClient(transport=transport, base_url="http://engine.test") as fresh:
        assert (await fresh.post(f"/webhook/{TOKEN}", json=BUY)).status_code == 202


async def test_only_post_is_taken(world: World) -> None:
    assert (await world.http.get(f"/webhook/{TOKEN}")).status_code == 405
