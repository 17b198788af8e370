"""Is every recorder still heard of? Grey, green or red, by its heartbeats alone.

A recorder that never sent one, or whose period nobody named, is grey. One period may be late by half of another;
then the recorder is red, which is well within two periods of silence, and a person is told once. The next heartbeat
makes it green again, and that is told too. `heartbeat_seconds` of the recorder counts before the period in the alert.
Being red stops nothing: the engine is ready all the same, and alerts that do come are traded.

What was heard outlives a restart. The time while the engine was down counts as silence, because it was.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial

from justtrades.notices import Kind, Notify, silent
from justtrades.positions.model import RecorderId
from justtrades.positions.recorder import Recorder
from justtrades.store import watch as kept
from justtrades.store.session import Database, NotDurable
from justtrades.store.watch import Beat

log = logging.getLogger(__name__)

LATE = 1.5
"""Periods of silence after which a recorder is red."""


class Colour(StrEnum):
    GREY = "grey"
    GREEN = "green"
    RED = "red"


@dataclass(frozen=True, slots=True)
class Seen:
    """One recorder at one moment. `red_at`: when it became, or will become, red."""

    colour: Colour
    heard_at: datetime | None = None
    period_seconds: int | None = None
    red_at: datetime | None = None


def seen(recorder: Recorder, beat: Beat | None, now: datetime) -> Seen:
    """What a recorder's last heartbeat says of it now. A disabled one is not watched."""
    if beat is None:
        return Seen(Colour.GREY, period_seconds=recorder.heartbeat_seconds)
    period = recorder.heartbeat_seconds or beat.period_seconds
    if period is None or not recorder.enabled:
        return Seen(Colour.GREY, beat.heard_at, period)
    red_at = beat.heard_at + timedelta(seconds=LATE * period)
    return Seen(Colour.RED if now >= red_at else Colour.GREEN, beat.heard_at, period, red_at)


@dataclass(slots=True)
class Watch:
    """`run` is the one that tells; without it states are still right whenever somebody asks."""

    database: Database
    clock: Callable[[], datetime]
    notify: Notify = silent
    _recorders: dict[RecorderId, Recorder] = field(default_factory=dict)
    _beats: dict[RecorderId, Beat] = field(default_factory=dict)
    _loaded: bool = False
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def load(self) -> None:
        """What was heard before the start; once."""
        if not self._loaded:
            old = await self.database.read(kept.beats)
            self._beats = {beat.recorder_id: beat for beat in old} | self._beats
            self._loaded = True

    def know(self, recorders: Iterable[Recorder]) -> None:
        """These are the recorders now, with their rules."""
        self._recorders = {one.id: one for one in recorders}
        self._changed.set()

    def heard(self, recorder: Recorder, period_seconds: int | None, at: datetime) -> None:
        """A heartbeat came. Saved soon; never waits."""
        before = self._beats.get(recorder.id)
        period = period_seconds or (before.period_seconds if before else None)
        beat = Beat(recorder.id, at, period)
        self._keep(beat)
        if before is not None and before.told_at is not None:
            silence = (at - before.heard_at).total_seconds()
            self.notify(Kind.HEARTBEAT, f"{recorder.name}: heard again", f"after {silence:.0f} s of silence")
        self._changed.set()

    def of(self, recorder: Recorder) -> Seen:
        return seen(recorder, self._beats.get(recorder.id), self.clock())

    def silent(self) -> int:
        """How many recorders are red."""
        return sum(self.of(one).colour is Colour.RED for one in self._recorders.values())

    async def run(self) -> None:
        """Until cancelled: tells of each silence once, when it has lasted too long."""
        await self.load()
        while True:
            self._changed.clear()
            self._tell_silences()
            try:
                async with asyncio.timeout(self._until_next()):
                    await self._changed.wait()
            except TimeoutError:
                continue

    # ── leaves ──

    def _tell_silences(self) -> None:
        now = self.clock()
        for recorder in self._recorders.values():
            beat, is_now = self._beats.get(recorder.id), self.of(recorder)
            if beat is None or is_now.colour is not Colour.RED or beat.told_at is not None:
                continue
            self._keep(replace(beat, told_at=now))
            silence = (now - beat.heard_at).total_seconds()
            text = f"nothing for {silence:.0f} s, expected every {is_now.period_seconds} s: is its alert still on?"
            self.notify(Kind.HEARTBEAT, f"{recorder.name}: no heartbeat", text)

    def _until_next(self) -> float | None:
        """Seconds to the next moment at which somebody may turn red; None when nobody can."""
        now, waiting = self.clock(), [self.of(one) for one in self._recorders.values()]
        due = [one.red_at for one in waiting if one.colour is Colour.GREEN and one.red_at is not None]
        return max((min(due) - now).total_seconds(), 0.0) + 0.001 if due else None

    def _keep(self, beat: Beat) -> None:
        self._beats[beat.recorder_id] = beat
        try:
            self.database.post(partial(kept.keep_beat, beat=beat))
        except NotDurable as error:  # the next one tells it; nobody who watches or is heard may end of it
            log.warning("a heartbeat was not kept: %s", error)


__all__ = ["Colour", "Seen", "Watch", "seen"]
