"""From an OAuth code to a login that trades: the real exchange, the real adapter, the real database.

The broker is a stub that notes which host was asked for what.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from justtrades.broker.port import NotHandled, Refused, Synced
from justtrades.broker.tradovate import OAuthLogin, TradovateBroker, TradovateSettings
from justtrades.broker.tradovate.auth import HOUR
from justtrades.grants import Grants
from justtrades.settings import Settings
from justtrades.store import connections
from justtrades.store.connections import ConnectionRow
from justtrades.tokens import SealedTokens
from tests.broker.tradovate.stub import Ledger, Stub
from tests.desk.fakes import World, played

EXCHANGE = "/auth/oauthtoken"
GRANTED = {"access_token": "granted-token", "token_type": "bearer", "expires_in": 4800}
SECRET = "secret-of-the-client"
BACK = "http://127.0.0.1:8000/api/v1/oauth/callback"
DEMO_URL = "https://demo.example/v1"
SETTINGS = Settings(
    _env_file=None,
    tradovate_demo_url=DEMO_URL,
    tradovate_live_url="https://live.example/v1",
    tradovate_oauth_client_id="client-1",
    tradovate_oauth_client_secret=SecretStr(SECRET),
)


@dataclass
class Hosts(Stub):
    asked_at: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.script(EXCHANGE, GRANTED)
        self.script("/auth/me", {"userId": 77, "name": "trader"})

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked_at.append((request.url.host, request.url.path))
        return await super().handle_async_request(request)

    async def dial(self, url: str) -> Any:
        self.asked_at.append((urlsplit(url).hostname or "", urlsplit(url).path))
        return await super().dial(url)


@dataclass
class House:
    here: World
    stub: Hosts
    ledger: Ledger
    grants: Grants
    row: ConnectionRow

    async def log_in(self) -> TradovateBroker:
        """A run of the adapter of this connection, up to its first sync."""
        row = await self.here.database.read(lambda c: connections.get(c, self.row.id))
        assert row is not None
        box = SealedTokens(self.here.database, self.here.box, row.id, DEMO_URL, as_of=row.updated_at)
        told = TradovateSettings(DEMO_URL, OAuthLogin(how="open the page"))
        way = {"transport": self.stub, "dial": self.stub.dial}
        broker = TradovateBroker(told, self.ledger, box, self.here.clock, Random(7), **way)  # type: ignore[arg-type]
        await broker.start()
        async for report in broker.reports():
            if isinstance(report, Synced):
                break
        return broker


async def house(here: World, **secrets: str) -> House:
    await here.open()
    stub, ledger = Hosts(), Ledger()
    row = await here.connection("prop", environment="demo", auth="oauth", secrets=secrets)
    grants = Grants(SETTINGS, here.database, here.box, here.clock, lambda _: ledger, stub)
    return House(here, stub, ledger, grants, row)


@played(start=False)
async def test_a_code_becomes_a_login_that_is_renewed_and_outlives_restarts(here: World) -> None:
    one = await house(here)
    assert await one.grants.exchange(one.row, "the-code", BACK) == "trader"
    for _ in range(6):
        broker = await one.log_in()
        await broker.close()
        await here.database.close()
        await here.open()
    (asked,) = one.stub.asked(EXCHANGE)
    assert asked == {
        "grant_type": "authorization_code",
        "code": "the-code",
        "redirect_uri": BACK,
        "client_id": "client-1",
        "client_secret": SECRET,
    }
    assert one.stub.asked("/auth/accesstokenrequest") == []
    assert len(one.stub.asked("/auth/me")) == 1
    assert '"users":[77]' in one.stub.socket.heard[1][1].replace(" ", "")
    await here.database.close()


@played(start=False)
async def test_a_demo_login_reaches_the_live_host_for_auth_and_nothing_else(here: World) -> None:
    one = await house(here)
    await one.grants.exchange(one.row, "the-code", BACK)
    broker = await one.log_in()
    await broker.accounts()
    await broker.picture()
    await broker._access.renew()
    await broker.close()
    live = {path for host, path in one.stub.asked_at if host == "live.example"}
    assert live == {"/v1/auth/oauthtoken", "/v1/auth/me"}
    assert {host for host, _ in one.stub.asked_at} == {"live.example", "demo.example"}
    assert ("demo.example", "/v1/auth/renewaccesstoken") in one.stub.asked_at
    await here.database.close()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            {"error": "invalid_grant", "error_description": "Wrong or used already authorization code"},
            "start the log-in again (the broker says: invalid_grant: Wrong or used already authorization code)",
        ),
        ({"error": "invalid_client"}, "client id or client secret is wrong"),
        ({"error": "unheard_of", "error_description": f"no, {SECRET}"}, "unheard_of: no, ***"),
        ({"errorText": "closed today"}, "closed today"),
        ({}, "the answer holds no token"),
        ({**GRANTED, "error": "invalid_grant"}, "start the log-in again"),
    ],
)
def test_an_error_is_an_error_also_with_http_200(tmp_path: Path, answer: dict[str, str], told: str) -> None:
    @played(start=False)
    async def work(here: World) -> None:
        one = await house(here)
        one.stub.scripts[EXCHANGE].clear()
        one.stub.script(EXCHANGE, answer)
        with pytest.raises(Refused) as refused:
            await one.grants.exchange(one.row, "the-code", BACK)
        assert told in refused.value.text
        assert len(one.stub.asked(EXCHANGE)) == 1
        await here.database.close()

    work(tmp_path)


@played(start=False)
async def test_no_secret_of_an_exchange_reaches_the_audit(here: World) -> None:
    one = await house(here)
    await one.grants.exchange(one.row, "the-code", BACK)
    told = one.ledger.everything()
    assert EXCHANGE in told
    for secret in ("the-code", SECRET, "granted-token"):
        assert secret not in told
    await here.database.close()


@played(start=False)
async def test_an_exchange_counts_in_the_ration_of_token_requests(here: World) -> None:
    one = await house(here)
    box = SealedTokens(here.database, here.box, one.row.id, DEMO_URL)
    for _ in range(5):
        await box.claim(here.clock(), limit=5, window=HOUR)
    with pytest.raises(NotHandled, match="five token requests are used up"):
        await one.grants.exchange(one.row, "the-code", BACK)
    assert one.stub.calls == []
    await here.database.close()


@played(start=False)
async def test_a_login_that_another_connection_uses_already_is_refused(here: World) -> None:
    one = await house(here)
    await here.connection("by-password", environment="demo", username="trader")
    with pytest.raises(Refused, match="by-password uses this demo login already"):
        await one.grants.exchange(one.row, "the-code", BACK)
    await here.database.close()


@played(start=False)
async def test_whose_token_it_is_may_be_learned_later(here: World) -> None:
    one = await house(here)
    one.stub.scripts["/auth/me"].clear()
    one.stub.script("/auth/me", httpx.Response(404), httpx.Response(200, text=json.dumps({"userId": 78})))
    assert await one.grants.exchange(one.row, "the-code", BACK) is None
    broker = await one.log_in()
    assert '"users":[78]' in one.stub.socket.heard[1][1].replace(" ", "")
    await broker.close()
    await here.database.close()


@played(start=False)
async def test_the_page_carries_client_redirect_and_state(here: World) -> None:
    one = await house(here)
    url = urlsplit(await one.grants.page(one.row, BACK, "a state/&"))
    assert (url.hostname, url.path) == ("trader.tradovate.com", "/oauth")
    asked = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert asked == {"response_type": "code", "client_id": "client-1", "redirect_uri": BACK, "state": "a state/&"}
    await here.database.close()


@played(start=False)
async def test_a_connections_own_client_wins_over_that_of_the_settings(here: World) -> None:
    one = await house(here, cid="own-client", sec="own-secret")
    assert "client_id=own-client" in await one.grants.page(one.row, BACK, "s")
    await one.grants.exchange(one.row, "the-code", BACK)
    assert one.stub.asked(EXCHANGE)[0]["client_secret"] == "own-secret"
    await here.database.close()


@played(start=False)
async def test_without_any_client_the_reason_says_what_to_set(here: World) -> None:
    one = await house(here)
    bare = Grants(Settings(_env_file=None), here.database, here.box, here.clock, lambda _: one.ledger)
    with pytest.raises(Refused, match="TRADOVATE_OAUTH_CLIENT_ID"):
        await bare.page(one.row, BACK, "s")
    await here.database.close()
