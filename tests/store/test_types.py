"""Decimals and moments come back as they went in, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, MetaData, Table, select
from sqlalchemy.exc import StatementError

from justtrades.store.session import Database
from justtrades.store.types import ExactDecimal, UtcDateTime, iso, plain
from tests.store.conftest import START

kept = Table("kept", MetaData(), Column("amount", ExactDecimal), Column("moment", UtcDateTime))

amounts = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30)
moments = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.timezones())  # noqa: DTZ001 - hypothesis wants bounds without a zone


async def kept_through(db: Database, values: list[dict[str, object]]) -> list[tuple[Decimal, datetime]]:
    await db.write(lambda c: kept.create(c, checkfirst=True))
    await db.write(lambda c: c.execute(kept.insert(), values).rowcount)
    return [(row.amount, row.moment) for row in await db.read(lambda c: c.execute(select(kept)).all())]


AWKWARD = [
    *("0", "-0", "0.1", "24.50", "1E+2", "1E-12", "-37.63", "18750.25", "0.0000000000000000000000000001"),
    *("123456789012345678901234567890.123456789012345678901234567890", "-1E+30", "5000.000"),
]


async def test_decimals_come_back_with_the_same_value_and_never_as_floats(db: Database) -> None:
    given_values = [Decimal(text) for text in AWKWARD]
    back = await kept_through(db, [{"amount": value, "moment": START} for value in given_values])
    assert [amount for amount, _ in back] == given_values
    assert all(type(amount) is Decimal for amount, _ in back)


async def test_moments_come_back_in_utc_to_the_microsecond(db: Database) -> None:
    zone = timezone(timedelta(hours=-5))
    given_values = [START, datetime(2026, 3, 8, 1, 59, 59, 999_999, tzinfo=zone), START.replace(microsecond=1)]
    back = await kept_through(db, [{"amount": Decimal(1), "moment": value} for value in given_values])
    assert [moment for _, moment in back] == given_values
    assert all(moment.tzinfo is UTC for _, moment in back)


@given(amounts)
def test_plain_notation_is_exact_and_has_no_exponent(value: Decimal) -> None:
    text = plain(value)
    assert Decimal(text) == value
    assert "E" not in text


@given(moments, moments)
def test_the_order_of_stored_texts_is_the_order_of_time(one: datetime, other: datetime) -> None:
    assert (iso(one) < iso(other)) == (one.astimezone(UTC) < other.astimezone(UTC))
    assert datetime.fromisoformat(iso(one)) == one.astimezone(UTC)


@pytest.mark.parametrize("bad", [1.5, "1.5", Decimal("NaN"), Decimal("Infinity"), Decimal("1E+1000000")])
async def test_what_is_not_an_exact_number_is_refused(lite: Database, bad: object) -> None:
    with pytest.raises(StatementError):
        await kept_through(lite, [{"amount": bad, "moment": START}])


async def test_a_moment_without_a_zone_is_refused(lite: Database) -> None:
    with pytest.raises(StatementError):
        await kept_through(lite, [{"amount": Decimal(1), "moment": START.replace(tzinfo=None)}])
