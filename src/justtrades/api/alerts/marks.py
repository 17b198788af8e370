"""What makes an alert this one and no other: its own id or time.

TradingView sends an alert again when it believes the first was lost, with the same bytes. An id or a time in it
tells a repeat from a second signal, however long after. Which of its fields the time stands in does not matter:
any value that is a moment is `{{timenow}}` filled in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from justtrades.api.alerts.model import Fields
from justtrades.api.alerts.values import given

ID: Final = "id"
TIMES: Final = ("date", "timestamp", "alertTimestamp", "time")
_MARKS: Final = (ID, *TIMES)
_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?:\.[0-9]{1,9})?Z?")
_EPOCH: Final = re.compile(r"[0-9]{10}(?:\.[0-9]{1,9})?|[0-9]{13}")

ADVICE: Final = (
    'the alert carries no id or time of its own: add "time": "{{timenow}}", so that a repeat is told from a '
    "second signal however late it comes"
)
NAME_AS_ID: Final = (
    "the field id has no number in it and looks like a name: an alert with the same id and content counts as a "
    'repeat however late it comes; add "time": "{{timenow}}"'
)


def repeat_key(fields: Fields) -> str | None:
    """The alert's own id and time fields, or None when it has none."""
    marks = [f"{name}={fields[name]}" for name in _MARKS if given(fields.get(name))]
    marks += _moments(fields)
    return "\n".join(marks) or None


def alert_time(fields: Fields) -> datetime | None:
    """The alert's own clock, in UTC; None when it has none that can be read."""
    return next((at for name in TIMES if (at := _moment(fields.get(name)))), None)


def warnings(fields: Fields, key: str | None) -> tuple[str, ...]:
    if key is None:
        return (ADVICE,)
    own_id = fields.get(ID)
    only_a_name = key == f"{ID}={own_id}" and isinstance(own_id, str) and not any(c.isdigit() for c in own_id)
    return (NAME_AS_ID,) if only_a_name else ()


def _moments(fields: Fields, named: tuple[str, ...] = _MARKS) -> Iterator[str]:
    """Moments in any field but those `named`, which count as they are; also in objects within the alert."""
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _moments(value, ())
        elif isinstance(value, str) and name not in named and len(value) >= 16 and (found := _MOMENT.search(value)):
            yield f"{name}={found[0]}"


def _moment(value: Any) -> datetime | None:
    text = format(value, "f") if isinstance(value, Decimal) and abs(value) < 10**14 else value
    if not isinstance(text, str):
        return None
    try:
        return _epoch(text.strip()) if _EPOCH.fullmatch(text.strip()) else _iso(text.strip())
    except (ValueError, OverflowError, OSError):
        return None


def _iso(text: str) -> datetime | None:
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _epoch(text: str) -> datetime:
    seconds = Decimal(text) / (1000 if len(text) == 13 and "." not in text else 1)
    return datetime.fromtimestamp(int(seconds), UTC)
