"""How soon a difference between books and broker is repaired.

It is counted from the act to the moment books, foreign contracts and working orders equal the broker's. While the
engine hears of it; while the socket is healthy and loses every report of it ("without a word"), so that only the
comparison with the broker's lists finds it; and while the socket is down, counted from the act too, the reconnect
included. `lagging`: the lists are up to ten seconds behind, each for itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any

from justtrades.positions.model import RecorderId, Target
from justtrades.positions.prices import Distance, Unit
from justtrades.positions.recorder import Recorder, Route
from tests.invariants.checker import Written
from tests.invariants.facts import Traded
from tests.simulation import loop
from tests.simulation.figured import MNQ, Figures, agrees, some_time, until, with_position
from tests.simulation.wires import Weather
from tests.simulation.world import World

LAG = 10.0
Act = Callable[[World], Awaitable[object]]
Play = Callable[[World, Random], Coroutine[Any, Any, Figures]]


def _trade(action: str, quantity: int, world: World) -> Awaitable[object]:
    return world.exchange.by_hand(_account(world), MNQ, action, quantity)


def _cancel(world: World) -> Awaitable[object]:
    return world.exchange.cancel_by_hand(_target(world))


def _move(world: World) -> Awaitable[object]:
    return world.exchange.modify_by_hand(_target(world), 8)


def _adjust(signed: int, world: World) -> Awaitable[object]:
    return world.exchange.adjust(_account(world), MNQ, signed)


def _account(world: World) -> int:
    return world.exchange.account_id(1)


def _target(world: World) -> int:
    return next(iter(world.exchange.floor.venue.book.orders))


ACTS: dict[str, Act] = {
    "closed by hand": partial(_trade, "Sell", 2),
    "reduced by hand": partial(_trade, "Sell", 1),
    "increased by hand": partial(_trade, "Buy", 1),
    "target cancelled by hand": _cancel,
    "target moved by hand": _move,
    "more that no fill explains": partial(_adjust, 1),
    "less that no fill explains": partial(_adjust, -1),
}


def heard(what: str) -> Play:
    return partial(_running, f"running, {what}", ACTS[what], Weather())


def without_a_word(what: str, *, lagging: bool = False) -> Play:
    weather = Weather(frames_lost=1.0, lag=LAG if lagging else 0.0)
    return partial(_running, f"without a word, {what}{', lagging' if lagging else ''}", ACTS[what], weather)


def reconnected(what: str, *, lagging: bool = False) -> Play:
    weather = Weather(lag=LAG if lagging else 0.0)
    return partial(_reconnected, f"reconnected, {what}{', lagging' if lagging else ''}", ACTS[what], weather)


async def _running(name: str, act: Act, weather: Weather, world: World, rng: Random) -> Figures:
    await with_position(world)
    await some_time(rng)
    world.net.weather = weather
    await _by_hand(world, act)
    return Figures({name: [await until(lambda: agrees(world))]})


async def _reconnected(name: str, act: Act, weather: Weather, world: World, rng: Random) -> Figures:
    await with_position(world)
    await some_time(rng)
    assert world.engine is not None
    world.net.weather = weather
    for tube in world.engine.dialler.tubes:
        tube.break_off()
    await _by_hand(world, act)
    return Figures({name: [await until(lambda: agrees(world))]})


async def _by_hand(world: World, act: Act) -> None:
    world.facts.hands[_account(world), world.exchange.contract(MNQ).id] = loop.clock()
    await act(world)


# ── at rest ──────────────────────────────────────────────────────────────────────────────────────────────

ROOTS = ("MNQ", "MES", "NQ", "ES", "MYM", "YM", "M2K", "RTY", "6E", "6B")


async def requests_at_rest(positions: int, seed: int, seconds: float = 600) -> float:
    """Requests a minute of one login that holds so many positions with their targets and has nothing to do."""
    world = World(seed, budget=600)
    try:
        await _hold(world, positions)
        await asyncio.sleep(90)
        count = _count(world)
        await asyncio.sleep(seconds)
        return len(count) * 60 / seconds
    finally:
        await world.close()


async def _hold(world: World, positions: int) -> None:
    accounts = [world.account(number) for number in (1, 2)]
    target = Target(distance=Distance(Decimal(4000), Unit.TICKS))
    for at in range(positions):
        recorder = RecorderId(f"r{at}")
        routes = (Route(accounts[at % 2]),)
        world.recorders[f"token-{at}"] = Recorder(recorder, recorder, quantity=1, targets=(target,), routes=routes)
        world.facts.routes[recorder] = frozenset({world.exchange.account_id(1 + at % 2)})
    await world.open()
    for root in ROOTS:
        contract = world.exchange.contract(f"{root}Z6")
        world.facts.contracts[contract.id] = Traded(contract.name, contract.root.tick_size, contract.root.point_value)
        await world.exchange.move(contract.name, Decimal(25_000))
    await asyncio.sleep(5)
    for at in range(positions):
        body = f'{{"action": "buy", "ticker": "{ROOTS[at // 2]}1!", "time": "{at}"}}'.encode()
        world.alert(f"token-{at}", body, enters=True)
        await asyncio.sleep(2)
    assert len(world.exchange.floor.venue.book.orders) == positions, "each is held, with its target at work"


def _count(world: World) -> list[Written]:
    found: list[Written] = []
    told = world.net.wrote

    def wrote(sent: Written) -> None:
        found.append(sent)
        told(sent)

    world.net.wrote = wrote
    return found
