"""Who goes when the requests of a login have to wait for each other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from justtrades.broker.port import NotSent
from justtrades.broker.tradovate import budget as rules
from justtrades.broker.tradovate.budget import Budget
from justtrades.positions.urgency import Urgency
from tests.broker.tradovate.virtual import run, settle

CLOSE, CANCEL, PROTECT, LOOK = Urgency.CLOSE, Urgency.CANCEL, Urgency.PROTECT, Urgency.LOOK
RECONCILE, ENTER, SHOW = Urgency.RECONCILE, Urgency.ENTER, Urgency.SHOW


def virtually(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def whole() -> None:
        run(test())

    whole.__name__ = test.__name__
    return whole


def open_gate() -> str | None:
    return None


def now() -> float:
    return asyncio.get_running_loop().time()


async def go(budget: Budget, urgency: Urgency) -> float:
    """When the request went."""
    async with budget.turn(urgency, open_gate):
        return now()


async def gone(budget: Budget, urgency: Urgency) -> bool:
    """Whether it may go at once."""
    if budget.wait_for(urgency, now()):
        return False
    await go(budget, urgency)
    return True


@virtually
async def test_an_entry_leaves_room_for_its_target_and_its_close() -> None:
    budget = Budget(10, 1000)
    assert [await gone(budget, ENTER) for _ in range(10)] == [True] * 8 + [False] * 2


@virtually
async def test_a_fifth_is_kept_for_exits() -> None:
    budget = Budget(60, 4000)
    for urgency in (ENTER, RECONCILE, SHOW, ENTER) * 12:
        assert await gone(budget, urgency)
    for urgency in (ENTER, RECONCILE, SHOW):
        assert not await gone(budget, urgency)


@virtually
async def test_what_protects_goes_beyond_the_budget_up_to_the_published_limit() -> None:
    budget = Budget(10, 1000)
    for n in range(rules.PUBLISHED):
        await go(budget, (CLOSE, CANCEL, PROTECT, LOOK)[n % 4])
    with pytest.raises(NotSent, match="budget"):
        await go(budget, CLOSE)
    assert budget.used(now()).hour_used == rules.PUBLISHED


@virtually
async def test_room_comes_back_as_the_minute_rolls_on() -> None:
    budget = Budget(10, 1000)
    began = now()
    while await gone(budget, ENTER):
        pass
    assert await go(budget, ENTER) - began == pytest.approx(60.0)


@virtually
async def test_the_hour_has_a_limit_of_its_own() -> None:
    budget = Budget(1000, 20)
    went = 0
    for _ in range(59):
        went += await gone(budget, ENTER)
        await asyncio.sleep(60)
    assert went == 16


@virtually
async def test_the_waiting_are_served_by_urgency_and_then_by_age() -> None:
    budget = Budget(10, 4000)
    for _ in range(8):
        await go(budget, RECONCILE)
        await asyncio.sleep(1)
    served: list[str] = []

    async def ask(name: str, urgency: Urgency) -> None:
        async with budget.turn(urgency, open_gate):
            served.append(name)

    asked = [("screen", SHOW), ("entry 1", ENTER), ("entry 2", ENTER), ("poll 1", RECONCILE), ("poll 2", RECONCILE)]
    waiting = [asyncio.create_task(ask(name, urgency)) for name, urgency in asked]
    await settle()
    assert (served, budget.used(now()).waiting) == ([], 5)
    await ask("close", CLOSE)
    await ask("target", PROTECT)
    await asyncio.gather(*waiting)
    assert served == ["close", "target", "poll 1", "poll 2", "entry 1", "entry 2", "screen"]


@virtually
async def test_an_entry_that_waits_hears_its_gate_within_a_moment() -> None:
    """A kill, a close behind it, or its own age ends the wait; the queue is left clean."""
    budget = Budget(10, 4000)
    while await gone(budget, ENTER):
        pass
    closed: list[str] = []

    async def entry() -> None:
        async with budget.turn(ENTER, lambda: closed[0] if closed else None):
            raise AssertionError("it went")

    waiting = asyncio.create_task(entry())
    await asyncio.sleep(10)
    closed.append("the kill switch is on")
    at = now()
    with pytest.raises(NotSent, match="the kill switch is on; it waited for room in the request budget"):
        await waiting
    assert now() - at <= rules.GATE_EVERY
    assert budget.used(now()).waiting == 0


@virtually
async def test_a_wait_that_is_cancelled_takes_no_place_and_no_room() -> None:
    budget = Budget(10, 4000)
    while await gone(budget, ENTER):
        pass
    first, second = (asyncio.create_task(go(budget, ENTER)) for _ in range(2))
    await settle()
    first.cancel()
    await asyncio.sleep(61)
    assert second.done()
    assert budget.used(now()).minute_used == 1
    with pytest.raises(asyncio.CancelledError):
        await first


@virtually
async def test_a_turn_that_comes_in_the_moment_of_cancellation_is_given_back() -> None:
    budget = Budget(1000, 4000)
    busy = [budget.turn(ENTER, open_gate) for _ in range(rules.OTHERS_AT_ONCE)]
    for one in busy:
        await one.__aenter__()
    waiting = asyncio.create_task(go(budget, ENTER))
    await settle()
    await busy[0].__aexit__(None, None, None)
    assert budget.used(now()).minute_used == rules.OTHERS_AT_ONCE + 1
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert budget.used(now()).minute_used == rules.OTHERS_AT_ONCE
    assert await gone(budget, ENTER)


@virtually
async def test_the_queue_is_bounded_and_turns_away_the_least_urgent() -> None:
    budget = Budget(5, 4000)
    while await gone(budget, RECONCILE):
        pass
    waiting = [asyncio.create_task(go(budget, ENTER)) for _ in range(rules.MOST_WAITING)]
    await settle()
    with pytest.raises(NotSent, match="wait already"):
        await go(budget, SHOW)
    sooner = asyncio.create_task(go(budget, RECONCILE))
    await settle()
    assert budget.used(now()).waiting == rules.MOST_WAITING
    assert [task.done() for task in waiting] == [False] * (rules.MOST_WAITING - 1) + [True]
    for task in [*waiting, sooner]:
        task.cancel()
    told = await asyncio.gather(*waiting, sooner, return_exceptions=True)
    assert sum(isinstance(one, NotSent) for one in told) == 1
    assert budget.used(now()).waiting == 0


@virtually
async def test_what_protects_is_decided_anew_instead_of_waiting_long() -> None:
    """An old closing order could close what is gone meanwhile."""
    budget = Budget(10, 4000)
    for _ in range(rules.PUBLISHED):
        budget.spend(now())
    at = now()
    with pytest.raises(NotSent) as told:
        await go(budget, CLOSE)
    assert now() - at <= rules.PROTECTING_WAITS
    assert not told.value.final


@virtually
async def test_entries_and_reads_never_take_the_last_connections() -> None:
    budget = Budget(1000, 4000)
    let_go = asyncio.Event()

    async def slow(urgency: Urgency) -> None:
        async with budget.turn(urgency, open_gate):
            await let_go.wait()

    others = [asyncio.create_task(slow(ENTER)) for _ in range(rules.OTHERS_AT_ONCE + 5)]
    await settle()
    assert budget.used(now()).waiting == 5
    began = now()
    assert await go(budget, CLOSE) == began
    let_go.set()
    await asyncio.gather(*others)
    assert budget.used(now()).minute_used == rules.OTHERS_AT_ONCE + 6
