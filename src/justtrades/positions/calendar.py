"""When the exchange trades and rests: business days, sessions, trade dates, the broker's maintenance.

Everything is computed from rules, nothing is downloaded: the ten US exchange holidays, and London's bank
holidays for the contracts that settle there. A day of national mourning cannot be computed; it shifts a
calendar by a day at most, and the broker's own expiration date is asked before an order leaves.

Holiday trading hours differ by product and year. `is_open` knows their common core (closed on New Year, Good
Friday and Christmas; noon on the other holidays; 12:15 on three half days) and is a hint for people and for
the simulator: whether an order is accepted, only the broker says.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

from justtrades.positions.roots import FRIDAY, City, Hours, Root

CHICAGO: Final = ZoneInfo("America/Chicago")

MONDAY, THURSDAY, SATURDAY, SUNDAY = 0, 3, 5, 6
_DAY: Final = timedelta(days=1)
_SESSION_END, _SESSION_START = time(16), time(17)
_NOON, _EARLY = time(12), time(12, 15)

_DAY_WINDOWS: Final[dict[Hours, tuple[tuple[time, time], ...]]] = {
    Hours.GLOBEX: ((time(0), _SESSION_END),),
    Hours.GRAINS: ((time(0), time(7, 45)), (time(8, 30), time(13, 20))),
    Hours.LIVESTOCK: ((time(8, 30), time(13, 5)),),
}
_EVENING_START: Final = {Hours.GLOBEX: _SESSION_START, Hours.GRAINS: time(19)}


def nth_weekday(year: int, month: int, nth: int, weekday: int) -> date:
    """The nth (from 1) such weekday of a month; -1 is its last."""
    first, last = date(year, month, 1), last_day(year, month)
    if nth < 0:
        return last - timedelta(days=(last.weekday() - weekday) % 7) + timedelta(weeks=nth + 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7, weeks=nth - 1)


def last_day(year: int, month: int) -> date:
    """The last calendar day of a month."""
    return date(year + month // 12, month % 12 + 1, 1) - _DAY


def easter(year: int) -> date:
    """Easter Sunday (the anonymous Gregorian algorithm)."""
    century, rest = divmod(year, 100)
    leap, skipped = divmod(century, 4)
    moon = (19 * (year % 19) + century - leap - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    week = (32 + 2 * skipped + 2 * (rest // 4) - moon - rest % 4) % 7
    late = (year % 19 + 11 * moon + 22 * week) // 451
    month, day = divmod(moon + week - 7 * late + 114, 31)
    return date(year, month, day + 1)


@cache
def holidays(year: int, city: City = City.CHICAGO) -> frozenset[date]:
    """The days of a year, Saturdays and Sundays aside, that are no business days in a city."""
    match city:
        case City.CHICAGO:
            return _closed_all_day(year) | _closed_at_noon(year)
        case City.LONDON:
            return _london(year)


def is_business_day(day: date, city: City = City.CHICAGO) -> bool:
    return day.weekday() < SATURDAY and day not in holidays(day.year, city)


def on_or_before(day: date, city: City = City.CHICAGO) -> date:
    """The day itself if it is a business day, else the last one before it."""
    while not is_business_day(day, city):
        day -= _DAY
    return day


def on_or_after(day: date, city: City = City.CHICAGO) -> date:
    """The day itself if it is a business day, else the next one."""
    while not is_business_day(day, city):
        day += _DAY
    return day


def business_days_before(day: date, count: int, city: City = City.CHICAGO) -> date:
    """The business day `count` of them strictly before a day; 0 is the day itself, or the one before it."""
    if count == 0:
        return on_or_before(day, city)
    for _ in range(count):
        day = on_or_before(day - _DAY, city)
    return day


def business_days(year: int, month: int, city: City = City.CHICAGO) -> tuple[date, ...]:
    """All business days of a month, in order."""
    return tuple(day for day in _days(year, month) if is_business_day(day, city))


def trade_date(now: datetime) -> date:
    """The business day that trading at this moment counts for: from 17:00 Chicago it is the next one's."""
    return on_or_after(_session_day(_chicago(now)))


def is_open(root: Root | None, now: datetime) -> bool:
    """Whether a product trades at this moment, as far as a calendar can say; None asks for Globex hours."""
    local = _chicago(now)
    hours = Hours.GLOBEX if root is None else root.hours
    return _trades_on(hours, _session_day(local)) and _trades_at(hours, local)


def in_maintenance(now: datetime) -> bool:
    """Whether the broker announces maintenance at this moment (protocol.md section 4, official partner page).

    Chicago time: Monday to Thursday 16:00-17:00, Friday 16:00-20:00, Saturday 22:00 to Sunday 06:30.
    """
    local = _chicago(now)
    match local.weekday():
        case 5:
            return local.time() >= time(22)
        case 6:
            return local.time() < time(6, 30)
        case weekday:
            return time(16) <= local.time() < time(20 if weekday == FRIDAY else 17)


def _chicago(now: datetime) -> datetime:
    if now.tzinfo is None:
        raise ValueError("a moment needs its time zone")
    return now.astimezone(CHICAGO)


def _session_day(local: datetime) -> date:
    return local.date() + _DAY if local.time() >= _SESSION_START else local.date()


def _trades_on(hours: Hours, day: date) -> bool:
    if day.weekday() >= SATURDAY or day in _closed_all_day(day.year):
        return False
    return hours is Hours.GLOBEX or is_business_day(day)


def _trades_at(hours: Hours, local: datetime) -> bool:
    at = local.time()
    if at >= _SESSION_START:
        return hours in _EVENING_START and at >= _EVENING_START[hours]
    halt = _halt(local.date())
    return at < halt and any(start <= at < end for start, end in _DAY_WINDOWS[hours])


def _halt(day: date) -> time:
    if day in _closed_at_noon(day.year):
        return _NOON
    return _EARLY if day in _half_days(day.year) else _SESSION_END


@cache
def _closed_all_day(year: int) -> frozenset[date]:
    new_year = date(year, 1, 1)
    # A New Year on a Saturday is not moved into the old year.
    moved = new_year if new_year.weekday() == SATURDAY else _observed(new_year)
    return frozenset({moved, easter(year) - 2 * _DAY, _observed(date(year, 12, 25))})


@cache
def _closed_at_noon(year: int) -> frozenset[date]:
    martin_luther_king = nth_weekday(year, 1, 3, MONDAY)
    presidents = nth_weekday(year, 2, 3, MONDAY)
    memorial = nth_weekday(year, 5, -1, MONDAY)
    labor = nth_weekday(year, 9, 1, MONDAY)
    juneteenth = {_observed(date(year, 6, 19))} if year >= 2022 else set()  # kept by exchanges since 2022
    independence = _observed(date(year, 7, 4))
    days = {martin_luther_king, presidents, memorial, independence, labor, thanksgiving(year)}
    return frozenset(days | juneteenth)


def thanksgiving(year: int) -> date:
    return nth_weekday(year, 11, 4, THURSDAY)


@cache
def _half_days(year: int) -> frozenset[date]:
    eves = {date(year, 7, 3), date(year, 12, 24), thanksgiving(year) + _DAY}
    return frozenset(day for day in eves if is_business_day(day))


def _observed(day: date) -> date:
    match day.weekday():
        case 5:
            return day - _DAY
        case 6:
            return day + _DAY
        case _:
            return day


def _london(year: int) -> frozenset[date]:
    days = {
        easter(year) - 2 * _DAY,
        easter(year) + _DAY,
        nth_weekday(year, 5, 1, MONDAY),
        nth_weekday(year, 5, -1, MONDAY),
        nth_weekday(year, 8, -1, MONDAY),
    }
    for fixed in (date(year, 1, 1), date(year, 12, 25), date(year, 12, 26)):
        days.add(_substitute(fixed, days))
    return frozenset(days)


def _substitute(day: date, taken: set[date]) -> date:
    while day.weekday() >= SATURDAY or day in taken:
        day += _DAY
    return day


def _days(year: int, month: int) -> Iterator[date]:
    for day in range(1, last_day(year, month).day + 1):
        yield date(year, month, day)
