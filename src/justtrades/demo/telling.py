"""What changed between two looks at the engine, in words. Pure: nothing is told that the engine did not say.

Lines stand in the order of the engine's own times, cause before effect. A fill carries the broker's clock, which
counts whole milliseconds, so it is never told before the order it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from justtrades.demo.client import Facts, Json
from justtrades.positions.contracts import ROOTS

_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)
DIALECTS: Final = {"just_trades": "a Just-Trades alert", "traderspost": "a TradersPost alert", "plain": "a plain alert"}
_VERBS: Final = {"close": "close", "close_long": "close what is long", "close_short": "close what is short"}
_ENDED: Final = {"canceled": "withdrawn", "expired": "expired"}
_REASONS: Final = {"target": "by its target", "stop": "by its stop", "reverse": "by the reversal"}


@dataclass(frozen=True, slots=True)
class Line:
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class _Told:
    """A line and where it belongs: at which moment, and what comes first within it."""

    at: datetime
    rank: int
    line: Line


def lines(before: Facts, after: Facts) -> list[Line]:
    """What happened between two looks."""
    told = [*_signals(before, after), *_orders(before, after), *_fills(before, after), *_trades(before, after)]
    return [one.line for one in sorted(told, key=lambda one: (one.at, one.rank))]


def _signals(before: Facts, after: Facts) -> Iterator[_Told]:
    for key, signal in after.signals.items():
        known = before.signals.get(key)
        if known is None:
            yield _Told(moment(signal["received_at"]), 0, Line("read", _reading(signal)))
        if signal["outcome"] is not None and (known is None or known["outcome"] is None):
            text = f"{signal['outcome']}: {signal['reason']}" if signal["reason"] else signal["outcome"]
            yield _Told(_or_last(signal["finished_at"]), 5, Line("outcome", text))


def _reading(signal: Json) -> str:
    verb = _VERBS.get(signal["verb"], signal["verb"])
    return f"{DIALECTS.get(signal['dialect'], signal['dialect'])}: {verb} {signal['ticker']}"


def _orders(before: Facts, after: Facts) -> Iterator[_Told]:
    for key, order in after.orders.items():
        known, at = before.orders.get(key), moment(order["created_at"])
        if known is None:
            yield _Told(at, 1, Line("decision", _decision(order)))
        if order["broker_order_id"] and (known is None or not known["broker_order_id"]):
            yield _Told(at, 2, Line(_resting(order), _taken(order)))
        if known is not None and _moved(known, order):
            yield _Told(_LAST, 0, Line(_resting(order), _moved_text(known, order)))
        if order["status"] in ("rejected", "absent") and (known is None or known["status"] != order["status"]):
            yield _Told(at, 3, Line("refused", _refused(order)))
        if known is not None and order["status"] in _ENDED and known["status"] not in _ENDED:
            text = f"{_side(order)} at {price(order['price'], order['contract'])} is {_ENDED[order['status']]}"
            yield _Told(_FIRST, 0, Line(_resting(order), text))


def _decision(order: Json) -> str:
    match order["purpose"]:
        case "target":
            return f"protect the position: {_side(order)} at {price(order['price'], order['contract'])}"
        case "stop":
            return f"limit the loss: {_side(order)} at {price(order['price'], order['contract'])}"
        case "close":
            return f"close the position: {_side(order)} at market"
        case _:
            return f"{_side(order)} at market"


def _taken(order: Json) -> str:
    if _resting(order) == "order":
        return f"sent; the broker calls it {order['broker_order_id']}"
    at = price(order["price"], order["contract"])
    return f"{_side(order)} at {at} rests at the broker as {order['broker_order_id']}"


def _moved(known: Json, order: Json) -> bool:
    if known["price"] is None or order["price"] is None:
        return False
    same_price = Decimal(known["price"]) == Decimal(order["price"])
    return not (same_price and known["quantity"] == order["quantity"])


def _moved_text(known: Json, order: Json) -> str:
    was, now = (price(row["price"], order["contract"]) for row in (known, order))
    return f"moved from {was} to {now}, now for {order['quantity']} instead of {known['quantity']}"


def _refused(order: Json) -> str:
    said = ": ".join(part for part in (order["reason"], order["text"]) if part)
    return f"the broker says no: {said}" if said else "the broker says no"


def _resting(order: Json) -> str:
    return str(order["purpose"]) if order["purpose"] in ("target", "stop") else "order"


def _side(order: Json) -> str:
    return f"{order['action'].lower()} {order['quantity']} {order['contract']}"


def _fills(before: Facts, after: Facts) -> Iterator[_Told]:
    for key, fill in after.fills.items():
        if key in before.fills:
            continue
        order = after.orders.get(fill["order_id"] or "")
        at = moment(fill["filled_at"])
        at = at if order is None else max(at, moment(order["created_at"]))
        done = "bought" if fill["action"] == "Buy" else "sold"
        whose = " by the target" if order is not None and order["purpose"] == "target" else ""
        text = f"{done} {fill['quantity']} {fill['contract']} at {price(fill['price'], fill['contract'])}{whose}"
        yield _Told(at, 4, Line("fill", text))


def _trades(before: Facts, after: Facts) -> Iterator[_Told]:
    for key, trade in after.trades.items():
        known = before.trades.get(key)
        if trade["status"] != "closed" or (known is not None and known["status"] == "closed"):
            continue
        at = _or_last(trade["closed_at"])
        yield _Told(at, 6, Line("close", _closed(trade)))
        yield _Told(at, 7, Line("P&L", f"{money(Decimal(trade['pnl']))}, {ticks(Decimal(trade['pnl_ticks']))}"))


def _closed(trade: Json) -> str:
    how = _REASONS.get(trade["exit_reason"], "by the close alert")
    entered, left = (price(trade[name], trade["contract"]) for name in ("entry_price", "exit_price"))
    return f"flat again {how}; {trade['side'].lower()} {trade['quantity']} from {entered} to {left}"


# ── numbers and moments ──────────────────────────────────────────────────────────────────────────────────


def moment(text: str) -> datetime:
    """A time of the engine's."""
    return datetime.fromisoformat(text)


def _or_last(text: str | None) -> datetime:
    return _LAST if text is None else moment(text)


def price(value: Decimal | str | None, contract: str) -> str:
    """As the trade writes it: with the decimals of the contract's tick, and four of an average between two."""
    if value is None:
        return "-"
    exact, root = Decimal(value), ROOTS.get(contract[:-2])
    on_tick = exact if root is None else exact.quantize(root.tick_size)
    return f"{on_tick:f}" if on_tick == exact else f"{exact:.4f}"


def money(amount: Decimal) -> str:
    return f"{'-' if amount < 0 else '+'}${abs(amount):,.2f}"


def ticks(amount: Decimal) -> str:
    shown = f"{amount:+.0f}" if amount == amount.to_integral_value() else f"{amount:+.2f}"
    return f"{shown} tick{'' if abs(amount) == 1 else 's'}"
