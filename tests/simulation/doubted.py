"""How long doubts last, and what they read: half of all that changes something, or its answer, is lost.

A doubt is counted from the moment its answer counts as lost to the moment the lane is sure again. Its own reads are
those that the audit says were made for its orders, failed ones included.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from random import Random

from justtrades.positions.model import Lane
from justtrades.store.types import iso
from tests.invariants.checker import Written
from tests.simulation import loop
from tests.simulation.figured import STEP, Figures, lane_of, say, some_time, with_position
from tests.simulation.wires import Weather
from tests.simulation.world import World

OWN = "select count(*) from audit where method = 'GET' and order_id in ({}) and at >= ? and at <= ?"


async def doubts(world: World, rng: Random) -> Figures:
    """Reads arrive, up to 3 s behind, or the most that is allowed for."""
    return await _doubts(
        world, rng, Weather(lost_request=0.25, lost_answer=0.25, reads=0.0, lag=rng.choice([0, 1, 3, 10]))
    )


async def deaf_doubts(world: World, rng: Random) -> Figures:
    """The socket tells nothing of it either: only looking ends a doubt."""
    weather = Weather(lost_request=0.2, lost_answer=0.4, reads=0.0, lag=rng.choice([0, 3, 10]), frames_lost=1.0)
    return await _doubts(world, rng, weather)


async def crashed(world: World, rng: Random) -> Figures:
    """The engine dies with each request on its way that an alert leads to first."""
    return await _doubts(world, rng, Weather(lost_request=0.3, reads=0.0, lag=rng.choice([0, 3])), dies=True)


async def _doubts(world: World, rng: Random, weather: Weather, *, dies: bool = False) -> Figures:
    await with_position(world, stop=rng.random() < 0.5)
    await some_time(rng)
    watch = _Watch(world, "after a crash, " if dies else "")
    watching = asyncio.create_task(watch.run())
    world.net.weather = weather
    for _ in range(5):
        world.crash_in = ("after the write", 1) if dies else None
        say(world, rng.choice(["buy", "sell", "close"]))
        await asyncio.sleep(rng.uniform(5, 40))
    world.net.weather, world.crash_in = Weather(), None
    await asyncio.sleep(60)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    return watch.figures()


@dataclass
class _Doubt:
    kind: str
    orders: tuple[str, ...]
    since: datetime
    before: int
    """Reads of the login until then."""
    ended: datetime | None = None
    all: int = 0


@dataclass
class _Watch:
    world: World
    when: str
    _reads: int = 0
    _going: dict[datetime, _Doubt] = field(default_factory=dict)
    _over: list[_Doubt] = field(default_factory=list)
    _last: str = ""
    """What was sent last."""

    def __post_init__(self) -> None:
        told = self.world.net.wrote

        def wrote(sent: Written) -> None:
            self._reads += not sent.mutates
            self._last = sent.endpoint.removeprefix("order/") if sent.mutates else self._last
            told(sent)

        self.world.net.wrote = wrote

    async def run(self) -> None:
        while True:
            with suppress(LookupError):  # between two lives
                self._look(lane_of(self.world).lane)
            await asyncio.sleep(STEP)

    def _look(self, lane: Lane) -> None:
        now = self._in_doubt(lane)
        for since, (kind, orders) in now.items():
            self._going.setdefault(since, _Doubt(self.when + kind, orders, since, self._reads))
        for since in [since for since in self._going if since not in now]:
            done = self._going.pop(since)
            done.ended, done.all = loop.clock(), self._reads - done.before
            self._over.append(done)

    def _in_doubt(self, lane: Lane) -> dict[datetime, tuple[str, tuple[str, ...]]]:
        found: dict[datetime, tuple[str, tuple[str, ...]]] = {}
        for order in lane.orders:
            if order.doubt is not None:
                _, others = found.get(order.doubt.since, ("", ()))
                found[order.doubt.since] = ("pair" if others else str(order.purpose), (*others, order.id))
        if lane.stale_since is not None:
            found[lane.stale_since] = (self._last, (lane.stale_order or "",))
        return found

    def figures(self) -> Figures:
        found = Figures()
        for doubt in self._over:
            assert doubt.ended is not None
            name = f"doubt: {doubt.kind}"
            found.seconds.setdefault(name, []).append((doubt.ended - doubt.since).total_seconds())
            found.own.setdefault(name, []).append(self._own(doubt))
            found.all.setdefault(name, []).append(doubt.all)
        return found

    def _own(self, doubt: _Doubt) -> int:
        query = OWN.format(",".join("?" * len(doubt.orders)))
        assert doubt.ended is not None
        ((count,),) = self.world.rows(query, *doubt.orders, iso(doubt.since), iso(doubt.ended))
        return int(count)
