"""`justtrades explain`: an alert in, one sentence for each account out; with an engine and without one."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path

import pytest

from justtrades.broker.port import Account
from justtrades.cli import run
from justtrades.positions.model import AccountId, BrokerAccountId, ConnectionId, RecorderId
from justtrades.positions.recorder import Recorder, Route
from justtrades.store import accounts, books, migrate, recorders
from justtrades.store.secrets import Box, new_key
from justtrades.store.session import Database
from tests.api.world import START, Clock

ALERT = {"action": "buy", "ticker": "MNQ1!", "price": "24500.25"}


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Nothing runs; one recorder on one account is stored."""
    for name, value in (("PORT", "9"), ("SECRET_KEY", new_key())):
        monkeypatch.setenv(f"JUSTTRADES_{name}", value)
    monkeypatch.setenv("JUSTTRADES_DATABASE_URL", f"sqlite+aiosqlite:///{(tmp_path / 'jt.db').as_posix()}")
    monkeypatch.chdir(tmp_path)
    asyncio.run(fill(tmp_path / "jt.db"))
    return tmp_path


async def fill(path: Path, *names: str) -> None:
    url = f"sqlite+aiosqlite:///{path.as_posix()}"
    await migrate.upgrade(url)
    opened = Database(url, clock=Clock())
    await opened.open()
    try:
        if not names:
            await opened.write(lambda c: books.first_connection(c, START))
            found = (Account(BrokerAccountId("1001"), "DEMO1001"),)
            await opened.write(lambda c: accounts.keep(c, ConnectionId("paper"), found, START))
        for name in names or ("momentum",):
            made = Recorder(RecorderId(name), name, symbol="MNQ1!", routes=(Route(AccountId("paper-1001")),))
            await opened.write(lambda c, made=made: recorders.add(c, Box(new_key()), made, made.name, START))  # type: ignore[misc]  # bound now
    finally:
        await opened.close()


def test_an_alert_in_a_file_is_explained_without_an_engine(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (database / "alert.json").write_text(json.dumps(ALERT))
    assert run(["explain", "alert.json"]) == 0
    told = capsys.readouterr().out
    assert "DEMO1001: buy 1 MNQ" in told
    assert "kill switch" in told or "kill_switch" in told


def test_an_alert_is_read_from_the_keyboard(
    database: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(ALERT)))
    assert run(["explain", "--json", "--recorder", "momentum"]) == 0
    assert [o["purpose"] for o in json.loads(capsys.readouterr().out)["routes"][0]["orders"]] == ["entry"]


def test_a_refused_alert_is_one_line_and_code_1(
    database: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"action": "dance", "ticker": "MNQ1!"}'))
    assert run(["explain"]) == 1
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert "the action is not known" in told.err
    assert run(["explain", "missing.json"]) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_with_several_recorders_one_must_be_named(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(fill(database / "jt.db", "other"))
    (database / "alert.json").write_text(json.dumps(ALERT))
    assert run(["explain", "alert.json"]) == 2
    assert "--recorder" in capsys.readouterr().err
    assert run(["explain", "alert.json", "--recorder", "other"]) == 0
