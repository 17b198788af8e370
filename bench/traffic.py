"""Alerts in, moments out. One alert is one whole trade: entry, fill, target, the target's fill, flat again.

Every lane is driven by itself: its next alert goes out when the stub has told that the position is flat. So a
server under load is never asked for what it cannot do yet, and nothing that was accepted can get lost unseen.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from bench.client import Client
from bench.stub_books import FIRST_ACCOUNT

TRADE_WITHIN: Final = 30.0
_numbers = itertools.count(1)


class Lost(Exception):
    """An alert was not answered with 202, or its orders never reached the stub."""


@dataclass(frozen=True, slots=True)
class Act:
    """What the stub told: see `stub_books.Books.note`. `at` in nanoseconds."""

    word: str
    at: int


@dataclass(frozen=True, slots=True)
class Trade:
    """Moments of one alert in nanoseconds of the shared monotonic clock."""

    sent: int
    acknowledged: int
    ordered: int
    filled: int
    targeted: int

    @property
    def to_answer(self) -> float:
        """Milliseconds from the alert to its 202."""
        return (self.acknowledged - self.sent) / 1e6

    @property
    def to_order(self) -> float:
        """Milliseconds from the alert to its order at the broker."""
        return (self.ordered - self.sent) / 1e6

    @property
    def to_target(self) -> float:
        """Milliseconds from the fill on the socket to the target at the broker."""
        return (self.targeted - self.filled) / 1e6


@dataclass(slots=True)
class Watch:
    """Listens to the stub and sorts what it tells by account."""

    stub_url: str
    acts: dict[int, asyncio.Queue[Act]] = field(default_factory=dict)
    _writer: asyncio.StreamWriter | None = None
    _task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Watch:
        parts = urlsplit(self.stub_url)
        reader, self._writer = await asyncio.open_connection(parts.hostname, parts.port)
        self._writer.write(b"WATCH\n")
        await self._writer.drain()
        self._task = asyncio.create_task(self._listen(reader))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        assert self._writer is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._writer.close()
        await self._writer.wait_closed()

    def of(self, lane: int) -> asyncio.Queue[Act]:
        return self.acts.setdefault(FIRST_ACCOUNT + lane, asyncio.Queue())

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            word, account, _, at = line.decode().split()
            self.acts.setdefault(int(account), asyncio.Queue()).put_nowait(Act(word, int(at)))


@dataclass(slots=True)
class Traffic:
    """Alerts to one server. `paths` are the webhooks of its lanes."""

    client: Client
    watch: Watch
    paths: list[str]

    async def trade(self, lane: int) -> Trade:
        """One alert and all that follows from it. Raises `Lost`."""
        acts = self.watch.of(lane)
        sent, acknowledged = await self.post(lane)
        moments: dict[str, int] = {}
        try:
            async with asyncio.timeout(TRADE_WITHIN):
                while "flat" not in moments:
                    act = await acts.get()
                    moments.setdefault(act.word, act.at)
        except TimeoutError:
            raise Lost(f"lane {lane}: nothing more after {sorted(moments)}") from None
        target = moments.get("placed-Limit", moments.get("modified", 0))
        return Trade(sent, acknowledged, moments["placed-Market"], moments["filled"], target)

    async def post(self, lane: int) -> tuple[int, int]:
        """When an alert was sent and when its 202 was here."""
        body = _alert()
        sent = time.perf_counter_ns()
        status, answer = await self.client.post(self.paths[lane], body)
        acknowledged = time.perf_counter_ns()
        if status != 202:
            raise Lost(f"lane {lane}: {status} {answer.decode('utf-8', 'replace')}")
        return sent, acknowledged

    async def one_by_one(self, lanes: int, trades: int, pause: float) -> list[Trade]:
        """One trade after the other, with a rest between them: what a quiet machine's latency is."""
        done = []
        for number in range(trades):
            done.append(await self.trade(number % lanes))
            await asyncio.sleep(pause)
        return done

    async def side_by_side(self, lanes: int, trades: int) -> list[Trade]:
        """`trades` in all, each lane as fast as it can."""
        shares = [trades // lanes + (lane < trades % lanes) for lane in range(lanes)]
        found = await asyncio.gather(*(self._in_a_row(lane, share) for lane, share in enumerate(shares)))
        return [trade for part in found for trade in part]

    async def _in_a_row(self, lane: int, trades: int) -> list[Trade]:
        return [await self.trade(lane) for _ in range(trades)]


def _alert() -> bytes:
    """TradingView's plain shape with an id of its own, so that no two are a repeat."""
    return json.dumps({"action": "buy", "ticker": "MNQ1!", "id": f"bench-{next(_numbers)}"}).encode()
