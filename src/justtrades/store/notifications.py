"""Whom to tell and what is still to be told: places people named, and an outbox that outlives the process.

A place is one URL of a service (Discord, mail, …); it holds a password or token, so it is sealed and bound to its
row. In the outbox there is at most one waiting message for each place and kind: news that comes while one waits
joins it, and the next one waits until some quiet has passed, so a storm of refusals is one message.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, func, or_, select

from justtrades.store.secrets import Box
from justtrades.store.tables import notification_targets, outbox

WAITING: Final = "waiting"
SENT: Final = "sent"
FAILED: Final = "failed"
LINES_KEPT: Final = 10
"""How many pieces of news of one message are spelt out; the others are counted."""

_T, _O = notification_targets.c, outbox.c
_seen: Final = select(
    _T.id, _T.name, _T.service, _T.kinds, _T.enabled, _T.created_at, _T.last_sent_at, _T.last_error, _T.last_error_at
)


@dataclass(frozen=True, slots=True)
class TargetRow:
    """A place without its URL. `kinds` empty: it hears everything."""

    id: str
    name: str
    service: str
    kinds: tuple[str, ...]
    enabled: bool
    created_at: datetime
    last_sent_at: datetime | None = None
    last_error: str | None = None
    last_error_at: datetime | None = None

    def hears(self, kind: str) -> bool:
        return self.enabled and (not self.kinds or kind in self.kinds)


@dataclass(frozen=True, slots=True)
class News:
    """Some news of one kind: the first few, and how many there were. `once`: not if the same title was there."""

    kind: str
    lines: tuple[tuple[str, str], ...]
    count: int
    once: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """A message that is due, with the URL to send it to. `tries` failed so far."""

    number: int
    target_id: str
    name: str
    news: News
    created_at: datetime
    tries: int
    url: str = field(repr=False)


class NameTaken(Exception):
    """Another place has this name."""


# ── places ───────────────────────────────────────────────────────────────────────────────────────────────────


def add(connection: Connection, box: Box, new: TargetRow, url: str) -> None:
    """Raises `NameTaken`."""
    if connection.execute(select(_T.id).where(_T.name == new.name)).first() is not None:
        raise NameTaken
    row = {
        "id": new.id,
        "name": new.name,
        "service": new.service,
        "kinds": ",".join(new.kinds),
        "enabled": new.enabled,
        "created_at": new.created_at,
        "url": box.seal(url, about(new.id)),
    }
    connection.execute(notification_targets.insert(), row)


def every(connection: Connection) -> list[TargetRow]:
    """All places, the newest first."""
    return [_target(row) for row in connection.execute(_seen.order_by(_T.id.desc()))]


def find(connection: Connection, id_or_name: str) -> TargetRow | None:
    row = connection.execute(_seen.where((_T.id == id_or_name) | (_T.name == id_or_name))).first()
    return _target(row) if row is not None else None


def url_of(connection: Connection, box: Box, target_id: str) -> str:
    """Raises `NotOpened`."""
    sealed = connection.execute(select(_T.url).where(_T.id == target_id)).scalar_one()
    return box.open(sealed, about(target_id))


def remove(connection: Connection, target_id: str) -> None:
    """The place and whatever still waits for it."""
    connection.execute(outbox.delete().where(_O.target_id == target_id))
    connection.execute(notification_targets.delete().where(_T.id == target_id))


def waiting_by_target(connection: Connection) -> dict[str, int]:
    found = select(_O.target_id, func.count()).where(_O.status == WAITING).group_by(_O.target_id)
    return {row[0]: row[1] for row in connection.execute(found)}


def about(target_id: str) -> str:
    """What a sealed URL is bound to."""
    return f"notification_targets:{target_id}:url"


# ── the outbox ───────────────────────────────────────────────────────────────────────────────────────────────


def put(
    connection: Connection, news: Iterable[News], now: datetime, pauses: Mapping[str, tuple[timedelta, timedelta]]
) -> None:
    """Into the outbox of every place that hears it. `pauses` by kind: how long news is gathered before it goes,
    and how long after one message the next one waits."""
    targets = every(connection)
    for one in news:
        gather, quiet = pauses[one.kind]
        for target in targets:
            if target.hears(one.kind):
                _put(connection, target.id, one, now, gather, quiet)


def _put(
    connection: Connection, target_id: str, news: News, now: datetime, gather: timedelta, quiet: timedelta
) -> None:
    alike = (_O.target_id == target_id) & (_O.kind == news.kind)
    if news.once and connection.execute(select(_O.number).where(alike & (_O.title == news.lines[0][0]))).first():
        return
    waiting = connection.execute(select(outbox).where(alike & (_O.status == WAITING))).first()
    if waiting is not None:
        joined = _joined(_news(waiting), news)
        values = {"lines_json": json.dumps(joined.lines), "count": joined.count}
        connection.execute(outbox.update().where(_O.number == waiting.number).values(**values))
        return
    told = select(func.max(_O.ended_at)).where(alike & (_O.status == SENT))
    last: datetime | None = connection.execute(told).scalar()
    due = max(now + gather, last + quiet if last is not None else now)
    row = {
        "target_id": target_id,
        "kind": news.kind,
        "title": news.lines[0][0],
        "lines_json": json.dumps(news.lines[:LINES_KEPT]),
        "count": news.count,
        "status": WAITING,
        "tries": 0,
        "created_at": now,
        "due_at": due,
    }
    connection.execute(outbox.insert(), row)


def due(connection: Connection, box: Box, now: datetime) -> list[Message]:
    """One message for each place that has any due, the oldest first. Raises `NotOpened`."""
    found = (
        select(outbox, _T.name, _T.url)
        .join(notification_targets, _T.id == _O.target_id)
        .where((_O.status == WAITING) & (_O.due_at <= now) & _T.enabled.is_(True))
        .order_by(_O.due_at, _O.number)
    )
    first: dict[str, Message] = {}
    for row in connection.execute(found):
        if row.target_id not in first:
            url = box.open(row.url, about(row.target_id))
            first[row.target_id] = Message(
                row.number, row.target_id, row.name, _news(row), row.created_at, row.tries, url
            )
    return list(first.values())


def next_due(connection: Connection) -> datetime | None:
    """When the next message is due; None when none waits."""
    waiting = select(func.min(_O.due_at)).join(notification_targets, _T.id == _O.target_id)
    found: datetime | None = connection.execute(waiting.where((_O.status == WAITING) & _T.enabled.is_(True))).scalar()
    return found


def sent(connection: Connection, message: Message, now: datetime) -> None:
    """It was taken. What joined it while it was on its way stays waiting, without what was told."""
    connection.execute(
        notification_targets.update().where(_T.id == message.target_id).values(last_sent_at=now, last_error=None)
    )
    row = connection.execute(select(outbox).where(_O.number == message.number)).first()
    if row is None:
        return
    late = _rest(_news(row), message.news)
    connection.execute(outbox.update().where(_O.number == row.number).values(status=SENT, ended_at=now))
    if late is not None:
        _put(connection, message.target_id, late, now, timedelta(0), timedelta(minutes=1))


def not_sent(connection: Connection, message: Message, why: str, now: datetime, again_at: datetime | None) -> None:
    """It was not taken; tried again then, or never."""
    connection.execute(
        notification_targets.update().where(_T.id == message.target_id).values(last_error=why, last_error_at=now)
    )
    values: dict[str, Any] = {"tries": message.tries + 1}
    values |= {"status": FAILED, "ended_at": now} if again_at is None else {"due_at": again_at}
    connection.execute(outbox.update().where(_O.number == message.number).values(**values))


def forget(connection: Connection, before: datetime) -> None:
    """Messages that ended before this moment."""
    connection.execute(outbox.delete().where(and_(or_(_O.status == SENT, _O.status == FAILED), _O.ended_at < before)))


# ── leaves ───────────────────────────────────────────────────────────────────────────────────────────────────


def _target(row: Row[*tuple[Any, ...]]) -> TargetRow:
    values = dict(row._mapping)
    return TargetRow(**{**values, "kinds": tuple(kind for kind in row.kinds.split(",") if kind)})


def _news(row: Row[*tuple[Any, ...]]) -> News:
    lines = tuple((str(title), str(body)) for title, body in json.loads(row.lines_json))
    count: int = row._mapping["count"]  # a row has a method of that name
    return News(row.kind, lines, count)


def _joined(before: News, more: News) -> News:
    return News(before.kind, (before.lines + more.lines)[:LINES_KEPT], before.count + more.count)


def _rest(all_of_it: News, told: News) -> News | None:
    count = all_of_it.count - told.count
    if count <= 0:
        return None
    lines = all_of_it.lines[len(told.lines) :] or all_of_it.lines[-1:]
    return News(all_of_it.kind, lines, count)
