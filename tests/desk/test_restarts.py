"""Six starts of the whole engine on one database make one token request: the token is taken up where it was left."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx

from justtrades.app import engine
from justtrades.broker.simulator import Paper, serve_paper
from tests.desk.test_app import prepared, settings

LOGIN, RENEW = "/auth/accesstokenrequest", "/auth/renewaccesstoken"


async def test_six_starts_of_an_engine_ask_for_one_token(tmp_path: Path) -> None:
    async with serve_paper(Paper(tmp_path / "ledger.db", market="still", accounts=1)) as url:
        here = settings(prepared(tmp_path), tradovate_demo_url=url)
        audit: list[dict[str, Any]] = []
        for start in range(6):
            async with engine(here) as running, httpx.AsyncClient(base_url=running.url, trust_env=False) as http:
                http.headers["authorization"] = f"Bearer {running.local_key}"
                if start == 0:
                    body = {"name": "d", "environment": "demo", "username": "trader", "password": "zq9-password"}
                    assert (await http.post("/api/v1/connections", json=body)).status_code == 201
                shown = await _synced(http)
                assert shown["token_expires_at"] is not None
                assert shown["last_event_at"] is not None
                audit = (await http.get("/api/v1/audit?limit=500")).json()["items"]
        asked = [row["endpoint"] for row in audit if row["connection_id"] == "d"]
        assert (asked.count(LOGIN), asked.count(RENEW)) == (1, 0)


async def _synced(http: httpx.AsyncClient) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            items = (await http.get("/api/v1/connections")).json()["items"]
            shown: dict[str, Any] = next(one for one in items if one["id"] == "d")
            if shown["state"] == "synced":
                return shown
            await asyncio.sleep(0.02)
