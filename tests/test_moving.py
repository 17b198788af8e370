"""Moving in: what an old `just_trades.db` holds is taken once, shown first, and read as a stranger's file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from justtrades.cli import run
from justtrades.moving import NotReadable, plan, read
from justtrades.moving.plan import Plan
from justtrades.settings import Settings
from tests.api.world import World
from tests.api.world import world as make_world

NOW = datetime(2026, 9, 1, tzinfo=UTC)
TOKEN = "f3b1c2d4e5a69788f3b1c2d4e5a69788"

SCHEMA = """
CREATE TABLE recorders (id INTEGER PRIMARY KEY, name TEXT, webhook_token TEXT, symbol TEXT, tp_units TEXT);
CREATE TABLE recorded_trades (
    id INTEGER PRIMARY KEY, recorder_id INTEGER, signal_id INTEGER, ticker TEXT, action TEXT, side TEXT,
    entry_price REAL, exit_price REAL, quantity INTEGER, tp_price REAL, sl_price REAL, status TEXT, pnl REAL,
    pnl_ticks REAL, exit_reason TEXT, broker_order_id TEXT, broker_strategy_id TEXT, broker_fill_price REAL,
    broker_managed_tp_sl INTEGER, entry_time TEXT, exit_time TEXT, mood TEXT);
CREATE TABLE recorder_positions (
    id INTEGER PRIMARY KEY, recorder_id INTEGER, account_id INTEGER, ticker TEXT, side TEXT, total_quantity INTEGER,
    avg_entry_price REAL, status TEXT);
CREATE TABLE users (id INTEGER PRIMARY KEY, password TEXT);
"""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"JUSTTRADES_{name.upper()}", raising=False)
    monkeypatch.setenv("JUSTTRADES_PORT", "9")  # discard: nobody listens there
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return made(
        tmp_path / "just_trades.db",
        SCHEMA,
        f"INSERT INTO recorders VALUES (7, 'momentum', '{TOKEN}', 'MNQ1!', '20'), (8, 'no token', NULL, 'XYZ', '')",
        "INSERT INTO recorded_trades VALUES "
        "(1, 7, 11, 'MNQ1!', 'BUY', 'LONG', 24500.25, 24505.25, 2, 24505.25, NULL, 'closed', 20.0, 20, 'tp', '99',"
        " NULL, 24500.25, 1, '2026-03-02 14:30:00', '2026-03-02T15:00:00Z', 'good'),"
        "(2, 7, 12, 'MNQ1!', 'SELL', 'SHORT', 24600, 24610, 1, NULL, NULL, 'CLOSED', -20, -40, 'sl', NULL, NULL,"
        " NULL, 0, NULL, NULL, NULL),"
        "(3, 7, 13, 'MNQ1!', 'BUY', 'LONG', 24700, NULL, 3, NULL, NULL, 'open', NULL, NULL, NULL, NULL, NULL, NULL,"
        " 0, NULL, NULL, NULL)",
        "INSERT INTO recorder_positions VALUES (1, 7, 4, 'MNQ1!', 'LONG', 3, 24700, 'open'), "
        "(2, 7, 4, 'MES1!', 'SHORT', 1, 6000, 'closed')",
    )


def made(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.executescript(statement)
    return path


def planned(path: Path) -> Plan:
    return plan(read(path), NOW)


# ── what is taken ────────────────────────────────────────────────────────────────────────────────────────────


def test_recorders_and_closed_trades_are_taken_and_open_ones_are_only_shown(old: Path) -> None:
    found = planned(old)
    assert [(one["name"], one["token"], one["symbol"]) for one in found.recorders] == [
        ("momentum", TOKEN, "MNQ1!"),
        ("no token", None, None),
    ]
    undated, dated = found.trades
    assert (dated["side"], dated["quantity"], dated["entry_price"], dated["pnl"]) == ("LONG", 2, "24500.25", "20.0")
    assert (dated["opened_at"], dated["closed_at"]) == ("2026-03-02T14:30:00+00:00", "2026-03-02T15:00:00+00:00")
    assert dated["broker_managed_tp_sl"]
    assert (undated["opened_at"][:4], undated["closed_at"]) == ("1970", None)
    assert [(one.recorder, one.side, one.quantity, one.account) for one in found.open] == [("momentum", "LONG", 3, "4")]


def test_what_is_not_taken_is_said(old: Path) -> None:
    told = " | ".join(planned(old).notes)
    for part in ("tp_units", "mood", "other tables, not read: users", "no webhook token", "symbol is not known"):
        assert part in told


def test_without_positions_the_open_trades_are_shown(tmp_path: Path) -> None:
    path = made(
        tmp_path / "o.db",
        "CREATE TABLE recorded_trades (recorder_id, ticker, side, quantity, entry_price, status)",
        "INSERT INTO recorded_trades VALUES (1, 'MNQ1!', 'LONG', 2, 24500.25, 'open')",
    )
    found = planned(path)
    assert [(one.recorder, one.quantity) for one in found.open] == [("recorder 1", 2)]
    assert "there is no table recorders" in found.notes


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("quantity", "'many'", "quantity"),
        ("quantity", "1.5", "quantity"),
        ("quantity", "-0", "quantity"),
        ("quantity", "9e99", "quantity"),
        ("entry_price", "'24,500'", "entry_price"),
        ("entry_price", "9e999", "entry_price"),
        ("entry_price", "x'00ff'", "entry_price"),
        ("pnl", "'NaN'", "pnl"),
        ("side", "'sideways'", "side"),
        ("ticker", "NULL", "ticker"),
        ("status", "'cancelled'", "status"),
        ("status", "NULL", "status"),
    ],
)
def test_a_row_that_cannot_be_read_is_left_out_with_its_reason(old: Path, column: str, value: str, reason: str) -> None:
    side = ", action = NULL" if column == "side" else ""
    made(old, f"UPDATE recorded_trades SET {column} = {value}{side} WHERE id = 1")
    found = planned(old)
    assert len(found.trades) == 1
    ((told, count),) = found.refused.items()
    assert reason in told
    assert count == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE recorders SET webhook_token = 'has blanks and ' || char(10)",
        "UPDATE recorders SET name = ''",
        "UPDATE recorders SET name = x'ffff'",
        f"UPDATE recorders SET webhook_token = '{TOKEN}'",
        "UPDATE recorders SET webhook_token = printf('%.300c', 'x')",
    ],
)
def test_a_recorder_that_cannot_be_taken_is_left_out_and_its_trades_are_not(old: Path, statement: str) -> None:
    made(old, statement)
    found = planned(old)
    assert len(found.recorders) < 2
    assert found.refused
    assert len(found.trades) == 2


# ── a stranger's file ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\x00" + b"\xff" * 4096])
def test_a_file_that_is_no_database_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.db"
    path.write_bytes(content)
    if content:
        with pytest.raises(NotReadable, match="cannot be read"):
            read(path)
    else:
        assert planned(path).recorders == []  # an empty file is an empty database


def test_the_file_is_never_written(old: Path) -> None:
    before = old.read_bytes()
    old.chmod(0o400)
    planned(old)
    assert old.read_bytes() == before
    assert not old.with_name(old.name + "-journal").exists()


def test_what_still_lies_in_the_log_is_read_too(old: Path) -> None:
    with closing(sqlite3.connect(old)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("UPDATE recorders SET name = 'newest' WHERE id = 7")
        writer.commit()
        assert "newest" in [one["name"] for one in planned(old).recorders]


def test_a_view_in_place_of_a_table_is_not_run(tmp_path: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS id, 'x' AS name FROM n"
    found = planned(made(tmp_path / "trap.db", f"CREATE VIEW recorders AS {endless}"))
    assert found.recorders == []
    assert "there is no table recorders" in found.notes


def test_names_that_would_leave_a_statement_stay_names(tmp_path: Path) -> None:
    path = made(
        tmp_path / "odd.db", 'CREATE TABLE "Recorders" ("id", "NAME", "weird ""; DROP", "token")',
        "INSERT INTO recorders VALUES (1, 'a' || char(27) || '[31m', 2, 'tokentokentoken1')",
    )  # fmt: skip
    (one,) = planned(path).recorders
    assert one["name"] == "a[31m"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with make_world() as here:
        yield here


# ── written once ─────────────────────────────────────────────────────────────────────────────────────────────


def bodies(found: Plan, *, write: bool) -> dict[str, Any]:
    return {"recorders": found.recorders, "trades": found.trades, "write": write}


async def test_old_addresses_go_on_working_and_nothing_is_traded(world: World, old: Path) -> None:
    found = planned(old)
    dry = (await world.send("POST", "/import", bodies(found, write=False))).json()
    assert dry == {"recorders": 2, "recorders_there": 0, "trades": 2, "trades_there": 0}
    assert len((await world.get("/recorders")).json()["items"]) == 1
    assert (await world.send("POST", "/import", bodies(found, write=True))).json() == dry
    answer = await world.alert({"action": "buy", "ticker": "MNQ1!"}, token=TOKEN)
    assert answer.status_code == 202
    assert world.desk.arrivals == []
    trades = (await world.get("/trades", status="closed")).json()["items"]
    assert [(row["quantity"], row["pnl"]) for row in trades] == [(2, "20"), (1, "-20")]
    assert (await world.get("/trades", status="open")).json()["items"] == []


async def test_taken_again_nothing_is_new_also_after_the_token_was_rotated_here(world: World, old: Path) -> None:
    found = planned(old)
    await world.send("POST", "/import", bodies(found, write=True))
    await world.send("POST", f"/recorders/{found.recorders[0]['id']}/rotate-token", {"overlap_seconds": 0})
    again = (await world.send("POST", "/import", bodies(found, write=True))).json()
    assert again == {"recorders": 0, "recorders_there": 2, "trades": 0, "trades_there": 2}
    assert len((await world.get("/trades")).json()["items"]) == 2


async def test_history_lies_below_what_was_traded_here_and_is_paged(world: World, old: Path) -> None:
    found = planned(old)
    await world.send("POST", "/import", {"trades": found.trades[1:], "write": True})
    await world.send("POST", "/import", {"trades": found.trades[:1], "write": True})
    pages: list[Any] = []
    before: dict[str, str] = {}
    for _ in range(2):
        page = (await world.get("/trades", limit=1, **before)).json()
        pages += page["items"]
        before = {"before": page["next"]}
    assert [row["opened_at"][:4] for row in pages] == ["2026", "1970"]


async def test_the_audit_of_an_import_holds_no_token(world: World, old: Path) -> None:
    await world.send("POST", "/import", bodies(planned(old), write=True))
    await world.app.state.audit.drain()
    assert TOKEN not in (await world.get("/audit")).text


# ── the command ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_dry_run_shows_and_makes_nothing(old: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["import", str(old)]) == 0
    told = capsys.readouterr().out
    for part in ("would be written: 2 recorders, 2 closed trades", "nothing was written", "nothing known", "LONG"):
        assert part in told
    assert not (tmp_path / "justtrades.db").exists()
    assert TOKEN not in told


def test_without_an_engine_it_is_written_to_the_database_once(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["import", str(old), "--write"]) == 0
    assert "written: 2 recorders, 2 closed trades" in capsys.readouterr().out
    assert run(["import", str(old), "--write"]) == 0
    assert "written: 0 recorders, 0 closed trades; 4 were there already" in capsys.readouterr().out
    assert run(["recorder", "list", "--json"]) == 0
    assert {row["name"] for row in json.loads(capsys.readouterr().out)["items"]} == {"momentum", "no token"}


def test_many_trades_go_in_pieces_and_stay_in_order(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ",".join(
        f"({n}, 7, {n}, 'MNQ1!', 'BUY', 'LONG', 24500, 24501, 1, NULL, NULL, 'closed', {n}, 4, 'tp', NULL, NULL,"
        f" NULL, 0, '2026-03-02 14:{n // 60 % 60:02}:{n % 60:02}', NULL, NULL)"
        for n in range(100, 700)
    )
    made(old, f"INSERT INTO recorded_trades VALUES {rows}")
    assert run(["import", str(old), "--write", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["would_write"]["trades"] == 602
    assert run(["trades", "--json", "-n", "500"]) == 0
    shown = [float(row["pnl"]) for row in json.loads(capsys.readouterr().out)["items"]]
    assert shown[:2] == [20.0, 699.0] or shown[:2] == [699.0, 698.0]
    assert shown[2:] == sorted(shown[2:], reverse=True)


def test_a_file_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["import", "nowhere.db"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


async def test_only_an_admin_imports() -> None:
    async with make_world() as world:
        answer: httpx.Response = await world.http.post("/api/v1/import", json={})
        assert answer.status_code == 401
