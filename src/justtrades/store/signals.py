"""Signals: accepted once and durably, refused ones kept for people, unfinished ones found again at start.

A repeat is recognised inside the transaction that would add the signal, under the one writer, so two copies of
an alert arriving together cannot both be new. An alert with an id or time of its own is a repeat whenever the
same comes again; one without is a repeat only when the same bytes come within a few seconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, bindparam, func, literal_column, select

from justtrades.positions.model import AccountId, Outcome, RecorderId, SignalId
from justtrades.store import outcomes
from justtrades.store.dialects import insert_or_ignore
from justtrades.store.ids import floor
from justtrades.store.outcomes import Finished, begin_route, finish_route, finish_signal, note
from justtrades.store.quick import Quick
from justtrades.store.tables import REFUSED, UNFINISHED, signal_notes, signal_routes, signals

__all__ = [
    "Accepted",
    "Finished",
    "NewRoute",
    "NewSignal",
    "Refusal",
    "Unfinished",
    "UnfinishedRoute",
    "accept",
    "begin_route",
    "content_hash",
    "finish_route",
    "finish_signal",
    "note",
    "refuse",
    "unfinished",
]

REFUSED_KEPT: Final = 1_000
REPEATED: Final = "rule repeat: said no to the same alert, which came again (it trades nothing)"
REPEATS_TOLD: Final = 5


@dataclass(frozen=True, slots=True)
class NewRoute:
    """One account a signal is for. With an `outcome` it is over before any lane was asked."""

    account_id: AccountId
    contract: str = ""
    """Empty until a lane takes the signal on, unless it is meant for one contract only."""
    outcome: Outcome | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class NewSignal:
    """A signal to be accepted. `raw` is the alert's body, with any secret in it already removed by the caller.

    `content_hash` is over the body as it came. `repeat_key` holds the alert's own id or time; None if it has
    none, and then `duplicate_seconds` counts. `outcome` ends a signal that has no routes.
    """

    id: SignalId
    received_at: datetime
    source: str
    content_hash: str
    raw: bytes = b""
    recorder_id: RecorderId | None = None
    repeat_key: str | None = None
    duplicate_seconds: int = 0
    expires_at: datetime | None = None
    dialect: str | None = None
    verb: str | None = None
    ticker: str | None = None
    reading_json: str | None = None
    recorder_json: str | None = None
    routes: tuple[NewRoute, ...] = ()
    outcome: Outcome | None = None
    reason: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Accepted:
    """`signal_id` is the first one's when this was a repeat. `finished`: it was over at once."""

    signal_id: SignalId
    duplicate: bool
    finished: Finished | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """An alert of a known token that is not an order; `text` is its body, redacted."""

    id: SignalId
    recorder_id: RecorderId
    received_at: datetime
    source: str
    reason: str
    text: str
    dialect: str | None = None


@dataclass(frozen=True, slots=True)
class UnfinishedRoute:
    account_id: AccountId
    contract: str
    status: str


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A signal without an outcome, with the rules it was accepted under and its routes that are still open."""

    signal_id: SignalId
    recorder_id: RecorderId | None
    received_at: datetime
    expires_at: datetime | None
    source: str
    verb: str | None
    reading_json: str | None
    recorder_json: str | None
    routes: tuple[UnfinishedRoute, ...]


_S = signals.c
_R = signal_routes.c
_add_signal: Final = insert_or_ignore(signals)
_add_routes: Final = Quick(signal_routes.insert())
_first: Final = select(_S.id).where((_S.recorder_id == bindparam("recorder")) & (_S.repeat_key == bindparam("key")))
# Ids rise with time, so "in the last few seconds" is a condition on the id, which the index holds.
_recent: Final = Quick(
    select(_S.id)
    .where(
        (_S.recorder_id == bindparam("recorder"))
        & (_S.id >= bindparam("since"))
        & (_S.content_hash == bindparam("content"))
        & _S.repeat_key.is_(None)
        & (_S.status != "refused")
    )
    .order_by(_S.id.desc())
    .limit(1)
)
# Partial indexes are used only for conditions written out as they are in the index.
_refused_of: Final = (
    select(_S.id)
    .where((_S.recorder_id == bindparam("recorder")) & literal_column(REFUSED))
    .order_by(_S.id.desc())
    .limit(1)
    .offset(bindparam("keep"))
)
_forget_refused: Final = signals.delete().where(
    (_S.recorder_id == bindparam("recorder")) & literal_column(REFUSED) & (_S.id <= bindparam("oldest"))
)
_repeats: Final = select(func.count()).where(
    (signal_notes.c.signal_id == bindparam("signal")) & (signal_notes.c.text == bindparam("text"))
)
_unfinished: Final = select(signals).where(literal_column(UNFINISHED)).order_by(_S.id)
# Asked for by the few unfinished signals: left to choose, SQLite would walk all routes there ever were.
_open_routes: Final = (
    select(signal_routes)
    .where(_R.signal_id.in_(select(_S.id).where(literal_column(UNFINISHED))) & _R.outcome.is_(None))
    .order_by(_R.signal_id, _R.account_id, _R.contract)
)


def content_hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def accept(connection: Connection, new: NewSignal) -> Accepted:
    """Add the signal and its routes, or say which earlier signal it repeats."""
    if new.recorder_id is not None and new.repeat_key is None and new.duplicate_seconds > 0:
        earlier = _same_bytes_just_now(connection, new)
        if earlier is not None:
            return _repeated(connection, earlier, new.received_at)
    key = _repeat_key(new)
    if not _add_signal.run(connection, _signal_row(new, key)):
        first = connection.execute(_first, {"recorder": new.recorder_id, "key": key}).scalar_one()
        return _repeated(connection, SignalId(first), new.received_at)
    return Accepted(new.id, duplicate=False, finished=_add_rest(connection, new))


def earlier(connection: Connection, recorder_id: str, contents: Iterable[str], repeat_key: str) -> SignalId | None:
    """The signal that an alert with this id or time and one of these content hashes would repeat."""
    for content in contents:
        key = _key_of(content, repeat_key)
        found = connection.execute(_first, {"recorder": recorder_id, "key": key}).scalar_one_or_none()
        if found is not None:
            return SignalId(found)
    return None


def _repeated(connection: Connection, first: SignalId, at: datetime) -> Accepted:
    """The receipt of the first tells of its repeats, of the first few of them."""
    told = connection.execute(_repeats, {"signal": first, "text": REPEATED}).scalar_one()
    if told < REPEATS_TOLD:
        note(connection, first, "", "", at, [REPEATED])
    return Accepted(first, duplicate=True)


def refuse(connection: Connection, refusal: Refusal, keep: int = REFUSED_KEPT) -> None:
    """Keep a refused alert, and only the last `keep` of its recorder."""
    _add_signal.run(connection, _refused_row(refusal))
    of_recorder = {"recorder": refusal.recorder_id}
    oldest = connection.execute(_refused_of, {**of_recorder, "keep": keep}).scalar_one_or_none()
    if oldest is not None:
        connection.execute(_forget_refused, {**of_recorder, "oldest": oldest})


def unfinished(connection: Connection) -> list[Unfinished]:
    """Signals without an outcome, in the order they were accepted."""
    routes: dict[str, list[UnfinishedRoute]] = {}
    for row in connection.execute(_open_routes):
        routes.setdefault(row.signal_id, []).append(UnfinishedRoute(row.account_id, row.contract, row.status))
    return [
        Unfinished(
            row.id,
            row.recorder_id,
            row.received_at,
            row.expires_at,
            row.source,
            row.verb,
            row.reading_json,
            row.recorder_json,
            tuple(routes.get(row.id, ())),
        )
        for row in connection.execute(_unfinished)
    ]


def _same_bytes_just_now(connection: Connection, new: NewSignal) -> SignalId | None:
    since = floor(new.received_at - timedelta(seconds=new.duplicate_seconds))
    values = {"recorder": new.recorder_id, "since": since, "content": new.content_hash}
    return next((SignalId(found) for (found,) in _recent.rows(connection, values)), None)


def _repeat_key(new: NewSignal) -> str | None:
    """The alert's own id or time together with its content; a person's act never is a repeat."""
    if new.repeat_key is None or new.recorder_id is None:
        return None
    return _key_of(new.content_hash, new.repeat_key)


def _key_of(content: str, repeat_key: str) -> str:
    return hashlib.sha256(f"{content}\n{repeat_key}".encode("utf-8", "surrogatepass")).hexdigest()


def _add_rest(connection: Connection, new: NewSignal) -> Finished | None:
    if new.notes:
        note(connection, new.id, "", "", new.received_at, new.notes)
    if not new.routes:
        outcome, reason = new.outcome or Outcome.NO_ACTION, new.reason or "no account is routed"
        return finish_signal(connection, new.id, outcome, reason, new.received_at)
    _add_routes.run_all(connection, [_route_row(new, route) for route in new.routes])
    if any(route.outcome is None for route in new.routes):
        return None
    return outcomes.finish_if_done(connection, new.id, new.received_at)


def _signal_row(new: NewSignal, key: str | None) -> dict[str, object]:
    return {
        "id": new.id,
        "recorder_id": new.recorder_id,
        "received_at": new.received_at,
        "expires_at": new.expires_at,
        "source": new.source,
        "dialect": new.dialect,
        "verb": new.verb,
        "ticker": new.ticker,
        "status": "accepted",
        "outcome": None,
        "reason": None,
        "finished_at": None,
        "repeat_key": key,
        "content_hash": new.content_hash,
        "raw": new.raw,
        "reading_json": new.reading_json,
        "recorder_json": new.recorder_json,
    }


def _route_row(new: NewSignal, route: NewRoute) -> dict[str, object]:
    over = route.outcome is not None
    return {
        "signal_id": new.id,
        "account_id": route.account_id,
        "contract": route.contract,
        "status": "done" if over else "accepted",
        "outcome": route.outcome,
        "reason": route.reason,
        "finished_at": new.received_at if over else None,
    }


def _refused_row(refusal: Refusal) -> dict[str, object]:
    body = refusal.text.encode("utf-8", "replace")
    new = NewSignal(
        refusal.id,
        refusal.received_at,
        refusal.source,
        content_hash(body),
        body,
        refusal.recorder_id,
        dialect=refusal.dialect,
    )
    return {**_signal_row(new, None), "status": "refused", "reason": refusal.reason}
