"""One signal's receipt over the real engine: the bytes, the rules, the orders, the time it took, what confirmed it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tests.e2e.stage import stage, until


async def test_a_receipt_tells_the_whole_story_with_its_times(tmp_path: Path) -> None:
    async with stage(tmp_path) as play:
        recorder = await play.recorder()
        body = json.dumps({"action": "buy", "ticker": "MNQ1!", "id": "r-1"})
        signal_id = await recorder.alert(body)
        await play.outcome(signal_id)
        await play.position(quantity=1, protected=True)
        assert (await play.http.post("/api/v1/reconcile", json={})).status_code == 200

        async def whole() -> bool:
            told = await play.get(f"signals/{signal_id}")
            answered = {phase["phase"] for phase in told["phases"]} >= {"answered", "protected"}
            return answered and [one["confirmed"] for one in told["reconciliations"]] == [True]

        await until(whole, "the audit of its answers, and a comparison that confirms it")
        receipt = await play.get(f"signals/{signal_id}")

    assert receipt["alert"] == body
    assert receipt["content_hash"] == hashlib.sha256(body.encode()).hexdigest()
    assert receipt["alert_is_whole"]
    rules = {rule["rule"]: rule for rule in receipt["rules"]}
    assert {"repeat", "lateness", "kill_switch", "age", "owner", "side", "quantity"} <= rules.keys()
    assert all(rule["passed"] for rule in rules.values())
    assert rules["repeat"]["account_id"] is None
    assert rules["quantity"]["account_id"] == play.account_id
    assert [order["purpose"] for order in receipt["orders"]] == ["entry", "target"]
    assert [fill["quantity"] for fill in receipt["fills"]] == [1]
    phases = receipt["phases"]
    assert {phase["phase"] for phase in phases} == {"lane", "sent", "answered", "filled", "protected", "done"}
    since = [phase["since_received_ms"] for phase in phases]
    assert since == sorted(since)
    assert all(phase["ms"] >= 0 for phase in phases)
    assert abs(sum(phase["ms"] for phase in phases) - since[-1]) < 0.01


async def test_each_receipt_tells_of_the_exits_that_moved_or_went_for_it(tmp_path: Path) -> None:
    async with stage(tmp_path) as play:
        recorder = await play.recorder(stop={"distance": "400", "unit": "ticks"})
        await recorder.trade("buy")
        await play.position(quantity=1, protected=True)
        added = (await recorder.trade("buy"))["id"]
        await play.position(quantity=2, protected=True)
        closed = (await recorder.trade("close"))["id"]

        async def calls(signal_id: str, endpoint: str) -> int:
            lines = (await play.get(f"signals/{signal_id}"))["timeline"]
            return sum(line["kind"] == "broker" and f"{endpoint}: answer 200" in line["text"] for line in lines)

        async def told() -> bool:
            moved, gone = await calls(added, "/order/modifyorder"), await calls(closed, "/order/cancelorder")
            return moved == 2 and gone >= 1

        await until(told, "the answers to both moves on the add's receipt, and to the cancels on the close's")
