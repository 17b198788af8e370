"""Two column types that both databases keep exactly: decimals and moments.

SQLite has neither, and SQLAlchemy's own `Numeric` passes through a float there. So a decimal is stored as text
in plain notation ("24.50", never "2.45E+1") with all its digits, and a moment as fixed-width ISO text in UTC
with microseconds, so that text order is time order. PostgreSQL keeps both natively, as NUMERIC without a
declared scale and as `timestamptz`.

Anything that would have to be guessed is refused: a float, NaN, infinity, a moment without a zone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Dialect, Numeric, Text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.types import TypeDecorator, TypeEngine

_LARGEST_EXPONENT: Final = 100
"""No price or amount is near it; plain notation of 1E+1000000 would be a megabyte of zeros."""


def plain(value: Decimal) -> str:
    """The decimal's digits without an exponent; ValueError when it is not a finite, sensible number."""
    if not _is_decimal(value) or not value.is_finite():
        raise ValueError("only a finite Decimal is stored")
    if value and abs(value.adjusted()) > _LARGEST_EXPONENT:
        raise ValueError("the number is out of range")
    return format(value if value else abs(value), "f")


def _is_decimal(value: object) -> bool:
    """Types are not checked where rows are built from dictionaries: a float must not slip through there."""
    return isinstance(value, Decimal)


def iso(value: datetime) -> str:
    """Fixed-width UTC text whose order is time order; ValueError for a moment without a zone."""
    return utc(value).isoformat(timespec="microseconds")[:26] + "Z"


def utc(value: datetime) -> datetime:
    """The same moment in UTC; ValueError when it has no zone."""
    if value.tzinfo is None:
        raise ValueError("a moment without a time zone is not stored")
    return value if value.tzinfo is UTC else value.astimezone(UTC)


class ExactDecimal(TypeDecorator[Decimal]):
    """TEXT on SQLite, NUMERIC on PostgreSQL; what comes back equals what went in."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(Numeric(asdecimal=True))
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        text = plain(value)
        return Decimal(text) if dialect.name == "postgresql" else text

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


class UtcDateTime(TypeDecorator[datetime]):
    """ISO text on SQLite, `timestamptz` on PostgreSQL; aware UTC going in and coming out."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        return utc(value) if dialect.name == "postgresql" else iso(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return utc(value if isinstance(value, datetime) else datetime.fromisoformat(value))
