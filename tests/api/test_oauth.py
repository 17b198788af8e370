"""Log-in by OAuth over HTTP: a state is good once, for one connection, for ten minutes, and needs no key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from justtrades.api.app import create_app
from justtrades.broker.port import Refused
from justtrades.store.connections import ConnectionRow
from tests.api.world import World
from tests.api.world import world as make_world

CALLBACK = "/api/v1/oauth/callback"


@dataclass
class FakeGrants:
    exchanged: list[tuple[str, str, str]] = field(default_factory=list)
    refusal: Refused | None = None

    async def page(self, row: ConnectionRow, redirect_uri: str, state: str) -> str:
        if self.refusal is not None:
            raise self.refusal
        return f"https://broker.test/oauth?state={state}&redirect_uri={redirect_uri}"

    async def exchange(self, row: ConnectionRow, code: str, redirect_uri: str) -> str | None:
        if self.refusal is not None:
            raise self.refusal
        self.exchanged.append((row.id, code, redirect_uri))
        return "trader"


@dataclass
class Here:
    world: World
    grants: FakeGrants
    http: httpx.AsyncClient

    async def begin(self, connection_id: str = "prop") -> dict[str, Any]:
        answer = await self.http.get(f"/api/v1/connections/{connection_id}/oauth-url", headers=self.world.admin)
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()
        return {**shown, "state": parse_qs(urlsplit(shown["url"]).query)["state"][0]}

    async def back(self, path: str = CALLBACK, accept: str = "*/*", **query: str) -> httpx.Response:
        return await self.http.get(path, params=query, headers={"accept": accept})


@pytest.fixture
async def here() -> AsyncIterator[Here]:
    async with make_world() as world:
        grants = FakeGrants()
        app = create_app(replace(world.parts, grants=grants))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://engine.test") as http:
            body = {"name": "prop", "environment": "demo", "auth": "oauth"}
            made = await http.post("/api/v1/connections", json=body, headers=world.admin)
            assert (made.status_code, made.json()["auth"]) == (201, "oauth")
            yield Here(world, grants, http)


@pytest.mark.parametrize("path", [CALLBACK, "/oauth/callback"])
async def test_a_code_that_comes_back_with_its_state_logs_the_connection_in(here: Here, path: str) -> None:
    begun = await here.begin()
    changes = here.world.desk.changes
    done = await here.back(path, code="a-code", state=begun["state"])
    assert (done.status_code, done.json()["id"]) == (200, "prop")
    assert here.grants.exchanged == [("prop", "a-code", "http://engine.test/api/v1/oauth/callback")]
    assert here.world.desk.changes == changes + 1


async def test_a_state_works_once_also_when_that_once_failed(here: Here) -> None:
    for first in ({"code": "a-code"}, {"error": "access_denied"}):
        state = (await here.begin())["state"]
        await here.back(state=state, **first)
        done = len(here.grants.exchanged)
        again = await here.back(state=state, code="another-code")
        assert again.status_code == 400
        assert "was used already" in again.json()["detail"]
        assert len(here.grants.exchanged) == done


@pytest.mark.parametrize("query", [{}, {"code": "a-code"}, {"code": "a-code", "state": "guessed"}, {"state": ""}])
async def test_without_a_state_made_here_nothing_is_exchanged(here: Here, query: dict[str, str]) -> None:
    await here.begin()
    assert (await here.back(**query)).status_code == 400
    assert here.grants.exchanged == []


async def test_a_state_ends_after_ten_minutes(here: Here) -> None:
    begun = await here.begin()
    here.world.clock.pass_seconds(601)
    assert (await here.back(code="a-code", state=begun["state"])).status_code == 400
    assert here.grants.exchanged == []


async def test_a_state_is_bound_to_the_connection_it_was_made_for(here: Here) -> None:
    body = {"name": "other", "environment": "demo", "auth": "oauth"}
    await here.http.post("/api/v1/connections", json=body, headers=here.world.admin)
    mine, _ = await here.begin("prop"), await here.begin("other")
    await here.back(code="a-code", state=mine["state"])
    assert [who for who, _, _ in here.grants.exchanged] == ["prop"]


async def test_what_the_broker_says_against_it_reaches_the_person_and_no_markup_with_it(here: Here) -> None:
    state = (await here.begin())["state"]
    said = {"error": "access_denied", "error_description": "<script>alert(1)</script>"}
    page = await here.back(accept="text/html", state=state, **said)
    assert page.status_code == 400
    assert page.headers["content-type"].startswith("text/html")
    assert "access_denied" in page.text
    assert "<script>" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"


async def test_a_refused_exchange_is_told_as_the_brokers_no(here: Here) -> None:
    state = (await here.begin())["state"]
    here.grants.refusal = Refused("oauth", "the code was used already")
    failed = await here.back(code="a-code", state=state)
    assert (failed.status_code, failed.json()["detail"]) == (502, "the code was used already")


async def test_a_browser_is_shown_a_page_that_names_the_connection(here: Here) -> None:
    state = (await here.begin())["state"]
    page = await here.back(accept="text/html,*/*", code="a-code", state=state)
    assert page.status_code == 200
    assert "The connection prop is logged in" in page.text


async def test_a_connection_by_password_has_no_such_page(here: Here) -> None:
    answer = await here.http.get("/api/v1/connections/paper/oauth-url", headers=here.world.admin)
    assert answer.status_code == 409
    assert (await here.http.get("/api/v1/connections/none/oauth-url", headers=here.world.admin)).status_code == 404


async def test_without_an_oauth_client_the_reason_is_told(here: Here) -> None:
    here.grants.refusal = Refused("oauth", "no OAuth client: set …")
    answer = await here.http.get("/api/v1/connections/prop/oauth-url", headers=here.world.admin)
    assert (answer.status_code, answer.json()["detail"]) == (409, "no OAuth client: set …")


async def test_the_page_is_asked_for_with_a_key_only(here: Here) -> None:
    assert (await here.http.get("/api/v1/connections/prop/oauth-url")).status_code == 401


async def test_a_paper_connection_needs_no_oauth(here: Here) -> None:
    body = {"name": "p", "environment": "paper", "auth": "oauth"}
    answer = await here.http.post("/api/v1/connections", json=body, headers=here.world.admin)
    assert answer.status_code == 422
