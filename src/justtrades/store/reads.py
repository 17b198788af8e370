"""The queries behind every list, newest first.

A page is what comes before a cursor in the order of a rising key, so the thousandth page costs what the first
does, and rows that are added meanwhile shift nothing. Rows are dictionaries with native values (`Decimal`,
`int`, aware `datetime`); how they are written down is the API's business.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, Connection, Select, Table, literal_column, select

from justtrades.positions import contracts
from justtrades.store.fees import OF_FILL
from justtrades.store.tables import (
    REFUSED,
    UNFINISHED,
    accounts,
    audit,
    fill_fees,
    fills,
    journal,
    lanes,
    orders,
    recorded_trades,
    recorder_positions,
    signal_notes,
    signal_routes,
    signals,
)

Row = dict[str, Any]

MOST: Final = 500
USUAL: Final = 100
_LONGEST_NUMBER: Final = 18
"""Digits of a row number that still fit a 64-bit integer."""
LIVE: Final = ("sending", "sent", "working")
_fills_with_fee: Final = select(fills, fill_fees.c.amount.label("fee")).select_from(fills.outerjoin(fill_fees, OF_FILL))


class BadCursor(ValueError):
    """`before` is not a cursor of this list."""


@dataclass(frozen=True, slots=True)
class Page:
    """`next` is the `before` of the page after this one, None at the end."""

    items: list[Row]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """One signal's whole story, each part in the order it happened."""

    signal: Row
    routes: list[Row]
    notes: list[Row]
    steps: list[Row]
    orders: list[Row]
    fills: list[Row]
    trades: list[Row]
    audit: list[Row]


def list_signals(
    connection: Connection,
    *,
    limit: int = USUAL,
    before: str | None = None,
    status: str | None = None,
    recorder_id: str | None = None,
) -> Page:
    shown = [c for c in signals.columns if c.name not in ("raw", "recorder_json", "reading_json")]
    query = _where(select(*shown), {signals.c.recorder_id: recorder_id})
    match status:
        case None:
            pass
        case "refused":
            query = query.where(literal_column(REFUSED))  # written out: the partial index wants it so
        case "accepted" | "working":
            query = query.where(literal_column(UNFINISHED) & (signals.c.status == status))
        case _:
            query = query.where(signals.c.status == status)
    return _page(connection, query, signals.c.id, limit, before)


def list_trades(
    connection: Connection,
    *,
    limit: int = USUAL,
    before: str | None = None,
    status: str | None = None,
    recorder_id: str | None = None,
    account_id: str | None = None,
    contract: str | None = None,
) -> Page:
    t = recorded_trades.c
    wanted = {t.status: status, t.recorder_id: recorder_id, t.account_id: account_id, t.contract: contract}
    return _page(connection, _where(select(recorded_trades), wanted), t.number, limit, before)


def list_orders(
    connection: Connection,
    *,
    limit: int = USUAL,
    before: str | None = None,
    status: str | None = None,
    signal_id: str | None = None,
    account_id: str | None = None,
    contract: str | None = None,
) -> Page:
    o = orders.c
    wanted = {o.status: status, o.signal_id: signal_id, o.account_id: account_id, o.contract: contract}
    page = _page(connection, _where(select(orders), wanted), o.number, limit, before)
    return Page([_order(row) for row in page.items], page.next)


def list_fills(
    connection: Connection,
    *,
    limit: int = USUAL,
    before: str | None = None,
    order_id: str | None = None,
    account_id: str | None = None,
    contract: str | None = None,
) -> Page:
    f = fills.c
    wanted = {f.order_id: order_id, f.account_id: account_id, f.contract: contract}
    page = _page(connection, _where(_fills_with_fee, wanted), f.number, limit, before)
    return Page([_fill(row) for row in page.items], page.next)


def list_audit(
    connection: Connection,
    *,
    limit: int = USUAL,
    before: str | None = None,
    connection_id: str | None = None,
    signal_id: str | None = None,
    order_id: str | None = None,
) -> Page:
    a = audit.c
    wanted = {a.connection_id: connection_id, a.signal_id: signal_id, a.order_id: order_id}
    return _page(connection, _where(select(audit), wanted), a.id, limit, before)


def list_accounts(connection: Connection) -> list[Row]:
    return _rows(connection, select(accounts).order_by(accounts.c.id))


def list_lanes(connection: Connection, now: datetime, *, account_id: str | None = None) -> list[Row]:
    """One row per account × contract ever traded; the longest unprotected stretch is that of `now`'s trade date."""
    shown = [c for c in lanes.columns if c.name != "state_json"]
    query = _where(select(*shown), {lanes.c.account_id: account_id})
    rows = _rows(connection, query.order_by(lanes.c.account_id, lanes.c.contract))
    return [_lane(row, now) for row in rows]


def list_positions(
    connection: Connection, *, account_id: str | None = None, recorder_id: str | None = None
) -> list[Row]:
    """Open positions with the exits that protect them."""
    p = recorder_positions.c
    same_lane = (lanes.c.account_id == p.account_id) & (lanes.c.contract == p.contract)
    query = (
        select(recorder_positions, lanes.c.broker_quantity, lanes.c.checked_at, lanes.c.unprotected_since)
        .join(lanes, same_lane)
        .where(p.status == "open")
        .order_by(p.id.desc())
    )
    found = _rows(connection, _where(query, {p.account_id: account_id, p.recorder_id: recorder_id}))
    exits = _live_exits(connection) if found else {}
    return [_position(row, exits.get((row["account_id"], row["contract"]), [])) for row in found]


def get_receipt(connection: Connection, signal_id: str) -> Receipt | None:
    """None when there is no such signal."""
    found = _rows(connection, select(signals).where(signals.c.id == signal_id))
    if not found:
        return None
    its_orders = [_order(row) for row in _of_signal(connection, orders, signal_id, orders.c.number)]
    return Receipt(
        signal=found[0],
        routes=_of_signal(connection, signal_routes, signal_id, signal_routes.c.account_id),
        notes=_of_signal(connection, signal_notes, signal_id, signal_notes.c.number),
        steps=_of_signal(connection, journal, signal_id, journal.c.number),
        orders=its_orders,
        fills=_fills_of(connection, [order["id"] for order in its_orders]),
        trades=_of_signal(connection, recorded_trades, signal_id, recorded_trades.c.number),
        audit=_of_signal(connection, audit, signal_id, audit.c.id),
    )


# ── leaves ───────────────────────────────────────────────────────────────────────────────────────────────


def _page(connection: Connection, query: Select[Any], key: Column[Any], limit: int, before: str | None) -> Page:
    size = max(1, min(limit, MOST))
    if before is not None:
        query = query.where(key < _cursor(key, before))
    rows = _rows(connection, query.order_by(key.desc()).limit(size + 1))
    more = len(rows) > size
    return Page(rows[:size], str(rows[size - 1][key.name]) if more else None)


def _cursor(key: Column[Any], before: str) -> int | str:
    if key.name != "number":
        return before
    if not before.removeprefix("-").isdecimal() or len(before) > _LONGEST_NUMBER:
        raise BadCursor("the cursor is not one of this list")
    return int(before)


def _where(query: Select[Any], wanted: dict[Column[Any], str | None]) -> Select[Any]:
    for column, value in wanted.items():
        if value is not None:
            query = query.where(column == value)
    return query


def _rows(connection: Connection, query: Select[Any]) -> list[Row]:
    return [dict(row) for row in connection.execute(query).mappings()]


def _of_signal(connection: Connection, of: Table, signal_id: str, order: Column[Any]) -> list[Row]:
    return _rows(connection, select(of).where(of.c.signal_id == signal_id).order_by(order))


def _fills_of(connection: Connection, order_ids: Iterable[str]) -> list[Row]:
    query = _fills_with_fee.where(fills.c.order_id.in_(list(order_ids))).order_by(fills.c.number)
    return [_fill(row) for row in _rows(connection, query)]


def _order(row: Row) -> Row:
    """An order's id is the client order id: the one name it has from before it is sent."""
    return {**row, "client_order_id": row["id"]}


def _fill(row: Row) -> Row:
    return {**row, "id": str(row["number"])}


def _lane(row: Row, now: datetime) -> Row:
    today = row["unprotected_day"] == str(contracts.trade_date(now))
    seconds = row.pop("unprotected_seconds_max") * today
    since = row["unprotected_since"]
    running = (now - since).total_seconds() if since is not None else 0.0
    return {**row, "unprotected_seconds_today_max": max(seconds, running)}


def _live_exits(connection: Connection) -> dict[tuple[str, str], list[Row]]:
    """Targets and stops that have not ended, by account and contract: few, found by their status."""
    o = orders.c
    query = select(orders).where(o.status.in_(LIVE) & o.purpose.in_(("target", "stop"))).order_by(o.leg, o.number)
    found: dict[tuple[str, str], list[Row]] = {}
    for row in _rows(connection, query):
        found.setdefault((row["account_id"], row["contract"]), []).append(row)
    return found


def _position(row: Row, exits: list[Row]) -> Row:
    return {
        "recorder_id": row["recorder_id"],
        "account_id": row["account_id"],
        "ticker": row["ticker"],
        "contract": row["contract"],
        "side": row["side"],
        "quantity": row["total_quantity"],
        "average_price": row["avg_entry_price"],
        "targets": [_exit(order) for order in exits if order["purpose"] == "target"],
        "stop": next((_exit(order) for order in exits if order["purpose"] == "stop"), None),
        "protected": row["unprotected_since"] is None,
        "broker_quantity": row["broker_quantity"],
        "checked_at": row["checked_at"],
        "trade_id": row["trade_id"],
        "opened_at": row["opened_at"],
    }


def _exit(order: Row) -> Row:
    left = order["quantity"] - order["filled_quantity"]
    return {"price": order["price"], "quantity": left, "broker_order_id": order["broker_order_id"]}
