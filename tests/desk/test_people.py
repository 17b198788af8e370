"""What a person asks for: kill, close, flatten, resume, compare. All of it durable, all of it with a receipt."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from justtrades.broker.port import Refused, Unreachable
from justtrades.desk import JOBS_LIMIT, NoSuchLane
from justtrades.positions.commands import Mutation
from justtrades.positions.model import AccountId, ContractName, Outcome, Purpose, Verb
from justtrades.store import accounts
from justtrades.store.session import NotDurable
from tests.desk.fakes import ACCOUNT, MNQ, OTHER, World, nothing, played, recorder, ticks

WITH_TARGET = recorder(targets=ticks(20))


# ── kill ─────────────────────────────────────────────────────────────────────────────────────────────────


@played()
async def test_no_entry_leaves_after_kill_has_returned_not_even_one_at_the_door(here: World) -> None:
    release = asyncio.Event()

    async def waits(_: Mutation) -> None:
        await release.wait()

    here.broker.before = waits
    at_the_door = await here.alert(Verb.BUY)
    await here.until(lambda: here.lane().lane.call is not None)
    behind = await here.alert(Verb.BUY)
    elsewhere = await here.alert(Verb.SELL, recorder(OTHER))
    await here.desk.kill(True, "enough", "a person")
    release.set()
    for signal in (at_the_door, behind, elsewhere):
        assert (await here.outcome(signal))[0] is Outcome.KILLED
    assert here.broker.sent == []


@played()
async def test_kill_sets_everything_aside_that_waits(here: World) -> None:
    await here.trade(Verb.BUY)
    here.broker.lose()
    await here.until(lambda: not here.lane().lane.synced)
    waiting = [await here.alert(Verb.BUY) for _ in range(JOBS_LIMIT)]
    await here.until(lambda: here.view().signals_waiting == JOBS_LIMIT)
    await here.desk.kill(True, "enough", "a person")
    outcomes = {(await here.outcome(signal))[0] for signal in waiting}
    assert outcomes == {Outcome.KILLED}
    assert not here.view().halted


@played()
async def test_kill_survives_a_restart_and_lets_positions_close(here: World) -> None:
    await here.trade(Verb.BUY, WITH_TARGET)
    await here.desk.kill(True, "enough", "a person")
    await here.restart()
    state = here.desk.kill_state()
    assert (state.on, state.reason) == (True, "enough")
    assert await here.trade(Verb.BUY, WITH_TARGET) is Outcome.KILLED
    assert await here.trade(Verb.BUY, recorder(OTHER)) is Outcome.KILLED
    assert await here.trade(Verb.CLOSE) is Outcome.FILLED
    assert here.broker.net() == 0
    assert len(here.broker.placed(Purpose.ENTRY)) == 1


@played()
async def test_kill_off_lets_new_entries_through_and_revives_none(here: World) -> None:
    await here.desk.kill(True, "enough", "a person")
    killed = await here.alert(Verb.BUY)
    assert (await here.outcome(killed))[0] is Outcome.KILLED
    await here.desk.kill(False, "", "a person")
    assert await here.trade(Verb.BUY) is Outcome.FILLED
    assert here.ended(killed) == (Outcome.KILLED, "the kill switch is on")
    await here.restart()
    assert not here.desk.kill_state().on


@played()
async def test_a_kill_that_could_not_be_saved_says_so_and_holds_entries_back_all_the_same(here: World) -> None:
    await here.trade(Verb.BUY)
    here.broker.sent.clear()
    arrival = await here.accept(Verb.BUY)
    here.database.full = True
    with pytest.raises(NotDurable):
        await here.desk.kill(True, "enough", "a person")
    here.database.full = False
    here.desk.dispatch(arrival)
    outcome, _ = await here.outcome(arrival.signal_id)
    assert outcome in (Outcome.KILLED, Outcome.EXPIRED)
    assert here.broker.sent == []


# ── close and flatten ────────────────────────────────────────────────────────────────────────────────────


@played()
async def test_a_persons_close_has_a_receipt(here: World) -> None:
    await here.trade(Verb.BUY, WITH_TARGET)
    await here.until(lambda: here.view().targets)
    signal = await here.desk.close(ACCOUNT, MNQ, "a person")
    assert (await here.outcome(signal))[0] is Outcome.FILLED
    assert here.saved("select source, verb from signals where id = ?", signal) == [("a person", "close")]
    assert here.broker.net() == 0
    assert here.broker.working() == []


@played()
async def test_a_persons_close_survives_a_crash_between_its_acceptance_and_the_first_step(here: World) -> None:
    await here.trade(Verb.BUY, WITH_TARGET)
    await here.until(lambda: here.view().targets)
    signal = await here.desk.close(ACCOUNT, MNQ, "a person")
    await here.restart()
    assert (await here.outcome(signal))[0] is Outcome.FILLED
    await here.until(lambda: here.broker.net() == 0)


@played()
async def test_a_close_half_done_at_a_crash_is_ended_after_it_and_never_flips(here: World) -> None:
    await here.trade(Verb.BUY, WITH_TARGET)
    await here.until(lambda: here.view().targets)

    async def forever(_: Mutation) -> None:
        await asyncio.Event().wait()

    here.broker.after = forever
    signal = await here.desk.close(ACCOUNT, MNQ, "a person")
    await here.until(lambda: here.broker.working() == [])
    here.broker.after = nothing
    await here.restart()
    assert (await here.outcome(signal))[0] is Outcome.FILLED
    assert here.broker.net() == 0
    assert len(here.broker.placed(Purpose.CLOSE)) == 1


@played()
async def test_flatten_closes_every_lane_of_the_account_and_no_other(here: World) -> None:
    await here.trade(Verb.BUY, recorder(ACCOUNT, OTHER))
    await here.trade(Verb.SELL, recorder(symbol="ES1!"))
    closes = await here.desk.flatten(ACCOUNT, "a person")
    assert {(await here.outcome(signal))[0] for signal in closes} == {Outcome.FILLED}
    assert {(v.account_id, v.contract): v.quantity for v in here.desk.lanes()} == {
        (ACCOUNT, MNQ): 0,
        (ACCOUNT, ContractName("ESZ6")): 0,
        (OTHER, MNQ): 1,
    }
    assert len(await here.desk.flatten(None, "a person")) == 1


@played()
async def test_flatten_overtakes_an_entry_whose_contract_is_still_being_asked_for(here: World) -> None:
    async def slow(_: str) -> None:
        await asyncio.sleep(1)

    here.broker.read = slow
    entry = await here.alert(Verb.BUY)
    await asyncio.sleep(0.5)
    assert await here.desk.flatten(ACCOUNT, "a person") == ()
    assert (await here.outcome(entry))[0] is Outcome.SUPERSEDED
    assert here.broker.placed() == []
    assert await here.trade(Verb.BUY) is Outcome.FILLED


@played()
async def test_a_close_of_what_was_never_traded_is_no_such_lane(here: World) -> None:
    with pytest.raises(NoSuchLane):
        await here.desk.close(ACCOUNT, MNQ, "a person")
    with pytest.raises(NoSuchLane):
        await here.desk.resume_account(AccountId("paper-9"), "a person")
    assert await here.desk.flatten(None, "a person") == ()


@played()
async def test_a_halted_account_takes_no_entry_until_a_person_resumes_it(here: World) -> None:
    await here.trade(Verb.BUY)
    await here.database.write(lambda c: accounts.halt(c, ACCOUNT, "losses", here.clock()))
    await here.restart()
    assert await here.outcome(await here.alert(Verb.BUY)) == (Outcome.BLOCKED, "losses")
    assert await here.trade(Verb.CLOSE) is Outcome.FILLED
    await here.desk.resume_account(ACCOUNT, "a person")
    assert await here.trade(Verb.BUY) is Outcome.FILLED
    assert here.saved("select halted from accounts where id = ?", ACCOUNT) == [(0,)]


# ── comparing ────────────────────────────────────────────────────────────────────────────────────────────


@played()
async def test_reconcile_waits_for_the_pictures_and_shows_what_they_showed(here: World) -> None:
    await here.trade(Verb.BUY, WITH_TARGET)
    await here.until(lambda: here.view().targets)
    here.broker.mute = True
    here.broker.fill(here.broker.working()[0])
    asked = here.clock()
    (view,) = await here.desk.reconcile(ACCOUNT)
    assert view.checked_at is not None
    assert view.checked_at >= asked
    assert (view.quantity, view.broker_quantity) == (0, 0)


@played()
async def test_reconcile_of_one_account_asks_about_no_other(here: World) -> None:
    await here.trade(Verb.BUY, recorder(ACCOUNT, OTHER))
    views = await here.desk.reconcile(OTHER)
    assert [(view.account_id, view.quantity) for view in views] == [(OTHER, 1)]


@played()
async def test_reconcile_gives_up_waiting_for_a_broker_that_does_not_answer(here: World) -> None:
    await here.trade(Verb.BUY)

    async def down(_: str) -> None:
        raise Unreachable("down", "no answer")

    here.broker.read = down
    began = here.clock()
    (view,) = await here.desk.reconcile(None)
    assert here.clock() - began <= timedelta(seconds=11)
    assert view.checked_at is None or view.checked_at < began


@played()
async def test_a_connection_is_tested_by_what_it_lists_now(here: World) -> None:
    assert await here.desk.test_connection(here.saved("select id from connections")[0][0]) == here.broker.listed

    async def no(_: str) -> None:
        raise Refused("Denied", "no")

    here.broker.read = no
    with pytest.raises(Refused):
        await here.desk.test_connection(here.saved("select id from connections")[0][0])
