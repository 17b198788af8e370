"""`POST /explain`: one plain sentence for each account, the rules, the orders, and nothing sent or kept."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from justtrades.api import alerts
from justtrades.positions.model import AccountId, Stop, Target
from justtrades.positions.prices import Distance, Unit
from justtrades.positions.recorder import Mode, Route
from tests.api.world import ACCOUNT, ROW, START, World, momentum

ALERT = {"action": "buy", "ticker": "MNQ1!", "price": 24500.25, "time": "2026-09-01T14:29:58Z"}
RULES = momentum(
    targets=(Target(Distance(Decimal(20), Unit.TICKS)),),
    stop=Stop(Distance(Decimal(40), Unit.TICKS)),
    quantity=2,
    max_quantity=3,
)


async def explained(world: World, alert: Any = ALERT, recorder: str = "r1") -> dict[str, Any]:
    answer = await world.send("POST", "/explain", {"recorder_id": recorder, "alert": alert})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_each_account_gets_one_sentence_its_rules_and_its_orders(world: World) -> None:
    await world.change(RULES)
    told = await explained(world, recorder="momentum")
    assert (told["dialect"], told["reading"]["verb"], told["warnings"]) == ("just_trades", "buy", [])
    assert told["sentence"] == "momentum: buy MNQ1!; 1 account."
    (route,) = told["routes"]
    assert route["sentence"] == (
        "DEMO1001: buy 2 MNQU6 at market, then rest a target to sell 2 MNQU6 at 24505.25, "
        "then rest a stop to sell 2 MNQU6 at 24490.25."
    )
    assert [(o["purpose"], o["action"], o["quantity"], o["price"]) for o in route["orders"]] == [
        ("entry", "Buy", 2, None),
        ("target", "Sell", 2, "24505.25"),
        ("stop", "Sell", 2, "24490.25"),
    ]
    assert all(rule["passed"] and rule["detail"] for rule in route["rules"])
    assert {rule["rule"] for rule in route["rules"]} >= {"repeat", "lateness", "kill_switch", "owner", "quantity"}


async def test_nothing_is_sent_kept_or_counted(world: World) -> None:
    for _ in range(130):
        await explained(world)
    assert (await world.get("/signals")).json()["items"] == []
    assert (await world.get("/audit")).json()["items"] == []
    assert world.desk.arrivals == []
    assert (await world.alert({**ALERT})).status_code == 202


@pytest.mark.parametrize("as_text", [True, False])
async def test_an_alert_that_came_already_is_explained_as_the_repeat_it_would_be(world: World, as_text: bool) -> None:
    await world.change(RULES)
    alert = ALERT | {"comment": "grün"}
    sent = json.dumps(alert, indent=1) if as_text else alert
    first = (await world.alert(sent)).json()["signal_id"]
    told = await explained(world, sent, recorder="momentum")
    (route,) = told["routes"]
    assert (route["outcome"], route["orders"]) == ("no_action", [])
    assert first in route["sentence"]
    later = {**alert, "time": "2026-09-01T14:29:59Z"}
    assert (await explained(world, later, recorder="momentum"))["routes"][0]["orders"]


async def test_an_alert_may_come_as_its_text(world: World) -> None:
    assert await explained(world, json.dumps(ALERT)) == await explained(world)


@pytest.mark.parametrize(
    ("alert", "status"),
    [
        ({"action": "dance", "ticker": "MNQ1!"}, 422),
        ('{"action": "buy"', 400),
        ('{"action": "{{strategy.order.action}}", "ticker": "MNQ1!"}', 422),
    ],
)
async def test_what_the_webhook_would_refuse_is_refused_with_the_same_sentence(
    world: World, alert: Any, status: int
) -> None:
    answer = await world.send("POST", "/explain", {"recorder_id": "r1", "alert": alert})
    refused = await world.alert(alert)
    assert answer.status_code == refused.status_code == status
    assert answer.json()["detail"] == refused.json()["error"]


async def test_why_nothing_would_be_sent_is_said(world: World) -> None:
    await world.change(replace(RULES, routes=()))
    told = await explained(world)
    assert told["routes"] == []
    assert "no account is routed" in told["sentence"]

    await world.change(replace(RULES, routes=(Route(ACCOUNT), Route(AccountId("gone"))), max_alert_age_seconds=1))
    told = await explained(world)
    assert [r["outcome"] for r in told["routes"]] == ["blocked", "blocked"]
    assert "2 s ago, which is more than 1 s ago" in told["routes"][0]["sentence"]
    assert told["routes"][0]["orders"] == []

    await world.change(replace(RULES, routes=(Route(ACCOUNT), Route(AccountId("gone")))))
    world.desk.books = replace(world.desk.books, accounts={ACCOUNT: replace(ROW, halted=True, halt_reason="a halt")})
    told = await explained(world)
    assert [r["sentence"] for r in told["routes"]] == [
        "DEMO1001: nothing: blocked, a halt.",
        "gone: nothing: blocked, the account of this route does not exist.",
    ]


async def test_a_close_while_flat_says_so(world: World) -> None:
    (route,) = (await explained(world, {"action": "close", "ticker": "MNQ1!"}))["routes"]
    assert (route["outcome"], route["sentence"]) == (
        "no_action",
        "DEMO1001: nothing: no action, flat: nothing was ever traded here.",
    )


async def test_a_shadow_recorder_says_what_it_would_send_and_that_it_does_not(world: World) -> None:
    await world.change(replace(RULES, mode=Mode.SHADOW))
    told = await explained(world)
    assert told["sentence"].endswith("The recorder is in shadow mode: nothing is sent.")
    assert told["routes"][0]["sentence"].endswith("; shadow mode, so nothing is sent.")
    assert len(told["routes"][0]["orders"]) == 3


async def test_warnings_of_the_reading_are_there_and_a_heartbeat_trades_nothing(world: World) -> None:
    told = await explained(world, {"action": "buy", "ticker": "MNQ1!"})
    assert any("{{timenow}}" in warning for warning in told["warnings"])
    told = await explained(world, {"action": "heartbeat"})
    assert (told["dialect"], told["routes"]) == (None, [])


async def test_an_unknown_recorder_is_not_found(world: World) -> None:
    answer = await world.send("POST", "/explain", {"recorder_id": "nobody", "alert": ALERT})
    assert answer.status_code == 404


async def test_the_page_of_examples_offers_every_format(world: World) -> None:
    page = (await world.http.get("/openapi.json")).json()
    content = page["paths"]["/api/v1/explain"]["post"]["requestBody"]["content"]["application/json"]
    offered = [example["value"]["alert"] for example in content["examples"].values()]
    assert offered == [one.body for one in alerts.examples()]
    for alert in offered:
        assert (await explained(world, alert))["dialect"]


async def test_a_late_alert_and_a_repeat_are_told_in_the_receipt(world: World) -> None:
    await world.change(replace(RULES, max_alert_age_seconds=1, routes=()))
    late = (await world.alert(ALERT)).json()["signal_id"]
    notes = [note["text"] for note in (await world.get(f"/signals/{late}")).json()["notes"]]
    assert "rule repeat: passed (the first with this time and content)" in notes
    assert any(note.startswith("rule lateness: said no (the alert's own time is 2 s ago") for note in notes)
    world.clock.now = START + timedelta(hours=1)
    again = (await world.alert(ALERT)).json()
    assert (again["status"], again["signal_id"]) == ("duplicate", late)
    notes = [note["text"] for note in (await world.get(f"/signals/{late}")).json()["notes"]]
    assert "rule repeat: said no to the same alert, which came again (it trades nothing)" in notes
