"""`/api/v1`: who may, what is taken, what is given."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from justtrades.api.schemas import decimal_text
from justtrades.broker.port import Account, ConnectionState, Refused, Unreachable
from justtrades.lane_view import OtherOrderView
from justtrades.positions.model import Action, BrokerAccountId, BrokerOrderId, OrderType
from justtrades.store import accounts, books, connections
from justtrades.takeover import CannotAdopt
from tests.api.world import (
    ACCOUNT,
    CONTRACT,
    LOCAL_KEY,
    PAPER,
    START,
    World,
    health,
    lane,
    momentum,
)
from tests.api.world import world as make_world

RULES = {
    "name": "mnq-momentum",
    "symbol": "MNQ1!",
    "quantity": 1,
    "quantity_from": "recorder",
    "add_quantity": 1,
    "max_quantity": 5,
    "on_same_side": "add",
    "on_opposite": "reverse",
    "targets": [{"distance": "20", "unit": "ticks", "percent": 100}],
    "stop": {"distance": "40", "unit": "ticks"},
    "exits_from": "recorder",
    "target_update": "modify",
    "dialect": "auto",
    "mode": "trade",
    "on_gap": "block",
    "max_alert_age_seconds": None,
    "secret": None,
    "heartbeat_seconds": None,
    "routes": [{"account_id": ACCOUNT, "multiplier": 1, "enabled": True}],
    "enabled": True,
}


# ── who may ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("peer", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("192.168.1.5", {}, 401),
        ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, 401),
        ("127.0.0.1", {"Forwarded": "for=127.0.0.1"}, 401),
    ],
)
async def test_the_key_files_key_opens_on_this_machine_only(peer: str, headers: dict[str, str], status: int) -> None:
    async with make_world(peer=peer) as world:
        answer = await world.http.get("/api/v1/kill", headers={"Authorization": f"Bearer {LOCAL_KEY}", **headers})
        assert answer.status_code == status


# ── recorders ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_recorder_made_over_http_takes_alerts_at_once(world: World) -> None:
    made = await world.send("POST", "/recorders", RULES)
    assert made.status_code == 201
    body = made.json()
    assert body["webhook_url"] == f"http://engine.test/webhook/{body['token']}"
    assert (await world.alert({"action": "buy", "ticker": "MNQ1!"}, token=body["token"])).status_code == 202
    arrival = world.desk.arrivals[-1]
    assert arrival.recorder.targets[0].distance is not None
    assert arrival.recorder.targets[0].distance.value == Decimal(20)


async def test_what_was_given_is_what_is_shown_and_the_token_never_again(world: World) -> None:
    made = (await world.send("POST", "/recorders", RULES)).json()
    shown = (await world.get(f"/recorders/{made['id']}")).json()
    assert {name: shown[name] for name in RULES} == RULES
    assert {type(shown["targets"][0]["percent"]), type(shown["routes"][0]["multiplier"])} == {int}
    assert "token" not in shown
    listed = (await world.get("/recorders")).json()
    assert [one["id"] for one in listed["items"]] == [made["id"], "r1"] or listed["items"][0]["id"] == "r1"
    assert made["token"] not in json.dumps(listed)


async def test_shares_may_come_as_text_and_leave_as_exact_numbers(world: World) -> None:
    thirds = [{"distance": "20", "percent": "33.33"}, {"distance": "30", "percent": 33.33}]
    targets = [*thirds, {"distance": "40", "percent": "33.340"}]
    routes = [{"account_id": ACCOUNT, "multiplier": "0.5"}]
    made = await world.send("POST", "/recorders", {**RULES, "targets": targets, "routes": routes})
    assert made.status_code == 201
    shown = json.loads(made.text, parse_float=str)
    assert [target["percent"] for target in shown["targets"]] == ["33.33", "33.33", "33.34"]
    assert shown["routes"][0]["multiplier"] == "0.5"
    back = await world.send("PATCH", f"/recorders/{shown['id']}", {"targets": made.json()["targets"]})
    assert back.json()["targets"] == made.json()["targets"]


async def test_a_change_is_in_force_for_the_next_alert_and_leaves_the_rest(world: World) -> None:
    made = (await world.send("POST", "/recorders", {**RULES, "secret": "open sesame"})).json()
    changed = await world.send("PATCH", f"/recorders/{made['id']}", {"quantity": 3, "stop": None})
    assert changed.status_code == 200
    assert (changed.json()["quantity"], changed.json()["stop"], changed.json()["max_quantity"]) == (3, None, 5)
    assert changed.json()["has_secret"]
    assert "sesame" not in changed.text
    alert = {"action": "buy", "ticker": "MNQ1!", "secret": "open sesame"}
    assert (await world.alert(alert, token=made["token"])).status_code == 202
    assert world.desk.arrivals[-1].recorder.quantity == 3


async def test_a_recorder_goes_by_its_name_while_no_other_has_it(world: World) -> None:
    made = (await world.send("POST", "/recorders", {**RULES, "name": "mnq, über / 15m"})).json()
    path = "/recorders/mnq%2C%20%C3%BCber%20%2F%2015m"
    assert (await world.get("/recorders/momentum")).json()["id"] == "r1"
    assert (await world.send("PATCH", "/recorders/momentum", {"name": "other", "quantity": 2})).json()["id"] == "r1"
    assert (await world.get("/recorders/momentum")).status_code == 404
    await world.send("PATCH", f"/recorders/{made['id']}", {"name": "other"})
    assert (await world.get("/recorders/other")).status_code == 409
    assert (await world.get(path)).status_code == 404


def test_money_is_plain_text_without_idle_digits() -> None:
    assert decimal_text(Decimal("24489.58333333333333333333333")) == "24489.583333333"
    assert decimal_text(Decimal("-131.25000")) == "-131.25"
    assert decimal_text(Decimal("1E+3")) == "1000"
    assert decimal_text(Decimal("0.000")) == "0"
    assert decimal_text(Decimal("-0.0000000000001")) == "0"
    assert decimal_text(Decimal(20)) == "20"


async def test_a_refusal_speaks_no_regular_expression(world: World) -> None:
    detail = (await world.get("/signals", before="no\x00")).json()["detail"]
    assert detail.startswith("before: ")
    assert "pattern" not in detail
    assert "^" not in detail


async def test_a_disabled_recorder_is_listed_and_takes_nothing(world: World) -> None:
    gone = await world.send("DELETE", "/recorders/r1")
    assert (gone.status_code, gone.json()["enabled"]) == (200, False)
    assert (await world.alert({"action": "buy"})).status_code == 404
    assert (await world.get("/recorders/r1")).json()["enabled"] is False


async def test_a_rotated_token_overlaps_and_then_ends(world: World) -> None:
    rotated = (await world.send("POST", "/recorders/r1/rotate-token", {"overlap_seconds": 60})).json()
    assert rotated["old_token_expires_at"] == "2026-09-01T14:31:00Z"
    assert (await world.alert({"action": "buy"})).status_code == 202
    assert (await world.alert({"action": "sell"}, token=rotated["token"])).status_code == 202
    world.clock.pass_seconds(61)
    assert (await world.alert({"action": "buy"})).status_code == 404
    assert (await world.alert({"action": "buy"}, token=rotated["token"])).status_code == 202


async def test_an_overlap_of_nothing_revokes_at_once_and_the_usual_one_is_a_day(world: World) -> None:
    usual = (await world.send("POST", "/recorders/r1/rotate-token")).json()
    assert usual["old_token_expires_at"] == "2026-09-02T14:30:00Z"
    await world.send("POST", "/recorders/r1/rotate-token", {"overlap_seconds": 0})
    assert (await world.alert({"action": "buy"})).status_code == 404
    assert (await world.alert({"action": "buy"}, token=usual["token"])).status_code == 404


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"colour": "red"}, "colour is not known"),
        ({"name": ""}, "name"),
        ({"quantity": 0}, "quantity"),
        ({"quantity": "2"}, "quantity"),
        ({"quantity": 1.5}, "quantity"),
        ({"on_opposite": "flip"}, "on_opposite"),
        ({"targets": [{"distance": "0"}]}, "distance"),
        ({"targets": [{"distance": "NaN"}]}, "distance"),
        ({"targets": [{"distance": "20", "percent": 60}]}, "sum to 100"),
        ({"stop": {"distance": "40", "unit": "miles"}}, "unit"),
        ({"symbol": "NYSE:ES"}, "symbol"),
        ({"dialect": "morse"}, "dialect"),
        ({"max_quantity": 1, "quantity": 2}, "max_quantity"),
        ({"routes": [{"account_id": "nobody"}]}, "no such account"),
        ({"routes": [{"account_id": ACCOUNT}, {"account_id": ACCOUNT}]}, "twice"),
        ({"routes": [{"account_id": ACCOUNT, "multiplier": -1}]}, "multiplier"),
    ],
)
async def test_rules_that_make_no_sense_are_refused_with_one_sentence(
    world: World, changes: dict[str, Any], told: str
) -> None:
    for answer in (
        await world.send("POST", "/recorders", {**RULES, **changes}),
        await world.send("PATCH", "/recorders/r1", changes),
    ):
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert told in answer.json()["detail"]
        assert "\n" not in answer.json()["detail"]


async def test_a_refused_body_is_never_repeated(world: World) -> None:
    body = {"name": "x", "environment": "demo", "username": "u", "password": {"zq9": "zq9canary"}}
    answer = await world.send("POST", "/connections", body)
    assert answer.status_code == 422
    assert "zq9" not in answer.text


# ── connections and accounts ─────────────────────────────────────────────────────────────────────────────────

DEMO = {
    "name": "Demo",
    "environment": "demo",
    "auth": "password",
    "username": "trader",
    "password": "zq9-password",
    "cid": "zq9-cid",
    "sec": "zq9-sec",
}


async def test_a_connections_secrets_go_in_and_never_come_out(world: World) -> None:
    made = await world.send("POST", "/connections", DEMO)
    assert made.status_code == 201
    assert world.desk.changes == 1
    listed = await world.get("/connections")
    audit = await world.get("/audit")
    for answer in (made, listed, audit):
        assert "zq9" not in answer.text
    kept = await world.database.read(lambda c: connections.load_secrets(c, world.parts.box, made.json()["id"]))
    assert kept["password"] == "zq9-password"


async def test_logins_name_the_installations_device_unless_another_is_given(world: World) -> None:
    devices = []
    for name, given in (("a", {}), ("b", {}), ("c", {"device_id": "of-my-own"})):
        made = await world.send("POST", "/connections", {**DEMO, "name": name, "username": name, **given})
        load = partial(connections.load_secrets, box=world.parts.box, connection_id=made.json()["id"])
        devices.append((await world.database.read(load))["device_id"])
    assert devices[0] == devices[1] != devices[2] == "of-my-own"


async def test_a_paper_connection_needs_only_a_name(world: World) -> None:
    await world.send("DELETE", f"/connections/{PAPER}")
    made = await world.send("POST", "/connections", {"name": "second", "environment": "paper"})
    assert (made.status_code, made.json()["state"]) == (201, "offline")


async def test_there_is_one_paper_connection_at_a_time(world: World) -> None:
    again = await world.send("POST", "/connections", {"name": "second", "environment": "paper"})
    assert (again.status_code, again.headers["content-type"]) == (409, "application/problem+json")
    assert "paper" in again.json()["detail"]
    await world.send("DELETE", f"/connections/{PAPER}")
    await world.send("POST", "/connections", {"name": "second", "environment": "paper"})
    back = await world.send("PATCH", f"/connections/{PAPER}", {"enabled": True})
    assert back.status_code == 409
    assert (await world.send("PATCH", f"/connections/{PAPER}", {"name": "old one"})).status_code == 200


async def test_a_login_is_used_by_one_connection_at_a_time(world: World) -> None:
    first = (await world.send("POST", "/connections", DEMO)).json()["id"]
    changes = world.desk.changes
    assert (await world.send("POST", "/connections", {**DEMO, "name": "again"})).status_code == 409
    other = (await world.send("POST", "/connections", {**DEMO, "username": "another"})).json()["id"]
    assert (await world.send("PATCH", f"/connections/{other}", {"username": "trader"})).status_code == 409
    assert (await world.send("PATCH", f"/connections/{first}", {"username": "trader", "sec": "x"})).status_code == 200
    await world.send("DELETE", f"/connections/{first}")
    assert (await world.send("PATCH", f"/connections/{other}", {"username": "trader"})).status_code == 200
    back = await world.send("PATCH", f"/connections/{first}", {"enabled": True})
    assert back.status_code == 409
    assert "\n" not in back.json()["detail"]
    assert world.desk.changes == changes + 4


async def test_the_same_name_at_demo_and_live_is_two_logins() -> None:
    async with make_world(live_trading=True) as world:
        for environment in ("demo", "live"):
            made = await world.send("POST", "/connections", {**DEMO, "environment": environment})
            assert made.status_code == 201


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"environment": "live"}, "LIVE_TRADING"),
        ({"auth": "oauth", "environment": "paper"}, "oauth"),
        ({"password": None}, "username and password"),
        ({"environment": "moon"}, "environment"),
        ({"passwort": "x"}, "passwort is not known"),
    ],
)
async def test_a_connection_that_cannot_work_is_refused(world: World, changes: dict[str, Any], told: str) -> None:
    answer = await world.send("POST", "/connections", {**DEMO, **changes})
    assert answer.status_code == 422
    assert told in answer.json()["detail"]
    assert world.desk.changes == 0


async def test_live_is_possible_when_it_is_switched_on() -> None:
    async with make_world(live_trading=True) as world:
        assert (await world.send("POST", "/connections", {**DEMO, "environment": "live"})).status_code == 201


async def test_connections_show_how_their_login_is(world: World) -> None:
    world.desk.healths[PAPER] = health()
    (shown,) = (await world.get("/connections")).json()["items"]
    assert shown["state"] == "synced"
    assert shown["token_expires_at"] == "2026-09-01T15:30:00Z"
    assert shown["budget"] == {"minute_used": 3, "minute_limit": 60, "hour_used": 40, "hour_limit": 4000, "waiting": 0}
    world.desk.healths[PAPER] = health(ConnectionState.PENALTY)
    assert (await world.get("/connections")).json()["items"][0]["state"] == "penalty"


async def test_new_credentials_are_sealed_and_the_login_follows(world: World) -> None:
    made = (await world.send("POST", "/connections", DEMO)).json()
    changed = await world.send("PATCH", f"/connections/{made['id']}", {"password": "zq9-newer"})
    assert changed.status_code == 200
    assert world.desk.changes == 2
    kept = await world.database.read(lambda c: connections.load_secrets(c, world.parts.box, made["id"]))
    assert (kept["password"], kept["cid"]) == ("zq9-newer", "zq9-cid")


HOLDING = [
    {},
    {"quantity": 0, "broker_quantity": 1},
    {"quantity": 0, "in_doubt": True},
    {"quantity": 0, "broker_quantity": 0, "signals_waiting": 1},
]


@pytest.mark.parametrize("change", HOLDING)
async def test_a_connection_that_holds_anything_is_not_disabled(world: World, change: dict[str, Any]) -> None:
    world.desk.views = [lane(**change)]
    assert (await world.send("DELETE", f"/connections/{PAPER}")).status_code == 409
    assert (await world.send("PATCH", f"/connections/{PAPER}", {"enabled": False})).status_code == 409


async def test_a_connection_that_holds_anything_keeps_its_login_but_takes_a_new_password(world: World) -> None:
    made = (await world.send("POST", "/connections", DEMO)).json()["id"]
    account = Account(BrokerAccountId("7"), "DEMO7")
    await world.database.write(lambda c: books.keep_account(c, made, account, world.clock()))
    world.desk.views = [lane(account_id=f"{made}-7")]
    assert (await world.send("PATCH", f"/connections/{made}", {"username": "another"})).status_code == 409
    assert (await world.send("PATCH", f"/connections/{made}", {"password": "zq9-newer"})).status_code == 200
    assert (await world.send("PATCH", f"/connections/{made}", {"username": "trader"})).status_code == 200
    world.desk.views = []
    assert (await world.send("PATCH", f"/connections/{made}", {"username": "another"})).status_code == 200


async def test_a_connection_that_is_flat_is_disabled_and_may_come_back(world: World) -> None:
    world.desk.views = [lane(quantity=0, broker_quantity=0)]
    gone = await world.send("DELETE", f"/connections/{PAPER}")
    assert (gone.status_code, gone.json()["enabled"]) == (200, False)
    assert (await world.send("PATCH", f"/connections/{PAPER}", {"enabled": True})).json()["enabled"] is True


async def test_a_login_can_be_tried(world: World) -> None:
    world.desk.found = (Account(BrokerAccountId("1001"), "DEMO1001"),)
    tried = await world.send("POST", f"/connections/{PAPER}/test")
    assert tried.json()["accounts"] == [{"broker_account_id": "1001", "name": "DEMO1001", "active": True, "why": None}]
    world.desk.refusal = Refused("IncorrectUsernameOrPassword")
    refused = await world.send("POST", f"/connections/{PAPER}/test")
    assert refused.status_code == 502
    assert "IncorrectUsernameOrPassword" in refused.json()["detail"]


async def test_accounts_are_listed(world: World) -> None:
    (account,) = (await world.get("/accounts")).json()["items"]
    assert account == {
        "id": ACCOUNT,
        "connection_id": PAPER,
        "broker_account_id": "1001",
        "name": "DEMO1001",
        "active": True,
        "halted": False,
        "halt_reason": None,
        "why": None,
    }


@pytest.mark.parametrize(
    ("why", "halt", "told"),
    [
        ("liquidation only", None, "liquidation only"),
        (None, "the broker liquidated the account", "the broker liquidated the account"),
        ("locked by the broker", "liquidated before", "liquidated before; locked by the broker"),
    ],
)
async def test_whatever_stops_an_account_is_one_reason_there(
    world: World, why: str | None, halt: str | None, told: str
) -> None:
    account = Account(BrokerAccountId("1001"), "DEMO1001", active=why is None, why=why)
    await world.database.write(lambda c: books.keep_account(c, PAPER, account, world.clock()))
    await world.database.write(lambda c: accounts.halt(c, ACCOUNT, halt, world.clock()))
    (shown,) = (await world.get("/accounts")).json()["items"]
    assert (shown["active"], shown["halted"], shown["halt_reason"]) == (why is None, True, told)
    assert shown["why"] == why


# ── lists ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_list_is_paged_newest_first_and_rows_added_meanwhile_shift_nothing(world: World) -> None:
    ids = [(await world.alert({"action": "buy", "id": n})).json()["signal_id"] for n in range(5)]
    first = (await world.get("/signals", limit=2)).json()
    assert [one["id"] for one in first["items"]] == [ids[4], ids[3]]
    await world.alert({"action": "buy", "id": "later"})
    second = (await world.get("/signals", limit=2, before=first["next"])).json()
    assert [one["id"] for one in second["items"]] == [ids[2], ids[1]]
    last = (await world.get("/signals", limit=2, before=second["next"])).json()
    assert ([one["id"] for one in last["items"]], last["next"]) == ([ids[0]], None)


@pytest.mark.parametrize("path", ["signals", "trades", "orders", "fills", "audit", "positions", "lanes", "accounts"])
async def test_every_list_has_the_same_form_and_limits(world: World, path: str) -> None:
    page = (await world.get(f"/{path}", limit=500)).json()
    assert set(page) == {"items", "next"}
    for wrong in ("0", "501", "x"):
        assert (await world.get(f"/{path}", limit=wrong)).status_code == 422
    assert (await world.get(f"/{path}", before="no\x00")).status_code == 422


@pytest.mark.parametrize("path", ["trades", "orders", "fills", "positions", "lanes", "accounts"])
async def test_a_cursor_of_another_list_is_refused(world: World, path: str) -> None:
    assert (await world.get(f"/{path}", before="nonsense")).status_code == 422


async def test_short_lists_are_paged_too(world: World) -> None:
    world.desk.views = [lane(contract=name) for name in ("ESU6", "MNQU6", "YMU6")]
    first = (await world.get("/lanes", limit=2)).json()
    rest = (await world.get("/lanes", limit=2, before=first["next"])).json()
    assert [one["contract"] for one in first["items"] + rest["items"]] == ["ESU6", "MNQU6", "YMU6"]


async def test_a_running_lane_is_shown_as_it_is_now(world: World) -> None:
    theirs = OtherOrderView(BrokerOrderId("91"), Action.SELL, 1, OrderType.LIMIT, Decimal("24510.5"))
    world.desk.views = [
        lane(blocked="a manual increase", doubt_seconds=2.5, in_doubt=True, foreign=1, foreign_orders=(theirs,))
    ]
    (shown,) = (await world.get("/lanes")).json()["items"]
    assert shown == {
        "account_id": ACCOUNT,
        "contract": CONTRACT,
        "quantity": 2,
        "broker_quantity": 2,
        "foreign_quantity": 1,
        "foreign_orders": [
            {"broker_order_id": "91", "action": "Sell", "quantity": 1, "order_type": "Limit", "price": "24510.5"}
        ],
        "in_doubt": True,
        "doubt_seconds": 2.5,
        "halted": True,
        "halt_reason": "a manual increase",
        "owner_recorder_id": "r1",
        "unprotected_seconds_today_max": 0.25,
        "checked_at": "2026-09-01T14:30:00Z",
    }


async def test_a_receipt_tells_how_the_alert_was_read_in_order(world: World) -> None:
    body = {"action": "buy", "symbol": "MNQ1!", "tp": 20, "trail": 1}
    signal_id = (await world.alert(body)).json()["signal_id"]
    receipt = (await world.get(f"/signals/{signal_id}")).json()
    assert json.loads(receipt["alert"]) == body
    assert receipt["reading"]["targets"][0]["distance"] == {"value": "20", "unit": "ticks"}
    assert receipt["recorder"]["name"] == "momentum"
    assert receipt["timeline"][0]["kind"] == "received"
    assert any("trailing" in line["text"] for line in receipt["timeline"])
    assert receipt["received_at"] == "2026-09-01T14:30:00Z"


@pytest.mark.parametrize("path", ["signals/nobody", "recorders/nobody"])
async def test_what_is_not_there_is_a_404(world: World, path: str) -> None:
    answer = await world.get(f"/{path}")
    assert (answer.status_code, answer.json()["title"]) == (404, "Not Found")


# ── acts ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_person_may_close_and_flatten(world: World) -> None:
    world.desk.views = [lane()]
    closed = await world.send("POST", "/positions/close", {"account_id": ACCOUNT, "contract": CONTRACT})
    assert (closed.status_code, closed.json()) == (202, {"signal_id": "act-1"})
    assert (await world.send("POST", "/flatten", {"account_id": ACCOUNT})).json() == {"signal_ids": ["act-2"]}
    assert (await world.send("POST", "/flatten")).status_code == 202
    assert world.desk.acts == [
        ("close", ACCOUNT, CONTRACT, "admin key"),
        ("flatten", ACCOUNT, "admin key"),
        ("flatten", None, "admin key"),
    ]


async def test_the_kill_switch_shows_what_was_set(world: World) -> None:
    assert (await world.get("/kill")).json() == {"on": False, "reason": "", "since": None}
    answer = await world.send("PUT", "/kill", {"on": True, "reason": "news"})
    assert answer.json() == {"on": True, "reason": "news", "since": "2026-09-01T14:30:00Z"}
    for wrong in ({}, {"on": "yes"}, {"on": 1}, {"on": True, "why": "x"}):
        assert (await world.send("PUT", "/kill", wrong)).status_code == 422


async def test_lanes_and_accounts_are_resumed_by_decision(world: World) -> None:
    world.desk.views = [lane(halted=True, halt_reason="found twice")]
    body = {"account_id": ACCOUNT, "contract": CONTRACT}
    assert (await world.send("POST", "/lanes/resume", body)).status_code == 422
    for decision, adopt in (("adopt", True), ("leave", False)):
        assert (await world.send("POST", "/lanes/resume", {**body, "decision": decision})).status_code == 200
        assert world.desk.acts[-1] == ("resume", ACCOUNT, CONTRACT, adopt, "admin key")
    assert (await world.send("POST", f"/accounts/{ACCOUNT}/resume")).status_code == 204


async def test_taking_over_names_its_signal_and_may_name_a_recorder(world: World) -> None:
    world.desk.views = [lane()]
    body = {"account_id": ACCOUNT, "contract": CONTRACT, "decision": "adopt", "recorder_id": "r7"}
    answer = await world.send("POST", "/lanes/resume", body)
    assert answer.json()["signal_id"] == "act"
    assert world.desk.acts[-1][-1] == "r7"


@pytest.mark.parametrize(
    ("error", "status"),
    [(CannotAdopt("name one"), 409), (Refused("Unknown", "no"), 409), (Unreachable("timeout", "no answer"), 503)],
)
async def test_what_cannot_be_taken_over_says_why(world: World, error: Exception, status: int) -> None:
    world.desk.views, world.desk.refuses_to_adopt = [lane()], error
    body = {"account_id": ACCOUNT, "contract": CONTRACT, "decision": "adopt"}
    answer = await world.send("POST", "/lanes/resume", body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


async def test_a_dry_run_tells_the_differences_and_reconciles_nothing(world: World) -> None:
    answer = await world.send("POST", "/reconcile", {"dry_run": True})
    (one,) = answer.json()["lanes"]
    assert (one["quantity"], one["broker_quantity"]) == (1, 2)
    assert one["differences"] == ["position: books +1, broker +2"]
    assert world.desk.acts == [("compare", None)]
    assert (await world.send("POST", "/reconcile", {"dry_run": "yes"})).status_code == 422


async def test_acts_on_what_was_never_traded_are_a_404(world: World) -> None:
    body = {"account_id": ACCOUNT, "contract": "CLZ6"}
    assert (await world.send("POST", "/positions/close", body)).status_code == 404
    assert (await world.send("POST", "/lanes/resume", {**body, "decision": "leave"})).status_code == 404
    assert (await world.send("POST", "/accounts/nobody/resume")).status_code == 404
    assert (await world.send("POST", "/flatten", {"account_id": "nobody"})).status_code == 404
    assert (await world.send("POST", "/reconcile", {"account_id": "nobody"})).status_code == 404


async def test_reconcile_answers_with_the_compared_lanes(world: World) -> None:
    world.desk.views = [lane()]
    answer = await world.send("POST", "/reconcile")
    assert [one["contract"] for one in answer.json()["lanes"]] == [CONTRACT]
    assert world.desk.acts == [("reconcile", None)]


async def test_each_act_of_a_person_is_in_the_audit_and_reads_are_not(world: World) -> None:
    await world.get("/signals")
    await world.send("PUT", "/kill", {"on": True, "reason": "news"})
    await world.send("PUT", "/kill", {"on": "perhaps"})
    await world.http.put("/api/v1/kill", json={"on": False})
    await world.app.state.audit.drain()
    rows = (await world.get("/audit")).json()["items"]
    assert [(row["method"], row["endpoint"], row["status"]) for row in rows] == [
        ("PUT", "/api/v1/kill", 422),
        ("PUT", "/api/v1/kill", 200),
    ]
    assert (json.loads(rows[1]["request"]), rows[1]["response"]) == ({"on": True, "reason": "news"}, "by admin key")


@pytest.mark.parametrize(
    "body", [b"\xff", b"{", b'{"on": NaN}', b'{"on": true, "on": false}', b'{"reason": "\\ud800"}']
)
async def test_a_body_that_is_no_json_is_a_400(world: World, body: bytes) -> None:
    answer = await world.http.put("/api/v1/kill", content=body, headers=world.admin)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


async def test_a_huge_body_is_a_413(world: World) -> None:
    answer = await world.http.put("/api/v1/kill", content=b" " * (256 * 1024 + 1), headers=world.admin)
    assert answer.status_code == 413


# ── health and figures ───────────────────────────────────────────────────────────────────────────────────────


async def test_ready_says_why_it_is_not(world: World) -> None:
    assert (await world.http.get("/readyz")).status_code == 200
    world.desk.reasons = ("connection paper is offline",)
    answer = await world.http.get("/readyz")
    assert (answer.status_code, answer.json()["reasons"]) == (503, ["connection paper is offline"])
    assert (await world.http.get("/healthz")).status_code == 200


async def test_figures_are_prometheus_text(world: World) -> None:
    await world.alert({"action": "buy"})
    world.desk.views = [lane(in_doubt=True)]
    text = (await world.http.get("/metrics", headers=world.admin)).text
    for line in (
        "justtrades_ready 1",
        'justtrades_webhook_answers_total{status="202"} 1',
        "justtrades_lanes_in_doubt 1",
        'justtrades_connection_synced{connection="paper"} 0',
    ):
        assert line in text.splitlines()


async def test_an_error_nobody_expected_is_a_problem_without_details(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.desk, "kill_state", lambda: 1 / 0)
    answer = await world.get("/kill")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "ZeroDivision" not in answer.text


async def test_a_webhook_address_names_the_proxys_own_face() -> None:
    async with make_world(peer="10.0.0.5", trusted_proxies="10.0.0.5") as world:
        headers = {**world.admin, "X-Forwarded-Proto": "https", "X-Forwarded-Host": "trade.example"}
        made = await world.http.post("/api/v1/recorders/r1/rotate-token", headers=headers)
        assert made.json()["webhook_url"].startswith("https://trade.example/webhook/")
    async with make_world() as world:
        made = await world.http.post("/api/v1/recorders/r1/rotate-token", headers=headers)
        assert made.json()["webhook_url"].startswith("http://engine.test/webhook/")


async def test_a_recorder_shows_when_it_was_last_heard(world: World) -> None:
    world.clock.pass_seconds(5)
    await world.alert({"action": "heartbeat"})
    shown = (await world.get("/recorders/r1")).json()
    assert shown["last_alert_at"] == (START + timedelta(seconds=5)).isoformat().replace("+00:00", "Z")
    assert shown["name"] == momentum().name


async def test_a_secret_under_a_misspelt_name_or_in_broken_json_is_not_in_the_audit(world: World) -> None:
    await world.send("POST", "/connections", {"name": "x", "environment": "demo", "passwort": "hidden-1"})
    await world.http.post("/api/v1/connections", content=b'{"name": "x", "sec": "hidden-2', headers=world.admin)
    await world.http.post("/api/v1/connections", content=b'["hidden-2"]', headers=world.admin)
    await world.send("PATCH", "/connections/paper", {"sec": "hidden-3", "cid": "hidden-4", "device_id": "hidden-5"})
    await world.app.state.audit.drain()
    audit = (await world.get("/audit")).text
    assert audit.count("/api/v1/connections") == 3
    assert "hidden" not in audit
    assert '\\"environment\\": \\"demo\\"' in audit
