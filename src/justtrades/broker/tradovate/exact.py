"""JSON text whose numbers stay what they are.

Tradovate's prices are JSON doubles. Read with `Decimal` and written digit by digit, a price survives the round
trip exactly; a binary float on the way would make 0.1 + 0.2 off tick (protocol.md section 8, pitfall 16).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NoReturn


class Unreadable(ValueError):
    """The text is not JSON, or JSON that no server should send."""


def loads(text: str | bytes) -> Any:
    """The value of `text`; fractions become `Decimal`. NaN and Infinity are not JSON."""
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        raise Unreadable(type(error).__name__) from error


def dumps(value: Any) -> str:
    """JSON for `value`; a `Decimal` is written in plain digits. A float is a mistake of ours: TypeError."""
    if isinstance(value, Decimal):
        return _plain(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(key)}:{dumps(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str) or value is None or isinstance(value, bool | int):
        return json.dumps(value)
    if isinstance(value, Sequence):
        return "[" + ",".join(dumps(item) for item in value) + "]"
    raise TypeError(f"{type(value).__name__} has no exact JSON form")


def _plain(number: Decimal) -> str:
    if not number.is_finite():
        raise ValueError("a number in JSON is finite")
    return format(number, "f")


def _constant(word: str) -> NoReturn:
    raise ValueError(word)
