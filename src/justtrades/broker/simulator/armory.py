"""All misbehaviour in one place: armed by hand or by a plan, shown, and taken back.

A fault waits for its call (`counter`), a manner holds until it is cleared, a blow falls at once (`blows`), and a
mixture strikes by chance from its seed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from justtrades.broker.simulator import calls
from justtrades.broker.simulator.blows import Blows
from justtrades.broker.simulator.counter import Counter
from justtrades.broker.simulator.delivery import Manners
from justtrades.broker.simulator.doors import Doors
from justtrades.broker.simulator.faults import Blow, Manner, parse_fault
from justtrades.broker.simulator.mixture import Mixture
from justtrades.broker.simulator.sockets import Sockets, behave


class Armory:
    def __init__(self, counter: Counter, sockets: Sockets, doors: Doors) -> None:
        self._counter = counter
        self._floor = counter.floor
        self._sockets = sockets
        self._doors = doors
        self._blows = Blows(counter, sockets, doors)
        self._plans: asyncio.Queue[Mixture] = asyncio.Queue()

    async def arm(self, body: Mapping[str, Any]) -> None:
        """`{fault, endpoint?, nth?, times?, when?}`; ValueError for a fault that does not exist."""
        text = calls.word(body, "fault")
        name, _, rest = text.partition(":")
        if name in set(Blow):
            await self._blows.strike(Blow(name), rest)
        elif name in set(Manner):
            self._behave(Manner(name), rest)
        else:
            self._counter.faults.arm(parse_fault(body))

    def _behave(self, manner: Manner, rest: str) -> None:
        changed = behave(self._sockets.manners, manner, rest)
        if changed is not None:
            self._sockets.manners = changed
            return
        sync = self._counter.operations.sync
        match manner:
            case Manner.VISIBILITY_LAG:
                self._floor.history.lag = timedelta(seconds=float(rest))
            case Manner.EVENTS_FIRST:
                self._floor.events_first = True
            case Manner.OMIT_EMPTY:
                sync.omit_empty = True
            case Manner.BARE_SYNC:
                sync.bare = True
            case _:
                raise AssertionError(f"{manner} is a manner of events")

    @property
    def armed(self) -> dict[str, object]:
        sync = self._counter.operations.sync
        return {
            "faults": [asdict(fault) for fault in self._counter.faults.armed],
            "manners": {
                **asdict(self._sockets.manners),
                "events_first": self._floor.events_first,
                "omit_empty": sync.omit_empty,
                "bare_sync": sync.bare,
                "visibility_lag": self._floor.history.lag.total_seconds(),
            },
        }

    def clear(self) -> None:
        """Everything behaves again: faults, manners, the mixture, and a rehearsed maintenance. Accounts and
        orders stay as the faults have left them."""
        self._counter.faults.clear()
        self._counter.mixture = Mixture()
        self.follow(Mixture())
        self._sockets.manners = Manners()
        self._floor.events_first = False
        self._counter.operations.sync.omit_empty = self._counter.operations.sync.bare = False
        self._floor.history.lag = timedelta(0)
        self._doors.open()

    # ── by chance ────────────────────────────────────────────────────────────────────────────────────────

    def follow(self, mixture: Mixture) -> None:
        """Another plan's turn."""
        self._plans.put_nowait(mixture)

    async def run(self, mixture: Mixture) -> None:
        """Carry out a plan, and then whichever is to be followed, for as long as the simulator lives."""
        while True:
            mixture = await self._until_next(mixture)

    async def _until_next(self, mixture: Mixture) -> Mixture:
        """What is certain strikes now, blows at their moments, the rest when calls come."""
        self._counter.mixture = mixture
        for item in mixture.certain:
            await self.arm(item.body)
        start = asyncio.get_running_loop().time()
        for at, item in mixture.moments():
            try:
                async with asyncio.timeout_at(start + at):
                    return await self._plans.get()
            except TimeoutError:
                await self.arm(item.body)
        return await self._plans.get()
