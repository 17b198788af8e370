"""The command line: against an engine's HTTP surface, and without one."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from justtrades.cli import run
from justtrades.positions.model import RecorderId
from justtrades.positions.recorder import Recorder
from justtrades.selfaudit.checks import CHECKS
from justtrades.settings import Settings
from justtrades.store import migrate, recorders, switches
from justtrades.store.secrets import Box, new_key
from justtrades.store.session import Database
from tests import newest
from tests.api.world import START, Clock

KEY = "an-admin-key-of-the-tests"


@dataclass
class FakeEngine:
    """Answers what it was told to, and remembers what it was asked."""

    answers: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)
    port: int = 0

    def answer(self, method: str, path: str, body: Any, status: int = 200) -> None:
        self.answers[method, path] = (status, body)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"JUSTTRADES_{name.upper()}", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    fake = FakeEngine()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _answering(fake))
    fake.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("JUSTTRADES_PORT", str(fake.port))
    monkeypatch.setenv("JUSTTRADES_ADMIN_KEY", KEY)
    yield fake
    server.shutdown()
    thread.join()
    server.server_close()


def _answering(fake: FakeEngine) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _take(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            sent = self.rfile.read(length)
            path = self.path.removeprefix("/api/v1")
            fake.asked.append((self.command, path, json.loads(sent) if sent else None))
            fake.keys.add(self.headers.get("Authorization"))
            status, body = fake.answers.get((self.command, path.partition("?")[0]), (404, {"detail": "not there"}))
            content = b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _take

        def log_message(self, format: str, *args: Any) -> None:
            """Silent."""

    return Handler


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUSTTRADES_PORT", "9")  # discard: nobody listens there


@pytest.fixture
def database(no_engine: None, tmp_path: Path) -> Path:
    path = tmp_path / "justtrades.db"
    asyncio.run(_fill(f"sqlite+aiosqlite:///{path.as_posix()}"))
    return path


async def _fill(url: str) -> None:
    await migrate.on_connection(url, newest.create)
    opened = Database(url, clock=Clock())
    await opened.open()
    try:
        recorder = Recorder(RecorderId("r1"), "momentum [fast]", symbol="MNQ1!")
        await opened.write(lambda c: recorders.add(c, Box(new_key()), recorder, "a-token", START))
        await opened.write(lambda c: switches.set_kill(c, True, "news", START))
    finally:
        await opened.close()


# ── with an engine ───────────────────────────────────────────────────────────────────────────────────────────

PAGE: dict[str, Any] = {"items": [], "next": None}


@pytest.mark.parametrize(
    ("command", "path"),
    [
        (["signals"], "/signals?limit=50"),
        (["signals", "--status", "refused", "-n", "5"], "/signals?status=refused&limit=5"),
        (["positions"], "/positions?limit=50"),
        (["trades", "--status", "open"], "/trades?status=open&limit=50"),
        (["orders", "--signal", "s1"], "/orders?signal_id=s1&limit=50"),
        (["audit", "--before", "x"], "/audit?limit=50&before=x"),
        (["connection", "list"], "/connections?limit=50"),
        (["account", "list"], "/accounts?limit=50"),
        (["recorder", "list"], "/recorders?limit=50"),
    ],
)
def test_reading_commands_ask_the_engine_and_print_what_it_says(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], command: list[str], path: str
) -> None:
    engine.answer("GET", path.partition("?")[0], PAGE)
    assert run([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == PAGE
    assert engine.asked == [("GET", path, None)]
    assert engine.keys == {f"Bearer {KEY}"}
    assert run(command) == 0


@pytest.mark.parametrize(
    ("command", "request_", "answer"),
    [
        (
            ["close", "a1", "MNQZ6"],
            ("POST", "/positions/close", {"account_id": "a1", "contract": "MNQZ6"}),
            {"signal_id": "s"},
        ),
        (["flatten"], ("POST", "/flatten", {"account_id": None}), {"signal_ids": []}),
        (["flatten", "--account", "a1"], ("POST", "/flatten", {"account_id": "a1"}), {"signal_ids": ["s"]}),
        (["kill", "on", "--reason", "news"], ("PUT", "/kill", {"on": True, "reason": "news"}), {}),
        (["kill", "off"], ("PUT", "/kill", {"on": False, "reason": ""}), {}),
        (["resume", "a1"], ("POST", "/accounts/a1/resume", None), None),
        (
            ["resume", "a1", "MNQZ6", "--adopt"],
            ("POST", "/lanes/resume", {"account_id": "a1", "contract": "MNQZ6", "decision": "adopt"}),
            {"lanes": []},
        ),
        (
            ["resume", "a1", "MNQZ6", "--adopt", "--recorder", "r1"],
            (
                "POST",
                "/lanes/resume",
                {"account_id": "a1", "contract": "MNQZ6", "decision": "adopt", "recorder_id": "r1"},
            ),
            {"lanes": [], "signal_id": "s"},
        ),
        (["reconcile"], ("POST", "/reconcile", {"account_id": None, "dry_run": False}), {"lanes": []}),
        (["reconcile", "--dry-run"], ("POST", "/reconcile", {"account_id": None, "dry_run": True}), {"lanes": []}),
        (["connection", "add", "p"], ("POST", "/connections", {"name": "p", "environment": "paper"}), {"id": "p"}),
        (["connection", "oauth-url", "p"], ("GET", "/connections/p/oauth-url", None), {"url": "https://broker.test"}),
        (["connection", "test", "p"], ("POST", "/connections/p/test", None), {"accounts": []}),
        (["recorder", "disable", "r1"], ("DELETE", "/recorders/r1", None), {}),
        (
            ["recorder", "rotate-token", "r1", "--overlap", "0"],
            ("POST", "/recorders/r1/rotate-token", {"overlap_seconds": 0}),
            {},
        ),
        (["recorder", "edit", "r1", "--stop", "none"], ("PATCH", "/recorders/r1", {"stop": None}), {}),
    ],
)
def test_acting_commands_are_one_request(
    engine: FakeEngine, command: list[str], request_: tuple[str, str, Any], answer: Any
) -> None:
    engine.answer(request_[0], request_[1], answer, 204 if answer is None else 200)
    assert run(command) == 0
    assert engine.asked == [request_]


def test_a_recorder_is_made_from_options(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.answer("POST", "/recorders", {"id": "r1", "token": "t"}, 201)
    options = ["--symbol", "MNQ1!", "--quantity", "2", "--target", "20:ticks:60", "--target", "40:ticks:40", "--stop"]
    assert run(["recorder", "add", "momentum", *options, "40", "--account", "a1:2", "--account", "a2", "--json"]) == 0
    assert engine.asked[0][2] == {
        "name": "momentum",
        "symbol": "MNQ1!",
        "quantity": 2,
        "targets": [
            {"distance": "20", "unit": "ticks", "percent": "60"},
            {"distance": "40", "unit": "ticks", "percent": "40"},
        ],
        "stop": {"distance": "40", "unit": "ticks"},
        "routes": [{"account_id": "a1", "multiplier": "2"}, {"account_id": "a2", "multiplier": "1"}],
    }
    assert json.loads(capsys.readouterr().out)["token"] == "t"


def test_rules_may_come_from_a_file(engine: FakeEngine, tmp_path: Path) -> None:
    (tmp_path / "rules.json").write_text('{"on_opposite": "close", "quantity": 5}', encoding="utf-8")
    engine.answer("POST", "/recorders", {"id": "r1"}, 201)
    assert run(["recorder", "add", "m", "--from", "rules.json", "--quantity", "1"]) == 0
    assert engine.asked[0][2] == {"on_opposite": "close", "quantity": 1, "name": "m"}


def test_a_receipt_is_shown_line_by_line(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    line = {"at": "2026-09-01T14:30:00Z", "kind": "note", "contract": None, "text": "read [red]as[/red] plain"}
    engine.answer("GET", "/signals/s1", {"id": "s1", "status": "done", "timeline": [line]})
    assert run(["signals", "s1"]) == 0
    assert "read [red]as[/red] plain" in capsys.readouterr().out


def test_a_receipt_is_exported_as_it_is(engine: FakeEngine, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    engine.answer("GET", "/signals/s1", {"id": "s1", "alert": "é", "timeline": []})
    assert run(["signals", "s1", "--export", "receipt.json"]) == 0
    assert json.loads((tmp_path / "receipt.json").read_text("utf-8")) == {"id": "s1", "alert": "é", "timeline": []}
    assert run(["signals", "s1", "--export", "no/such/folder.json"]) == 1
    assert run(["signals", "--export", "receipt.json"]) == 2


def test_reconcile_has_a_line_for_each_working_order_of_somebody_else(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    known = {"broker_order_id": "91", "action": "Sell", "quantity": 2, "order_type": "Limit", "price": "24510.5"}
    unknown = dict.fromkeys(known) | {"broker_order_id": "92"}
    lane = {"account_id": "a1", "contract": "MNQZ6", "quantity": 0, "foreign_orders": [known, unknown]}
    engine.answer("POST", "/reconcile", {"lanes": [lane, {"account_id": "a2", "contract": "MNQZ6", "quantity": 0}]})
    assert run(["reconcile"]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "a1 MNQZ6: sell limit order 91 for 2 at 24510.5 works there and is not ours",
        "a1 MNQZ6: an order 92 for ? works there and is not ours",
    ]


def test_the_reason_of_a_refusal_is_one_line_on_stderr(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.answer("POST", "/flatten", {"detail": "not\nnow"}, 409)
    assert run(["flatten"]) == 1
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "justtrades: not now\n")


def test_a_key_that_is_not_taken_says_what_to_set(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.answer("GET", "/kill", {"detail": "an admin key is needed"}, 401)
    assert run(["kill", "status"]) == 1
    assert "JUSTTRADES_ADMIN_KEY" in capsys.readouterr().err


def test_without_a_key_of_its_own_the_key_file_beside_the_database_is_used(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("JUSTTRADES_ADMIN_KEY")
    (tmp_path / "justtrades.admin").write_text("from-the-file\n", encoding="ascii")
    engine.answer("GET", "/kill", {"on": False})
    assert run(["kill", "status"]) == 0
    assert engine.keys == {"Bearer from-the-file"}


def test_a_proxy_for_the_web_never_sees_the_key(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    engine.answer("GET", "/kill", {"on": False})
    assert run(["kill", "status"]) == 0


# ── without an engine ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "command",
    [
        ["close", "a", "b"],
        ["flatten"],
        ["kill", "on"],
        ["resume", "a"],
        ["reconcile"],
        ["connection", "add", "p"],
        ["recorder", "add", "r"],
        ["recorder", "disable", "r"],
    ],
)
def test_acting_commands_need_an_engine(
    no_engine: None, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert run(command) == 1
    assert capsys.readouterr().err == "justtrades: no engine is running\n"


@pytest.mark.parametrize(
    "command",
    [
        ["signals"],
        ["positions"],
        ["trades"],
        ["orders"],
        ["audit"],
        ["account", "list"],
        ["connection", "list"],
        ["recorder", "list"],
        ["recorder", "show", "r1"],
        ["kill", "status"],
    ],
)
def test_reading_commands_read_the_database(
    database: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert run(command) == 0
    capsys.readouterr()
    assert run([*command, "--json"]) == 0
    json.loads(capsys.readouterr().out)


def test_what_is_read_without_an_engine_is_what_is_stored(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["recorder", "list", "--json"])
    assert [one["name"] for one in json.loads(capsys.readouterr().out)["items"]] == ["momentum [fast]"]
    run(["recorder", "list"])
    assert "momentum [fast]" in capsys.readouterr().out
    run(["kill", "status", "--json"])
    assert json.loads(capsys.readouterr().out)["reason"] == "news"


def test_looking_makes_no_database(no_engine: None, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["positions"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there_is_one_line_too(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["signals", "nobody"]) == 1
    assert capsys.readouterr().err == "justtrades: there is no such signal\n"


def test_a_file_that_is_no_database_is_one_line(
    no_engine: None, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "justtrades.db").write_bytes(b"this is no database" * 500)
    for command in (["positions"], ["db", "check"], ["db", "upgrade"]):
        assert run(command) == 1
        assert capsys.readouterr().err.count("\n") == 1


# ── db, usage ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_database_is_made_checked_and_copied(
    no_engine: None, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(["db", "upgrade"]) == 0
    assert run(["db", "check"]) == 0
    assert run(["db", "backup", "copy.db"]) == 0
    assert (tmp_path / "copy.db").stat().st_size > 0
    assert run(["db", "backup", "copy.db"]) == 1
    assert "exists" in capsys.readouterr().err


def test_an_audit_of_right_books_finds_nothing(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "--check"]) == 0
    assert capsys.readouterr().out == f"{len(CHECKS)} checks, nothing found\n"
    assert run(["audit", "--check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"checks": len(CHECKS), "findings": []}


def test_an_audit_of_a_copy_prints_a_line_for_each_finding_and_ends_with_1(
    database: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    copy = tmp_path / "copy.db"
    assert run(["db", "backup", str(copy)]) == 0
    with closing(sqlite3.connect(copy)) as wrong:
        wrong.execute(
            "insert into signals (id, received_at, source, status, content_hash, raw, outcome) values"
            " ('s1', '2026-11-23T14:00:00.000000Z', 'test', 'done', '', '', 'filled')"
        )
        wrong.commit()
    capsys.readouterr()
    assert run(["audit", "--check", "--database", str(copy)]) == 1
    assert capsys.readouterr().out == "I2: signal s1 ended filled without a reason\n"
    assert run(["audit", "--check"]) == 0
    assert run(["audit", "--database", str(copy)]) == 2
    assert run(["audit", "--check", "--database", str(tmp_path / "none.db")]) == 1
    assert not (tmp_path / "none.db").exists()


def test_an_audit_of_an_old_copy_says_which_database_to_upgrade(
    database: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    copy = tmp_path / "copy.db"
    assert run(["db", "backup", str(copy)]) == 0
    with closing(sqlite3.connect(copy)) as old, old:
        old.execute("update alembic_version set version_num = '0001'")
    capsys.readouterr()
    assert run(["audit", "--check", "--database", str(copy)]) == 1
    told = f"the schema is not the newest: run `justtrades db upgrade` with JUSTTRADES_DATABASE_URL=sqlite+aiosqlite:///{copy}"
    assert capsys.readouterr().err == f"justtrades: {told}\n"


def test_a_check_makes_no_database(no_engine: None, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["db", "check"]) == 1
    assert capsys.readouterr().err == "justtrades: there is no database at justtrades.db\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [
        ["no-such-command"],
        ["trades", "--status", "ajar"],
        ["close", "a1"],
        ["trades", "--limit", "501"],
        ["trades", "--no-such-option"],
        ["resume", "a1", "MNQZ6"],
        ["resume", "a1", "MNQZ6", "--leave", "--adopt"],
        ["resume", "a1", "MNQZ6", "--leave", "--recorder", "r1"],
        ["resume", "a1", "--leave"],
        ["audit", "--check", "--signal", "s1"],
        ["audit", "--check", "--limit", "5"],
        ["recorder", "edit", "r1"],
        ["recorder", "add", "r", "--from", "no-such-file.json"],
    ],
)
def test_wrong_usage_is_one_line_and_ends_with_2(
    no_engine: None, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert run(command) == 2
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert told.err.startswith("justtrades: ")


@pytest.mark.parametrize("command", [[], ["recorder"], ["kill"], ["db"]])
def test_no_command_is_told_which_there_are(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command) == 2
    told = capsys.readouterr()
    assert "Commands:" in told.out + told.err


def test_every_command_of_the_contract_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    listed = capsys.readouterr().out
    for name in (
        *("serve", "demo", "paper", "db", "connection", "account", "recorder", "signals", "positions", "trades"),
        *("orders", "audit", "close", "flatten", "kill", "resume", "reconcile", "explain", "replay"),
    ):
        assert f"\n  {name} " in listed


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[Settings]]:
    def with_code(code: int) -> list[Settings]:
        seen: list[Settings] = []

        def serve(loaded: Settings) -> int:
            seen.append(loaded)
            return code

        monkeypatch.setattr("justtrades.app.serve", serve)
        return seen

    return with_code


@pytest.mark.parametrize("code", [0, 1, 2])
def test_serve_hands_the_settings_on_and_the_code_back(served: Callable[[int], list[Settings]], code: int) -> None:
    seen = served(code)
    assert run(["serve"]) == code
    assert [one.port for one in seen] == [8000]


# ── tables ───────────────────────────────────────────────────────────────────────────────────────────────────

ULID = "01M1EP0ZJ0V3RS3DTR98H6BCFN"
AT = "2026-09-01T14:30:05.123456Z"
WIDE_ROWS: dict[str, dict[str, Any]] = {
    "signals": {
        **{"id": ULID, "received_at": AT, "source": "webhook", "verb": "CLOSE", "ticker": "CME_MINI:MNQ1!"},
        **{"status": "done", "outcome": "partially_filled", "reason": "what fits was sent, [red]the rest was not " * 3},
    },
    "orders": {
        **{"id": ULID, "contract": "MNQZ6", "purpose": "target", "action": "Sell", "quantity": 10},
        **{"price": "24510.25", "status": "PendingCancel", "filled_quantity": 2, "average_price": "24489.583333333"},
    },
    "trades": {
        **{"id": "123456", "contract": "MNQZ6", "side": "SHORT", "quantity": 10, "entry_price": "24489.583333333"},
        **{"exit_price": "24510.25", "pnl": "-13125.25", "status": "closed", "exit_reason": "target"},
    },
}


@pytest.mark.parametrize("columns", ["80", "120"])
@pytest.mark.parametrize(
    ("command", "whole"),
    [
        ("signals", {"98H6BCFN", "14:30:05", "CLOSE", "CME_MINI:MNQ1!", "partially_filled"}),
        ("orders", {"MNQZ6", "10", "PendingCancel", "2", "24489.583333333"}),
        ("trades", {"123456", "10", "24489.583333333", "24510.25", "-13125.25"}),
    ],
)
def test_a_narrow_table_breaks_no_number_and_no_line(
    engine: FakeEngine,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    columns: str,
    command: str,
    whole: set[str],
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    engine.answer("GET", f"/{command}", {"items": [WIDE_ROWS[command]], "next": None})
    assert run([command]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert max(map(len, lines)) <= int(columns)
    for word in whole:
        assert word in lines[1]


def test_a_pipe_gets_every_word(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS")
    engine.answer("GET", "/signals", {"items": [WIDE_ROWS["signals"]], "next": None})
    assert run(["signals"]) == 0
    told = capsys.readouterr().out
    assert ULID in told
    assert WIDE_ROWS["signals"]["reason"].strip() in told


def test_one_lane_is_not_lanes(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.answer("POST", "/flatten", {"signal_ids": ["s"]})
    assert run(["flatten"]) == 0
    assert capsys.readouterr().out == "closing 1 lane\n"
