"""Tickerly alerts: a strategy's bare order and the position before it.

Such an order means exactly its contracts: against the position before it, it closes as many as it has, and only what
is left of it opens the other side. So it nets; with `quantity_from: alert` a reversal of the strategy is one here.
"""

from __future__ import annotations

from typing import Final

from justtrades.api.alerts import marks, values
from justtrades.api.alerts.just_trades import folded
from justtrades.api.alerts.model import Alert, Dialect, Example, Fields, NotAnOrder
from justtrades.positions.model import Held, OnOpposite, Verb
from justtrades.positions.recorder import Reading

_SIDES: Final = {"buy": Verb.BUY, "sell": Verb.SELL}
KNOWN: Final = frozenset(
    {
        *("ticker", "action", "prev_position", "quantity", "pointer"),
        *("id", "time", "date", "timestamp", "secret", "key", "token"),
    }
)


def recognises(alert: Alert) -> bool:
    return "pointer" in alert.fields and "prev_position" in alert.fields


def read(alert: Alert) -> Reading:
    """The alert as an order; `NotAnOrder` when it is none."""
    fields = folded(alert.fields)
    verb = _SIDES.get(values.word("action", fields.get("action")))
    if verb is None:
        raise NotAnOrder("the action must be buy or sell")
    _check_position(fields)
    key = marks.repeat_key(alert.fields)
    return Reading(
        dialect="tickerly",
        verb=verb,
        ticker=values.ticker(fields, ("ticker",)),
        quantity=values.quantity("quantity", fields.get("quantity")),
        on_opposite=OnOpposite.NET,
        alert_time=marks.alert_time(alert.fields),
        repeat_key=key,
        notes=values.unknown(fields, KNOWN),
        warnings=marks.warnings(alert.fields, key),
    )


def _check_position(fields: Fields) -> None:
    if values.word("prev_position", fields.get("prev_position")) not in ("", *Held):
        raise NotAnOrder("the field prev_position must be flat, long or short")


DIALECT: Final = Dialect(
    "tickerly",
    recognises,
    read,
    (
        Example(
            "tickerly",
            "Tickerly: a strategy's order",
            {"ticker": "MNQ1!", "action": "buy", "prev_position": "flat", "quantity": "1", "pointer": "[not needed]"},
        ),
    ),
)
