"""The real engine as a process, set up over its own API: a demo connection to the stub and a recorder per lane.

Lifted by settings, as the issue asks, and nothing else: the request budgets and the webhook's rate limit.
Duplicate and token checks, the audit, the truth poll and every durable commit stay as a trader has them.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from bench.client import Client
from bench.processes import Child

READY_WITHIN: Final = 60.0
LIFTED: Final = {
    "JUSTTRADES_BUDGET_PER_MINUTE": "1000000",
    "JUSTTRADES_BUDGET_PER_HOUR": "1000000",
    "JUSTTRADES_WEBHOOK_RATE_PER_MINUTE": "1000000",
}
SERVE: Final = ("-m", "justtrades", "serve")


class NotReady(Exception):
    """The engine did not get ready; says what `/readyz` said."""


@dataclass(slots=True)
class Engine:
    """One installation in `directory`; may be started more than once on the same database."""

    directory: Path
    stub_url: str
    command: tuple[str, ...] = SERVE
    keeps: int = 200
    """Lines of what it prints."""
    lifted: Mapping[str, str] = field(default_factory=lambda: LIFTED)
    child: Child | None = None
    paths: list[str] = field(default_factory=list)
    """The webhook of each lane."""
    _key: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def database(self) -> Path:
        return self.directory / "engine.db"

    @property
    def running(self) -> Child:
        assert self.child is not None
        return self.child

    def start(self) -> None:
        settings = {
            "JUSTTRADES_HOST": "127.0.0.1",
            "JUSTTRADES_PORT": "0",
            "JUSTTRADES_DATABASE_URL": f"sqlite+aiosqlite:///{self.database.as_posix()}",
            "JUSTTRADES_TRADOVATE_DEMO_URL": f"{self.stub_url}/v1",
            "JUSTTRADES_ADMIN_KEY": self._key,
            "JUSTTRADES_LOG_LEVEL": "warning",
            **self.lifted,
        }
        self.child = Child(self.command, self.directory, settings, self.keeps)
        self.child.start()

    def stop(self) -> None:
        if self.child is not None:
            self.child.stop()

    async def set_up(self, lanes: int) -> None:
        """A connection, and one recorder for each of the first `lanes` accounts.

        The paper broker that a first start makes is disabled, and the engine started anew without it.
        """
        headers = {"Authorization": f"Bearer {self._key}"}
        async with httpx.AsyncClient(base_url=self.running.url, headers=headers, timeout=30) as api:
            made = await _post(api, "/api/v1/connections", CONNECTION)
            await api.delete("/api/v1/connections/paper")
            accounts = await _accounts(api, made["id"], lanes)
            self.paths = [await _recorder(api, number, account) for number, account in enumerate(accounts)]
        self.stop()
        self.start()
        await self.ready()

    async def ready(self) -> float:
        """Waits for `/readyz`; the moment (`time.perf_counter`) it said yes."""
        give_up, body = time.perf_counter() + READY_WITHIN, b""
        async with Client(self.running.url) as client:
            while time.perf_counter() < give_up:
                status, body = await client.get("/readyz")
                if status == 200:
                    return time.perf_counter()
                await asyncio.sleep(0.005)
        raise NotReady(body.decode("utf-8", "replace") + "\n" + "\n".join(self.running.said))


CONNECTION: Final = {
    "name": "bench",
    "environment": "demo",
    "auth": "password",
    "username": "bench",
    "password": "bench-password",
}


async def _post(api: httpx.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await api.post(path, json=body)
    if answer.status_code != 201:
        raise NotReady(f"{path}: {answer.status_code} {answer.text}")
    made: dict[str, Any] = answer.json()
    return made


async def _accounts(api: httpx.AsyncClient, connection: str, wanted: int) -> Sequence[str]:
    """Our ids of the accounts, in the order of the broker's, which is the order of the lanes."""
    give_up = time.perf_counter() + READY_WITHIN
    while time.perf_counter() < give_up:
        listed = await _every(api, "/api/v1/accounts")
        found = [row for row in listed if row["connection_id"] == connection]
        rows = sorted((int(row["broker_account_id"]), row["id"]) for row in found)
        if len(rows) >= wanted:
            return [row_id for _, row_id in rows[:wanted]]
        await asyncio.sleep(0.05)
    raise NotReady("the engine did not find the accounts")


async def _every(api: httpx.AsyncClient, path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    before: str | None = ""
    while before is not None:
        asked = {"limit": "500", **({"before": before} if before else {})}
        page = (await api.get(path, params=asked)).json()
        items += page["items"]
        before = page["next"]
    return items


async def _recorder(api: httpx.AsyncClient, number: int, account: str) -> str:
    body = {
        "name": f"bench-{number}",
        "symbol": None,
        "quantity": 1,
        "targets": [{"distance": "20", "unit": "ticks", "percent": 100}],
        "routes": [{"account_id": account}],
    }
    made = await _post(api, "/api/v1/recorders", body)
    return str(urlsplit(made["webhook_url"]).path)
