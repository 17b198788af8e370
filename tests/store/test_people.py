"""Connections, accounts, recorders, keys and the kill switch; and that no secret lies open in the file."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from justtrades.broker.port import Account
from justtrades.positions.model import AccountId, BrokerAccountId, ConnectionId, RecorderId, Stop, Target
from justtrades.positions.prices import Distance, Unit
from justtrades.positions.recorder import Recorder, Route
from justtrades.store import accounts, books, connections, keys, recorders, switches, tables
from justtrades.store.connections import ConnectionRow, Token
from justtrades.store.secrets import Box, NotOpened, hashed, new_key, new_token
from justtrades.store.session import Database
from tests.store.conftest import START, Clock

BOX = Box(new_key())
RECORDER = Recorder(
    RecorderId("rec-1"),
    "mnq",
    "MNQ1!",
    targets=(Target(Distance(Decimal("20.5"), Unit.TICKS)),),
    stop=Stop(Distance(Decimal(1), Unit.PERCENT)),
    secret="in the alert",
    routes=(Route(AccountId("paper-1"), Decimal("1.5")),),
)


async def add_connection(db: Database, name: str = "My Login", **secrets: str) -> ConnectionRow:
    return await db.write(
        lambda c: connections.add(
            c, BOX, name=name, environment="demo", auth="password", username="u", secrets=secrets, at=START
        )
    )


# ── secrets ──────────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_sealed_opens_for_its_row_and_key_only() -> None:
    sealed = BOX.seal("hunter2", "connections:a:secrets")
    assert BOX.open(sealed, "connections:a:secrets") == "hunter2"
    for box, about, body in [
        (BOX, "connections:b:secrets", sealed),
        (Box(new_key()), "connections:a:secrets", sealed),
        (BOX, "connections:a:secrets", sealed[:-1] + bytes([sealed[-1] ^ 1])),
        (BOX, "connections:a:secrets", b""),
    ]:
        with pytest.raises(NotOpened):
            box.open(body, about)


def test_the_same_secret_never_looks_the_same_twice() -> None:
    assert BOX.seal("x", "a") != BOX.seal("x", "a")
    assert "hunter2" not in repr(Box(new_key()))


@pytest.mark.parametrize("key", ["", "short", "ä" * 43, new_key() + "AAAA"], ids=["none", "short", "strange", "long"])
def test_a_key_that_is_not_256_bits_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Box(key)


async def test_no_secret_lies_open_in_the_file(lite: Database) -> None:
    row = await add_connection(lite, password="hunter2-password", sec="hunter2-sec")
    token = new_token()
    await lite.write(lambda c: connections.save_token(c, BOX, row.id, Token("hunter2-access", START)))
    await lite.write(lambda c: recorders.add(c, BOX, replace(RECORDER, secret="hunter2-alert"), token, START))
    await lite.close()
    pages = read_all(Path(str(lite.url.database)))
    assert b"My Login" in pages
    assert b"hunter2" not in pages
    assert token.encode() not in pages


def read_all(database: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(database.parent.glob(f"{database.name}*")))


# ── connections and accounts ─────────────────────────────────────────────────────────────────────────────


async def test_a_connection_gets_a_short_readable_id_of_its_own(db: Database) -> None:
    assert [(await add_connection(db)).id for _ in range(3)] == ["my-login", "my-login-2", "my-login-3"]
    assert (await add_connection(db, "☃")).id == "connection"


async def test_editing_one_secret_keeps_the_others_and_ends_the_old_token(db: Database) -> None:
    row = await add_connection(db, password="old", cid="8")
    await db.write(lambda c: connections.save_token(c, BOX, row.id, Token("access", START)))
    edited = await db.write(
        lambda c: connections.edit(c, BOX, row.id, at=START, secrets={"password": "new"}, enabled=False)
    )
    assert edited is not None
    assert not edited.enabled
    secrets = await db.read(lambda c: connections.load_secrets(c, BOX, row.id))
    assert secrets == {"password": "new", "cid": "8"}
    assert await db.read(lambda c: connections.load_token(c, BOX, row.id)) is None


async def test_a_token_comes_back_after_a_restart(db: Database) -> None:
    row = await add_connection(db)
    assert await db.read(lambda c: connections.load_token(c, BOX, row.id)) is None
    token = Token("access", START + timedelta(hours=1))
    await db.write(lambda c: connections.save_token(c, BOX, row.id, token))
    assert await db.read(lambda c: connections.load_token(c, BOX, row.id)) == token
    assert "access" not in repr(token).replace("access_", "")
    await db.write(lambda c: connections.forget_token(c, row.id))
    assert await db.read(lambda c: connections.load_token(c, BOX, row.id)) is None


async def test_the_first_connection_is_paper_and_made_once(db: Database) -> None:
    first = await db.write(lambda c: books.first_connection(c, START))
    assert first is not None
    assert first.environment == "paper"
    assert await db.write(lambda c: books.first_connection(c, START)) is None
    assert [row.id for row in (await db.read(books.load)).connections] == ["paper"]


async def test_an_account_keeps_its_id_and_its_halt_and_one_that_vanished_is_inactive(db: Database) -> None:
    row = await add_connection(db)
    one, two = Account(BrokerAccountId("1"), "DEMO1"), Account(BrokerAccountId("2"), "DEMO2")
    before = await db.write(lambda c: books.keep_accounts(c, row.id, (one, two), START))
    await db.write(lambda c: accounts.halt(c, before[0].id, "loss limit", START))
    after = await db.write(lambda c: books.keep_accounts(c, row.id, (replace(one, name="renamed"),), START))
    assert [account.id for account in after] == [account.id for account in before] == ["my-login-1", "my-login-2"]
    assert (after[0].name, after[0].active, after[0].halted, after[0].halt_reason) == (
        "renamed",
        True,
        True,
        "loss limit",
    )
    assert not after[1].active
    assert await db.read(accounts.every) == after


# ── recorders ────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_secret_swapped_in_from_another_row_closes_that_recorder_and_no_other(lite: Database) -> None:
    rows = [replace(RECORDER, id=RecorderId(f"r-{n}"), name=f"r-{n}", secret=f"hunter-{n}") for n in range(3)]

    def add(connection: Connection) -> None:
        for recorder in rows:
            recorders.add(connection, BOX, recorder, new_token(), START)

    await lite.write(add)

    def swap(connection: Connection) -> None:
        table = tables.recorders
        other = select(table.c.secret).where(table.c.id == "r-1").scalar_subquery()
        connection.execute(table.update().where(table.c.id == "r-0").values(secret=other))

    await lite.write(swap)
    read = {row.recorder.name: row.recorder.secret for row in await lite.read(lambda c: recorders.every(c, BOX))}
    assert (read["r-1"], read["r-2"]) == ("hunter-1", "hunter-2")
    assert read["r-0"] not in (None, "", "hunter-0", "hunter-1")


async def test_a_recorder_comes_back_as_it_was_with_its_secret(db: Database) -> None:
    await db.write(lambda c: recorders.add(c, BOX, RECORDER, new_token(), START))
    row = await db.read(lambda c: recorders.get(c, BOX, RECORDER.id))
    assert row is not None
    assert row.recorder == RECORDER
    changed = replace(RECORDER, name="renamed", targets=(), secret=None)
    assert await db.write(lambda c: recorders.edit(c, BOX, changed, START))
    assert [r.recorder for r in await db.read(lambda c: recorders.every(c, BOX))] == [changed]


async def test_a_token_opens_its_recorder_until_it_is_disabled(db: Database) -> None:
    token = new_token()
    await db.write(lambda c: recorders.add(c, BOX, RECORDER, token, START))
    (found,) = await db.read(lambda c: recorders.valid_tokens(c, START))
    assert (found.recorder_id, found.hash) == (RECORDER.id, hashed(token))
    await db.write(lambda c: recorders.edit(c, BOX, replace(RECORDER, enabled=False), START))
    assert await db.read(lambda c: recorders.valid_tokens(c, START)) == []


async def test_a_rotated_token_overlaps_and_then_ends(db: Database, clock: Clock) -> None:
    old, new = new_token(), new_token()
    await db.write(lambda c: recorders.add(c, BOX, RECORDER, old, START))
    until = await db.write(lambda c: recorders.rotate(c, RECORDER.id, new, timedelta(hours=1), START))
    assert until == START + timedelta(hours=1)
    assert len(await db.read(lambda c: recorders.valid_tokens(c, START))) == 2
    assert [token.hash for token in await db.read(lambda c: recorders.valid_tokens(c, until))] == [hashed(new)]


async def test_rotation_without_overlap_revokes_every_older_token_at_once(db: Database) -> None:
    tokens = [new_token() for _ in range(3)]
    await db.write(lambda c: recorders.add(c, BOX, RECORDER, tokens[0], START))
    await db.write(lambda c: recorders.rotate(c, RECORDER.id, tokens[1], timedelta(days=1), START))
    await db.write(lambda c: recorders.rotate(c, RECORDER.id, tokens[2], timedelta(0), START))
    valid = await db.read(lambda c: recorders.valid_tokens(c, START))
    assert [token.hash for token in valid] == [hashed(tokens[2])]


# ── switches and keys ────────────────────────────────────────────────────────────────────────────────────


async def test_the_kill_switch_outlives_the_process_with_reason_and_moment(db: Database) -> None:
    assert await db.read(switches.get_kill) == switches.Kill(False, "", None)
    await db.write(lambda c: books.keep_kill(c, True, "news", START))
    assert (await db.read(books.load)).kill == switches.Kill(True, "news", START)
    await db.write(lambda c: books.keep_kill(c, False, "calm", START))
    assert not (await db.read(switches.get_kill)).on


async def test_admin_keys_are_kept_as_hashes_and_can_be_taken_away(db: Database) -> None:
    key = keys.Key(keys.FIRST, "first", keys.Scope.ADMIN, hashed("k"), START)
    await db.write(lambda c: keys.keep(c, key))
    await db.write(lambda c: keys.keep(c, replace(key, hash=hashed("k2"))))
    await db.write(lambda c: keys.note_used(c, {key.id: START}))
    kept = replace(key, hash=hashed("k2"), last_used_at=START)
    assert await db.read(keys.every) == [kept]
    with pytest.raises(keys.LastAdmin):
        await db.write(lambda c: keys.revoke(c, key.id, other_admin=False))
    assert await db.write(lambda c: keys.revoke(c, "first", other_admin=True)) == kept
    assert await db.write(lambda c: keys.revoke(c, key.id, other_admin=True)) is None


def test_an_account_id_says_where_it_belongs() -> None:
    assert accounts.account_id(ConnectionId("paper"), BrokerAccountId("7")) == "paper-7"
