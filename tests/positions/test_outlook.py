"""Roll rules of an operator, and what each root means today beside what TradingView most likely shows."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from justtrades.positions.contracts import ROOTS, Days, RollRule, Root
from justtrades.positions.outlook import charted, outlook
from justtrades.positions.rolls import parse_rolls, rule_text

TODAY = date(2026, 11, 25)


def names(root: str, day: str) -> list[str]:
    return [contract.tradovate for contract in charted(ROOTS[root], date.fromisoformat(day))]


# ── an operator's own rules ─────────────────────────────────────────────────────────────────────────────


def test_calendar_days_and_business_days_are_told_apart() -> None:
    rolls = parse_rolls(" gc=5b, ES = 4 ,")
    assert rolls == {"GC": RollRule(5, Days.BUSINESS, "GJMQZ"), "ES": RollRule(4, Days.CALENDAR)}
    assert [rule_text(rule) for rule in rolls.values()] == ["5b", "4"]


def test_a_rule_of_ones_own_keeps_the_months_of_its_root() -> None:
    seen = outlook(ROOTS["GC"], date(2026, 8, 1), parse_rolls("GC=1b"))
    assert (seen.contract.tradovate, seen.set_by_operator) == ("GCZ6", True)


@pytest.mark.parametrize("text", ["ZN", "ZN=", "GC=3d", "GC=-1", "GC=3b;ES=4", "XX=3", "GC=3,GC=4", "GC=61", "GC=٣"])
def test_what_is_no_list_of_roll_days_is_refused_without_an_echo(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(must|names|rolls)") as refused:
        parse_rolls(text)
    assert text not in str(refused.value)


# ── the outlook ─────────────────────────────────────────────────────────────────────────────────────────


def test_the_outlook_of_a_root_is_its_front_month_and_what_comes_of_it() -> None:
    seen = outlook(ROOTS["MNQ"], TODAY)
    assert (seen.contract.tradovate, seen.following.tradovate) == ("MNQZ6", "MNQH7")
    assert (seen.rolls_on, seen.expires_on, seen.first_notice) == (date(2026, 12, 10), date(2026, 12, 18), None)


def test_gold_is_left_before_its_first_notice() -> None:
    seen = outlook(ROOTS["GC"], TODAY)
    assert (seen.contract.tradovate, seen.first_notice) == ("GCG7", date(2027, 1, 29))


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2024-06-07", ["NQM4"]),
        ("2024-06-10", ["NQM4", "NQU4"]),  # three business days before the 13th
        ("2024-06-12", ["NQM4", "NQU4"]),
        ("2024-06-13", ["NQU4", "NQM4"]),
        ("2024-06-14", ["NQU4", "NQM4"]),  # about here the chart switched
        ("2024-06-18", ["NQU4", "NQM4"]),
        ("2024-06-20", ["NQU4"]),
    ],
)
def test_near_a_roll_both_candidates_of_the_chart_are_named(day: str, expected: list[str]) -> None:
    assert names("NQ", day) == expected


@pytest.mark.parametrize(("day", "likeliest", "ours"), [("2022-07-27", "GCQ2", "GCZ2"), ("2022-07-28", "GCZ2", "GCZ2")])
def test_gold_switches_on_the_chart_where_tradingviews_own_example_says(day: str, likeliest: str, ours: str) -> None:
    seen = outlook(ROOTS["GC"], date.fromisoformat(day))
    assert (seen.tradingview[0].tradovate, seen.contract.tradovate) == (likeliest, ours)


def test_the_chart_does_not_follow_an_operators_own_roll() -> None:
    seen = outlook(ROOTS["ES"], date(2026, 12, 14), parse_rolls("ES=2"))
    assert (seen.contract.tradovate, seen.tradingview[0].tradovate) == ("ESZ6", "ESH7")


@pytest.mark.parametrize("root", ROOTS.values(), ids=str)
def test_on_most_days_the_chart_is_certain_and_it_never_names_one_contract_twice(root: Root) -> None:
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(0, 365, 2)]
    seen = [charted(root, day) for day in days]
    assert all(len(set(found)) == len(found) <= 2 for found in seen)
    assert sum(len(found) == 1 for found in seen) > len(seen) / 2
