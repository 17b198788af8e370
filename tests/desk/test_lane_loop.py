"""What one lane's loop writes down, says and waits: the journal, its words, and the moments of its tries."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from justtrades.broker.port import Gate, LanePicture, NotHandled, NotSent, Refused, Request, Sent, Unreachable
from justtrades.executor import EXIT_WAIT, picture_taken
from justtrades.positions.commands import CancelOrder, Mutation, PlaceOrder
from justtrades.positions.events import PictureWanted, SignalReceived
from justtrades.positions.model import AccountId, Noted, Outcome, Purpose, Signal, SignalId, Terms, Verb
from tests.broker.tradovate import virtual
from tests.broker.tradovate.virtual import settle
from tests.desk.fakes import ACCOUNT, FIRST, MNQ, World, nothing, played, recorder, ticks

WITH_TARGET = recorder(targets=ticks(20))
DOWN = Unreachable("down", "no answer")


class Longest(random.Random):
    """Each wait is as long as it may be."""

    def random(self) -> float:
        return 1.0

    def getrandbits(self, k: int, /) -> int:
        """So that a choice is still drawn: it does not go by `random`."""
        return super().getrandbits(k)


# ── the journal and the audit ────────────────────────────────────────────────────────────────────────────


@played()
async def test_the_journal_has_a_signal_a_fill_and_an_answer_under_their_names_and_once(here: World) -> None:
    signal = await here.alert(Verb.BUY)
    await here.outcome(signal)
    await here.until(lambda: here.lane().idle)
    [(entry,)] = here.saved("select id from orders where purpose = 'entry'")
    [(_, fill)] = here.broker.fills
    keys = [key for (key,) in here.saved("select key from journal where key is not null")]
    assert sorted(keys) == sorted([f"signal:{signal}", f"fill:{fill.id}", f"answer:{entry}:CallAccepted"])


@played()
async def test_the_journal_says_what_was_decided_on_an_event_and_when_even_if_it_was_saved_later(here: World) -> None:
    await _flat(here)
    arrival = await here.accept(Verb.BUY)
    here.database.full = True
    here.desk.dispatch(arrival)
    decided = here.clock()
    await asyncio.sleep(8)
    here.database.full = False
    await here.outcome(arrival.signal_id)
    query = "select at, commands_json from journal where key = ?"
    [(at, commands)] = here.saved(query, f"signal:{arrival.signal_id}")
    assert [*json.loads(commands)[0]] == ["PlaceOrder"]
    written = here.saved("select at from audit where endpoint = 'PlaceOrder' order by id desc")[0][0]
    assert at[:19] == f"{decided:%Y-%m-%dT%H:%M:%S}"
    assert written == at, "the row of a request has the moment at which it was decided on"


@played()
async def test_what_was_decided_after_several_events_stands_with_the_last_of_them(here: World) -> None:
    await _flat(here)
    entry = await here.accept(Verb.BUY)
    here.lane().tell(PictureWanted())
    here.desk.dispatch(entry)
    await here.outcome(entry.signal_id)
    [(commands,)] = here.saved("select commands_json from journal where key = ?", f"signal:{entry.signal_id}")
    assert "PlaceOrder" in commands


@played()
async def test_a_request_is_in_the_audit_with_its_words_its_signal_its_order_and_its_login(here: World) -> None:
    await here.trade(Verb.BUY, WITH_TARGET)
    await here.until(here.broker.working)
    target = here.broker.placed(Purpose.TARGET)[0]
    query = "select request, signal_id, connection_id, method from audit where order_id = ?"
    [(request, signal_id, connection_id, method)] = here.saved(query, target.id)
    assert json.loads(request) == {"clOrdId": target.id, "price": str(target.price)}
    assert (signal_id, connection_id, method) == (target.signal_id, "paper", "POST")


# ── signals that come together ───────────────────────────────────────────────────────────────────────────


@played()
async def test_an_entry_and_a_close_taken_from_the_queue_together_are_two_steps(here: World) -> None:
    """Folded in together, the close would overtake an entry that came before it and was never judged."""
    await _flat(here)
    entry, close = await here.accept(Verb.BUY), await here.accept(Verb.CLOSE)
    here.lane().tell(PictureWanted())
    here.desk.dispatch(entry)
    here.desk.dispatch(close)
    assert (await here.outcome(entry.signal_id))[0] is Outcome.FILLED
    assert (await here.outcome(close.signal_id))[0] is Outcome.FILLED
    assert here.broker.net() == 0
    [(commands,)] = here.saved("select commands_json from journal where key = ?", f"signal:{entry.signal_id}")
    assert "PlaceOrder" in commands


@played()
async def test_a_fill_is_durable_before_the_inbox_has_fallen_silent(here: World) -> None:
    await _flat(here)
    release = asyncio.Event()
    here.broker.after = lambda _: _wait(release)
    await here.alert(Verb.BUY)
    await here.until(lambda: here.broker.net() == 1)
    await settle()
    assert here.saved("select count(*) from fills") == [(3,)]
    release.set()


# ── a lane at rest, and one that ends ────────────────────────────────────────────────────────────────────


@played()
async def test_a_lane_that_has_looked_goes_back_to_rest_and_neither_thinks_nor_saves(here: World) -> None:
    await _flat(here)
    await asyncio.sleep(120)
    turns, patience, commits = [], here.lane()._patience, here.database.commits

    def counted() -> tuple[float | None, bool]:
        turns.append(here.clock())
        return patience()

    here.lane()._patience = counted  # type: ignore[method-assign]
    here.lane().tell(PictureWanted())
    await asyncio.sleep(60)
    assert len(turns) < 20
    assert here.database.commits <= commits + 2


@played()
async def test_what_waits_is_what_is_in_the_inbox_and_the_signals_that_have_not_ended(here: World) -> None:
    await _flat(here)
    release = asyncio.Event()
    here.broker.before = lambda _: _wait(release)
    await here.alert(Verb.BUY)
    await asyncio.sleep(1)
    assert here.lane().waiting == 1
    here.lane().tell(PictureWanted())
    assert here.lane().waiting == 2
    release.set()
    await here.until(lambda: here.lane().waiting == 0)


@played()
async def test_a_lane_that_comes_back_from_the_database_is_saved_already(here: World) -> None:
    await _flat(here)
    lane = here.lane()
    lane.mark_saved()
    assert lane.idle


@played()
async def test_when_a_loop_ends_its_requests_have_ended_before_it(here: World) -> None:
    ended = []

    async def slow_to_end(_: Mutation) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(1)
            ended.append(here.clock())

    here.broker.before = slow_to_end
    await here.alert(Verb.BUY)
    await asyncio.sleep(1)
    [task] = here.lane()._acts
    here.running.cancel()
    await asyncio.gather(here.running, return_exceptions=True)
    assert task.done()
    assert len(ended) == 1


# ── halts ────────────────────────────────────────────────────────────────────────────────────────────────


@played()
async def test_a_halt_is_an_alarm_at_the_trade_that_is_open_and_in_the_log_with_its_error(here: World) -> None:
    signal = await here.alert(Verb.BUY, WITH_TARGET)
    await here.until(lambda: here.view().targets)
    error = KeyError("entity")
    here.broker.read = _raises(error)
    with _logged() as records:
        here.lane().tell(PictureWanted())
        await here.until(lambda: here.view().halted)
    [failed] = _journal(here, "ReadFailed")
    assert failed["why"] == "unexpected KeyError"
    [told] = [told for told in here.news if isinstance(told, Noted) and told.text.startswith("halted: ")]
    assert (told.signal_id, told.alarm) == (signal, True)
    assert "unexpected KeyError on ReadFailed: 'entity'" in told.text
    [record] = [record for record in records if record.levelno == logging.ERROR]
    reason = here.durable_lane().halted
    assert record.getMessage() == f"lane {ACCOUNT} {MNQ} halts: {reason}"
    assert record.exc_info is not None
    assert record.exc_info[1] is error


@played(lots=Longest())
async def test_a_signal_that_breaks_its_step_ends_and_what_waited_in_the_lane_ends_with_the_halt_at_once(
    here: World,
) -> None:
    await here.trade(Verb.BUY)
    here.broker.before = _raises(NotSent("connect", "refused"))
    close = await here.alert(Verb.CLOSE)
    await asyncio.sleep(10)
    broken = await here.accept(Verb.BUY)
    here.lane().tell(_garbled(broken.signal_id, here))
    await asyncio.sleep(0.1)
    for signal in (close, broken.signal_id):
        outcome, reason = here.ended(signal) or (None, "")
        assert outcome is Outcome.NEEDS_ATTENTION
        assert "unexpected TypeError on SignalReceived" in reason


@played()
async def test_a_request_that_cannot_even_be_written_down_never_leaves_and_halts_the_lane(here: World) -> None:
    await _flat(here)

    def prepare(*_: object) -> Request:
        raise LookupError("no such action")

    here.broker.prepare = prepare  # type: ignore[method-assign, assignment]
    outcome, reason = await here.outcome(await here.alert(Verb.BUY))
    assert outcome is Outcome.NEEDS_ATTENTION
    assert "unexpected LookupError" in reason
    assert here.broker.sent == []
    assert _journal(here, "CallNotSent") == [
        {"call_id": _last_id(here), "why": "unexpected LookupError", "final": True}
    ]


@played()
async def test_an_answer_nobody_expected_is_journaled_by_the_name_of_its_error(here: World) -> None:
    await _flat(here)
    here.broker.after = _raises(RuntimeError("a bug in the adapter"))
    await here.alert(Verb.BUY)
    await here.until(lambda: here.view().halted)
    assert [lost["why"] for lost in _journal(here, "AnswerLost")] == ["unexpected RuntimeError"]


@played()
async def test_an_answer_that_breaks_its_step_is_journaled_as_lost_by_the_name_of_its_error(here: World) -> None:
    await _flat(here)
    send = here.broker.send

    async def garbled(request: Request, gate: Gate) -> Sent:
        await send(request, gate)
        return Sent(None)  # type: ignore[arg-type]  # what no adapter should say

    here.broker.send = garbled  # type: ignore[method-assign]
    await here.alert(Verb.BUY)
    await here.until(lambda: here.view().halted)
    await here.until(lambda: here.lane().idle)
    assert [lost["why"] for lost in _journal(here, "AnswerLost")] == ["unexpected TypeError on its answer"]


@played()
async def test_a_halt_over_what_cannot_be_saved_says_so_in_the_log_and_loses_the_answer_that_came(here: World) -> None:
    await _flat(here)
    here.broker.before = _raises(Refused("No", "half a letter: \ud83d"))
    with _logged() as records:
        signal = await here.alert(Verb.BUY)
        await here.until(lambda: here.view().halted)
    await here.outcome(signal)
    reason = str(here.durable_lane().halted)
    assert "unexpected UnicodeEncodeError on saving: " in reason
    [record] = [record for record in records if record.levelno == logging.ERROR]
    assert record.getMessage() == f"lane {ACCOUNT} {MNQ} halts: {reason}"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], UnicodeEncodeError)
    await here.until(lambda: here.lane().idle)
    assert [lost["why"] for lost in _journal(here, "AnswerLost")] == ["unexpected UnicodeEncodeError on its answer"]


@played()
async def test_a_doubt_is_as_old_as_the_answer_that_was_lost(here: World) -> None:
    await _flat(here)
    here.broker.before = here.broker.read = _raises(DOWN)
    await here.alert(Verb.BUY)
    await asyncio.sleep(12)
    assert 11.5 < here.view().doubt_seconds <= 12


# ── a database that takes nothing ────────────────────────────────────────────────────────────────────────


@played(lots=Longest())
async def test_a_save_that_failed_is_made_again_after_waits_that_double_up_to_five_seconds(here: World) -> None:
    await _flat(here)
    arrival = await here.accept(Verb.BUY)
    here.database.full = True
    with _logged() as records:
        here.desk.dispatch(arrival)
        await asyncio.sleep(22)
    here.database.full = False
    at = here.database.refused_at
    waits = [(later - earlier).total_seconds() for earlier, later in pairwise(at)]
    assert waits == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5], abs=0.001)
    full = "not durable: the disk is full"
    said = [record.getMessage() for record in records if record.levelno == logging.ERROR]
    assert said == [f"lane {MNQ} cannot be saved (try {number}): {full}" for number in range(1, len(at) + 1)]
    assert (await here.outcome(arrival.signal_id))[0] is Outcome.FILLED


# ── tries ────────────────────────────────────────────────────────────────────────────────────────────────


@played(lots=Longest())
async def test_a_close_that_never_left_is_tried_again_after_waits_that_double_up_to_half_a_minute(here: World) -> None:
    await here.trade(Verb.BUY)
    tries = []

    async def refused(_: Mutation) -> None:
        tries.append(here.clock())
        raise NotSent("connect", "refused")

    here.broker.before = refused
    await here.alert(Verb.CLOSE)
    await asyncio.sleep(130)
    waits = [(later - earlier).total_seconds() for earlier, later in pairwise(tries)]
    assert waits == pytest.approx([0.25, 0.5, 1, 2, 4, 8, 16, 30, 30, 30], abs=0.05)
    assert _journal(here, "CallNotSent")[0]["why"] == "connect: refused"


@played(lots=Longest())
async def test_an_entry_that_never_left_is_tried_again_after_waits_that_double_up_to_two_seconds(here: World) -> None:
    tries = []

    async def refused(_: Mutation) -> None:
        tries.append(here.clock())
        raise NotSent("connect", "refused")

    here.broker.before = refused
    signal = await here.alert(Verb.BUY)
    assert (await here.outcome(signal))[0] is Outcome.EXPIRED
    waits = [(later - earlier).total_seconds() for earlier, later in pairwise(tries)]
    assert waits[:3] == pytest.approx([0.25, 0.5, 1], abs=0.05)
    assert waits[3:] == pytest.approx([2.0] * len(waits[3:]), abs=0.05)
    assert 14 <= len(tries) <= 20


@played()
async def test_an_entry_rests_as_long_as_the_broker_asks_and_an_exit_a_minute_at_most(here: World) -> None:
    wait = timedelta(minutes=5)
    here.broker.before = _raises(NotHandled("429", "slow down", wait=wait))
    await here.outcome(await here.alert(Verb.BUY))
    [entry] = _journal(here, "CallNotSent")
    assert _rest(here) == wait
    assert entry["why"] == "429: slow down"
    assert "final" not in entry
    here.broker.before = nothing
    await asyncio.sleep(wait.total_seconds())
    await here.trade(Verb.BUY)
    here.broker.before = _raises(NotHandled("429", "slow down", wait=wait))
    await here.alert(Verb.CLOSE)
    await asyncio.sleep(1)
    assert _rest(here) == EXIT_WAIT


@played()
async def test_where_only_a_person_can_help_an_exit_is_tried_again_in_a_minute_and_an_entry_is_over(
    here: World,
) -> None:
    here.broker.before = _raises(NotHandled("p-captcha", "log in once"))
    assert await here.trade(Verb.BUY) is Outcome.NOT_PLACED
    [entry] = _journal(here, "CallNotSent")
    assert (entry["final"], entry.get("again_at")) == (True, None)
    here.broker.before = nothing
    await here.trade(Verb.BUY)
    here.broker.before = _raises(NotHandled("p-captcha", "log in once"))
    close = await here.alert(Verb.CLOSE)
    await asyncio.sleep(1)
    assert (_journal(here, "CallNotSent")[-1]["final"], _rest(here)) == (True, EXIT_WAIT)
    here.broker.before = nothing
    assert (await here.outcome(close))[0] is Outcome.FILLED


@played()
async def test_what_the_broker_named_and_said_of_a_lost_answer_and_of_a_refusal_is_journaled(here: World) -> None:
    await _flat(here)
    here.broker.before = _raises(Unreachable("UnknownReason", "try later", named=True))
    await here.trade(Verb.BUY)
    [lost] = _journal(here, "AnswerLost")
    assert (lost["why"], lost["broker_reason"]) == ("UnknownReason: try later", "UnknownReason: try later")
    here.broker.before = _raises(Refused("MaxPosLimitReached", "at most five"))
    outcome, reason = await here.outcome(await here.alert(Verb.BUY))
    assert outcome is Outcome.REJECTED
    assert "at most five" in reason
    [refused] = _journal(here, "CallRefused")
    assert (refused["reason"], refused["text"]) == ("MaxPosLimitReached", "at most five")


# ── the gate ─────────────────────────────────────────────────────────────────────────────────────────────


@played()
async def test_the_gate_says_why_an_entry_is_not_sent(here: World) -> None:
    await _flat(here)
    for shut, why in ((_kill, "the kill switch is on"), (_halt, "the lane is halted")):
        here.broker.before = _once(here, shut)
        await here.outcome(await here.alert(Verb.BUY))
        assert _journal(here, "CallNotSent")[-1]["why"] == f"gate: {why}"
        here.lane()._switch.on, here.lane().lane = False, replace(here.lane().lane, halted=None)
    late = _once(here, lambda _: setattr(here.clock, "ahead", here.clock.ahead + timedelta(seconds=30)))
    here.broker.before = late
    await here.outcome(await here.alert(Verb.BUY))
    assert _journal(here, "CallNotSent")[-1]["why"] == "gate: the entry is too old to be sent"
    assert here.broker.placed(Purpose.ENTRY) == []


@played()
async def test_an_entry_is_too_old_at_the_very_moment_that_it_must_not_be_sent_after(here: World) -> None:
    await _flat(here)
    asked = []

    async def held_back(command: Mutation) -> None:
        assert isinstance(command, PlaceOrder)
        assert command.not_after is not None
        here.clock.ahead += command.not_after - here.clock()
        asked.append(command)

    here.broker.before = held_back
    assert await here.trade(Verb.BUY) is Outcome.EXPIRED
    assert len(asked) == 1
    assert here.broker.placed(Purpose.ENTRY) == []


@played()
async def test_a_cancel_goes_while_the_kill_switch_is_on_and_the_account_takes_no_entry(here: World) -> None:
    await here.trade(Verb.BUY, WITH_TARGET)
    await here.until(here.broker.working)
    here.lane()._switch.on = True
    here.lane()._barred = lambda: "the account is locked"
    assert await here.trade(Verb.CLOSE) is Outcome.FILLED
    assert [c for c in here.broker.sent if isinstance(c, CancelOrder)]
    assert here.broker.net() == 0


@played()
async def test_what_bars_an_entry_is_journaled_apart_and_the_entry_goes_once_it_bars_no_more(here: World) -> None:
    await _flat(here)
    here.lane()._barred = lambda: "the account is locked"
    signal = await here.alert(Verb.BUY)
    await asyncio.sleep(3)
    here.lane()._barred = lambda: None
    assert (await here.outcome(signal))[0] is Outcome.FILLED
    told = _journal(here, "CallNotSent")[0]
    assert (told["why"], told["barred"]) == ("gate: the account is locked", "the account is locked")


# ── reads ────────────────────────────────────────────────────────────────────────────────────────────────


@played()
async def test_it_is_looked_for_an_order_in_its_name_and_its_signals_and_each_look_is_counted(here: World) -> None:
    await _flat(here)
    here.broker.before = _raises(DOWN)
    here.broker.read = _raises(Unreachable("busy", "not now"))
    signal = await here.alert(Verb.BUY)
    await here.until(lambda: len(here.broker.askers) >= 2)
    await settle()
    here.broker.read = nothing
    await here.outcome(signal)
    order = _last_id(here)
    assert {(a.account, a.order_id, a.signal_id) for a in here.broker.askers} == {(FIRST, order, signal)}
    assert [read["requests"] for read in _journal(here, "ReadFailed")] == [1, 1]
    assert {read["why"] for read in _journal(here, "ReadFailed")} == {"busy: not now"}
    assert {read["requests"] for read in _journal(here, "Looked")} == {1}


@played()
async def test_a_picture_for_a_cancel_in_doubt_is_taken_in_its_orders_name_and_its_signals(here: World) -> None:
    signal = await here.alert(Verb.BUY, WITH_TARGET)
    await here.until(here.broker.working)
    target = here.broker.placed(Purpose.TARGET)[0]

    async def lost(command: Mutation) -> None:
        if isinstance(command, CancelOrder):
            here.broker.before = nothing
            raise DOWN

    here.broker.before = lost
    assert await here.trade(Verb.CLOSE) is Outcome.FILLED
    assert {(a.account, a.order_id) for a in here.broker.askers} == {(FIRST, target.id)}
    assert {a.signal_id for a in here.broker.askers} <= {signal, target.signal_id}
    assert here.broker.askers[0].signal_id is not None


@played()
async def test_a_picture_that_failed_is_journaled_in_the_readers_words(here: World) -> None:
    await here.trade(Verb.BUY, WITH_TARGET)
    await here.until(lambda: here.view().targets)
    here.broker.read = _raises(Unreachable("busy", "not now"))
    here.lane().tell(PictureWanted())
    await asyncio.sleep(1)
    here.broker.read = nothing
    assert {read["why"] for read in _journal(here, "ReadFailed")} == {"busy: not now"}


def test_a_picture_says_when_its_position_moved_and_is_one_beside_a_stream_unless_it_says_not() -> None:
    shown = LanePicture(FIRST, MNQ, quantity=2, moved_at=virtual.BEGAN)
    taken = picture_taken(virtual.BEGAN, shown)
    assert (taken.position_at, taken.quantity, taken.streaming) == (virtual.BEGAN, 2, True)
    assert not picture_taken(virtual.BEGAN, shown, streaming=False).streaming


# ── short hands ──────────────────────────────────────────────────────────────────────────────────────────


async def _flat(here: World) -> None:
    """The lane exists, is flat and at rest; what was sent so far is forgotten."""
    await here.trade(Verb.BUY)
    await here.trade(Verb.CLOSE)
    await here.until(lambda: here.lane().idle)
    here.broker.sent.clear()


def _journal(here: World, event: str, account: AccountId = ACCOUNT) -> list[dict[str, Any]]:
    """What the journal has of one kind of event, the oldest first; a field that has its default is left out."""
    query = "select event_json from journal where account_id = ? order by number"
    told = (json.loads(text) for (text,) in here.saved(query, account))
    return [fields[event] for fields in told if event in fields]


def _rest(here: World) -> timedelta:
    """From the last answer that said "not sent" until the next try, to a tenth of a second."""
    query = "select at, event_json from journal where event_json like '{\"CallNotSent%' order by number desc limit 1"
    [(at, event)] = here.saved(query)
    again = datetime.fromisoformat(json.loads(event)["CallNotSent"]["again_at"])
    began = datetime.fromisoformat(at).replace(tzinfo=again.tzinfo)
    return timedelta(seconds=round((again - began).total_seconds(), 1))


def _last_id(here: World) -> str:
    found: str = here.saved("select id from orders order by number desc")[0][0]
    return found


def _garbled(signal_id: SignalId, here: World) -> SignalReceived:
    """A signal that no step can take: its end has no time zone."""
    naive = here.clock().replace(tzinfo=None)
    terms = Terms(quantity=1, add_quantity=1)
    return SignalReceived(Signal(signal_id, Verb.BUY, here.clock(), naive, terms=terms))


def _raises(error: Exception) -> Any:
    async def raises(_: object) -> None:
        raise error

    return raises


def _once(here: World, act: Any) -> Any:
    async def before(_: object) -> None:
        here.broker.before = nothing
        act(here)

    return before


def _kill(here: World) -> None:
    here.lane()._switch.on = True


def _halt(here: World) -> None:
    here.lane().lane = replace(here.lane().lane, halted="by a test")


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


@contextmanager
def _logged() -> Iterator[list[logging.LogRecord]]:
    """What the lanes log meanwhile."""
    found: list[logging.LogRecord] = []
    log, keeps = logging.getLogger("justtrades.executor"), logging.Handler()
    keeps.emit = found.append  # type: ignore[method-assign, assignment]
    log.addHandler(keeps)
    try:
        yield found
    finally:
        log.removeHandler(keeps)
