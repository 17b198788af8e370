"""What is kept of a log-in: the token, or the refusal, and a penalty; and where they outlive the process.

A box is given from outside (`justtrades.tokens` has the one on the database). It also counts token requests,
because the ration is that of our address and not of one login (protocol.md section 3).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

RENEW_AT = 2 / 3
NOBODY = 0
"""The user id of a token whose owner is not known yet: an OAuth answer does not name him."""


class NotKept(Exception):
    """The box could not read or write; nothing is known to have changed in it."""


@dataclass(frozen=True, slots=True)
class Token:
    """Times are ours: `expires_at` is the broker's word, moved by the difference between the two clocks."""

    access: str = field(repr=False)
    user_id: int
    received_at: datetime
    expires_at: datetime

    @property
    def renew_at(self) -> datetime:
        return self.received_at + (self.expires_at - self.received_at) * RENEW_AT


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the broker did not let this login in, and until when it is not asked again."""

    why: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Lull:
    """The broker asked this login to wait: with which status (0: a captcha), and until when."""

    status: int
    until: datetime


class TokenBox(Protocol):
    """Every method raises `NotKept` when the box itself fails."""

    async def load(self) -> Token | None: ...

    async def save(self, token: Token | None) -> None:
        """A token ends a refusal."""

    async def refusal(self) -> Refusal | None: ...

    async def refuse(self, refusal: Refusal) -> None:
        """A refusal ends a token."""

    async def lull(self) -> Lull | None:
        """The penalty kept last, over or not."""

    async def rest(self, lull: Lull | None) -> None: ...

    async def claim(self, now: datetime, *, limit: int, window: timedelta) -> datetime | None:
        """Count one token request from this address, durably and before it is sent.

        When `limit` were counted within `window` already: counts nothing and returns when to come again.
        """

    async def give_back(self, claimed_at: datetime) -> None:
        """The request counted at that moment never left: it is not counted any more."""


class MemoryTokenBox:
    """A token box for a single run."""

    def __init__(self) -> None:
        self.token: Token | None = None
        self.refused: Refusal | None = None
        self.claimed: list[datetime] = []
        self.lulled: Lull | None = None

    async def load(self) -> Token | None:
        return self.token

    async def save(self, token: Token | None) -> None:
        self.token, self.refused = token, None

    async def refusal(self) -> Refusal | None:
        return self.refused

    async def refuse(self, refusal: Refusal) -> None:
        self.token, self.refused = None, refusal

    async def lull(self) -> Lull | None:
        return self.lulled

    async def rest(self, lull: Lull | None) -> None:
        self.lulled = lull

    async def claim(self, now: datetime, *, limit: int, window: timedelta) -> datetime | None:
        self.claimed = [at for at in self.claimed if at > now - window]
        if len(self.claimed) >= limit:
            return self.claimed[0] + window
        self.claimed.append(now)
        return None

    async def give_back(self, claimed_at: datetime) -> None:
        self.claimed.remove(claimed_at)
