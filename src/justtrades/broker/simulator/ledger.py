"""The durable ledger: every document the venue ever made, in a SQLite file of its own.

One table of documents keyed by entity type and id, written as the venue's events say, in transactions that
are on the disk (WAL, synchronous=FULL) before anybody is answered. The text of a document is exactly what a
client reads, so lists are joined, not parsed. `load` makes the venue's book again from the file: nothing that
matters lives in memory only, and memory does not grow with the file.

Two connections: the writer's (used from one thread at a time) and the reader's, which sees what is committed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

from justtrades.broker.simulator.book import FIRST_ID, TERMINAL, Account, Book, Holding, Live, Lot
from justtrades.broker.simulator.documents import Entity, day_number, decimal, dumps, loads
from justtrades.broker.simulator.tape import Event

MASTERS: Final = {
    "account": "userId",
    "order": "accountId",
    "position": "accountId",
    "cashBalance": "accountId",
    "cashBalanceLog": "accountId",
    "command": "orderId",
    "orderVersion": "orderId",
    "fill": "orderId",
    "commandReport": "commandId",
    "executionReport": "commandId",
    "fillPair": "positionId",
}
"""Which field names a document's master; a type missing here shares its master's id (section 1)."""
_OF_SESSIONS: Final = (
    *("order", "command", "orderVersion", "fill", "commandReport", "executionReport"),
    *("fillPair", "fillFee", "cashBalanceLog"),
)
"""Entity types of which a list shows only the recent sessions, and what belongs to live orders."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entity (
    kind TEXT NOT NULL, id INTEGER NOT NULL, master INTEGER NOT NULL, day INTEGER NOT NULL,
    open INTEGER NOT NULL, doc TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entity_master ON entity (kind, master, day);
CREATE INDEX IF NOT EXISTS entity_day ON entity (kind, day);
CREATE INDEX IF NOT EXISTS entity_open ON entity (id) WHERE open = 1;
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_UPSERT: Final = """
INSERT INTO entity (kind, id, master, day, open, doc) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (kind, id) DO UPDATE SET master = excluded.master, open = excluded.open, doc = excluded.doc
"""
_SET_META: Final = "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
_OF_LIVE: Final = ("command", "orderVersion", "fill")
# Without INDEXED BY SQLite walks the whole of a kind in id order, which grows with the file's age.
_RECENT: Final = """
SELECT id, doc FROM entity INDEXED BY entity_day WHERE kind = :kind AND day >= :day
UNION SELECT id, doc FROM entity INDEXED BY entity_open WHERE kind = :kind AND open = 1
"""
_AND_OF_LIVE: Final = """
UNION SELECT id, doc FROM entity INDEXED BY entity_master
    WHERE kind = :kind AND master IN (SELECT id FROM entity WHERE open = 1)
"""
_RECENT_CHILDREN: Final = """
SELECT id, doc FROM entity INDEXED BY entity_master WHERE kind = :kind AND master = :master AND day >= :day
UNION SELECT id, doc FROM entity INDEXED BY entity_open WHERE open = 1 AND kind = :kind AND master = :master
ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One change to be made durable: its events, the next free id after it, and prices that moved."""

    events: Sequence[Event]
    next_id: int
    at: datetime
    prices: dict[int, Decimal] = field(default_factory=dict)


class Ledger:
    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._writer = self._connect()
        self._writer.executescript(_SCHEMA)
        self._reader = self._connect()

    def _connect(self) -> sqlite3.Connection:
        # The writer is used from a worker thread, one call at a time.
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=10)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_size_limit = 16777216")
        return connection

    def close(self) -> None:
        self._reader.close()
        self._writer.close()

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────

    def write(self, entries: Iterable[Entry]) -> None:
        """Make changes durable, all or none, in one transaction."""
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            for entry in entries:
                self._write_entry(entry)
            self._writer.execute("COMMIT")
        except BaseException:
            self._writer.execute("ROLLBACK")
            raise

    def _write_entry(self, entry: Entry) -> None:
        day = day_number(entry.at)
        self._writer.executemany(_UPSERT, (_row(event, day) for event in entry.events))
        meta = [("next_id", str(entry.next_id))]
        meta += [(f"price:{contract}", str(price)) for contract, price in entry.prices.items()]
        self._writer.executemany(_SET_META, meta)

    # ── reading (what is committed) ──────────────────────────────────────────────────────────────────────

    def item(self, kind: str, id_: int) -> str | None:
        """The text of a document."""
        found = self._texts("SELECT id, doc FROM entity WHERE kind = ? AND id = ?", (kind, id_))
        return found[0] if found else None

    def every(self, kind: str) -> list[str]:
        """All documents of a kind, whatever their age, in id order."""
        return self._texts("SELECT id, doc FROM entity WHERE kind = ? ORDER BY id", (kind,))

    def recent(self, kind: str, since: datetime) -> list[str]:
        """What a list shows: the sessions since then, and what belongs to live orders."""
        if kind not in _OF_SESSIONS:
            return self.every(kind)
        query = f"{_RECENT}{_AND_OF_LIVE if kind in _OF_LIVE else ''}ORDER BY id"
        return self._texts(query, {"kind": kind, "day": day_number(since)})

    def children(self, kind: str, master: int) -> list[str]:
        query = "SELECT id, doc FROM entity WHERE kind = ? AND master = ? ORDER BY id"
        return self._texts(query, (kind, master))

    def recent_children(self, kind: str, master: int, since: datetime) -> list[str]:
        keys = {"kind": kind, "master": master, "day": day_number(since)}
        return self._texts(_RECENT_CHILDREN, keys)

    def _texts(self, query: str, parameters: Sequence[object] | dict[str, object]) -> list[str]:
        return [text for _, text in self._reader.execute(query, parameters)]

    # ── the book again ───────────────────────────────────────────────────────────────────────────────────

    def load(self) -> Book:
        """The venue's book as of the last commit."""
        meta = dict(self._reader.execute("SELECT key, value FROM meta"))
        prices = {int(k.partition(":")[2]): Decimal(v) for k, v in meta.items() if k.startswith("price:")}
        book = Book(next_id=int(meta.get("next_id", FIRST_ID)), prices=prices)
        book.accounts = {a["id"]: Account(**a) for a in map(loads, self.every("_account"))}
        book.cash = {cash["accountId"]: cash for cash in map(loads, self.every("cashBalance"))}
        book.orders = {live.id: live for live in self._live_orders()}
        rows = map(loads, self.every("position"))
        book.holdings = {(row["accountId"], row["contractId"]): self._holding(row) for row in rows}
        return book

    def _live_orders(self) -> Iterator[Live]:
        for order in map(loads, self._texts("SELECT id, doc FROM entity WHERE open = 1 ORDER BY id", ())):
            version = loads(self.children("orderVersion", order["id"])[-1])
            fills = [loads(text) for text in self.children("fill", order["id"])]
            value = sum((decimal(fill["price"]) * fill["qty"] for fill in fills), Decimal(0))
            triggered = self.item("_trigger", version["id"]) is not None
            yield Live(order, version, sum(fill["qty"] for fill in fills), value, triggered)

    def _holding(self, row: Entity) -> Holding:
        kept = loads(self.item("_lots", row["id"]) or '{"lots":[]}')["lots"]
        return Holding(row, tuple(Lot(fill_id, qty, decimal(price)) for fill_id, qty, price in kept))


def _row(event: Event, day: int) -> tuple[str, int, int, int, int, str]:
    entity = event.entity
    master = entity[MASTERS[event.entity_type]] if event.entity_type in MASTERS else entity["id"]
    is_live = event.entity_type == "order" and entity["ordStatus"] not in TERMINAL
    return event.entity_type, entity["id"], master, day, int(is_live), dumps(entity)


def account_event(account: Account) -> Event:
    """The venue's own memory of an account's limits."""
    return Event("_account", "Updated", asdict(account))
