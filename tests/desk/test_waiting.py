"""What waits for the broker, and what a lane hears meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from justtrades.broker.port import Budget, FillReport, NotHandled, Refused
from justtrades.executor import LONGEST_SLEEP
from justtrades.positions.commands import CancelOrder, ModifyOrder, Mutation, PlaceOrder
from justtrades.positions.model import Outcome, Purpose, Verb
from tests.desk.fakes import FIRST, MNQ, World, nothing, played, recorder, ticks

WITH_TARGET = recorder(targets=ticks(20))


def slow(purpose: Purpose, seconds: float = 5.0) -> Callable[[Mutation], Awaitable[None]]:
    async def before(command: Mutation) -> None:
        if isinstance(command, PlaceOrder) and command.purpose is purpose:
            await asyncio.sleep(seconds)

    return before


@played()
async def test_an_entry_that_waits_is_not_sent_when_a_close_overtakes_it(here: World) -> None:
    await here.trade(Verb.BUY)
    await here.trade(Verb.CLOSE)
    here.broker.before = slow(Purpose.ENTRY)
    entry = await here.alert(Verb.BUY)
    await asyncio.sleep(0.1)
    close = await here.alert(Verb.CLOSE)
    assert (await here.outcome(entry))[0] is Outcome.SUPERSEDED
    assert (await here.outcome(close))[0] is Outcome.NO_ACTION
    assert len(here.broker.placed(Purpose.ENTRY)) == 1


@played()
async def test_a_target_that_waits_steps_aside_for_a_close(here: World) -> None:
    here.broker.before = slow(Purpose.TARGET)
    await here.alert(Verb.BUY, WITH_TARGET)
    await here.until(lambda: here.broker.net() == 1)
    assert await here.trade(Verb.CLOSE, WITH_TARGET) is Outcome.FILLED
    assert here.broker.placed(Purpose.TARGET) == []
    assert here.broker.net() == 0


@played()
async def test_a_close_that_waited_is_not_sent_when_the_position_is_gone(here: World) -> None:
    """Sold by hand meanwhile: the old closing order would open a short."""
    await here.trade(Verb.BUY)
    here.broker.before = slow(Purpose.CLOSE)
    close = await here.alert(Verb.CLOSE)
    await asyncio.sleep(1)
    here.broker.by_hand(-1)
    await here.outcome(close)
    assert here.broker.placed(Purpose.CLOSE) == []
    assert here.broker.net() == 0


@played()
async def test_a_captcha_is_an_alarm_where_an_exit_cannot_go(here: World) -> None:
    async def stopped(command: Mutation) -> None:
        raise NotHandled("p-captcha", "log in once")

    await here.trade(Verb.BUY, WITH_TARGET)
    await here.until(here.broker.working)
    here.broker.before = stopped
    await here.alert(Verb.CLOSE)
    await here.until(lambda: "not even exits: p-captcha: log in once" in here.said())
    await asyncio.sleep(600)
    assert here.said().count("not even exits") == 1
    assert not [c for c in here.broker.sent if isinstance(c, CancelOrder | ModifyOrder)]


@played()
async def test_an_exit_that_waited_goes_as_soon_as_the_login_is_back(here: World) -> None:
    async def stopped(command: Mutation) -> None:
        raise NotHandled("429", "wait", wait=timedelta(minutes=1))

    await here.trade(Verb.BUY, WITH_TARGET)
    await here.until(here.broker.working)
    here.broker.before = stopped
    close = await here.alert(Verb.CLOSE)
    await asyncio.sleep(1)
    here.broker.before = nothing
    solved = asyncio.get_running_loop().time()
    here.broker.lose()
    here.broker.sync()
    assert (await here.outcome(close))[0] is Outcome.FILLED
    assert asyncio.get_running_loop().time() - solved < 5


@played()
async def test_a_captcha_ends_an_entry(here: World) -> None:
    async def stopped(command: Mutation) -> None:
        raise NotHandled("p-captcha", "log in once")

    here.broker.before = stopped
    outcome, reason = await here.outcome(await here.alert(Verb.BUY))
    assert outcome is Outcome.NOT_PLACED
    assert "captcha" in reason


@played(truth_poll=20.0)
async def test_rest_truth_is_compared_on_time_or_sooner_and_seldom_in_the_brokers_maintenance(here: World) -> None:
    await here.trade(Verb.BUY)

    async def compared(seconds: float) -> int:
        before = here.broker.reads.count("picture")
        await asyncio.sleep(seconds)
        return here.broker.reads.count("picture") - before

    here.broker.budget = Budget(minute_used=36, minute_limit=60)
    assert await compared(600) == 50
    here.broker.budget = Budget(minute_used=37, minute_limit=60)
    assert await compared(600) == 30
    here.clock.ahead = timedelta(hours=7, minutes=11)  # from 8:50 in Chicago to just past 16:00
    assert await compared(3000) <= 10
    here.clock.ahead += timedelta(minutes=10)
    assert await compared(600) >= 29


@played(truth_poll=6000.0)
async def test_a_clock_set_back_puts_no_lane_to_sleep(here: World) -> None:
    async def refuse(command: Mutation) -> None:
        if isinstance(command, PlaceOrder) and command.purpose is Purpose.TARGET:
            raise Refused("No", "not now")

    await here.trade(Verb.BUY)
    await here.trade(Verb.CLOSE)
    here.broker.before, old = refuse, here.broker.fills[0][1]
    await here.trade(Verb.BUY, WITH_TARGET)
    await asyncio.sleep(20)
    here.broker.before, here.clock.ahead = nothing, timedelta(hours=-1)
    here.broker.tell(FillReport(FIRST, MNQ, old))
    await here.until(here.broker.working, within=2 * LONGEST_SLEEP + 5)
