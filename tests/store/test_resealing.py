"""A new secret key: everything is sealed anew in one commit, and no crash in between loses a secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, LargeBinary, text

from justtrades import secret_key
from justtrades.cli import run
from justtrades.positions.model import ConnectionId, RecorderId
from justtrades.positions.recorder import Recorder
from justtrades.settings import Settings, secret_file
from justtrades.store import connections, migrate, notifications, ration, recorders
from justtrades.store.lock import EngineLock
from justtrades.store.notifications import TargetRow
from justtrades.store.resealing import SEALED, opens, reseal
from justtrades.store.secrets import Box, NotOpened, new_key
from justtrades.store.tables import Base
from tests.store.conftest import START

SECRET = {"password": "p-1", "sec": "s-1"}


class PowerCut(BaseException):
    """Ends everything where it stands: no handler of ours runs."""


def fill(connection: Connection, box: Box) -> None:
    """One sealed value of each kind."""
    row = connections.add(
        connection, box, name="demo", environment="demo", auth="password", username="u", secrets=SECRET, at=START
    )
    connections.save_token(connection, box, row.id, connections.Token("t-1", START))
    recorders.add(connection, box, Recorder(RecorderId("r1"), "r", secret="r-1"), "token", START)
    place = TargetRow("n1", "phone", "json", (), True, START)
    notifications.add(connection, box, place, "json://u:n-1@host")
    ration.claim(connection, box, "demo", START, 5, START - START.replace(hour=0))


def read(connection: Connection, box: Box) -> list[Any]:
    """All of them, opened."""
    token = connections.load_token(connection, box, ConnectionId("demo"))
    recorder = recorders.get(connection, box, RecorderId("r1"))
    assert token is not None
    assert recorder is not None
    return [
        connections.load_secrets(connection, box, ConnectionId("demo")),
        token.value,
        recorder.recorder.secret,
        notifications.url_of(connection, box, "n1"),
    ]


SECRETS = [SECRET, "t-1", "r-1", "json://u:n-1@host"]


@pytest.fixture
def settings(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"JUSTTRADES_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUSTTRADES_DATABASE_URL", sqlite_url)
    return Settings(_env_file=None)


async def filled(settings: Settings) -> str:
    await migrate.upgrade(settings.database_url)
    key = await secret_key.settled(settings)
    await migrate.on_connection(settings.database_url, lambda c: fill(c, Box(key)))
    return key


async def opened(settings: Settings) -> list[Any]:
    key = await secret_key.settled(settings)
    return await migrate.on_connection(settings.database_url, lambda c: read(c, Box(key)))


# ── sealing anew ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_everything_opens_with_the_new_key_and_nothing_with_the_old(url: str) -> None:
    old, new = Box(new_key()), Box(new_key())
    await migrate.upgrade(url)
    await migrate.on_connection(url, lambda c: fill(c, old))
    done = await migrate.on_connection(url, lambda c: reseal(c, old, new))
    assert (done.changed, done.already) == (5, 0)
    assert await migrate.on_connection(url, lambda c: read(c, new)) == SECRETS
    assert await migrate.on_connection(url, lambda c: opens(c, old)) is False
    again = await migrate.on_connection(url, lambda c: reseal(c, old, new))
    assert (again.changed, again.already) == (0, 5)


async def test_what_neither_key_opens_stops_the_change_and_leaves_everything_as_it_was(url: str) -> None:
    old, new = Box(new_key()), Box(new_key())
    await migrate.upgrade(url)
    await migrate.on_connection(url, lambda c: fill(c, old))
    foreign = notifications.TargetRow("n2", "mail", "json", (), True, START)
    await migrate.on_connection(url, lambda c: notifications.add(c, Box(new_key()), foreign, "json://x"))
    with pytest.raises(NotOpened):
        await migrate.on_connection(url, lambda c: reseal(c, old, new))
    assert await migrate.on_connection(url, lambda c: read(c, old)) == SECRETS


async def test_a_secret_moved_to_another_row_does_not_open(url: str) -> None:
    box = Box(new_key())
    await migrate.upgrade(url)
    await migrate.on_connection(url, lambda c: fill(c, box))

    def swap(connection: Connection) -> None:
        second = connections.add(
            connection, box, name="two", environment="demo", auth="password", username="v", secrets=SECRET, at=START
        )
        moved = text(
            "UPDATE connections SET secrets = (SELECT secrets FROM connections WHERE id = 'demo') WHERE id = :to"
        )
        connection.execute(moved, {"to": second.id})

    await migrate.on_connection(url, swap)
    with pytest.raises(NotOpened):
        await migrate.on_connection(url, lambda c: connections.load_secrets(c, box, ConnectionId("two")))


def test_every_column_of_bytes_is_sealed_or_known_to_be_open() -> None:
    """A new sealed column must be named in `resealing`, or a change of the key would lose what is in it."""
    binary = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    sealed = {f"{one.column.table.name}.{one.column.name}" for one in SEALED if not one.text}
    assert binary - sealed == {"signals.raw"}


# ── with the key file ────────────────────────────────────────────────────────────────────────────────────────


async def test_the_key_file_is_exchanged_and_stays_its_owners(settings: Settings) -> None:
    old = await filled(settings)
    await secret_key.exchange(settings)
    path = secret_file(settings)
    assert path.read_text("ascii").strip() != old
    assert path.stat().st_mode & 0o777 == 0o600
    assert await opened(settings) == SECRETS
    assert [one.name for one in path.parent.glob("justtrades.key*")] == ["justtrades.key"]


@pytest.mark.parametrize("where", ["before the commit", "after the commit", "before the name", "after the name"])
async def test_the_power_may_go_at_any_moment(settings: Settings, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await filled(settings)
    with monkeypatch.context() as patched:
        match where:
            case "before the commit":
                patched.setattr(secret_key, "reseal", _cut)
            case "after the commit":
                original = migrate.on_connection

                async def on_connection(*arguments: Any) -> Any:
                    await original(*arguments)
                    raise PowerCut

                patched.setattr(migrate, "on_connection", on_connection)
            case "before the name":
                patched.setattr(secret_key, "_put_in_place", _cut)
            case _:
                patched.setattr(secret_key, "_sync", _cut_second())
        with pytest.raises(PowerCut):
            await secret_key.exchange(settings)
    assert await opened(settings) == SECRETS
    assert [one.name for one in secret_file(settings).parent.glob("justtrades.key*")] == ["justtrades.key"]
    await secret_key.exchange(settings)
    assert await opened(settings) == SECRETS


def _cut(*_: object) -> None:
    raise PowerCut


def _cut_second() -> Any:
    calls = iter((None,))

    def sync(_: Path) -> None:
        if next(calls, _cut) is _cut:
            raise PowerCut

    return sync


async def test_while_nobody_has_the_lock_the_right_key_is_read_and_nothing_moves(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(settings)
    with monkeypatch.context() as patched:
        patched.setattr(secret_key, "_put_in_place", _cut)
        with pytest.raises(PowerCut):
            await secret_key.exchange(settings)
    key = await secret_key.at_hand(settings)
    assert key is not None
    assert await migrate.on_connection(settings.database_url, lambda c: read(c, Box(key))) == SECRETS
    assert secret_file(settings).with_name("justtrades.key.new").exists()


# ── the command ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_command_exchanges_the_key(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    import asyncio

    asyncio.run(filled(settings))
    before = secret_file(settings).read_text("ascii")
    assert run(["db", "rotate-key"]) == 0
    told = capsys.readouterr().out
    assert "5 secrets" in told
    after = secret_file(settings).read_text("ascii")
    assert after != before
    assert after.strip() not in told
    assert asyncio.run(opened(settings)) == SECRETS


async def test_under_a_running_engine_the_key_stays(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    import asyncio

    await filled(settings)
    before = secret_file(settings).read_text("ascii")
    async with EngineLock(settings.database_url):
        assert await asyncio.to_thread(run, ["db", "rotate-key"]) == 1
    assert "another engine runs" in capsys.readouterr().err
    assert secret_file(settings).read_text("ascii") == before


def test_a_key_of_the_settings_is_exchanged_for_one_that_is_asked_for(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    first, second = new_key(), new_key()
    monkeypatch.setenv("JUSTTRADES_SECRET_KEY", first)
    asyncio.run(filled(Settings(_env_file=None)))
    given = iter([second, second])
    monkeypatch.setattr("typer.prompt", lambda *_, **__: next(given))
    assert run(["db", "rotate-key"]) == 0
    assert second not in capsys.readouterr().out
    monkeypatch.setenv("JUSTTRADES_SECRET_KEY", second)
    assert asyncio.run(opened(Settings(_env_file=None))) == SECRETS
