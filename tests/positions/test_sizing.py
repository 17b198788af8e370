"""Quantities: never rounded up, never over the limit, and target legs that sum to the position."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from justtrades.positions.sizing import Sized, size, split

D = Decimal
multipliers = st.decimals("0", "20", places=3)
percents = st.lists(st.decimals("0.01", "100", places=2), min_size=1, max_size=8).map(tuple)


@pytest.mark.parametrize(
    ("base", "multiplier", "held", "limit", "quantity", "trimmed"),
    [
        (1, "1", 0, None, 1, False),
        (3, "0.5", 0, None, 1, False),
        (2, "2.5", 0, 5, 5, False),
        (3, "1", 3, 5, 2, True),
        (3, "1", -3, 5, 2, True),
        (1, "1", 4, 5, 1, False),
    ],
)
def test_an_order_is_the_base_times_the_multiplier_within_the_limit(
    base: int, multiplier: str, held: int, limit: int | None, quantity: int, trimmed: bool
) -> None:
    sized = size(base, D(multiplier), held, limit)
    assert (sized.quantity, sized.trimmed) == (quantity, trimmed)


def test_less_than_one_contract_is_blocked_with_its_reason() -> None:
    assert size(1, D("0.5"), 0, None) == Sized(0, reason="1 × 0.5 is less than one whole contract")


def test_a_full_position_is_blocked_with_its_reason() -> None:
    assert size(1, D(1), 5, 5) == Sized(0, reason="max quantity 5 is reached: 5 held")


def test_a_trimmed_order_says_what_it_was() -> None:
    assert size(3, D(1), 3, 5).reason == "trimmed from 3 to 2: max quantity 5, 3 held"


@given(st.integers(0, 50), multipliers, st.integers(-60, 60), st.none() | st.integers(1, 60))
def test_a_size_is_never_more_than_asked_nor_than_the_limit_leaves(
    base: int, multiplier: Decimal, held: int, limit: int | None
) -> None:
    sized = size(base, multiplier, held, limit)
    assert 0 <= sized.quantity <= base * multiplier
    assert limit is None or sized.quantity <= max(0, limit - abs(held))
    assert (sized.reason is None) == (sized.quantity == int(base * multiplier) > 0)


@pytest.mark.parametrize(
    ("total", "weights", "legs"),
    [
        (4, ("50", "50"), (2, 2)),
        (3, ("50", "50"), (2, 1)),
        (10, ("50", "30", "20"), (5, 3, 2)),
        (4, ("33", "33", "34"), (1, 1, 2)),
        (2, ("33", "33", "34"), (1, 1, 0)),
        (1, ("30", "70"), (1, 0)),
        (0, ("50", "50"), (0, 0)),
        (3, ("100",), (3,)),
        (6, ("1", "1"), (3, 3)),
    ],
)
def test_a_position_is_split_in_proportion(total: int, weights: tuple[str, ...], legs: tuple[int, ...]) -> None:
    assert split(total, tuple(map(D, weights))) == legs


@given(st.integers(0, 500), percents)
def test_legs_sum_to_the_position_and_stay_within_one_contract_of_their_share(
    total: int, weights: tuple[Decimal, ...]
) -> None:
    legs = split(total, weights)
    assert sum(legs) == total
    assert all(leg >= 0 for leg in legs)
    if total >= len(weights):
        shares = [total * Fraction(weight) / Fraction(sum(weights)) for weight in weights]
        assert all(abs(leg - share) < 1 for leg, share in zip(legs, shares, strict=True))


@given(st.integers(0, 500), st.integers(1, 8))
def test_equal_legs_never_grow_from_first_to_last(total: int, legs: int) -> None:
    quantities = split(total, (D(10),) * legs)
    assert list(quantities) == sorted(quantities, reverse=True)


@pytest.mark.parametrize(("total", "weights"), [(-1, ("1",)), (1, ()), (1, ("0",)), (1, ("-1",)), (1, ("NaN",))])
def test_a_split_that_means_nothing_is_refused(total: int, weights: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="legs above zero"):
        split(total, tuple(map(D, weights)))
