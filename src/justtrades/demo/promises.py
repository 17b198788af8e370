"""What each scene promises, whether it came out so, and what it made. Pure, from what the engine's API says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from justtrades.demo.client import Facts, Json


@dataclass(frozen=True, slots=True)
class Expected:
    """What a scene promises: how its signals end and why its trades are closed, `a|b` where both are right.

    `ticks` is the least that its trades make together, over all contracts.
    """

    outcomes: tuple[str, ...]
    fills: int
    exits: tuple[str, ...] = ()
    ticks: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """A scene as it was played."""

    title: str
    signal_ids: tuple[str, ...]
    expected: Expected


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a scene, or of all: for the table."""

    trades: int
    fills: int
    ticks: Decimal
    pnl: Decimal


def unexpected(told: Told, facts: Facts) -> list[str]:
    """Where a scene came out otherwise than promised, a sentence each."""
    trades, result = trades_of(told, facts), result_of(told, facts)
    outcomes = tuple(facts.signals[key]["outcome"] for key in told.signal_ids)
    exits = tuple(row["exit_reason"] for row in trades)
    expected = told.expected
    found = []
    if not _fit(expected.outcomes, outcomes):
        found.append(f"its signals ended as {_list(outcomes)}, not as {_list(expected.outcomes)}")
    if not _fit(expected.exits, exits):
        found.append(f"its trades were closed as {_list(exits)}, not as {_list(expected.exits)}")
    if result.fills != expected.fills:
        found.append(f"it took {result.fills} fills, not {expected.fills}")
    if expected.ticks is not None and result.ticks < expected.ticks:
        found.append(f"it made {result.ticks} ticks, less than the {expected.ticks} of its target")
    return [f"{told.title}: {sentence}" for sentence in found]


def _fit(expected: tuple[str, ...], found: tuple[object, ...]) -> bool:
    """Each word found is one of those expected at its place."""
    if len(expected) != len(found):
        return False
    return all(word in wanted.split("|") for wanted, word in zip(expected, found, strict=True))


def _list(words: Iterable[object]) -> str:
    return ", ".join(map(str, words)) or "nothing"


# ── sums for the table ───────────────────────────────────────────────────────────────────────────────────


def trades_of(told: Told, facts: Facts) -> list[Json]:
    """The trades a scene's signals opened, in their order."""
    return [row for row in facts.trades.values() if row["signal_id"] in told.signal_ids]


def result_of(told: Told, facts: Facts) -> Result:
    trades = trades_of(told, facts)
    orders = {key for key, row in facts.orders.items() if row["signal_id"] in told.signal_ids}
    fills = [row for row in facts.fills.values() if row["order_id"] in orders]
    return Result(len(trades), len(fills), _total(trades, "pnl_ticks"), _total(trades, "pnl"))


def total(facts: Facts) -> Result:
    trades = list(facts.trades.values())
    return Result(len(trades), len(facts.fills), _total(trades, "pnl_ticks"), _total(trades, "pnl"))


def _total(trades: Iterable[Json], field: str) -> Decimal:
    return sum((Decimal(row[field] or 0) for row in trades), Decimal())
