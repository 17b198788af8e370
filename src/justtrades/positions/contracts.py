"""Contracts: how a symbol is read, when it ends, and which one is at the front today.

The public face of `roots` (facts and rules), `calendar` (business days and sessions) and `symbols`
(spellings); what stands here itself turns rules into dates.

*Front* is a calendar's answer, not a market's: a contract is left a fixed time before its first notice day,
or before its expiry where no notice threatens. TradingView's `1!` follows volume and may differ for a day or
two; Tradovate's `isFront` stays until expiry and must not be used (protocol.md section 7). A contract that an
alert names is never changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from functools import lru_cache
from itertools import count, islice
from typing import assert_never

from justtrades.positions.calendar import (
    CHICAGO,
    THURSDAY,
    business_days,
    business_days_before,
    in_maintenance,
    is_business_day,
    is_open,
    last_day,
    nth_weekday,
    on_or_before,
    thanksgiving,
    trade_date,
)
from justtrades.positions.rolls import NO_ROLLS
from justtrades.positions.roots import (
    MONTH_LETTERS,
    ROOTS,
    BeforeDay,
    Brent,
    BusinessDay,
    City,
    CrudeOil,
    DateRule,
    Days,
    FeederCattle,
    NthWeekday,
    RollRule,
    Root,
    Settlement,
)
from justtrades.positions.symbols import Continuous, Dated, Symbol, UnknownSymbol, parse_symbol, year_of_digit

__all__ = [
    "CHICAGO",
    "MONTH_LETTERS",
    "ROOTS",
    "Continuous",
    "Dated",
    "Days",
    "RollRule",
    "Root",
    "Settlement",
    "Symbol",
    "UnknownSymbol",
    "expiry",
    "first_notice",
    "front",
    "has_expired",
    "in_maintenance",
    "is_business_day",
    "is_open",
    "parse_symbol",
    "resolve",
    "roll_date",
    "trade_date",
    "year_of_digit",
]


def expiry(root: Root, month: str, year: int) -> date:
    """The last trading day of a contract, by its root's rule; `month` is its letter."""
    return _date(root.expiry, year, MONTH_LETTERS.index(month) + 1)


def first_notice(root: Root, month: str, year: int) -> date | None:
    """The first day on which a long may be told to take delivery; None where none comes before expiry."""
    if root.first_notice is None:
        return None
    return _date(root.first_notice, year, MONTH_LETTERS.index(month) + 1)


def roll_date(root: Root, month: str, year: int, roll: RollRule | None = None) -> date:
    """The first day on which a continuous symbol no longer means this contract.

    Counted back from first notice, else from expiry, by `roll` or the root's own rule.
    """
    rule = root.roll if roll is None else roll
    anchor = first_notice(root, month, year) or expiry(root, month, year)
    match rule.unit:
        case Days.CALENDAR:
            return anchor - timedelta(days=rule.days)
        case Days.BUSINESS:
            return business_days_before(anchor, rule.days)


def front(root: Root, today: date, roll: RollRule | None = None, nth: int = 1) -> Dated:
    """The nth contract not yet rolled on `today` (a trade date), among the liquid months of the root.

    `roll` replaces the root's own rule. ValueError when nth is below 1 or the rule names a month not listed.
    """
    if nth < 1:
        raise ValueError("the front contract is the first")
    rule = root.roll if roll is None else roll
    waiting = (
        Dated(root, month, year)
        for month, year in _months_from(today, rule.months or root.months)
        if roll_date(root, month, year, rule) > today
    )
    return next(islice(waiting, nth - 1, None))


def resolve(symbol: Symbol, today: date, rolls: Mapping[str, RollRule] = NO_ROLLS) -> Dated:
    """The contract a symbol means on `today`; `rolls` holds an operator's own rules by root symbol."""
    match symbol:
        case Dated():
            return symbol
        case Continuous(root, nth):
            return front(root, today, rolls.get(root.symbol), nth)


def has_expired(contract: Dated, today: date) -> bool:
    """True from the day after the last trading day."""
    return today > expiry(contract.root, contract.month, contract.year)


def _months_from(today: date, months: str) -> Iterator[tuple[str, int]]:
    # No contract outlives its month, so the search may start with the month of today.
    for months_ahead in count(today.month - 1):
        years, index = divmod(months_ahead, 12)
        if MONTH_LETTERS[index] in months:
            yield MONTH_LETTERS[index], today.year + years


@lru_cache(maxsize=4096)
def _date(rule: DateRule, year: int, month: int) -> date:
    match rule:
        case NthWeekday(nth, weekday, before):
            return business_days_before(nth_weekday(year, month, nth, weekday), before)
        case BusinessDay(nth, months_before):
            return _nth_business_day(nth, *_earlier(year, month, months_before))
        case BeforeDay(day):
            return business_days_before(date(year, month, day), 1)
        case CrudeOil(before):
            return business_days_before(on_or_before(date(*_earlier(year, month, 1), 25)), before)
        case Brent():
            return _brent(year, month)
        case FeederCattle():
            return _feeder_cattle(year, month)
        case _:
            assert_never(rule)


def _nth_business_day(nth: int, year: int, month: int) -> date:
    days = business_days(year, month)
    return days[nth - 1] if nth > 0 else days[nth]


def _earlier(year: int, month: int, months: int) -> tuple[int, int]:
    years, index = divmod(year * 12 + month - 1 - months, 12)
    return years, index + 1


def _brent(year: int, month: int) -> date:
    # February's would fall on New Year's Eve.
    last = last_day(*_earlier(year, month, 2))
    return business_days_before(on_or_before(last, City.LONDON), int(month == 2), City.LONDON)


def _feeder_cattle(year: int, month: int) -> date:
    week = timedelta(weeks=1)
    thursday = thanksgiving(year) - week if month == 11 else nth_weekday(year, month, -1, THURSDAY)
    while not _no_holiday_since_friday(thursday):
        thursday -= week
    return thursday


def _no_holiday_since_friday(thursday: date) -> bool:
    friday = thursday - timedelta(days=6)
    return is_business_day(thursday) and business_days_before(thursday, 4) == friday
