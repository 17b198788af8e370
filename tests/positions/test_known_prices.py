"""What is asked of an entry before its lane: is the alert's price the contract's, does the contract still trade."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from justtrades.positions.known_prices import KnownPrice, KnownPrices, expiry_check, price_check
from justtrades.positions.model import ConnectionId, ContractName

NOW = datetime(2026, 11, 25, 15, tzinfo=UTC)
MNQ = ContractName("MNQZ6")
PAPER, DEMO = ConnectionId("paper"), ConnectionId("demo")
TEN = Decimal(10)


def known(price: str, at: datetime = NOW) -> KnownPrice:
    return KnownPrice(Decimal(price), at, "the last fill")


# ── the price ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("alert", "passed"),
    [
        ("25000", True),
        ("27500", True),  # ten percent exactly
        ("22500", True),
        ("27500.25", False),
        ("22499.75", False),
        ("6800", False),  # the S&P's chart
        ("2500000", False),
        ("-25000", False),
    ],
)
def test_a_price_that_cannot_be_the_contracts_is_told_from_a_fast_market(alert: str, passed: bool) -> None:
    assert price_check(MNQ, Decimal(alert), known("25000"), TEN).passed is passed


@given(st.decimals("0.001", "1000000", places=3), st.decimals("0.001", "1000000", places=3), st.integers(1, 100))
def test_the_distance_is_a_percentage_of_the_known_price(alert: Decimal, price: Decimal, percent: int) -> None:
    tolerance = Decimal(percent)
    near = abs(alert - price) * 100 <= tolerance * price
    assert price_check(MNQ, alert, known(str(price)), tolerance).passed is near


def test_a_refusal_names_both_prices_and_the_setting() -> None:
    text = price_check(MNQ, Decimal("6800.5"), known("25000"), TEN).detail
    for part in ("6800.5", "25000, the last fill at 15:00:00 UTC", "10 %", "JUSTTRADES_PRICE_TOLERANCE_PERCENT"):
        assert part in text


@pytest.mark.parametrize("price", [None, "-37.63", "0"])
def test_without_a_price_to_compare_with_the_entry_passes_with_a_warning(price: str | None) -> None:
    check = price_check(MNQ, Decimal(25), known(price) if price else None, TEN)
    assert check.passed
    assert check.detail.startswith("warning: no price of MNQZ6 is known")


def test_the_newest_price_of_the_same_connection_and_day_counts() -> None:
    prices = KnownPrices()
    prices.heard(PAPER, MNQ, known("25000"))
    prices.heard(PAPER, MNQ, known("24000", NOW - timedelta(minutes=1)))
    assert prices.today(PAPER, MNQ, NOW + timedelta(hours=1)) == known("25000")
    assert prices.today(DEMO, MNQ, NOW) is None
    assert prices.today(PAPER, ContractName("MNQH7"), NOW) is None


def test_a_price_of_yesterday_is_none_and_the_evening_is_the_next_day() -> None:
    prices = KnownPrices()
    prices.heard(PAPER, MNQ, known("25000", datetime(2026, 11, 24, 22, tzinfo=UTC)))  # Tuesday 16:00 in Chicago
    assert prices.today(PAPER, MNQ, datetime(2026, 11, 24, 23, tzinfo=UTC)) is None
    prices.heard(PAPER, MNQ, known("25000", datetime(2026, 11, 24, 23, 30, tzinfo=UTC)))
    assert prices.today(PAPER, MNQ, NOW) is not None


# ── the end of a contract ───────────────────────────────────────────────────────────────────────────────


def test_the_brokers_own_date_decides_to_the_minute() -> None:
    ends = NOW + timedelta(seconds=1)
    before, at = expiry_check(MNQ, ends, NOW), expiry_check(MNQ, ends, ends)
    assert before is not None
    assert at is not None
    assert (before.passed, at.passed) == (True, False)
    assert at.detail == "MNQZ6 has expired: 2026-11-25 15:00 UTC"


@pytest.mark.parametrize(("day", "passed"), [("2026-12-17", True), ("2026-12-18", None), ("2026-12-21", False)])
def test_without_the_brokers_date_the_calendar_answers_but_on_the_last_day(day: str, passed: bool | None) -> None:
    check = expiry_check(MNQ, None, datetime.fromisoformat(f"{day}T15:00Z"))
    assert (check and check.passed) is passed
