"""What is kept of an entity: what was known of it with what is told now; of an order's only what is ever read.

A trade leaves some fifteen entities behind, and all of a day are kept (see `entities`). Most of their fields nobody
reads, and a parser makes every name and word anew for each entity: here each is kept once. A field that `wire` or
`fees` reads of these kinds has to stand in `FIELDS`. Kinds that are few (accounts, positions, contracts) are kept as
they come.
"""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any, Final

from justtrades.broker.tradovate import fees, wire
from justtrades.broker.tradovate.wire import Row

FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "order": ("id", "accountId", "contractId", "timestamp", "action", "ordStatus", "admin"),
    "orderVersion": ("id", "orderId", "orderQty", "orderType", "price", "stopPrice"),
    "command": ("id", "orderId", "clOrdId", "commandType", "commandStatus"),
    "commandReport": ("id", "commandId", "commandStatus", "rejectReason", "text"),
    "executionReport": ("id", "commandId", "orderId", "cumQty", "rejectReason", "text"),
    "fill": ("id", "orderId", "timestamp", "action", "qty", "price", "active"),
    "fillFee": ("id", *fees.AMOUNTS, *fees.AMOUNTS.values()),
}
WORDS: Final = frozenset({"action", "ordStatus", "orderType", "commandType", "commandStatus", "rejectReason"})
"""Fields with one of a few words in them."""

WHOLE: Final = frozenset({"account", "accountRiskStatus"})
"""Rows that replace the one before: a lock that is lifted shows only by the field's absence."""


def merged(kind: str, known: Row, row: Row) -> dict[str, Any]:
    """`known` with what `row` tells."""
    before = {} if _is_whole(kind, row) else known
    told = _not_back(known, row) if kind == "order" else row
    return {**before, **kept(kind, told)}


def kept(kind: str, row: Row) -> Row:
    """`row` without what nobody reads of its kind."""
    fields = FIELDS.get(kind)
    return row if fields is None else {name: _shared(name, row[name]) for name in fields if name in row}


def _shared(name: str, value: Any) -> Any:
    return sys.intern(value) if name in WORDS and type(value) is str else value


def _is_whole(kind: str, row: Row) -> bool:
    """An account without its name is a part of one, to be merged like any other."""
    return kind in WHOLE and (kind != "account" or wire.word(row, "name") is not None)


def _not_back(known: Row, row: Row) -> Row:
    """`row` without a status that would bring an ended order back, or weaken how it ended."""
    before, after = wire.status(known), wire.status(row)
    if before is None or not before.ended or (after is not None and after >= before):
        return row
    return {name: value for name, value in row.items() if name != "ordStatus"}


def old(order: Row, limit: datetime) -> bool:
    """Ended, and placed before `limit`."""
    status, at = wire.status(order), wire.moment(order, "timestamp")
    return bool(status and status.ended and at and at < limit)
