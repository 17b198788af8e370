"""The counters of a real login: how often it may ask, and what it is answered beyond that. Pure.

Numbers and answers are those of protocol.md section 3 (official partner pages). Two kinds of limits:

- A quota of one endpoint (token requests, renewals, …): beyond it a penalty ticket comes instead of an answer,
  and the identical request is let through with its ticket after `p-time`; where a captcha is asked for, nothing
  helps but the rolling hour.
- The traffic of a user or, before a login, of an address: beyond it everything is answered 429 without a body.

Guesses: that "counts failures" means failures too (the stricter reading); that a penalised request is not
counted again, while one answered 429 is ("requests made meanwhile may extend it"); that a warning 423 never comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Final

from justtrades.broker.simulator.faults import Ticket

HOUR: Final = timedelta(hours=1)
MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Quota:
    """`an_hour` requests of one endpoint; then a ticket with so many seconds. `of_address`: not of the user."""

    an_hour: int
    seconds: float  # p-time on the wire
    captcha: bool = False
    of_address: bool = False


@dataclass(frozen=True, slots=True)
class Traffic:
    a_minute: int
    an_hour: int


ENDPOINTS: Final = {
    "auth/accesstokenrequest": Quota(5, 15, captcha=True, of_address=True),
    "auth/renewaccesstoken": Quota(15, 15),
    "auth/me": Quota(10, 30),
    "user/syncrequest": Quota(300, 3),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """The published ones unless told otherwise."""

    endpoints: Mapping[str, Quota] = field(default_factory=lambda: ENDPOINTS)
    user: Traffic = Traffic(5_000, 5_000)
    anonymous: Traffic = Traffic(1_000, 1_000)


class Usage:
    """What was asked for lately, by whom."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._asked: dict[tuple[str, str, timedelta], deque[datetime]] = {}
        self._tickets: dict[tuple[str, str], Ticket] = {}
        self._issued = 0

    def locked(self, user: str | None, address: str, now: datetime) -> bool:
        """Whether this request is one too many for who asks. It counts either way."""
        traffic = self._limits.anonymous if user is None else self._limits.user
        who = f"address {network(address)}" if user is None else f"user {user}"
        minute = self._beyond((who, "", MINUTE), traffic.a_minute, now)
        return self._beyond((who, "", HOUR), traffic.an_hour, now) or minute

    def penalty(self, endpoint: str, user: str | None, address: str, shown: object, now: datetime) -> Ticket | None:
        """The ticket that stands in the way of this request; None lets it through, and counts it."""
        quota = self._limits.endpoints.get(endpoint)
        if quota is None:
            return None
        who = network(address) if quota.of_address or user is None else user
        standing = self._tickets.get((endpoint, who))
        if standing is not None and standing.serves(shown, now):
            del self._tickets[endpoint, who]
            return None
        asked = self._times((endpoint, who, HOUR), quota.an_hour)
        if len(asked) < quota.an_hour or asked[0] <= now - HOUR:
            asked.append(now)
            self._tickets.pop((endpoint, who), None)
            return None
        if standing is None:
            standing = self._tickets[endpoint, who] = self._issue(quota, now)
        return standing

    def _issue(self, quota: Quota, now: datetime) -> Ticket:
        self._issued += 1
        until = now + timedelta(seconds=quota.seconds)
        told = f"Rate limit exceeded: more than {quota.an_hour} requests per hour"
        return Ticket(f"limit-{self._issued}", quota.seconds, until, quota.captcha, told)

    def _beyond(self, key: tuple[str, str, timedelta], most: int, now: datetime) -> bool:
        asked = self._times(key, most)
        beyond = len(asked) == most and asked[0] > now - key[2]
        asked.append(now)
        return beyond

    def _times(self, key: tuple[str, str, timedelta], most: int) -> deque[datetime]:
        """When the last `most` requests came."""
        return self._asked.setdefault(key, deque(maxlen=most))


def network(address: str) -> str:
    """The /24 an IPv4 address is counted by (official); any other address counts by itself."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(ip_network(f"{parsed}/24", strict=False)) if parsed.version == 4 else str(parsed)
