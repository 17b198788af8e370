"""What a receipt says at the end of a signal, word for word, and which rules it lists with which numbers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from justtrades.positions.commands import Command, PlaceOrder
from justtrades.positions.events import CallRefused, Event, KillSwitched, PositionReported, SignalReceived
from justtrades.positions.jobs import decide, entry_size, netted
from justtrades.positions.machine import fold_in
from justtrades.positions.model import (
    Check,
    Held,
    Job,
    LetGo,
    Noted,
    OnOpposite,
    OnSameSide,
    Order,
    OrderType,
    Outcome,
    Purpose,
    RecorderId,
    Signal,
    SignalId,
    Status,
    Terms,
    Verb,
)
from justtrades.positions.rules import Rule, positions_say_no, rules
from tests.positions.lane_world import START, AtBroker, World, holding, started, terms

SECOND = timedelta(seconds=1)


def ended(world: World, signal_id: SignalId, seconds: float = 5) -> tuple[Outcome, str]:
    world.wait(seconds)
    done = world.outcome(signal_id)
    return done.outcome, done.reason


def alarms(world: World) -> list[str]:
    return [n.text for n in world.news if isinstance(n, Noted) and n.alarm]


# ── entries ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("held", "verb", "rules_", "outcome", "reason"),
    [
        (0, Verb.BUY, terms(2), Outcome.FILLED, "bought 2 MNQZ6 at 100"),
        (0, Verb.SELL, terms(2), Outcome.FILLED, "sold 2 MNQZ6 at 100"),
        (1, Verb.BUY, terms(1), Outcome.FILLED, "bought 1 MNQZ6 at 100"),
        (1, Verb.SELL, terms(2), Outcome.FILLED, "sold 2 MNQZ6 at 100"),
        (
            1,
            Verb.BUY,
            terms(1, on_same_side=OnSameSide.IGNORE),
            Outcome.NO_ACTION,
            "already long 1: same-side signals are ignored",
        ),
        (
            -1,
            Verb.SELL,
            terms(1, on_same_side=OnSameSide.IGNORE),
            Outcome.NO_ACTION,
            "already short 1: same-side signals are ignored",
        ),
        (
            -2,
            Verb.BUY,
            terms(1, on_opposite=OnOpposite.IGNORE),
            Outcome.NO_ACTION,
            "short 2: opposite signals are ignored",
        ),
        (
            0,
            Verb.BUY,
            terms(1, only_when=(Held.LONG, Held.SHORT)),
            Outcome.NO_ACTION,
            "flat: the alert enters only while long or short",
        ),
        (-2, Verb.BUY, terms(1, on_opposite=OnOpposite.CLOSE), Outcome.FILLED, "closed 2 MNQZ6, flat"),
        (3, Verb.SELL, terms(1, on_opposite=OnOpposite.NET), Outcome.FILLED, "closed 1 MNQZ6, 2 left"),
        (-1, Verb.BUY, terms(1, on_opposite=OnOpposite.NET), Outcome.FILLED, "closed 1 MNQZ6, flat"),
        (2, Verb.BUY, terms(2, max_quantity=2), Outcome.BLOCKED, "max quantity 2 is reached: 2 held"),
    ],
)
def test_an_entry_ends_with_one_sentence(held: int, verb: Verb, rules_: Terms, outcome: Outcome, reason: str) -> None:
    world = holding(held)
    assert ended(world, world.alert(verb, rules_)) == (outcome, reason)


def test_a_partly_filled_entry_says_how_much_of_it_filled() -> None:
    world = started()

    def only_one(order: AtBroker) -> None:
        if order.type is OrderType.MARKET and not order.filled:
            world.fill(order, 1)

    world.trade = only_one  # type: ignore[method-assign]  # this market has one contract
    signal = world.alert(Verb.BUY, terms(3))
    assert ended(world, signal, 60) == (Outcome.PARTIALLY_FILLED, "bought 1 MNQZ6 at 100 of 3")


def thin(world: World) -> World:
    """A market in which no market order fills."""
    world.trade = lambda order: None  # type: ignore[method-assign]  # nobody is there
    return world


@pytest.mark.parametrize(
    ("then", "outcome", "reason"),
    [
        ("nothing", Outcome.EXPIRED, "cancelled: it did not fill in time"),
        ("close", Outcome.SUPERSEDED, "cancelled unfilled: overtaken by a later close"),
        ("kill", Outcome.KILLED, "cancelled unfilled: the kill switch is on"),
        ("cancel", Outcome.REJECTED, "the broker ended it unfilled (canceled)"),
    ],
)
def test_an_entry_that_did_not_fill_says_why_it_was_cancelled(then: str, outcome: Outcome, reason: str) -> None:
    world = thin(started())
    signal = world.alert(Verb.BUY)
    world.wait(1)
    if then == "close":
        world.alert(Verb.CLOSE)
    if then == "kill":
        world.kill()
    if then == "cancel":
        world.cancel(world.working()[0])
    assert ended(world, signal, 60) == (outcome, reason)


def waiting(**over: object) -> tuple[World, SignalId]:
    """An entry that the broker asks to wait."""
    world = started(**over)
    world.entries_wait_until = world.now + timedelta(minutes=5)
    signal = world.alert(Verb.BUY)
    world.wait(2)
    return world, signal


@pytest.mark.parametrize(
    ("then", "outcome", "reason"),
    [
        ("nothing", Outcome.EXPIRED, "too old to be sent: 30 s after it was received; it waited because of HTTP 429"),
        ("close", Outcome.SUPERSEDED, "overtaken in the queue by a later close"),
        ("kill", Outcome.KILLED, "the kill switch is on"),
    ],
)
def test_an_entry_that_waits_to_be_sent_ends_by_age_by_a_close_or_by_the_kill_switch(
    then: str, outcome: Outcome, reason: str
) -> None:
    world, signal = waiting()
    if then == "close":
        world.alert(Verb.CLOSE)
    if then == "kill":
        world.kill()
    assert ended(world, signal, 60) == (outcome, reason)
    gone = next(o for o in [*world.lane.orders, *let_go(world)] if o.purpose is Purpose.ENTRY)
    assert (gone.status, gone.unsent, gone.reason) == (Status.ABSENT, False, reason)


def let_go(world: World) -> list[Order]:
    return [o for n in world.news if isinstance(n, LetGo) for o in n.orders]


def test_a_close_of_another_recorder_overtakes_no_entry_and_a_persons_does() -> None:
    for recorder, outcome in (("other", Outcome.EXPIRED), (None, Outcome.SUPERSEDED), ("r", Outcome.SUPERSEDED)):
        world, signal = waiting()
        world.alert(Verb.CLOSE, recorder=recorder)
        assert ended(world, signal, 60)[0] is outcome


def test_an_entry_that_was_never_sent_expires_without_a_cause_to_name() -> None:
    world = World()
    signal = world.alert(Verb.BUY)
    world.answer = lambda command, event: []
    assert ended(world, signal, 60) == (Outcome.EXPIRED, "too old to be sent: 30 s after it was received")


@pytest.mark.parametrize(
    ("verb", "rules_", "reason"),
    [
        (Verb.SELL, terms(1), "closed, but not reversed: the kill switch is on"),
        (Verb.BUY, terms(1, on_same_side=OnSameSide.REENTER), "closed, but not entered anew: the kill switch is on"),
    ],
)
def test_a_second_step_that_is_not_made_says_which(verb: Verb, rules_: Terms, reason: str) -> None:
    world = holding(1)
    signal = world.alert(verb, rules_)
    world.each_step = lambda w: w.queue.insert(0, KillSwitched(on=True)) if w.net == 0 and not w.lane.killed else None
    assert ended(world, signal) == (Outcome.PARTIALLY_FILLED, reason)


def test_a_second_step_that_the_broker_refuses_is_half_of_the_signal() -> None:
    world = holding(1)
    signal = world.alert(Verb.SELL)
    carry = world.carry_out

    def carried(command: Command) -> Event:
        if isinstance(command, PlaceOrder) and command.purpose is Purpose.ENTRY:
            return CallRefused(command.id, "MaxPosLimitReached")
        return carry(command)

    world.carry_out = carried  # type: ignore[method-assign]  # entries are refused
    assert ended(world, signal) == (Outcome.PARTIALLY_FILLED, "closed, but not reversed: MaxPosLimitReached")


def test_an_entry_without_rules_asks_for_a_person() -> None:
    world = started()
    signal = Signal(SignalId("bare"), Verb.BUY, world.now, world.now + 30 * SECOND, RecorderId("r"))
    world.queue.append(SignalReceived(signal))
    assert ended(world, signal.id) == (Outcome.NEEDS_ATTENTION, "an entry without rules cannot be sized")


def test_another_recorders_entry_is_blocked_and_its_close_changes_nothing() -> None:
    world = holding(1)
    said = "lane in use by recorder r"
    assert ended(world, world.alert(Verb.BUY, recorder="other")) == (Outcome.BLOCKED, said)
    assert ended(world, world.alert(Verb.CLOSE, recorder="other")) == (Outcome.NO_ACTION, said)
    assert world.net == 1


@pytest.mark.parametrize(
    ("held", "outcome"), [(0, Outcome.BLOCKED), (1, Outcome.BLOCKED), (-1, Outcome.PARTIALLY_FILLED)]
)
def test_a_check_that_said_no_stops_what_opens_and_nothing_that_closes(held: int, outcome: Outcome) -> None:
    world = holding(held)
    world.alert(Verb.BUY)
    event = world.queue.pop()
    assert isinstance(event, SignalReceived)
    checks = (Check("price", True, "near"), Check("window", False, "outside of the hours"))
    world.queue.append(SignalReceived(replace(event.signal, checks=checks)))
    reason = "outside of the hours" if held >= 0 else "closed, but not reversed: outside of the hours"
    assert ended(world, event.signal.id) == (outcome, reason)
    assert world.net == max(held, 0)


# ── closes ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("held", "verb", "quantity", "outcome", "reason"),
    [
        (0, Verb.CLOSE, None, Outcome.NO_ACTION, "already flat at the broker"),
        (2, Verb.CLOSE, None, Outcome.FILLED, "closed 2 MNQZ6, flat"),
        (-3, Verb.CLOSE, 1, Outcome.FILLED, "closed 1 MNQZ6, 2 left"),
        (3, Verb.CLOSE, 2, Outcome.FILLED, "closed 2 MNQZ6, 1 left"),
        (2, Verb.CLOSE, 5, Outcome.FILLED, "closed 2 MNQZ6, flat"),
        (2, Verb.CLOSE_SHORT, None, Outcome.NO_ACTION, "long 2: nothing of that side to close"),
        (-2, Verb.CLOSE_LONG, None, Outcome.NO_ACTION, "short 2: nothing of that side to close"),
        (1, Verb.CLOSE_SHORT, None, Outcome.NO_ACTION, "long 1: nothing of that side to close"),
        (-1, Verb.CLOSE_LONG, None, Outcome.NO_ACTION, "short 1: nothing of that side to close"),
        (1, Verb.CLOSE_LONG, None, Outcome.FILLED, "closed 1 MNQZ6, flat"),
        (-1, Verb.CLOSE_SHORT, None, Outcome.FILLED, "closed 1 MNQZ6, flat"),
    ],
)
def test_a_close_ends_with_one_sentence(
    held: int, verb: Verb, quantity: int | None, outcome: Outcome, reason: str
) -> None:
    world = holding(held)
    assert ended(world, world.alert(verb, quantity=quantity)) == (outcome, reason)


def test_a_close_that_is_taken_and_never_fills_needs_a_person_and_says_what_is_done() -> None:
    world = holding(2)
    world.trade = lambda order: None  # type: ignore[method-assign]  # nobody is there
    outcome, _ = ended(world, world.alert(Verb.CLOSE), 600)
    assert outcome is Outcome.NEEDS_ATTENTION
    assert world.held == 2


def test_a_refused_close_of_what_partly_went_is_half_done() -> None:
    world = holding(3)
    carry = world.carry_out

    def carried(command: Command) -> Event:
        if isinstance(command, PlaceOrder) and command.purpose is Purpose.CLOSE:
            return CallRefused(command.id, "SessionClosed")
        return carry(command)

    world.carry_out = carried  # type: ignore[method-assign]  # closes are refused
    signal = world.alert(Verb.CLOSE)
    world.wait(1)
    world.by_hand(world.fills[0].action.of(-1), 1)
    assert ended(world, signal, 60) == (Outcome.PARTIALLY_FILLED, "SessionClosed")


def test_a_close_on_a_flat_lane_waits_for_a_look_at_the_broker() -> None:
    world = started()
    world.now += SECOND
    lane = fold_in(world.lane, SignalReceived(close_signal(world)), world.now, world.limits)
    assert decide(lane, world.now, world.limits) is None
    seen = replace(lane, checked_at=world.now)
    decided = decide(seen, world.now, world.limits)
    assert getattr(decided, "reason", None) == "already flat at the broker"


def close_signal(world: World) -> Signal:
    return Signal(SignalId("c"), Verb.CLOSE, world.now, world.now + 30 * SECOND, RecorderId("r"))


def test_a_signal_of_several_accounts_ended_as_the_best_of_them() -> None:
    assert Outcome.best([Outcome.NEEDS_ATTENTION, Outcome.FILLED, Outcome.BLOCKED]) is Outcome.FILLED
    assert Outcome.best([Outcome.BLOCKED, Outcome.NO_ACTION]) is Outcome.NO_ACTION
    assert Outcome.best([Outcome.EXPIRED, Outcome.KILLED, Outcome.NOT_PLACED]) is Outcome.NOT_PLACED


# ── sizes ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_first_entry_has_its_quantity_and_what_comes_beside_it_the_adds() -> None:
    two_then_one = replace(terms(2), add_quantity=1)
    assert [entry_size(two_then_one, held).quantity for held in (0, 1, -1)] == [2, 1, 1]
    up_to = replace(two_then_one, up_to=5)
    assert [entry_size(up_to, held).quantity for held in (0, 2, -2, 5)] == [2, 3, 3, 0]
    assert entry_size(two_then_one, 0, netted=1).quantity == 1


def test_only_what_closed_the_other_side_of_a_netting_order_is_used_up() -> None:
    signal = Signal(SignalId("n"), Verb.BUY, START, START, RecorderId("r"), terms=terms(3, on_opposite=OnOpposite.NET))
    assert netted(Job(signal, exited=True, exit_from=-2)) == 2
    assert netted(Job(signal, exited=True, exit_from=2)) == 0
    assert netted(Job(signal, exited=False, exit_from=-2)) == 0
    assert netted(Job(replace(signal, terms=terms(3)), exited=True, exit_from=-2)) == 0
    assert netted(Job(replace(signal, terms=None), exited=True, exit_from=-2)) == 0


# ── the rules on the receipt ─────────────────────────────────────────────────────────────────────────────────


def notes(world: World, signal_id: SignalId) -> list[str]:
    world.wait(5)
    return [note.removeprefix("rule ") for note in world.outcome(signal_id).notes if note.startswith("rule ")]


def test_the_rules_of_a_first_entry() -> None:
    world = holding(0)
    assert notes(world, world.alert(Verb.BUY, terms(2, max_quantity=3))) == [
        "kill_switch: passed (off)",
        "age: passed (0.000 s of at most 30 s)",
        "queue: passed (no later close waits)",
        "lane_open: passed (entries are not blocked)",
        "owner: passed (free)",
        "side: passed (flat: a first entry)",
        "quantity: passed (2, at most 3)",
    ]


def test_the_rules_of_an_entry_beside_its_own_side_and_against_it() -> None:
    world = holding(2)
    asked = notes(world, world.alert(Verb.BUY, terms(1, only_when=(Held.LONG, Held.FLAT))))
    assert asked[4:] == [
        "owner: passed (its own trade, or a person's act)",
        "only_when: passed (long held, asked for long or flat)",
        "side: passed (+2 held, same side: add)",
        "quantity: passed (1, no limit)",
    ]
    ignored = notes(world, world.alert(Verb.SELL, terms(1, on_opposite=OnOpposite.IGNORE)))
    assert ignored[5] == "side: said no (+3 held, opposite side: ignore)"
    same = notes(world, world.alert(Verb.BUY, terms(1, on_same_side=OnSameSide.IGNORE)))
    assert same[5] == "side: said no (+3 held, same side: ignore)"
    against = notes(world, world.alert(Verb.SELL, replace(terms(4), add_quantity=1)))
    assert against[5:] == ["side: passed (+3 held, opposite side: reverse)", "quantity: passed (4, no limit)"]


def test_the_rules_that_said_no_say_their_numbers() -> None:
    world, signal = waiting()
    job = world.lane.jobs[0]
    late = rules(replace(world.lane, killed=True, stopped="found twice"), job, job.signal.received_at + 31 * SECOND)
    assert [rule.text for rule in late[:4]] == [
        "rule kill_switch: said no (on)",
        "rule age: said no (31.000 s of at most 30 s)",
        "rule queue: passed (no later close waits)",
        "rule lane_open: said no (found twice)",
    ]
    world.alert(Verb.CLOSE)
    after = fold_in(world.lane, world.queue[-1], world.now, world.limits)
    overtaken = rules(after, after.jobs[0], world.now)
    assert overtaken[2].text == "rule queue: said no (a later close waits behind it)"
    assert signal == job.signal.id
    full = holding(2)
    said = notes(full, full.alert(Verb.BUY, terms(2, max_quantity=2)))
    assert said[-1] == "quantity: said no (max quantity 2 is reached: 2 held)"
    other = notes(full, full.alert(Verb.BUY, recorder="other"))
    assert other[4] == "owner: said no (lane in use by recorder r)"


def test_the_rules_of_a_close() -> None:
    world = holding(2)
    world.tell(PositionReported(2, world.now))
    assert notes(world, world.alert(Verb.CLOSE)) == [
        "owner: passed (its own trade, or a person's act)",
        "position: passed (+2 held, broker shows +2)",
    ]
    assert notes(world, world.alert(Verb.CLOSE)) == ["owner: passed (free)", "position: said no (flat)"]
    lane = replace(holding(1).lane, broker_quantity=None)
    assert rules(lane, Job(close_signal(world)), world.now)[1].detail == "+1 held, broker shows unknown"


def test_a_rule_is_read_back_from_its_text_and_nothing_else_is() -> None:
    for rule in (Rule("age", True, "1 s (of 2)"), Rule("side", False, "a\nb")):
        assert Rule.read(rule.text) == rule
    assert Rule.read("something else") is None


def test_positions_of_the_account_are_counted_and_named() -> None:
    flat, long = started().lane, holding(1).lane
    waits, _ = waiting()
    other = replace(flat, broker_quantity=1)
    name = type(flat.contract.name)("ESZ6")
    assert positions_say_no([flat], name, 1) is None
    assert positions_say_no([long], long.contract.name, 1) is None
    assert positions_say_no([long], name, 2) is None
    assert positions_say_no([long], name, 1) == "the alert allows 1 open position on the account: it has 1"
    said = "the alert allows 2 open positions on the account: it has 3"
    assert positions_say_no([long, waits.lane, other], name, 2) == said


# ── a lane that stands still ─────────────────────────────────────────────────────────────────────────────────


def test_a_position_without_its_exit_is_told_with_its_seconds_and_once() -> None:
    world = started(refuses_exits=True)
    signal = world.alert(Verb.BUY, terms(2))
    world.wait(60)
    late = [n for n in world.news if isinstance(n, Noted) and "without its exit" in n.text]
    assert late == [Noted(signal, "+2 MNQZ6 is without its exit for 10 s", alarm=True)]
    assert world.lane.unprotected_told
    world.refuses_exits = False
    world.wait(60)
    assert (world.lane.unprotected_since, world.lane.unprotected_told) == (None, False)


def test_refused_exits_are_told_with_the_brokers_words_and_tried_ever_more_slowly() -> None:
    world = started(refuses_exits=True)
    begun = world.now
    sent: list[float] = []

    def answer(command: Command, event: Event) -> list[Event]:
        if isinstance(command, PlaceOrder) and command.purpose.rests:
            sent.append(round((world.now - begun).total_seconds(), 2))
        return [event]

    world.answer = answer
    signal = world.alert(Verb.BUY)
    world.wait(8)
    assert [round(after - before, 2) for before, after in pairwise(sent)] == [0.25, 0.5, 1, 2, 4]
    text = "the broker refused the target of an open position: InvalidPrice"
    assert [n for n in world.news if isinstance(n, Noted)] == [Noted(signal, text, alarm=True)] * len(sent)


def test_an_exit_taken_away_is_told_with_its_number_and_the_second_time_left_to_a_person() -> None:
    world = holding(1)
    first = world.working()[0]
    world.cancel(first)
    world.wait(5)
    second = world.working()[0]
    world.cancel(second)
    world.wait(5)
    assert alarms(world)[:2] == [
        f"the target {first.id} was cancelled, not by us",
        f"the target {second.id} was cancelled, not by us; that is the second time: "
        "it is not put back, and entries stop, until a person resumes the lane",
    ]
    assert {n.signal_id for n in world.news if isinstance(n, Noted)} == {"s1"}


def test_an_exit_that_ended_by_itself_is_told_with_what_the_broker_said() -> None:
    for status, said in ((Status.EXPIRED, "expired"), (Status.REJECTED, "rejected")):
        world = holding(1)
        resting = world.working()[0]
        resting.status = status
        world.queue.append(world.picture())
        world.wait(5)
        assert alarms(world) == [f"the broker refused the target of an open position: {said}"]
