"""Stored alerts once more: the same contracts, the same orders, the same end, with no engine running."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from justtrades.cli import run
from justtrades.replay import replay
from tests.e2e.stage import Recorder, Stage, fresh, stage

Json = dict[str, Any]


async def lived(folder: Path) -> list[Json]:
    """A short life of a recorder, as its receipts."""
    async with stage(folder, paper_market="alerts", secret_key=None) as play:
        recorder = await play.recorder(quantity=2, max_quantity=3, secret="quite-secret")
        ids = [await one(play, recorder, action) for action in ("buy", "buy", "buy", "sell", "close")]
        await recorder.alert('{"action": "dance", "ticker": "MNQ1!", "key": "quite-secret"}', 422)
        refused = (await play.items("signals", status="refused"))[0]["id"]
        return [await play.get(f"signals/{signal_id}") for signal_id in (*ids, refused)]


async def one(play: Stage, recorder: Recorder, action: str) -> str:
    body = {
        "action": action,
        "ticker": "MNQ1!",
        "price": 24500.25,
        "key": "quite-secret",
        "id": fresh(),
    }
    signal_id = await recorder.alert(json.dumps(body))
    await play.outcome(signal_id)
    return signal_id


def test_what_was_stored_is_sent_again_and_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    receipts = asyncio.run(lived(tmp_path))
    told = asyncio.run(replay(list(reversed(receipts))))
    assert [again.signal_id for again in told] == [receipt["id"] for receipt in receipts]
    assert [again.now["outcome"] for again in told] == ["filled", "filled", "blocked", "filled", "filled", None]
    assert told[-1].now["status"] == "refused"
    assert all(again.same for again in told)
    for receipt, again in zip(receipts, told, strict=True):
        before = [(o["purpose"], o["action"], o["quantity"], o["order_type"]) for o in receipt["orders"]]
        assert [(o["purpose"], o["action"], o["quantity"], o["order_type"]) for o in again.orders] == before

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUSTTRADES_PORT", "9")
    monkeypatch.setenv("JUSTTRADES_DATABASE_URL", f"sqlite+aiosqlite:///{tmp_path / 'engine.db'}")
    (tmp_path / "first.json").write_text(json.dumps({**receipts[0], "outcome": "blocked"}))
    assert run(["replay", receipts[0]["id"], "--same", "--json"]) == 0
    (again_json,) = json.loads(capsys.readouterr().out)
    assert (again_json["same"], again_json["fills"][0]["quantity"]) == (True, 2)
    assert run(["replay", "first.json"]) == 0
    shown = capsys.readouterr().out
    assert "then blocked" in shown
    assert "entry Buy 2 Market at 24500.25" in shown
    assert run(["replay", "first.json", "--same"]) == 1
    assert "1 of 1 ended otherwise" in capsys.readouterr().err


def test_what_is_no_receipt_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUSTTRADES_PORT", "9")
    (tmp_path / "other.json").write_text("[]")
    (tmp_path / "export").write_text("[]")
    for name in ("other.json", "missing.json", "nobody", "export"):
        assert run(["replay", name]) == 1
        told = capsys.readouterr()
        assert (told.out, told.err.count("\n")) == ("", 1)
        assert ("is not a receipt" in told.err) == (name in ("other.json", "export")), "whatever its name ends with"
    assert run(["replay"]) == 2
