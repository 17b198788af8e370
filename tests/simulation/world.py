"""The world one schedule plays in: a broker, a database that outlives its engine, people, and the engine's lives."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

from justtrades.broker.port import BrokerError
from justtrades.broker.simulator.doors import Doors, Hours
from justtrades.broker.simulator.tape import Event
from justtrades.positions.model import AccountId, Lane, News, Noted, SignalDone, TradeClosed
from justtrades.positions.recorder import Recorder
from justtrades.selfaudit.checks import Finding, Memory, check
from justtrades.selfaudit.rows import read
from justtrades.store.session import NotDurable
from justtrades.takeover import CannotAdopt
from tests.invariants.checker import Written
from tests.invariants.facts import Answered, Facts, Traded
from tests.simulation import loop
from tests.simulation.exchange import Exchange
from tests.simulation.life import PASSWORD, Life, Trouble, Troubled, keep, new_database, post, shared_engine
from tests.simulation.watch import Watch
from tests.simulation.wires import Net

ACCOUNTS = 2
PRICES = {"MNQZ6": Decimal(25_000), "MESZ6": Decimal(6_800)}
NEXT_PRICES = {"MNQH7": Decimal(25_240), "MESH7": Decimal(6_860)}
"""Of the months that are the front ones after the roll."""
MOST_LOGINS_ENDED = 2
CRASH_POINTS = (
    "before a commit",
    "after a commit",
    "before the write",
    "after the write",
    "before the answer is read",
)


@dataclass
class Trace:
    """All that happened, in order: hashed whole, told in part."""

    lines: list[str] = field(default_factory=list)
    _hash: Any = field(default_factory=hashlib.sha256)

    def note(self, text: str) -> None:
        """Part of the trace, not of the story."""
        self._hash.update(text.encode())

    def tell(self, text: str) -> None:
        line = f"{loop.seconds():8.3f}  {text}"
        self.lines.append(line)
        self.note(line)

    @property
    def digest(self) -> str:
        return str(self._hash.hexdigest())


class World(Troubled):
    def __init__(self, seed: int, *, budget: int = 60, hourly: int = 4_000, keeps_hours: bool = False) -> None:
        self.seed = seed
        self.keeps_hours = keeps_hours
        self.prices = PRICES | NEXT_PRICES if keeps_hours else PRICES
        self.strategies: dict[str, int] = {}
        """Where each followed strategy is, by its token: signed contracts."""
        self.life = 0
        self.trouble = Trouble()
        self.trace = Trace()
        self.steps = 0
        self._logins_ended = 0
        self.recorders: dict[str, Recorder] = {}
        self.crash_in: tuple[str, int] | None = None
        self._budget = budget, hourly
        self._chance = Random(f"{seed} chance")
        self._births = Random(f"{seed} births")
        self._doors: set[asyncio.Task[None]] = set()
        self._born = asyncio.Event()
        self._restarting: asyncio.Task[None] | None = None
        self._database = new_database()
        self._changes = -1
        self._asked: dict[tuple[str, tuple[Any, ...]], list[tuple[Any, ...]]] = {}
        self.facts = Facts(self.rows, loop.engine_clock, budget=budget, hourly=hourly, secrets=(PASSWORD, "access-30"))
        self.facts.self_audit = self.self_audit
        self._memory, self._findings, self._audited = Memory(), list[Finding](), (-1, -1)
        self.exchange = Exchange(Random(f"{seed} sockets"), self._heard_venue)
        self.net = Net(self.exchange, Random(f"{seed} net"), self.trace.tell)
        self.net.wrote, self.net.over, self.net.at_point = self._wrote, self._over, self.at_point
        self.watch = Watch(self)
        self.net.heard, self.net.received, self.net.enters = self.watch.heard, self.watch.received, self._enters
        self.engine: Life | None = None

    # ── life ──

    async def open(self) -> None:
        for name in self.prices:
            contract = self.exchange.contract(name)
            self.facts.contracts[contract.id] = Traded(name, contract.root.tick_size, contract.root.point_value)
        await self.exchange.open(ACCOUNTS, self.prices)
        keep(self.recorders.values())
        if self.keeps_hours:
            doors = self.exchange.counter.doors = Doors(loop.clock, by_calendar=True)
            self.net.spawn(Hours(self.exchange.floor, doors, self.exchange.sockets.shut_down).keep())
        await self.begin()

    @property
    def is_shut(self) -> bool:
        """The exchange's own hours, not a maintenance that was played."""
        return self.keeps_hours and self.exchange.counter.doors.are_shut

    async def begin(self) -> None:
        self.engine = Life(
            self.net, Random(self._births.getrandbits(64)), self, self.recorders, self._news,
            budget=self._budget,
        )  # fmt: skip
        await self.engine.start()
        self._born.set()

    async def close(self) -> None:
        if self._restarting is not None:
            await self._restarting
        self._die()
        await self._bury()
        for task in tuple(self.net.server_tasks):
            task.cancel()
        self._note_rows()

    def _die(self) -> None:
        self.life += 1
        self.net.life += 1
        self.crash_in = None
        self._born.clear()

    async def _bury(self) -> None:
        engine, self.engine = self.engine, None
        doors = tuple(self._doors)
        for task in doors:
            task.cancel()
        await asyncio.gather(*doors, return_exceptions=True)
        if engine is not None:
            for tube in engine.dialler.tubes:
                tube.break_off()
            await engine.end()

    async def at_point(self, name: str) -> None:
        self.steps += 1
        if self.crash_in is None or self.crash_in[0] not in (name, "anywhere"):
            return
        where, left = self.crash_in
        self.crash_in = (where, left - 1)
        if left <= 1:
            self.crash(name)
            await asyncio.get_running_loop().create_future()

    def crash(self, where: str) -> None:
        """The engine is dead from here on; a new one starts on what it left behind."""
        if self.engine is None or not self._born.is_set():
            return
        self.trace.tell(f"X the engine dies {where}")
        self._die()
        self.watch.died()
        self._restarting = self.net.spawn(self._start_again())

    def ended_by_itself(self) -> BaseException | None:
        """The error that ended the engine, which nothing may."""
        running = self.engine.running if self.engine is not None and self.alive else None
        return running.exception() if running is not None and running.done() and not running.cancelled() else None

    async def _start_again(self) -> None:
        await self._bury()
        await asyncio.sleep(self._chance.choice([0.1, 0.5, 2.0, 6.0]))
        self.trace.tell("X it starts again")
        await self.begin()

    @property
    def alive(self) -> bool:
        return self._born.is_set()

    def chance(self, probability: float) -> bool:
        return probability > 0 and self._chance.random() < probability

    # ── what is seen ──

    def _heard_venue(self, events: Sequence[Event]) -> None:
        self.steps += 1
        for event in events:
            self.facts.learn(event.entity_type, event.entity)
            if event.entity_type in ("order", "fill"):
                self.trace.note(f"{loop.seconds()} {event.event_type} {event.entity}")
            if event.entity_type == "fill" and event.event_type == "Created":
                told = event.entity
                self.trace.tell(f"  ! order {told['orderId']} fills {told['action']} {told['qty']} at {told['price']}")
        self.watch.venue_changed(events)

    def _wrote(self, sent: Written) -> None:
        if sent.mutates:
            words = {k: v for k, v in sent.body.items() if k in SHOWN}
            self.trace.tell(f"  > {sent.endpoint.removeprefix('order/')} {words}")
        else:
            self.trace.note(f"{loop.seconds()} > {sent.endpoint}")
        self.watch.wrote(sent)

    def _enters(self, sent: Written) -> bool:
        query = "select 1 from orders where id = ? and purpose = 'entry'"
        return any(self.facts.one(query, client_id) for client_id in sent.client_ids)

    def _over(self, sent: Written) -> None:
        self.watch.over(sent)

    def committed(self) -> None:
        self.watch.committed()

    def _news(self, lane: Lane, news: tuple[News, ...]) -> None:
        for told in news:
            match told:
                case SignalDone(signal_id, outcome, reason):
                    self.trace.tell(f"  = {signal_id[-4:]} {outcome}: {reason}")
                case Noted(_, text, alarm) if alarm:
                    self.watch.alarmed(lane, text)
                    self.trace.tell(f"  ? {lane.account_id} {lane.contract.name}: {text}")
                case TradeClosed():
                    self.trace.tell(f"  = trade {told.trade.id} closed: {told.exit_reason}, {told.pnl}")

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What is durable; asked once between two changes."""
        if self._database.total_changes != self._changes:
            self._changes = self._database.total_changes
            self._asked.clear()
        asked = (query, values)
        if asked not in self._asked:
            self._asked[asked] = self._database.execute(query, values).fetchall()
        return self._asked[asked]

    def self_audit(self, *, certain: bool = False) -> list[Finding]:
        """What the engine's own checks find in what is durable; `certain`: those that need not see it twice."""
        state = (self._database.total_changes, int(loop.seconds()))
        if self._audited != state:
            self._audited = state
            with shared_engine().connect() as connection:
                seen = read(connection, loop.engine_clock(), None)
            self._findings = [*check(seen), *self._memory.changed(seen)]
        return [finding for finding in self._findings if finding.certain or not certain]

    def _note_rows(self) -> None:
        """The whole database is part of the trace."""
        with contextlib.suppress(sqlite3.Error):
            for table in ("signals", "signal_routes", "orders", "fills", "recorded_trades", "lanes", "journal"):
                self.trace.note(str(self.rows(f"select * from {table}")))

    # ── acts ──

    def door(self, work: Coroutine[Any, Any, None]) -> None:
        """Work that belongs to the engine's present life."""
        if not self.alive:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work)
        self._doors.add(task)
        task.add_done_callback(self._doors.discard)

    def alert(self, token: str, body: bytes, *, enters: bool) -> None:
        self.door(self._alerted(token, body, enters=enters))

    async def _alerted(self, token: str, body: bytes, *, enters: bool) -> None:
        engine = self.engine
        if engine is None:
            return
        at, began = loop.engine_clock(), loop.seconds()
        status, content = await post(engine.webhook, token, body)
        told = json.loads(content)
        signal_id = told.get("signal_id")
        if status >= 400:
            self.trace.tell(f"    an alert is answered {status} {told.get('error', '')}")
        took, recorder_id = loop.seconds() - began, self.recorders[token].id
        answer = Answered(at, took, status, signal_id, recorder_id, enters, body)
        if signal_id is not None or not self.trouble.full:  # what a full disk refuses cannot be listed either
            self.facts.answers.append(answer)

    async def press(self, verb: str, *arguments: Any) -> None:
        """A person's act at the desk, whatever comes of it."""
        await self.ask(verb, *arguments)

    async def ask(self, verb: str, *arguments: Any) -> bool:
        """Whether the desk took it."""
        engine = self.engine
        if engine is None:
            return False
        await engine.desk.started()
        try:
            await getattr(engine.desk, verb)(*arguments)
        except (LookupError, NotDurable, CannotAdopt, BrokerError) as error:
            self.trace.tell(f"    somebody is told: {error}")
            return False
        return True

    async def kill(self, *, on: bool) -> None:
        if not on:
            self.facts.killed_at = None
        if await self.ask("kill", on, "the simulation", "somebody"):
            if on:
                self.facts.killed_at = self.facts.now()
            self.trace.tell(f"  * the kill switch is {'on' if on else 'off'}")

    def end_logins(self, *, kick: bool) -> None:
        """Sessions or tokens end, but seldom enough that the hour's log-ins suffice."""
        self._logins_ended += 1
        if self._logins_ended > MOST_LOGINS_ENDED:
            return
        sessions = self.exchange.counter.sessions
        if kick:
            sessions.close_all("ConnectionQuotaReached")
        else:
            sessions.expire_all()
            self.exchange.sockets.expire()

    async def lift_limits(self) -> None:
        for number in range(1, ACCOUNTS + 1):
            await self.exchange.free(self.exchange.account_id(number))

    def account(self, number: int) -> AccountId:
        return AccountId(f"paper-{self.exchange.account_id(number)}")


SHOWN = ("accountId", "clOrdId", "action", "symbol", "orderQty", "orderType", "price", "stopPrice", "orderId", "other")
