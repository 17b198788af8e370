"""The audit: a row before every broker mutation, and one for every answer and event, without their secrets.

A mutation's row is written with the step that decided it (or by `before`), and completed by `after`. What comes
in `after` is gathered and written in batches nobody waits for; a batch that the database refused is tried again
with the next, up to a limit, and what is lost beyond it is counted and said. So is a row that no database would
take: its batch is written row by row, and it alone is missing.

A read whose answer is the same as last time keeps only the answer's hash: polling for truth every few seconds
would otherwise be most of the database. The adapter redacts; here the well-known keys are dropped again, and a
huge body is cut, so that a mistake there is not kept for months.

The types of `broker.port` are met in shape only: store and broker do not import each other.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final, Protocol

from sqlalchemy import Connection, bindparam, delete, func, select

from justtrades.store.dialects import Upsert
from justtrades.store.ids import floor
from justtrades.store.session import Database, NotDurable
from justtrades.store.tables import audit

log = logging.getLogger(__name__)

BODY_LIMIT: Final = 64 * 1024
BUFFER_LIMIT: Final = 20_000
BATCH: Final = 500
READS_REMEMBERED: Final = 200
PRUNE_CHUNK: Final = 5_000

_SECRET_KEYS: Final = (
    r"password|passwd|sec|secret|client_?secret|cid|device_?id|access_?token|md_?access_?token|refresh_?token|token"
    r"|p-ticket|p-captcha-response|api_?key|authorization|code"
)
_SECRET_IN_JSON: Final = re.compile(rf'("(?:{_SECRET_KEYS})"\s*:\s*)("(?:[^"\\]|\\.)*"?|-?[\d.eE+-]+)', re.IGNORECASE)
_SECRET_IN_FORM: Final = re.compile(rf"((?:^|[?&])(?:{_SECRET_KEYS})=)[^&\s]+", re.IGNORECASE)
_BEARER: Final = re.compile(r"\b(Bearer\s+)[\w.~+/=-]+", re.IGNORECASE)
_HINTS: Final = ("pass", "sec", "cid", "device", "token", "p-", "api", "auth", "code", "bearer")
"""One of these stands in every text with a secret key or a bearer token."""


class Exchanged(Protocol):
    """The shape of `broker.port.Exchange`."""

    @property
    def id(self) -> Any: ...
    @property
    def at(self) -> datetime: ...
    @property
    def method(self) -> str: ...
    @property
    def endpoint(self) -> str: ...
    @property
    def request(self) -> str | None: ...
    @property
    def status(self) -> int | None: ...
    @property
    def duration_ms(self) -> float | None: ...
    @property
    def response(self) -> str | None: ...
    @property
    def signal_id(self) -> Any: ...
    @property
    def order_id(self) -> Any: ...


Row = dict[str, Any]

_COMPLETED: Final = ("status", "duration_ms", "response", "response_hash")
# A row written before keeps its request; its answer is added. An answer never erases an earlier one.
_write = Upsert(
    audit,
    lambda insert: insert.on_conflict_do_update(
        index_elements=["id"],
        set_={name: func.coalesce(insert.excluded[name], audit.c[name]) for name in _COMPLETED},
    ),
)
_oldest = select(audit.c.id).where(audit.c.id < bindparam("before")).order_by(audit.c.id).limit(PRUNE_CHUNK)
_prune = delete(audit).where(audit.c.id.in_(_oldest.scalar_subquery()))


def insert(connection: Connection, exchanges: Iterable[Exchanged], connection_id: str | None) -> None:
    """Write rows in the transaction of whoever sends them."""
    write_rows(connection, [row(exchange, connection_id) for exchange in exchanges])


def write_rows(connection: Connection, rows: Sequence[Row]) -> None:
    _write.run_all(connection, rows)


def prune(connection: Connection, before: datetime) -> int:
    """Delete a few thousand rows older than `before`; returns how many (0: done). Call until 0."""
    return connection.execute(_prune, {"before": floor(before)}).rowcount


def row(exchange: Exchanged, connection_id: str | None) -> Row:
    return {
        "id": exchange.id,
        "at": exchange.at,
        "connection_id": connection_id,
        "method": exchange.method,
        "endpoint": clean(exchange.endpoint),
        "status": exchange.status,
        "duration_ms": exchange.duration_ms,
        "request": clean(exchange.request),
        "response": clean(exchange.response),
        "response_hash": None,
        "signal_id": exchange.signal_id,
        "order_id": exchange.order_id,
    }


def clean(body: str | None) -> str | None:
    """The body without the values of known secret keys, cut to a sensible length."""
    if body is None:
        return None
    shown = body[:BODY_LIMIT]
    if len(body) > BODY_LIMIT:
        shown += f"… [{len(body)} characters in all]"
    shown = _writable(shown)
    if not _may_hold_secrets(shown):
        return shown
    shown = _SECRET_IN_JSON.sub(r'\1"[removed]"', shown)
    shown = _SECRET_IN_FORM.sub(r"\1[removed]", shown)
    return _BEARER.sub(r"\1[removed]", shown)


def _writable(text: str) -> str:
    """Neither NUL nor half a surrogate pair: there are databases that take no such text."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _may_hold_secrets(text: str) -> bool:
    """Most bodies name no secret, and looking for a word costs a tenth of the patterns. Beyond ASCII, letters
    have more than two cases: there the patterns decide alone."""
    if not text.isascii():
        return True
    lower = text.lower()
    return any(hint in lower for hint in _HINTS)


FLUSH_AFTER: Final = 0.15
"""Seconds an answer or event may wait for company before it is written."""
RETRY_AFTER: Final = 0.5
"""Seconds until rows that the database refused are tried again."""


class AuditLog:
    """`broker.port.Auditor` of one connection (None: acts of people) on the database."""

    def __init__(
        self,
        database: Database,
        connection_id: str | None,
        flush_after: float = FLUSH_AFTER,
        retry_after: float = RETRY_AFTER,
    ) -> None:
        self._database = database
        self._flush_after, self._retry_after = flush_after, retry_after
        self._timer: asyncio.TimerHandle | None = None
        self._connection_id = connection_id
        self._buffer: deque[Row] = deque()
        self._writing = False
        self._one_by_one = 0
        """So many rows at the front go alone: one among them made their batch fail."""
        self._last_reads: OrderedDict[tuple[str, str | None], str] = OrderedDict()
        self.lost = 0
        """Rows that could not be kept because the database failed for too long."""

    # Any: the port's AuditId is a NewType over str that this side of the house cannot name.
    def new_id(self) -> Any:
        return self._database.new_id()

    async def before(self, exchange: Exchanged) -> None:
        """Durable when it returns; `NotDurable` when it cannot be."""
        one = row(exchange, self._connection_id)
        await self._database.write(lambda connection: write_rows(connection, [one]))

    def after(self, exchange: Exchanged) -> None:
        """Never waits and never raises; the row is written soon, with whatever else comes meanwhile."""
        self._buffer.append(self._as_hash_if_unchanged(row(exchange, self._connection_id)))
        self._limit()
        self._flush_in(self._flush_after)

    def _flush_in(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._flush)

    def _as_hash_if_unchanged(self, one: Row) -> Row:
        """Reads only. The first answer, and each that differs from the last, is kept whole."""
        if one["method"] != "GET" or one["response"] is None:
            return one
        key, digest = (one["endpoint"], one["request"]), _digest(one["response"])
        unchanged = self._last_reads.get(key) == digest
        self._last_reads[key] = digest
        self._last_reads.move_to_end(key)
        if len(self._last_reads) > READS_REMEMBERED:
            self._last_reads.popitem(last=False)
        return {**one, "response_hash": digest, "response": None if unchanged else one["response"]}

    def _limit(self) -> None:
        while len(self._buffer) > BUFFER_LIMIT:
            self._buffer.popleft()
            self.lost += 1
            if self.lost % BUFFER_LIMIT == 1:
                log.error("the database takes no audit rows: the oldest are being lost")

    def _flush(self) -> None:
        """One batch at a time, so that rows keep their order and a failing database is not flooded.

        A little later than the rows came: a commit of their own would stand in the way of the ones that matter.
        """
        self._timer = None
        if self._writing or not self._buffer:
            return
        batch = self._take()
        self._writing = True
        try:
            self._database.post(_writing(batch), partial(self._written, batch))
        except NotDurable as error:
            self._written(batch, error)

    def _written(self, batch: list[Row], error: Exception | None) -> None:
        """A failed batch goes back in front and is tried again; what came meanwhile follows a good one."""
        self._writing = False
        if error is None:
            if self._one_by_one:
                self._flush_in(0.0)
            else:
                self._flush()
        elif isinstance(error, NotDurable):
            log.warning("audit rows wait for the database: %s", error)
            self._buffer.extendleft(reversed(batch))
            self._flush_in(self._retry_after)
        else:
            self._refused(batch, error)
            self._flush_in(0.0)

    def _refused(self, batch: list[Row], error: Exception) -> None:
        """It is not the database that failed, and another try would end the same."""
        if len(batch) == 1:
            self.lost += 1
            log.error("an audit row of %s cannot be written: %s", batch[0]["endpoint"], type(error).__name__)
        else:
            self._buffer.extendleft(reversed(batch))
            self._one_by_one = len(batch)

    async def drain(self) -> None:
        """Write what is still gathered; before the database is closed. Raises `NotDurable`."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._buffer:
            batch = self._take()
            try:
                await self._database.write(_writing(batch))
            except NotDurable:
                raise
            except Exception as error:
                self._refused(batch, error)

    def _take(self) -> list[Row]:
        most = 1 if self._one_by_one else BATCH
        self._one_by_one = max(self._one_by_one - 1, 0)
        return [self._buffer.popleft() for _ in range(min(len(self._buffer), most))]


def _writing(batch: Sequence[Row]) -> Callable[[Connection], None]:
    return lambda connection: write_rows(connection, batch)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
