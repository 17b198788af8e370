"""Heartbeats: an alert that only says that the alerts still run.

`{"heartbeat": "5m"}` names how often it is sent; `{"action": "heartbeat"}` leaves that to the recorder. A bare number
counts minutes, as TradingView's `{{interval}}` does. With an order in the same alert, the order is what counts.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final

from justtrades.api.alerts import values
from justtrades.api.alerts.model import Alert, Heartbeat, NotAnOrder

_PERIOD: Final = re.compile(r"([0-9]{1,6})(s|m|min|h|d|w)?")
_SECONDS: Final = {"s": 1, "m": 60, "min": 60, None: 60, "h": 3_600, "d": 86_400, "w": 604_800}
LONGEST: Final = 7 * 86_400
"""Seconds, as for a recorder's own `heartbeat_seconds`."""
_ORDERS: Final = frozenset(("action", "data", "order_action", "command", "strategy_info", "isbuy", "issell", "isclose"))
"""What an order is named by in some format, in lower case: Just-Trades names count in any case."""


def heartbeat(alert: Alert) -> Heartbeat | None:
    """None when the alert is something else; `NotAnOrder` when its period makes no sense."""
    action = alert.fields.get("action")
    said = isinstance(action, str) and action.strip().lower() == "heartbeat"
    value = next((v for name, v in alert.fields.items() if name.strip().lower() == "heartbeat"), None)
    if not said and (value is None or _orders(alert)):
        return None
    return Heartbeat(_seconds(value))


def _orders(alert: Alert) -> bool:
    return any(name.strip().lower() in _ORDERS and values.given(value) for name, value in alert.fields.items())


def _seconds(value: Any) -> int | None:
    if value is None or value is True or not values.given(value):
        return None
    text = format(value, "f") if isinstance(value, Decimal) else value
    found = _PERIOD.fullmatch(text.strip().lower()) if isinstance(text, str) else None
    seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not 1 <= seconds <= LONGEST:
        raise NotAnOrder('a heartbeat names how often it comes, such as {"heartbeat": "5m"}, from 1s to 7d')
    return seconds
