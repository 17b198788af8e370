"""Alerts in, readings out. A dialect is one small module and one line in `DIALECTS` (docs/dialects.md).

With `auto` the first dialect that recognises an alert reads it, so the order goes from the most marked to the
one that takes the rest; a recorder may pin one by name. Nothing here waits or knows of HTTP.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from justtrades.api.alerts import (
    algoway,
    beats,
    crosstrade,
    just_trades,
    openalgo,
    pickmytrade,
    plain,
    strict,
    terse,
    three_commas,
    tickerly,
    traderspost,
    tv_hub,
    values,
)
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
DIALECTS: Final[tuple[Dialect, ...]] = (
    crosstrade.DIALECT,
    terse.DIALECT,
    three_commas.DIALECT,
    pickmytrade.DIALECT,
    algoway.DIALECT,
    tv_hub.DIALECT,
    openalgo.DIALECT,
    tickerly.DIALECT,
    traderspost.DIALECT,
    plain.DIALECT,
    just_trades.DIALECT,
)
NAMES: Final = (AUTO, *(dialect.name for dialect in DIALECTS))
_DECIDE_AN_EXIT: Final = frozenset(
    {
        *(
            *just_trades.TICKERS,
            *just_trades.QUANTITIES,
            *just_trades.POSITIONS,
            "tv_instrument",
            "pair",
            "action",
            "data",
        ),
        *("order_action", "command", "close_side", "units", "sentiment", "position_size", "market_position_size"),
        *(
            "require_market_position",
            "strategy_info",
            "order",
            "heartbeat",
            "closelong",
            "closeshort",
            "reduce",
            "close",
        ),
    }
)
"""Fields that say what is closed and how much of it, in some format."""
_BY_NAME: Final = {dialect.name: dialect for dialect in DIALECTS}
_FIRST_SHOWN: Final = (plain.DIALECT, just_trades.DIALECT, traderspost.DIALECT)


def parse(body: bytes) -> Alert:
    """The alert's text and fields; `AlertError` when it is neither text nor filled in."""
    text = strict.text_of(body).strip()
    if not text:
        raise Unreadable("the body is empty")
    unfilled = values.unfilled(text)
    try:
        alert = _object(text) if text[0] in '{["' else _wording(text)
    except AlertError:
        if unfilled is None:
            raise
        raise NotAnOrder(unfilled) from None
    return replace(alert, unfilled=unfilled)


def read(alert: Alert, pinned: str = AUTO) -> Reading | Heartbeat:
    """What the alert asks for, in the pinned dialect or the first that recognises it; raises `AlertError`."""
    if alert.unfilled is not None:
        return _exit_all_the_same(alert, alert.unfilled, pinned)
    beat = beats.heartbeat(alert)
    if beat is not None:
        return beat
    return _dialect(alert, pinned).read(alert)


def examples() -> tuple[Example, ...]:
    """At least one ready alert per dialect, the shortest first."""
    order = (*_FIRST_SHOWN, *(dialect for dialect in DIALECTS if dialect not in _FIRST_SHOWN))
    return tuple(example for dialect in order for example in dialect.examples)


def _exit_all_the_same(alert: Alert, unfilled: str, pinned: str) -> Reading:
    """An exit that says all an exit needs, whatever else was not filled in; `NotAnOrder` for anything else."""
    fields = values.filled(alert.fields)
    lost = {name.strip().lower() for name in alert.fields if name not in fields}
    try:
        reading = _dialect(alert, pinned).read(replace(alert, fields=fields))
    except AlertError:
        raise NotAnOrder(unfilled) from None
    if reading.verb.enters or not lost.isdisjoint(_DECIDE_AN_EXIT):
        raise NotAnOrder(unfilled)
    return replace(reading, warnings=(*reading.warnings, f"an exit needs none of it, but: {unfilled}"))


def _object(text: str) -> Alert:
    value: Any = strict.parse(text)
    if not isinstance(value, dict):
        raise NotAnOrder('the alert must be one JSON object, such as {"action": "buy", "ticker": "MNQ1!"}')
    return Alert(text, value)


def _wording(text: str) -> Alert:
    """A plain text, in the first dialect that knows its words."""
    for dialect in DIALECTS:
        if dialect.fields_of is not None and (fields := dialect.fields_of(text)) is not None:
            return Alert(text, fields, dialect.name)
    raise Unreadable("the text is in no format known here: the page /docs shows one ready alert of each")


def _dialect(alert: Alert, pinned: str) -> Dialect:
    if pinned in _BY_NAME:
        _check_form(alert, _BY_NAME[pinned])
        return _BY_NAME[pinned]
    if alert.wording is not None:
        return _BY_NAME[alert.wording]
    return next((d for d in DIALECTS if d.recognises(alert)), just_trades.DIALECT)


def _check_form(alert: Alert, pinned: Dialect) -> None:
    """A pinned dialect of text reads no JSON, and the other way round."""
    if alert.wording != (None if pinned.fields_of is None else pinned.name):
        form = "JSON" if pinned.fields_of is None else "plain text"
        raise NotAnOrder(f"this recorder takes only alerts in the format {pinned.name}, which is {form}")
