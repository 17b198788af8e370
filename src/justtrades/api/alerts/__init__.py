"""Alerts in, readings out. A dialect is one small module and one line in `DIALECTS`.

With `auto` the first dialect that recognises an alert reads it, so the order goes from the most marked to the
one that takes the rest; a recorder may pin one by name. Nothing here waits or knows of HTTP.
"""

from __future__ import annotations

from typing import Final

from justtrades.api.alerts import just_trades, plain, strict, traderspost, values
from justtrades.api.alerts.model import Alert, AlertError, Dialect, Example, Heartbeat, NotAnOrder, Unreadable
from justtrades.positions.recorder import Reading

__all__ = [
    "AUTO",
    "DIALECTS",
    "NAMES",
    "Alert",
    "AlertError",
    "Example",
    "Heartbeat",
    "NotAnOrder",
    "Unreadable",
    "examples",
    "parse",
    "read",
]

AUTO: Final = "auto"
DIALECTS: Final[tuple[Dialect, ...]] = (traderspost.DIALECT, plain.DIALECT, just_trades.DIALECT)
NAMES: Final = (AUTO, *(dialect.name for dialect in DIALECTS))
_BY_NAME: Final = {dialect.name: dialect for dialect in DIALECTS}


def parse(body: bytes) -> Alert:
    """The alert's text and fields; `AlertError` when it is neither text nor filled in."""
    text = strict.text_of(body).strip()
    if not text:
        raise Unreadable("the body is empty")
    values.refuse_placeholders(text)
    value = strict.parse(text)
    if not isinstance(value, dict):
        raise NotAnOrder('the alert must be one JSON object, such as {"action": "buy", "ticker": "MNQ1!"}')
    return Alert(text, value)


def read(alert: Alert, pinned: str = AUTO) -> Reading | Heartbeat:
    """What the alert asks for, in the pinned dialect or the first that recognises it; raises `AlertError`."""
    if _beats(alert):
        return Heartbeat()
    return _dialect(alert, pinned).read(alert)


def examples() -> tuple[Example, ...]:
    """At least one ready alert per dialect, the shortest first."""
    order = (plain.DIALECT, *(dialect for dialect in DIALECTS if dialect is not plain.DIALECT))
    return tuple(example for dialect in order for example in dialect.examples)


def _dialect(alert: Alert, pinned: str) -> Dialect:
    if pinned in _BY_NAME:
        return _BY_NAME[pinned]
    return next((d for d in DIALECTS if d.recognises(alert)), just_trades.DIALECT)


def _beats(alert: Alert) -> bool:
    action = (alert.fields or {}).get("action")
    return isinstance(action, str) and action.strip().lower() == "heartbeat"
