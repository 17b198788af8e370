"""The access token and the ration of token requests outlive the process: the real adapter on a real database."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from random import Random
from typing import Any

import httpx
import pytest

from justtrades.broker.port import ConnectionState, NotHandled, Synced
from justtrades.broker.tradovate import Credentials, NotKept, Token, TradovateBroker, TradovateSettings
from justtrades.broker.tradovate.access import HOUR, REQUESTS_PER_HOUR
from justtrades.positions.model import ConnectionId
from justtrades.store import connections
from justtrades.store.secrets import Box, new_key
from justtrades.tokens import SealedTokens, house_of
from tests.broker.tradovate.stub import Ledger, Stub
from tests.desk.fakes import PAPER, World, played

DEMO_URL, LIVE_URL = "https://demo.example/v1", "https://live.example/v1"
REQUEST = "/auth/accesstokenrequest"


def box(here: World, base_url: str = DEMO_URL, connection_id: ConnectionId = PAPER) -> SealedTokens:
    return SealedTokens(here.database, here.box, connection_id, base_url)


async def log_in(here: World, stub: Stub, base_url: str = DEMO_URL) -> None:
    """One run of the adapter, from start to its first sync."""
    told = TradovateSettings(base_url, Credentials("trader", "a-password", device_id="device"))
    broker = TradovateBroker(told, Ledger(), box(here, base_url), here.clock, Random(7), transport=stub, dial=stub.dial)
    await broker.start()
    try:
        async for report in broker.reports():
            if isinstance(report, Synced):
                return
    finally:
        await broker.close()


async def reopen(here: World) -> None:
    await here.database.close()
    await here.open()


@played(start=False)
async def test_six_restarts_make_one_token_request(here: World) -> None:
    stub = Stub()
    await here.open()
    for _ in range(6):
        await log_in(here, stub)
        await reopen(here)
    assert len(stub.asked(REQUEST)) == 1
    await here.database.close()


@played(start=False)
async def test_a_token_got_at_another_address_is_not_used(here: World) -> None:
    demo, live = Stub(), Stub()
    await here.open()
    await log_in(here, demo)
    await log_in(here, live, LIVE_URL)
    assert (len(demo.asked(REQUEST)), len(live.asked(REQUEST))) == (1, 1)
    assert set(demo.tokens).isdisjoint(set(live.tokens) - {""})
    await here.database.close()


@played(start=False)
async def test_what_is_saved_is_what_is_loaded_and_forgotten_when_told(here: World) -> None:
    await here.open()
    token = Token("an-access-token", 15460, here.clock(), here.clock() + HOUR)
    assert await box(here).load() is None
    await box(here).save(token)
    await reopen(here)
    assert await box(here).load() == token
    assert b"an-access-token" not in (here.folder / "engine.db").read_bytes()
    await box(here).save(None)
    assert await box(here).load() is None
    await here.database.close()


@played(start=False)
async def test_a_token_sealed_with_another_key_is_as_good_as_none(here: World) -> None:
    await here.open()
    await box(here).save(Token("an-access-token", 1, here.clock(), here.clock() + HOUR))
    here.box = Box(new_key())
    assert await box(here).load() is None
    await here.database.close()


@played(start=False)
async def test_a_token_belongs_to_its_connection(here: World) -> None:
    await here.open()
    await here.connection("demo")
    await box(here).save(Token("an-access-token", 1, here.clock(), here.clock() + HOUR))
    assert await box(here, connection_id=ConnectionId("demo")).load() is None
    await here.database.close()


@played(start=False)
async def test_the_ration_counts_across_restarts_and_over_all_connections_demo_and_live(here: World) -> None:
    await here.open()
    began = here.clock()
    for number in range(REQUESTS_PER_HOUR):
        who = box(here, (DEMO_URL, LIVE_URL)[number % 2], ConnectionId(f"login-{number}"))
        assert await who.claim(here.clock(), limit=REQUESTS_PER_HOUR, window=HOUR) is None
        await reopen(here)
    for base_url in (DEMO_URL, LIVE_URL):
        again = await box(here, base_url).claim(here.clock(), limit=REQUESTS_PER_HOUR, window=HOUR)
        assert again == began + HOUR
    paper = SealedTokens(here.database, here.box, PAPER, "http://127.0.0.1:1/v1", house_of("paper"))
    assert await paper.claim(here.clock(), limit=REQUESTS_PER_HOUR, window=HOUR) is None
    assert await box(here).claim(began + HOUR, limit=REQUESTS_PER_HOUR, window=HOUR) is None
    await here.database.close()


@played(start=False)
async def test_a_request_given_back_is_not_counted(here: World) -> None:
    await here.open()
    for _ in range(3 * REQUESTS_PER_HOUR):
        assert await box(here).claim(here.clock(), limit=1, window=HOUR) is None
        await box(here).give_back(here.clock())
    assert await box(here).claim(here.clock(), limit=1, window=HOUR) is None
    assert await box(here).claim(here.clock(), limit=1, window=HOUR) is not None
    await here.database.close()


@played(start=False)
async def test_the_ration_is_not_stored_in_the_clear(here: World) -> None:
    await here.open()
    await box(here).claim(here.clock(), limit=REQUESTS_PER_HOUR, window=HOUR)
    (kept,) = here.saved("select reason from switches where name like 'token requests%'")
    assert here.clock().isoformat()[:10] not in kept[0]
    await here.database.close()


@played(start=False)
async def test_a_clock_that_was_ahead_blocks_for_an_hour_at_most(here: World) -> None:
    await here.open()
    for _ in range(REQUESTS_PER_HOUR):
        await box(here).claim(here.clock() + 30 * HOUR, limit=REQUESTS_PER_HOUR, window=HOUR)
    assert await box(here).claim(here.clock(), limit=REQUESTS_PER_HOUR, window=HOUR) == here.clock() + HOUR
    await here.database.close()


@played(start=False)
async def test_six_restarts_with_a_wrong_password_make_one_token_request(here: World) -> None:
    stub = Stub()
    stub.script(REQUEST, {"errorText": "Incorrect username or password."})
    await here.open()
    for _ in range(6):
        told = TradovateSettings(DEMO_URL, Credentials("trader", "a-password", device_id="device"))
        broker = TradovateBroker(told, Ledger(), box(here), here.clock, Random(7), transport=stub, dial=stub.dial)
        await broker.start()
        with pytest.raises(NotHandled, match="wrong user name or password"):
            await broker.accounts()
        await broker.close()
        await reopen(here)
    assert len(stub.asked(REQUEST)) == 1
    await here.database.close()


@played(start=False)
async def test_a_login_that_was_edited_meanwhile_keeps_nothing_any_more(here: World) -> None:
    await here.open()
    row = await here.connection("demo")
    old = SealedTokens(here.database, here.box, row.id, DEMO_URL, as_of=row.updated_at)
    here.clock.ahead = HOUR
    secrets = {"password": "another"}
    await here.database.write(lambda c: connections.edit(c, here.box, row.id, at=here.clock(), secrets=secrets))
    await old.save(Token("of-the-old-password", 1, here.clock(), here.clock() + HOUR))
    assert await box(here, connection_id=row.id).load() is None
    await here.database.close()


@played(start=False)
async def test_a_disk_that_is_full_is_told_as_a_box_that_did_not_keep(here: World) -> None:
    await here.open()
    here.database.full = True
    with pytest.raises(NotKept):
        await box(here).save(Token("an-access-token", 1, here.clock(), here.clock() + HOUR))
    with pytest.raises(NotKept):
        await box(here).claim(here.clock(), limit=REQUESTS_PER_HOUR, window=HOUR)
    here.database.full = False
    await here.database.close()


def adapter(here: World, stub: Stub, kept: SealedTokens) -> TradovateBroker:
    told = TradovateSettings(DEMO_URL, Credentials("trader", "a-password", device_id="device"))
    return TradovateBroker(told, Ledger(), kept, here.clock, Random(7), transport=stub, dial=stub.dial)


async def told_to_wait(here: World, stub: Stub, kept: SealedTokens, *answers: httpx.Response | dict[str, Any]) -> None:
    """One run of the adapter that is answered with these instead of its accounts."""
    for endpoint in ("/account/list", "/auth/renewaccesstoken"):
        stub.script(endpoint, *answers)
    broker = adapter(here, stub, kept)
    await broker.start()
    with pytest.raises(NotHandled):
        await broker.accounts()
    await asyncio.sleep(1)
    await broker.close()
    stub.scripts.clear()


async def begun_again(here: World, stub: Stub, kept: SealedTokens, seconds: float) -> tuple[ConnectionState, int]:
    """Another run, so long: how it ends, and how many calls and sockets it made."""
    before = len(stub.calls) + stub.dials
    broker = adapter(here, stub, kept)
    await broker.start()
    await asyncio.sleep(seconds)
    state = broker.health.state
    await broker.close()
    return state, len(stub.calls) + stub.dials - before


@played(start=False)
async def test_a_penalty_goes_on_over_a_restart_until_its_time_is_up(here: World) -> None:
    stub = Stub()
    await here.open()
    await told_to_wait(here, stub, box(here), httpx.Response(429))
    await reopen(here)
    assert await begun_again(here, stub, box(here), 3000) == (ConnectionState.PENALTY, 0)
    await reopen(here)
    state, calls = await begun_again(here, stub, box(here), 1200)
    assert state is not ConnectionState.PENALTY
    assert calls > 0
    await here.database.close()


@played(start=False)
async def test_a_captcha_stays_over_a_restart_until_the_connection_is_saved_again(here: World) -> None:
    stub = Stub()
    await here.open()
    row = await here.connection("demo")
    kept = SealedTokens(here.database, here.box, row.id, DEMO_URL, as_of=row.updated_at)
    await told_to_wait(here, stub, kept, {"p-ticket": "T", "p-time": 19, "p-captcha": True})
    assert await begun_again(here, stub, kept, 100) == (ConnectionState.REFUSED, 0)
    saved = replace(kept, as_of=here.clock())
    assert (await begun_again(here, stub, saved, 2))[0] is ConnectionState.SYNCED
    await here.database.close()
