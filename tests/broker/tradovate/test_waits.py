"""The table "When the broker says wait", cell by cell, through the whole adapter in virtual time.

Three kinds of askers: entries; exits, which are everything that reduces or protects and the reads it needs;
and everything else. Five situations. What an asker gets is compared with what the table promises, and the
broker's side of it: which calls came, and when.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from justtrades.broker.port import BrokerError, ConnectionState, NotHandled, NotSent, Synced
from justtrades.positions.commands import CancelOrder, Liquidate, ModifyOrder, Mutation, PlaceOrder
from justtrades.positions.model import (
    Action,
    BrokerAccountId,
    BrokerOrderId,
    ClientOrderId,
    ContractName,
    Order,
    OrderType,
    Purpose,
)
from justtrades.positions.urgency import Urgency
from tests.broker.tradovate.stub import ACCOUNT, Desk, Stub, desk, ok
from tests.broker.tradovate.virtual import BEGAN, run

MINE, MNQ = BrokerAccountId(str(ACCOUNT)), ContractName("MNQZ6")
RENEW, SYNC = "/auth/renewaccesstoken", "user/syncrequest"
REST = 3600.0
"""`PENALTY_REST_SECONDS`"""
MAX_AGE = 30.0
"""`ENTRY_MAX_AGE_SECONDS`"""
MINUTE_LIMIT = 40
SHARE = 32

Gate = Callable[[], str | None]


# ── who asks ─────────────────────────────────────────────────────────────────────────────────────────────


def now() -> float:
    return asyncio.get_running_loop().time()


def open_gate() -> str | None:
    return None


def aging_gate() -> Gate:
    """An entry's: closed once it is too old."""
    until = now() + MAX_AGE
    return lambda: "too old" if now() >= until else None


def order(purpose: Purpose, kind: OrderType, price: str | None = None) -> Order:
    number = ClientOrderId(f"jt-{purpose}")
    where = None if price is None else Decimal(price)
    return Order(number, purpose, Action.SELL, 1, kind, BEGAN, price=where)


ENTRY = order(Purpose.ENTRY, OrderType.MARKET)
TARGET = order(Purpose.TARGET, OrderType.LIMIT, "100.25")
STOP = order(Purpose.STOP, OrderType.STOP, "90.25")
CLOSE = order(Purpose.CLOSE, OrderType.MARKET)
LIMIT = (2, OrderType.LIMIT, Decimal("101.25"))

MUTATIONS: dict[str, Mutation] = {
    "entry": PlaceOrder(ENTRY.id, ENTRY),
    "close": PlaceOrder(CLOSE.id, CLOSE),
    "cancel": CancelOrder(ClientOrderId("jt-c"), TARGET.id, BrokerOrderId("7"), Purpose.TARGET),
    "liquidate": Liquidate(CLOSE.id, CLOSE),
    "target": PlaceOrder(TARGET.id, TARGET),
    "target and stop": PlaceOrder(TARGET.id, TARGET, STOP),
    "target's change": ModifyOrder(ClientOrderId("jt-m"), TARGET.id, BrokerOrderId("7"), Purpose.TARGET, *LIMIT),
}
READS: dict[str, Callable[[Desk], Coroutine[Any, Any, Any]]] = {
    "close's picture": lambda one: one.broker.picture(Urgency.CLOSE),
    "doubt's picture": lambda one: one.broker.picture(Urgency.LOOK),
    "doubt's look": lambda one: one.broker.look(MINE, (ENTRY.id,)),
    "poll": lambda one: one.broker.picture(),
    "contract": lambda one: one.broker.contract(MNQ),
    "screen": lambda one: one.broker.accounts(Urgency.SHOW),
}
EXITS = ["close", "cancel", "liquidate", "target", "target and stop", "target's change"]
EXITS += ["close's picture", "doubt's picture", "doubt's look"]
EVERYTHING_ELSE = ["poll", "contract", "screen"]

ENDPOINTS = {
    "/order/placeorder": {"orderId": 11},
    "/order/placeoco": {"orderId": 11, "ocoId": 12},
    "/order/cancelorder": {"commandId": 13},
    "/order/modifyorder": {"commandId": 14},
    "/order/liquidateposition": {"orderId": 15},
}


async def ask(one: Desk, who: str, gate: Gate = open_gate) -> None:
    if who in MUTATIONS:
        await one.broker.send(one.broker.prepare(MUTATIONS[who], MINE, MNQ), gate)
    else:
        await READS[who](one)


# ── what the broker does ─────────────────────────────────────────────────────────────────────────────────


@dataclass
class Tradovate(Stub):
    """Obeys, until a `mood` answers in its place; every call is kept with its time."""

    mood: Callable[[str, dict[str, Any]], httpx.Response | None] = lambda *_: None
    came: list[tuple[float, str]] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await super().handle_async_request(request)
        endpoint, body = self.calls[-1]
        self.came.append((now(), endpoint))
        return self.mood(endpoint, body) or answer

    def __post_init__(self) -> None:
        super().__post_init__()
        for endpoint, answer in ENDPOINTS.items():
            self.script(endpoint, answer)

    def since(self, at: float) -> list[str]:
        return [endpoint for when, endpoint in self.came if when > at]


def status(code: int) -> Callable[[str, dict[str, Any]], httpx.Response]:
    """Everything is answered so."""
    return lambda *_: httpx.Response(code)


def ticketing(seconds: float, **more: Any) -> Callable[[str, dict[str, Any]], httpx.Response | None]:
    """Every call first gets a ticket of its own, and is handled only with it, in time, and unchanged."""
    given: dict[str, tuple[float, dict[str, Any]]] = {}

    def mood(endpoint: str, body: dict[str, Any]) -> httpx.Response | None:
        ticket = body.get("p-ticket")
        if ticket is None:
            name = f"T{len(given)}"
            given[name] = (now() + seconds, body)
            return ok({"p-ticket": name, "p-time": seconds, **more})
        due, first = given[ticket]
        assert now() >= due
        assert {k: v for k, v in body.items() if k != "p-ticket"} == first
        return None

    return mood


def plays(work: Callable[[Desk, Tradovate], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        stub = Tradovate()
        async with desk(stub, budget_per_minute=MINUTE_LIMIT, penalty_rest=REST) as one:
            await one.until(Synced)
            alive = asyncio.create_task(_heartbeats(stub))
            await work(one, stub)
            alive.cancel()

    run(whole())


async def _heartbeats(stub: Stub) -> None:
    while True:
        await asyncio.sleep(2.5)
        stub.socket.raw("h")


async def spent(one: Desk) -> None:
    """The budget is used up but for the share that is kept for exits."""
    while one.broker.health.budget.minute_used < SHARE:
        await ask(one, "cancel")


async def until_it_goes(one: Desk, who: str, within: float) -> float:
    """As a lane does: comes again when it was told to. When it went."""
    until = now() + within
    while now() < until:
        try:
            await ask(one, who)
        except NotHandled as error:
            if error.wait is None:
                raise AssertionError("only a person can help") from error
            await asyncio.sleep(max(error.wait.total_seconds(), 0.01))
        else:
            return now()
    raise AssertionError(f"{who} did not go within {within} s")


# ── own budget reached ───────────────────────────────────────────────────────────────────────────────────


def test_budget_entry_waits_until_too_old_and_is_never_sent() -> None:
    async def work(one: Desk, stub: Tradovate) -> None:
        await spent(one)
        began = now()
        with pytest.raises(NotSent, match="too old"):
            await ask(one, "entry", aging_gate())
        assert now() - began == pytest.approx(MAX_AGE, abs=0.5)
        assert "/order/placeorder" not in stub.since(0)

    plays(work)


def test_budget_entry_goes_when_room_comes_before_it_is_too_old() -> None:
    async def work(one: Desk, stub: Tradovate) -> None:
        await spent(one)
        await asyncio.sleep(45)
        await ask(one, "entry", aging_gate())
        assert stub.since(0).count("/order/placeorder") == 1

    plays(work)


@pytest.mark.parametrize("who", EXITS)
def test_budget_exits_go_on(who: str) -> None:
    async def work(one: Desk, stub: Tradovate) -> None:
        await spent(one)
        for _ in range(30):
            began = now()
            await ask(one, who)
            assert now() - began < 1
        assert one.broker.health.budget.minute_used > MINUTE_LIMIT

    plays(work)


def test_budget_exits_stop_at_the_published_limit() -> None:
    async def work(one: Desk, stub: Tradovate) -> None:
        for _ in range(5_000):
            one.broker._budget.spend(now())
        began = now()
        with pytest.raises(NotSent, match="budget"):
            await ask(one, "close")
        assert stub.since(began) == []

    plays(work)


@pytest.mark.parametrize("who", EVERYTHING_ELSE)
def test_budget_everything_else_waits(who: str) -> None:
    async def work(one: Desk, stub: Tradovate) -> None:
        await spent(one)
        began = now()
        await ask(one, who)
        assert 50 < now() - began < 61
        assert one.broker.health.budget.minute_used <= MINUTE_LIMIT

    plays(work)


# ── p-ticket ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("who", ["entry", *EXITS, *EVERYTHING_ELSE])
def test_ticket_the_same_again_with_its_ticket_after_its_time(who: str) -> None:
    async def work(one: Desk, stub: Tradovate) -> None:
        stub.mood = ticketing(7)
        began = now()
        await ask(one, who, aging_gate())
        assert now() - began >= 7
        tickets = [body for _, body in stub.calls[-len(stub.since(began)) :] if "p-ticket" in body]
        assert len(tickets) * 2 == len(stub.since(began))

    plays(work)


def test_ticket_an_entry_too_old_for_its_ticket_is_not_sent_again() -> None:
    async def work(one: Desk, stub: Tradovate) -> None:
        gate = aging_gate()
        await asyncio.sleep(MAX_AGE - 5)
        stub.mood = ticketing(19)
        with pytest.raises(NotSent, match="too old"):
            await ask(one, "entry", gate)
        assert stub.since(0).count("/order/placeorder") == 1

    plays(work)


@pytest.mark.parametrize("who", EVERYTHING_ELSE)
def test_ticket_the_others_are_not_held_up_by_it(who: str) -> None:
    async def work(one: Desk, stub: Tradovate) -> None:
        stub.mood = ticketing(15)
        slow = asyncio.create_task(ask(one, "entry", aging_gate()))
        await asyncio.sleep(1)
        stub.mood = lambda *_: None
        began = now()
        await ask(one, "close")
        await ask(one, who)
        assert now() - began < 1
        await slow

    plays(work)


# ── 429 ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_429_no_entry_until_the_rest_is_over() -> None:
    async def work(one: Desk, stub: Tradovate) -> None:
        stub.mood = status(429)
        began = now()
        with pytest.raises(NotHandled) as told:
            await ask(one, "entry")
        assert told.value.wait == pytest.approx(timedelta(seconds=REST), abs=timedelta(seconds=1))
        stub.mood = lambda *_: None
        while now() < began + REST - 10:
            with pytest.raises(NotHandled):
                await ask(one, "entry")
            await asyncio.sleep(60)
        assert stub.since(0).count("/order/placeorder") == 1
        await asyncio.sleep(max(began + REST + 0.1 - now(), 0))
        await ask(one, "entry")

    plays(work)


@pytest.mark.parametrize("who", EXITS)
def test_429_exits_come_again_after_growing_waits_of_at_most_a_minute(who: str) -> None:
    async def work(one: Desk, stub: Tradovate) -> None:
        stub.mood = status(429)
        began = now()
        asyncio.get_running_loop().call_later(1200, lambda: setattr(stub, "mood", lambda *_: None))
        went = await until_it_goes(one, who, 1300)
        tries = [at for at, endpoint in stub.came if began < at < began + 1200 and endpoint != RENEW]
        gaps = [b - a for a, b in itertools.pairwise(tries)][1:]  # the first is the read with a renewed token
        assert gaps[0] <= 1.1
        assert 10 < max(gaps) <= 60.1
        assert len(tries) < 80
        assert went <= began + 1200 + 61

    plays(work)


def test_429_entries_still_rest_when_an_exit_went_through() -> None:
    async def work(one: Desk, stub: Tradovate) -> None:
        stub.mood = status(429)
        with pytest.raises(NotHandled):
            await ask(one, "entry")
        stub.mood = lambda *_: None
        await until_it_goes(one, "close", 10)
        began = now()
        await asyncio.gather(*(ask(one, who) for who in EXITS))
        assert now() - began < 1
        with pytest.raises(NotHandled):
            await ask(one, "entry")

    plays(work)


def test_429_twenty_exits_at_once_are_no_more_calls_than_one() -> None:
    async def work(one: Desk, stub: Tradovate) -> None:
        stub.mood = status(429)
        with pytest.raises(NotHandled):
            await ask(one, "entry")
        began = now()
        asyncio.get_running_loop().call_later(600, lambda: setattr(stub, "mood", lambda *_: None))
        await asyncio.gather(*(until_it_goes(one, "close", 700) for _ in range(20)))
        assert len([at for at, _ in stub.came if began < at < began + 600]) < 60

    plays(work)


@pytest.mark.parametrize("who", ["entry", *EVERYTHING_ELSE])
def test_429_one_read_with_a_renewed_token_at_once_and_then_everything_rests(who: str) -> None:
    async def work(one: Desk, stub: Tradovate) -> None:
        stub.mood = status(429)
        began = now()
        with pytest.raises(NotHandled):
            await ask(one, who)
        asked = stub.since(began)
        assert asked[-1] == RENEW  # under the lock it is refused too, and then there is nothing to read with
        dials = stub.dials
        stub.socket.breaks()
        while now() < began + REST - 70:
            for other in (*EVERYTHING_ELSE, "entry"):
                with pytest.raises(BrokerError):
                    await ask(one, other)
            await asyncio.sleep(60)
        assert stub.since(began) == asked
        assert stub.dials == dials
        assert one.broker.health.state is ConnectionState.PENALTY

    plays(work)


@pytest.mark.parametrize("who", ["entry", *EXITS, *EVERYTHING_ELSE])
def test_429_of_a_killed_session_is_found_out_and_is_no_penalty(who: str) -> None:
    async def work(one: Desk, stub: Tradovate) -> None:
        await ask(one, "poll")
        killed = stub.tokens[-1]
        stub.mood = lambda *_: httpx.Response(429) if stub.tokens[-1] == killed and stub.calls[-1][0] != RENEW else None
        began = now()
        await ask(one, who)
        assert stub.since(began).count(RENEW) == 1
        assert one.broker.health.state is ConnectionState.SYNCED
        await ask(one, "entry")

    plays(work)


# ── 423 ──────────────────────────────────────────────────────────────────────────────────────────────────


def warned(work: Callable[[Desk, Tradovate], Coroutine[Any, Any, None]]) -> None:
    async def whole(one: Desk, stub: Tradovate) -> None:
        stub.mood = status(423)
        with pytest.raises(NotHandled):
            await ask(one, "entry")
        stub.mood = lambda *_: None
        await work(one, stub)

    plays(whole)


def test_423_no_entry() -> None:
    async def work(one: Desk, stub: Tradovate) -> None:
        began = now()
        for _ in range(10):
            with pytest.raises(NotHandled):
                await ask(one, "entry")
            await asyncio.sleep(100)
        assert stub.since(began) == []

    warned(work)


@pytest.mark.parametrize("who", EXITS)
def test_423_exits_go_on(who: str) -> None:
    async def work(one: Desk, stub: Tradovate) -> None:
        for _ in range(5):
            began = now()
            await ask(one, who)
            assert now() - began < 1

    warned(work)


@pytest.mark.parametrize("who", EXITS)
def test_423_exits_that_are_themselves_answered_so_come_again(who: str) -> None:
    async def work(one: Desk, stub: Tradovate) -> None:
        stub.mood = status(423)
        asyncio.get_running_loop().call_later(5, lambda: setattr(stub, "mood", lambda *_: None))
        await until_it_goes(one, who, 70)

    plays(work)


@pytest.mark.parametrize("who", EVERYTHING_ELSE)
def test_423_everything_else_rests(who: str) -> None:
    async def work(one: Desk, stub: Tradovate) -> None:
        began, dials = now(), stub.dials
        stub.socket.breaks()
        for _ in range(10):
            with pytest.raises(NotHandled):
                await ask(one, who)
            await asyncio.sleep(100)
        assert stub.since(began) == []
        assert stub.dials == dials

    warned(work)


# ── p-captcha ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("who", ["entry", *EXITS, *EVERYTHING_ELSE])
def test_captcha_nothing_goes_any_more_and_a_person_is_told(who: str) -> None:
    async def work(one: Desk, stub: Tradovate) -> None:
        stub.mood = ticketing(19, **{"p-captcha": True})
        with pytest.raises(NotHandled):
            await ask(one, who)
        stub.mood = lambda *_: None
        await asyncio.sleep(1)
        began, dials = now(), stub.dials
        stub.socket.breaks()
        for _ in range(3):
            for other in ["entry", *EXITS, *EVERYTHING_ELSE]:
                with pytest.raises(NotHandled) as told:
                    await ask(one, other)
                assert told.value.wait is None
            await asyncio.sleep(3000)
        assert stub.since(began) == []
        assert stub.dials == dials
        assert one.broker.health.state is ConnectionState.REFUSED
        assert "captcha" in (one.broker.health.reason or "")

    plays(work)
