"""When an operator leaves a contract, root by root: the setting `ROLL_DAYS` read into rules, and said again.

`GC=3b,ES=5` means: gold three business days before its first notice, the S&P five calendar days before expiry.
What is not named keeps the rule of its root, and a named root keeps the months it walks through.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from justtrades.positions.roots import ROOTS, Days, RollRule

MOST_DAYS: Final = 60
"""Further ahead a monthly contract would be left before it is the liquid one."""

NO_ROLLS: Final[Mapping[str, RollRule]] = MappingProxyType({})

_ITEM: Final = re.compile(r"([A-Z0-9]+) *= *([0-9]{1,3})(B?)")


def parse_rolls(text: str) -> Mapping[str, RollRule]:
    """The rules by root symbol. ValueError, in a sentence that does not repeat the text, when it is no such list."""
    found: dict[str, RollRule] = {}
    for item in filter(None, (part.strip().upper() for part in text.split(","))):
        match = _ITEM.fullmatch(item)
        if match is None:
            raise ValueError("must be a comma list such as GC=3b,ES=5 (b: business days)")
        symbol, days, unit = match[1], int(match[2]), Days.BUSINESS if match[3] else Days.CALENDAR
        if symbol not in ROOTS:
            raise ValueError("names a root that is not known here: `justtrades contracts` lists them")
        if symbol in found:
            raise ValueError("names a root twice")
        if days > MOST_DAYS:
            raise ValueError(f"rolls a root more than {MOST_DAYS} days ahead")
        found[symbol] = replace(ROOTS[symbol].roll, days=days, unit=unit)
    return MappingProxyType(found)


def rule_text(rule: RollRule) -> str:
    """The rule as the setting writes it: `8`, or `3b` for business days."""
    return f"{rule.days}{'b' if rule.unit is Days.BUSINESS else ''}"
