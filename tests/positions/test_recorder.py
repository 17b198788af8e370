"""How a recorder's rules and an alert's reading become the signal of one account."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from justtrades.positions.model import AccountId, OnSameSide, RecorderId, Signal, SignalId, Stop, Target, Verb
from justtrades.positions.prices import Distance, Unit
from justtrades.positions.recorder import Blocked, ExitsFrom, QuantityFrom, Reading, Recorder, Route, signal_for

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)


def ticks(value: int) -> Distance:
    return Distance(Decimal(value), Unit.TICKS)


RULES = Recorder(RecorderId("r"), "rules", quantity=2, targets=(Target(ticks(20)),), stop=Stop(ticks(40)))
BUY = Reading("plain", Verb.BUY, quantity=Decimal(5), targets=(Target(ticks(8)),))


def made(recorder: Recorder, reading: Reading, multiplier: str = "1") -> Signal:
    route = Route(AccountId("a"), Decimal(multiplier))
    found = signal_for(recorder, route, reading, SignalId("s"), NOW, NOW + timedelta(seconds=30))
    assert isinstance(found, Signal)
    assert found.terms is not None
    return found


def quantities(recorder: Recorder, reading: Reading = BUY, multiplier: str = "1") -> tuple[int, int]:
    terms = made(recorder, reading, multiplier).terms
    assert terms is not None
    return terms.quantity, terms.add_quantity


@pytest.mark.parametrize(
    ("rules", "multiplier", "expected"),
    [
        (RULES, "1", (2, 2)),
        (replace(RULES, add_quantity=1), "1", (2, 1)),
        (replace(RULES, add_quantity=1), "2.5", (5, 2)),
        (replace(RULES, quantity_from=QuantityFrom.ALERT), "1", (5, 5)),
        (replace(RULES, quantity_from=QuantityFrom.ALERT, add_quantity=1), "0.5", (2, 2)),
    ],
)
def test_quantities_come_from_recorder_or_alert_times_the_multiplier(
    rules: Recorder, multiplier: str, expected: tuple[int, int]
) -> None:
    assert quantities(rules, BUY, multiplier) == expected


def test_less_than_one_contract_is_blocked_with_its_numbers() -> None:
    route = Route(AccountId("a"), Decimal("0.4"))
    found = signal_for(RULES, route, BUY, SignalId("s"), NOW, NOW)
    assert found == Blocked("2 × 0.4 is less than one whole contract")


def test_an_exit_needs_no_size_and_closes_all_unless_it_names_a_part() -> None:
    whole = Reading("plain", Verb.CLOSE)
    assert made(RULES, whole, "0.1").quantity is None
    assert made(RULES, replace(whole, quantity=Decimal(3)), "2").quantity == 6
    assert made(RULES, replace(whole, quantity=Decimal(1)), "0.5").quantity == 1


def test_exits_come_from_the_recorder_unless_the_alert_may_bring_its_own() -> None:
    own = made(RULES, BUY).terms
    theirs = made(replace(RULES, exits_from=ExitsFrom.ALERT), BUY).terms
    assert own is not None
    assert theirs is not None
    assert (own.targets, own.stop) == (RULES.targets, RULES.stop)
    assert (theirs.targets, theirs.stop) == (BUY.targets, RULES.stop)


def test_an_alert_may_ask_to_ignore_the_same_side() -> None:
    terms = made(RULES, replace(BUY, ignore_same_side=True)).terms
    assert terms is not None
    assert terms.on_same_side is OnSameSide.IGNORE
