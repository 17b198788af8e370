"""A canary for each secret: put through the whole engine at debug level, and looked for wherever it might come out.

    in:   settings, connections, recorders, keys, notifications, alerts good and bad, wrong keys
    out:  the log, every answer, the audit, the metrics, what an exception tells, and the database's files as bytes

A secret here is whatever lets somebody act in another's name: passwords and keys of a broker, its access tokens (they
are read back from their sealed box at the end), webhook tokens, an alert's secret, keys of the API, and the address
of a place to tell. A user name is none. `device_id` and `cid` alone open nothing, and are treated as if they did.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from justtrades.api.rules import OPEN, RULES
from justtrades.app import Cannot, engine
from justtrades.settings import Settings
from justtrades.store.secrets import Box, new_key
from tests.e2e.process import free_port
from tests.e2e.stage import Stage, fresh, paper, until

GIVEN = {
    "ADMIN_KEY": "canary-admin-key-b71f0a55",
    "SECRET_KEY": new_key(),
    "password": "canary-password-0f9c2d",
    "sec": "canary-api-secret-7be1",
    "cid": "990017423",
    "device_id": "canary-device-4410ab",
    "new password": "canary-password-after-edit-11",
    "recorder secret": "canary-recorder-secret-88",
    "edited recorder secret": "canary-recorder-secret-after-edit",
    "secret in a wrong field": "canary-passphrase-in-an-alert",
    "secret in a broken alert": "canary-secret-in-broken-json",
    "place password": "canary-smtp-password-55",
    "imported token": "canary-imported-token-00aa11bb22",
    "wrong key": "canary-key-of-somebody-else-77",
}


@dataclass
class Aviary:
    """A `justtrades serve` of its own with everything it says, and every answer it gave."""

    folder: Path
    url: str
    http: httpx.AsyncClient
    stage: Stage
    secrets: dict[str, str] = field(default_factory=lambda: dict(GIVEN))
    answers: list[str] = field(default_factory=list)
    shown_once: list[str] = field(default_factory=list)

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        answer = await self.http.request(method, path, json=body, headers=headers or None)
        self.answers.append(f"{answer.headers}\n{answer.text}")
        return answer

    async def make(self, name: str, path: str, body: Any, shown: str) -> dict[str, Any]:
        """Something whose secret is shown in this answer and never again."""
        answer = await self.http.post(f"/api/v1{path}", json=body)
        assert answer.status_code < 300, answer.text
        made: dict[str, Any] = answer.json()
        self.secrets[name] = made[shown]
        return made

    async def alert(self, token: str, content: str) -> int:
        answer = await self.http.post(f"/webhook/{token}", content=content, headers={"Authorization": ""})
        self.answers.append(answer.text)
        return answer.status_code


@asynccontextmanager
async def aviary(folder: Path) -> AsyncIterator[Aviary]:
    async with AsyncExitStack() as stack:
        broker_url = await stack.enter_async_context(paper(folder))
        port = free_port()
        given = {
            **{name: GIVEN[name] for name in ("ADMIN_KEY", "SECRET_KEY")},
            "PORT": str(port),
            "DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'engine.db'}",
            "TRADOVATE_DEMO_URL": broker_url,
            "PAPER_URL": broker_url,
            "PAPER_MARKET": "walk",
            "LOG_LEVEL": "debug",
            "BUDGET_PER_MINUTE": "5000",
        }
        log = stack.enter_context(closing((folder / "engine.log").open("wb")))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-X", "dev", "-m", "justtrades", "serve"),
            env={**os.environ, **{f"JUSTTRADES_{name}": value for name, value in given.items()}},
            cwd=folder,
            stdout=log,
            stderr=log,
        )
        url = f"http://127.0.0.1:{port}"
        headers = {"Authorization": f"Bearer {GIVEN['ADMIN_KEY']}"}
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, headers=headers, timeout=10))
        broker = await stack.enter_async_context(httpx.AsyncClient(base_url=broker_url.removesuffix("/v1")))
        try:
            await until(lambda: _answers(http), "the engine to answer", 30)
            yield Aviary(folder, url, http, Stage(url, broker, http))
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await process.wait()


async def _answers(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/healthz")).status_code == 200
    except httpx.HTTPError:
        return False


async def everything(here: Aviary) -> None:
    """Each secret goes where a user would put it, and is used there."""
    here.secrets["key file"] = (here.folder / "engine.admin").read_text("ascii").strip()
    await here.ask("DELETE", "/api/v1/connections/paper")
    login = {name: GIVEN[name] for name in ("password", "sec", "cid", "device_id")}
    await here.ask(
        "POST", "/api/v1/connections", {"name": "demo", "environment": "demo", "username": "somebody", **login}
    )
    await here.stage.ready()
    await here.stage.price("25000")
    account = here.stage.account_id
    rules = {
        "name": "canary",
        "symbol": "MNQ1!",
        "secret": GIVEN["recorder secret"],
        "routes": [{"account_id": account}],
    }
    rules["targets"] = [{"distance": "20"}]
    made = await here.make("webhook token", "/recorders", rules, "token")
    await _trade(here, made["token"])
    await _complain(here, made["token"], made["id"])
    await here.make("rotated token", f"/recorders/{made['id']}/rotate-token", {"overlap_seconds": 60}, "token")
    await here.make("rotated again", f"/recorders/{made['id']}/rotate-token", {"overlap_seconds": 0}, "token")
    assert await here.alert(here.secrets["webhook token"], "{}") == 404
    await here.make("read key", "/keys", {"name": "reader"}, "key")
    await here.make("revoked key", "/keys", {"name": "gone", "scope": "admin"}, "key")
    await here.ask("DELETE", "/api/v1/keys/gone")
    for key in (GIVEN["wrong key"], here.secrets["revoked key"], here.secrets["read key"]):
        await here.ask("PUT", "/api/v1/kill", {"on": True}, Authorization=f"Bearer {key}")
    place = {"name": "mail", "url": f"json://me:{GIVEN['place password']}@127.0.0.1:9/"}
    assert (await here.ask("POST", "/api/v1/notifications", place)).status_code == 201
    assert (await here.ask("POST", "/api/v1/notifications/mail/test")).status_code == 502
    await _import(here)
    await here.ask("PATCH", "/api/v1/connections/demo", {"password": GIVEN["new password"]})
    await here.stage.ready()


async def _trade(here: Aviary, token: str) -> None:
    for action in ("buy", "close"):
        body = {"action": action, "ticker": "MNQ1!", "id": fresh(), "secret": GIVEN["recorder secret"]}
        answer = await here.http.post(f"/webhook/{token}", json=body)
        assert answer.status_code == 202
        here.answers.append(json.dumps(await here.stage.outcome(answer.json()["signal_id"])))


async def _complain(here: Aviary, token: str, recorder_id: str) -> None:
    """What is refused, in all the ways a secret may stand in it."""
    secret, broken = GIVEN["recorder secret"], GIVEN["secret in a broken alert"]
    for content in (
        json.dumps({"action": "dance", "ticker": "MNQ1!", "key": secret}),
        json.dumps({"action": "buy", "passphrase": GIVEN["secret in a wrong field"], "secret": secret}),
        json.dumps({"action": "buy", "ticker": "MNQ1!", "secret": GIVEN["secret in a wrong field"]}),
        f'{{"action": "buy", "secret": "{broken}", "ticker": ',
        f"buy MNQ1! secret={broken}",
        f"key={secret}; {secret}",
    ):
        assert await here.alert(token, content) in {202, 400, 422}
    explained = {"action": "buy", "ticker": "MNQ1!", "secret": secret}
    await here.ask("POST", "/api/v1/explain", {"recorder_id": recorder_id, "alert": explained})
    bad = {"name": "x", "environment": "demo", "username": "u", "password": GIVEN["password"], "wrong": GIVEN["sec"]}
    await here.ask("POST", "/api/v1/connections", bad)
    await here.ask("PATCH", f"/api/v1/recorders/{recorder_id}", {"secret": GIVEN["edited recorder secret"]})


async def _import(here: Aviary) -> None:
    old = {"id": "old-1", "name": "old", "token": GIVEN["imported token"]}
    assert (await here.ask("POST", "/api/v1/import", {"recorders": [old], "write": True})).status_code == 200
    assert await here.alert(GIVEN["imported token"], '{"action": "buy", "ticker": "MNQ1!"}') == 202


async def look(here: Aviary) -> None:
    """Every route that shows something, and one page of each list."""
    for method, path in sorted(OPEN | set(RULES)):
        if method == "GET" and "{" not in path:
            await here.ask("GET", path if (method, path) in OPEN or path == "/metrics" else f"/api/v1{path}")
    for signal_ in (await here.http.get("/api/v1/signals", params={"limit": 500})).json()["items"]:
        await here.ask("GET", f"/api/v1/signals/{signal_['id']}")


def spelt(secret: str) -> set[bytes]:
    """The ways a secret is written down by those who do not mean to."""
    ways = {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]}
    encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
    return {way.encode() for way in ways | {encoded}}


def found(secrets: Mapping[str, str], places: Mapping[str, bytes]) -> list[str]:
    return [
        f"{name} in {place}"
        for name, secret in secrets.items()
        for place, content in places.items()
        if any(way in content for way in spelt(secret))
    ]


def files(folder: Path, when: str) -> dict[str, bytes]:
    """The database, its log and what else lies beside it under its name."""
    return {f"{path.name} {when}": path.read_bytes() for path in folder.glob("engine.*") if path.suffix != ".admin"}


def opened(folder: Path) -> dict[str, str]:
    """The access token, out of its sealed box."""
    import sqlite3

    with closing(sqlite3.connect(folder / "engine.db")) as database:
        (sealed,) = database.execute("SELECT token FROM connections WHERE id = 'demo'").fetchone()
    told = json.loads(Box(GIVEN["SECRET_KEY"]).open(sealed, "connections:demo:token"))
    return {"access token": told["access"]}


async def test_no_secret_comes_out_anywhere(tmp_path: Path) -> None:
    async with aviary(tmp_path) as here:
        await everything(here)
        await look(here)
        # The log of the database still holds the pages as they were written.
        places = files(tmp_path, "while it runs")
        assert len(places["engine.db-wal while it runs"]) > 100_000
        secrets = {**here.secrets, **opened(tmp_path)}
        places["answers"] = "\n".join(here.answers).encode()
    places |= files(tmp_path, "at the end")
    log = places["engine.log at the end"]
    assert b"alert refused" in log
    assert b"DEBUG" in log
    assert len(secrets) >= 20
    assert found(secrets, places) == []


def test_a_canary_that_got_out_is_seen() -> None:
    secret = "canary-äö/+?"
    for text in (secret, quote(secret, safe=""), json.dumps({"a": secret}), base64.b64encode(secret.encode()).decode()):
        assert found({"it": secret}, {"there": f"before {text} after".encode()}) == ["it in there"]


async def test_a_database_password_is_in_no_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("asyncpg")
    monkeypatch.chdir(tmp_path)
    url = "postgresql+asyncpg://somebody:canary-database-password@127.0.0.1:9/justtrades"
    settings = Settings(_env_file=None, database_url=url, port=0, secret_key=GIVEN["SECRET_KEY"], admin_key="a" * 20)
    with pytest.raises(Cannot) as refused:
        async with engine(settings):
            raise AssertionError("nobody listens there")
    told = f"{refused.value!r} {refused.value} {settings!r} {settings}"
    for secret in ("canary-database-password", GIVEN["SECRET_KEY"], "a" * 20):
        assert secret not in told
