"""What an alert may ask of one order beyond its side: anew, net, only when, at most so many positions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from justtrades.positions.events import KillSwitched
from justtrades.positions.model import (
    AccountId,
    ContractName,
    Held,
    Lane,
    OnOpposite,
    OnSameSide,
    Outcome,
    RecorderId,
    Signal,
    SignalId,
    Terms,
    Verb,
)
from justtrades.positions.recorder import Reading, Recorder, Route, signal_for
from justtrades.positions.rules import positions_say_no
from tests.positions.lane_world import MNQ, World, terms

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)


def holding(signed: int) -> World:
    world = World().run()
    world.tell(world.picture())
    world.run()
    if signed:
        world.alert(Verb.BUY if signed > 0 else Verb.SELL, terms(abs(signed)))
        world.wait(3)
    assert world.held == signed
    return world


def path(world: World) -> list[int]:
    """What the broker held after each fill."""
    held, seen = 0, []
    for fill in world.fills:
        held += fill.signed
        seen.append(held)
    return seen


def test_entering_anew_closes_the_same_side_and_opens_it_again_in_two_trades() -> None:
    world = holding(2)
    signal = world.alert(Verb.BUY, terms(3, on_same_side=OnSameSide.REENTER))
    world.wait(5)
    assert (world.outcome(signal).outcome, path(world)) == (Outcome.FILLED, [2, 0, 3])
    assert [t.exit_reason for t in world.trades()] == ["reenter"]
    assert [o.quantity for o in world.working()] == [3]


def test_entering_anew_that_is_killed_half_way_says_what_was_done() -> None:
    world = holding(2)
    signal = world.alert(Verb.BUY, terms(1, on_same_side=OnSameSide.REENTER))
    world.each_step = lambda w: w.queue.insert(0, KillSwitched(on=True)) if w.net == 0 and not w.lane.killed else None
    world.wait(5)
    done = world.outcome(signal)
    assert (done.outcome, world.net) == (Outcome.PARTIALLY_FILLED, 0)
    assert done.reason.startswith("closed, but not entered anew")


@pytest.mark.parametrize(
    ("held", "quantity", "expected", "reasons"),
    [
        (3, 1, [3, 2], []),
        (2, 2, [2, 0], ["opposite"]),
        (1, 3, [1, 0, -2], ["reverse"]),
        (-3, 1, [-3, -2], []),
        (-1, 2, [-1, 0, 1], ["reverse"]),
    ],
)
def test_a_netted_order_moves_the_position_by_exactly_its_contracts(
    held: int, quantity: int, expected: list[int], reasons: list[str]
) -> None:
    world = holding(held)
    verb = Verb.SELL if held > 0 else Verb.BUY
    signal = world.alert(verb, terms(quantity, on_opposite=OnOpposite.NET))
    world.wait(5)
    assert world.outcome(signal).outcome is Outcome.FILLED
    assert path(world) == expected
    assert [t.exit_reason for t in world.trades()] == reasons
    assert sum(o.quantity for o in world.working()) == abs(expected[-1])


def test_a_netted_order_beside_its_own_side_is_an_add() -> None:
    world = holding(1)
    world.alert(Verb.BUY, terms(2, on_opposite=OnOpposite.NET))
    world.wait(5)
    assert path(world) == [1, 3]


@pytest.mark.parametrize(
    ("held", "wanted", "acts"),
    [
        (0, (Held.FLAT,), True),
        (1, (Held.FLAT,), False),
        (-1, (Held.FLAT, Held.LONG), False),
        (1, (Held.FLAT, Held.LONG), True),
        (0, (Held.LONG, Held.SHORT), False),
        (-1, (Held.SHORT,), True),
    ],
)
def test_an_entry_may_ask_for_the_position_it_finds(held: int, wanted: tuple[Held, ...], acts: bool) -> None:
    world = holding(held)
    before = len(world.fills)
    signal = world.alert(Verb.BUY, terms(1, only_when=wanted))
    world.wait(5)
    done = world.outcome(signal)
    assert (done.outcome is Outcome.FILLED) == acts
    assert (len(world.fills) > before) == acts
    assert any(note.startswith(f"rule only_when: {'passed' if acts else 'said no'}") for note in done.notes)
    if not acts:
        assert done.outcome is Outcome.NO_ACTION
        assert "the alert enters only while" in done.reason


def test_the_condition_is_asked_once_and_not_again_between_the_two_steps_of_a_reversal() -> None:
    world = holding(1)
    signal = world.alert(Verb.SELL, terms(1, only_when=(Held.LONG,)))
    world.wait(5)
    assert (world.outcome(signal).outcome, path(world)) == (Outcome.FILLED, [1, 0, -1])


# ── recorder and alert together ──────────────────────────────────────────────────────────────────────────────


def made(recorder: Recorder, reading: Reading) -> Terms:
    found = signal_for(recorder, Route(AccountId("a")), reading, SignalId("s"), NOW, NOW + timedelta(seconds=30))
    assert isinstance(found, Signal)
    assert found.terms is not None
    return found.terms


RULES = Recorder(RecorderId("r"), "rules")
WISHES = Reading("any", Verb.BUY, on_same_side=OnSameSide.REENTER, on_opposite=OnOpposite.NET, only_when=(Held.FLAT,))


def test_what_the_alert_asks_for_wins_over_the_recorder() -> None:
    found = made(RULES, WISHES)
    assert (found.on_same_side, found.on_opposite, found.only_when) == (
        OnSameSide.REENTER,
        OnOpposite.NET,
        (Held.FLAT,),
    )


def test_what_the_alert_leaves_open_is_the_recorders() -> None:
    rules = replace(RULES, on_same_side=OnSameSide.REENTER, on_opposite=OnOpposite.NET)
    found = made(rules, Reading("any", Verb.BUY))
    assert (found.on_same_side, found.on_opposite) == (OnSameSide.REENTER, OnOpposite.NET)


@pytest.mark.parametrize("rule", [OnOpposite.CLOSE, OnOpposite.IGNORE])
def test_no_alert_opens_what_its_recorder_forbids(rule: OnOpposite) -> None:
    found = made(replace(RULES, on_same_side=OnSameSide.IGNORE, on_opposite=rule), WISHES)
    assert (found.on_same_side, found.on_opposite) == (OnSameSide.IGNORE, rule)


# ── positions of an account ──────────────────────────────────────────────────────────────────────────────────


def lane(name: str, shown: int = 0) -> Lane:
    contract = replace(MNQ, name=ContractName(name))
    return Lane(AccountId("a"), contract, "tag", broker_quantity=shown)


def test_positions_are_counted_over_contracts_whoever_holds_them() -> None:
    lanes = [lane("MNQZ6", 1), lane("ESZ6", -2), lane("CLZ6")]
    assert positions_say_no(lanes, ContractName("CLZ6"), 3) is None
    assert positions_say_no(lanes, ContractName("MNQZ6"), 1) is None
    assert positions_say_no(lanes, ContractName("GCZ6"), 2) == (
        "the alert allows 2 open positions on the account: it has 2"
    )


def test_an_entry_that_waits_counts_as_a_position() -> None:
    world = holding(0)
    world.alert(Verb.BUY)
    world.reach = lambda _: False
    world.run()
    assert positions_say_no([world.lane], ContractName("GCZ6"), 1) is not None
    assert Decimal(world.net) == 0
