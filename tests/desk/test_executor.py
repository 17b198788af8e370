"""One lane's loop: save, then act; one mutation at a time; an error nobody expected stops this lane only."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection

from justtrades.broker.port import Gate, OrderReport, PositionReport, Refused, Request, Sent, Unreachable
from justtrades.executor import INBOX_LIMIT, KeepNews
from justtrades.positions.commands import CancelOrder, ModifyOrder, Mutation, PlaceOrder
from justtrades.positions.events import PictureWanted, SignalReceived
from justtrades.positions.model import (
    Lane,
    News,
    Noted,
    Outcome,
    Purpose,
    Signal,
    SignalDone,
    Status,
    Terms,
    TradeClosed,
    Verb,
)
from tests.broker.tradovate.virtual import settle
from tests.desk.fakes import ACCOUNT, FIRST, MNQ, OTHER, World, played, recorder, ticks

NAN = Decimal("NaN")
CUT = "half of an emoji: \ud83d"
"""No database takes it."""
WITH_TARGET = recorder(targets=ticks(20))


# ── save, then act ───────────────────────────────────────────────────────────────────────────────────────


@played()
async def test_nothing_leaves_before_the_lane_that_explains_it_and_its_audit_row_are_durable(here: World) -> None:
    durable = []

    async def look(command: Mutation) -> None:
        call = here.durable_lane().call
        rows = here.saved("select status from audit where order_id = ?", command.id)
        durable.append((call is not None and call.id == command.id, rows))

    here.broker.before = look
    await here.trade(Verb.BUY, WITH_TARGET)
    await here.until(here.broker.working)
    await here.trade(Verb.BUY, WITH_TARGET)
    await here.until(lambda: here.view().protected)
    await here.trade(Verb.CLOSE)
    assert {type(command) for command in here.broker.sent} == {PlaceOrder, ModifyOrder, CancelOrder}
    assert durable == [(True, [(None,)])] * len(here.broker.sent)


@played()
async def test_a_database_that_cannot_commit_sends_nothing_and_what_is_still_wanted_goes_when_it_can(
    here: World,
) -> None:
    await _flat_lane(here)
    arrival = await here.accept(Verb.BUY)
    here.database.full = True
    here.desk.dispatch(arrival)
    await asyncio.sleep(5)
    assert here.broker.placed() == []
    here.database.full = False
    assert (await here.outcome(arrival.signal_id))[0] is Outcome.FILLED
    assert len(here.broker.placed()) == 1


@played()
async def test_an_entry_that_grew_too_old_while_nothing_could_be_saved_is_not_sent(here: World) -> None:
    await _flat_lane(here)
    arrival = await here.accept(Verb.BUY)
    here.database.full = True
    here.desk.dispatch(arrival)
    await asyncio.sleep(40)
    here.database.full = False
    outcome, reason = await here.outcome(arrival.signal_id)
    assert outcome is Outcome.EXPIRED
    assert "too old" in reason
    assert here.broker.placed() == []


@played()
async def test_a_hint_costs_no_commit_of_its_own_and_is_saved_when_the_inbox_falls_silent(here: World) -> None:
    await _long_with_target(here)
    before = here.database.commits
    _hint(here, "routed")
    await settle()
    assert here.database.commits == before
    assert here.view().targets
    await here.until(lambda: here.lane().idle)
    assert here.database.commits == before + 1
    assert [order.text for order in here.durable_lane().orders if order.purpose is Purpose.TARGET] == ["routed"]


@played()
async def test_a_hint_is_saved_together_with_the_fill_that_follows_it(here: World) -> None:
    await _long_with_target(here)
    before = here.database.commits
    _hint(here, "routed")
    await settle()
    here.broker.fill(here.broker.working()[0])
    await here.until(lambda: here.view().quantity == 0)
    await here.until(lambda: here.lane().idle)
    assert here.saved("select text from orders where purpose = 'target'") == [("routed",)]
    assert here.database.commits == before + 1


# ── one mutation in flight, and ears open ────────────────────────────────────────────────────────────────


@played()
async def test_fills_are_heard_while_the_call_that_made_them_is_under_way(here: World) -> None:
    await _flat_lane(here)
    release = asyncio.Event()
    here.broker.after = lambda _: _wait(release)
    await here.alert(Verb.BUY, WITH_TARGET)
    await here.until(lambda: here.broker.net() == 1)
    await asyncio.sleep(0.5)
    assert any(fill.signed == 1 for fill in here.durable_lane().fills)
    release.set()
    await here.until(lambda: here.view().targets)


@played()
async def test_one_mutation_at_a_time_is_in_flight_on_a_lane(here: World) -> None:
    flying: list[Mutation] = []
    most = []

    async def takes_off(command: Mutation) -> None:
        flying.append(command)
        most.append(len(flying))
        await asyncio.sleep(0.3)

    async def lands(command: Mutation) -> None:
        await asyncio.sleep(0.3)
        flying.remove(command)

    here.broker.before, here.broker.after = takes_off, lands
    signals = [await here.alert(Verb.BUY, WITH_TARGET) for _ in range(4)]
    for signal in signals:
        assert (await here.outcome(signal))[0] is Outcome.FILLED
    await here.until(lambda: here.view().protected and here.view().targets)
    assert len(most) >= 5
    assert set(most) == {1}


@played()
async def test_a_send_that_hangs_on_one_lane_delays_no_other(here: World) -> None:
    release = asyncio.Event()

    async def hangs(command: Mutation) -> None:
        if here.broker.orders == {} and not release.is_set():
            await release.wait()

    here.broker.before = hangs
    stuck = await here.alert(Verb.BUY)
    await here.until(lambda: here.view().signals_waiting == 1)
    here.broker.before = _at_once
    began = here.clock()
    assert await here.trade(Verb.BUY, recorder(OTHER)) is Outcome.FILLED
    assert (here.clock() - began).total_seconds() < 1
    assert here.ended(stuck) is None
    release.set()
    assert (await here.outcome(stuck))[0] is Outcome.FILLED


# ── floods ───────────────────────────────────────────────────────────────────────────────────────────────


@played()
async def test_reports_beyond_the_inbox_are_dropped_and_a_picture_brings_what_they_said(here: World) -> None:
    await _long_with_target(here)
    pictures = here.broker.reads.count("picture")
    for _ in range(INBOX_LIMIT + 500):
        here.broker.tell(PositionReport(FIRST, MNQ, 1, here.clock()))
    here.broker.fill(here.broker.working()[0])
    await settle()
    assert here.lane().waiting <= INBOX_LIMIT
    await here.until(lambda: here.view().quantity == 0)
    assert here.broker.reads.count("picture") > pictures
    assert here.saved("select pnl from recorded_trades where status = 'closed'") == [("10.00",)]
    assert not here.view().blocked


# ── the unexpected ───────────────────────────────────────────────────────────────────────────────────────


@played()
async def test_an_unexpected_error_in_a_step_halts_that_lane_durably_and_says_so(here: World) -> None:
    here.broker.price = NAN
    outcome, reason = await here.outcome(await here.alert(Verb.BUY, WITH_TARGET))
    assert outcome is Outcome.NEEDS_ATTENTION
    assert "halted" in reason
    assert "unexpected ValueError" in here.said()
    way_on = f"justtrades resume {ACCOUNT} {MNQ} --leave"
    assert way_on in reason
    assert way_on in str(here.durable_lane().halted)
    here.broker.price = Decimal(100)
    await here.restart()
    assert here.view().halted
    assert way_on in str(here.view().halt_reason)
    assert await here.trade(Verb.BUY) is Outcome.NEEDS_ATTENTION
    assert len(here.broker.placed()) == 1


@played()
async def test_a_signal_whose_own_step_fails_ends_too(here: World) -> None:
    await _flat_lane(here)
    arrival = await here.accept(Verb.BUY)
    naive = arrival.expires_at.replace(tzinfo=None)
    terms = Terms(quantity=1, add_quantity=1)
    here.lane().tell(SignalReceived(Signal(arrival.signal_id, Verb.BUY, arrival.received_at, naive, terms=terms)))
    outcome, reason = await here.outcome(arrival.signal_id)
    assert outcome is Outcome.NEEDS_ATTENTION
    assert "TypeError" in reason
    assert here.durable_lane().halted is not None


@played()
async def test_other_lanes_go_on_beside_a_halted_one(here: World) -> None:
    here.broker.price = NAN
    await here.trade(Verb.BUY, WITH_TARGET)
    here.broker.price = Decimal(100)
    assert await here.trade(Verb.BUY, recorder(OTHER, targets=ticks(20))) is Outcome.FILLED
    await here.until(lambda: here.view(OTHER).targets)
    assert not here.view(OTHER).halted


@played()
async def test_a_halted_lane_goes_on_from_the_brokers_truth_when_a_person_resumes_it(here: World) -> None:
    here.broker.price = NAN
    await here.trade(Verb.BUY, WITH_TARGET)
    [(lane, fill)] = here.broker.fills
    here.broker.price = Decimal(100)
    here.broker.fills = [(lane, replace(fill, price=here.broker.price))]
    await here.desk.resume(ACCOUNT, MNQ, adopt=False, by="a person")
    await here.until(lambda: here.view().targets)
    assert here.view().quantity == 1
    assert not here.view().halted
    assert await here.trade(Verb.CLOSE) is Outcome.FILLED
    assert here.broker.net() == 0


@played()
async def test_an_error_of_the_adapter_nobody_expected_leaves_the_call_in_doubt_and_halts_the_lane(
    here: World,
) -> None:
    here.broker.after = _raises(RuntimeError("a bug in the adapter"))
    here.broker.read = _raises(Unreachable("down", "no answer"))
    here.broker.mute = True
    await _known_contract(here)
    signal = await here.alert(Verb.BUY)
    await here.until(lambda: here.view().in_doubt)
    assert here.durable_lane().halted is not None
    assert any(order.doubt is not None for order in here.durable_lane().orders)
    assert (await here.outcome(signal))[0] is Outcome.NEEDS_ATTENTION
    here.broker.read = _at_once
    await here.until(lambda: here.view().quantity == 1)
    assert not here.view().in_doubt


@played()
async def test_an_answer_that_breaks_the_step_is_an_answer_lost_and_the_lane_goes_on_when_it_is_resumed(
    here: World,
) -> None:
    await _flat_lane(here)
    send = here.broker.send

    async def garbled(request: Request, gate: Gate) -> Sent:
        await send(request, gate)
        return Sent(None)  # type: ignore[arg-type]  # what no adapter should say

    here.broker.mute = True
    here.broker.send = garbled  # type: ignore[method-assign]
    await here.alert(Verb.BUY)
    await here.until(lambda: here.view().halted)
    here.broker.mute, here.broker.send = False, send  # type: ignore[method-assign]
    await here.desk.resume(ACCOUNT, MNQ, adopt=False, by="a person")
    await here.until(lambda: here.view().quantity == 1)
    assert await here.trade(Verb.CLOSE) is Outcome.FILLED
    assert here.broker.net() == 0


@played()
async def test_an_error_nobody_expected_while_reading_halts_the_lane_that_read(here: World) -> None:
    await _long_with_target(here)
    here.broker.read = _raises(KeyError("entity"))
    here.lane().tell(PictureWanted())
    await here.until(lambda: here.view().halted)
    assert "KeyError" in str(here.view().halt_reason)
    assert not here.running.done()


# ── what cannot be written down ──────────────────────────────────────────────────────────────────────────


@played()
async def test_what_cannot_be_written_down_halts_its_lane_durably_and_ends_no_engine(here: World) -> None:
    await _long_with_target(here)
    target = here.broker.working()[0]
    odd = replace(target, text=CUT, status=Status.CANCELED)
    here.broker.orders[target.broker_id] = odd
    here.broker.tell(OrderReport(FIRST, MNQ, odd))
    await here.until(lambda: here.view().halted)
    way_on = f"justtrades resume {ACCOUNT} {MNQ} --leave"
    assert way_on in str(here.durable_lane().halted)
    assert here.said().count("halted: unexpected") == 1
    pictures = here.broker.reads.count("picture")
    await asyncio.sleep(300)
    assert here.broker.reads.count("picture") - pictures < 10, "the same is not asked for again and again"
    assert await here.trade(Verb.BUY) is Outcome.NEEDS_ATTENTION
    assert await here.trade(Verb.BUY, recorder(OTHER)) is Outcome.FILLED
    await here.restart()
    await asyncio.sleep(60)
    assert here.view().halted

    here.broker.orders[target.broker_id] = replace(odd, text=None)
    await here.desk.resume(ACCOUNT, MNQ, adopt=False, by="a person")
    await here.until(here.broker.working, within=120)
    assert (here.view().quantity, here.view().halted) == (1, False)


@played()
async def test_an_answer_that_cannot_be_written_down_is_an_answer_lost(here: World) -> None:
    async def refuse(command: Mutation) -> None:
        raise Refused("No", CUT)

    await _flat_lane(here)
    here.broker.before = refuse
    signal = await here.alert(Verb.BUY)
    assert (await here.outcome(signal))[0] is Outcome.NEEDS_ATTENTION
    await here.until(lambda: not here.view().in_doubt)
    assert not here.running.done()
    here.broker.before = _at_once
    await here.desk.resume(ACCOUNT, MNQ, adopt=False, by="a person")
    assert await here.trade(Verb.BUY) is Outcome.FILLED


@played()
async def test_the_end_of_a_trade_that_could_not_be_written_down_is_heard_again(here: World) -> None:
    await _long_with_target(here)
    here.lane()._keep_news = _but_for(TradeClosed)
    here.broker.fill(here.broker.working()[0])
    await here.until(lambda: here.view().halted)
    assert here.view().quantity == 1
    here.lane()._keep_news = None
    await here.desk.resume(ACCOUNT, MNQ, adopt=False, by="a person")
    await here.until(lambda: here.view().quantity == 0, within=120)
    assert here.saved("select exit_reason from recorded_trades where status = 'closed'") == [("target",)]


@played()
async def test_a_lane_that_cannot_even_be_halted_ends_the_engine_by_name(here: World) -> None:
    await _long_with_target(here)
    here.lane()._keep_news = _but_for(Noted, SignalDone)
    await here.alert(Verb.CLOSE)
    with pytest.raises(ExceptionGroup) as told:
        await asyncio.wait_for(here.running, 60)
    assert told.group_contains(RuntimeError, match=f"lane {ACCOUNT} {MNQ} cannot even be halted")


# ── short hands ──────────────────────────────────────────────────────────────────────────────────────────


async def _flat_lane(here: World) -> None:
    """The lane exists, is flat and at rest; what was sent so far is forgotten."""
    await here.trade(Verb.BUY)
    await here.trade(Verb.CLOSE)
    await here.until(lambda: here.lane().idle)
    here.broker.sent.clear()


async def _long_with_target(here: World) -> None:
    await here.trade(Verb.BUY, WITH_TARGET)
    await here.until(lambda: here.view().targets)
    await here.until(lambda: here.lane().idle)


async def _known_contract(here: World) -> None:
    """The lane has to ask nothing before it sends."""
    read, after, here.broker.read, here.broker.after = here.broker.read, here.broker.after, _at_once, _at_once
    mute, here.broker.mute = here.broker.mute, False
    await _flat_lane(here)
    here.broker.read, here.broker.after, here.broker.mute = read, after, mute


def _hint(here: World, text: str) -> None:
    order = here.broker.working()[0]
    here.broker.orders[order.broker_id] = replace(order, text=text)
    here.broker.tell(OrderReport(FIRST, MNQ, here.broker.orders[order.broker_id]))


def _but_for(*kinds: type[News]) -> KeepNews:
    def keep(_: Connection, __: Lane, news: tuple[News, ...]) -> None:
        if any(isinstance(told, kinds) for told in news):
            raise ValueError("not this")

    return keep


def _raises(error: Exception) -> Any:
    async def raises(_: object) -> None:
        raise error

    return raises


async def _at_once(_: object) -> None:
    return None


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
