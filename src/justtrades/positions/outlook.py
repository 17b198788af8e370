"""What a root's continuous symbol means today, when that changes, and what a TradingView chart most likely shows.

Our own answer is the calendar's (`contracts`). TradingView leaves a contract a fixed number of business days
before it ends, a number of its own for each symbol, taken from when the volume moves on average (its help page on
switching dates of continuous futures). Those numbers are not published but for the example of gold. So the usual
roll day of the product stands for them, and within a few days of it both contracts are named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from justtrades.positions.calendar import business_days_before
from justtrades.positions.contracts import (
    Dated,
    RollRule,
    Root,
    expiry,
    first_notice,
    front,
    parse_symbol,
    roll_date,
)
from justtrades.positions.model import ContractName
from justtrades.positions.rolls import NO_ROLLS

NEAR: Final = timedelta(days=7)
_GOLD: Final = RollRule(1, months="GJMQZ")
_CHARTS: Final[Mapping[str, RollRule]] = {"GC": _GOLD, "MGC": _GOLD}
"""The help page's example: `GC1!` went from GCQ2022 to GCZ2022 on 28 July 2022, the day before its first notice."""
UNSURE: Final = 3
"""Business days before and after a usual roll day on which TradingView's contract is not certain."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """One root on one trade date. `tradingview` are the contracts its `1!` may show, the likeliest first."""

    root: Root
    contract: Dated
    following: Dated
    rolls_on: date
    rule: RollRule
    set_by_operator: bool
    expires_on: date
    first_notice: date | None
    tradingview: tuple[Dated, ...]


def outlook(root: Root, today: date, rolls: Mapping[str, RollRule] = NO_ROLLS) -> Outlook:
    """`today` is a trade date; `rolls` are an operator's own rules by root."""
    rule = rolls.get(root.symbol, root.roll)
    now = front(root, today, rule)
    return Outlook(
        root=root,
        contract=now,
        following=front(root, today, rule, nth=2),
        rolls_on=roll_date(root, now.month, now.year, rule),
        rule=rule,
        set_by_operator=root.symbol in rolls,
        expires_on=expiry(root, now.month, now.year),
        first_notice=first_notice(root, now.month, now.year),
        tradingview=charted(root, today),
    )


def behind(contract: ContractName, today: date, rolls: Mapping[str, RollRule] = NO_ROLLS) -> str | None:
    """What to know of a position in a contract that has rolled; None while it has not."""
    held = parse_symbol(contract, today)
    if not isinstance(held, Dated):
        return None
    root, rolled = held.root, roll_date(held.root, held.month, held.year, rolls.get(held.root.symbol))
    if today < rolled:
        return None
    notice = first_notice(root, held.month, held.year)
    days = [f"roll day {rolled.isoformat()}", f"first notice {notice.isoformat()}" if notice is not None else ""]
    days.append(f"expiry {expiry(root, held.month, held.year).isoformat()}")
    following = front(root, today, rolls.get(root.symbol)).tradovate
    return f"{', '.join(filter(None, days))}. It stays until it is closed; the next entry takes {following}."


def charted(root: Root, today: date) -> tuple[Dated, ...]:
    """What TradingView's `1!` most likely shows: by the usual roll day, whatever the operator's own rule."""
    rule = _CHARTS.get(root.symbol, root.roll)
    likeliest, before = front(root, today, rule), front(root, today - NEAR, rule)
    if business_days_before(_rolls(likeliest, rule), UNSURE) <= today:
        return likeliest, front(root, today, rule, nth=2)
    left_lately = before != likeliest and business_days_before(today, UNSURE) <= _rolls(before, rule)
    return (likeliest, before) if left_lately else (likeliest,)


def _rolls(contract: Dated, rule: RollRule) -> date:
    return roll_date(contract.root, contract.month, contract.year, rule)
