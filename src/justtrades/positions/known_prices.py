"""What is asked of an entry before it reaches its lane: does the contract still trade, is the alert's price its price.

An alert's price is the chart's, and `{{close}}` of a bar may be minutes old, so a small difference says nothing.
A wrong root or a chart of something else differs by far more than a fast market does; that is what the price is
compared for, and why the limit is wide. It is compared with the newest price heard today: a fill of the contract
on the same connection, or the simulator's price. One of another trading day is none: overnight a market may
truly have gone that far.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

from justtrades.positions.calendar import trade_date
from justtrades.positions.contracts import Dated, expiry, parse_symbol
from justtrades.positions.model import Check, ConnectionId, ContractName

SETTING: Final = "JUSTTRADES_PRICE_TOLERANCE_PERCENT"
_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class KnownPrice:
    """Points. `source` in words, such as `the last fill`."""

    price: Decimal
    at: datetime
    source: str


@dataclass(slots=True)
class KnownPrices:
    """The newest price of each contract, by connection: the paper market is not the exchange's."""

    _found: dict[tuple[ConnectionId, ContractName], KnownPrice] = field(default_factory=dict)

    def heard(self, connection: ConnectionId, contract: ContractName, known: KnownPrice) -> None:
        """Older news changes nothing."""
        before = self._found.get((connection, contract))
        if before is None or before.at <= known.at:
            self._found[connection, contract] = known

    def today(self, connection: ConnectionId, contract: ContractName, now: datetime) -> KnownPrice | None:
        """None when nothing was heard on this trade date."""
        known = self._found.get((connection, contract))
        return known if known is not None and trade_date(known.at) == trade_date(now) else None


def price_check(contract: ContractName, alert: Decimal | None, known: KnownPrice | None, tolerance: Decimal) -> Check:
    """Whether the alert's price can be this contract's; `tolerance` in percent of the known price.

    What cannot be compared passes, with a warning.
    """
    if alert is None:
        return Check("price", True, "the alert carries no price to compare")
    if known is None or known.price <= 0:  # crude oil has traded below zero: no percentage of that means anything
        text = f"warning: no price of {contract} is known today to compare the alert's {_shown(alert)} with"
        return Check("price", True, text)
    apart = abs(alert - known.price) / known.price * 100
    if apart <= tolerance:
        return Check("price", True, f"the alert's {_shown(alert)} is {apart:.2f} % from {_told(known)}")
    text = (
        f"the alert's price {_shown(alert)} is {apart:.2f} % from {_told(known)}, at most {tolerance:f} % are allowed:"
        f" is the symbol the chart's? ({SETTING})"
    )
    return Check("price", False, text)


def expiry_check(contract: ContractName, expires_at: datetime | None, now: datetime) -> Check | None:
    """Whether the contract still trades. `expires_at` is the broker's; without it the calendar answers, and on the
    last trading day itself, whose hour it does not know, nobody does: None."""
    if expires_at is not None:
        return _expiry(contract, expires_at > now, f"{expires_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC")
    today = trade_date(now)
    symbol = parse_symbol(contract, today)
    if not isinstance(symbol, Dated):
        raise ValueError("a root has no end")
    last = expiry(symbol.root, symbol.month, symbol.year)
    return None if last == today else _expiry(contract, last > today, _by_calendar(last))


def _expiry(contract: ContractName, trades: bool, when: str) -> Check:
    return Check("expiry", trades, f"{contract} trades until {when}" if trades else f"{contract} has expired: {when}")


def _by_calendar(day: date) -> str:
    return f"{day.isoformat()} by the calendar"


def _told(known: KnownPrice) -> str:
    return f"{_shown(known.price)}, {known.source} at {known.at.astimezone(UTC):%H:%M:%S} UTC"


def _shown(price: Decimal) -> str:
    text = f"{price:f}"
    return text if len(text) <= _DIGITS else f"{price:.{_DIGITS - 4}g}"
