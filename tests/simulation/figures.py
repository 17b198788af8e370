"""How long a doubt lasts and how soon a difference is repaired: the whole engine in virtual time, seed after seed.

    python -m tests.simulation.figures --seeds 100

A doubt is counted from the moment its answer counts as lost to the moment the lane is sure again; its reads are all
reads of the login meanwhile. A difference is counted from the moment it can be heard of: the act of the hand while the
engine runs, the end of the socket's silence after a reconnect, to the moment books and foreign contracts equal the
broker's position. "Without a word" means that the socket is healthy and loses every report of it: then only the
comparison with the broker's lists finds it, every `truth_poll_seconds`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any

from justtrades.executor import Executor
from justtrades.positions import book, exits
from justtrades.positions.model import AccountId, ContractName, RecorderId, Target
from justtrades.positions.prices import Distance, Unit
from justtrades.positions.recorder import Recorder, Route
from tests.invariants.checker import Written
from tests.simulation import loop
from tests.simulation.soak import quiet
from tests.simulation.wires import Weather
from tests.simulation.world import World

MNQ = "MNQZ6"
TOKEN = "token-1"
STEP = 0.02
"""Seconds between two looks of this measurement."""
PATIENCE = 120.0


@dataclass
class Figures:
    """Seconds, by what was measured; reads of the doubts."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    reads: dict[str, list[float]] = field(default_factory=dict)

    def add(self, other: Figures) -> None:
        for mine, theirs in ((self.seconds, other.seconds), (self.reads, other.reads)):
            for name, values in theirs.items():
                mine.setdefault(name, []).extend(values)


def percentile(values: Iterable[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


# ── a world that trades ──────────────────────────────────────────────────────────────────────────────────


async def _with_position(world: World, quantity: int = 2) -> None:
    """A running engine that holds `quantity` with its target at rest."""
    target = Target(distance=Distance(Decimal(40), Unit.TICKS))
    account = world.account(1)
    world.recorders[TOKEN] = Recorder(
        RecorderId("r1"), "one", symbol="MNQ1!", quantity=quantity, targets=(target,), routes=(Route(account),)
    )
    world.facts.routes["r1"] = frozenset({world.exchange.account_id(1)})
    await world.open()
    await asyncio.sleep(2)
    _say(world, "buy")
    await _until(lambda: _agrees(world) and book.held(_lane(world).lane) == quantity)


def _say(world: World, action: str) -> None:
    body = f'{{"action": "{action}", "ticker": "MNQ1!", "time": "{loop.seconds()}"}}'.encode()
    world.alert(TOKEN, body, enters=action != "close")


def _lane(world: World) -> Executor:
    assert world.engine is not None
    return world.engine.desk._lanes[AccountId(world.account(1)), ContractName(MNQ)]


def _agrees(world: World) -> bool:
    """Books equal the broker, nothing is under way, and what is held has its exit."""
    try:
        executor = _lane(world)
    except LookupError:
        return False
    lane = executor.lane
    net = world.exchange.net(world.exchange.account_id(1), MNQ)
    known = lane.call is None and not book.in_doubt(lane)
    return known and book.held(lane) + book.foreign_quantity(lane) == net and exits.protected(lane)


async def _until(fact: Callable[[], bool]) -> float:
    """Seconds until it is so."""
    began = loop.seconds()
    while not fact():
        if loop.seconds() - began > PATIENCE:
            return PATIENCE
        await asyncio.sleep(STEP)
    return loop.seconds() - began


# ── doubts ───────────────────────────────────────────────────────────────────────────────────────────────


async def doubts(world: World, rng: Random) -> Figures:
    """Half of all requests that change something are lost, or their answers; reads arrive, up to 3 s behind."""
    await _with_position(world)
    found, reads = Figures(), _Reads(world)
    world.net.weather = Weather(lost_request=0.25, lost_answer=0.25, reads=0.0, lag=rng.choice([0.0, 1.0, 3.0]))
    watch = asyncio.create_task(_watch(world, reads, found))
    for _ in range(5):
        _say(world, rng.choice(["buy", "sell", "close"]))
        await asyncio.sleep(rng.uniform(5, 40))
    world.net.weather = Weather()
    await asyncio.sleep(60)
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)
    return found


@dataclass
class _Reads:
    world: World
    count: int = 0

    def __post_init__(self) -> None:
        told = self.world.net.wrote

        def wrote(sent: Written) -> None:
            self.count += not sent.mutates
            told(sent)

        self.world.net.wrote = wrote


async def _watch(world: World, reads: _Reads, found: Figures) -> None:
    """Each doubt from its beginning to its end, by the kind of what is in doubt."""
    began: dict[datetime, tuple[str, int]] = {}
    while True:
        lane = _lane(world).lane
        now = {o.doubt.since: str(o.purpose) for o in lane.orders if o.doubt is not None}
        if lane.stale_since is not None:
            now[lane.stale_since] = "cancel, modify or liquidate"
        for since, kind in now.items():
            began.setdefault(since, (kind, reads.count))
        for since in [since for since in began if since not in now]:
            kind, before = began.pop(since)
            found.seconds.setdefault(f"doubt: {kind}", []).append((loop.clock() - since).total_seconds())
            found.reads.setdefault(f"doubt: {kind}", []).append(reads.count - before)
        await asyncio.sleep(STEP)


# ── differences ──────────────────────────────────────────────────────────────────────────────────────────


async def heard(world: World, rng: Random) -> Figures:
    """A hand closes, reduces or adds while the engine runs and hears of it."""
    await _with_position(world)
    await asyncio.sleep(rng.uniform(0, 20))
    what = await _hand(world, rng)
    return Figures({f"running, {what}": [await _until(lambda: _agrees(world))]})


async def without_a_word(world: World, rng: Random) -> Figures:
    """The same, and every report of it is lost on a healthy socket."""
    await _with_position(world)
    await asyncio.sleep(rng.uniform(0, 20))
    world.net.weather = Weather(frames_lost=1.0)
    await _hand(world, rng)
    took = await _until(lambda: _agrees(world))
    return Figures({"running, without a word": [took]})


async def reconnected(world: World, rng: Random) -> Figures:
    """The same while the socket is down."""
    await _with_position(world)
    assert world.engine is not None
    for tube in world.engine.dialler.tubes:
        tube.break_off()
    await _hand(world, rng)
    took = await _until(lambda: _agrees(world))
    return Figures({"from the break of the socket, reconnect included": [took]})


async def _hand(world: World, rng: Random) -> str:
    what, quantity, action = rng.choice([("closed", 2, "Sell"), ("reduced", 1, "Sell"), ("increased", 1, "Buy")])
    account = world.exchange.account_id(1)
    world.facts.hands[account, world.exchange.contract(MNQ).id] = loop.clock()
    await world.exchange.by_hand(account, MNQ, action, quantity)
    return f"{what} by hand"


PLAYS: tuple[Callable[[World, Random], Coroutine[Any, Any, Figures]], ...] = (
    doubts,
    heard,
    without_a_word,
    reconnected,
)


def measured(
    seeds: Iterable[int], plays: Iterable[Callable[[World, Random], Coroutine[Any, Any, Figures]]] = PLAYS
) -> Figures:
    found = Figures()
    with quiet():
        for seed in seeds:
            for play in plays:
                found.add(loop.run(_one(seed, play)))
    return found


async def _one(seed: int, play: Callable[[World, Random], Coroutine[Any, Any, Figures]]) -> Figures:
    world = World(seed)
    try:
        return await play(world, Random(f"{seed} figures"))
    finally:
        await world.close()


def table(found: Figures) -> str:
    lines = [f"{'what':52}  {'n':>5}  {'p50':>7}  {'p99':>7}  {'most':>7}  {'reads, p99':>10}  {'most':>4}"]
    for name, values in sorted(found.seconds.items()):
        told = [f"{percentile(values, share):6.2f}s" for share in (0.5, 0.99, 1.0)]
        reads = found.reads.get(name)
        counted = f"{percentile(reads, 0.99):>10}  {max(reads):>4}" if reads else ""
        lines.append(f"{name:52}  {len(values):>5}  {'  '.join(told)}  {counted}".rstrip())
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.figures", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--start", type=int, default=0)
    asked = parser.parse_args()
    print(table(measured(range(asked.start, asked.start + asked.seeds))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
