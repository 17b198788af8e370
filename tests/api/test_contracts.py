"""`GET /api/v1/contracts` and `justtrades contracts`: the same answer, with an engine and without anything."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from justtrades.api.contracts import listed
from justtrades.cli import run
from justtrades.positions.contracts import ROOTS
from justtrades.settings import Settings
from tests.api.world import World


@pytest.fixture
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"JUSTTRADES_{name.upper()}", raising=False)
    monkeypatch.setenv("JUSTTRADES_PORT", "1")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)


async def test_a_root_says_what_it_means_when_it_rolls_and_what_a_chart_shows(world: World) -> None:
    answer = await world.get("/contracts", root="MNQ")
    (item,) = answer.json()["items"]
    assert item == {
        **{"root": "MNQ", "name": "Micro E-mini Nasdaq-100", "exchange": "CME", "trade_date": "2026-09-01"},
        **{"contract": "MNQU6", "tradingview": "MNQU2026", "tradingview_or": None},
        **{"rolls_on": "2026-09-10", "next": "MNQZ6", "days_to_roll": 9, "roll_days": "8", "roll_set_by": "default"},
        **{"first_notice": None, "expires_on": "2026-09-18", "settlement": "cash"},
        **{"months": "HMUZ", "listed_months": "HMUZ"},
        **{"tick_size": "0.25", "tick_value": "0.5", "point_value": "2", "held": []},
    }


async def test_every_root_is_on_one_page_and_pages_can_be_smaller(world: World) -> None:
    assert [item["root"] for item in (await world.get("/contracts")).json()["items"]] == list(ROOTS)
    first = (await world.get("/contracts", limit=2)).json()
    assert (len(first["items"]), first["next"]) == (2, "MES")
    assert (await world.get("/contracts", limit=1, before="MES")).json()["items"][0]["root"] == "NQ"


async def test_roots_may_be_spelled_like_symbols_and_unknown_ones_are_refused(world: World) -> None:
    answer = await world.get("/contracts", root="CME_MINI:MNQ1!,gcz6,MNQ")
    assert [item["root"] for item in answer.json()["items"]] == ["MNQ", "GC"]
    for nothing in ("NOSUCH", " , "):
        refused = await world.get("/contracts", root=nothing)
        assert refused.status_code == 422
        assert refused.json()["detail"].startswith("root: ")


def test_what_is_held_is_named_at_its_root_only() -> None:
    held = [item for item in listed(date(2026, 12, 11), {}, None, ["MNQZ6", "6EZ6", "MNQZ6"]) if item.held]
    assert [(item.root, item.contract, item.held) for item in held] == [
        ("MNQ", "MNQH7", ["MNQZ6"]),
        ("6E", "6EH7", ["6EZ6"]),
    ]


@pytest.mark.usefixtures("_alone")
def test_the_command_needs_neither_engine_nor_database(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["contracts", "--json", "MNQ", "GC1!"]) == 0
    assert [item["root"] for item in json.loads(capsys.readouterr().out)["items"]] == ["MNQ", "GC"]
    assert run(["contracts"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("ES ")
    assert len([line for line in lines if line[:4].strip() in ROOTS]) == len(ROOTS)
    assert max(map(len, lines)) <= 100
    assert list(Path().iterdir()) == []


@pytest.mark.usefixtures("_alone")
def test_a_rule_of_ones_own_is_marked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("JUSTTRADES_ROLL_DAYS", "MNQ=4")
    assert run(["contracts", "MNQ"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[-1] == "4*"


@pytest.mark.usefixtures("_alone")
def test_a_root_nobody_knows_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["contracts", "NOSUCH"]) == 1
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
