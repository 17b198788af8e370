"""`justtrades replay`: stored alerts once more, against a fresh engine and a fresh simulator, and what became of them.

A receipt holds all that is needed: the alert, the rules it met, when it came. Everything runs in this process on a
temporary database; the engine that stored the alerts need not run, and nothing of it is touched. The clocks start
when the first alert came, so that the same contract is the front one and an alert is as young as it was.

Three things are let go of, because a replay is quicker than life: prices may be far apart, the same bytes may come
twice at once, and a secret that was removed from the stored alert is not asked for. Accounts are simulated ones.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import httpx
from pydantic import SecretStr

from justtrades.app import Engine, engine
from justtrades.broker.simulator.paper import Paper, serve_paper
from justtrades.positions.model import AccountId, RecorderId
from justtrades.positions.recorder import Recorder, Route
from justtrades.settings import GivenSettings, Settings
from justtrades.store import codec, recorders
from justtrades.store.secrets import new_key

Json = dict[str, Any]
PATIENCE: Final = 40.0
"""Seconds one alert may take to its end."""
_ORDER: Final = ("purpose", "action", "quantity", "order_type", "price", "status", "filled_quantity", "average_price")
_FILL: Final = ("contract", "action", "quantity", "price")


class NotReplayed(Exception):
    """The replay cannot go on; one sentence."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """One alert's end then and now. `orders` and `fills` are those of the replay."""

    signal_id: str
    received_at: str
    alert: str
    then: Json
    now: Json
    orders: list[Json]
    fills: list[Json]
    notes: list[str]

    @property
    def same(self) -> bool:
        return bool(self.then["outcome"] == self.now["outcome"] and self.then["status"] == self.now["status"])


async def replay(receipts: Sequence[Json]) -> list[Replayed]:
    """The receipts' alerts in the order they came. Raises `NotReplayed`."""
    told = sorted(receipts, key=lambda receipt: (receipt["received_at"], receipt["id"]))
    accounts = sorted({route["account_id"] for receipt in told for route in receipt["routes"]})
    async with _house(_moment(told[0]["received_at"]), len(accounts)) as house:
        house.accounts = dict(zip(accounts, await house.found(len(accounts)), strict=False))
        sent = [await house.send(receipt) for receipt in told]
        return [await house.told(receipt, *answer) for receipt, answer in zip(told, sent, strict=True)]


@asynccontextmanager
async def _house(began: datetime, accounts: int) -> AsyncIterator[House]:
    started = perf_counter()

    def clock() -> datetime:
        return began + timedelta(seconds=perf_counter() - started)

    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="justtrades-replay-")))
        paper = Paper(folder / "paper.db", market="still", accounts=max(accounts, 1), clock=clock)
        url = await stack.enter_async_context(serve_paper(paper))
        running = await stack.enter_async_context(engine(_settings(folder, url), clock=clock))
        headers = {"Authorization": f"Bearer {running.local_key}"}
        client = httpx.AsyncClient(base_url=running.url, headers=headers, timeout=10, trust_env=False)
        yield House(running, await stack.enter_async_context(client))


def _settings(folder: Path, paper_url: str) -> Settings:
    return GivenSettings(
        host="127.0.0.1",
        port=0,
        database_url=f"sqlite+aiosqlite:///{(folder / 'justtrades.db').as_posix()}",
        secret_key=SecretStr(new_key()),
        paper_url=paper_url,
        paper_market="alerts",
        duplicate_seconds=0,
        price_tolerance_percent=Decimal(0),
        webhook_rate_per_minute=100_000,
        budget_per_minute=5_000,
        budget_per_hour=100_000,
        settle_seconds=2,
    )


@dataclass(slots=True)
class House:
    """The fresh engine, and which of its accounts stands for which of then."""

    running: Engine
    http: httpx.AsyncClient
    accounts: dict[str, str] = field(default_factory=dict)
    _tokens: dict[str, str] = field(default_factory=dict)

    async def found(self, wanted: int) -> list[str]:
        """The simulated accounts, once the engine has found them."""
        async with asyncio.timeout(PATIENCE):
            while True:
                items = (await self._get("accounts"))["items"]
                if len(items) >= max(wanted, 1) and (await self.http.get("/readyz")).status_code == 200:
                    return sorted(item["id"] for item in items)
                await asyncio.sleep(0.05)

    async def send(self, receipt: Json) -> tuple[str | None, Json]:
        """One alert, to its end and until what it holds has its exits; its signal here, and the answer."""
        signal_id, answer = await (self._alert(receipt) if receipt.get("recorder_id") else self._act(receipt))
        if signal_id is not None:
            await self._end(signal_id)
            await self._rest()
        return signal_id, answer

    async def told(self, receipt: Json, signal_id: str | None, answer: Json) -> Replayed:
        """What became of it, once all have been sent: a later alert may have moved its target."""
        if signal_id is None:
            return _replayed(receipt, answer, [], [], [])
        now = await self._get(f"signals/{signal_id}")
        notes = [note["text"] for note in now["notes"] if not note["text"].startswith("rule ")]
        return _replayed(receipt, now, now["orders"], now["fills"], notes)

    # ── sending ──

    async def _alert(self, receipt: Json) -> tuple[str | None, Json]:
        token = await self._recorder(receipt)
        answer = await self.http.post(f"/webhook/{token}", content=receipt["alert"].encode())
        body = answer.json()
        if "signal_id" in body:
            return body["signal_id"], body
        status = body.get("status", "refused")
        return None, {"status": status, "outcome": None, "reason": body.get("error")}

    async def _act(self, receipt: Json) -> tuple[str | None, Json]:
        """A person's close of one lane."""
        route = next(iter(receipt["routes"]), {"account_id": "", "contract": ""})
        body = {"account_id": self.accounts.get(route["account_id"], ""), "contract": route["contract"] or ""}
        answer = await self.http.post("/api/v1/positions/close", json=body)
        if answer.is_success:
            return answer.json()["signal_id"], answer.json()
        return None, {"status": "refused", "outcome": None, "reason": answer.json().get("detail")}

    async def _recorder(self, receipt: Json) -> str:
        """The rules as they stood then, under the token that stands for this recorder here."""
        rules = self._rules(receipt)
        parts, at = self.running.app.state.parts, self.running.app.state.parts.clock()
        if (token := self._tokens.get(rules.id)) is None:
            token = self._tokens[rules.id] = f"replay-{len(self._tokens) + 1}"
            await parts.database.write(lambda c: recorders.add(c, parts.box, rules, token, at))
        else:
            await parts.database.write(lambda c: recorders.edit(c, parts.box, rules, at))
        await self.running.app.state.tokens.refresh(parts)
        return token

    def _rules(self, receipt: Json) -> Recorder:
        stored = receipt.get("recorder")
        if stored is None:
            return Recorder(RecorderId(receipt["recorder_id"]), "replay")
        rules = codec.recorder_from(json.dumps(stored))
        routes = tuple(self._route(route) for route in rules.routes if route.account_id in self.accounts)
        return replace(rules, routes=routes, secret=None, enabled=True)

    def _route(self, route: Route) -> Route:
        return replace(route, account_id=AccountId(self.accounts[route.account_id]))

    # ── waiting ──

    async def _end(self, signal_id: str) -> Json:
        try:
            async with asyncio.timeout(PATIENCE):
                while (now := await self._get(f"signals/{signal_id}"))["outcome"] is None:  # noqa: ASYNC110 - another task knows; it can only be asked
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise NotReplayed(f"an alert came to no end within {PATIENCE:g} s") from None
        return now

    async def _rest(self) -> None:
        """Until every position has its exits and the books know it; what is not so in time is shown as it is."""
        try:
            async with asyncio.timeout(5):
                while not await self._at_rest():  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.02)
        except TimeoutError:
            return

    async def _at_rest(self) -> bool:
        protected = all(row["protected"] for row in (await self._get("positions"))["items"])
        return protected and all(row["status"] != "sending" for row in (await self._get("orders"))["items"])

    async def _get(self, path: str) -> Json:
        answer = await self.http.get(f"/api/v1/{path}")
        if not answer.is_success:
            raise NotReplayed(f"the replaying engine answered {answer.status_code}")
        found: Json = answer.json()
        return found


# ── leaves ───────────────────────────────────────────────────────────────────────────────────────────────────


def _replayed(receipt: Json, now: Json, orders: Iterable[Json], fills: Iterable[Json], notes: list[str]) -> Replayed:
    return Replayed(
        signal_id=receipt["id"],
        received_at=receipt["received_at"],
        alert=receipt.get("alert", ""),
        then=_ended(receipt),
        now=_ended(now),
        orders=[_only(order, _ORDER) for order in orders],
        fills=[_only(fill, _FILL) for fill in fills],
        notes=notes,
    )


def _ended(of: Mapping[str, Any]) -> Json:
    return {name: of.get(name) for name in ("status", "outcome", "reason")}


def _only(row: Mapping[str, Any], names: Iterable[str]) -> Json:
    return {name: row.get(name) for name in names}


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


__all__ = ["NotReplayed", "Replayed", "replay"]
