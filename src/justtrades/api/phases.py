"""Where a signal's time went, in milliseconds, and whether a comparison with the broker has confirmed its end.

Phases come from the receipt's own rows, each with the moment our clock saw it, in the order they are usually
reached; a phase that was never reached is not there. `ms` counts from the phase before, `since_received_ms` from the
alert's arrival.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from justtrades.api.records import Milliseconds
from justtrades.api.schemas import Given, Moment
from justtrades.store.reads import Receipt, Row

_EXITS: Final = ("target", "stop")


class PhaseOut(Given):
    """`phase`: lane (its lane took it on), sent, answered, filled, protected (target or stop taken), done."""

    account_id: str
    contract: str | None = None
    phase: str
    at: Moment
    ms: Milliseconds
    since_received_ms: Milliseconds


class ReconciliationOut(Given):
    """The newest comparison of a lane this signal traded on. `confirmed`: it began after the signal had ended, and
    what our books hold, with what is not ours, is what the broker showed."""

    account_id: str
    contract: str
    checked_at: Moment | None = None
    quantity: int
    foreign_quantity: int
    broker_quantity: int | None = None
    confirmed: bool


def phases(found: Receipt, steps: Iterable[Row]) -> list[Row]:
    """Of every account, the earliest moment of each phase, in time."""
    stepped = [*steps]
    return [phase for route in found.routes for phase in _route(found, stepped, route)]


def reconciliations(found: Receipt, lanes: Iterable[Row]) -> list[Row]:
    by_key = {(lane["account_id"], lane["contract"]): lane for lane in lanes}
    return [_compared(route, lane) for route in found.routes if (lane := by_key.get(_key(route))) is not None]


# ── leaves ───────────────────────────────────────────────────────────────────────────────────────────────────


def _route(found: Receipt, steps: list[Row], route: Row) -> Iterator[Row]:
    before = received = found.signal["received_at"]
    reached = {phase: at for phase, at in _moments(found, steps, route) if at is not None}
    for phase, at in sorted(reached.items(), key=lambda one: one[1]):
        yield {
            "account_id": route["account_id"],
            "contract": route["contract"] or None,
            "phase": phase,
            "at": at,
            "ms": _ms(at - before),
            "since_received_ms": _ms(at - received),
        }
        before = at


def _moments(found: Receipt, steps: list[Row], route: Row) -> Iterator[tuple[str, datetime | None]]:
    here = [step for step in steps if _key(step) == _key(route)]
    orders = {order["id"]: order for order in found.orders if _key(order) == _key(route)}
    calls = [call for call in found.audit if call["order_id"] in orders]
    exits = [call for call in calls if orders[call["order_id"]]["purpose"] in _EXITS]
    first = [call for call in calls if orders[call["order_id"]]["purpose"] not in _EXITS]
    yield "lane", _earliest(step["at"] for step in here if "SignalReceived" in step["event"])
    yield "sent", _earliest(call["at"] for call in first)
    yield "answered", _earliest(_answered(call) for call in first)
    yield "filled", _earliest(step["at"] for step in here if "OrderFilled" in step["event"])
    yield "protected", _earliest(_answered(call) for call in exits)
    yield "done", route["finished_at"]


def _answered(call: Mapping[str, Any]) -> datetime | None:
    if call["status"] is None or call["duration_ms"] is None:
        return None
    at: datetime = call["at"]
    return at + timedelta(milliseconds=call["duration_ms"])


def _earliest(moments: Iterable[datetime | None]) -> datetime | None:
    return min((at for at in moments if at is not None), default=None)


def _ms(time: timedelta) -> float:
    return time / timedelta(milliseconds=1)


def _key(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["account_id"], row["contract"]


def _compared(route: Row, lane: Row) -> Row:
    checked, finished = lane["checked_at"], route["finished_at"]
    foreign, seen = lane.get("foreign_quantity") or 0, lane["broker_quantity"]
    after = checked is not None and finished is not None and checked >= finished
    return {
        "account_id": lane["account_id"],
        "contract": lane["contract"],
        "checked_at": checked,
        "quantity": lane["quantity"],
        "foreign_quantity": foreign,
        "broker_quantity": seen,
        "confirmed": after and seen == lane["quantity"] + foreign,
    }
