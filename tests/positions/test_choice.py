"""Which contract a signal means on one account: the position picks, and an entry from flat takes the front."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from justtrades.positions.choice import choose, reason
from justtrades.positions.contracts import Days, RollRule
from justtrades.positions.model import (
    AccountId,
    Contract,
    ContractName,
    Job,
    Lane,
    RecorderId,
    Side,
    Signal,
    SignalId,
    Terms,
    Trade,
    TradeId,
    Verb,
)
from justtrades.positions.recorder import Blocked

AT = datetime(2026, 11, 25, 15, tzinfo=UTC)
BEFORE_THE_ROLL, AFTER_IT = date(2026, 12, 9), date(2026, 12, 10)
MINE, OTHERS = RecorderId("mine"), RecorderId("others")


def lane(name: str) -> Lane:
    return Lane(AccountId("a"), Contract(ContractName(name), Decimal("0.25"), Decimal(2)), tag="t")


def held(name: str, by: RecorderId = MINE) -> Lane:
    trade = Trade(TradeId("1"), SignalId("1"), by, Side.LONG, Terms(1, 1), AT)
    return Lane(AccountId("a"), lane(name).contract, tag="t", trade=trade)


def waiting(name: str, by: RecorderId = MINE) -> Lane:
    signal = Signal(SignalId("1"), Verb.BUY, received_at=AT, expires_at=AT, recorder_id=by)
    return Lane(AccountId("a"), lane(name).contract, tag="t", jobs=(Job(signal),))


@pytest.mark.parametrize(("today", "expected"), [(BEFORE_THE_ROLL, "MNQZ6"), (AFTER_IT, "MNQH7")])
def test_an_entry_from_flat_asks_which_month_is_front(today: date, expected: str) -> None:
    assert choose("MNQ1!", today, [lane("MNQZ6"), lane("MNQH7")], MINE) == expected


@pytest.mark.parametrize("busy", [held("MNQZ6"), waiting("MNQZ6")], ids=["held", "on its way"])
def test_what_is_held_or_on_its_way_keeps_its_contract_across_the_roll(busy: Lane) -> None:
    assert choose("CME_MINI:MNQ1!", AFTER_IT, [lane("MNQH7"), busy], MINE) == "MNQZ6"


def test_what_is_held_goes_before_what_is_on_its_way() -> None:
    assert choose("MNQ1!", AFTER_IT, [waiting("MNQH7"), held("MNQZ6")], MINE) == "MNQZ6"


def test_a_position_in_another_root_picks_nothing() -> None:
    assert choose("MNQ1!", AFTER_IT, [held("NQZ6"), held("ESZ6")], MINE) == "MNQH7"
    assert choose("SI1!", date(2026, 10, 1), [held("SILZ6")], MINE) == "SIZ6"


def test_a_named_contract_is_never_changed_by_a_position() -> None:
    assert choose("MNQH2027", AFTER_IT, [held("MNQZ6")], MINE) == "MNQH7"


def test_the_month_before_held_by_another_recorder_means_that_the_account_has_not_rolled() -> None:
    assert choose("MNQ1!", AFTER_IT, [held("MNQZ6", by=OTHERS)], MINE) == "MNQZ6"


def test_a_later_month_held_by_another_recorder_is_his_own_affair() -> None:
    assert choose("MNQ1!", BEFORE_THE_ROLL, [held("MNQH7", by=OTHERS)], MINE) == "MNQZ6"
    assert choose("MNQ2!", BEFORE_THE_ROLL, [held("MNQZ6", by=OTHERS)], MINE) == "MNQH7"


# ── why, for the receipt ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "contract", "today", "expected"),
    [
        ("CME_MINI:MNQ1!", "MNQZ6", BEFORE_THE_ROLL, "MNQ1! is MNQZ6 until it rolls on 2026-12-10"),
        ("MNQ1!", "MNQH7", AFTER_IT, "MNQ1! is MNQH7 until it rolls on 2027-03-11"),
        ("MNQZ2026", "MNQZ6", AFTER_IT, "the symbol names MNQZ6"),
    ],
)
def test_the_receipt_says_why_it_is_this_contract(text: str, contract: str, today: date, expected: str) -> None:
    assert reason(text, ContractName(contract), today) == expected


def test_the_receipt_says_that_a_position_stays_behind_the_roll() -> None:
    told = reason("MNQ1!", ContractName("MNQZ6"), AFTER_IT)
    assert told.startswith("MNQ1! stays in MNQZ6, which is held")
    assert told.endswith("the front month is MNQH7")


@pytest.mark.parametrize(("day", "warned"), [(29, False), (30, True)])
def test_an_entry_past_first_notice_is_warned_of_delivery(day: int, warned: bool) -> None:
    told = reason("GCZ6", ContractName("GCZ6"), date(2026, 11, day))
    assert ("warning: its first notice day was 2026-11-30" in told) is warned


def test_an_operators_own_roll_counts() -> None:
    rolls = {"MNQ": RollRule(2, Days.CALENDAR)}
    assert choose("MNQ1!", AFTER_IT, [], MINE, rolls) == "MNQZ6"


@pytest.mark.parametrize("text", [None, "", "NOSUCH1!", "NYSE:ES"])
def test_what_names_no_contract_is_refused_in_a_sentence(text: str | None) -> None:
    assert isinstance(choose(text, AFTER_IT, [], MINE), Blocked)
