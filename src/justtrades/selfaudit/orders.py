"""Orders: one entry an intent (I3), prices on the tick (I5), and the audit has each request before it (I16)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime

from justtrades.selfaudit.rows import Place, Row, Rows, is_theirs, place


def one_entry_a_signal(rows: Rows) -> Iterator[str]:
    """At one account and contract. One that the broker shows twice has been told as that."""
    made: dict[tuple[str, Place], list[Row]] = defaultdict(list)
    for order in rows.orders:
        if order.purpose == "entry" and order.signal_id and order.broker_order_id and not is_theirs(order):
            made[order.signal_id, place(order)].append(order)
    for (signal_id, (account_id, contract)), entries in made.items():
        if len(entries) > 1:
            ids = " and ".join(sorted(order.id for order in entries))
            yield f"signal {signal_id} made {len(entries)} entries at {account_id} {contract}: {ids}"


def one_order_a_broker_id(rows: Rows) -> Iterator[str]:
    known: dict[tuple[str, str], str] = {}
    for order in rows.orders:
        if order.broker_order_id is None or is_theirs(order):
            continue
        first = known.setdefault((order.account_id, order.broker_order_id), order.id)
        if first != order.id:
            yield f"orders {order.id} and {first} are the same order {order.broker_order_id} of {order.account_id}"


def exits_are_on_the_tick(rows: Rows) -> Iterator[str]:
    for order in rows.orders:
        priced = rows.priced.get(place(order))
        if order.purpose not in ("target", "stop") or priced is None or order.price is None:
            continue
        if order.price % priced.tick:
            yield f"{order.purpose} {order.id} of {order.contract} is at {order.price}, off the tick {priced.tick}"


def lanes_know_their_orders(rows: Rows) -> Iterator[str]:
    """An order without an end stands in its lane, with the same word for it."""
    for order in rows.live:
        state = rows.states.get(place(order))
        if state is None:
            continue
        known = next((o for o in state.orders if o.id == order.id), None)
        if known is None or known.status.name.lower() != order.status:
            word = "does not know it" if known is None else f"says {known.status.name.lower()}"
            yield f"{order.purpose} {order.id} is {order.status}, and the lane of {order.contract} {word}"


def each_has_its_audit_row(rows: Rows) -> Iterator[str]:
    """Of what the broker took. A pair goes in one request, which stands under the id of its first order."""
    since = rows.audited_since
    pairs = {_pair(order) for order in rows.orders if order.id in rows.posted}
    for order in rows.orders:
        if order.broker_order_id is None or is_theirs(order) or since is None or order.created_at <= since:
            continue
        if order.id not in rows.posted and (order.purpose == "entry" or _pair(order) not in pairs):
            yield f"{order.purpose} {order.id} of {order.contract} is at the broker without a request in the audit"


def _pair(order: Row) -> tuple[Place, datetime, int, bool]:
    return place(order), order.created_at, order.leg, order.purpose in ("target", "stop")
