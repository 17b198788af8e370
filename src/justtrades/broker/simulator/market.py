"""What moves the prices: nothing, a seeded walk on the tick grid, or the rows of a file.

The walks are pure: the next price follows from the last one and the random numbers of a given generator, so a
seed gives the same market again. `alerts` and `walk` are the same walk over every contract that has a price;
they differ in who sets the first one (the engine, from an alert, or the seed table here).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Final

from justtrades.positions.contracts import Root

_STRIDE: Final = 3
"""Most ticks that a price walks at once."""
_SEEDS: Final = {
    **dict.fromkeys(("ES", "MES"), "6800"),
    **dict.fromkeys(("NQ", "MNQ"), "25000"),
    **dict.fromkeys(("RTY", "M2K"), "2400"),
    **dict.fromkeys(("YM", "MYM", "NKD"), "48000"),
    **dict.fromkeys(("CL", "MCL", "QM", "BZ"), "65"),
    **dict.fromkeys(("NG", "QG", "MNG"), "4"),
    **dict.fromkeys(("GC", "MGC", "QO", "1OZ"), "4100"),
    **dict.fromkeys(("SI", "SIL", "QI"), "50"),
    **dict.fromkeys(("HG", "MHG", "QC"), "5"),
    **dict.fromkeys(("RB", "HO"), "2"),
    **dict.fromkeys(("6E", "M6E", "E7"), "1.16"),
    **dict.fromkeys(("6B", "M6B"), "1.32"),
    **dict.fromkeys(("6A", "M6A", "6N", "6C"), "0.65"),
    **dict.fromkeys(("6S",), "1.25"),
    **dict.fromkeys(("6J",), "0.0065"),
    **dict.fromkeys(("6M",), "0.054"),
    **dict.fromkeys(("BTC", "MBT"), "90000"),
    **dict.fromkeys(("ETH", "MET"), "3000"),
    **dict.fromkeys(("EMD",), "3200"),
    **dict.fromkeys(("ZC", "ZW", "KE"), "500"),
    **dict.fromkeys(("ZS", "PL", "PA"), "1100"),
}
"""A plausible price per root; where none stands, 100 (bonds, meats, oils and meal are near it)."""


def seed_price(root: Root) -> Decimal:
    """The first price of a contract that never traded, on its tick."""
    return to_tick(Decimal(_SEEDS.get(root.symbol, "100")), root.tick_size)


def to_tick(price: Decimal, tick: Decimal) -> Decimal:
    """The nearest price on the tick grid."""
    return (price / tick).to_integral_value() * tick


def walk(price: Decimal, tick: Decimal, rng: Random) -> Decimal:
    """The next price: up to three ticks away, never at or below zero."""
    stepped = price + tick * rng.randint(-_STRIDE, _STRIDE)
    return stepped if stepped > 0 else price + tick


class Moves(StrEnum):
    ALERTS = "alerts"
    WALK = "walk"
    STILL = "still"
    CSV = "csv"


@dataclass(frozen=True, slots=True)
class Market:
    """How prices move. `file` only for CSV."""

    moves: Moves
    file: Path | None = None


def parse_market(text: str) -> Market:
    """`alerts`, `walk`, `still` or `csv:FILE`; ValueError for anything else."""
    name, _, rest = text.partition(":")
    if name == Moves.CSV and rest:
        return Market(Moves.CSV, Path(rest))
    if name == Moves.CSV or rest:
        raise ValueError(f"a market is alerts, walk, still or csv:FILE, not {text!r}")
    return Market(Moves(name))


@dataclass(frozen=True, slots=True)
class Quote:
    """One row of a price file; `wait` is the time since the row before, in seconds (None: as set)."""

    symbol: str
    price: Decimal
    wait: float | None = None  # for the event loop


def read_quotes(file: Path) -> Iterator[Quote]:
    """Rows `time?,symbol,price` of a CSV file with a header; `time` in ISO 8601. ValueError names a bad row."""
    before: datetime | None = None
    with file.open(newline="", encoding="utf-8") as lines:
        for number, row in enumerate(csv.DictReader(lines), 2):
            try:
                at = datetime.fromisoformat(row["time"]) if row.get("time") else None
                symbol, price = row["symbol"].strip(), Decimal(row["price"])
            except (LookupError, ArithmeticError, ValueError, TypeError, AttributeError) as error:
                raise ValueError(f"{file.name}, line {number}: not time,symbol,price") from error
            yield Quote(symbol, price, (at - before).total_seconds() if at and before else None)
            before = at
