"""The exchange's clock: holidays, sessions over weekends and clock changes, maintenance, trade dates."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from justtrades.positions.calendar import business_days_before, easter, holidays
from justtrades.positions.contracts import (
    ROOTS,
    in_maintenance,
    is_business_day,
    is_open,
    trade_date,
)


def chicago(day: str, at: str, offset: int = -6) -> datetime:
    """A moment of Chicago's clock, `offset` hours from UTC (-6 in winter, -5 in summer)."""
    return datetime.fromisoformat(f"{day}T{at}{offset:+03d}:00").astimezone(UTC)


def test_the_holidays_of_a_year_are_the_exchanges() -> None:
    expected = "01-01 01-19 02-16 04-03 05-25 06-19 07-03 09-07 11-26 12-25"
    assert sorted(holidays(2026)) == [date.fromisoformat(f"2026-{day}") for day in expected.split()]
    assert is_business_day(date(2027, 12, 31))  # New Year on a Saturday is not moved into the old year
    assert {day.year for day in holidays(2028)} == {2028}
    assert date(2021, 6, 18) not in holidays(2021)  # Juneteenth counts since 2022


@pytest.mark.parametrize(
    "day",
    ["1981-04-19", "2008-03-23", "2024-03-31", "2025-04-20", "2026-04-05", "2038-04-25", "2049-04-18", "2076-04-19"],
)
def test_easter_falls_where_it_falls(day: str) -> None:
    expected = date.fromisoformat(day)
    assert easter(expected.year) == expected


@given(st.dates(date(2020, 1, 1), date(2035, 12, 31)), st.integers(0, 12))
def test_counting_back_business_days_counts_each_once(day: date, count: int) -> None:
    back = business_days_before(day, count)
    between = [back + timedelta(days=n) for n in range((day - back).days)]
    assert is_business_day(back)
    assert sum(map(is_business_day, between)) == (count if count or back == day else 1)


@pytest.mark.parametrize(
    ("day", "at", "offset", "expected"),
    [
        ("2026-11-23", "09:00", -6, True),  # Monday
        ("2026-11-23", "15:59", -6, True),
        ("2026-11-23", "16:00", -6, False),
        ("2026-11-23", "16:59", -6, False),
        ("2026-11-23", "17:00", -6, True),
        ("2026-11-20", "15:59", -6, True),  # Friday
        ("2026-11-20", "17:00", -6, False),
        ("2026-11-21", "12:00", -6, False),  # Saturday
        ("2026-11-22", "16:59", -6, False),  # Sunday
        ("2026-11-22", "17:00", -6, True),
        ("2026-03-08", "16:59", -5, False),  # clocks went forward that morning
        ("2026-03-08", "17:00", -5, True),
        ("2026-11-01", "16:59", -6, False),  # and back
        ("2026-11-01", "17:00", -6, True),
        ("2026-11-26", "11:59", -6, True),  # Thanksgiving
        ("2026-11-26", "12:00", -6, False),
        ("2026-11-26", "17:00", -6, True),
        ("2026-11-27", "12:15", -6, False),
        ("2026-12-24", "18:00", -6, False),  # the session of Christmas
        ("2026-12-25", "10:00", -6, False),
        ("2026-04-02", "18:00", -5, False),  # the session of Good Friday
    ],
)
def test_globex_opens_and_closes_by_chicagos_clock(day: str, at: str, offset: int, expected: bool) -> None:
    assert is_open(None, chicago(day, at, offset)) is expected
    assert is_open(ROOTS["MNQ"], chicago(day, at, offset)) is expected


@pytest.mark.parametrize(
    ("symbol", "at", "expected"),
    [
        ("ZC", "07:44", True),
        ("ZC", "08:00", False),
        ("ZC", "13:19", True),
        ("ZC", "13:20", False),
        ("ZC", "18:59", False),
        ("ZC", "19:00", True),
        ("LE", "08:29", False),
        ("LE", "08:30", True),
        ("LE", "13:05", False),
        ("LE", "19:00", False),
    ],
)
def test_grains_and_livestock_keep_shorter_hours(symbol: str, at: str, expected: bool) -> None:
    assert is_open(ROOTS[symbol], chicago("2026-11-23", at)) is expected


def test_grains_and_livestock_rest_on_holidays_when_globex_trades_until_noon() -> None:
    thanksgiving = chicago("2026-11-26", "09:00")
    assert [is_open(ROOTS[symbol], thanksgiving) for symbol in ("ZC", "LE", "MNQ")] == [False, False, True]


@pytest.mark.parametrize(
    ("day", "at", "expected"),
    [
        ("2026-11-23", "16:00", True),
        ("2026-11-23", "17:00", False),
        ("2026-11-20", "19:59", True),
        ("2026-11-20", "20:00", False),
        ("2026-11-21", "21:59", False),
        ("2026-11-21", "22:00", True),
        ("2026-11-22", "06:29", True),
        ("2026-11-22", "06:30", False),
        ("2026-11-22", "16:30", False),
    ],
)
def test_the_broker_maintains_in_its_published_windows(day: str, at: str, expected: bool) -> None:
    assert in_maintenance(chicago(day, at)) is expected


@pytest.mark.parametrize(
    ("day", "at", "expected"),
    [
        ("2026-11-23", "16:59", "2026-11-23"),
        ("2026-11-23", "17:00", "2026-11-24"),
        ("2026-11-20", "17:00", "2026-11-23"),
        ("2026-11-22", "12:00", "2026-11-23"),
        ("2026-11-25", "17:00", "2026-11-27"),  # Thanksgiving's trades are Friday's
    ],
)
def test_the_evening_belongs_to_the_next_business_day(day: str, at: str, expected: str) -> None:
    assert trade_date(chicago(day, at)) == date.fromisoformat(expected)


def test_a_moment_without_a_time_zone_is_refused() -> None:
    naive = chicago("2026-11-23", "12:00").replace(tzinfo=None)
    with pytest.raises(ValueError, match="time zone"):
        is_open(None, naive)
