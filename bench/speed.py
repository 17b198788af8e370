"""Latency, throughput and bursts: engine beside floors, round after round, each round on fresh processes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from bench import sides
from bench.report import Figure, p50, p99
from bench.sides import Side
from bench.sizes import Size
from bench.traffic import Trade, Traffic, Watch


@dataclass(slots=True)
class Samples:
    """What the rounds of one side gave: lists of milliseconds per round, and one number per round."""

    answers: list[list[float]] = field(default_factory=list)
    orders: list[list[float]] = field(default_factory=list)
    targets: list[list[float]] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    bursts: list[float] = field(default_factory=list)


TICK: Final = 0.01
"""Seconds: systems count CPU no finer than this."""
PARTS: Final = ("latency", "throughput", "burst")
"""What can be asked for by name; all of one round share the same processes."""


async def figures(size: Size, parts: frozenset[str], say: Callable[[str], None]) -> list[Figure]:
    """Floors and engine in turn, the order reversed in every other round."""
    g, f, engine = Samples(), Samples(), Samples()

    async def on_g() -> None:
        await _floor_g(size, g)

    async def on_f() -> None:
        async with sides.floor_f(size) as side:
            await warm(side, size)
            await measure(side, size, parts, f)

    async def on_engine() -> None:
        async with sides.engine(size) as side:
            await warm(side, size)
            await measure(side, size, parts, engine)

    turns: list[tuple[str, Callable[[], Awaitable[None]]]] = [("F", on_f), ("engine", on_engine)]
    if "latency" in parts:
        turns.insert(0, ("G", on_g))
    for number in range(size.rounds):
        for name, turn in turns if number % 2 == 0 else reversed(turns):
            say(f"round {number + 1} of {size.rounds}: {name}")
            await turn()
    return [*_latency(g, f, engine), *_throughput(f, engine), *_burst(f, engine)]


async def warm(side: Side, size: Size) -> None:
    """A trade on every lane, unmeasured: lanes exist and connections are open."""
    await side.traffic.side_by_side(size.lanes, size.lanes)


async def measure(side: Side, size: Size, parts: frozenset[str], into: Samples) -> None:
    """One round on one side that is warm."""
    if "latency" in parts:
        _keep_latency(await side.traffic.one_by_one(size.busy_lanes, size.one_by_one, size.pause), into)
    if "throughput" in parts:
        await _throughput_of(side, size, into)
    if "burst" in parts:
        trades = await side.traffic.side_by_side(size.lanes, size.lanes)
        into.bursts.append((max(t.ordered for t in trades) - min(t.sent for t in trades)) / 1e6)


async def _floor_g(size: Size, into: Samples) -> None:
    async with sides.floor_g(size) as (_, client):
        traffic = Traffic(client, Watch(""), ["/webhook/0"])
        await traffic.post(0)
        into.answers.append([await _answered(traffic, size) for _ in range(size.one_by_one)])


async def _answered(traffic: Traffic, size: Size) -> float:
    sent, acknowledged = await traffic.post(0)
    await asyncio.sleep(size.pause + size.fills_after + size.rests_for)
    return (acknowledged - sent) / 1e6


def _keep_latency(trades: list[Trade], into: Samples) -> None:
    into.answers.append([trade.to_answer for trade in trades])
    into.orders.append([trade.to_order for trade in trades])
    into.targets.append([trade.to_target for trade in trades])


async def _throughput_of(side: Side, size: Size, into: Samples) -> None:
    cpu, began = side.server.cpu_seconds, time.perf_counter_ns()
    trades = await side.traffic.side_by_side(size.busy_lanes, size.side_by_side)
    into.rates.append(len(trades) / ((max(trade.ordered for trade in trades) - began) / 1e9))
    into.cpu.append(max(side.server.cpu_seconds - cpu, TICK) * 1e3 / len(trades))


def _latency(g: Samples, f: Samples, engine: Samples) -> list[Figure]:
    if not engine.answers:
        return []
    return [
        _latency_figure("alert → 202, p50", engine.answers, g.answers, 1.2, "G"),
        _latency_figure("alert → order on the wire, p50", engine.orders, f.orders, 1.3, "F"),
        _latency_figure("fill → target on the wire, p50", engine.targets, f.targets, 1.3, "F"),
    ]


def _latency_figure(
    name: str, engine: list[list[float]], floor: list[list[float]], goal: float, floor_name: str
) -> Figure:
    return Figure(
        name,
        "ms",
        [p50(values) for values in engine],
        [p50(values) for values in floor],
        goal,
        floor_name,
        engine_p99=p99([value for values in engine for value in values]),
        floor_p99=p99([value for values in floor for value in values]),
    )


def _throughput(f: Samples, engine: Samples) -> list[Figure]:
    if not engine.rates:
        return []
    return [
        Figure("alerts with orders a second", "/s", engine.rates, f.rates, 0.5, "F", higher_is_better=True),
        Figure("CPU per alert, whole trade", "ms", engine.cpu, f.cpu, 2.0, "F"),
    ]


def _burst(f: Samples, engine: Samples) -> list[Figure]:
    if not engine.bursts:
        return []
    return [Figure("burst over all lanes, last order", "ms", engine.bursts, f.bursts, 1.5, "F")]
