"""Logins come, go and lose their stream; lanes live on, and readiness says how things stand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from justtrades.broker.port import Account, ConnectionState, Refused, Report, Unreachable
from justtrades.desk import Desk
from justtrades.positions.events import PictureWanted
from justtrades.positions.limits import Limits
from justtrades.positions.model import AccountId, BrokerAccountId, ConnectionId, Outcome, Purpose, Verb
from justtrades.store import connections
from tests.broker.tradovate.virtual import settle
from tests.desk.fakes import MNQ, PAPER, FakeBroker, World, nothing, played, recorder, ticks

DEMO = ConnectionId("demo")
THERE = AccountId("demo-2001")
WITH_TARGET = recorder(targets=ticks(20))
TO_MAINTENANCE = timedelta(hours=8)
"""From 14:30 UTC to 16:30 in Chicago."""


async def down(_: object) -> None:
    raise Unreachable("down", "no answer")


def _tells(began: asyncio.Event) -> Callable[[str], Awaitable[None]]:
    async def tells(what: str) -> None:
        if what == "picture":
            began.set()

    return tells


async def add_demo(here: World) -> FakeBroker:
    """A second login with an account of its own, running and ready."""
    here.brokers[DEMO] = FakeBroker(here.clock, listed=(Account(BrokerAccountId("2001"), "DEMO2001"),))
    await here.connection("demo", environment="demo")
    await here.desk.connections_changed()
    await here.ready()
    return here.brokers[DEMO]


async def edit_demo(here: World, **changes: Any) -> None:
    await here.database.write(lambda c: connections.edit(c, here.box, DEMO, at=here.clock(), **changes))
    await here.desk.connections_changed()


# ── the stream ───────────────────────────────────────────────────────────────────────────────────────────


@played()
async def test_an_entry_waits_while_the_stream_is_lost_and_goes_after_sync_and_a_picture(here: World) -> None:
    await here.trade(Verb.BUY)
    here.broker.lose()
    await here.until(lambda: not here.lane().lane.synced)
    signal = await here.alert(Verb.BUY)
    await asyncio.sleep(10)
    assert here.ended(signal) is None
    assert len(here.broker.placed(Purpose.ENTRY)) == 1
    here.broker.read = down
    here.broker.sync()
    await asyncio.sleep(2)
    assert here.ended(signal) is None
    here.broker.read = nothing
    assert (await here.outcome(signal))[0] is Outcome.FILLED


@played()
async def test_an_entry_that_waited_too_long_for_the_stream_expires(here: World) -> None:
    await here.trade(Verb.BUY)
    here.broker.lose()
    await here.until(lambda: not here.lane().lane.synced)
    assert await here.trade(Verb.BUY) is Outcome.EXPIRED
    assert here.broker.net() == 1


@played()
async def test_a_close_works_while_the_stream_is_down(here: World) -> None:
    await here.trade(Verb.BUY, WITH_TARGET)
    await here.until(lambda: here.view().targets)
    here.broker.lose()
    here.broker.mute = True
    await here.until(lambda: not here.lane().lane.synced)
    assert await here.trade(Verb.CLOSE) is Outcome.FILLED
    assert (here.broker.net(), here.broker.working()) == (0, [])


@played()
async def test_what_happened_while_the_stream_was_down_is_known_after_it_is_back(here: World) -> None:
    await here.trade(Verb.BUY, WITH_TARGET)
    await here.until(lambda: here.view().targets)
    here.broker.lose()
    here.broker.mute = True
    here.broker.fill(here.broker.working()[0])
    here.broker.mute = False
    here.broker.sync()
    await here.until(lambda: here.view().quantity == 0)
    assert here.saved("select pnl, exit_reason from recorded_trades") == [("10.00", "target")]


@played(truth_poll=20.0)
async def test_a_silent_loss_behind_a_healthy_stream_is_found_by_comparing_on_time(here: World) -> None:
    await here.trade(Verb.BUY, WITH_TARGET)
    await here.until(lambda: here.view().targets)
    here.broker.mute = True
    here.broker.fill(here.broker.working()[0])
    await here.until(lambda: here.view().quantity == 0, within=25)


@played(start=False)
async def test_a_login_whose_first_reads_fail_tries_again_until_they_work(here: World) -> None:
    here.broker.read = down
    await here.start()
    await asyncio.sleep(30)
    assert here.desk.not_ready() == ("connection paper is synced",)
    here.broker.read = nothing
    await here.ready()
    assert here.saved("select count(*) from accounts") == [(2,)]


@played()
async def test_a_picture_begun_before_the_stream_was_lost_is_no_sync_after_it(here: World) -> None:
    await here.trade(Verb.BUY, WITH_TARGET)
    await here.until(lambda: here.view().targets)
    began = asyncio.Event()
    here.broker.answers_late = 1.0
    here.broker.read = _tells(began)
    here.broker.sync()
    await began.wait()
    await asyncio.sleep(0.1)
    here.broker.lose()
    here.broker.mute = True
    here.broker.fill(here.broker.working()[0])
    here.broker.mute = False
    here.broker.sync()
    await asyncio.sleep(1.0)
    assert not here.lane().lane.synced
    await here.until(lambda: here.view().quantity == 0, within=5)


@played()
async def test_a_new_lane_does_not_trust_a_picture_from_before_the_stream_was_lost(here: World) -> None:
    here.broker.lose()
    await settle()
    here.broker.mute = True
    here.broker.by_hand(3)
    here.broker.mute = False
    here.broker.answers_late = 1.0
    here.broker.sync()
    await settle()
    assert await here.trade(Verb.BUY) is Outcome.BLOCKED
    assert here.broker.placed() == []


@played()
async def test_a_new_lane_does_not_forget_a_report_while_the_next_picture_is_on_its_way(here: World) -> None:
    here.broker.by_hand(3)
    await settle()
    here.broker.answers_late = 1.0
    here.broker.sync()
    await settle()
    assert await here.trade(Verb.BUY) is Outcome.BLOCKED
    assert here.broker.placed() == []


# ── readiness ────────────────────────────────────────────────────────────────────────────────────────────


@played(start=False)
async def test_before_it_has_started_the_engine_is_not_ready_and_says_so(here: World) -> None:
    await here.open()
    desk = Desk(here.database, here._broker, Limits(), here.clock, 600.0)
    assert desk.not_ready() == ("the engine is starting",)
    await here.database.close()


@played()
async def test_a_connection_that_is_not_synced_is_a_reason(here: World) -> None:
    assert here.desk.not_ready() == ()
    here.broker.lose()
    assert here.desk.not_ready() == ("connection paper is connecting",)
    here.broker.sync()
    await here.ready()


@played()
async def test_a_maintenance_hour_with_nothing_unknown_is_ready(here: World) -> None:
    here.clock.ahead = TO_MAINTENANCE
    here.broker.lose()
    assert here.desk.not_ready() == ()


@played(start=False)
async def test_a_login_never_synced_is_not_ready_even_in_a_maintenance_hour(here: World) -> None:
    here.clock.ahead = TO_MAINTENANCE
    here.broker.read = down
    await here.start()
    await here.desk.started()
    await asyncio.sleep(1)
    assert here.desk.not_ready() != ()


@played()
async def test_a_lane_in_doubt_is_a_reason_after_fifteen_seconds_also_in_a_maintenance_hour(here: World) -> None:
    await here.trade(Verb.BUY)
    here.broker.before = here.broker.read = down
    await here.alert(Verb.BUY)
    await here.until(lambda: here.view().in_doubt)
    await asyncio.sleep(13)
    assert here.desk.not_ready() == ()
    await asyncio.sleep(3)
    (reason,) = here.desk.not_ready()
    assert "MNQZ6 on paper-1001 is in doubt for 1" in reason
    here.clock.ahead = TO_MAINTENANCE
    assert len(here.desk.not_ready()) == 1
    here.broker.before = here.broker.read = nothing
    await here.ready()


@played(start=False)
async def test_a_connection_that_is_refused_is_a_reason_and_does_not_stop_the_engine(here: World) -> None:
    here.refusals[DEMO] = Refused("LiveTrading", "live connections are refused")
    await here.start()
    await here.connection("demo", environment="live")
    await here.desk.connections_changed()
    await here.until(lambda: here.desk.not_ready() == ("connection demo is refused",))
    assert await here.trade(Verb.BUY) is Outcome.FILLED
    health = here.desk.health(DEMO)
    assert health is not None
    assert (health.state, health.reason) == (ConnectionState.REFUSED, "LiveTrading: live connections are refused")


@played()
async def test_no_connection_at_all_is_ready(here: World) -> None:
    await here.database.write(lambda c: connections.edit(c, here.box, PAPER, at=here.clock(), enabled=False))
    await here.restart()
    assert here.desk.not_ready() == ()
    assert here.desk.health(PAPER) is None


# ── connections change ───────────────────────────────────────────────────────────────────────────────────


@played()
async def test_an_edit_restarts_that_login_only(here: World) -> None:
    demo = await add_demo(here)
    await here.trade(Verb.BUY)
    await edit_demo(here, username="other")
    await here.until(lambda: demo.runs == ["start", "close", "start"])
    assert here.broker.runs == ["start"]
    await here.ready()
    assert await here.trade(Verb.BUY, recorder(THERE)) is Outcome.FILLED


@played()
async def test_a_lane_lives_on_while_its_login_restarts(here: World) -> None:
    demo = await add_demo(here)
    lane = (BrokerAccountId("2001"), MNQ)
    await here.trade(Verb.BUY, recorder(THERE, targets=ticks(20)))
    await here.until(lambda: here.view(THERE).targets)
    await edit_demo(here, username="other")
    await here.ready()
    demo.fill(demo.working()[0])
    await here.until(lambda: here.view(THERE).quantity == 0)
    assert demo.net(lane) == 0


@played()
async def test_a_disabled_login_stops_and_its_lanes_say_offline(here: World) -> None:
    demo = await add_demo(here)
    await here.trade(Verb.BUY, recorder(THERE))
    await edit_demo(here, enabled=False)
    await here.until(lambda: demo.runs == ["start", "close"])
    assert here.desk.health(DEMO) is None
    assert here.desk.not_ready() == ()
    sent = len(demo.sent)
    assert await here.trade(Verb.BUY, recorder(THERE)) is Outcome.EXPIRED
    with pytest.raises(Refused):
        await here.desk.test_connection(DEMO)
    assert len(demo.sent) == sent
    assert here.view(THERE).quantity == 1
    assert await here.trade(Verb.BUY) is Outcome.FILLED
    await edit_demo(here, enabled=True)
    await here.ready()
    assert await here.trade(Verb.CLOSE, recorder(THERE)) is Outcome.FILLED


@played()
async def test_a_desk_whose_last_login_is_disabled_goes_on_and_takes_the_next(here: World) -> None:
    await here.database.write(lambda c: connections.edit(c, here.box, PAPER, at=here.clock(), enabled=False))
    await here.desk.connections_changed()
    await here.until(lambda: here.broker.runs == ["start", "close"])
    await here.database.write(lambda c: connections.edit(c, here.box, PAPER, at=here.clock(), enabled=True))
    await here.desk.connections_changed()
    await here.ready()
    assert await here.trade(Verb.BUY) is Outcome.FILLED


@played()
async def test_a_call_that_an_edit_cuts_off_is_an_answer_lost_and_halts_nothing(here: World) -> None:
    """Whatever the client library raises when it is closed under a call, or before one."""
    demo = await add_demo(here)
    await here.trade(Verb.BUY, recorder(THERE))
    await here.until(lambda: here.lane(THERE).idle)

    async def is_cut_off(_: object) -> None:
        await here.until(lambda: "close" in demo.runs)
        raise RuntimeError("the client has been closed")

    demo.mute, demo.after, demo.closes_slowly = True, is_cut_off, 1.0
    signal = await here.alert(Verb.BUY, recorder(THERE))
    await here.until(lambda: demo.net((BrokerAccountId("2001"), MNQ)) == 2)
    editing = asyncio.create_task(edit_demo(here, username="other"))
    await asyncio.sleep(0.5)
    demo.mute, demo.after = False, nothing
    await editing
    assert (await here.outcome(signal))[0] is Outcome.FILLED
    assert not here.view(THERE).halted
    assert len(demo.placed(Purpose.ENTRY)) == 2


@played()
async def test_a_read_that_an_edit_cancels_is_a_failed_read(here: World) -> None:
    demo = await add_demo(here)
    await here.trade(Verb.BUY, recorder(THERE))
    await here.until(lambda: here.lane(THERE).idle)

    async def is_cancelled(_: object) -> None:
        await here.until(lambda: "close" in demo.runs)
        raise asyncio.CancelledError

    demo.read = is_cancelled
    here.lane(THERE).tell(PictureWanted())
    await asyncio.sleep(0.1)
    await edit_demo(here, enabled=False)
    await asyncio.sleep(0.1)
    assert here.durable_lane(THERE).read is None
    assert not here.view(THERE).halted


@pytest.mark.parametrize("error", [RuntimeError("the client has been closed"), asyncio.CancelledError()])
def test_an_edit_while_a_contract_is_asked_for_ends_nothing(tmp_path: Path, error: BaseException) -> None:
    @played()
    async def play(here: World) -> None:
        demo = await add_demo(here)

        async def is_cut_off(_: object) -> None:
            await here.until(lambda: "close" in demo.runs)
            raise error

        demo.read = is_cut_off
        signal = await here.alert(Verb.BUY, recorder(THERE))
        await asyncio.sleep(0.1)
        demo.closes_slowly = 0.1
        editing = asyncio.create_task(edit_demo(here, username="other"))
        await asyncio.sleep(0.05)
        demo.read = nothing
        await editing
        assert (await here.outcome(signal))[0] is Outcome.FILLED
        assert await here.trade(Verb.CLOSE, recorder(THERE)) is Outcome.FILLED

    play(tmp_path)


@played()
async def test_two_edits_at_once_leave_the_login_running(here: World) -> None:
    demo = await add_demo(here)

    async def edit(name: str) -> None:
        await edit_demo(here, username=name)

    await asyncio.gather(*(edit(name) for name in ("one", "two", "three")))
    await here.ready()
    assert await here.trade(Verb.BUY, recorder(THERE)) is Outcome.FILLED
    assert demo.runs.count("start") == demo.runs.count("close") + 1


@played()
async def test_a_change_that_changes_nothing_leaves_every_login_alone(here: World) -> None:
    await here.desk.connections_changed()
    await settle()
    assert here.broker.runs == ["start"]


# ── the desk's own errors ────────────────────────────────────────────────────────────────────────────────


@played()
async def test_an_error_nobody_expected_in_a_login_ends_the_desk_with_that_error(here: World) -> None:
    async def breaks(_: str) -> None:
        raise KeyError("a bug")

    here.broker.read = breaks
    here.broker.sync()
    await asyncio.wait((here.running,), timeout=10)
    error = here.running.exception()
    assert isinstance(error, ExceptionGroup)
    assert error.subgroup(KeyError) is not None


@played()
async def test_reports_that_end_with_an_error_end_the_desk(here: World) -> None:
    class Deaf(FakeBroker):
        async def reports(self) -> AsyncIterator[Report]:
            raise ZeroDivisionError
            yield  # the annotation's generator

    here.brokers[DEMO] = Deaf(here.clock)
    await here.connection("demo")
    await here.desk.connections_changed()
    await asyncio.wait((here.running,), timeout=10)
    error = here.running.exception()
    assert isinstance(error, ExceptionGroup)
    assert error.subgroup(ZeroDivisionError) is not None


@played()
async def test_a_desk_that_is_told_to_stop_stops_in_peace_and_closes_its_logins(here: World) -> None:
    await here.trade(Verb.BUY)
    here.running.cancel()
    await asyncio.wait((here.running,), timeout=10)
    assert here.running.cancelled()
    assert here.broker.runs == ["start", "close"]


@played()
async def test_a_login_that_is_taken_away_while_it_starts_is_closed_all_the_same(here: World) -> None:
    """Lanes may have asked it something already: reads that nobody would end."""
    demo = await add_demo(here)
    demo.runs.clear()
    starting = asyncio.Event()

    async def start() -> None:
        starting.set()
        await asyncio.Event().wait()

    demo.start = start  # type: ignore[method-assign]  # it never gets so far
    await edit_demo(here, name="other")
    await starting.wait()
    await edit_demo(here, enabled=False)
    assert demo.runs == ["close", "close"]
