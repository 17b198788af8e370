"""JSON as its standard has it, with limits: nothing that two readers could understand differently.

Python's own reader takes NaN, lets the last of two equal keys win and makes strings that are no text (half a
surrogate pair). Any of them in an alert means that somebody would trade on a guess, so each is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final, NoReturn

from justtrades.api.alerts import broken
from justtrades.api.alerts.model import Unreadable

DEPTH: Final = 16
LONGEST_NUMBER: Final = 400
LARGEST_EXPONENT: Final = 400


def text_of(body: bytes) -> str:
    """The body as text; `Unreadable` unless it is UTF-8 (a byte order mark is skipped)."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("the body is not UTF-8 text") from None
    return text.removeprefix("\ufeff")


def parse(text: str) -> Any:
    """The JSON value with `Decimal` numbers; `Unreadable` for anything else."""
    try:
        value = _DECODER.decode(text)
    except Unreadable:
        raise
    except RecursionError:
        raise Unreadable("the JSON is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise Unreadable(f"the body is not valid JSON: {broken.why(text, error.msg, error.pos)}") from None
    except (ValueError, ArithmeticError):
        raise Unreadable("the body is not valid JSON: a number in it cannot be read") from None
    _check(value, text)
    return value


def _check(value: Any, text: str) -> None:
    """Only a text with these marks can be too deep or hold half a character: the usual alert is not walked."""
    if "\\u" in text or text.count("{") + text.count("[") > DEPTH:
        for part in _parts(value, DEPTH):
            _check_text(part)


def _parts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        if depth == 0:
            raise Unreadable("the JSON is nested too deeply")
        if isinstance(value, dict):
            yield from value
        for part in value.values() if isinstance(value, dict) else value:
            yield from _parts(part, depth - 1)


def _check_text(part: str) -> None:
    if "\0" in part or any("\ud800" <= character <= "\udfff" for character in part):
        raise Unreadable("the JSON holds an escape that is not a character")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Unreadable("the same field stands twice in the JSON")
    return fields


def _refuse(_constant: str) -> NoReturn:
    raise Unreadable("NaN and Infinity are not numbers in JSON")


def _number(text: str) -> Decimal:
    """Exact, within what a double can say: `1e999999999` is a few bytes to send and a gigabyte to write out."""
    found = Decimal(text)
    if len(text) > LONGEST_NUMBER or abs(found.adjusted()) > LARGEST_EXPONENT:
        raise Unreadable("a number in the JSON is out of all bounds")
    return found


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_once, parse_float=_number, parse_int=_number, parse_constant=_refuse
)
