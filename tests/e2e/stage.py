"""A stage for whole plays: the real engine, a broker of its own beside it, alerts over real HTTP.

The simulator runs on its own port with its own ledger file, so that either side can die and come back. The
market stands still unless the test moves it. Everything is asked of the engine over HTTP, as a user would.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from justtrades.app import Engine, engine
from justtrades.broker.simulator.listing import find_contract
from justtrades.broker.simulator.paper import Paper, serve_paper
from justtrades.settings import Settings

Json = dict[str, Any]
CONTRACT_ROOT = "MNQ"
PATIENCE = 20.0
"""Seconds a fact may take before a test fails; facts are waited for, never time."""


def settings(folder: Path, paper_url: str | None, **over: Any) -> Settings:
    given: Json = {
        "host": "127.0.0.1",
        "port": 0,
        "database_url": f"sqlite+aiosqlite:///{folder / 'engine.db'}",
        "paper_url": paper_url,
        "budget_per_minute": 5_000,
        "budget_per_hour": 100_000,
        "settle_seconds": 2,
        "webhook_rate_per_minute": 10_000,
        "paper_market": "walk",
    }
    return Settings(_env_file=None, **{**given, **over})


async def until(ask: Callable[[], Awaitable[Any]], what: str, patience: float = PATIENCE) -> Any:
    """Waits for a fact, asked again and again; fails with `what` when it does not come."""
    try:
        async with asyncio.timeout(patience):
            while not (found := await ask()):  # noqa: ASYNC110 - another process knows; it can only be asked
                await asyncio.sleep(0.02)
            return found
    except TimeoutError:
        raise AssertionError(f"waited {patience} s in vain for {what}") from None


@dataclass
class Stage:
    """The engine's API, the webhook and the broker's control desk, in a test's words."""

    url: str
    broker: httpx.AsyncClient
    http: httpx.AsyncClient
    account_id: str = ""
    contract: str = ""

    # ── asking the engine ──

    async def get(self, path: str, **params: Any) -> Any:
        answer = await self.http.get(f"/api/v1/{path}", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def items(self, path: str, **params: Any) -> list[Json]:
        """All of a list, page by page."""
        found: list[Json] = []
        while True:
            page = await self.get(path, **params)
            found += page["items"]
            if page.get("next") is None:
                return found
            params["cursor"] = page["next"]

    async def ready(self) -> None:
        async def is_ready() -> bool:
            return (await self.http.get("/readyz")).status_code == 200 and bool(await self.items("accounts"))

        await until(is_ready, "readiness")
        self.account_id = (await self.items("accounts"))[0]["id"]

    async def recorder(self, **rules: Any) -> Recorder:
        body: Json = {
            "name": "play",
            "symbol": f"{CONTRACT_ROOT}1!",
            "targets": [{"distance": "20", "unit": "ticks", "percent": 100}],
            "routes": [{"account_id": self.account_id}],
        }
        answer = await self.http.post("/api/v1/recorders", json={**body, **rules})
        assert answer.status_code == 201, answer.text
        return Recorder(self, answer.json()["id"], answer.json()["token"])

    async def outcome(self, signal_id: str, patience: float = PATIENCE) -> Json:
        async def done() -> Json | None:
            signal: Json = await self.get(f"signals/{signal_id}")
            return signal if signal["outcome"] is not None else None

        found: Json = await until(done, f"an outcome of {signal_id}", patience)
        return found

    async def position(self, **expected: Any) -> Json:
        """The open position, once it looks like this."""

        async def is_so() -> Json | None:
            for row in await self.items("positions"):
                if all(row[name] == value for name, value in expected.items()):
                    return row
            return None

        found: Json = await until(is_so, f"a position with {expected}")
        return found

    async def closed_trades(self, count: int) -> list[Json]:
        async def enough() -> list[Json] | None:
            rows = await self.items("trades", status="closed")
            return rows if len(rows) >= count else None

        found: list[Json] = await until(enough, f"{count} closed trades")
        assert len(found) == count
        return found

    # ── the broker's side ──

    async def control(self, path: str, **body: Any) -> Any:
        answer = await self.broker.post(f"/control/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def ledger(self) -> Json:
        found: Json = (await self.broker.get("/control/ledger")).json()
        return found

    async def price(self, price: str) -> None:
        await self.control("price", symbol=await self.symbol(), price=price)

    async def symbol(self) -> str:
        if not self.contract:
            from justtrades.positions.contracts import ROOTS, front, trade_date

            self.contract = front(ROOTS[CONTRACT_ROOT], trade_date(datetime.now(UTC))).tradovate
        return self.contract

    async def net(self) -> int:
        ledger = await self.ledger()
        return sum(int(row["netPos"]) for row in ledger["position"])

    async def fills(self) -> list[Json]:
        found: list[Json] = (await self.ledger())["fill"]
        return found

    async def working(self) -> list[Json]:
        return [o for o in (await self.ledger())["order"] if o["ordStatus"] in ("Working", "Suspended", "PendingNew")]

    async def books_match(self) -> None:
        """At rest the engine's books and the broker's ledger say the same."""

        async def same() -> bool:
            return not await self.differences()

        try:
            await until(same, "books and broker to agree")
        except AssertionError:
            raise AssertionError(f"books and broker differ: {await self.differences()}") from None

    async def differences(self) -> list[str]:
        ledger, found = await self.ledger(), []
        broker_net = {(r["accountId"], r["contractId"]): int(r["netPos"]) for r in ledger["position"] if r["netPos"]}
        ours = {_lane(r): r["quantity"] * (1 if r["side"] == "LONG" else -1) for r in await self.items("positions")}
        if broker_net != ours:
            found.append(f"position: broker {broker_net}, books {ours}")
        fills = {str(r["id"]) for r in ledger["fill"]}
        booked = {r["broker_fill_id"] for r in await self.items("fills", limit=500)}
        if fills != booked:
            found.append(f"fills: broker {fills - booked}, books {booked - fills}")
        working = {str(r["id"]) for r in await self.working()}
        rows = await self.items("orders", limit=500)
        resting = {r["broker_order_id"] for r in rows if r["status"] in ("working", "sent")}
        if working != resting:
            found.append(f"working orders: broker {working}, books {resting}")
        return found

    async def made(self) -> Decimal:
        """Money made by the broker's fills, before fees, if the ledger is flat."""
        signs = {"Buy": -1, "Sell": 1}
        fills = await self.fills()
        return sum((signs[f["action"]] * Decimal(str(f["price"])) * f["qty"] * 2 for f in fills), Decimal(0))


def _lane(position: Json) -> tuple[int, int]:
    """Where the broker keeps it: the account's and the contract's number there."""
    contract = find_contract(position["contract"], datetime.now(UTC))
    assert contract is not None
    return int(position["account_id"].rpartition("-")[2]), contract.id


@dataclass
class Recorder:
    stage: Stage
    id: str
    token: str

    async def alert(self, body: Mapping[str, Any] | str, expect: int = 202) -> str:
        """Sends an alert as TradingView does; its signal id."""
        sent = {"content": body} if isinstance(body, str) else {"json": dict(body)}
        answer = await self.stage.http.post(f"/webhook/{self.token}", **sent)
        assert answer.status_code == expect, answer.text
        return str(answer.json().get("signal_id", ""))

    async def trade(self, action: str, **fields: Any) -> Json:
        """Sends an alert and waits for its outcome."""
        signal_id = await self.alert({"action": action, "ticker": "MNQ1!", **fields, "id": fresh()})
        return await self.stage.outcome(signal_id)


_count = iter(range(1, 10**9))


def fresh() -> str:
    return f"alert-{next(_count)}"


@asynccontextmanager
async def paper(folder: Path, **over: Any) -> AsyncIterator[str]:
    """A broker of its own: still market, always open."""
    async with serve_paper(Paper(folder / "paper.db", market="still", **over)) as url:
        yield url


@asynccontextmanager
async def stage(folder: Path, *, paper_over: Json | None = None, **over: Any) -> AsyncIterator[Stage]:
    """Broker and engine in this process, both over real HTTP and WebSocket."""
    async with AsyncExitStack() as stack:
        paper_url = await stack.enter_async_context(paper(folder, **(paper_over or {})))
        running = await stack.enter_async_context(engine(settings(folder, paper_url, **over)))
        yield await on_stage(running.url, running.local_key, paper_url, stack)


async def on_stage(url: str, key: str, paper_url: str, stack: AsyncExitStack) -> Stage:
    http = httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=10)
    broker = httpx.AsyncClient(base_url=paper_url.removesuffix("/v1"), timeout=10)
    found = Stage(url, await stack.enter_async_context(broker), await stack.enter_async_context(http))
    await found.ready()
    await found.price("25000")
    return found


__all__ = ["Engine", "Recorder", "Stage", "fresh", "on_stage", "paper", "settings", "stage", "until"]
