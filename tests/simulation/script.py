"""What happens in one schedule: people, markets and misfortunes, all from one seed.

A schedule plays some acts under the weather of its kind, then the faults stop. A good minute later at most every
signal must have its end, books and broker must agree, and nothing may be under way.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any

from justtrades.broker.simulator.faults import parse_fault
from justtrades.positions.calendar import in_maintenance
from justtrades.positions.model import (
    ContractName,
    OnGap,
    OnOpposite,
    OnSameSide,
    RecorderId,
    Stop,
    Target,
    TargetUpdate,
)
from justtrades.positions.prices import Distance, Unit
from justtrades.positions.recorder import QuantityFrom, Recorder, Route
from tests.simulation import loop
from tests.simulation.life import Trouble
from tests.simulation.wires import Weather
from tests.simulation.world import CRASH_POINTS, World

Act = Callable[[World, Random], Awaitable[None]]
PAUSES = (0.0, 0.02, 0.1, 0.4, 1.0, 3.0, 8.0, 20.0)
CALM = 65.0
"""Seconds between the last fault and the reckoning."""
SOON, PATIENT = 40.0, 4
"""A doubt and two comparisons with the broker's lists fit into so many seconds: most schedules are at rest by then.
Every fourth waits the whole time all the same, and so does one in which something is still amiss."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of schedule: its weather while faults last, and how often each of its acts comes."""

    name: str
    weather: Weather = field(default_factory=Weather)
    acts: tuple[tuple[str, int], ...] = ()
    contracts: int = 1
    budgets: tuple[int, ...] = (60, 300)
    """Requests a minute, one of which a schedule has."""
    hourly: int = 4_000
    """Requests an hour."""
    eager: float = 0.0
    """How often an act is followed by an alert more: kinds that keep entries away for long trade all the same."""
    began: tuple[datetime, ...] = (loop.BEGAN,)
    """When it begins, one of these."""
    keeps_hours: bool = False
    """The broker shuts in the exchange's maintenance hour, and the session turns at its end."""


TRADING = (("alert", 9), ("close", 3), ("burst", 1), ("again", 1), ("nonsense", 1), ("price", 7))
CRASHES = (("crash", 3), ("crash at a point", 5))
STREAM = (("socket", 4),)
DECIDING = (*TRADING, ("hand", 3), ("bust", 2), ("resume", 2), ("take over", 3))
FOLLOWING = (("follow", 14), ("close", 1), ("price", 7), ("socket", 1), ("crash", 1))
LEVELS = (-2, -1, 0, 0, 1, 2)
"""Where a followed strategy goes."""
EVE, DAY_BEFORE = date(2026, 12, 9), date(2026, 11, 23)
"""The quarterly months are left for the next ones with the session that begins on the eve's evening."""
BEFORE_OPENING = (time(22, 58, 50), time(22, 59, 20), time(22, 59, 45), time(22, 59, 55))
BEFORE_CLOSING = time(21, 59, 20)
HOURS = (
    *(datetime.combine(day, at, UTC) for day in (EVE, DAY_BEFORE) for at in BEFORE_OPENING),
    datetime.combine(EVE, BEFORE_CLOSING, UTC),
)
"""Chicago shuts from 16:00 to 17:00, in winter 22:00 to 23:00 UTC: most begin shortly before it opens."""
REST = (("disk", 2), ("no", 3), ("limits", 1), ("slices", 1), ("person", 2), ("manners", 2))
IN_FLIGHT = Weather(slow=0.6, slow_reads=0.1, lost_answer=0.05)
"""Orders travel for seconds, so that a crash leaves them under way; the next life sees the broker before they come."""
DEAF = Weather(lost_request=0.1, lost_answer=0.3, reads=0.05, lag=8.0, frames_lost=0.85, frames_late=0.6)
"""Answers are lost and the socket is of no help: only looking tells what became of an order."""
EVERYTHING = Weather(
    not_sent=0.02, lost_request=0.03, lost_answer=0.04, server_error=0.02, slow=0.03, lag=3.0, partial=0.01,
    frames_lost=0.03, frames_late=0.05, frames_doubled=0.05,
)  # fmt: skip
KINDS = (
    Kind("calm", acts=TRADING, budgets=(300,)),
    Kind("answers", Weather(not_sent=0.05, lost_request=0.08, lost_answer=0.1, server_error=0.06), TRADING),
    Kind("stream", Weather(frames_lost=0.1, frames_late=0.15, frames_doubled=0.1), TRADING + STREAM),
    Kind("crashes", Weather(lost_answer=0.03), TRADING + CRASHES),
    Kind("reads", Weather(slow=0.1, lag=8.0, partial=0.03, lost_answer=0.04), (*TRADING, ("manners", 2))),
    Kind("deaf", DEAF, (*TRADING, ("crash at a point", 2))),
    Kind("disk", Weather(lost_answer=0.03), (*TRADING, ("disk", 4), ("crash at a point", 1))),
    Kind("the broker says no", Weather(), (*TRADING, ("no", 6), ("limits", 2), ("slices", 2), ("roll", 1))),
    Kind("people", Weather(lost_answer=0.04), (*TRADING, ("person", 6), ("crash", 3), ("kill and crash", 2))),
    Kind("hands", Weather(lost_answer=0.02), (*TRADING, ("hand", 5))),
    Kind("decisions", Weather(lost_answer=0.02), (*TRADING, ("hand", 5), ("bust", 1), ("resume", 2))),
    Kind("under way", IN_FLIGHT, (*TRADING, ("crash at a point", 2), ("crash under way", 4)), eager=0.4),
    Kind("blind", replace(DEAF, lag=0.0), (*TRADING, ("blind", 5)), eager=0.6),
    Kind("penalty", Weather(lost_answer=0.02), (*TRADING, ("penalty", 2)), eager=0.2),
    Kind("held up", Weather(late_entry=0.25, lost_answer=0.02), TRADING),
    Kind("everything", EVERYTHING, TRADING + CRASHES + STREAM + REST, contracts=2),
    Kind("taken over", Weather(lost_answer=0.02), DECIDING, eager=0.2),
    Kind("following", Weather(lost_answer=0.03, lost_request=0.03, slow=0.1), FOLLOWING),
    Kind("clock", Weather(lost_answer=0.05, lost_request=0.03), (*TRADING, ("clock", 4), ("crash", 1)), eager=0.2),
    Kind("thrift", acts=TRADING, budgets=(300,), hourly=75, eager=0.6),
    Kind("hours", Weather(lost_answer=0.02), (*TRADING, ("crash", 1)), began=HOURS, keeps_hours=True, eager=0.8),
    Kind(
        "resting",
        Weather(lost_answer=0.03, lag=2.0, frames_lost=0.03),
        (*TRADING, ("rest", 5), ("resume", 2), ("crash", 1)),
    ),
)


# ── recorders ────────────────────────────────────────────────────────────────────────────────────────────


def recorders(world: World, rng: Random, contracts: int) -> dict[str, Recorder]:
    """Two strategies by their tokens: the second shares the first one's account and, often, its contract."""
    accounts = [world.account(1), world.account(2)]
    symbols = ["MNQ1!", "MES1!" if contracts > 1 or rng.random() < 0.3 else "MNQ1!"]
    routed = [accounts if rng.random() < 0.3 else accounts[:1], accounts[:1]]
    made = {}
    for number, (symbol, routes) in enumerate(zip(symbols, routed, strict=True), 1):
        made[f"token-{number}"] = Recorder(
            id=RecorderId(f"r{number}"),
            name=f"strategy {number}",
            symbol=symbol,
            quantity=rng.choice([1, 1, 2, 3]),
            quantity_from=rng.choice(list(QuantityFrom)),
            add_quantity=rng.choice([None, 1]),
            max_quantity=rng.choice([None, 3, 6]),
            on_same_side=rng.choice([OnSameSide.ADD, OnSameSide.ADD, OnSameSide.IGNORE]),
            on_opposite=rng.choice(list(OnOpposite)),
            targets=_targets(rng),
            stop=Stop(distance=Distance(Decimal(40), Unit.TICKS)) if rng.random() < 0.5 else None,
            target_update=rng.choice(list(TargetUpdate)),
            routes=tuple(Route(account) for account in routes),
        )
    return made


def _targets(rng: Random) -> tuple[Target, ...]:
    near, far = (Distance(Decimal(ticks), Unit.TICKS) for ticks in (rng.choice([8, 20]), 40))
    kind = rng.random()
    if kind < 0.1:
        return ()
    if kind < 0.75:
        return (Target(distance=near),)
    return (Target(distance=near, percent=Decimal(50)), Target(distance=far, percent=Decimal(50)))


# ── acts ─────────────────────────────────────────────────────────────────────────────────────────────────


async def _alert(world: World, rng: Random) -> None:
    _say(world, rng, rng.choice(["buy", "sell"]))


async def _close(world: World, rng: Random) -> None:
    _say(world, rng, "close", quantity=1 if rng.random() < 0.25 else None)


def _say(world: World, rng: Random, action: str, *, quantity: int | None = None, token: str | None = None) -> bytes:
    token = token or rng.choice(["token-1", "token-1", "token-2"])
    alert: dict[str, object] = {"action": action, "ticker": "MNQ1!", "time": f"{loop.seconds():.3f}-{rng.random()}"}
    if quantity is not None or rng.random() < 0.2:
        alert["quantity"] = str(quantity or rng.choice([1, 2]))
    world.trace.tell(f"* {token}: {action} {alert.get('quantity', '')}")
    body = json.dumps(alert).encode()
    world.alert(token, body, enters=action in ("buy", "sell"))
    return body


async def _burst(world: World, rng: Random) -> None:
    """Contradictions within a second."""
    for _ in range(rng.randint(2, 5)):
        _say(world, rng, rng.choice(["buy", "sell", "close"]), token="token-1")
        await asyncio.sleep(rng.choice([0.0, 0.0, 0.05, 0.3]))


async def _again(world: World, rng: Random) -> None:
    """One alert twice, as TradingView sends it again."""
    body = _say(world, rng, rng.choice(["buy", "sell"]), token="token-1")
    await asyncio.sleep(rng.choice([0.0, 0.02, 5.0]))
    world.trace.tell("* token-1: the same again")
    world.alert("token-1", body, enters=True)


async def _nonsense(world: World, rng: Random) -> None:
    body = rng.choice([b"\xff\xfe", b"{", b"{}", b'{"action": "fly"}', b"[]", b'{"action":"buy","quantity":"-1"}'])
    world.trace.tell(f"* token-1: {body!r}")
    world.alert("token-1", body, enters=True)


async def _price(world: World, rng: Random) -> None:
    name = rng.choice(["MNQZ6", "MNQZ6", *sorted(world.prices.keys() - {"MNQZ6"})])
    contract = world.exchange.contract(name)
    price = world.exchange.price(name) + rng.randint(-30, 30) * contract.root.tick_size
    world.trace.tell(f"* {name} trades at {price}")
    await world.exchange.move(name, price)


async def _crash(world: World, rng: Random) -> None:
    world.crash("now")


async def _crash_at(world: World, rng: Random) -> None:
    point = (rng.choice([*CRASH_POINTS, "anywhere"]), rng.randint(1, 6))
    world.crash_in = point
    world.trace.tell(f"* the engine will die {point[0]}, time {point[1]}")


async def _crash_under_way(world: World, rng: Random) -> None:
    """The engine dies with a request on its way, which arrives all the same."""
    world.crash_in = ("after the write", rng.randint(1, 2))
    await _alert(world, rng)


async def _kill_and_crash(world: World, rng: Random) -> None:
    """The kill switch, a crash, and alerts for the next life."""
    world.trace.tell("* somebody: kill, and the engine dies")
    world.door(world.kill(on=True))
    await asyncio.sleep(1.0)
    world.crash("after the kill switch")
    await asyncio.sleep(8.0)
    await _alert(world, rng)
    await asyncio.sleep(rng.choice([1.0, 5.0]))


async def _follow(world: World, rng: Random) -> None:
    """A strategy moves and says from where to where; its alert may be lost, doubled, or overtaken by the next."""
    token = rng.choice(["token-1", "token-1", "token-2"])
    before = world.strategies.get(token, 0)
    after = world.strategies[token] = rng.choice([to for to in LEVELS if to != before])
    alert = {
        "action": "buy" if after > before else "sell",
        "ticker": "MNQ1!",
        "time": loop.clock().isoformat(),
        "quantity": str(abs(after - before)),
        **_standing("market_position", after),
        **_standing("prev_market_position", before),
    }
    fate = rng.choice(["", "", "", "", "lost", "late", "twice"])
    world.trace.tell(f"* {token}: from {before:+d} to {after:+d} {fate}")
    say = partial(world.alert, token, json.dumps(alert).encode(), enters=after != 0)
    if fate == "late":
        loop.running().call_later(rng.uniform(0.5, 8), say)
    elif fate != "lost":
        say()
    if fate == "twice":  # as a second alert, with a time of its own
        later = alert | {"time": (loop.clock() + timedelta(seconds=0.5)).isoformat()}
        again = partial(world.alert, token, json.dumps(later).encode(), enters=after != 0)
        loop.running().call_later(rng.choice([0.5, 0.8, 5.0]), again)


def _followers(world: World, rng: Random) -> None:
    """Each with its own way over a gap, and more of them with the strategy's own sizes."""
    for token, recorder in world.recorders.items():
        sizes = rng.choice([recorder.quantity_from, QuantityFrom.ALERT])
        world.recorders[token] = replace(recorder, on_gap=rng.choice([*OnGap]), quantity_from=sizes)


def _standing(name: str, position: int) -> dict[str, str]:
    return {name: "long" if position > 0 else "short" if position else "flat", f"{name}_size": str(abs(position))}


async def _clock(world: World, rng: Random) -> None:
    """Somebody, or a time server, sets the clock of the engine's machine."""
    running = loop.running()
    running.slip = timedelta(seconds=rng.choice([-8.0, -2.0, -0.3, 0.0, 0.3, 2.0, 8.0]))
    world.trace.tell(f"* the engine's clock is {running.slip.total_seconds():+.1f} s off")


async def _blind(world: World, rng: Random) -> None:
    """Nothing can be read for a while, or one list cannot."""
    word = rng.choice(["/", "order/", "fill/", "position/", "position/"])
    world.net.weather = replace(world.net.weather, blind=word)
    world.trace.tell(f"* reads of {word!r} fail")
    asyncio.get_running_loop().call_later(rng.uniform(10, 45), _sees_again, world)
    await _alert(world, rng)


async def _penalty(world: World, rng: Random) -> None:
    """The broker answers nothing but 429 for a while."""
    world.net.weather = replace(world.net.weather, penalty=True)
    world.trace.tell("* everything is answered 429")
    asyncio.get_running_loop().call_later(rng.uniform(2, 20), _penalty_ends, world)
    await _alert(world, rng)


def _penalty_ends(world: World) -> None:
    world.net.weather = replace(world.net.weather, penalty=False)
    world.trace.tell("* no 429 any more")


def _sees_again(world: World) -> None:
    world.net.weather = replace(world.net.weather, blind="")
    world.trace.tell("* reads succeed again")


async def _socket(world: World, rng: Random) -> None:
    """Something befalls the user socket."""
    what = rng.choice(["drop", "half open", "silence", "leave", "shutdown", "kick out", "expire", "maintenance"])
    world.trace.tell(f"* the socket: {what}")
    tubes = world.engine.dialler.tubes if world.engine is not None else []
    match what:
        case "drop":
            for tube in tubes:
                tube.break_off()
        case "half open":
            for tube in tubes:
                tube.half_open = True
        case "silence":
            world.exchange.sockets.silence()
        case "leave":
            world.exchange.sockets.leave()
        case "kick out" | "expire":
            world.end_logins(kick=what == "kick out")
        case "maintenance":
            world.exchange.counter.doors.shut(rng.uniform(1, 15))
            world.exchange.sockets.shut_down("Maintenance")
        case _:
            world.exchange.sockets.shut_down(rng.choice(["Maintenance", "ConnectionQuotaReached"]))


async def _person(world: World, rng: Random) -> None:
    """Somebody presses a button."""
    account, contract = world.account(1), ContractName(rng.choice(["MNQZ6", "MNQZ6", "MESZ6"]))
    what = rng.choice(["close", "close", "flatten", "reconcile", "kill"])
    world.trace.tell(f"* somebody: {what}")
    match what:
        case "close":
            world.door(world.press("close", account, contract, "somebody"))
        case "flatten":
            world.door(world.press("flatten", rng.choice([None, account]), "somebody"))
        case "reconcile":
            world.door(world.press("reconcile", None))
        case _:
            world.door(world.kill(on=world.facts.killed_at is None))


async def _disk(world: World, rng: Random) -> None:
    """The disk is full, or keeps what it says it did not keep, for a while."""
    world.trouble = Trouble(full=rng.random() < 0.5, unsure=rng.choice([0.0, 0.3, 1.0]))
    world.trace.tell(f"* {world.trouble}")
    asyncio.get_running_loop().call_later(rng.uniform(0.5, 12), _disk_is_well, world)


def _disk_is_well(world: World) -> None:
    world.trouble = Trouble()
    world.trace.tell("* the disk is well again")


async def _no(world: World, rng: Random) -> None:
    """The broker says no, or wait, to what comes next."""
    orders = ["order/placeorder", "order/placeoco", "order/cancelorder", "order/modifyorder", "order/liquidateposition"]
    fault = rng.choice(
        [
            "failure:InvalidPrice:no",
            "failure:MaxPosLimitReached:no",
            "failure:UnknownReason:Access is denied",
            "failure:TooLate",
            "failure:RiskCheckTimeout",
            "late_reject:NotEnoughLiquidity:no",
            "exchange_cancel",
            "penalty:2",
            "error_text:no",
            "violations:orderQty:no",
            "401",
            "423",
            "429",
        ]
    )
    endpoint = rng.choice(orders)
    body = {"fault": fault, "endpoint": endpoint, "nth": rng.randint(1, 2), "times": rng.randint(1, 2)}
    world.trace.tell(f"* {endpoint} will be answered {fault}")
    world.exchange.counter.faults.arm(parse_fault({**body, "when": "before"}))


async def _limits(world: World, rng: Random) -> None:
    """The broker's risk desk narrows or widens what the account may do."""
    name, value = rng.choice(
        [("liquidation_only", True), ("locked", True), ("max_position", 2), ("late_risk", True), ("max_order_qty", 1)]
    )
    world.trace.tell(f"* account limits: {name} {value}")
    await world.exchange.limit(world.exchange.account_id(1), **{name: value})
    asyncio.get_running_loop().call_later(rng.uniform(2, 20), world.net.spawn_later, world.lift_limits)


async def _roll(world: World, rng: Random) -> None:
    """A new session: Day orders expire, positions are carried."""
    world.trace.tell("* the session rolls")
    await world.exchange.roll()


async def _slices(world: World, rng: Random) -> None:
    """Orders fill in parts, or only so many contracts at each price."""
    venue = world.exchange.floor.venue
    venue.terms = replace(venue.terms, lot=rng.choice([None, 1]), depth=rng.choice([None, None, 1]))
    world.trace.tell(f"* fills of {venue.terms.lot}, {venue.terms.depth} at each price")


async def _manners(world: World, rng: Random) -> None:
    """How the broker tells its events from now on."""
    floor, manners = world.exchange.floor, world.exchange.sockets.manners
    floor.events_first = rng.random() < 0.5
    manners.delay = rng.choice([0.0, 0.0, 0.5, 4.0])
    manners.duplicate, manners.shuffle, manners.batch = (rng.random() < 0.3 for _ in range(3))
    manners.arrays, manners.extra_fields, manners.partial = (rng.random() < 0.2 for _ in range(3))
    world.trace.tell(f"* events first: {floor.events_first}, {manners}")


async def _hand(world: World, rng: Random) -> None:
    """The trader's own order, close or cancel on his own platform, or the broker's liquidation."""
    account, name = world.exchange.account_id(1), "MNQZ6"
    place = (account, world.exchange.contract(name).id)
    net = world.exchange.net(account, name)
    what = rng.choice(["order", "close", "close", "reduce", "cancel", "liquidate"])
    world.facts.hands[place] = world.facts.now()
    match what:
        case "cancel":
            working = world.facts.working(place)
            if working:
                order_id = rng.choice(working)["id"]
                world.trace.tell(f"* by hand: cancel {order_id}")
                await world.exchange.cancel_by_hand(order_id)
        case "liquidate" if net:
            world.trace.tell("* the broker liquidates")
            await world.exchange.liquidate(account, name)
        case "close" | "reduce" if net:
            quantity = abs(net) if what == "close" else 1
            world.trace.tell(f"* by hand: {what} {quantity}")
            await world.exchange.by_hand(account, name, "Sell" if net > 0 else "Buy", quantity)
        case "order":
            world.trace.tell("* by hand: an order of 1")
            await world.exchange.by_hand(account, name, rng.choice(["Buy", "Sell"]), 1)
        case _:
            pass


async def _hand_rests(world: World, rng: Random) -> None:
    """The trader's own limit orders: placed, taken back, or filled when the market comes there."""
    account, name = world.exchange.account_id(1), "MNQZ6"
    place = (account, world.exchange.contract(name).id)
    world.facts.hands[place] = world.facts.now()
    theirs = [order["id"] for order in world.facts.working(place) if not world.facts.ours(order["id"])]
    if theirs and rng.random() < 0.4:
        order_id = rng.choice(theirs)
        world.trace.tell(f"* by hand: cancel {order_id}")
        await world.exchange.cancel_by_hand(order_id)
        return
    action, away = rng.choice(["Buy", "Sell"]), rng.choice([2, 10, 25, 200])
    world.trace.tell(f"* by hand: a limit order, {action} 1, {away} ticks away")
    await world.exchange.rest_by_hand(account, name, action, 1, away)


async def _bust(world: World, rng: Random) -> None:
    """The exchange undoes one of the newest executions."""
    place = (world.exchange.account_id(1), world.exchange.contract("MNQZ6").id)
    fills = [fill for order in world.facts.orders_at(place) for fill in world.facts.fills_of(order["id"])]
    ended = [fill for fill in fills if world.facts.docs["order"][fill["orderId"]]["ordStatus"] == "Filled"]
    if ended:
        fill_id = rng.choice(ended[-3:])["id"]
        world.facts.hands[place] = world.facts.now()
        world.trace.tell(f"* the exchange undoes fill {fill_id}")
        await world.exchange.bust(fill_id)


async def _resume(world: World, rng: Random) -> None:
    """A person lets the lane go on: takes over what is not ours, or leaves it."""
    adopt, account, name = rng.random() < 0.5, world.account(1), ContractName("MNQZ6")
    world.trace.tell(f"* somebody: resume, {'adopt' if adopt else 'leave'}")
    place = (world.exchange.account_id(1), world.exchange.contract("MNQZ6").id)
    world.facts.hands[place] = world.facts.now()
    world.facts.taken.add(place)
    whose = rng.choice([None, RecorderId("r1")])
    world.door(world.press("resume", account, name, adopt, "somebody", whose))


async def _take_over(world: World, rng: Random) -> None:
    """A hand's order, and when it is known to be foreign a person who takes it over."""
    account, name = world.exchange.account_id(1), "MNQZ6"
    world.facts.hands[account, world.exchange.contract(name).id] = world.facts.now()
    world.trace.tell("* by hand: an order of 1, to be taken over")
    await world.exchange.by_hand(account, name, rng.choice(["Buy", "Sell"]), 1)
    await asyncio.sleep(rng.choice([2.0, 12.0, 20.0]))
    await _resume(world, rng)


ACTS: dict[str, Act] = {
    "take over": _take_over,
    "bust": _bust,
    "resume": _resume,
    "person": _person,
    "disk": _disk,
    "no": _no,
    "limits": _limits,
    "slices": _slices,
    "manners": _manners,
    "hand": _hand,
    "rest": _hand_rests,
    "roll": _roll,
    "alert": _alert,
    "close": _close,
    "burst": _burst,
    "again": _again,
    "nonsense": _nonsense,
    "price": _price,
    "crash": _crash,
    "crash at a point": _crash_at,
    "crash under way": _crash_under_way,
    "kill and crash": _kill_and_crash,
    "blind": _blind,
    "follow": _follow,
    "clock": _clock,
    "penalty": _penalty,
    "socket": _socket,
}


# ── the play ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Played:
    """How a schedule went. `story` is short; `digest` is over all that happened."""

    seed: int
    kind: str
    digest: str
    steps: int
    fills: int
    seconds: float
    broken: tuple[str, ...]
    story: str


def kind_of(seed: int) -> Kind:
    return KINDS[seed % len(KINDS)]


def named(name: str) -> Kind:
    return next(kind for kind in KINDS if kind.name == name)


def play(seed: int, kind: Kind | None = None) -> Played:
    kind = kind or kind_of(seed)
    return loop.run(_play(seed, kind), Random(f"{seed} began").choice(kind.began))


async def _play(seed: int, kind: Kind) -> Played:
    rng = Random(f"{seed} script")
    world = World(seed, budget=rng.choice(kind.budgets), hourly=kind.hourly, keeps_hours=kind.keeps_hours)
    asyncio.get_running_loop().set_exception_handler(partial(_unheard, world))
    world.recorders |= recorders(world, rng, kind.contracts)
    if kind.acts is FOLLOWING:
        _followers(world, Random(f"{seed} gaps"))
    for recorder in world.recorders.values():
        routed = (route.account_id.removeprefix("paper-") for route in recorder.routes)
        world.facts.routes[recorder.id] = frozenset(int(account) for account in routed)
    try:
        await world.open()
        if kind.acts is FOLLOWING and all(r.quantity_from is QuantityFrom.ALERT for r in world.recorders.values()):
            world.facts.most = {(world.exchange.account_id(1), c): max(LEVELS) for c in world.facts.contracts}
        ticking = asyncio.create_task(_tick(world))
        await _acts(world, rng, kind)
        await _rest(world)
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
    finally:
        await world.close()
    return Played(
        seed, kind.name, world.trace.digest, world.steps, len(world.facts.docs["fill"]), loop.seconds(),
        tuple(str(broken) for broken in world.facts.broken), story(world, kind),
    )  # fmt: skip


async def _acts(world: World, rng: Random, kind: Kind) -> None:
    names, weights = zip(*kind.acts, strict=True)
    await asyncio.sleep(rng.choice([0.0, 1.0, 2.0]))
    world.net.weather = replace(kind.weather)
    world.watch.condition.calm = world.watch.condition.always_calm = kind.name == "calm"
    eager = Random(f"{world.seed} eager")
    for _ in range(rng.randint(6, 16)):
        await ACTS[rng.choices(names, weights)[0]](world, rng)
        await asyncio.sleep(rng.choice(PAUSES))
        if eager.random() < kind.eager:
            await _alert(world, eager)
            await asyncio.sleep(eager.choice(PAUSES))
        if world.facts.broken:
            return


async def _rest(world: World) -> None:
    world.net.weather, world.trouble, world.crash_in = Weather(), Trouble(), None
    while _shuts(world):  # noqa: ASYNC110 - the hour's end is nobody's event
        await asyncio.sleep(10)
    world.exchange.calm()
    await world.lift_limits()
    if world.facts.killed_at is not None:
        world.door(world.kill(on=False))
    world.watch.condition.calm, world.watch.condition.calm_since = True, loop.seconds()
    world.trace.tell("* the faults stop")
    await asyncio.sleep(SOON)
    if world.seed % PATIENT == 0 or not world.watch.is_at_rest():
        await asyncio.sleep(CALM - SOON)
    until = loop.seconds() + SOON
    while world.watch.has_acted and loop.seconds() < until:  # noqa: ASYNC110 - events are on their way, and nobody knows which
        await asyncio.sleep(1)
    if world.facts.broken:
        return
    world.watch.at_rest()
    again = world.watch.again
    again.remember()
    world.exchange.tell_everything_again(Random(f"{world.seed} again"))
    await asyncio.sleep(8)
    again.compare()


def _shuts(world: World) -> bool:
    """The broker is shut, or would be before the reckoning."""
    return world.is_shut or (world.keeps_hours and in_maintenance(loop.clock() + timedelta(seconds=CALM + 30)))


async def _tick(world: World) -> None:
    while True:
        await asyncio.sleep(30 if world.is_shut else 1)
        world.watch.ticked()
        if (error := world.ended_by_itself()) is not None:
            world.facts.breach("engine", f"ended by itself: {_told(error)}")
            return


def _unheard(world: World, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An error that nobody waited for, in the engine or in this simulation."""
    error = context.get("exception")
    if error is None and world.life and "destroyed" in str(context.get("message")):
        return  # of a life that ended between two instructions: no process is left whose task it was
    world.facts.breach("unheard", _told(error) if error is not None else str(context.get("message")))


def _told(error: BaseException) -> str:
    """The first error inside a task group's."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__} {error}"


def story(world: World, kind: Kind, most: int = 60) -> str:
    lines = world.trace.lines[-most:]
    cut = len(world.trace.lines) - len(lines)
    head = [f"{kind.name}, seed {world.seed}"] + ([f"  … {cut} lines before"] if cut else [])
    return "\n".join(head + lines)


__all__ = ["KINDS", "Kind", "Played", "kind_of", "named", "play", "story"]
