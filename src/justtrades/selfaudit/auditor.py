"""The running engine asks itself, soon after its start and every few minutes, whether its books are as they must be.

It reads beside the engine, in a thread and on a connection of its own, and it changes and stops nothing. What it finds
is told once: in the log, to people, in `GET /api/v1/status` and in the metrics for as long as it stands. What one
snapshot cannot tell for certain must stand in two audits running. When the audit itself goes wrong, that is told too,
and the engine goes on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from justtrades.notices import Kind, Notify, silent
from justtrades.positions.limits import Limits

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from justtrades.selfaudit.checks import Finding, Memory
    from justtrades.selfaudit.replay import Replay
    from justtrades.selfaudit.rows import Rows

log = logging.getLogger(__name__)

FIRST_AFTER: Final = 20.0
"""Seconds from readiness to the first audit: a start has better things to do."""
LATELY: Final = timedelta(days=1)
TOLD_AT_ONCE: Final = 20
REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Standing:
    """A finding that was told and still stands; `since` it was told."""

    invariant: str
    text: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Report:
    """The last audit: when it ended, how long it took, how many checks it made. `error`: why the last try failed."""

    at: datetime | None = None
    took_ms: float | None = None
    checks: int = 0
    findings: tuple[Standing, ...] = ()
    error: str | None = None


Examine = Callable[[], "tuple[Sequence[Finding], int]"]
"""One audit, in a thread of its own: what was found, and how many checks were made."""


@dataclass(slots=True)
class Examiner:
    """The young rows of the database at `url`, by all checks, and what happened since the last audit played once more.

    What it needs is loaded with the first audit, for a start has no use for it.
    """

    url: str
    clock: Callable[[], datetime]
    limits: Limits = field(default_factory=Limits)
    _memory: Memory | None = None
    _replay: Replay | None = None
    _began: datetime = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.clock()

    def __call__(self) -> tuple[list[Finding], int]:
        from justtrades.selfaudit import checks, replay
        from justtrades.store import apart

        self._memory = memory = self._memory or checks.Memory()
        self._replay = played = self._replay or replay.Replay(self.limits)
        rows, since = apart.look(self.url, lambda c: (self._rows(c), played.read(c)))
        found = [*checks.check(rows), *memory.changed(rows)]
        found += [checks.Finding("I16", told) for told in played.differs(since, rows.states)]
        return found, len(checks.CHECKS) + 2

    def _rows(self, connection: Connection) -> Rows:
        from justtrades.selfaudit.rows import read

        now = self.clock()
        return read(connection, now, now - LATELY, running_since=self._began)


@dataclass(slots=True)
class SelfAudit:
    """`every` is in seconds. `look` makes one audit; `run` makes them until cancelled."""

    examine: Examine
    every: float
    clock: Callable[[], datetime]
    notify: Notify = silent
    report: Report = Report()
    _before: frozenset[Finding] = frozenset()
    _told: dict[Finding, datetime] = field(default_factory=dict)

    async def run(self) -> None:
        await asyncio.sleep(min(FIRST_AFTER, self.every))
        while True:
            await self.look()
            await asyncio.sleep(self.every)

    async def look(self) -> None:
        began = time.monotonic()
        try:
            found, checks = await asyncio.to_thread(self._examined)
        except Exception as error:  # noqa: BLE001,RUF100 - an audit changes nothing, so its end must not be the engine's
            log.exception("the audit of the books failed")
            last = self.report
            told = f"{type(error).__name__}: {error}".splitlines()[0]
            self.report = Report(last.at, last.took_ms, last.checks, last.findings, told)
            return
        took = (time.monotonic() - began) * 1000
        self.report = Report(self.clock(), took, checks, self._heard(found))

    def _examined(self) -> tuple[Sequence[Finding], int]:
        try:
            return self.examine()
        except StopIteration as error:  # no future takes it: whoever waits for the thread would wait for ever
            raise RuntimeError("something looked for was not there") from error

    def _heard(self, found: Sequence[Finding]) -> tuple[Standing, ...]:
        """Those that are certain by now; each is told when it is heard of first."""
        certain = [finding for finding in found if finding.certain or finding in self._before]
        self._before = frozenset(found)
        self._tell([finding for finding in certain if finding not in self._told])
        while len(self._told) > REMEMBERED:
            del self._told[next(iter(self._told))]
        return tuple(Standing(f.invariant, f.text, self._told[f]) for f in certain if f in self._told)

    def _tell(self, news: Iterable[Finding]) -> None:
        now = self.clock()
        for number, finding in enumerate(news):
            self._told[finding] = now
            log.error("the audit of the books found: %s", finding)
            if number < TOLD_AT_ONCE:
                self.notify(Kind.ALARM, f"the audit of the books found something ({finding.invariant})", finding.text)


__all__ = ["Examiner", "Report", "SelfAudit", "Standing"]
