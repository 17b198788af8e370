"""A flood on one webhook, and what another's alerts notice of it: the same engine with and without, in turn.

The limit per token is as a trader has it, only wide enough for the measured lane's own alerts. The flood comes as
entries on the first lane's token, far beyond its limit, so that all but a few of its alerts are answered 429. With and
without take turns every few alerts, so that both see the same machine.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from bench import sides
from bench.client import Client
from bench.engine import LIFTED, Engine
from bench.report import Figure, p50, p99
from bench.sides import Side
from bench.sizes import Size
from bench.traffic import Lost, Trade

PARTS: Final = ("flood",)
RATE: Final = 100
"""Alerts of the flood a second: fifty times what its token may send in the long run."""
LINES: Final = 4
SLICES: Final = 6
QUIET_FOR: Final = 0.15
"""Seconds without a word from the broker: less than passes between two alerts that the limit lets in."""
FLOODED, QUIET = 0, 1
_numbers = itertools.count(1)


@dataclass(slots=True)
class Samples:
    """Milliseconds per round."""

    answers: list[list[float]] = field(default_factory=list)
    orders: list[list[float]] = field(default_factory=list)

    def keep(self, trades: list[Trade]) -> None:
        self.answers.append([trade.to_answer for trade in trades])
        self.orders.append([trade.to_order for trade in trades])


async def figures(size: Size, parts: frozenset[str], say: Callable[[str], None]) -> list[Figure]:
    """`parts` is always the one there is."""
    calm, flooded = Samples(), Samples()
    for number in range(size.rounds):
        say(f"flood {number + 1} of {size.rounds}")
        async with _engine(size) as side, _flood(side) as flood:
            await side.traffic.trade(QUIET)
            await _round(side, flood, size, calm, flooded)
            if not flood.counts.get(429):
                raise Lost("the flood was not refused: it was no flood")
    return [
        _figure("alert → 202 beside a flood, p50", flooded.answers, calm.answers),
        _figure("alert → order beside a flood, p50", flooded.orders, calm.orders),
    ]


async def _round(side: Side, flood: Flood, size: Size, calm: Samples, flooded: Samples) -> None:
    trades: dict[bool, list[Trade]] = {False: [], True: []}
    each = max(1, size.one_by_one // SLICES)
    for turn in [False, True] * min(SLICES, size.one_by_one):
        flood.open.set() if turn else flood.open.clear()
        for _ in range(each):
            trades[turn].append(await side.traffic.trade(QUIET))
            await asyncio.sleep(size.pause)
    calm.keep(trades[False])
    flooded.keep(trades[True])


@asynccontextmanager
async def _engine(size: Size) -> AsyncIterator[Side]:
    with sides.folder(size) as directory, sides.stub(size, directory) as broker:
        # Wide enough for the measured lane's own alerts, and no wider.
        limit = {"JUSTTRADES_WEBHOOK_RATE_PER_MINUTE": str(2 * size.one_by_one + 5)}
        made = Engine(directory, broker.url, lifted={**LIFTED, **limit})
        try:
            made.start()
            await made.set_up(2)
            async with sides.traffic(size, made.running, broker, made.paths) as flowing:
                yield Side(made.running, flowing)
        finally:
            made.stop()


@dataclass(slots=True)
class Flood:
    """Sends while `open`; counts its answers by status."""

    open: asyncio.Event = field(default_factory=asyncio.Event)
    refused: asyncio.Event = field(default_factory=asyncio.Event)
    counts: dict[int, int] = field(default_factory=dict)

    async def line(self, client: Client, path: str) -> None:
        """One of its senders: as fast as it can until it is refused, then at its share of the rate."""
        while True:
            await self.open.wait()
            alert = {"action": "buy", "ticker": "MNQ1!", "id": f"flood-{next(_numbers)}"}
            status, _ = await client.post(path, json.dumps(alert).encode())
            self.counts[status] = self.counts.get(status, 0) + 1
            if status == 429:
                self.refused.set()
                await asyncio.sleep(LINES / RATE)


@asynccontextmanager
async def _flood(side: Side) -> AsyncIterator[Flood]:
    """Its token's share used up, and what was let in of it traded: those orders are not what is measured."""
    flood = Flood()
    async with Client(side.server.url) as client:
        lines = [asyncio.create_task(flood.line(client, side.traffic.paths[FLOODED])) for _ in range(LINES)]
        try:
            flood.open.set()
            async with asyncio.timeout(120):
                await flood.refused.wait()
                await _traded(side)
            yield flood
        finally:
            for line in lines:
                line.cancel()
            await asyncio.gather(*lines, return_exceptions=True)


async def _traded(side: Side) -> None:
    acts = side.traffic.watch.of(FLOODED)
    while True:
        try:
            async with asyncio.timeout(QUIET_FOR):
                await acts.get()
        except TimeoutError:
            return


def _figure(name: str, flooded: list[list[float]], calm: list[list[float]]) -> Figure:
    return Figure(
        name,
        "ms",
        [p50(values) for values in flooded],
        [p50(values) for values in calm],
        1.5,
        "no flood",
        engine_p99=p99([value for values in flooded for value in values]),
        floor_p99=p99([value for values in calm for value in values]),
    )
