"""The stage: alerts go in over HTTP, the market is moved by hand, and whatever the engine then says is told.

A scene acts and waits for facts. Waiting is looking again until the fact is there or the time is up; each look
tells what is new. Pauses only give a person time to read: nothing depends on them, and `pace` 0 leaves them out.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

from justtrades.demo.books import of_broker
from justtrades.demo.client import NOTHING, Answer, Client, Facts, Failed, Json
from justtrades.demo.show import Show
from justtrades.demo.telling import Line, lines, price
from justtrades.positions.contracts import ROOTS, front, trade_date

T = TypeVar("T")

LOOK_EVERY: Final = 0.03
PATIENCE: Final = 8.0
"""Seconds a fact may take; on a quiet machine it takes milliseconds."""
GLIDE_STEPS: Final = 8
GLIDE_STEP: Final = 0.07


@dataclass(frozen=True, slots=True)
class Market:
    """A contract and its tick, by the roots of the trade: MNQ, MES …"""

    contract: str
    tick: Decimal

    @classmethod
    def of(cls, root: str, now: datetime) -> Market:
        return cls(front(ROOTS[root], trade_date(now)).tradovate, ROOTS[root].tick_size)

    def away(self, price: Decimal, count: int) -> Decimal:
        """So many ticks from a price."""
        return price + self.tick * count


@dataclass(frozen=True, slots=True)
class Recorder:
    name: str
    token: str = field(repr=False)


@dataclass(slots=True)
class Play:
    """`pace` stretches the pauses. `signal_ids` are those of the scene being played."""

    client: Client
    show: Show
    account: Json
    pace: float  # for the event loop
    facts: Facts = NOTHING
    signal_ids: list[str] = field(default_factory=list)
    recorders: dict[str, Recorder] = field(default_factory=dict)

    # ── looking ──────────────────────────────────────────────────────────────────────────────────────────

    async def look(self) -> None:
        """Tells what is new since the last look."""
        before, self.facts = self.facts, await self.client.facts()
        for line in lines(before, self.facts):
            self.show.line(line)

    async def until(self, what: str, fact: Callable[[Facts], T | None]) -> T:
        """Looks until the fact is there; `Failed` when it does not come."""
        clock = asyncio.get_running_loop().time
        give_up = clock() + PATIENCE
        while True:
            await self.look()
            if found := fact(self.facts):
                return found
            if clock() > give_up:
                raise Failed(f"waited {PATIENCE:.0f} s in vain for {what}")
            await asyncio.sleep(LOOK_EVERY)

    async def ended(self, signal_id: str) -> Json:
        """The signal, once it has its outcome."""

        def over(facts: Facts) -> Json | None:
            signal = facts.signals.get(signal_id)
            return signal if signal is not None and signal["outcome"] is not None else None

        return await self.until("the outcome of a signal", over)

    async def protected(self, market: Market, quantity: int) -> Decimal:
        """The price of the one target that rests for the whole position, once it does."""

        def rests(facts: Facts) -> Decimal | None:
            position = facts.positions.get(market.contract)
            if position is None or position["quantity"] != quantity or len(position["targets"]) != 1:
                return None
            (target,) = position["targets"]
            whole = target["quantity"] == quantity and target["broker_order_id"] and _booked(facts, target)
            return Decimal(target["price"]) if whole else None

        return await self.until(f"one target for all {quantity} {market.contract}", rests)

    async def flat(self, market: Market, trades: int = 1) -> None:
        """Nothing held, and so many trades of this scene closed."""

        def closed(facts: Facts) -> bool:
            mine = [row for row in facts.trades.values() if row["signal_id"] in self.signal_ids]
            return market.contract not in facts.positions and sum(t["status"] == "closed" for t in mine) == trades

        await self.until(f"a flat position in {market.contract}", closed)

    # ── acting ───────────────────────────────────────────────────────────────────────────────────────────

    async def alert(self, recorder: str, **fields: Any) -> str:
        """Sends an alert of now; its signal's id."""
        body = alert_body(**fields, time=now_text())
        answer = await self.send(recorder, body)
        if answer.code != 202:
            raise Failed(f"a new alert was answered {answer.code} {answer.status}")
        return answer.signal_id

    async def send(self, recorder: str, body: str, shown: str = "") -> Answer:
        """Exactly these bytes to the recorder's webhook; told as `shown` when they were shown before."""
        self.tell("alert", shown or body)
        answer = await self.client.alert(self.recorders[recorder].token, body)
        if answer.signal_id not in self.signal_ids:
            self.signal_ids.append(answer.signal_id)
        self.tell("answer", f"{answer.code} {answer.status}, after {answer.seconds * 1000:.0f} ms")
        return answer

    async def last_price(self, market: Market) -> Decimal:
        found = await self.client.price(market.contract)
        if found is None:
            raise Failed(f"{market.contract} has no price")
        return found

    async def open_market(self, market: Market, price: str) -> None:
        self.tell("market", f"{market.contract} trades at {price}")
        await self.client.set_price(market.contract, Decimal(price))

    async def glide(self, market: Market, to: Decimal) -> None:
        """The market moves there in steps; between them it goes on wandering by itself."""
        start = await self.last_price(market)
        self.tell(
            "market", f"{market.contract} moves from {price(start, market.contract)} to {price(to, market.contract)}"
        )
        for step in range(1, GLIDE_STEPS + 1):
            await asyncio.sleep(GLIDE_STEP * self.pace)
            ticks = (to - start) / market.tick * step / GLIDE_STEPS
            await self.client.set_price(market.contract, market.away(start, int(ticks)))
            await self.look()

    def tell(self, label: str, text: str) -> None:
        self.show.line(Line(label, text))

    async def pause(self, seconds: float = 0.8) -> None:
        """Time to read."""
        await asyncio.sleep(seconds * self.pace)

    # ── the broker's own view ────────────────────────────────────────────────────────────────────────────

    async def tell_broker(self, market: Market) -> None:
        """What the broker's ledger, not the engine, says of a contract."""
        books = of_broker(await self.client.ledger())
        rests = [row for row in books.working_order.values() if row.contract == market.contract]
        shown = ", ".join(f"{r.action.lower()} {r.quantity} at {price(r.price, r.contract)}" for r in rests) or "none"
        net = books.position.get(market.contract, 0)
        held = f"{'long' if net > 0 else 'short'} {abs(net)}" if net else "flat"
        self.tell("broker", f"its own ledger says: {held}, working orders: {shown}")


def _booked(facts: Facts, target: Json) -> bool:
    """The order's row says the same, so that the move was told before anything builds on it."""
    rows = (row for row in facts.orders.values() if row["broker_order_id"] == target["broker_order_id"])
    return any((row["price"], row["status"]) == (target["price"], "working") for row in rows)


def alert_body(**fields: Any) -> str:
    """As TradingView sends the text of an alert."""
    return json.dumps(fields)


def now_text() -> str:
    """`{{timenow}}` as TradingView fills it in."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
