"""What traders write for a contract, read into one of two meanings.

`Continuous` is "the front month of MNQ", to be resolved when an entry leaves; `Dated` is one contract. Alerts
write both in many ways (`MNQ1!`, `CME_MINI_DL:MNQ1!`, `MNQZ2026`, `MNQZ26`, `MNQZ6`, `MNQ 12-26`, `MNQ`).
Roots begin and end with digits (6E, 1OZ, E7, M2K): a symbol is read from the right and its root looked up.

A wrong guess here buys the wrong thing, so doubt is refused: `NYSE:ES` is a power company and `BINANCE:ETH` a
coin, therefore only CME Group's prefixes count; and since the broker names a contract by the last digit of
its year, a year outside the ten that a digit can mean is refused, not shortened.

No TradingView root of these products is known to differ from the exchange's, so there is no map of names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Final

from justtrades.positions.roots import MONTH_LETTERS, ROOTS, Root

_EXCHANGES: Final = frozenset({"CME", "CME_MINI", "CBOT", "CBOT_MINI", "NYMEX", "NYMEX_MINI", "COMEX", "COMEX_MINI"})
_MONTH_NAMES: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_LONGEST: Final = 32
_SHOWN: Final = 12

_CONTINUOUS: Final = re.compile(r"([A-Z0-9]+)([1-9])!")
_LETTERED: Final = re.compile(rf"([A-Z0-9]+)([{MONTH_LETTERS}])([0-9]{{4}}|[0-9]{{1,2}})")
_NUMBERED: Final = re.compile(r"([A-Z0-9]+) +([0-9]{1,2})-([0-9]{4}|[0-9]{2})")
_NAMED: Final = re.compile(rf"([A-Z0-9]+) +({'|'.join(_MONTH_NAMES)}) ?([0-9]{{4}}|[0-9]{{2}})")


class UnknownSymbol(ValueError):
    """The text names no futures contract known here. The sentence is safe to show and echoes nothing.

    `shown` is a short form of the text for a person's own pages: letters, digits and `!:_.-` only.
    """

    def __init__(self, sentence: str, text: str) -> None:
        super().__init__(sentence)
        self.shown = re.sub(r"[^A-Z0-9!:_. -]", "", text[: 2 * _SHOWN].upper()).strip()[:_SHOWN]


@dataclass(frozen=True, slots=True)
class Continuous:
    """The nth contract from the front: 1 is the front month, 2 the one after it."""

    root: Root
    nth: int = 1

    def __str__(self) -> str:
        return f"{self.root}{self.nth}!"


@dataclass(frozen=True, slots=True)
class Dated:
    """One contract. ValueError when the exchange lists none of this root in that month."""

    root: Root
    month: str
    """Its month letter, F to Z."""
    year: int
    """Four digits."""

    def __post_init__(self) -> None:
        """Letters that are no month, and months without a contract, are refused."""
        if len(self.month) != 1 or self.month not in self.root.listed_months:
            raise ValueError(f"{self.root} has no contract of that month")

    @property
    def month_number(self) -> int:
        """1 to 12."""
        return MONTH_LETTERS.index(self.month) + 1

    @property
    def tradovate(self) -> str:
        """The broker's name, with the last digit of the year: `MNQZ6` (protocol.md section 7, official)."""
        return f"{self.root}{self.month}{self.year % 10}"

    def __str__(self) -> str:
        return f"{self.root}{self.month}{self.year}"


Symbol = Continuous | Dated


def parse_symbol(text: str, today: date) -> Symbol:
    """Read a symbol in any of the usual spellings; `today` settles which decade a year's digit means.

    Raises UnknownSymbol when it is none, or none that this project knows.
    """
    cleaned = text.strip().upper()
    if len(cleaned) > _LONGEST or not text.isascii():
        raise UnknownSymbol("the symbol is not a futures contract known here", text)
    name = _without_exchange(cleaned)
    if name in ROOTS:
        return Continuous(ROOTS[name])
    if match := _CONTINUOUS.fullmatch(name):
        return Continuous(_root(match[1], text), int(match[2]))
    return _parse_dated(name, today)


def year_of_digit(digit: int, today: date) -> int:
    """The year that a contract's one digit means: the first one ending in it, from last year on."""
    earliest = today.year - 1
    return earliest + (digit - earliest) % 10


def of_cme_group(exchange: str) -> bool:
    """Whether TradingView's name of an exchange, live or delayed, is one of CME Group's."""
    return exchange.strip().upper().removesuffix("_DL") in _EXCHANGES


def _without_exchange(name: str) -> str:
    exchange, colon, rest = name.rpartition(":")
    if colon and not of_cme_group(exchange):
        raise UnknownSymbol("the symbol names an exchange that is none of CME Group's", name)
    return rest.strip()


def _parse_dated(name: str, today: date) -> Dated:
    if match := _LETTERED.fullmatch(name):
        letter = match[2]
    elif match := _NUMBERED.fullmatch(name):
        letter = _letter(int(match[2]), name)
    elif match := _NAMED.fullmatch(name):
        letter = MONTH_LETTERS[_MONTH_NAMES.index(match[2])]
    else:
        raise UnknownSymbol("the symbol is not a futures contract known here", name)
    return _dated(_root(match[1], name), letter, _year(match[3], today, name), name)


def _root(symbol: str, text: str) -> Root:
    root = ROOTS.get(symbol)
    if root is None:
        raise UnknownSymbol("the symbol is not of a futures product known here", text)
    return root


def _letter(number: int, text: str) -> str:
    if not 1 <= number <= 12:
        raise UnknownSymbol("the symbol's month is none of the twelve", text)
    return MONTH_LETTERS[number - 1]


def _year(digits: str, today: date, text: str) -> int:
    if len(digits) == 1:
        return year_of_digit(int(digits), today)
    year = int(digits) if len(digits) == 4 else 2000 + int(digits)
    if year != year_of_digit(year % 10, today):
        raise UnknownSymbol("the symbol's year is too far from today to name a contract", text)
    return year


def _dated(root: Root, letter: str, year: int, text: str) -> Dated:
    if letter not in root.listed_months:
        raise UnknownSymbol("the product has no contract in the symbol's month", text)
    return Dated(root, letter, year)
