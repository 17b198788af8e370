"""Safeguards, each with a way to switch it off: a checker that notices nothing then is no checker.

The product has no flags for this; a test replaces the safeguard by what a careless engine would do. `known` is a
seed of the kind with which the loss showed; the product moves on, and the loss may now show a few seeds later.

Not here: a list that lacks an order heard of is not taken at its word (`Memory.recent_orders`). Lists lag ten seconds
at most, and each of the waits for them is longer, so this one only spares work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from pytest import MonkeyPatch  # noqa: PT013 - the class itself is the seam

from justtrades import desk, dispatch, executor, others, past
from justtrades.api import webhook
from justtrades.api.alerts import strategy
from justtrades.broker import port
from justtrades.broker.tradovate import broker, budget, calls, penalty, rest, wire
from justtrades.login import Login
from justtrades.positions import book, changes, exits, fold, jobs, plan, settle
from justtrades.positions.events import AnswerLost, CallNotSent
from justtrades.positions.limits import Limits
from justtrades.positions.model import BrokerAccountId, ClientOrderId, Outcome, SignalDone, Status
from justtrades.store import audit, ids, signals
from justtrades.store.session import NotDurable

Off = Callable[[MonkeyPatch], None]


@dataclass(frozen=True, slots=True)
class Ablation:
    """A safeguard by the promise it keeps, the kind of schedule that tries it, and what should notice."""

    promise: str
    off: Off
    kind: str
    noticed_by: tuple[str, ...]
    known: int


# ── doubt ────────────────────────────────────────────────────────────────────────────────────────────────


def _resend(patch: MonkeyPatch) -> None:
    def lost(lane: Any, call: Any, answer: Any, now: Any, limits: Any) -> Any:
        return fold._not_sent(lane, call, CallNotSent(call.id, answer.why), now, limits)

    patch.setattr(fold, "_lost", lost)


def _restart_resends(patch: MonkeyPatch) -> None:
    def restarted(lane: Any, now: Any, limits: Any) -> Any:
        lane = replace(lane, read=None, synced=False, picture_wanted=True, retry_at=None, read_again_at=None)
        return lane if lane.call is None else fold._answered(lane, CallNotSent(lane.call.id, "restart"), now, limits)

    patch.setattr(fold, "_restarted", restarted)


def _one_look(patch: MonkeyPatch) -> None:
    impatient = Limits(settle=timedelta(seconds=0.5), clean_negatives=1)
    patch.setattr("tests.simulation.life.Limits", lambda: impatient)


def _lost_is_refused(patch: MonkeyPatch) -> None:
    def lost(lane: Any, call: Any, answer: AnswerLost, now: Any, limits: Any) -> Any:
        return fold._refused(lane, call, "lost", answer.why, now, limits)

    patch.setattr(fold, "_lost", lost)


def _no_latch(patch: MonkeyPatch) -> None:
    patch.setattr(book, "in_doubt", lambda _: False)


def _failed_reads_are_empty(patch: MonkeyPatch) -> None:
    whole = rest.Rest.rows

    async def rows(self: Any, endpoint: str, *args: Any, **more: Any) -> Any:
        try:
            return await whole(self, endpoint, *args, **more)
        except port.BrokerError:
            return [] if "order" in endpoint or "fill" in endpoint or "position" in endpoint else _raise()

    patch.setattr(rest.Rest, "rows", rows)


def _raise() -> Any:
    raise port.Unreachable("lost")


def _believed_at_once(patch: MonkeyPatch) -> None:
    hasty = Limits(divergence_seen=1, divergence_for=timedelta(0))
    patch.setattr("tests.simulation.life.Limits", lambda: hasty)


def _doubt_is_not_shown(patch: MonkeyPatch) -> None:
    patch.setattr(desk.Desk, "_lanes_not_ready", lambda _: [])


def _orders_of_others_are_not_shown(patch: MonkeyPatch) -> None:
    patch.setattr(others.Others, "_take", lambda *_: None)


# ── knowledge ────────────────────────────────────────────────────────────────────────────────────────────


def _fills_count_twice(patch: MonkeyPatch) -> None:
    patch.setattr(fold, "_fill", lambda lane, fill: replace(lane, fills=(*lane.fills, fill)))
    patch.setattr(past.Past, "is_old", lambda *_: False)


def _old_news_is_news(patch: MonkeyPatch) -> None:
    patch.setattr(past.Past, "is_old", lambda *_: False)


def _ended_is_settled(patch: MonkeyPatch) -> None:
    patch.setattr(book, "settled", lambda _, order: order.status.ended)


def _no_truth_poll(patch: MonkeyPatch) -> None:
    async def never(_: Any) -> None:
        await asyncio.sleep(10**6)

    patch.setattr(Login, "_compare_on_time", never)


def _busts_are_not_heard(patch: MonkeyPatch) -> None:
    patch.setattr(wire, "busted", lambda _: False)


def _an_undone_fill_counts(patch: MonkeyPatch) -> None:
    patch.setattr(fold, "_bust", lambda lane, event, _: replace(lane, busted=(*lane.busted, event.fill_id)))


def _nobody_is_asked(patch: MonkeyPatch) -> None:
    """Entries go on beside what is not ours, whatever a person may want."""
    patch.setattr(settle, "_blocked_by_hand", lambda lane, *_: lane)


def _taken_over_in_words_only(patch: MonkeyPatch) -> None:
    def adopt(lane: Any, adoption: Any, _: Any) -> Any:
        return changes.tell(lane, SignalDone(adoption.signal_id, Outcome.FILLED, "took it over"))

    patch.setattr(fold, "adopt", adopt)


def _ids_follow_the_clock(patch: MonkeyPatch) -> None:
    def new(self: ids.Ids) -> str:
        return ids._text(ids._milliseconds(self._clock()) << 80 | self._rng.getrandbits(80))

    patch.setattr(ids.Ids, "new", new)


def _positions_are_orders(patch: MonkeyPatch) -> None:
    """An alert that says where to be is read by its action alone."""
    patch.setattr(strategy, "position", lambda *_, **more: (None, ()))


# ── closing ──────────────────────────────────────────────────────────────────────────────────────────────


def _close_beside_exits(patch: MonkeyPatch) -> None:
    whole = plan._close

    def close(lane: Any, job: Any, now: Any, limits: Any) -> Any:
        to = job.exit_to if job is not None else 0
        return plan._close_at_market(lane, job, to, now) or whole(lane, job, now, limits)

    patch.setattr(plan, "_close", close)


def _two_in_flight(patch: MonkeyPatch) -> None:
    free = plan._free
    patch.setattr(plan, "_free", lambda lane, now: free(replace(lane, call=None), now))


def _liquidates_what_is_foreign(patch: MonkeyPatch) -> None:
    patch.setattr(plan, "_only_ours", lambda *_: True)
    patch.setattr(plan, "_lost_one", lambda *_: True)


# ── exits ────────────────────────────────────────────────────────────────────────────────────────────────


def _no_exits(patch: MonkeyPatch) -> None:
    patch.setattr(exits, "wanted", lambda _: ())


def _exits_take_their_time(patch: MonkeyPatch) -> None:
    step = exits.next_step

    def later(lane: Any, now: Any, limits: Any) -> Any:
        waited = now - lane.unprotected_since if lane.unprotected_since else timedelta(0)
        return step(lane, now, limits) if waited > timedelta(seconds=25) else None

    patch.setattr(exits, "next_step", later)


def _exits_keep_their_size(patch: MonkeyPatch) -> None:
    patch.setattr(exits, "_fits", lambda *_: True)


def _surplus_stays(patch: MonkeyPatch) -> None:
    patch.setattr(exits, "_surplus", lambda *_: None)


def _off_tick(patch: MonkeyPatch) -> None:
    whole = exits._price

    def price(*args: Any) -> Any:
        found = whole(*args)
        return None if found is None else found + Decimal("0.1")

    patch.setattr(exits, "_price", price)


def _short_of_the_promise(patch: MonkeyPatch) -> None:
    whole = exits._price

    def price(lane: Any, rule: Any, average: Any, kind: Any) -> Any:
        found = whole(lane, rule, average, kind)
        return None if found is None else average - (found - average)

    patch.setattr(exits, "_price", price)


def _ids_are_used_again(patch: MonkeyPatch) -> None:
    patch.setattr(plan, "client_id", lambda lane, offset=0: ClientOrderId(f"jt{lane.tag}-{offset}"))


# ── gates ────────────────────────────────────────────────────────────────────────────────────────────────


def _no_gate(patch: MonkeyPatch) -> None:
    patch.setattr(executor.Executor, "_gate", lambda *_: None)
    patch.setattr(jobs, "_why_not", lambda *_: None)


def _kill_is_forgotten(patch: MonkeyPatch) -> None:
    patch.setattr("justtrades.store.books.keep_kill", lambda *_: None)


def _late_entries_leave(patch: MonkeyPatch) -> None:
    gate, why_not = executor.Executor._gate, jobs._why_not

    def ageless(self: Any, command: Any, *rest: Any) -> Any:
        return gate(self, replace(command, not_after=None) if hasattr(command, "not_after") else command, *rest)

    def patient(lane: Any, job: Any, now: Any) -> Any:
        return why_not(lane, job, min(now, job.signal.received_at))

    patch.setattr(executor.Executor, "_gate", ageless)
    patch.setattr(jobs, "_why_not", patient)


def _no_budget(patch: MonkeyPatch) -> None:
    @asynccontextmanager
    async def turn(self: Any, *_: Any) -> Any:
        self.spend(asyncio.get_running_loop().time())
        yield

    patch.setattr(budget.Budget, "turn", turn)


def _no_penalty(patch: MonkeyPatch) -> None:
    patch.setattr(penalty.Penalty, "admit", lambda *_: None)


# ── what is durable ──────────────────────────────────────────────────────────────────────────────────────


def _answer_before_the_commit(patch: MonkeyPatch) -> None:
    accept, make = webhook.Webhook._accept, webhook.Webhook._new
    made: dict[int, Any] = {}

    async def hasty(self: Any, arrived: Any, reading: Any, reply: Any) -> None:
        new = made[id(arrived)] = make(self, arrived, reading)
        await webhook._tell(signals.Accepted(new.id, duplicate=False), reply)
        deaf: Any = _Deaf()
        asyncio.get_running_loop().call_later(2.0, lambda: self._start(accept(self, arrived, reading, deaf)))

    patch.setattr(webhook.Webhook, "_new", lambda self, arrived, reading: made[id(arrived)])

    patch.setattr(webhook.Webhook, "_accept", hasty)


class _Deaf:
    """A reply that nobody waits for any more."""

    late = False

    async def json(self, *_: Any) -> None:
        return None

    error = content = send = json


def _repeats_are_new(patch: MonkeyPatch) -> None:
    patch.setattr(signals, "_repeat_key", lambda _: None)
    patch.setattr(signals, "_same_bytes_just_now", lambda *_: None)


def _act_before_saving(patch: MonkeyPatch) -> None:
    durably = executor.Executor._durably

    async def later(self: Any, work: Any) -> None:
        asyncio.get_running_loop().call_later(0.1, lambda: asyncio.ensure_future(durably(self, work)))

    patch.setattr(executor.Executor, "_durably", later)


def _a_lost_save_is_let_go(patch: MonkeyPatch) -> None:
    async def once(self: Any, work: Any) -> None:
        try:
            await self._database.write(work)
        except NotDurable:
            return

    patch.setattr(executor.Executor, "_durably", once)


def _unfinished_is_forgotten(patch: MonkeyPatch) -> None:
    patch.setattr(desk.Desk, "_again", lambda *_: None)


def _kept_in_spite_is_forgotten(patch: MonkeyPatch) -> None:
    async def nothing(*_: Any) -> None:
        return None

    patch.setattr(webhook.Webhook, "_take_up_if_kept", nothing)


def _contract_errors_end_signals(patch: MonkeyPatch) -> None:
    async def never(*_: Any) -> bool:
        return True

    patch.setattr(dispatch.Dispatch, "_ask_and_deliver", never)


# ── what is written down ─────────────────────────────────────────────────────────────────────────────────


def _no_audit_row(patch: MonkeyPatch) -> None:
    patch.setattr(audit, "insert", lambda *_: None)


def _events_are_not_written(patch: MonkeyPatch) -> None:
    patch.setattr(broker.TradovateBroker, "frame", lambda *_: None)


def _no_row_for_a_second_try(patch: MonkeyPatch) -> None:
    async def before(*_: Any) -> None:
        return None

    patch.setattr(audit.AuditLog, "before", before)


def _secrets_are_written(patch: MonkeyPatch) -> None:
    patch.setattr(calls, "_without_secrets", lambda value: value)
    patch.setattr(calls.Calls, "struck", lambda _, text, *__: text)
    patch.setattr(audit, "clean", lambda text: text)


def _another_account(patch: MonkeyPatch) -> None:
    prepare = broker.TradovateBroker.prepare

    def elsewhere(self: Any, command: Any, account: Any, contract: Any) -> Any:
        return prepare(self, command, BrokerAccountId("18156003"), contract)

    patch.setattr(broker.TradovateBroker, "prepare", elsewhere)


def _exits_for_what_is_gone(patch: MonkeyPatch) -> None:
    patch.setattr(book, "at_broker", book.held)


def _absent_is_sure(patch: MonkeyPatch) -> None:
    """An order that was not found is forgotten at once, not watched for a day."""
    still = settle.still_of_use

    def forget(lane: Any, order: Any, *rest: Any) -> Any:
        return order.status is not Status.ABSENT and still(lane, order, *rest)

    patch.setattr(plan, "still_of_use", forget)
    patch.setattr(settle, "still_of_use", forget)


ABLATIONS: tuple[Ablation, ...] = (
    Ablation("what nobody answered is not sent again", _resend, "deaf", ("I3",), 0),
    Ablation("what a crash interrupted is not sent again", _restart_resends, "under way", ("I3", "I7"), 2),
    Ablation("not found is believed after a while only", _one_look, "deaf", ("I11",), 3),
    Ablation("no answer is no refusal", _lost_is_refused, "answers", ("I11", "I3", "I4", "I7"), 1),
    Ablation("a lane in doubt sends nothing", _no_latch, "blind", ("I11",), 3),
    Ablation("a failed read is not empty", _failed_reads_are_empty, "blind", ("I11", "I21", "I4"), 13),
    Ablation("a difference is believed when seen again", _believed_at_once, "reads", ("I21",), 4),
    Ablation("doubt is shown", _doubt_is_not_shown, "blind", ("I20",), 0),
    Ablation("each fill counts once", _fills_count_twice, "stream", ("I4", "I8", "I9", "I5"), 0),
    Ablation("old news stays old", _old_news_is_news, "crashes", ("I8", "I9", "I4"), 4),
    Ablation("an order settles with its last fill", _ended_is_settled, "stream", ("I7", "I4", "I5", "I8"), 9),
    Ablation("the broker's lists are compared on time", _no_truth_poll, "deaf", ("I4", "I5", "I6", "I8", "I9"), 17),
    Ablation("an undone fill is heard of", _busts_are_not_heard, "taken over", ("I4", "I8"), 0),
    Ablation("an undone fill counts no more", _an_undone_fill_counts, "taken over", ("I4", "I8"), 0),
    Ablation("what is not ours blocks entries until a person decides", _nobody_is_asked, "hands", ("I21",), 11),
    Ablation("working orders of others are shown", _orders_of_others_are_not_shown, "resting", ("I4",), 0),
    Ablation("what is taken over is in the books", _taken_over_in_words_only, "taken over", ("I21",), 2),
    Ablation("ids rise though the clock is set back", _ids_follow_the_clock, "clock", ("I10",), 10),
    Ablation("a strategy's position is a level", _positions_are_orders, "following", ("following",), 0),
    Ablation("a close waits for the exits' cancel", _close_beside_exits, "calm", ("I7", "I6"), 16),
    Ablation("one command at a time", _two_in_flight, "calm", ("I10", "I3", "I7"), 0),
    Ablation("what is foreign is not liquidated", _liquidates_what_is_foreign, "hands", ("I21",), 22),
    Ablation("a position gets its exits", _no_exits, "calm", ("I5",), 0),
    Ablation("a missing exit is placed while faults last", _exits_take_their_time, "answers", ("I5",), 0),
    Ablation("exits follow the position's size", _exits_keep_their_size, "calm", ("I5", "I7"), 5),
    Ablation("an exit nobody wants is cancelled", _surplus_stays, "hands", ("I6", "I5", "I7"), 4),
    Ablation("no exit for what the broker lacks", _exits_for_what_is_gone, "taken over", ("I7",), 20),
    Ablation("prices are on the tick", _off_tick, "calm", ("I5",), 0),
    Ablation("a target pays", _short_of_the_promise, "calm", ("I5", "I7"), 0),
    Ablation("each order has an id of its own", _ids_are_used_again, "calm", ("I3",), 0),
    Ablation("the gate is asked before the write", _no_gate, "people", ("I12", "I13", "I14"), 0),
    Ablation("the kill switch outlives a restart", _kill_is_forgotten, "people", ("I13",), 0),
    Ablation("an entry too old stays here", _late_entries_leave, "answers", ("I14",), 2),
    Ablation("requests keep to the budget", _no_budget, "answers", ("I15",), 4),
    Ablation("requests keep to the hour's budget", _no_budget, "thrift", ("I15",), 2),
    Ablation("entries rest when the broker says 429", _no_penalty, "penalty", ("I15",), 12),
    Ablation("an alert is kept before it is answered", _answer_before_the_commit, "crashes", ("I1",), 3),
    Ablation("a repeat is one signal", _repeats_are_new, "calm", ("I3",), 0),
    Ablation("saved, then sent", _act_before_saving, "crashes", ("I16", "I3"), 0),
    Ablation("a save that failed is made again", _a_lost_save_is_let_go, "disk", ("I16", "I8", "I4", "I2"), 4),
    Ablation("unfinished signals go on after a restart", _unfinished_is_forgotten, "crashes", ("I2",), 3),
    Ablation("kept in spite of an error is kept", _kept_in_spite_is_forgotten, "disk", ("I2",), 2),
    Ablation("a signal waits until its contract is known", _contract_errors_end_signals, "calm", ("I2",), 0),
    Ablation("each request has its audit row", _no_audit_row, "calm", ("I16",), 0),
    Ablation("each frame of events has its audit row", _events_are_not_written, "calm", ("I16",), 0),
    Ablation("a second try has its audit row", _no_row_for_a_second_try, "the broker says no", ("I16",), 18),
    Ablation("secrets are struck out", _secrets_are_written, "calm", ("I17",), 0),
    Ablation("an order goes to its own account", _another_account, "calm", ("I18",), 0),
    Ablation("an absent order is watched for", _absent_is_sure, "held up", ("I8", "I11"), 1),
)
