"""Fills: each one the broker's and counted once; orders, trades and positions are the sums over them (I8).

Some fills cannot be told whose they are: a liquidation whose answer was lost has no id of ours, and of a hand's fill
only a part may have reduced ours. Trades that have to do with them are left out, and those that lost a fill to a bust,
since their exits may stand without their entries.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from justtrades.positions.model import ADOPTED, UNEXPLAINED, Action
from justtrades.selfaudit.rows import Place, Priced, Row, Rows, is_theirs, place

NEAR: Final = Decimal("1e-9")
"""Averages are kept to 28 digits."""
ZERO: Final = Decimal(0)
BY_OTHERS: Final = ("manual", UNEXPLAINED)


def each_is_an_orders(rows: Rows) -> Iterator[str]:
    orders = {order.id: order for order in rows.orders}
    for fill in rows.fills:
        if not fill.broker_fill_id or fill.quantity < 1:
            yield f"fill {fill.broker_fill_id or 'without an id'} of {fill.contract} has {fill.quantity} contracts"
        order = orders.get(fill.order_id)
        if order is None:
            continue
        if (place(order), order.broker_order_id) != (place(fill), fill.broker_order_id):
            yield f"fill {fill.broker_fill_id} of the broker's order {fill.broker_order_id} is counted for {order.id}"
        elif order.purpose != "close" and order.action != fill.action:
            yield f"fill {fill.broker_fill_id} is a {fill.action} and its order {order.id} a {order.action}"


def orders_are_sums(rows: Rows) -> Iterator[str]:
    """But for orders whose fills a person took over, since their close was undone: those count for the act now."""
    taken = {(order.account_id, order.broker_order_id) for order in rows.orders if is_theirs(order)}
    for order in rows.orders:
        fills = rows.fills_of_order.get(order.id, [])
        if any(fill.busted for fill in fills) or (
            not is_theirs(order) and (order.account_id, order.broker_order_id) in taken
        ):
            continue
        made = sum(fill.quantity for fill in fills)
        if made != order.filled_quantity:
            yield f"{order.purpose} {order.id} says {order.filled_quantity} filled, its fills are {made}"
        elif made and not _same(order.average_price, _average(fills)):
            yield f"{order.purpose} {order.id} says {order.average_price}, its fills average {_told(_average(fills))}"


def closed_trades_are_sums(rows: Rows) -> Iterator[str]:
    strangers = {place(fill) for fill in rows.fills if fill.order_id is None}
    for trade in rows.trades:
        fills = rows.fills_of_trade.get(trade.id, [])
        if not fills:
            yield f"trade {trade.id} has no fill"
        elif trade.status == "closed" and trade.exit_reason not in BY_OTHERS and not _unsure(fills):
            yield from _closed(trade, fills, rows.priced.get(place(trade)), place(trade) in strangers)


def _closed(trade: Row, fills: Sequence[Row], priced: Priced | None, beside_strangers: bool) -> Iterator[str]:
    sign = 1 if trade.side == "LONG" else -1
    entries = [fill for fill in fills if _signed(fill) * sign > 0]
    exits = [fill for fill in fills if _signed(fill) * sign < 0]
    net = sum(_signed(fill) for fill in fills)
    if net:
        if not beside_strangers:
            yield f"closed trade {trade.id} is left with {net:+d} by its fills"
        return
    points = -sum((_signed(fill) * fill.price for fill in fills), ZERO)
    made = {
        "quantity": (trade.quantity, Decimal(sum(fill.quantity for fill in entries))),
        "entry price": (trade.entry_price, _average(entries)),
        "exit price": (trade.exit_price, _average(exits)),
    }
    if priced is not None:
        made["gain"] = (trade.pnl, points * priced.point)
        made["gain in ticks"] = (trade.pnl_ticks, points / priced.tick)
    for name, (said, is_) in made.items():
        if not _same(said, is_):
            yield f"trade {trade.id} says {name} {said}, its fills make {_told(is_)}"


def open_trades_are_held(rows: Rows) -> Iterator[str]:
    """The lane, its open trade and the recorder's position say the same, and it is what the trade's fills left.

    A trade whose last contract was closed stays open in its lane until every order of it has settled.
    """
    trades: dict[Place, list[Row]] = defaultdict(list)
    for trade in rows.trades:
        if trade.status == "open":
            trades[place(trade)].append(trade)
    positions = {place(row): row for row in rows.positions}
    for where, lane in rows.lanes.items():
        opened, state = trades.get(where, []), rows.states.get(where)
        settling = state is not None and state.trade is not None
        if len(opened) > 1:
            yield f"{' '.join(where)} has {len(opened)} open trades: {', '.join(sorted(trade.id for trade in opened))}"
        elif not lane.quantity and not settling and (opened or where in positions):
            yield f"{' '.join(where)} is flat, and {'a trade' if opened else 'a position'} is open there"
        elif lane.quantity and settling and not opened:
            yield f"{' '.join(where)}: {lane.quantity:+d} held, and no trade is open"
        elif lane.quantity and opened and _on_its_side(opened[0], lane):
            yield from _opened(opened[0], lane, positions.get(where), rows.fills_of_trade.get(opened[0].id, []))


def open_trades_are_on_their_side(rows: Rows) -> Iterator[str]:
    """For a moment an exit and a hand, or an entry found late, may both fill: then the lane closes what that opened."""
    for trade in rows.trades:
        lane = rows.lanes.get(place(trade)) if trade.status == "open" else None
        if lane is not None and lane.quantity and not _on_its_side(trade, lane):
            yield f"open trade {trade.id} is {trade.side}, its lane holds {lane.quantity:+d}"


def _on_its_side(trade: Row, lane: Row) -> bool:
    return bool((lane.quantity > 0) == (trade.side == "LONG"))


def _opened(trade: Row, lane: Row, position: Row | None, fills: Sequence[Row]) -> Iterator[str]:
    held = trade.quantity if trade.side == "LONG" else -trade.quantity
    if held != lane.quantity:
        yield f"open trade {trade.id} holds {held:+d}, its lane {lane.quantity:+d}"
    if position is None:
        yield f"open trade {trade.id} has no position of its recorder"
    elif (position.trade_id, position.side, position.total_quantity) != (trade.id, trade.side, trade.quantity):
        yield f"open trade {trade.id} holds {held:+d}, its recorder's position says {position.total_quantity}"
    if not fills or _unsure(fills):
        return
    left, cost = _held(fills)
    if left != held:
        yield f"open trade {trade.id} holds {held:+d}, its fills leave {left:+d}"
    elif not _same(trade.entry_price, cost):
        yield f"open trade {trade.id} says entry price {trade.entry_price}, its fills make {_told(cost)}"


def fees_are_sums(rows: Rows) -> Iterator[str]:
    for trade in rows.trades:
        amounts = [f.amount for f in rows.fills_of_trade.get(trade.id, ()) if not f.busted and f.amount is not None]
        total = sum(amounts, ZERO) if amounts else None
        if total != trade.fees:
            yield f"trade {trade.id} says fees {trade.fees}, its fills cost {total}"


# ── leaves ───────────────────────────────────────────────────────────────────────────────────────────────


def _unsure(fills: Sequence[Row]) -> bool:
    """A fill was undone, or one of somebody else took part, perhaps not with all of it."""
    return any(fill.busted or fill.order_id is None for fill in fills)


def _held(fills: Sequence[Row]) -> tuple[int, Decimal | None]:
    """What these fills leave, signed, and at what average: adds move it, reductions do not."""
    held, cost = 0, ZERO
    for fill in sorted(fills, key=_in_time):
        signed, after = _signed(fill), held + _signed(fill)
        if held * signed >= 0:
            cost += fill.price * signed
        elif abs(signed) <= abs(held):
            cost += cost / held * signed
        else:
            cost = fill.price * after
        held = after
    return held, cost / held if held else None


def _in_time(fill: Row) -> tuple[int, str]:
    """The broker's ids rise; what a person took over without a fill stands right behind what was there before."""
    digits = fill.broker_fill_id.removeprefix(ADOPTED)
    return len(digits), digits


def _signed(fill: Row) -> int:
    return int(Action(fill.action).sign * fill.quantity)


def _average(fills: Sequence[Row]) -> Decimal | None:
    quantity = sum(fill.quantity for fill in fills)
    return sum((fill.price * fill.quantity for fill in fills), ZERO) / quantity if quantity else None


def _same(said: Decimal | int | None, made: Decimal | None) -> bool:
    if said is None or made is None:
        return said is None and made is None
    return said == made or abs(said - made) <= NEAR * (1 + abs(made))


def _told(value: Decimal | None) -> str:
    return "none" if value is None else f"{value.normalize():f}"
