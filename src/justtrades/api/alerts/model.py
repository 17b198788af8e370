"""What a dialect is: it recognises an alert, reads it, and brings its own examples for the page of examples.

Most are JSON. One of plain text says what its fields are (`fields_of`), so that everything after it, the secret
and the time included, finds them by name as in JSON.

A reading never guesses. What cannot be an order raises `NotAnOrder` with one sentence that tells its author what
to change and repeats nothing of what came in; what cannot be read at all raises `Unreadable`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from justtrades.positions.recorder import Reading

Fields = Mapping[str, Any]
"""A JSON object: numbers are `Decimal`, never float."""


class AlertError(Exception):
    """An alert that becomes no signal; `sentence` is safe to show."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Unreadable(AlertError):
    """Not text, or not in any format known here."""


class NotAnOrder(AlertError):
    """Readable, but it asks for nothing that can be done."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert as it came. `wording` names the dialect that a plain text is written in; None for JSON. `unfilled` is
    what to change when a placeholder of TradingView's still stands in it."""

    text: str
    fields: Fields
    wording: str | None = None
    unfilled: str | None = None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """An alert that only says that the alerts still run; `period_seconds` as it names it."""

    period_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A ready alert for the page of examples. It carries no time, so that a second click is a second signal."""

    name: str
    summary: str
    body: Mapping[str, Any] | str


@dataclass(frozen=True, slots=True)
class Dialect:
    """One format. `recognises` must be quick and must not raise; `read` raises `AlertError`."""

    name: str
    recognises: Callable[[Alert], bool]
    read: Callable[[Alert], Reading]
    examples: tuple[Example, ...] = ()
    fields_of: Callable[[str], Fields | None] | None = None
    """Of a plain-text dialect: the text's fields, None when it is of another; raises `AlertError` when it is of this
    one and cannot be read."""
