"""How often one token may speak, and how often one address may knock in vain: buckets that hold a minute's worth, all
of which may come at once. What one token or address uses up takes nothing from another."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Final

EXITS: int = 10
"""Exits have a bucket of their own, so many times as large: no flood of entries keeps a position open."""


@dataclass(slots=True)
class Bucket:
    """`per_minute` at once, then one whenever a minute's share has passed. Moments are seconds on any clock."""

    per_minute: int
    _left: float = field(init=False)
    _at: float = field(init=False, default=-math.inf)

    def __post_init__(self) -> None:
        self._left = self.per_minute

    def take(self, now: float) -> bool:
        self._left = min(self.per_minute, self._left + max(now - self._at, 0) * self.per_minute / 60)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    @property
    def wait(self) -> int:
        """Whole seconds until one more fits, at least 1."""
        return max(1, math.ceil((1 - self._left) * 60 / self.per_minute))


@dataclass(slots=True)
class Pace:
    """One token's three buckets. `refusals` bounds how many refused alerts are kept of a flood."""

    per_minute: int
    entries: Bucket = field(init=False)
    exits: Bucket = field(init=False)
    refusals: Bucket = field(init=False)

    def __post_init__(self) -> None:
        self.entries = Bucket(self.per_minute)
        self.exits = Bucket(self.per_minute * EXITS)
        self.refusals = Bucket(self.per_minute)


MISSES: Final = 10
"""An address may knock with tokens nobody has so many times as often as a token may speak."""
ADDRESSES: Final = 10_000
_HOUSE: Final = 64
"""Bits of an IPv6 address that name a house: the rest is the house's own to choose from."""


@dataclass(slots=True)
class Strangers:
    """Requests with a token nobody has, by address. Only these are counted: an address from which good alerts come too
    (TradingView's four serve everybody) is never in their way. The longest silent addresses are forgotten."""

    per_minute: int = 120
    _buckets: OrderedDict[str, Bucket] = field(default_factory=OrderedDict)

    def take(self, address: IPv4Address | IPv6Address | None, now: float) -> int | None:
        """None when one more may be answered; else the seconds to wait. Addresses nobody can tell share one bucket."""
        house = _house(address)
        bucket = self._buckets.setdefault(house, Bucket(self.per_minute * MISSES))
        self._buckets.move_to_end(house)
        if len(self._buckets) > ADDRESSES:
            self._buckets.popitem(last=False)
        return None if bucket.take(now) else bucket.wait

    def __len__(self) -> int:
        return len(self._buckets)


def _house(address: IPv4Address | IPv6Address | None) -> str:
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _HOUSE), strict=False))
    return str(address)
