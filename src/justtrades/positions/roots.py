"""The futures roots this project knows: what a contract of each is worth, when it ends, when to leave it.

A root is a row of facts published by the exchange (CME Group's contract specifications). Facts that are
rules, such as "three business days before the 25th", stand here as small typed values; `contracts` turns a
rule and a month into a date. What is a decision of ours and no fact is the `roll` of each root: the first day
on which a continuous symbol (`MNQ1!`) means the next contract.

The broker's own product record wins over tick and point value here whenever it can be asked. Month tables and
expiry rules were not all checked against the exchange, so a dated contract is also checked at the broker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Final

MONTH_LETTERS: Final = "FGHJKMNQUVXZ"
"""January to December."""

WEDNESDAY, FRIDAY = 2, 4


class Settlement(StrEnum):
    """What happens to a position held past the end: cash, or the goods themselves."""

    CASH = "cash"
    PHYSICAL = "physical"


class Hours(StrEnum):
    """Which trading hours a root keeps (see `calendar.is_open`)."""

    GLOBEX = "globex"
    GRAINS = "grains"
    LIVESTOCK = "livestock"


class City(StrEnum):
    """Whose bank holidays count in a rule's business days."""

    CHICAGO = "chicago"
    LONDON = "london"


class Days(StrEnum):
    """How the days of a roll are counted."""

    CALENDAR = "calendar"
    BUSINESS = "business"


@dataclass(frozen=True, slots=True)
class NthWeekday:
    """The nth such weekday of the contract month (-1: the last), or the business day before it if a holiday.

    With `business_days_before` the day is that many business days strictly before the weekday.
    """

    nth: int
    weekday: int
    business_days_before: int = 0


@dataclass(frozen=True, slots=True)
class BusinessDay:
    """The nth business day (negative: from the end) of a month, `months_before` the contract month."""

    nth: int
    months_before: int = 0


@dataclass(frozen=True, slots=True)
class BeforeDay:
    """The last business day strictly before a day of the contract month."""

    day: int


@dataclass(frozen=True, slots=True)
class CrudeOil:
    """Business days before the 25th of the month before; a 25th that is none counts as the one before it."""

    business_days: int


@dataclass(frozen=True, slots=True)
class Brent:
    """Last London business day two months before the contract month; for February the last but one."""


@dataclass(frozen=True, slots=True)
class FeederCattle:
    """The last Thursday with no holiday on it or on the four weekdays before it.

    In November the search starts at the Thursday before Thanksgiving.
    """


DateRule = NthWeekday | BusinessDay | BeforeDay | CrudeOil | Brent | FeederCattle


@dataclass(frozen=True, slots=True)
class RollRule:
    """How long before its anchor a contract stops being the front one.

    The anchor is the first notice day where there is one, else the expiry. `months` narrows the months a
    continuous symbol walks through (None: all liquid months of the root).
    """

    days: int
    unit: Days = Days.BUSINESS
    months: str | None = None

    def __post_init__(self) -> None:
        """A contract is never front on its last day's morrow: negative days raise ValueError."""
        if self.days < 0:
            raise ValueError("a roll lies before the end of a contract, never after it")
        if self.months is not None and (not self.months or set(self.months) - set(MONTH_LETTERS)):
            raise ValueError(f"months of a roll are letters of {MONTH_LETTERS}")


@dataclass(frozen=True, slots=True)
class Root:
    """One futures product. Prices are in the exchange's quotation, values in USD per contract."""

    symbol: str
    exchange: str = field(repr=False)
    tick_size: Decimal = field(repr=False)
    tick_value: Decimal = field(repr=False)
    """USD per tick and contract."""
    point_value: Decimal = field(repr=False)
    """USD per 1.0 of price and contract."""
    months: str = field(repr=False)
    """Months that are really traded: what a continuous symbol walks through."""
    listed_months: str = field(repr=False)
    name: str = field(repr=False)
    expiry: DateRule = field(repr=False)
    first_notice: DateRule | None = field(repr=False)
    settlement: Settlement = field(repr=False)
    hours: Hours = field(repr=False)
    roll: RollRule = field(repr=False)

    def __str__(self) -> str:
        return self.symbol


@dataclass(frozen=True, slots=True)
class _Terms:
    """What products of one kind share: how they end, how they settle, when we leave them."""

    expiry: DateRule
    first_notice: DateRule | None = None
    settlement: Settlement = Settlement.CASH
    hours: Hours = Hours.GLOBEX
    roll: RollRule = RollRule(3)


_PHYSICAL: Final = Settlement.PHYSICAL
_END_OF_MONTH_BEFORE: Final = BusinessDay(-1, months_before=1)

# The volume moves on the Thursday of the week before the third Friday, and so does TradingView's 1!.
_EQUITY_ROLL: Final = RollRule(8, Days.CALENDAR)
# Crypto stays liquid to the end: its volume moves in the last two or three days.
_CRYPTO_ROLL: Final = RollRule(2)
# October gold is listed and thin: from August the volume goes to December.
_GOLD_ROLL: Final = RollRule(3, months="GJMQZ")

_INDEX = _Terms(NthWeekday(3, FRIDAY), roll=_EQUITY_ROLL)
_NIKKEI = _Terms(NthWeekday(2, FRIDAY, business_days_before=1), roll=_EQUITY_ROLL)
_CRYPTO = _Terms(NthWeekday(-1, FRIDAY), roll=_CRYPTO_ROLL)
# Energy delivers, but notices come after the last trading day: there is no first notice to avoid.
_CRUDE = _Terms(CrudeOil(3), settlement=_PHYSICAL)
_CRUDE_CASH = _Terms(CrudeOil(4))
_GAS = _Terms(BusinessDay(-3, months_before=1), settlement=_PHYSICAL)
_GAS_CASH = _Terms(BusinessDay(-4, months_before=1))
_FUEL = _Terms(_END_OF_MONTH_BEFORE, settlement=_PHYSICAL)
_BRENT = _Terms(Brent())
_METAL = _Terms(BusinessDay(-3), _END_OF_MONTH_BEFORE, _PHYSICAL)
_GOLD = _Terms(BusinessDay(-3), _END_OF_MONTH_BEFORE, _PHYSICAL, roll=_GOLD_ROLL)
_METAL_CASH = _Terms(BusinessDay(-3, months_before=1))
_LONG_BOND = _Terms(BusinessDay(-8), _END_OF_MONTH_BEFORE, _PHYSICAL)
_SHORT_NOTE = _Terms(BusinessDay(-1), _END_OF_MONTH_BEFORE, _PHYSICAL)
_GRAIN = _Terms(BeforeDay(15), _END_OF_MONTH_BEFORE, _PHYSICAL, Hours.GRAINS)
_CURRENCY = _Terms(NthWeekday(3, WEDNESDAY, business_days_before=2), settlement=_PHYSICAL)
_CANADA = _Terms(NthWeekday(3, WEDNESDAY, business_days_before=1), settlement=_PHYSICAL)
# Certificates may be tendered early in the contract month: its first business day is the cautious side.
_CATTLE = _Terms(BusinessDay(-1), BusinessDay(1), _PHYSICAL, Hours.LIVESTOCK)
_HOGS = _Terms(BusinessDay(10), hours=Hours.LIVESTOCK)
_FEEDER = _Terms(FeederCattle(), hours=Hours.LIVESTOCK)

_ALL = MONTH_LETTERS
_HMUZ = "HMUZ"

# symbol, exchange, tick, USD per tick, USD per point, liquid months, listed months, name, terms
_TABLE: Final[tuple[tuple[str, str, str, str, str, str, str, str, _Terms], ...]] = (
    ("ES", "CME", "0.25", "12.5", "50", _HMUZ, _HMUZ, "E-mini S&P 500", _INDEX),
    ("MES", "CME", "0.25", "1.25", "5", _HMUZ, _HMUZ, "Micro E-mini S&P 500", _INDEX),
    ("NQ", "CME", "0.25", "5", "20", _HMUZ, _HMUZ, "E-mini Nasdaq-100", _INDEX),
    ("MNQ", "CME", "0.25", "0.5", "2", _HMUZ, _HMUZ, "Micro E-mini Nasdaq-100", _INDEX),
    ("RTY", "CME", "0.1", "5", "50", _HMUZ, _HMUZ, "E-mini Russell 2000", _INDEX),
    ("M2K", "CME", "0.1", "0.5", "5", _HMUZ, _HMUZ, "Micro E-mini Russell 2000", _INDEX),
    ("YM", "CBOT", "1", "5", "5", _HMUZ, _HMUZ, "E-mini Dow", _INDEX),
    ("MYM", "CBOT", "1", "0.5", "0.5", _HMUZ, _HMUZ, "Micro E-mini Dow", _INDEX),
    ("EMD", "CME", "0.1", "10", "100", _HMUZ, _HMUZ, "E-mini S&P MidCap 400", _INDEX),
    ("NKD", "CME", "5", "25", "5", _HMUZ, _HMUZ, "Nikkei 225 (USD)", _NIKKEI),
    ("CL", "NYMEX", "0.01", "10", "1000", _ALL, _ALL, "WTI crude oil", _CRUDE),
    ("MCL", "NYMEX", "0.01", "1", "100", _ALL, _ALL, "Micro WTI crude oil", _CRUDE_CASH),
    ("QM", "NYMEX", "0.025", "12.5", "500", _ALL, _ALL, "E-mini crude oil", _CRUDE_CASH),
    ("NG", "NYMEX", "0.001", "10", "10000", _ALL, _ALL, "Henry Hub natural gas", _GAS),
    ("QG", "NYMEX", "0.005", "12.5", "2500", _ALL, _ALL, "E-mini natural gas", _GAS_CASH),
    ("MNG", "NYMEX", "0.001", "1", "1000", _ALL, _ALL, "Micro Henry Hub natural gas", _GAS_CASH),
    ("RB", "NYMEX", "0.0001", "4.2", "42000", _ALL, _ALL, "RBOB gasoline", _FUEL),
    ("HO", "NYMEX", "0.0001", "4.2", "42000", _ALL, _ALL, "NY Harbor ULSD", _FUEL),
    ("BZ", "NYMEX", "0.01", "10", "1000", _ALL, _ALL, "Brent last day financial", _BRENT),
    ("GC", "COMEX", "0.1", "10", "100", "GJMQVZ", _ALL, "Gold", _GOLD),
    ("MGC", "COMEX", "0.1", "1", "10", "GJMQVZ", _ALL, "Micro gold", _GOLD),
    ("QO", "COMEX", "0.25", "12.5", "50", "GJMQVZ", "GJMQVZ", "E-mini gold", _METAL_CASH),
    ("1OZ", "COMEX", "0.25", "0.25", "1", "GJMQVZ", "GJMQVZ", "1-ounce gold", _METAL_CASH),
    ("SI", "COMEX", "0.005", "25", "5000", "HKNUZ", _ALL, "Silver", _METAL),
    ("SIL", "COMEX", "0.005", "5", "1000", "HKNUZ", _ALL, "Micro silver (1,000 oz)", _METAL),
    ("QI", "COMEX", "0.0125", "31.25", "2500", "HKNUZ", "HKNUZ", "E-mini silver", _METAL_CASH),
    ("HG", "COMEX", "0.0005", "12.5", "25000", "HKNUZ", _ALL, "Copper", _METAL),
    ("MHG", "COMEX", "0.0005", "1.25", "2500", "HKNUZ", _ALL, "Micro copper", _METAL_CASH),
    ("QC", "COMEX", "0.002", "25", "12500", "HKNUZ", _ALL, "E-mini copper", _METAL_CASH),
    ("PL", "NYMEX", "0.1", "5", "50", "FJNV", _ALL, "Platinum", _METAL),
    ("PA", "NYMEX", "0.5", "50", "100", _HMUZ, _ALL, "Palladium", _METAL),
    ("ZB", "CBOT", "0.03125", "31.25", "1000", _HMUZ, _HMUZ, "30-year T-bond (1/32)", _LONG_BOND),
    ("UB", "CBOT", "0.03125", "31.25", "1000", _HMUZ, _HMUZ, "Ultra T-bond (1/32)", _LONG_BOND),
    ("ZN", "CBOT", "0.015625", "15.625", "1000", _HMUZ, _HMUZ, "10-year T-note (1/64)", _LONG_BOND),
    ("TN", "CBOT", "0.015625", "15.625", "1000", _HMUZ, _HMUZ, "Ultra 10-year T-note (1/64)", _LONG_BOND),
    ("ZF", "CBOT", "0.0078125", "7.8125", "1000", _HMUZ, _HMUZ, "5-year T-note (1/128)", _SHORT_NOTE),
    ("ZT", "CBOT", "0.00390625", "7.8125", "2000", _HMUZ, _HMUZ, "2-year T-note (1/256)", _SHORT_NOTE),
    ("ZC", "CBOT", "0.25", "12.5", "50", "HKNUZ", "HKNUZ", "Corn (cents/bu)", _GRAIN),
    ("ZW", "CBOT", "0.25", "12.5", "50", "HKNUZ", "HKNUZ", "Chicago SRW wheat (cents/bu)", _GRAIN),
    ("KE", "CBOT", "0.25", "12.5", "50", "HKNUZ", "HKNUZ", "KC HRW wheat (cents/bu)", _GRAIN),
    ("ZS", "CBOT", "0.25", "12.5", "50", "FHKNQUX", "FHKNQUX", "Soybeans (cents/bu)", _GRAIN),
    ("ZM", "CBOT", "0.1", "10", "100", "FHKNQUVZ", "FHKNQUVZ", "Soybean meal", _GRAIN),
    ("ZL", "CBOT", "0.01", "6", "600", "FHKNQUVZ", "FHKNQUVZ", "Soybean oil (cents/lb)", _GRAIN),
    ("6E", "CME", "0.00005", "6.25", "125000", _HMUZ, _ALL, "Euro FX", _CURRENCY),
    ("M6E", "CME", "0.0001", "1.25", "12500", _HMUZ, _HMUZ, "Micro EUR/USD", _CURRENCY),
    ("E7", "CME", "0.0001", "6.25", "62500", _HMUZ, _HMUZ, "E-mini Euro FX", _CURRENCY),
    ("6B", "CME", "0.0001", "6.25", "62500", _HMUZ, _ALL, "British pound", _CURRENCY),
    ("M6B", "CME", "0.0001", "0.625", "6250", _HMUZ, _HMUZ, "Micro GBP/USD", _CURRENCY),
    ("6J", "CME", "0.0000005", "6.25", "12500000", _HMUZ, _ALL, "Japanese yen", _CURRENCY),
    ("6A", "CME", "0.00005", "5", "100000", _HMUZ, _ALL, "Australian dollar", _CURRENCY),
    ("M6A", "CME", "0.0001", "1", "10000", _HMUZ, _HMUZ, "Micro AUD/USD", _CURRENCY),
    ("6C", "CME", "0.00005", "5", "100000", _HMUZ, _ALL, "Canadian dollar", _CANADA),
    ("6S", "CME", "0.00005", "6.25", "125000", _HMUZ, _HMUZ, "Swiss franc", _CURRENCY),
    ("6N", "CME", "0.00005", "5", "100000", _HMUZ, _HMUZ, "New Zealand dollar", _CURRENCY),
    ("6M", "CME", "0.00001", "5", "500000", _HMUZ, _ALL, "Mexican peso", _CURRENCY),
    ("BTC", "CME", "5", "25", "5", _ALL, _ALL, "Bitcoin (5 BTC)", _CRYPTO),
    ("MBT", "CME", "5", "0.5", "0.1", _ALL, _ALL, "Micro Bitcoin (0.1 BTC)", _CRYPTO),
    ("ETH", "CME", "0.5", "25", "50", _ALL, _ALL, "Ether (50 ETH)", _CRYPTO),
    ("MET", "CME", "0.5", "0.05", "0.1", _ALL, _ALL, "Micro Ether (0.1 ETH)", _CRYPTO),
    ("LE", "CME", "0.025", "10", "400", "GJMQVZ", "GJMQVZ", "Live cattle (cents/lb)", _CATTLE),
    ("HE", "CME", "0.025", "10", "400", "GJKMNQVZ", "GJKMNQVZ", "Lean hogs (cents/lb)", _HOGS),
    ("GF", "CME", "0.025", "12.5", "500", "FHJKQUVX", "FHJKQUVX", "Feeder cattle (cents/lb)", _FEEDER),
)


def _root(row: tuple[str, str, str, str, str, str, str, str, _Terms]) -> Root:
    symbol, exchange, tick, tick_value, point_value, months, listed, name, terms = row
    return Root(
        symbol=symbol,
        exchange=exchange,
        tick_size=Decimal(tick),
        tick_value=Decimal(tick_value),
        point_value=Decimal(point_value),
        months=months,
        listed_months=listed,
        name=name,
        expiry=terms.expiry,
        first_notice=terms.first_notice,
        settlement=terms.settlement,
        hours=terms.hours,
        roll=terms.roll,
    )


ROOTS: Final[Mapping[str, Root]] = MappingProxyType({row[0]: _root(row) for row in _TABLE})
"""Every root known, by its exchange symbol."""
