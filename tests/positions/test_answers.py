"""What the broker's answers make of a lane: what is known at once, what is tried again and when, what is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from justtrades.positions.commands import (
    CancelOrder,
    Command,
    Liquidate,
    LookForOrders,
    ModifyOrder,
    PlaceOrder,
    TakePicture,
)
from justtrades.positions.events import (
    AnswerLost,
    CallAccepted,
    CallNotSent,
    CallRefused,
    ConnectionLost,
    ContractLearned,
    Event,
    OrderReported,
    PictureWanted,
    ReadFailed,
)
from justtrades.positions.model import ClientOrderId, Noted, Order, Outcome, Purpose, Status, Verb
from tests.positions.lane_world import World, holding, started, terms

Answers = Callable[[Command, Event], list[Event]]
Say = Callable[[ClientOrderId], Event]


def id_of(command: Command) -> ClientOrderId:
    return ClientOrderId(str(getattr(command, "id", "")))


def closes(command: Command) -> bool:
    return isinstance(command, Liquidate) or (isinstance(command, PlaceOrder) and command.purpose is Purpose.CLOSE)


def targets(command: Command) -> bool:
    return isinstance(command, PlaceOrder) and command.purpose is Purpose.TARGET


def enters(command: Command) -> bool:
    return isinstance(command, PlaceOrder) and command.purpose is Purpose.ENTRY


def changes(command: Command) -> bool:
    return isinstance(command, ModifyOrder)


def answering(which: Callable[[Command], bool], *said: Say) -> Answers:
    """Calls of this kind are answered so, one after the other, and for ever as the last one."""
    left = list(said)

    def answer(command: Command, event: Event) -> list[Event]:
        if not which(command):
            return [event]
        say = left.pop(0) if len(left) > 1 else left[0]
        return [say(id_of(command))]

    return answer


def unsent(call_id: ClientOrderId, **more: object) -> Event:
    return CallNotSent(call_id, "HTTP 429", **more)  # type: ignore[arg-type]  # fields by name


def without_effect(world: World, which: Callable[[Command], bool], *said: Say) -> None:
    """Calls of this kind are answered so and do nothing at the broker."""
    carry, answers = world.carry_out, answering(which, *said)

    def carried(command: Command) -> Event:
        return TAKEN if which(command) else carry(command)

    world.carry_out = carried  # type: ignore[method-assign]  # this broker is told what to answer
    world.answer = answers


TAKEN = ReadFailed("never seen: `answering` says something else")


def moments(world: World, which: Callable[[Command], bool]) -> list[float]:
    """Seconds at which commands of this kind leave from now on."""
    begun, found = world.now, []
    answer = world.answer

    def noted(command: Command, event: Event) -> list[Event]:
        if which(command):
            found.append(round((world.now - begun).total_seconds(), 2))
        return answer(command, event)

    world.answer = noted
    return found


def order(world: World, purpose: Purpose) -> Order:
    return [o for o in world.lane.orders if o.purpose is purpose][-1]


def alarms(world: World) -> list[str]:
    return [n.text for n in world.news if isinstance(n, Noted) and n.alarm]


# ── a close ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_refused_close_is_tried_five_times_ever_more_slowly_and_then_says_what_the_broker_said() -> None:
    world = holding()
    world.refuses = "RiskCheck"
    tried = moments(world, closes)
    signal = world.alert(Verb.CLOSE)
    world.wait(30)
    assert [round(b - a, 2) for a, b in pairwise(tried)] == [0.25, 0.5, 1.0, 2.0]
    done = world.outcome(signal)
    assert (done.outcome, done.reason) == (Outcome.REJECTED, "RiskCheck: the broker said no")


def test_a_close_that_could_not_be_sent_counts_as_no_try() -> None:
    world = holding()
    without_effect(world, closes, lambda i: CallRefused(i, "RiskCheck"), unsent)
    world.alert(Verb.CLOSE)
    world.wait(5)
    assert len([c for c in world.commands if closes(c)]) > 3
    assert world.lane.jobs[0].exit_tries == 1


def test_a_close_that_could_not_be_sent_even_once_counts_as_none() -> None:
    world = holding()
    without_effect(world, closes, unsent)
    world.alert(Verb.CLOSE)
    world.wait(5)
    assert world.lane.jobs[0].exit_tries == 0


def test_a_close_waits_as_long_as_the_broker_asks() -> None:
    world = holding()
    again = world.now + timedelta(seconds=7)
    without_effect(world, closes, lambda i: unsent(i, again_at=again), unsent)
    tried = moments(world, closes)
    world.alert(Verb.CLOSE)
    world.wait(7.1)
    assert tried == [0, 7]


def test_waits_grow_anew_from_the_shortest_once_a_call_was_taken() -> None:
    world = holding()
    without_effect(world, closes, unsent)
    world.alert(Verb.CLOSE)
    world.wait(5)
    assert world.lane.retries > 3
    without_effect(world, closes, lambda i: CallAccepted(i, ()))
    world.wait(10)
    assert (world.lane.retries, world.lane.retry_at) == (0, None)


def test_a_lost_close_rests_before_it_is_looked_into_again_and_other_lost_calls_do_not() -> None:
    world = holding()
    without_effect(world, closes, lambda i: AnswerLost(i, "timed out"))
    world.alert(Verb.CLOSE)
    world.run()
    assert world.lane.retry_at == world.now + timedelta(seconds=0.25)
    other = started()
    without_effect(other, enters, lambda i: AnswerLost(i, "timed out"))
    other.alert(Verb.BUY)
    other.run()
    assert other.lane.retry_at is None


def test_a_liquidation_of_nothing_is_looked_into_with_a_picture() -> None:
    world = holding()
    world.carries_flat = True
    world.alert(Verb.CLOSE)
    world.wait(60)
    first = next(n for n, c in enumerate(world.commands) if isinstance(c, Liquidate))
    assert isinstance(world.commands[first + 1], TakePicture)


# ── a change of a target ─────────────────────────────────────────────────────────────────────────────────────


def adding(*said: Say) -> World:
    """One contract is added to one; the change of the target that follows is answered so."""
    world = holding()
    without_effect(world, changes, *said)
    world.alert(Verb.BUY)
    world.run()
    return world


def test_an_accepted_change_counts_at_once_and_an_older_report_does_not_undo_it() -> None:
    world = holding()
    world.move("98")
    (resting,) = world.working()
    old = resting.report()
    without_effect(world, changes, lambda i: CallAccepted(i, ()))
    world.alert(Verb.BUY)
    world.run()
    for _ in range(2):
        target = order(world, Purpose.TARGET)
        assert (target.quantity, target.price, target.changed_at) == (2, Decimal(104), world.now)
        world.tell(OrderReported(replace(old, version=target.version)))


def test_a_change_refused_twice_is_made_by_cancelling_and_placing_anew() -> None:
    world = adding(lambda i: CallRefused(i, "InvalidPrice"))
    world.wait(5)
    sent = [type(c) for c in world.commands[-8:]]
    assert sent[sent.index(ModifyOrder) :] == [
        ModifyOrder,
        TakePicture,
        ModifyOrder,
        TakePicture,
        CancelOrder,
        PlaceOrder,
    ]
    assert [o.quantity for o in world.working()] == [2]


def test_a_change_refused_and_then_taken_begins_to_count_anew() -> None:
    world = adding(lambda i: CallRefused(i, "InvalidPrice"), lambda i: CallAccepted(i, ()))
    assert order(world, Purpose.TARGET).modify_refused == 0
    world = adding(lambda i: CallRefused(i, "InvalidPrice"), unsent)
    assert order(world, Purpose.TARGET).modify_refused == 1


# ── a cancel ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("reason", ["TooLate", "HTTP 404", "RiskCheck"])
def test_a_refused_cancel_ends_nothing_by_itself_and_asks_for_a_picture(reason: str) -> None:
    world = holding()
    without_effect(world, lambda c: isinstance(c, CancelOrder), lambda i: CallRefused(i, reason))
    world.alert(Verb.CLOSE)
    world.run()
    assert order(world, Purpose.TARGET).status is Status.WORKING
    assert [type(c) for c in world.commands[-2:]] == [CancelOrder, TakePicture]


# ── a target ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_target_that_could_not_be_sent_waits_as_asked_and_holds_no_close_back() -> None:
    world = started()
    again = world.now + timedelta(seconds=20)
    without_effect(world, targets, lambda i: unsent(i, again_at=again))
    world.alert(Verb.BUY)
    world.wait(5)
    assert len([c for c in world.commands if targets(c)]) == 1
    assert (world.lane.protect_again_at, world.lane.retry_at) == (again, None)
    gone = order(world, Purpose.TARGET)
    assert (gone.status, gone.unsent, gone.reason) == (Status.ABSENT, False, "HTTP 429")
    done = world.alert(Verb.CLOSE)
    world.wait(1)
    assert world.outcome(done).outcome is Outcome.FILLED


def test_a_half_of_a_pair_that_a_report_showed_stays_when_the_rest_counts_as_unsent() -> None:
    world = started()
    pending: list[PlaceOrder] = []

    def answer(command: Command, event: Event) -> list[Event]:
        if isinstance(command, PlaceOrder) and command.other is not None:
            pending.append(command)
            return []
        return [event]

    world.answer = answer
    world.alert(Verb.BUY, terms(1, stop=20))
    while world.queue and not pending:
        world.tell(world.queue.pop(0))
    world.tell(next(e for e in world.queue if isinstance(e, OrderReported) and e.order.client_id == pending[0].id))
    world.queue.clear()
    world.tell(CallNotSent(pending[0].id, "no connection"))
    assert (order(world, Purpose.TARGET).status, order(world, Purpose.STOP).status) == (Status.WORKING, Status.ABSENT)


def test_what_cannot_be_sent_at_all_is_an_alarm_once_for_exits_and_none_for_entries() -> None:
    def never(call_id: ClientOrderId) -> Event:
        return CallNotSent(call_id, "a captcha", final=True)

    world = started()
    without_effect(world, targets, never)
    signal = world.alert(Verb.BUY)
    world.wait(9)
    text = "nothing can be sent to the broker for MNQZ6, not even exits: a captcha"
    assert [n for n in world.news if isinstance(n, Noted)] == [Noted(signal, text, alarm=True)]
    world = started()
    without_effect(world, enters, never)
    world.alert(Verb.BUY)
    world.wait(5)
    assert alarms(world) == []


# ── an entry ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_entry_is_at_the_broker_with_its_answer_before_any_report() -> None:
    world = started()
    world.alert(Verb.BUY)
    world.answer = lambda _, event: [event]
    world.tell(world.queue.pop(0))
    accepted = next(e for e in world.queue if isinstance(e, CallAccepted))
    world.tell(accepted)
    entry = order(world, Purpose.ENTRY)
    assert (entry.status, entry.broker_id) == (Status.SENT, accepted.broker_ids[0])


def test_an_entry_that_a_report_shows_was_sent_whatever_the_answer_said() -> None:
    world = started()
    world.answer = lambda command, event: [unsent(id_of(command))] if enters(command) else [event]
    world.alert(Verb.BUY)
    world.wait(10)
    assert len([c for c in world.commands if enters(c)]) == 1
    assert (world.held, world.net) == (1, 1)


def test_a_refused_entry_says_the_brokers_reason_and_words() -> None:
    world = started()
    world.refuses = "MaxPosLimitReached"
    signal = world.alert(Verb.BUY)
    world.wait(1)
    assert world.outcome(signal).reason == "MaxPosLimitReached: the broker said no"
    world = started()
    without_effect(world, enters, lambda i: CallRefused(i, "NoQuote"))
    signal = world.alert(Verb.BUY)
    world.wait(1)
    assert world.outcome(signal).reason == "NoQuote"


@pytest.mark.parametrize(
    ("named", "outcome", "reason"),
    [
        ("RiskCheckTimeout", Outcome.REJECTED, "RiskCheckTimeout"),
        (None, Outcome.NOT_PLACED, "not found at the broker"),
    ],
)
def test_an_entry_never_found_was_refused_where_the_answer_named_a_reason(
    named: str | None, outcome: Outcome, reason: str
) -> None:
    world = started()
    without_effect(world, enters, lambda i: AnswerLost(i, "unclear", named))
    signal = world.alert(Verb.BUY)
    world.wait(40)
    assert (world.outcome(signal).outcome, world.outcome(signal).reason) == (outcome, reason)
    assert order(world, Purpose.ENTRY).unsent is False


# ── what the lane hears beside answers ───────────────────────────────────────────────────────────────────────


def test_after_a_lost_connection_no_entry_leaves_before_the_broker_was_seen_again() -> None:
    world = started()
    seen: list[Event] = []

    def answer(command: Command, event: Event) -> list[Event]:
        if isinstance(command, TakePicture):
            seen.append(event)
            return []
        return [event]

    world.answer = answer
    world.tell(ConnectionLost())
    world.alert(Verb.BUY)
    world.wait(5)
    assert [type(c) for c in world.commands[-1:]] == [TakePicture]
    world.queue.append(seen.pop())
    world.run()
    assert world.net == 1


def test_who_asks_for_a_comparison_need_not_wait_for_the_pause_after_a_failed_read() -> None:
    world = started()
    world.tell(ReadFailed("no connection"))
    taken = len([c for c in world.commands if isinstance(c, TakePicture)])
    world.tell(PictureWanted())
    assert len([c for c in world.commands if isinstance(c, TakePicture)]) == taken + 1


def test_a_tick_learned_from_the_broker_counts_from_then_on() -> None:
    world = started()
    world.tell(ContractLearned(replace(world.lane.contract, tick_size=Decimal("0.5"))))
    world.alert(Verb.BUY, terms(1, target=20))
    world.wait(5)
    assert [o.price for o in world.working()] == [Decimal(110)]


def test_a_look_is_asked_for_only_the_orders_in_doubt() -> None:
    world = started()
    without_effect(world, targets, lambda i: AnswerLost(i, "timed out"))
    world.alert(Verb.BUY)
    world.wait(2)
    asked = {c.ids for c in world.commands if isinstance(c, LookForOrders)}
    assert asked == {(order(world, Purpose.TARGET).id,)}
