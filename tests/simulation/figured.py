"""What the figures are measured with: a world that trades, and seconds and reads by what was measured."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random

from justtrades.executor import Executor
from justtrades.positions import book, exits
from justtrades.positions.model import AccountId, ContractName, RecorderId, Stop, Target
from justtrades.positions.prices import Distance, Unit
from justtrades.positions.recorder import Recorder, Route
from tests.simulation import loop
from tests.simulation.life import TRUTH_POLL
from tests.simulation.world import World

MNQ = "MNQZ6"
TOKEN = "token-1"
STEP = 0.02
"""Seconds between two looks of this measurement."""
PATIENCE = 120.0


@dataclass
class Figures:
    """Seconds, reads of the doubts themselves, and all reads of their login meanwhile, by what was measured."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    own: dict[str, list[int]] = field(default_factory=dict)
    all: dict[str, list[int]] = field(default_factory=dict)

    def add(self, other: Figures) -> None:
        for name, values in other.seconds.items():
            self.seconds.setdefault(name, []).extend(values)
        for mine, theirs in ((self.own, other.own), (self.all, other.all)):
            for name, counts in theirs.items():
                mine.setdefault(name, []).extend(counts)


def percentile(values: Iterable[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


# ── a world that trades ──────────────────────────────────────────────────────────────────────────────────


async def with_position(world: World, quantity: int = 2, *, stop: bool = False) -> None:
    """A running engine that holds `quantity` with its exits at rest."""
    target = Target(distance=Distance(Decimal(40), Unit.TICKS))
    loss = Stop(distance=Distance(Decimal(40), Unit.TICKS)) if stop else None
    account = world.account(1)
    world.recorders[TOKEN] = Recorder(
        RecorderId("r1"),
        "one",
        symbol="MNQ1!",
        quantity=quantity,
        targets=(target,),
        stop=loss,
        routes=(Route(account),),
    )
    world.facts.routes["r1"] = frozenset({world.exchange.account_id(1)})
    await world.open()
    await asyncio.sleep(2)
    say(world, "buy")
    await until(lambda: agrees(world) and book.held(lane_of(world).lane) == quantity)


async def some_time(rng: Random) -> None:
    """A quiet minute, and so much more that acts fall anywhere between two comparisons."""
    await asyncio.sleep(rng.uniform(60, 60 + TRUTH_POLL))


def say(world: World, action: str) -> None:
    body = f'{{"action": "{action}", "ticker": "MNQ1!", "time": "{loop.seconds()}"}}'.encode()
    world.alert(TOKEN, body, enters=action != "close")


def lane_of(world: World) -> Executor:
    """Raises `LookupError` while there is none, or no engine."""
    if world.engine is None or not world.alive:
        raise LookupError
    return world.engine.desk._lanes[AccountId(world.account(1)), ContractName(MNQ)]


def agrees(world: World) -> bool:
    """Books equal the broker, orders too; nothing is under way, and what is held has its exits."""
    try:
        lane = lane_of(world).lane
    except LookupError:
        return False
    net = world.exchange.net(world.exchange.account_id(1), MNQ)
    known = lane.call is None and not book.in_doubt(lane)
    ours = {(o.broker_id, o.price) for o in lane.orders if o.status.at_broker}
    same = book.held(lane) + book.foreign_quantity(lane) == net and ours == at_broker(world)
    return known and same and exits.protected(lane)


def at_broker(world: World) -> set[tuple[str, Decimal]]:
    """What works there: orders by id and price."""
    live = world.exchange.floor.venue.book.orders.values()
    return {(str(o.id), Decimal(str(o.version.get("price", o.version.get("stopPrice"))))) for o in live}


async def until(fact: Callable[[], bool]) -> float:
    """Seconds until it is so."""
    began = loop.seconds()
    while not fact():
        if loop.seconds() - began > PATIENCE:
            return PATIENCE
        await asyncio.sleep(STEP)
    return loop.seconds() - began


def line(name: str, values: Sequence[float], *counts: Sequence[int] | None) -> str:
    told = [f"{percentile(values, share):6.2f}s" for share in (0.5, 0.99, 1.0)]
    reads = [f"{max(one):>5}" if one else "" for one in counts]
    return f"{name:58}  {len(values):>5}  {'  '.join((*told, *reads))}".rstrip()
