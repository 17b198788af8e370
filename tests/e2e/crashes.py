"""A day of alerts through which the engine is killed again and again, at random moments and under load.

Two recorders trade two contracts while prices move. The process is killed in the middle of it, started again on
the same database and the same broker, and so on; now and then it dies while it is still starting. At the end every
alert that was acknowledged has one outcome, no order was made twice, what is held is protected, and the books are the
broker's ledger; then all is closed, and what the trades made is what the fills of that ledger come to. Everything but
the machine's own timing follows from the seed.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import httpx

from justtrades.broker.simulator.listing import find_contract
from justtrades.selfaudit.checks import whole
from justtrades.store import apart
from tests.e2e.process import EngineProcess
from tests.e2e.stage import Recorder, Stage, fresh, paper

ACTIONS = ("buy", "buy", "sell", "close")
PRICES = {"MNQ": 25_000, "MES": 6_500}
POINT_VALUES = {"MNQ": 2, "MES": 5}
LONGEST_LIFE = 0.6
"""Seconds from readiness to the kill, at most."""
STILLBORN = 0.2
"""How often the engine is killed once more before it is ready."""
LONGEST_BIRTH = 2.0


@dataclass
class Crashes:
    """`acknowledged` are the signals answered with 2xx, in whatever life of the engine."""

    folder: Path
    kills: int
    seed: int
    acknowledged: set[str] = field(default_factory=set)
    sent: int = 0
    _dice: random.Random = field(init=False)
    _contracts: dict[str, str] = field(default_factory=dict)
    _recorders: list[Recorder] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)

    async def run(self) -> list[str]:
        """What did not hold; empty when all is well."""
        async with AsyncExitStack() as stack:
            url = await stack.enter_async_context(paper(self.folder))
            engine = EngineProcess(self.folder, url)
            stack.push_async_callback(engine.kill)
            try:
                play = await self._opened(engine, stack)
                for _ in range(self.kills):
                    await self._lived(play, engine)
                    await self._stillborn(engine)
                    await engine.start()
                    play = await engine.on_stage(stack)
                return await self._wrong(play)
            except AssertionError as error:  # it never answered, or denies an alert it had acknowledged
                return [str(error)]

    async def _opened(self, engine: EngineProcess, stack: AsyncExitStack) -> Stage:
        await engine.start()
        play = await engine.on_stage(stack)
        for contract in await play.items("contracts"):
            if contract["root"] in PRICES:
                self._contracts[contract["root"]] = contract["contract"]
        for root, price in PRICES.items():
            await play.control("price", symbol=self._contracts[root], price=str(price))
            stop = {"distance": "80", "unit": "ticks"}
            self._recorders.append(await play.recorder(name=root, symbol=f"{root}1!", stop=stop, max_quantity=4))
        return play

    async def _lived(self, play: Stage, engine: EngineProcess) -> None:
        """One life: alerts as fast as they are answered, prices beside them, then the kill."""
        work = [asyncio.create_task(self._alerts(play, recorder)) for recorder in self._recorders]
        work.append(asyncio.create_task(self._prices(play)))
        await asyncio.sleep(self._dice.uniform(0, LONGEST_LIFE))  # the moment of death is what this is about
        await engine.kill()
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)

    async def _stillborn(self, engine: EngineProcess) -> None:
        while self._dice.random() < STILLBORN:
            await engine.begin()
            await asyncio.sleep(self._dice.uniform(0, LONGEST_BIRTH))  # in the middle of its recovery
            await engine.kill()

    async def _alerts(self, play: Stage, recorder: Recorder) -> None:
        while True:
            alert = {"action": self._dice.choice(ACTIONS), "ticker": "MNQ1!", "id": fresh()}
            self.sent += 1
            with contextlib.suppress(httpx.HTTPError):
                answer = await play.http.post(f"/webhook/{recorder.token}", json=alert)
                if answer.status_code == 202:
                    self.acknowledged.add(answer.json()["signal_id"])
            await asyncio.sleep(self._dice.uniform(0, 0.1))  # alerts come when they come

    async def _prices(self, play: Stage) -> None:
        while True:
            root = self._dice.choice([*PRICES])
            price = PRICES[root] + self._dice.randint(-40, 40) * 0.25
            await play.control("price", symbol=self._contracts[root], price=str(price))
            await asyncio.sleep(0.05)  # prices come when they come

    # ── what must hold ──

    async def _wrong(self, play: Stage) -> list[str]:
        found: list[str] = []
        outcomes = Counter([(await play.outcome(signal_id, 60))["outcome"] for signal_id in self.acknowledged])
        if outcomes["needs_attention"]:
            found.append(f"{outcomes['needs_attention']} signals need attention")
        with contextlib.suppress(AssertionError):
            await play.books_match()
        found += await play.differences()
        for row in await play.items("positions"):
            if not row["protected"]:
                found.append(f"{row['contract']} is not protected")
        ledger = await play.ledger()
        made = Counter(c["clOrdId"] for c in ledger["command"] if c["commandType"] == "New" and c.get("clOrdId"))
        found += [f"{client_id} was made {times} times" for client_id, times in made.items() if times > 1]
        entered = Counter(row["signal_id"] for row in await self._entries(play))
        found += [f"signal {signal} made {n} entries" for signal, n in entered.items() if n > 1]
        found += await self._unpaid(play)
        return found + await self._audited()

    async def _audited(self) -> list[str]:
        """What the engine's own checks find in all of its books, beside it as it runs."""
        url = f"sqlite+aiosqlite:///{self.folder / 'engine.db'}"
        return [str(finding) for finding in await asyncio.to_thread(apart.look, url, whole)]

    async def _entries(self, play: Stage) -> list[dict[str, str]]:
        rows = await play.items("orders", limit=500)
        return [row for row in rows if row["purpose"] == "entry" and row["broker_order_id"]]

    async def _unpaid(self, play: Stage) -> list[str]:
        """Whether the trades, once all are closed, made what the broker's fills come to."""
        for recorder in self._recorders:
            await Recorder(play, recorder.id, recorder.token).trade("close")
        await play.books_match()
        booked = sum(Decimal(trade["pnl"]) for trade in await play.items("trades", limit=500))
        filled = await self._filled(play)
        return [] if booked == filled else [f"the trades made {booked}, the broker's fills {filled}"]

    async def _filled(self, play: Stage) -> Decimal:
        values = {}
        for root, name in self._contracts.items():
            contract = find_contract(name, datetime.now(UTC))
            assert contract is not None
            values[contract.id] = POINT_VALUES[root]
        signs = {"Buy": -1, "Sell": 1}
        return sum(
            (
                signs[f["action"]] * f["qty"] * Decimal(str(f["price"])) * values[f["contractId"]]
                for f in await play.fills()
            ),
            Decimal(0),
        )
