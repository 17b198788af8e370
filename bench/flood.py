"""A flood on one webhook, and what another's alerts notice of it: the same engine with and without, in turn.

The limit per token is as a trader has it, only wide enough for the measured lane's own alerts. The flood comes as
entries on the first lane's token, far beyond its limit, so that all but a few of its alerts are answered 429.
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
RATE: Final = 400
"""Alerts of the flood a second: about two hundred times what its token may send in the long run."""
LINES: Final = 8
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
    refused = 0
    for number in range(size.rounds):
        say(f"flood {number + 1} of {size.rounds}")
        async with _engine(size) as side:
            await side.traffic.trade(QUIET)
            for turn in (False, True) if number % 2 == 0 else (True, False):
                if not turn:
                    calm.keep(await _trades(side, size))
                    continue
                async with _flood(side) as counts:
                    flooded.keep(await _trades(side, size))
                refused += counts.get(429, 0)
    if not refused:
        raise Lost("the flood was not refused: it was no flood")
    return [
        _figure("alert → 202 beside a flood, p50", flooded.answers, calm.answers),
        _figure("alert → order beside a flood, p50", flooded.orders, calm.orders),
    ]


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


async def _trades(side: Side, size: Size) -> list[Trade]:
    done = []
    for _ in range(size.one_by_one):
        done.append(await side.traffic.trade(QUIET))
        await asyncio.sleep(size.pause)
    return done


@asynccontextmanager
async def _flood(side: Side) -> AsyncIterator[dict[int, int]]:
    """Under way, its token's share used up, for as long as the block lasts; counts its answers by status."""
    counts: dict[int, int] = {}
    under_way = asyncio.Event()
    async with Client(side.server.url) as client:
        path = side.traffic.paths[FLOODED]
        lines = [asyncio.create_task(_line(client, path, counts, under_way)) for _ in range(LINES)]
        try:
            async with asyncio.timeout(60):
                await under_way.wait()
            yield counts
        finally:
            for line in lines:
                line.cancel()
            await asyncio.gather(*lines, return_exceptions=True)


async def _line(client: Client, path: str, counts: dict[int, int], under_way: asyncio.Event) -> None:
    """One of the flood's senders: as fast as it can until it is refused, then at its share of the rate."""
    while True:
        alert = {"action": "buy", "ticker": "MNQ1!", "id": f"flood-{next(_numbers)}"}
        status, _ = await client.post(path, json.dumps(alert).encode())
        counts[status] = counts.get(status, 0) + 1
        if status == 429:
            under_way.set()
            await asyncio.sleep(LINES / RATE)


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
