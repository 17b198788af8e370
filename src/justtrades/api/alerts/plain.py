"""The shortest alert there is: `{"action": "buy", "ticker": "MNQ1!"}`. Everything else is the recorder's."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from justtrades.api.alerts import just_trades
from justtrades.api.alerts.marks import ID, TIMES
from justtrades.api.alerts.model import Alert, Dialect, Example
from justtrades.positions.recorder import Reading

NEEDED: Final = frozenset({"action", "ticker"})
ALLOWED: Final = NEEDED | {ID, *TIMES, "secret", "key", "token"}


def recognises(alert: Alert) -> bool:
    return NEEDED <= alert.fields.keys() <= ALLOWED


def read(alert: Alert) -> Reading:
    """The alert as an order; `NotAnOrder` when it is none."""
    return replace(just_trades.read(alert), dialect="plain")


DIALECT: Final = Dialect(
    "plain",
    recognises,
    read,
    (
        Example("plain_buy", "Plain: buy", {"action": "buy", "ticker": "MNQ1!"}),
        Example("plain_sell", "Plain: sell", {"action": "sell", "ticker": "MNQ1!"}),
        Example("plain_close", "Plain: close", {"action": "close", "ticker": "MNQ1!"}),
    ),
)
