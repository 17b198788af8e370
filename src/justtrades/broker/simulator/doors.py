"""Whether anybody is at home: maintenance, on the calendar or as a rehearsal, and the turn of the session.

While the doors are shut every call is answered 503, and a socket hears `shutdown` with the reason Maintenance
before it is closed. The windows are official (protocol.md section 4); that REST is gone too is a guess. A new
session begins with the trade date, at 17:00 Chicago; the ledger's cash rows tell which one was the last, so a
simulator that was off in the meantime catches up when it starts. Neither happens unless the paper keeps
exchange hours; by default it is always open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from justtrades.broker.simulator.book import Book
from justtrades.broker.simulator.documents import trade_date
from justtrades.broker.simulator.floor import Clock, Floor
from justtrades.positions.contracts import in_maintenance

Announce = Callable[[str], None]


class Doors:
    """`by_calendar`: they are shut in the broker's maintenance windows too."""

    def __init__(self, clock: Clock, *, by_calendar: bool = False) -> None:
        self._clock = clock
        self._by_calendar = by_calendar
        self._until: datetime | None = None

    def shut(self, seconds: float) -> None:
        """Maintenance for so long, from now."""
        self._until = self._clock() + timedelta(seconds=seconds)

    def open(self) -> None:
        """End a rehearsed maintenance; the calendar's stays."""
        self._until = None

    @property
    def are_shut(self) -> bool:
        now = self._clock()
        return (self._until is not None and now < self._until) or (self._by_calendar and in_maintenance(now))


def session_over(book: Book, now: datetime) -> bool:
    """Whether some account's day is still an earlier trade date's."""
    today = trade_date(now)
    return any(cash["tradeDate"] != today for cash in book.cash.values())


class Hours:
    """Turns the sessions and announces maintenance, as often as it is asked to look at the clock."""

    def __init__(self, floor: Floor, doors: Doors, announce: Announce) -> None:
        self._floor = floor
        self._doors = doors
        self._announce = announce
        self._were_shut = doors.are_shut

    async def look(self) -> None:
        await turn_session(self._floor)
        shut, self._were_shut = self._were_shut, self._doors.are_shut
        if self._were_shut and not shut:
            self._announce("Maintenance")

    async def keep(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(1)


async def turn_session(floor: Floor) -> None:
    """Begin the new session if the trade date says so."""
    if session_over(floor.venue.book, floor.clock()):
        outcome = await floor.act(lambda venue, now: venue.roll(now))
        floor.tell(outcome.frames)
