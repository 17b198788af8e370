"""Lanes and positions as people see them: the stored row, and over it what the running lane knows now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from justtrades.api.parts import LaneView

Row = dict[str, Any]
Key = tuple[str, str]


def lane_row(view: LaneView) -> Row:
    """A running lane. One that only blocks entries counts as halted, with its reason."""
    return {
        "account_id": view.account_id,
        "contract": view.contract,
        "quantity": view.quantity,
        "broker_quantity": view.broker_quantity,
        "foreign_quantity": view.foreign,
        "foreign_orders": list(view.foreign_orders),
        "in_doubt": view.in_doubt,
        "doubt_seconds": view.doubt_seconds,
        "halted": view.halted or view.blocked is not None,
        "halt_reason": view.halt_reason or view.blocked,
        "owner_recorder_id": view.owner_recorder_id,
        "unprotected_seconds_today_max": view.unprotected_seconds_today_max,
        "checked_at": view.checked_at,
    }


def by_key(views: Iterable[LaneView]) -> dict[Key, LaneView]:
    return {(view.account_id, view.contract): view for view in views}


def lanes(stored: Iterable[Row], running: Mapping[Key, LaneView]) -> list[Row]:
    """Every lane ever traded, as it is now; by account and contract."""
    rows = {(row["account_id"], row["contract"]): row for row in stored}
    rows |= {key: lane_row(view) for key, view in running.items()}
    return [rows[key] for key in sorted(rows)]


def position(row: Row, view: LaneView | None) -> Row:
    """An open position. The running lane knows its exits and the broker's side of it better than the last save."""
    if view is None or not view.quantity:
        return row
    return {
        **row,
        "targets": list(view.targets),
        "stop": view.stop,
        "protected": view.protected,
        "promise": view.promise,
        "unprotected_seconds_today_max": view.unprotected_seconds_today_max,
        "broker_quantity": view.broker_quantity,
        "checked_at": view.checked_at,
    }
