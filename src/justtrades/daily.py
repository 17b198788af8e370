"""The day's trades, told once the trade date has ended (17:00 Chicago), and whatever keeps the engine from trading.

A day without trades is not told. The title names the day, and the outbox tells it once: also when the engine was
off at that hour, it comes with the next start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from justtrades.announce import money
from justtrades.notices import Kind, Notice, Notify
from justtrades.positions.contracts import trade_date
from justtrades.store import reads
from justtrades.store.session import Database

LOOK_EVERY: Final = 15.0
_HOUR: Final = timedelta(hours=1)


@dataclass(slots=True)
class Lookout:
    """`not_ready` as `/readyz` tells it: what stands there for two looks in a row is told, once until it is gone."""

    database: Database
    clock: Callable[[], datetime]
    not_ready: Callable[[], tuple[str, ...]]
    notify: Notify
    notify_once: Notify
    _seen: frozenset[str] = frozenset()
    _told: bool = False
    _day: date | None = field(default=None)

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY)

    async def look(self) -> None:
        self._look_at_readiness(frozenset(_subject(reason) for reason in self.not_ready()))
        today = trade_date(self.clock())
        if today != self._day:
            self._day = today
            await self._tell_day_before(today)

    def _look_at_readiness(self, reasons: frozenset[str]) -> None:
        lasting, self._seen = reasons & self._seen, reasons
        if lasting and not self._told:
            self._told = True
            self.notify(Kind.ALARM, "not ready to trade", "; ".join(sorted(lasting)))
        elif self._told and not reasons:
            self._told = False
            self.notify(Kind.ALARM, "ready again", "every connection is synced and no lane is in doubt")

    async def _tell_day_before(self, today: date) -> None:
        ended = self.clock()
        while trade_date(ended) == today:
            ended -= _HOUR
        day = trade_date(ended)
        page = await self.database.read(lambda c: reads.list_trades(c, status="closed", limit=reads.MOST))
        trades = [row for row in page.items if row["closed_at"] and trade_date(row["closed_at"]) == day]
        if trades:
            told = summary(day, trades)
            self.notify_once(told.kind, told.title, told.body)


def _subject(reason: str) -> str:
    """A reason without its seconds, which change from look to look."""
    return reason.partition(" for ")[0]


def summary(day: date, trades: Sequence[Any]) -> Notice:
    """One day's trades in two or more lines: the sum, then each contract."""
    made = sum((row["pnl"] or Decimal(0) for row in trades), Decimal(0))
    fees = sum((row["fees"] or Decimal(0) for row in trades), Decimal(0))
    won = sum((row["pnl"] or 0) > 0 for row in trades)
    lines = [f"{won} won, {len(trades) - won} not; fees {fees:.2f} USD"]
    for contract in sorted({row["contract"] for row in trades}):
        own = [row["pnl"] or Decimal(0) for row in trades if row["contract"] == contract]
        lines.append(f"{contract}: {len(own)} for {money(sum(own, Decimal(0)))}")
    count = "1 trade" if len(trades) == 1 else f"{len(trades)} trades"
    return Notice(Kind.SUMMARY, f"{day.isoformat()}: {count}, {money(made)}", "\n".join(lines))
