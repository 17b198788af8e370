"""News on its way to people: noted at once, kept in the database, carried until it is taken or given up.

    notify ▸ gathered in memory while the last write is under way ▸ outbox ▸ due ▸ courier ▸ sent, or later again

What a lane did is told by `keep_with`, in the transaction of its step: what is known to be filled or stopped has been
noted for people too, whatever dies afterwards. Everything else is told by `notify`, which only appends to a bounded
list. The rest happens in `run`, in two tasks of their own, so a service that hangs delays neither the keeping nor a
trade. A message that was taken in the moment of a crash is sent twice; one that was kept is not lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from justtrades.courier import Courier, Delivery
from justtrades.notices import Kind, Notice
from justtrades.store import notifications
from justtrades.store.notifications import LINES_KEPT, Message, News
from justtrades.store.secrets import Box, NotOpened
from justtrades.store.session import Database, NotDurable

log = logging.getLogger(__name__)

_S, _M = timedelta(seconds=1), timedelta(minutes=1)
PAUSES: Final[Mapping[str, tuple[timedelta, timedelta]]] = {
    Kind.FILL: (2 * _S, 10 * _S),
    Kind.REFUSAL: (10 * _S, 5 * _M),
    Kind.UNPROTECTED: (0 * _S, 30 * _S),
    Kind.HEARTBEAT: (0 * _S, 1 * _M),
    Kind.HALT: (0 * _S, 30 * _S),
    Kind.ALARM: (0 * _S, 1 * _M),
    Kind.SUMMARY: (0 * _S, 0 * _S),
}
"""How long news of a kind is gathered before it goes, and how long after one message the next one waits."""
FIRST_RETRY: Final = 30 * _S
LONGEST_RETRY: Final = timedelta(hours=1)
TRIES: Final = 12
"""Then it is given up: six hours after the first."""
KEPT: Final = timedelta(days=30)
_LOOK_EVERY: Final = 60.0
_TITLE: Final = 120
_BODY: Final = 400


@dataclass(slots=True)
class Outbox:
    """The `Notices` of a running engine."""

    database: Database
    box: Box
    courier: Courier
    clock: Callable[[], datetime]
    rng: random.Random = field(default_factory=random.Random)
    _listened_to: frozenset[str] = frozenset(Kind)
    """The kinds that anybody wants to hear; all of them while that is not known yet."""
    _pending: dict[str, News] = field(default_factory=dict)
    _noted: asyncio.Event = field(default_factory=asyncio.Event)
    _kept: asyncio.Event = field(default_factory=asyncio.Event)

    def notify(self, kind: Kind, title: str, body: str) -> None:
        self._note(_news(kind, title, body))

    def notify_once(self, kind: Kind, title: str, body: str) -> None:
        """Not again under the same title, also after a restart."""
        self._note(News(kind, ((title[:_TITLE], body[: 5 * _BODY]),), 1, once=True))

    def keep_with(self, connection: Connection, notices: Iterable[Notice]) -> None:
        """In a transaction of the caller's, from whatever thread; `look` once it is committed. It never fails: what
        the outbox does not take is no reason to lose the rest of the transaction."""
        news = [_news(notice.kind, notice.title, notice.body) for notice in notices if notice.kind in self._listened_to]
        if not news:
            return
        try:
            with connection.begin_nested():
                notifications.put(connection, news, self.clock(), PAUSES)
        except SQLAlchemyError:
            log.exception("news for people cannot be kept")

    def look(self) -> None:
        """Something may have been kept."""
        self._kept.set()

    def _note(self, news: News) -> None:
        if news.kind not in self._listened_to:
            return
        before = self._pending.get(news.kind)
        if before is not None:
            lines = (before.lines + news.lines)[:LINES_KEPT]
            news = replace(before, lines=lines, count=before.count + news.count)
        self._pending[news.kind] = news
        self._noted.set()

    async def refresh(self) -> None:
        """People changed whom to tell of what."""
        targets = await self.database.read(notifications.every)
        self._listened_to = frozenset(kind for kind in Kind if any(target.hears(kind) for target in targets))
        self._kept.set()

    async def run(self) -> None:
        """Until cancelled."""
        await self.refresh()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_all(), name="outbox: keeping")
            tasks.create_task(self._carry_all(), name="outbox: carrying")

    # ── keeping ──

    async def _keep_all(self) -> None:
        while True:
            await self._noted.wait()
            self._noted.clear()
            await self.keep()

    async def keep(self) -> None:
        """What was noted so far is durable when it returns; what a full database does not take yet waits."""
        taken, self._pending = self._pending, {}
        work = partial(notifications.put, news=tuple(taken.values()), now=self.clock(), pauses=PAUSES)
        while taken:
            try:
                await self.database.write(work)
                break
            except NotDurable as error:
                log.error("news for people cannot be kept yet: %s", error)
                await asyncio.sleep(1 + self.rng.random())
        self._kept.set()

    async def drain(self) -> None:
        """Before the database closes: what was noted last. Waits 2 s at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                await self.keep()

    # ── carrying ──

    async def _carry_all(self) -> None:
        while True:
            self._kept.clear()
            try:
                if not await self.carry_due():
                    await self._rest()
            except NotDurable as error:
                log.error("the outbox cannot be worked off yet: %s", error)
                await asyncio.sleep(1 + self.rng.random())

    async def carry_due(self) -> bool:
        """One due message to each place that has one; False when nothing was due."""
        now = self.clock()
        try:
            messages = await self.database.read(lambda c: notifications.due(c, self.box, now))
        except NotOpened as error:
            log.error("notifications cannot be sent: %s", error)
            messages = []
        await asyncio.gather(*(self._carry(message) for message in messages))
        return bool(messages)

    async def _carry(self, message: Message) -> None:
        title, body = text_of(message.news)
        try:
            found = await self.courier.deliver(message.url, title, body)
        except OSError as error:  # the child could not be started
            log.warning("a notification could not be carried: %s", type(error).__name__)
            found = Delivery.REFUSED
        now = self.clock()
        if found is Delivery.SENT:
            await self.database.write(lambda c: notifications.sent(c, message, now))
            return
        why, again_at = WHY[found], self._again_at(message, now)
        log.warning("notification to %s: %s%s", message.name, why, "" if again_at else "; given up")
        await self.database.write(lambda c: notifications.not_sent(c, message, why, now, again_at))

    def _again_at(self, message: Message, now: datetime) -> datetime | None:
        if message.tries + 1 >= TRIES:
            return None
        wait: timedelta = min(FIRST_RETRY * 2**message.tries, LONGEST_RETRY)
        return now + wait * (0.5 + self.rng.random() / 2)

    async def _rest(self) -> None:
        """Until the next message is due, or news was kept; a look now and then, since the clock may be set."""
        now = self.clock()
        if self._listened_to:
            await self.database.write(lambda c: notifications.forget(c, now - KEPT))
        due = await self.database.read(notifications.next_due)
        wait = _LOOK_EVERY if due is None else min(max((due - now).total_seconds(), 0.1), _LOOK_EVERY)
        try:
            async with asyncio.timeout(None if due is None else wait):
                await self._kept.wait()
        except TimeoutError:
            return


def _news(kind: Kind, title: str, body: str) -> News:
    return News(kind, ((title[:_TITLE], body[:_BODY]),), 1)


WHY: Final[Mapping[Delivery, str]] = {
    Delivery.SENT: "sent",
    Delivery.REFUSED: "the service was not reached or did not take it",
    Delivery.UNKNOWN: "no service is known by its address",
    Delivery.LATE: "the service did not answer in time",
}
_MANY: Final[Mapping[str, str]] = {
    Kind.FILL: "fills and closed trades",
    Kind.REFUSAL: "refused or blocked alerts",
    Kind.UNPROTECTED: "alarms about unprotected positions",
    Kind.HEARTBEAT: "missed heartbeats",
    Kind.HALT: "stops",
    Kind.ALARM: "alarms",
    Kind.SUMMARY: "summaries",
}


def text_of(news: News) -> tuple[str, str]:
    """Title and body as they are sent; several pieces of news are counted in the title and listed below."""
    if news.count == 1:
        title, body = news.lines[0]
        return f"justtrades: {title}", body or title
    times = Counter(f"• {title}: {body}" if body else f"• {title}" for title, body in news.lines)
    lines = [line if count == 1 else f"{line} ({count} times)" for line, count in times.items()]
    if news.count > len(news.lines):
        lines.append(f"… and {news.count - len(news.lines)} more")
    return f"justtrades: {news.count} {_MANY[news.kind]}", "\n".join(lines)
