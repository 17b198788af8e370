"""A trading day of twenty accounts under one login, in virtual time: the real engine and adapter, the real simulator.

Four hours from 14:00 in Chicago: three lives of a token, the maintenance hour, five drops, two penalties, bursts
of entries above the budget, and closes in the middle of all of it. Every turn the budget gives and every call
that reaches the broker is written down, with the urgency it was asked with.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

from justtrades.broker.port import Broker, Gate
from justtrades.broker.simulator import replies
from justtrades.broker.simulator.calls import Call
from justtrades.broker.simulator.doors import Doors, Hours
from justtrades.broker.simulator.replies import Reply
from justtrades.broker.tradovate import Credentials, TradovateBroker, TradovateSettings
from justtrades.broker.tradovate.access import MemoryTokenBox
from justtrades.broker.tradovate.budget import Budget
from justtrades.positions.model import AccountId, RecorderId, Stop, Target
from justtrades.positions.prices import Distance, Unit
from justtrades.positions.recorder import Recorder, Route
from justtrades.positions.urgency import Urgency
from justtrades.store.audit import AuditLog
from justtrades.store.connections import ConnectionRow
from tests.invariants.checker import Written
from tests.simulation import loop
from tests.simulation.exchange import Exchange
from tests.simulation.life import BASE, Life, Trouble, Troubled, new_database, post
from tests.simulation.wires import Net, Tube, Wire

ACCOUNTS = 20
PER_MINUTE, PER_HOUR = 60, 4000
REST = 1200.0
"""`PENALTY_REST_SECONDS` of this day: both penalties end within it."""
OPENS = 5 * 3600.0
"""Virtual seconds until 14:00 in Chicago."""
MINUTE = 60.0
TRUTH_POLL = 120.0
"""Six times the default, so that the day is played in seconds."""
PRICES = {"MNQZ6": Decimal(25_000), "MESZ6": Decimal(6_800)}
_asker: ContextVar[Urgency | None] = ContextVar("asker", default=None)


@dataclass(frozen=True)
class Turn:
    urgency: Urgency
    asked: float
    given: float


@dataclass(frozen=True)
class Seen:
    """A call on its way to the broker. `asker` is None for what the login does by itself."""

    at: float
    endpoint: str
    asker: Urgency | None
    penalty: int
    """The status of the penalty that the engine knows of; 0 for none."""


class Watched(Budget):
    """The budget, with every turn it gave."""

    def __init__(self) -> None:
        super().__init__(PER_MINUTE, PER_HOUR)
        self.turns: list[Turn] = []

    @asynccontextmanager
    async def turn(self, urgency: Urgency, gate: Gate) -> AsyncIterator[None]:
        asked = loop.seconds()
        async with super().turn(urgency, gate):
            self.turns.append(Turn(urgency, asked, loop.seconds()))
            mark = _asker.set(urgency)
            try:
                yield
            finally:
                _asker.reset(mark)


class Moody(Exchange):
    """A broker that may answer everything by its mood."""

    mood: Callable[[Call], Reply | None] = staticmethod(lambda _: None)

    async def take(self, call: Call, lag: float = 0.0) -> Reply:
        return self.mood(call) or await super().take(call, lag)


class Day(Troubled):
    def __init__(self) -> None:
        self.life = 0
        self.trouble = Trouble()
        self._database = new_database()
        self.exchange = Moody(Random("sockets"), lambda _: None)
        self.net = Net(self.exchange, Random("net"), lambda _: None)
        self.net.wrote = self._wrote
        self.budget = Watched()
        self.calls: list[Seen] = []
        self.dials: list[tuple[float, int]] = []
        self.signals: dict[str, str] = {}
        self.numbers = itertools.count(1)
        self.recorders = _recorders()
        self.engine = _Engine(self.net, Random("engine"), self, self.recorders, lambda *_: None)
        self.engine.day = self

    def chance(self, probability: float) -> bool:
        return False

    @property
    def penalty(self) -> int:
        penalty = self.engine.broker._penalty
        return penalty.status if penalty.active(asyncio.get_running_loop().time()) else 0

    def _wrote(self, sent: Written) -> None:
        self.calls.append(Seen(sent.at, sent.endpoint, _asker.get(), self.penalty))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._database.execute(query).fetchall()

    # ── acts ──

    async def at(self, minutes: float) -> None:
        """Until so many minutes after the start."""
        await asyncio.sleep(max(OPENS + minutes * MINUTE - loop.seconds(), 0))

    async def say(self, token: str, action: str) -> None:
        body = json.dumps({"action": action, "ticker": "MNQ1!", "time": f"alert {next(self.numbers)}"})
        status, content = await post(self.engine.webhook, token, body.encode())
        assert status == 202, content
        self.signals[json.loads(content)["signal_id"]] = action

    async def all_say(self, *alerts: tuple[str, str]) -> None:
        await asyncio.gather(*(self.say(token, action) for token, action in alerts))

    async def move(self, name: str, ticks: int) -> None:
        tick = self.exchange.contract(name).root.tick_size
        await self.exchange.move(name, self.exchange.price(name) + ticks * tick)

    def drop(self) -> None:
        for tube in self.engine.dialler.tubes:
            tube.break_off()

    def outcomes(self) -> dict[tuple[str, str | None], int]:
        """How many signals of each action ended how."""
        found: dict[tuple[str, str | None], int] = {}
        for signal_id, outcome in self.rows("select id, outcome from signals"):
            key = (self.signals.get(signal_id, "flatten"), outcome)
            found[key] = found.get(key, 0) + 1
        return found

    def differences(self) -> list[str]:
        """Lanes whose books are not what the broker holds."""
        return [
            f"{view.account_id} {view.contract}: {view.quantity} is {net}"
            for view in self.engine.desk.lanes()
            if view.quantity != (net := self.exchange.net(int(str(view.account_id).split("-")[1]), view.contract))
        ]


@dataclass
class _Engine(Life):
    day: Day = field(init=False)
    broker: TradovateBroker = field(init=False)

    async def _broker(self, row: ConnectionRow) -> Broker:
        audit = AuditLog(self.database, row.id)
        self.audits.append(audit)
        settings = TradovateSettings(
            BASE, Credentials("paper", "password"), penalty_rest=REST, exchange_hours=True,
            budget_per_minute=PER_MINUTE, budget_per_hour=PER_HOUR,
        )  # fmt: skip
        self.broker = TradovateBroker(
            settings, audit, MemoryTokenBox(), loop.clock, Random("broker"), transport=Wire(self.net), dial=self._dial
        )
        self.broker._budget = self.broker._rest._budget = self.day.budget
        return self.broker

    async def _dial(self, url: str) -> Tube:
        self.day.dials.append((loop.seconds(), self.day.penalty))
        return await self.dialler(url)


def account(number: int) -> AccountId:
    return AccountId(f"paper-{Exchange.account_id(number)}")


def _recorders() -> dict[str, Recorder]:
    """`all` on all accounts, `half` and `rest` on ten each, in another contract."""

    def made(name: str, symbol: str, first: int, last: int, stop: int | None) -> Recorder:
        return Recorder(
            id=RecorderId(name),
            name=name,
            symbol=symbol,
            quantity=1,
            add_quantity=1,
            targets=(Target(distance=Distance(Decimal(40), Unit.TICKS)),),
            stop=Stop(distance=Distance(Decimal(stop), Unit.TICKS)) if stop else None,
            routes=tuple(Route(account(number)) for number in range(first, last + 1)),
        )

    every = [
        made("all", "MNQ1!", 1, ACCOUNTS, 80),
        made("half", "MES1!", 1, ACCOUNTS // 2, None),
        made("rest", "MES1!", ACCOUNTS // 2 + 1, ACCOUNTS, 80),
    ]
    return {recorder.name: recorder for recorder in every}


# ── the day ──────────────────────────────────────────────────────────────────────────────────────────────


async def play() -> Day:
    await asyncio.sleep(OPENS)
    day = Day()
    await day.exchange.open(ACCOUNTS, PRICES)
    day.exchange.counter.doors = Doors(loop.clock, by_calendar=True)
    hours = Hours(day.exchange.floor, day.exchange.counter.doors, day.exchange.sockets.shut_down)
    day.net.spawn(hours.keep())
    await day.engine.start()
    day.engine.desk.truth_poll = TRUTH_POLL
    await _morning(day)
    await _lock(day)
    await _afternoon(day)
    await _maintenance(day)
    await _evening(day)
    return day


async def end(day: Day) -> None:
    day.net.life += 1
    await day.engine.end()
    for task in tuple(day.net.server_tasks):
        task.cancel()


async def _morning(day: Day) -> None:
    await day.at(1)
    await day.say("all", "buy")
    await day.at(3)
    await day.say("rest", "sell")
    await day.at(5)
    await day.all_say(*[("rest", "sell")] * 3)  # a storm of adds
    await day.at(8)
    await day.move("MNQZ6", 50)  # the targets of `all` fill
    await day.at(10)
    await day.all_say(("all", "buy"), ("half", "buy"), ("rest", "close"))  # more than the budget holds
    await asyncio.sleep(0.5)
    await day.say("half", "close")
    await day.at(12)
    day.drop()
    await day.say("rest", "buy")
    await day.at(22)
    day.drop()
    await day.say("half", "buy")


async def _lock(day: Day) -> None:
    """A 429 for three minutes, while positions are open and are to be closed."""
    await day.at(30)
    day.exchange.mood = lambda _: replies.plain(429, "")
    await day.all_say(("all", "close"), ("rest", "buy"))
    await day.at(33)
    day.exchange.mood = lambda _: None
    await day.at(35)
    await day.all_say(("half", "close"), ("all", "buy"))
    await day.at(45)
    day.drop()
    await day.at(47)
    await day.say("rest", "close")


async def _afternoon(day: Day) -> None:
    await day.at(60)
    await day.say("all", "buy")
    await day.at(79.9)
    await day.say("half", "sell")  # around the end of a token's life
    await day.at(95)
    day.drop()
    await day.say("half", "close")


async def _maintenance(day: Day) -> None:
    """16:00 to 17:00, with positions and their exits resting at the broker."""
    await day.at(130)
    await day.say("half", "buy")  # nobody is at home: it expires
    await day.at(179)


async def _evening(day: Day) -> None:
    await day.at(182)
    await day.all_say(("all", "close"), ("half", "buy"))
    await day.at(190)
    day.drop()
    await day.at(195)
    warned = iter([replies.plain(423, "")])
    day.exchange.mood = lambda call: next(warned, None) if call.endpoint == "order/placeorder" else None
    await day.say("half", "buy")
    await asyncio.sleep(5)
    await day.say("half", "close")
    await day.at(230)
    await day.engine.desk.flatten(None, "somebody")
    await day.at(240)


__all__ = ["ACCOUNTS", "Day", "Seen", "Turn", "end", "play"]
