"""One life of the engine, from its start to its crash: the real desk, adapter, webhook and store, built anew each time.

A crash ends a life between two instructions: its seams (database, transport, socket) go dead first, then its
tasks are thrown away. What it had not committed is gone; the database and the broker live on.
"""

from __future__ import annotations

import asyncio
import base64
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from random import Random
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from justtrades.api.known import Known, Tokens
from justtrades.api.rates import Pace
from justtrades.api.webhook import Webhook
from justtrades.broker.port import Broker
from justtrades.broker.tradovate import Credentials, TradovateBroker, TradovateSettings
from justtrades.desk import Desk
from justtrades.positions.limits import Limits
from justtrades.positions.recorder import Recorder
from justtrades.store import books, codec, engines, migrate
from justtrades.store import recorders as rules
from justtrades.store.audit import AuditLog
from justtrades.store.connections import ConnectionRow
from justtrades.store.secrets import Box, hashed
from justtrades.store.session import Database, NotDurable
from justtrades.store.writer import InlineWriter
from justtrades.tokens import SealedTokens, house_of
from tests.simulation import loop
from tests.simulation.wires import Dialler, Net, Wire

T = TypeVar("T")
BASE = "http://broker.invalid/v1"
MEMORY = "sqlite+aiosqlite:///:memory:"
TRUTH_POLL = 20.0
PENALTY_REST = 40.0
"""An hour by default; shorter here so that a schedule need not last one."""
PASSWORD = "hush-hush-hush"
SEAL = base64.urlsafe_b64encode(bytes(32)).decode()
MAX_AGE = timedelta(seconds=30)


@dataclass
class Trouble:
    """What the disk does now: refuses every write, or keeps one and says that it did not."""

    full: bool = False
    unsure: float = 0.0


class Disk(Database):
    """The real store inline, with a life that can end at each commit."""

    def __init__(self, rng: Random, world: Troubled) -> None:
        super().__init__(MEMORY, clock=loop.engine_clock, inline=True, rng=Random(rng.getrandbits(64)))
        self._world = world
        self._life = world.life

    async def _open_sqlite(self, stack: AsyncExitStack) -> None:
        """On the one engine of the process, whose compiled statements serve all lives and schedules."""
        self._readers = engine = shared_engine()
        connection = engine.connect()
        stack.callback(connection.close)
        self._writer = InlineWriter(connection)

    async def write(self, work: Callable[[Connection], T]) -> T:
        await self._alive()
        await self._world.at_point("before a commit")
        await self._alive()
        found = await super().write(self._troubled(work))
        self._world.committed()
        await self._world.at_point("after a commit")
        await self._alive()
        if self._world.chance(self._world.trouble.unsure):
            raise NotDurable("not durable: the answer of the commit was lost")
        await asyncio.sleep(0)
        return found

    def post(
        self, work: Callable[[Connection], object], done: Callable[[Exception | None], None] | None = None
    ) -> None:
        if self._world.life == self._life:
            super().post(self._troubled(work), done)
            self._world.committed()

    async def read(self, work: Callable[[Connection], T]) -> T:
        await self._alive()
        return await super().read(work)

    async def _alive(self) -> None:
        if self._world.life != self._life:
            await asyncio.get_running_loop().create_future()

    def _troubled(self, work: Callable[[Connection], T]) -> Callable[[Connection], T]:
        def full(_: Connection) -> T:
            raise OperationalError("insert", None, sqlite3.OperationalError("database or disk is full"))

        return full if self._world.trouble.full else work


class Troubled:
    """What a life needs of the world around it."""

    life: int
    trouble: Trouble
    keeps_hours: bool = False
    """The broker keeps the exchange's hours."""

    async def at_point(self, name: str) -> None:
        """May end the life that calls."""

    def committed(self) -> None:
        """The database has changed."""

    def chance(self, probability: float) -> bool:
        raise NotImplementedError


@dataclass
class Life:
    """The engine while it runs. `tokens` are the webhook's, by recorder."""

    net: Net
    rng: Random
    world: Troubled
    recorders: dict[str, Recorder]
    heard: Callable[..., None]
    budget: tuple[int, int] = (60, 4_000)
    """Requests a minute and an hour."""
    database: Disk = field(init=False)
    desk: Desk = field(init=False)
    webhook: Webhook = field(init=False)
    dialler: Dialler = field(init=False)
    audits: list[AuditLog] = field(default_factory=list)
    running: asyncio.Task[None] = field(init=False)

    async def start(self) -> None:
        self.database = Disk(self.rng, self.world)
        await self.database.open()
        self.dialler = Dialler(self.net)
        self.desk = Desk(
            database=self.database,
            make_broker=self._broker,
            limits=Limits(),
            clock=loop.engine_clock,
            truth_poll=TRUTH_POLL,
            rng=Random(self.rng.getrandbits(64)),
            on_news=self.heard,
        )
        self.webhook = Webhook(
            database=self.database,
            desk=self.desk,
            tokens=self._tokens(),
            clock=loop.engine_clock,
            allowed=None,
            trusted=(),
            duplicate_seconds=3,
            entry_max_age=MAX_AGE,
        )
        self.running = asyncio.create_task(self.desk.run(), name="desk")

    async def end(self) -> None:
        """Throw its tasks away. The caller has made it dead, or waits for a polite stop."""
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)
        for audit in self.audits:
            if audit._timer is not None:
                audit._timer.cancel()
        await self.database.close()

    async def _broker(self, row: ConnectionRow) -> Broker:
        audit = AuditLog(self.database, row.id)
        self.audits.append(audit)
        return TradovateBroker(
            TradovateSettings(
                BASE,
                Credentials("paper", PASSWORD),
                penalty_rest=PENALTY_REST,
                budget_per_minute=self.budget[0],
                budget_per_hour=self.budget[1],
                exchange_hours=self.world.keeps_hours,
            ),
            audit,
            SealedTokens(self.database, Box(SEAL), row.id, BASE, house_of(row.environment), row.updated_at),
            loop.engine_clock,
            Random(self.rng.getrandbits(64)),
            transport=Wire(self.net),
            dial=self.dialler,
        )

    def _tokens(self) -> Tokens:
        known = {
            hashed(token): Known(recorder, codec.recorder_text(recorder), None, Pace(100_000))
            for token, recorder in self.recorders.items()
        }
        return Tokens(100_000, _known=known)


@cache
def shared_engine() -> Engine:
    return engines.sqlite_writer(engines.parse(MEMORY))


def driver() -> sqlite3.Connection:
    """The one connection to the database in memory: what is read here between commits is durable."""
    with shared_engine().connect() as connection:
        found = connection.connection.driver_connection
        assert isinstance(found, sqlite3.Connection)
        return found


@cache
def empty_database() -> bytes:
    """The newest schema with one paper connection."""
    with shared_engine().begin() as connection:
        migrate.create(connection)
        books.first_connection(connection, loop.BEGAN)
    return driver().serialize()


def new_database() -> sqlite3.Connection:
    """An empty database in the place of the last schedule's."""
    empty = empty_database()
    driver().deserialize(empty)
    return driver()


def keep(recorders: Iterable[Recorder]) -> None:
    """What a person takes over goes by the rules of a recorder in the database."""
    with shared_engine().begin() as connection:
        for recorder in recorders:
            rules.add(connection, Box(SEAL), recorder, None, loop.BEGAN)


Answer = tuple[int, bytes]


async def post(webhook: Webhook, token: str, body: bytes) -> Answer:
    """One alert through the webhook's own door."""
    said: list[Any] = []
    parts = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Any:
        return next(parts)

    async def send(message: Any) -> None:
        said.append(message)

    scope: Any = {
        "type": "http",
        "method": "POST",
        "path": f"/webhook/{token}",
        "headers": [(b"content-type", b"application/json")],
        "client": ("52.89.214.238", 443),
        "path_params": {"token": token},
    }
    await webhook.take(token, scope, receive, send)
    return said[0]["status"], b"".join(message.get("body", b"") for message in said[1:])
