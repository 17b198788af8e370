"""JSON text whose numbers stay what they are.

Tradovate's prices are JSON doubles. Read with `Decimal` and written digit by digit, a price survives the round
trip exactly; a binary float on the way would make 0.1 + 0.2 off tick (protocol.md section 8, pitfall 16).

Texts are what they are, too, but for what no database takes: half of a surrogate pair (an emoji cut in two) and NUL.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NoReturn

_ODD: Final = re.compile("[\ud800-\udfff\0]")
_MAY_BE_ODD: Final = re.compile(r"\\u(?:d[89a-f]|0000)", re.IGNORECASE)
UNREADABLE: Final = "\N{REPLACEMENT CHARACTER}"


class Unreadable(ValueError):
    """The text is not JSON, or JSON that no server should send."""


def loads(text: str) -> Any:
    """The value of `text`; fractions become `Decimal`. NaN and Infinity are not JSON."""
    try:
        value = json.loads(text, parse_float=Decimal, parse_constant=_constant)
        return _readable(value) if _MAY_BE_ODD.search(text) else value
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


def _readable(value: Any) -> Any:
    """The same, with a mark in place of each character that cannot be kept."""
    if isinstance(value, str):
        return _ODD.sub(UNREADABLE, value)
    if isinstance(value, dict):
        return {_readable(key): _readable(item) for key, item in value.items()}
    return [_readable(item) for item in value] if isinstance(value, list) else value


def _plain(number: Decimal) -> str:
    if not number.is_finite():
        raise ValueError("a number in JSON is finite")
    return format(number, "f")


def _constant(word: str) -> NoReturn:
    raise ValueError(word)
