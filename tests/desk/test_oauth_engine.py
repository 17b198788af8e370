"""Log-in by OAuth through a whole engine, against the simulator: from adding the connection to a synced login."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx

from justtrades.app import engine
from justtrades.broker.simulator import Paper, serve_paper
from tests.desk.test_app import prepared, settings


async def test_a_connection_is_added_logged_in_on_the_brokers_page_and_synced(tmp_path: Path) -> None:
    async with serve_paper(Paper(tmp_path / "ledger.db", market="still", accounts=2)) as url:
        told = {
            "tradovate_demo_url": url,
            "tradovate_live_url": url.replace("127.0.0.1", "localhost"),
            "tradovate_oauth_client_id": "client-1",
            "tradovate_oauth_client_secret": "secret-of-the-client",
            "paper_url": url,
        }
        async with engine(settings(prepared(tmp_path), **told)) as running, _client(running.url) as http:
            http.headers["authorization"] = f"Bearer {running.local_key}"
            body = {"name": "prop", "environment": "demo", "auth": "oauth"}
            assert (await http.post("/api/v1/connections", json=body)).status_code == 201
            assert "connection oauth-url prop" in await _reason(http, "refused")
            page = (await http.get("/api/v1/connections/prop/oauth-url")).json()
            assert page["redirect_uri"] == f"{running.url}/api/v1/oauth/callback"
            state = parse_qs(urlsplit(page["url"]).query)["state"][0]
            back = {"code": "a-code", "state": state}
            async with _client(running.url) as browser:
                assert (await browser.get("/api/v1/oauth/callback", params=back)).status_code == 200
                assert (await browser.get("/api/v1/oauth/callback", params=back)).status_code == 400
            await _reason(http, "synced")
            assert len(await _accounts(http, 2)) == 2
            again = (await http.get("/api/v1/connections/prop/oauth-url")).json()
            state = parse_qs(urlsplit(again["url"]).query)["state"][0]
            used = await http.get("/oauth/callback", params={"code": "a-code", "state": state})
            assert used.status_code == 502
            assert "used already" in used.json()["detail"]


def _client(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, trust_env=False)


async def _reason(http: httpx.AsyncClient, state: str) -> str:
    """The reason of the connection once it is in this state."""
    async with asyncio.timeout(10):
        while True:
            items = (await http.get("/api/v1/connections")).json()["items"]
            shown = next(one for one in items if one["id"] == "prop")
            if shown["state"] == state:
                return str(shown["reason"])
            await asyncio.sleep(0.02)


async def _accounts(http: httpx.AsyncClient, least: int) -> list[str]:
    """The connection's accounts once there are so many: they are asked for when the stream is synced."""
    async with asyncio.timeout(10):
        while True:
            items = (await http.get("/api/v1/accounts?connection_id=prop")).json()["items"]
            if len(items) >= least:
                return [one["id"] for one in items]
            await asyncio.sleep(0.02)
