"""What a person should hear of although nobody is looking: `notify(kind, title, body)`, from anywhere, at any time.

The call only notes and returns: it never waits, never fails and knows no service. What is behind it keeps the news
in the database and sends it (`outbox`); without anyone to tell, it is `silent`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from justtrades.positions.model import Outcome


class Kind(StrEnum):
    """What news is about. People choose by it what they want to hear, and a storm of one kind is one message."""

    FILL = "fill"
    """An order was filled, a trade closed."""
    REFUSAL = "refusal"
    """An alert was refused, or its order was blocked, rejected, expired or not placed."""
    UNPROTECTED = "unprotected"
    """A position has no target or stop at the broker although it should."""
    HEARTBEAT = "heartbeat"
    """A recorder was not heard of in time."""
    HALT = "halt"
    """A lane, an account or a login stopped, or the kill switch was thrown."""
    ALARM = "alarm"
    """Anything else that needs a look soon."""
    SUMMARY = "summary"
    """The day's trades, once the session has ended."""


Notify = Callable[[Kind, str, str], None]
"""Kind, title and body. The title is one short line, the body a few; neither holds a secret."""


class Notices(Protocol):
    """Takes news, and learns that people changed whom to tell."""

    def notify(self, kind: Kind, title: str, body: str) -> None: ...
    async def refresh(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Notice:
    kind: Kind
    title: str
    body: str


def kind_of(outcome: Outcome) -> Kind | None:
    """What a signal's end is to people; None for one that nobody needs to hear of."""
    match outcome:
        case Outcome.FILLED | Outcome.PARTIALLY_FILLED:
            return Kind.FILL
        case Outcome.NO_ACTION | Outcome.SUPERSEDED:
            return None
        case Outcome.NEEDS_ATTENTION:
            return Kind.HALT
        case _:
            return Kind.REFUSAL


def silent(kind: Kind, title: str, body: str) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True)
class Silent:
    """Nobody is to be told of anything."""

    def notify(self, kind: Kind, title: str, body: str) -> None:
        silent(kind, title, body)

    async def refresh(self) -> None:
        """There is nothing to learn."""
