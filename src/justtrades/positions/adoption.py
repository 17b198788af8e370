"""A person's word on contracts that are not ours: taken over for a recorder, or given up where books exceed the broker.

What is taken over becomes an entry like any other, so target and stop follow from it by themselves. The fills that
made it are used where the broker still shows them and they make exactly that quantity; their orders then count as
ours. Contracts from an earlier session have no fill any more: they come in at the broker's own average, under an
order and fill whose ids begin with `A`, so that nobody takes them for the broker's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from justtrades.positions import book
from justtrades.positions.changes import client_id, put, tell
from justtrades.positions.model import (
    ADOPTED,
    Action,
    BrokerOrderId,
    ClientOrderId,
    Fill,
    FillId,
    Lane,
    Noted,
    Order,
    OrderType,
    Outcome,
    Purpose,
    RecorderId,
    SignalDone,
    SignalId,
    Status,
    Terms,
)
from justtrades.positions.values import replace


@dataclass(frozen=True, slots=True)
class Adoption:
    """What a person takes over: signed contracts for a recorder, and what the broker shows of the contract.

    `average` is the broker's price of all it holds there, in points; None when it says none. `signal_id` is the
    person's act, which gets its outcome from here.
    """

    signal_id: SignalId
    recorder_id: RecorderId
    terms: Terms
    quantity: int
    fills: tuple[Fill, ...] = ()
    average: Decimal | None = None


def adopt(lane: Lane, adoption: Adoption, now: datetime) -> Lane:
    """The lane with the foreign contracts as its own. The act ends `filled`, or `blocked` with the reason."""
    refused = _why_not(lane, adoption)
    if refused is not None:
        return tell(lane, SignalDone(adoption.signal_id, Outcome.BLOCKED, refused))
    made_by = _fills_of(lane, adoption)
    if made_by is not None:
        lane = _with_fills(lane, adoption, made_by, now)
    else:
        price = _price_of(lane, adoption)
        if price is None:
            text = "no fill and no average of the broker says what these contracts cost"
            return tell(lane, SignalDone(adoption.signal_id, Outcome.BLOCKED, text))
        lane = _at_average(lane, adoption, price, now)
    text = f"took over {adoption.quantity:+d} {lane.contract.name}; now {book.held(lane):+d} held"
    return tell(replace(lane, left=0), SignalDone(adoption.signal_id, Outcome.FILLED, text))


def _why_not(lane: Lane, adoption: Adoption) -> str | None:
    standing = book.standing(lane)
    if standing.foreign != adoption.quantity or not adoption.quantity:
        return f"{standing.foreign:+d} contracts are not ours now, and {adoption.quantity:+d} were to be taken over"
    if standing.held * standing.foreign < 0:
        return "the broker holds less than the books: there is nothing to take over"
    if lane.trade is not None and lane.trade.recorder_id != adoption.recorder_id:
        return f"lane in use by recorder {lane.trade.recorder_id}"
    return None


def _fills_of(lane: Lane, adoption: Adoption) -> tuple[Fill, ...] | None:
    """The newest foreign fills that make exactly the quantity, all on its side; None when there are none such."""
    ours = {o.broker_id for o in lane.orders if o.broker_id is not None}
    used = {part.fill.id for part in book.standing(lane).parts}
    known = {f.id: f for f in (*adoption.fills, *lane.fills)}
    found: list[Fill] = []
    missing = adoption.quantity
    for fill in sorted(known.values(), key=lambda f: f.order_key, reverse=True):
        if fill.broker_order_id in ours or fill.id in lane.busted:
            continue
        if fill.id in used or fill.signed * missing <= 0 or abs(fill.signed) > abs(missing):
            return None
        found.append(fill)
        missing -= fill.signed
        if missing == 0:
            return tuple(reversed(found))
    return None


def _with_fills(lane: Lane, adoption: Adoption, fills: tuple[Fill, ...], now: datetime) -> Lane:
    """Their orders become entries of ours, and what they made is no foreign quantity any more."""
    here = {f.id for f in lane.fills}
    unexplained = sum(f.signed for f in fills if f.id not in here)
    lane = replace(
        lane, foreign=lane.foreign - unexplained, fills=(*lane.fills, *(f for f in fills if f.id not in here))
    )
    for broker_id in dict.fromkeys(f.broker_order_id for f in fills):
        lane = _take(lane, adoption, broker_id, [f for f in fills if f.broker_order_id == broker_id], now)
    return lane


def _price_of(lane: Lane, adoption: Adoption) -> Decimal | None:
    """The broker's average is that of all it holds: ours is taken out of it."""
    held, ours = book.held(lane), book.average_price(lane)
    if adoption.average is None or ours is None:
        return adoption.average
    price = (adoption.average * (held + adoption.quantity) - ours * held) / adoption.quantity
    return price if price > 0 else adoption.average


def _at_average(lane: Lane, adoption: Adoption, price: Decimal, now: datetime) -> Lane:
    fill = _made_up(lane, adoption.quantity, price, now, adoption.fills)
    lane = replace(lane, foreign=lane.foreign - adoption.quantity, fills=(*lane.fills, fill))
    return _take(lane, adoption, fill.broker_order_id, [fill], now)


def _made_up(lane: Lane, signed: int, price: Decimal, now: datetime, seen: Iterable[Fill] = ()) -> Fill:
    """Stands behind everything that is known of this contract, and before whatever comes."""
    last = max((f.order_key[1] for f in (*seen, *lane.fills)), key=lambda digits: (len(digits), digits), default="0")
    name = f"{ADOPTED}{last}"
    return Fill(FillId(name), BrokerOrderId(name), Action.of(signed), abs(signed), price, now)


def _take(lane: Lane, adoption: Adoption, broker_id: BrokerOrderId, fills: list[Fill], now: datetime) -> Lane:
    quantity = sum(f.quantity for f in fills)
    order = _ended(lane, Purpose.ENTRY, fills[0].action, quantity, broker_id, now)
    order = replace(order, signal_id=adoption.signal_id, recorder_id=adoption.recorder_id, terms=adoption.terms)
    return put(replace(lane, serial=lane.serial + 1), order)


def _ended(
    lane: Lane, purpose: Purpose, action: Action, quantity: int, broker_id: BrokerOrderId, now: datetime
) -> Order:
    return Order(
        id=ClientOrderId(client_id(lane)),
        purpose=purpose,
        action=action,
        quantity=quantity,
        order_type=OrderType.MARKET,
        sent_at=now,
        status=Status.FILLED,
        broker_id=broker_id,
        claimed=quantity,
        ended_at=now,
    )


def give_up(lane: Lane, contracts: int, now: datetime) -> Lane:
    """The broker holds less than our books and no fill tells why: so many signed contracts leave at their average.

    What they were really closed at nobody knows, so they count as neither gain nor loss, and a note says so.
    """
    average = book.average_price(lane)
    if average is None or not contracts:
        return lane
    fill = _made_up(lane, -contracts, average, now)
    order = _ended(lane, Purpose.CLOSE, fill.action, fill.quantity, fill.broker_order_id, now)
    lane = replace(lane, foreign=lane.foreign + contracts, fills=(*lane.fills, fill), serial=lane.serial + 1)
    text = f"the books follow the broker: {contracts:+d} {lane.contract.name} left without a fill, counted as no gain"
    return tell(put(lane, order), Noted(lane.trade.signal_id if lane.trade else None, text, alarm=True))


__all__ = ["Adoption", "adopt", "give_up"]
