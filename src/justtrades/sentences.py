"""What would be done, in plain English: one sentence for an account, made from the orders and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from justtrades.positions.commands import CancelOrder, Liquidate, ModifyOrder, Mutation, PlaceOrder
from justtrades.positions.model import Order, OrderType, Outcome, Purpose
from justtrades.positions.recorder import Mode, Reading, Recorder
from justtrades.rehearse import Rehearsed
from justtrades.store.types import plain as exact

Row = dict[str, Any]


def order_rows(one: Rehearsed) -> list[Row]:
    """Every order, change and cancel it would send, in order."""
    sent = one.played.mutations if one.played is not None else ()
    return [row for mutation in sent for row in _rows(mutation, one)]


def account_sentence(one: Rehearsed) -> str:
    """Who would do what, or why nothing."""
    who = f"{one.account_name}:"
    deeds = [*_deeds(order_rows(one))]
    if not deeds:
        waits = one.outcome is None
        return f"{who} it would wait, because {one.reason}." if waits else f"{who} nothing: {_end(one)}."
    trimmed = "" if one.outcome in (Outcome.FILLED, None) else f" ({_end(one)})"
    return f"{who} {', then '.join(deeds)}{trimmed}."


def alert_sentence(recorder: Recorder, reading: Reading, accounts: int) -> str:
    """What the alert asks, and of whom."""
    what = f"{reading.verb.replace('_', ' ')} {recorder.symbol or reading.ticker or ''}".strip()
    size = f", {plain(reading.quantity)} by the alert" if reading.quantity is not None else ""
    where = ""
    if reading.position is not None:
        after = reading.position.after
        side = "flat" if after == 0 else f"{'long' if after > 0 else 'short'} {plain(abs(after))}"
        where = f", so that the strategy is {side}"
    return f"{recorder.name}: {what}{size}{where}; {_accounts(accounts)}.{_shadow(recorder)}"


# ── leaves ───────────────────────────────────────────────────────────────────────────────────────────────────


def plain(value: Decimal) -> str:
    """Without idle zeros."""
    text = exact(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _accounts(number: int) -> str:
    match number:
        case 0:
            return "no account is routed, so it is recorded and nothing is traded"
        case 1:
            return "1 account"
        case _:
            return f"{number} accounts"


def _shadow(recorder: Recorder) -> str:
    return " The recorder is in shadow mode: nothing is sent." if recorder.mode is Mode.SHADOW else ""


def _end(one: Rehearsed) -> str:
    outcome = one.outcome or Outcome.NEEDS_ATTENTION
    return f"{outcome.replace('_', ' ')}, {one.reason}"


def _rows(mutation: Mutation, one: Rehearsed) -> Iterator[Row]:
    match mutation:
        case PlaceOrder(_, order, other):
            yield _order_row("place", order, one)
            if other is not None:
                yield _order_row("place", other, one)
        case Liquidate(_, order):
            yield _order_row("liquidate", order, one)
        case ModifyOrder():
            order = _of(one, mutation.order_id)
            price = mutation.price if one.price_known else None
            yield {**_order_row("modify", order, one), "quantity": mutation.quantity, "price": price}
        case CancelOrder():
            yield _order_row("cancel", _of(one, mutation.order_id), one)


def _of(one: Rehearsed, order_id: str) -> Order:
    """The order a command names; it stands in the lane as it was before the trade ended, or after."""
    assert one.played is not None
    return next(o for o in one.played.orders if o.id == order_id)


def _order_row(deed: str, order: Order, one: Rehearsed) -> Row:
    known = one.price_known or not order.purpose.rests
    return {
        "deed": deed,
        "contract": one.contract,
        "purpose": order.purpose.value,
        "action": order.action.value,
        "quantity": order.quantity,
        "order_type": order.order_type.value,
        "price": order.price if known else None,
    }


def _deeds(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        yield _deed(row)


def _deed(row: Row) -> str:
    what = f"{row['action'].lower()} {row['quantity']} {row['contract']}"
    match row["deed"], row["purpose"]:
        case "cancel", purpose:
            return f"cancel the {purpose}"
        case "modify", purpose:
            return f"change the {purpose} to {row['quantity']}{_at(row)}"
        case "liquidate", _:
            return f"let the broker close {row['quantity']} {row['contract']}"
        case _, Purpose.ENTRY:
            return f"{what} at market"
        case _, Purpose.CLOSE:
            return f"{what} at market to close"
        case _, purpose:
            return f"rest a {purpose} to {what}{_at(row)}"


def _at(row: Row) -> str:
    if row["price"] is None or row["order_type"] == OrderType.MARKET:
        return ""
    return f" at {plain(Decimal(row['price']))}"
