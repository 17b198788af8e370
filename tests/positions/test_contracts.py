"""Expiries and the front month, against known dates and over every day of seven years."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from justtrades.positions.contracts import (
    MONTH_LETTERS,
    ROOTS,
    Continuous,
    Dated,
    Days,
    RollRule,
    Root,
    Settlement,
    expiry,
    first_notice,
    front,
    has_expired,
    is_business_day,
    resolve,
    roll_date,
)

TODAY = date(2026, 11, 23)
SHARED = Path(__file__).parents[3] / "shared" / "tradovate" / "contracts.csv"
ALL_ROOTS = tuple(ROOTS.values())

every_root = pytest.mark.parametrize("root", ALL_ROOTS, ids=str)
contracts = st.sampled_from(ALL_ROOTS).flatmap(
    lambda root: st.builds(Dated, st.just(root), st.sampled_from(root.listed_months), st.integers(2025, 2034))
)


def mnq(month: str, year: int) -> Dated:
    return Dated(ROOTS["MNQ"], month, year)


# ── the table ───────────────────────────────────────────────────────────────────────────────────────────


def test_the_table_knows_62_roots() -> None:
    assert len(ROOTS) == 62


@every_root
def test_a_tick_is_worth_the_tick_size_times_the_point_value(root: Root) -> None:
    assert root.tick_size * root.point_value == root.tick_value


@every_root
def test_the_liquid_months_are_listed_and_in_order(root: Root) -> None:
    assert set(root.months) <= set(root.listed_months) <= set(MONTH_LETTERS)
    assert list(root.months) == sorted(root.months, key=MONTH_LETTERS.index)


@every_root
def test_only_physical_delivery_has_a_first_notice(root: Root) -> None:
    assert root.first_notice is None or root.settlement is Settlement.PHYSICAL


@pytest.mark.skipif(not SHARED.exists(), reason="the recorded contract table is not beside this checkout")
def test_the_table_says_what_the_recorded_table_says() -> None:
    rows = list(csv.DictReader(SHARED.read_text(encoding="utf-8").splitlines()))
    recorded = {
        row["symbol"]: (
            row["exchange"],
            Decimal(row["tick_size"]),
            Decimal(row["tick_value"]),
            Decimal(row["point_value"]),
            row["months"],
            row["listed_months"],
        )
        for row in rows
    }
    ours = {
        root.symbol: (
            root.exchange,
            root.tick_size,
            root.tick_value,
            root.point_value,
            root.months,
            root.listed_months,
        )
        for root in ALL_ROOTS
    }
    assert ours == recorded


# ── expiry and first notice ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("symbol", "month", "year", "expected"),
    [
        ("ES", "M", 2024, "2024-06-21"),
        ("NQ", "Z", 2026, "2026-12-18"),
        ("MNQ", "H", 2025, "2025-03-21"),
        ("ES", "M", 2026, "2026-06-18"),  # the third Friday is Juneteenth
        ("ES", "H", 2008, "2008-03-20"),  # the third Friday was Good Friday
        ("NKD", "Z", 2024, "2024-12-12"),
        ("CL", "X", 2024, "2024-10-22"),
        ("CL", "Z", 2024, "2024-11-20"),
        ("CL", "F", 2025, "2024-12-19"),  # the 25th is Christmas
        ("CL", "N", 2024, "2024-06-20"),
        ("MCL", "Z", 2024, "2024-11-19"),
        ("QM", "Z", 2024, "2024-11-19"),
        ("NG", "Z", 2024, "2024-11-26"),  # Thanksgiving in between
        ("QG", "Z", 2024, "2024-11-25"),
        ("RB", "Z", 2024, "2024-11-29"),
        ("BZ", "F", 2025, "2024-11-29"),
        ("BZ", "G", 2025, "2024-12-30"),  # the last but one London business day of the year
        ("BZ", "V", 2026, "2026-08-28"),  # London's bank holiday on the 31st
        ("GC", "Z", 2024, "2024-12-27"),
        ("MGC", "Q", 2024, "2024-08-28"),
        ("MHG", "Z", 2024, "2024-11-26"),
        ("ZN", "Z", 2024, "2024-12-19"),
        ("ZB", "H", 2025, "2025-03-20"),
        ("ZF", "Z", 2024, "2024-12-31"),
        ("ZC", "Z", 2024, "2024-12-13"),
        ("ZW", "H", 2026, "2026-03-13"),  # the 15th is a Sunday
        ("6E", "Z", 2024, "2024-12-16"),
        ("6E", "M", 2024, "2024-06-17"),  # the third Wednesday is Juneteenth
        ("6C", "Z", 2024, "2024-12-17"),
        ("BTC", "X", 2024, "2024-11-29"),
        ("MBT", "H", 2024, "2024-03-28"),  # Good Friday
        ("LE", "Z", 2024, "2024-12-31"),
        ("HE", "Z", 2024, "2024-12-13"),
        ("GF", "X", 2023, "2023-11-16"),  # November ends before Thanksgiving week
        ("GF", "K", 2026, "2026-05-21"),  # Memorial Day in its last week
        ("GF", "H", 2025, "2025-03-27"),
    ],
)
def test_known_contracts_expire_on_their_known_day(symbol: str, month: str, year: int, expected: str) -> None:
    assert expiry(ROOTS[symbol], month, year) == date.fromisoformat(expected)


def test_first_notice_of_gold_is_the_last_business_day_before_its_month() -> None:
    assert first_notice(ROOTS["GC"], "Z", 2024) == date(2024, 11, 29)
    assert first_notice(ROOTS["CL"], "Z", 2024) is None


@every_root
def test_expiries_are_business_days_in_the_order_of_the_months(root: Root) -> None:
    days = [expiry(root, month, year) for year in range(2024, 2031) for month in root.listed_months]
    assert days == sorted(set(days))
    assert all(is_business_day(day) or root.symbol == "BZ" for day in days)


@given(contracts)
def test_a_contract_is_left_before_notice_and_before_expiry(contract: Dated) -> None:
    root, month, year = contract.root, contract.month, contract.year
    notice = first_notice(root, month, year)
    assert roll_date(root, month, year) < expiry(root, month, year)
    assert notice is None or roll_date(root, month, year) < notice < expiry(root, month, year)


# ── the front month ─────────────────────────────────────────────────────────────────────────────────────


@every_root
def test_the_front_contract_is_never_expired_nor_in_its_roll_window_on_any_day(root: Root) -> None:
    day, previous = date(2024, 1, 1), front(root, date(2023, 12, 31))
    while day.year <= 2030:
        contract = front(root, day)
        month, year = contract.month, contract.year
        assert not has_expired(contract, day)
        assert day < roll_date(root, month, year) < (first_notice(root, month, year) or expiry(root, month, year))
        assert (year, contract.month_number) >= (previous.year, previous.month_number)
        day, previous = day + timedelta(days=1), contract


@given(st.sampled_from(ALL_ROOTS), st.dates(date(2024, 1, 1), date(2030, 12, 31)), st.integers(1, 4))
def test_the_next_contract_is_the_one_that_becomes_front_when_the_front_rolls(
    root: Root, today: date, nth: int
) -> None:
    now, after = front(root, today, nth=nth), front(root, today, nth=nth + 1)
    assert front(root, roll_date(root, now.month, now.year)) == after


@pytest.mark.parametrize(
    ("symbol", "today", "expected"),
    [
        ("MNQ", "2026-12-09", "MNQZ6"),
        ("MNQ", "2026-12-10", "MNQH7"),  # eight days before the third Friday
        ("NQ", "2024-06-12", "NQM4"),
        ("NQ", "2024-06-14", "NQU4"),
        ("CL", "2024-11-14", "CLZ4"),
        ("CL", "2024-11-15", "CLF5"),  # three business days before the 20th
        ("GC", "2024-07-25", "GCQ4"),
        ("GC", "2024-07-26", "GCZ4"),  # three business days before notice; thin October is passed over
        ("QO", "2024-09-01", "QOV4"),
        ("BTC", "2024-11-25", "BTCX4"),
        ("BTC", "2024-11-26", "BTCZ4"),  # two business days before the 29th: Thanksgiving does not count
        ("LE", "2024-09-25", "LEV4"),
        ("LE", "2024-09-26", "LEZ4"),  # three business days before its delivery month
        ("6E", "2026-11-23", "6EZ6"),
    ],
)
def test_the_front_month_on_known_days(symbol: str, today: str, expected: str) -> None:
    assert front(ROOTS[symbol], date.fromisoformat(today)).tradovate == expected


def test_an_operator_may_roll_at_another_time_and_through_other_months() -> None:
    later = RollRule(2, Days.BUSINESS)
    assert resolve(Continuous(ROOTS["MNQ"]), date(2026, 12, 15), {"MNQ": later}) == mnq("Z", 2026)
    assert resolve(Continuous(ROOTS["MNQ"]), date(2026, 12, 16), {"MNQ": later}) == mnq("H", 2027)
    assert front(ROOTS["GC"], date(2024, 8, 1), RollRule(3, months="GJMQVZ")).tradovate == "GCV4"


def test_a_contract_that_is_named_is_never_changed() -> None:
    assert resolve(mnq("U", 2026), TODAY) == mnq("U", 2026)
    assert has_expired(mnq("U", 2026), TODAY)
    assert not has_expired(mnq("Z", 2026), date(2026, 12, 18))


def test_rules_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="never after"):
        RollRule(-1)
    with pytest.raises(ValueError, match="letters"):
        RollRule(3, months="")
    with pytest.raises(ValueError, match="no contract of that month"):
        front(ROOTS["MNQ"], TODAY, RollRule(3, months="F"))
    with pytest.raises(ValueError, match="first"):
        front(ROOTS["MNQ"], TODAY, nth=0)
