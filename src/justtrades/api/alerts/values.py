"""Single values of an alert: words and numbers as TradingView and its users write them.

Values come quoted or numeric. A series without a value on that bar is written `NaN` by TradingView, and empty or
zero by people who mean "none": all of them count as not given.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from justtrades.api.alerts.model import Fields, NotAnOrder

_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:[eE][+-]?[0-9]{1,2})?")
_NOT_GIVEN: Final = frozenset({"", "na", "nan", "null", "none", "n/a"})
_YES: Final = frozenset({"true", "yes", "on", "y"})
_NO: Final = frozenset({"false", "no", "off", "n"})
_LARGEST: Final = Decimal(1_000_000_000)
_SMALLEST: Final = Decimal("0.000000001")
_PLACEHOLDER: Final = re.compile(r"\{\{[^{}]{1,100}\}\}")
_TICKER: Final = re.compile(r"[ -~]{1,64}")

_NOT_SHOWN: Final = re.compile(r"[^A-Za-z0-9_.\- ]")
_NAME_SHOWN: Final = 40
_NAMES_SHOWN: Final = 10

MOST_CONTRACTS: Final = Decimal(100_000)


def unfilled(text: str) -> str | None:
    """What to change when TradingView left a placeholder as it stands: the alert does not say what was meant."""
    if "{{" not in text or not (found := _PLACEHOLDER.search(text)):
        return None
    if "strategy." in found[0]:
        return (
            "TradingView did not fill in a {{strategy…}} placeholder: it only does so in an alert of a strategy, "
            "so create the alert on the strategy itself or write the value instead"
        )
    if "plot" in found[0]:
        return (
            "TradingView did not fill in a {{plot…}} placeholder: the script of this alert has no plot of that number "
            "or name (they count from {{plot_0}} to {{plot_19}}), so take another or write the value instead"
        )
    return "TradingView did not fill in a {{placeholder}}: check its spelling, or write the value instead"


def filled(value: Any) -> Any:
    """The value without whatever within it holds a placeholder that was not filled in; None for such a text."""
    match value:
        case str():
            return None if _PLACEHOLDER.search(value) else value
        case dict():
            return {name: kept for name, one in value.items() if (kept := filled(one)) is not None or one is None}
        case list():
            return [filled(one) for one in value]
        case _:
            return value


def first(fields: Fields, names: Iterable[str]) -> tuple[str, Any]:
    """The first of these fields that is given, with its name; ("", None) when none is."""
    for name in names:
        if given(value := fields.get(name)):
            return name, value
    return "", None


def given(value: Any) -> bool:
    return value is not None and not (isinstance(value, str) and value.strip().lower() in _NOT_GIVEN)


def any_given(fields: Fields, names: frozenset[str]) -> bool:
    """Most alerts have none of these fields at all, so that is asked first."""
    return not names.isdisjoint(fields) and any(given(fields.get(name)) for name in names)


def unknown(fields: Fields, known: frozenset[str], within: str = "") -> tuple[str, ...]:
    """A note that lists the fields no dialect of this name has; none when there are none. They stand `within`."""
    found = [within + _NOT_SHOWN.sub("?", name[:_NAME_SHOWN]) for name in fields if name not in known]
    if not found:
        return ()
    more = f" and {len(found) - _NAMES_SHOWN} more" if len(found) > _NAMES_SHOWN else ""
    return (f"ignored, because this format has no such field: {', '.join(found[:_NAMES_SHOWN])}{more}",)


def flag(name: str, value: Any) -> bool | None:
    """Yes or no, quoted or not, also as 1 and 0; None when not given, `NotAnOrder` when it is neither."""
    if not given(value):
        return None
    text = value.strip().lower() if isinstance(value, str) else ""
    if isinstance(value, bool):
        return value
    if text in _YES or text in _NO:
        return text in _YES
    if value in (0, 1) or text in ("0", "1"):
        return value == 1 or text == "1"
    raise NotAnOrder(f"the field {name} must be true or false")


def seconds(name: str, value: Any) -> int | None:
    """A number of whole seconds above zero; None when not given or zero."""
    found = positive(name, value)
    return None if found is None else math.ceil(found)


def number(name: str, value: Any) -> Decimal | None:
    """The value as a number; `NotAnOrder` when it is something else. None when it is not given."""
    if not given(value):
        return None
    text = value.strip() if isinstance(value, str) else None
    if isinstance(value, bool) or not (isinstance(value, Decimal) or (text and _NUMBER.fullmatch(text))):
        raise NotAnOrder(f"the field {name} must be a number")
    return _sane(name, value if text is None else Decimal(text))


def positive(name: str, value: Any) -> Decimal | None:
    """A number above zero; zero means none."""
    found = number(name, value)
    if found is not None and found < 0:
        raise NotAnOrder(f"the field {name} must not be below zero")
    return found or None


def quantity(name: str, value: Any) -> Decimal | None:
    """Contracts. Zero stays zero: it is given, and too little for an entry."""
    found = number(name, value)
    if found is not None and not 0 <= found <= MOST_CONTRACTS:
        raise NotAnOrder(f"the field {name} must be a number of contracts from 0 to {MOST_CONTRACTS}")
    return found


def carried(name: str, value: Any) -> Decimal | None:
    """A quantity that a close carries along and does not use: one that cannot be read is simply not known."""
    try:
        return quantity(name, value)
    except NotAnOrder:
        return None


def price(fields: Fields, names: Iterable[str]) -> Decimal | None:
    """The price the alert saw. Nothing is traded at it, so one that cannot be read is simply not known."""
    name, value = first(fields, names)
    try:
        return number(name, value)
    except NotAnOrder:
        return None


def word(name: str, value: Any) -> str:
    """A word in lower case; empty when not given."""
    if not given(value):
        return ""
    if not isinstance(value, str):
        raise NotAnOrder(f"the field {name} must be a word")
    return value.strip().lower()


def ticker(fields: Fields, names: Iterable[str]) -> str | None:
    name, value = first(fields, names)
    if value is None:
        return None
    if not isinstance(value, str) or not _TICKER.fullmatch(value.strip()):
        raise NotAnOrder(f"the field {name} must be a symbol such as MNQ1!")
    return value.strip()


def truthy(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in _YES or (bool(_NUMBER.fullmatch(value.strip())) and Decimal(value) != 0)
    return bool(value)


def asks(value: Any) -> bool:
    """True when a setting is asked for: a number other than zero, or any word but a no."""
    if not isinstance(value, str):
        return bool(value)
    text = value.strip()
    return Decimal(text) != 0 if _NUMBER.fullmatch(text) else given(text) and text.lower() not in _NO


def _sane(name: str, value: Decimal) -> Decimal:
    try:
        within = not value or _SMALLEST <= abs(value) <= _LARGEST
    except InvalidOperation:
        within = False
    if not within or len(value.as_tuple().digits) > 30:
        raise NotAnOrder(f"the field {name} is not a sensible number")
    return value
