"""The calendar against a second one, for six years: holidays written out, every rule computed in another way.

The holidays are those the exchanges have published (2028 by the same rules). Nothing of `positions.calendar` is
used on this side.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable
from datetime import date, timedelta
from functools import cache

import pytest

from justtrades.positions.calendar import holidays
from justtrades.positions.contracts import MONTH_LETTERS, ROOTS, expiry, first_notice, front, roll_date

HOLIDAYS = {
    2023: "01-02 01-16 02-20 04-07 05-29 06-19 07-04 09-04 11-23 12-25",
    2024: "01-01 01-15 02-19 03-29 05-27 06-19 07-04 09-02 11-28 12-25",
    2025: "01-01 01-20 02-17 04-18 05-26 06-19 07-04 09-01 11-27 12-25",
    2026: "01-01 01-19 02-16 04-03 05-25 06-19 07-03 09-07 11-26 12-25",
    2027: "01-01 01-18 02-15 03-26 05-31 06-18 07-05 09-06 11-25 12-24",
    2028: "01-17 02-21 04-14 05-29 06-19 07-04 09-04 11-23 12-25",
}
CLOSED = {date.fromisoformat(f"{year}-{day}") for year, days in HOLIDAYS.items() for day in days.split()}
YEARS = range(2024, 2029)


@cache
def workdays(year: int, month: int) -> list[date]:
    every = (date(year, month, day) for day in range(1, calendar.monthrange(year, month)[1] + 1))
    return [day for day in every if day.isoweekday() <= 5 and day not in CLOSED]


def workdays_around(year: int, month: int) -> list[date]:
    """Of the two months before and the month itself, in order."""
    months = [(year + (month - back - 1) // 12, (month - back - 1) % 12 + 1) for back in (2, 1, 0)]
    return [day for one in months for day in workdays(*one)]


def before(year: int, month: int, day: date, count: int) -> date:
    """The workday that is `count` of them before a day, the day itself not counted."""
    return [one for one in workdays_around(year, month) if one < day][-count]


def weekday_of(year: int, month: int, nth: int, weekday: int) -> date:
    return date(year, month, [week[weekday] for week in calendar.monthcalendar(year, month) if week[weekday]][nth])


def month_before(year: int, month: int) -> list[date]:
    return workdays(year, month - 1) if month > 1 else workdays(year - 1, 12)


def third_friday(year: int, month: int) -> date:
    friday = weekday_of(year, month, 2, calendar.FRIDAY)
    return friday if friday not in CLOSED else before(year, month, friday, 1)


def last_friday(year: int, month: int) -> date:
    friday = weekday_of(year, month, -1, calendar.FRIDAY)
    return friday if friday not in CLOSED else before(year, month, friday, 1)


def crude(year: int, month: int) -> date:
    """Three business days before the 25th of the month before, four where the 25th is none."""
    days = month_before(year, month)
    return [day for day in days if day.day < 25][-3 if any(day.day == 25 for day in days) else -4]


def crude_cash(year: int, month: int) -> date:
    return before(year, month, crude(year, month), 1)


def wednesday_less(days: int) -> Callable[[int, int], date]:
    return lambda year, month: before(year, month, weekday_of(year, month, 2, calendar.WEDNESDAY), days)


RULES: dict[str, Callable[[int, int], date]] = {
    **dict.fromkeys(["ES", "MES", "NQ", "MNQ", "RTY", "M2K", "YM", "MYM", "EMD"], third_friday),
    "NKD": lambda year, month: before(year, month, weekday_of(year, month, 1, calendar.FRIDAY), 1),
    "CL": crude,
    **dict.fromkeys(["MCL", "QM"], crude_cash),
    "NG": lambda year, month: month_before(year, month)[-3],
    **dict.fromkeys(["QG", "MNG"], lambda year, month: month_before(year, month)[-4]),
    **dict.fromkeys(["RB", "HO"], lambda year, month: month_before(year, month)[-1]),
    **dict.fromkeys(["GC", "MGC", "SI", "SIL", "HG", "PL", "PA"], lambda year, month: workdays(year, month)[-3]),
    **dict.fromkeys(["QO", "1OZ", "QI", "MHG", "QC"], lambda year, month: month_before(year, month)[-3]),
    **dict.fromkeys(["ZB", "UB", "ZN", "TN"], lambda year, month: workdays(year, month)[-8]),
    **dict.fromkeys(["ZF", "ZT", "LE"], lambda year, month: workdays(year, month)[-1]),
    **dict.fromkeys(["ZC", "ZW", "KE", "ZS", "ZM", "ZL"], lambda y, m: [d for d in workdays(y, m) if d.day < 15][-1]),
    **dict.fromkeys(["6E", "M6E", "E7", "6B", "M6B", "6J", "6A", "M6A", "6S", "6N", "6M"], wednesday_less(2)),
    "6C": wednesday_less(1),
    **dict.fromkeys(["BTC", "MBT", "ETH", "MET"], last_friday),
    "HE": lambda year, month: workdays(year, month)[9],
}
DELIVERED = [
    *("GC", "MGC", "SI", "SIL", "HG", "PL", "PA"),
    *("ZB", "UB", "ZN", "TN", "ZF", "ZT", "ZC", "ZW", "KE", "ZS", "ZM", "ZL"),
]
"""First notice on the last business day of the month before."""


@pytest.mark.parametrize("year", HOLIDAYS)
def test_the_holidays_of_each_year_are_those_published(year: int) -> None:
    weekdays = {day for day in holidays(year) if day.isoweekday() <= 5}
    assert weekdays == {day for day in CLOSED if day.year == year}


def test_every_root_but_two_with_rules_of_their_own_is_computed_twice() -> None:
    assert set(ROOTS) - set(RULES) == {"BZ", "GF"}  # London's calendar; Thanksgiving week: both by known dates


@pytest.mark.parametrize("symbol", RULES)
def test_each_expiry_of_five_years_is_the_second_calendars(symbol: str) -> None:
    root = ROOTS[symbol]
    months = [(year, MONTH_LETTERS.index(letter) + 1) for year in YEARS for letter in root.listed_months]
    ours = [expiry(root, MONTH_LETTERS[month - 1], year) for year, month in months]
    assert ours == [RULES[symbol](year, month) for year, month in months]


@pytest.mark.parametrize("symbol", DELIVERED)
def test_each_first_notice_of_five_years_is_the_second_calendars(symbol: str) -> None:
    root = ROOTS[symbol]
    months = [(year, MONTH_LETTERS.index(letter) + 1) for year in YEARS for letter in root.listed_months]
    ours = [first_notice(root, MONTH_LETTERS[month - 1], year) for year, month in months]
    assert ours == [month_before(year, month)[-1] for year, month in months]


@pytest.mark.parametrize(
    ("contract", "expected"),
    [
        ("ESH2025", "2025-03-21"),
        ("NQM2024", "2024-06-21"),
        ("MNQZ2026", "2026-12-18"),
        ("CLM2024", "2024-05-21"),
        ("CLZ2025", "2025-11-20"),
        ("CLF2026", "2025-12-19"),
        ("CLG2026", "2026-01-20"),
        ("NGZ2025", "2025-11-25"),
        ("GCZ2025", "2025-12-29"),
        ("GCQ2022", "2022-08-29"),  # TradingView's help page shows it
        ("6EH2025", "2025-03-17"),
        ("ZNH2025", "2025-03-20"),
        ("ZCZ2025", "2025-12-12"),
    ],
)
def test_contracts_of_several_years_ended_on_the_day_they_are_known_to_have_ended(contract: str, expected: str) -> None:
    assert expiry(ROOTS[contract[:-5]], contract[-5], int(contract[-4:])) == date.fromisoformat(expected)


@pytest.mark.parametrize(
    ("symbol", "months", "rolls"),
    [
        ("MNQ", "HMUZ", lambda year, month: third_friday(year, month) - timedelta(days=8)),
        ("CL", MONTH_LETTERS, lambda year, month: before(year, month, crude(year, month), 3)),
        ("GC", "GJMQZ", lambda year, month: before(year, month, month_before(year, month)[-1], 3)),
        ("SI", "HKNUZ", lambda year, month: before(year, month, month_before(year, month)[-1], 3)),
        ("ZS", "FHKNQUX", lambda year, month: before(year, month, month_before(year, month)[-1], 3)),
        ("BTC", MONTH_LETTERS, lambda year, month: before(year, month, last_friday(year, month), 2)),
    ],
)
def test_on_every_day_of_four_years_the_front_month_is_the_second_calendars(
    symbol: str, months: str, rolls: Callable[[int, int], date]
) -> None:
    root = ROOTS[symbol]
    chain = [(year, MONTH_LETTERS.index(letter) + 1) for year in YEARS for letter in months]
    left = {one: rolls(*one) for one in chain}
    assert [roll_date(root, MONTH_LETTERS[month - 1], year) for year, month in chain] == list(left.values())
    for day in (date(2024, 1, 1) + timedelta(days=n) for n in range(4 * 365)):
        year, month = next(one for one in chain if left[one] > day)
        assert (front(root, day).year, front(root, day).month_number) == (year, month)


@pytest.mark.parametrize(
    ("symbol", "day", "expected"),
    [
        ("MNQ", "2026-11-25", "MNQZ6"),
        ("NQ", "2024-06-12", "NQM4"),
        ("NQ", "2024-06-14", "NQU4"),
        ("ES", "2025-03-12", "ESH5"),
        ("ES", "2025-03-14", "ESM5"),
        ("CL", "2026-11-25", "CLF7"),
        ("GC", "2026-11-25", "GCG7"),
        ("6E", "2026-11-25", "6EZ6"),
    ],
)
def test_the_front_month_on_days_a_trader_remembers(symbol: str, day: str, expected: str) -> None:
    assert front(ROOTS[symbol], date.fromisoformat(day)).tradovate == expected
