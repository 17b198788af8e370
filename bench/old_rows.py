"""An installation with a past: so many old rows in each table that grows, then the same measurements again.

The rows are written straight into the tables: 90 days of finished trades on the lanes that the engine knows, with
ids and moments as the engine would have made them. A column this file does not know gets an empty value of its
type, so that a new column does not stop the bench.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from bench import sides, speed
from bench.engine import Engine
from bench.processes import Child
from bench.report import Figure, p50
from bench.sizes import Size

PARTS: Final = ("old", "old-start")
"""All of it, or the start alone, which takes a fraction of the time."""
DAYS: Final = 90
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_FILLER: Final = '{"old":"' + "x" * 240 + '"}'
Row = dict[str, Any]


@dataclass(slots=True)
class Past:
    """One installation with `rows` old rows a table, its stub, and what was measured on it."""

    rows: int
    directory: Path
    broker: Child
    engine: Engine
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """Seconds of CPU until ready: what says something on a busy machine, too."""
    samples: speed.Samples = field(default_factory=speed.Samples)


async def figures(size: Size, parts: frozenset[str], say: Callable[[str], None]) -> list[Figure]:
    """Each count beside none at all, in turn."""
    if not parts:
        return []
    pasts: list[Past] = []
    with ExitStack() as stack:
        for rows in (0, *size.old_rows):
            say(f"preparing {rows:,} old rows")
            directory = stack.enter_context(sides.folder(size))
            broker = stack.enter_context(sides.stub(size, directory))
            pasts.append(await prepared(size, rows, directory, broker))
        for number in range(size.rounds):
            say(f"old rows, round {number + 1} of {size.rounds}")
            for past in pasts if number % 2 == 0 else reversed(pasts):
                await _measure(size, past, parts)
    return [figure for past in pasts[1:] for figure in _figures(pasts[0], past)]


async def prepared(size: Size, rows: int, directory: Path, broker: Child) -> Past:
    engine = Engine(directory, broker.url)
    try:
        engine.start()
        await engine.set_up(size.lanes)
        async with sides.traffic(size, engine.running, broker, engine.paths) as traffic:
            await traffic.side_by_side(size.lanes, size.lanes)
    finally:
        engine.stop()
    fill(engine.database, rows)
    return Past(rows, directory, broker, engine)


async def _measure(size: Size, past: Past, parts: frozenset[str]) -> None:
    began = time.perf_counter()
    try:
        past.engine.start()
        past.seconds.append(await past.engine.ready() - began)
        past.cpu.append(past.engine.running.cpu_seconds)
        if "old" not in parts:
            return
        async with sides.traffic(size, past.engine.running, past.broker, past.engine.paths) as traffic:
            side = sides.Side(past.engine.running, traffic)
            await speed.warm(side, size)
            await speed.measure(side, size, frozenset({"latency", "throughput"}), past.samples)
    finally:
        past.engine.stop()


def _figures(none: Past, past: Past) -> Iterator[Figure]:
    ours, theirs = past.samples, none.samples

    def figure(what: str, unit: str, here: list[float], there: list[float]) -> Figure:
        return Figure(f"{past.rows:,} old rows: {what}", unit, here, there, 1.1, "none")

    yield figure("start to ready", "s", past.seconds, none.seconds)
    yield figure("CPU of the start", "s", past.cpu, none.cpu)
    if not ours.answers:
        return
    for what, here, there in (
        ("alert → 202", ours.answers, theirs.answers),
        ("alert → order", ours.orders, theirs.orders),
        ("fill → target", ours.targets, theirs.targets),
    ):
        yield figure(what, "ms", [p50(values) for values in here], [p50(values) for values in there])
    yield figure("CPU per alert", "ms", ours.cpu, theirs.cpu)


# ── writing them ─────────────────────────────────────────────────────────────────────────────────────────


def fill(path: Path, rows: int) -> None:
    """`rows` into each of the tables that grow with trading. The engine must not be running."""
    database = sqlite3.connect(path, isolation_level=None)
    try:
        database.execute("PRAGMA synchronous=OFF")
        database.execute("BEGIN")
        world = _World(database, rows)
        for table, make in TABLES.items():
            _insert(database, table, (make(world, number) for number in range(rows)))
        database.execute("COMMIT")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
    finally:
        database.close()


class _World:
    """The lanes there are, and when the n-th of so many rows was written."""

    def __init__(self, database: sqlite3.Connection, rows: int) -> None:
        self.accounts = [row[0] for row in database.execute("SELECT account_id FROM lanes ORDER BY account_id")]
        self.contracts = [row[0] for row in database.execute("SELECT contract FROM lanes ORDER BY account_id")]
        self.recorders = [row[0] for row in database.execute("SELECT id FROM recorders ORDER BY id")]
        self.connection = database.execute("SELECT id FROM connections ORDER BY id").fetchone()[0]
        self._begins = datetime.now(UTC) - timedelta(days=DAYS)
        self._step = timedelta(days=DAYS) / (rows + 1)

    def at(self, number: int) -> datetime:
        return self._begins + self._step * number

    def time(self, number: int) -> str:
        return self.at(number).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def id(self, number: int) -> str:
        """As the engine makes them: 48 bits of milliseconds, then chance; here a number."""
        value = int(self.at(number).timestamp() * 1000) << 80 | number
        return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))

    def lane(self, number: int) -> Row:
        at = number % len(self.accounts)
        return {"account_id": self.accounts[at], "contract": self.contracts[at]}


def _signal(world: _World, n: int) -> Row:
    recorder = world.recorders[n % len(world.recorders)]
    done = {"status": "done", "outcome": "filled", "reason": "", "finished_at": world.time(n)}
    read = {"dialect": "plain", "verb": "buy", "ticker": "MNQ1!", "source": "webhook"}
    texts = {"raw": _FILLER.encode(), "reading_json": _FILLER, "recorder_json": _FILLER}
    marks = {"repeat_key": f"old-{n}", "content_hash": f"old-{n}"}
    return {"id": world.id(n), "recorder_id": recorder, "received_at": world.time(n), **done, **read, **texts, **marks}


def _route(world: _World, n: int) -> Row:
    done = {"status": "done", "outcome": "filled", "reason": "", "finished_at": world.time(n)}
    return {"signal_id": world.id(n), **world.lane(n), **done}


def _order(world: _World, n: int) -> Row:
    times = {"created_at": world.time(n), "updated_at": world.time(n), "ended_at": world.time(n)}
    terms = {"action": "Buy", "quantity": 1, "order_type": "Market", "filled_quantity": 1, "average_price": "25000.25"}
    ids = {"id": f"old-{n}", "broker_order_id": str(n), "signal_id": world.id(n), "trade_id": f"old-{n}"}
    return {**ids, **world.lane(n), "purpose": "entry", "status": "filled", **terms, **times}


def _fill(world: _World, n: int) -> Row:
    ids = {"broker_fill_id": str(n), "broker_order_id": str(n), "order_id": f"old-{n}", "trade_id": f"old-{n}"}
    return {**ids, **world.lane(n), "action": "Buy", "quantity": 1, "price": "25000.25", "filled_at": world.time(n)}


def _trade(world: _World, n: int) -> Row:
    ids = {"id": f"old-{n}", "recorder_id": world.recorders[n % len(world.recorders)], "signal_id": world.id(n)}
    prices = {"entry_price": "25000.25", "exit_price": "25005.25", "pnl": "10.00", "pnl_ticks": "20"}
    told = {"ticker": "MNQ1!", "action": "Buy", "side": "LONG", "quantity": 1, "status": "closed"}
    return {**ids, **world.lane(n), **told, **prices, "opened_at": world.time(n), "closed_at": world.time(n)}


def _journal(world: _World, n: int) -> Row:
    texts = {"event_json": _FILLER, "commands_json": "[]", "key": f"old:{n}"}
    return {**world.lane(n), "at": world.time(n), **texts, "signal_id": world.id(n)}


def _audit(world: _World, n: int) -> Row:
    call = {"method": "POST", "endpoint": "/order/placeorder", "status": 200, "duration_ms": 1.5}
    texts = {"request": _FILLER, "response": '{"orderId":1}', "signal_id": world.id(n), "order_id": f"old-{n}"}
    return {"id": world.id(n), "at": world.time(n), "connection_id": world.connection, **call, **texts}


TABLES: Final[dict[str, Callable[[_World, int], Row]]] = {
    "signals": _signal,
    "signal_routes": _route,
    "orders": _order,
    "fills": _fill,
    "recorded_trades": _trade,
    "journal": _journal,
    "audit": _audit,
}


def _insert(database: sqlite3.Connection, table: str, rows: Iterator[Row]) -> None:
    columns = {
        row[1]: _empty(row) for row in database.execute(f"PRAGMA table_info({table})") if not _numbers_itself(row)
    }
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    values = (tuple(row.get(name, empty) for name, empty in columns.items()) for row in rows)
    database.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)


def _numbers_itself(column: tuple[Any, ...]) -> bool:
    return bool(column[5]) and column[2] == "INTEGER"


def _empty(column: tuple[Any, ...]) -> object:
    """NULL where that is allowed, else nothing of the column's type."""
    _, _, kind, required, _, _ = column
    if not required:
        return None
    return 0 if kind in ("INTEGER", "BIGINT", "BOOLEAN", "FLOAT") else ""
