"""What the demo may touch: the engine's own HTTP API, and the hand that moves the simulated market.

Everything the console tells comes through `Client.facts`. Numbers of either side are read as `Decimal`: the
engine writes them as strings, the broker as JSON numbers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from time import perf_counter
from typing import Any, Final

import httpx

Json = dict[str, Any]
"""One row of an answer. `Any` because that is what JSON is."""

LIMIT: Final = 500
TRADINGVIEW: Final = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "Go-http-client/1.1"}
"""What TradingView's own requests say of themselves."""


class Failed(Exception):
    """The demo cannot go on; one sentence."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the engine says at one moment, each list by id and the oldest first."""

    signals: Mapping[str, Json]
    orders: Mapping[str, Json]
    fills: Mapping[str, Json]
    trades: Mapping[str, Json]
    positions: Mapping[str, Json]
    """Open ones, by contract."""


NOTHING: Final = Facts({}, {}, {}, {}, {})


@dataclass(frozen=True, slots=True)
class Answer:
    """What the webhook said, and after how many seconds."""

    code: int
    status: str
    signal_id: str
    seconds: float  # measured for people, no money


@dataclass(frozen=True, slots=True)
class Client:
    engine: httpx.AsyncClient
    market: httpx.AsyncClient

    # ── the engine ───────────────────────────────────────────────────────────────────────────────────────

    async def facts(self) -> Facts:
        names = ("signals", "orders", "fills", "trades", "positions")
        signals, orders, fills, trades, positions = await asyncio.gather(*map(self.items, names))
        return Facts(
            _by_id(signals), _by_id(orders), _by_id(fills), _by_id(trades), {p["contract"]: p for p in positions}
        )

    async def items(self, name: str) -> list[Json]:
        """A whole list, the oldest first."""
        answer = await self.engine.get(f"/api/v1/{name}", params={"limit": LIMIT})
        found: list[Json] = _checked(answer)["items"]
        return found[::-1]

    async def ready(self) -> bool:
        return (await self.engine.get("/readyz")).status_code == 200

    async def add_recorder(self, **rules: Any) -> Json:
        """The recorder as it was made, with its token."""
        return _checked(await self.engine.post("/api/v1/recorders", json=rules))

    async def edit_recorder(self, recorder_id: str, **rules: Any) -> Json:
        return _checked(await self.engine.patch(f"/api/v1/recorders/{recorder_id}", json=rules))

    async def alert(self, token: str, body: str) -> Answer:
        """Sends an alert as TradingView does."""
        began = perf_counter()
        answer = await self.engine.post(f"/webhook/{token}", content=body.encode(), headers=TRADINGVIEW)
        said, seconds = _checked(answer), perf_counter() - began
        return Answer(answer.status_code, said["status"], said["signal_id"], seconds)

    # ── the market and its ledger ────────────────────────────────────────────────────────────────────────

    async def set_price(self, contract: str, price: Decimal) -> None:
        """The market trades there; returns once what it filled is in the broker's ledger."""
        await self._control("price", symbol=contract, price=str(price))

    async def price(self, contract: str) -> Decimal | None:
        """The last price; None when it never traded."""
        found = _checked(await self.market.get("/control/prices")).get(contract)
        return None if found is None else Decimal(str(found))

    async def limit_account(self, name: str, **limits: Any) -> None:
        await self._control("accounts", account=name, **limits)

    async def ledger(self) -> Json:
        """Everything the broker has ever written down."""
        return _checked(await self.market.get("/control/ledger"))

    async def _control(self, path: str, **body: Any) -> None:
        _checked(await self.market.post(f"/control/{path}", json=body))


@asynccontextmanager
async def connected(url: str, key: str, paper_url: str) -> AsyncIterator[Client]:
    """To an engine and its paper broker. No proxy of the user's stands between: both are on the loopback."""
    bearer = {"Authorization": f"Bearer {key}"}
    market_url = paper_url.removesuffix("/v1")
    async with AsyncExitStack() as stack:
        engine = httpx.AsyncClient(base_url=url, headers=bearer, timeout=10, trust_env=False)
        market = httpx.AsyncClient(base_url=market_url, timeout=10, trust_env=False)
        yield Client(await stack.enter_async_context(engine), await stack.enter_async_context(market))


def _by_id(rows: list[Json]) -> dict[str, Json]:
    return {row["id"]: row for row in rows}


def _checked(answer: httpx.Response) -> Json:
    request = answer.request
    if answer.is_error:
        raise Failed(f"{request.method} {request.url.path} was answered {answer.status_code}: {answer.text[:200]}")
    found: Json = json.loads(answer.text, parse_float=Decimal)
    return found
