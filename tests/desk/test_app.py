"""The engine as a whole: what it refuses to start with, how it ends, and which keys it leaves where."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import stat
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from justtrades import app
from justtrades.app import Cannot, engine, serve
from justtrades.desk import Desk
from justtrades.positions.model import ConnectionId
from justtrades.positions.rolls import parse_rolls
from justtrades.settings import Settings
from justtrades.store import connections
from justtrades.store.lock import EngineLock
from justtrades.store.secrets import Box, hashed, new_key
from justtrades.store.session import Database
from tests.broker.tradovate.stub import PASSWORD
from tests.desk.fakes import Clock, FakeBroker, newest_schema

NOWHERE = "http://127.0.0.1:9/v1"


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def settings(folder: Path, **over: Any) -> Settings:
    """An engine on a free port, whose paper broker is elsewhere and does not answer."""
    given = {"port": 0, "database_url": f"sqlite+aiosqlite:///{folder / 'engine.db'}", "paper_url": NOWHERE}
    return Settings(_env_file=None, **{**given, **over})


def prepared(folder: Path) -> Path:
    (folder / "engine.db").write_bytes(newest_schema())
    return folder


def one_line(text: str) -> bool:
    return text.startswith("justtrades: ") and text.count("\n") == 1 and "Traceback" not in text


# ── what it does not start with ──────────────────────────────────────────────────────────────────────────


async def test_a_second_engine_on_the_same_database_is_refused(tmp_path: Path) -> None:
    async with engine(settings(prepared(tmp_path))) as first:
        with pytest.raises(Cannot, match="another engine already runs on this database") as refused:
            async with engine(settings(tmp_path)):
                pass
        assert refused.value.code == 1
        assert (tmp_path / "engine.admin").read_text().strip() == first.local_key
        assert (await _get(first.url, "/healthz")).status_code == 200


def test_a_second_engine_ends_with_code_1_and_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lock = EngineLock(settings(prepared(tmp_path)).database_url)
    asyncio.run(lock.__aenter__())
    assert serve(settings(tmp_path)) == 1
    asyncio.run(lock.__aexit__())
    assert one_line(capfd.readouterr().err)


def test_a_port_in_use_ends_it_with_code_1_and_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert serve(settings(prepared(tmp_path), port=port)) == 1
    told = capfd.readouterr().err
    assert one_line(told)
    assert f"cannot listen on 127.0.0.1:{port}" in told


def test_a_database_that_cannot_be_opened_ends_it_with_code_1_and_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "engine.db").write_bytes(b"this is no database " * 500)
    assert serve(settings(tmp_path)) == 1
    assert one_line(capfd.readouterr().err)


def test_a_database_of_a_newer_version_ends_it_with_code_1_and_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(prepared(tmp_path) / "engine.db")) as connection:
        connection.execute("update alembic_version set version_num = 'from-the-future'")
        connection.commit()
    assert serve(settings(tmp_path)) == 1
    assert one_line(capfd.readouterr().err)


def test_a_key_file_that_holds_no_key_ends_it_with_code_2_and_names_the_variable(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (prepared(tmp_path) / "justtrades.key").write_text("not a key\n", encoding="ascii")
    assert serve(settings(tmp_path)) == 2
    told = capfd.readouterr().err
    assert one_line(told)
    assert "JUSTTRADES_SECRET_KEY" in told
    assert "justtrades.key" in told


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host", "203.0.113.9"),
        ("host", "999.1.1.1"),
        ("database_url", "postgresql+asyncpg://user:zq9canary@127.0.0.1:1/books"),
    ],
)
def test_an_address_that_cannot_be_used_ends_it_with_code_2_and_names_the_variable(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    assert serve(settings(prepared(tmp_path), **{name: value})) == 2
    told = capfd.readouterr().err
    assert one_line(told)
    assert f"JUSTTRADES_{name.upper()}: " in told
    assert "zq9" not in told


# ── how it ends ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_desks_death_stops_the_server_and_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that leaves `serve` leaves the process with a non-zero code."""
    seen = {}

    class Broken(FakeBroker):
        async def accounts(self, *_: object) -> Any:
            seen["asked"] = True
            raise KeyError("a bug in the adapter")

    monkeypatch.setattr(app, "TradovateBroker", lambda *_: Broken(Clock()))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(ExceptionGroup) as ended:
        serve(settings(prepared(tmp_path), port=port))
    assert seen
    assert ended.value.subgroup(KeyError) is not None
    with socket.create_server(("127.0.0.1", port)):
        pass  # nobody listens there any more
    assert not (tmp_path / "engine.admin").exists()


async def test_the_lock_is_free_again_when_the_engine_has_ended(tmp_path: Path) -> None:
    for _ in range(2):
        async with engine(settings(prepared(tmp_path))):
            pass
    async with EngineLock(settings(tmp_path).database_url):
        pass


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
async def test_key_files_are_their_owners_alone(tmp_path: Path) -> None:
    (prepared(tmp_path) / "engine.admin").write_text("left by a crash, readable by all", encoding="ascii")
    (tmp_path / "engine.admin").chmod(0o644)
    async with engine(settings(tmp_path)):
        modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("engine.admin", "justtrades.key")}
    assert modes == {"engine.admin": 0o600, "justtrades.key": 0o600}
    assert not (tmp_path / "engine.admin").exists()


async def test_the_admin_key_is_shown_once_and_only_its_hash_is_kept(tmp_path: Path) -> None:
    async with engine(settings(prepared(tmp_path))) as first:
        key = first.admin_key
        assert key is not None
        assert (await _get(first.url, "/api/v1/lanes", key)).status_code == 200
        kept = await first.database.read(lambda c: c.exec_driver_sql("select hash from admin_keys").scalars().all())
        assert kept == [hashed(key)]
    async with engine(settings(tmp_path)) as second:
        assert second.admin_key is None
        assert second.local_key != first.local_key
        assert (await _get(second.url, "/api/v1/lanes", key)).status_code == 200
        assert (await _get(second.url, "/api/v1/lanes", second.local_key)).status_code == 200
        assert (await _get(second.url, "/api/v1/lanes", first.local_key)).status_code == 401
    assert [name for name, content in _files(tmp_path).items() if key.encode() in content] == []


async def test_serve_prints_the_admin_key_at_the_first_start_only(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    prepared(tmp_path)
    shown = []
    for _ in range(2):
        serving = asyncio.create_task(app._serve(settings(tmp_path)))
        told = ""
        async with asyncio.timeout(10):
            while "listens on" not in told:
                await asyncio.sleep(0.01)
                told += capfd.readouterr().out
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        shown.append("admin key" in told)
    assert shown == [True, False]


async def test_an_admin_key_from_the_environment_is_neither_shown_nor_stored(tmp_path: Path) -> None:
    async with engine(settings(prepared(tmp_path), admin_key="a-key-of-the-owner")) as running:
        assert running.admin_key is None
        assert (await _get(running.url, "/api/v1/lanes", "a-key-of-the-owner")).status_code == 200
        kept = await running.database.read(lambda c: c.exec_driver_sql("select 1 from admin_keys").all())
        assert kept == []


# ── connections it cannot use ────────────────────────────────────────────────────────────────────────────


async def test_a_live_connection_is_refused_unless_live_trading_is_on(tmp_path: Path) -> None:
    await _add(prepared(tmp_path), Box(new_key()), "live")
    async with engine(settings(tmp_path)) as running:
        (health,) = _refused(running.desk)
    assert "LIVE_TRADING" in health


async def test_credentials_sealed_with_another_key_refuse_that_connection_only(tmp_path: Path) -> None:
    await _add(prepared(tmp_path), Box(new_key()), "demo")
    async with engine(settings(tmp_path, tradovate_demo_url=NOWHERE)) as running:
        (health,) = _refused(running.desk)
        assert (await _get(running.url, "/healthz")).status_code == 200
    assert "SecretKey" in health
    assert PASSWORD not in health


# ── short hands ──────────────────────────────────────────────────────────────────────────────────────────


async def _get(url: str, path: str, key: str | None = None) -> httpx.Response:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as client:
        return await client.get(path)


async def _add(folder: Path, box: Box, environment: str) -> None:
    database = Database(settings(folder).database_url, clock=app.utc_now)
    await database.open()
    secrets = {"password": PASSWORD}
    facts: dict[str, Any] = {"environment": environment, "auth": "password", "username": "trader", "secrets": secrets}
    await database.write(lambda c: connections.add(c, box, name="theirs", at=app.utc_now(), **facts))
    await database.close()


def _files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def _refused(desk: Desk) -> list[str]:
    health = desk.health(ConnectionId("theirs"))
    assert health is not None
    assert health.state == "refused"
    assert any("theirs is refused" in reason for reason in desk.not_ready())
    return [str(health.reason)]


async def test_the_settings_of_contracts_reach_the_desk(tmp_path: Path) -> None:
    given = settings(prepared(tmp_path), roll_days="MNQ=30", price_tolerance_percent="2.5", paper_market="walk")
    async with engine(given) as running:
        assert running.desk.rolls == parse_rolls("MNQ=30")
        assert running.desk.price_tolerance == Decimal("2.5")
