"""What the checks look at: the young rows of one snapshot, the old ones they lead to, and nothing else.

Each query walks an index from its new end and has a limit, so a hundred thousand old rows cost nothing. What is open
is read whatever its age. A trade and an order come with all of their fills, or nothing could be said of their sums.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, Final

from sqlalchemy import Column, Connection, Select, bindparam, func, literal_column, select

from justtrades.positions.model import Lane
from justtrades.store import codec, switches
from justtrades.store.fees import OF_FILL
from justtrades.store.ids import floor
from justtrades.store.switches import Kill
from justtrades.store.tables import (
    UNFINISHED,
    audit,
    fill_fees,
    fills,
    journal,
    lanes,
    orders,
    recorded_trades,
    recorder_positions,
    signal_routes,
    signals,
)

# A row of the database, by the names of its columns.
Row = Any
Place = tuple[str, str]
"""Account and contract."""

MOST: Final = 1_000
"""Signals and trades, at most; of orders and fills twice as many."""
EVERY: Final = 10_000_000
"""All of them."""
_CHUNK: Final = 500
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
LIVE: Final = ("sending", "sent", "working")
IMPORTED: Final = "imported"
"""The account of trades that came from an older system: they have no fills here."""


@dataclass(frozen=True, slots=True)
class Priced:
    """A contract's tick in points, and dollars per point."""

    tick: Decimal
    point: Decimal


@dataclass(frozen=True)
class Rows:
    """`now` is the moment they stand for. `trades` are flat to flat, `live` the orders that have no end yet.

    `posted` are requests that the audit has of each order: their moments, by our id of the order.
    """

    now: datetime
    signals: Sequence[Row] = ()
    routes: Sequence[Row] = ()
    orders: Sequence[Row] = ()
    live: Sequence[Row] = ()
    fills: Sequence[Row] = ()
    trades: Sequence[Row] = ()
    positions: Sequence[Row] = ()
    lanes: dict[Place, Row] = field(default_factory=dict)
    states: dict[Place, Lane] = field(default_factory=dict)
    priced: dict[Place, Priced] = field(default_factory=dict)
    posted: dict[str, list[datetime]] = field(default_factory=dict)
    running_since: datetime | None = None
    """Since when an engine runs on them; None: none does."""
    audited_since: datetime | None = None
    """The oldest row that the audit still has."""
    kill: Kill = field(default_factory=Kill)
    set_back: frozenset[str] = frozenset()
    """Entries after which the clock was set back: their moments say nothing beside another."""

    @cached_property
    def fills_of_trade(self) -> dict[str, list[Row]]:
        return _by(self.fills, "trade_id")

    @cached_property
    def fills_of_order(self) -> dict[str, list[Row]]:
        return _by(self.fills, "order_id")

    @cached_property
    def live_at(self) -> dict[Place, list[Row]]:
        found: dict[Place, list[Row]] = defaultdict(list)
        for order in self.live:
            found[place(order)].append(order)
        return found


def place(row: Row) -> Place:
    return row.account_id, row.contract


def is_theirs(order: Row) -> bool:
    """An order that no request of ours made: taken over or given up by a person's word, or found twice. The exits of
    what was taken over are ours."""
    taken = order.verb == "adopt" and order.purpose == "entry"
    return taken or (order.broker_order_id or "").startswith("A") or "/" in order.id


def read(
    connection: Connection,
    now: datetime | None,
    since: datetime | None,
    most: int = MOST,
    running_since: datetime | None = None,
) -> Rows:
    """The rows made since then (None: all there are), `most` of each kind. `now` None: the moment of the newest row."""
    lately = _signals(connection, since, most)
    routes = _routes(connection, lately)
    live = _all(connection, _orders_asked.where(orders.c.status.in_(LIVE)).limit(most))
    ended = _young(connection, _orders_asked, orders.c.ended_at, since, 2 * most)
    made = sorted({order.number: order for order in (*live, *ended)}.values(), key=lambda order: order.number)
    executed = _young(connection, _fills_asked, fills.c.filled_at, since, 2 * most)
    trades = _trades(connection, since, most, executed)
    of_trades = _in(connection, _fills_asked, fills.c.trade_id, [trade.id for trade in trades])
    of_orders = _in(connection, _fills_asked, fills.c.order_id, [order.id for order in made])
    of_lanes = {place(row): row for row in _all(connection, _lanes_asked)}
    states = _states(connection, of_lanes.values(), since)
    kill = switches.get_kill(connection)
    return Rows(
        now=now or _newest_moment(connection, of_lanes.values()) or _NEVER,
        signals=lately,
        routes=routes,
        orders=made,
        live=live,
        fills=sorted({f.number: f for f in (*executed, *of_trades, *of_orders)}.values(), key=lambda f: f.number),
        trades=trades,
        positions=_all(connection, _positions_asked.limit(most)),
        lanes=of_lanes,
        states=states,
        priced={where: Priced(lane.contract.tick_size, lane.contract.point_value) for where, lane in states.items()},
        posted=_posted(connection, made),
        running_since=running_since,
        audited_since=connection.execute(_oldest_audit).scalar_one_or_none(),
        kill=kill,
        set_back=_set_back(connection, made, kill),
    )


# ── questions ────────────────────────────────────────────────────────────────────────────────────────────

_S, _O = signals.c, orders.c
_shown: Final = (_S.id, _S.verb, _S.status, _S.outcome, _S.reason, _S.expires_at)
_order: Final = (_O.number, _O.id, _O.broker_order_id, _O.signal_id, _O.account_id, _O.contract, _O.purpose, _O.leg)
_orders_asked: Final = select(
    *_order, *(_O.action, _O.quantity, _O.price, _O.status, _O.filled_quantity, _O.average_price, _O.created_at),
    *(_S.verb, _S.expires_at),
).select_from(orders.outerjoin(signals, _S.id == _O.signal_id))  # fmt: skip
_fills_asked: Final = select(fills, fill_fees.c.amount).select_from(fills.outerjoin(fill_fees, OF_FILL))
_lanes_asked: Final = select(*[c for c in lanes.columns if c.name != "state_json"])
_positions_asked: Final = select(recorder_positions).where(recorder_positions.c.status == "open")
_oldest_audit: Final = select(audit.c.at).order_by(audit.c.id).limit(1)
_newest_audit: Final = select(audit.c.at).order_by(audit.c.id.desc()).limit(1)
_state: Final = select(lanes.c.state_json).where(
    (lanes.c.account_id == bindparam("b_account")) & (lanes.c.contract == bindparam("b_contract"))
)
_posts: Final = select(audit.c.order_id, audit.c.at).where(
    (audit.c.method == "POST") & (func.lower(audit.c.endpoint).like("/order/place%"))
    | (func.lower(audit.c.endpoint) == "/order/liquidateposition")
)
_decided: Final = (
    select(journal.c.number, journal.c.at)
    .where((journal.c.signal_id == bindparam("b_signal")) & journal.c.commands_json.like(bindparam("b_order")))
    .order_by(journal.c.number)
    .limit(1)
)
_later_yet_earlier: Final = (
    select(journal.c.number)
    .where((journal.c.number > bindparam("b_number")) & (journal.c.at < bindparam("b_at")))
    .limit(1)
)


def _signals(connection: Connection, since: datetime | None, most: int) -> list[Row]:
    query = select(*_shown).order_by(signals.c.id.desc()).limit(most)
    young = _all(connection, query if since is None else query.where(signals.c.id >= floor(since)))
    unfinished = _all(connection, select(*_shown).where(literal_column(UNFINISHED)).limit(most))
    return [*{row.id: row for row in (*young, *unfinished)}.values()]


def _routes(connection: Connection, lately: Sequence[Row]) -> list[Row]:
    return _in(connection, select(signal_routes), signal_routes.c.signal_id, [row.id for row in lately])


def _trades(connection: Connection, since: datetime | None, most: int, executed: Sequence[Row]) -> list[Row]:
    """Those that are open, that a signal opened lately, or that something was filled for lately."""
    asked, t = select(recorded_trades), recorded_trades.c
    found = _all(connection, asked.where(t.status == "open").limit(most))
    signal_ids = asked.order_by(t.signal_id.desc()).limit(most)
    found += _all(connection, signal_ids if since is None else signal_ids.where(t.signal_id >= floor(since)))
    found += _in(connection, asked, t.id, sorted({f.trade_id for f in executed if f.trade_id is not None}))
    return [*{row.id: row for row in found if row.account_id != IMPORTED}.values()]


def _states(connection: Connection, rows: Iterable[Row], since: datetime | None) -> dict[Place, Lane]:
    """Of lanes that something happened on lately, or that hold or doubt something."""
    wanted = [r for r in rows if since is None or r.quantity or r.in_doubt or r.updated_at >= since]
    found = {}
    for row in wanted:
        key = {"b_account": row.account_id, "b_contract": row.contract}
        found[place(row)] = codec.lane_from(connection.execute(_state, key).scalar_one())
    return found


def _posted(connection: Connection, made: Sequence[Row]) -> dict[str, list[datetime]]:
    found: dict[str, list[datetime]] = defaultdict(list)
    for row in _in(connection, _posts, audit.c.order_id, [order.id for order in made]):
        found[row.order_id].append(row.at)
    return found


def _set_back(connection: Connection, made: Sequence[Row], kill: Kill) -> frozenset[str]:
    """Of entries that seem younger than the kill switch: those after whose decision the clock was set back."""
    if not kill.on or kill.since is None:
        return frozenset()
    found = set()
    for order in made:
        if order.purpose != "entry" or order.created_at <= kill.since:
            continue
        decided = connection.execute(_decided, {"b_signal": order.signal_id, "b_order": f'%"{order.id}"%'}).first()
        if (
            decided is None
            or connection.execute(_later_yet_earlier, {"b_number": decided[0], "b_at": decided[1]}).first()
        ):
            found.add(order.id)
    return frozenset(found)


def _newest_moment(connection: Connection, rows: Iterable[Row]) -> datetime | None:
    """Of a database that nobody writes to: when its last row was written."""
    audited = connection.execute(_newest_audit).scalar_one_or_none()
    return max([*(row.updated_at for row in rows), *([audited] if audited else [])], default=None)


# ── leaves ───────────────────────────────────────────────────────────────────────────────────────────────


def _all(connection: Connection, query: Select[Any]) -> list[Row]:
    return [*connection.execute(query).all()]


def _young(
    connection: Connection, query: Select[Any], moment: Column[Any], since: datetime | None, most: int
) -> list[Row]:
    """Those with a moment since then, the newest first; None: all that have one."""
    asked = query.where(moment.is_not(None) if since is None else moment >= since)
    return _all(connection, asked.order_by(moment.desc()).limit(most))


def _in(connection: Connection, query: Select[Any], column: Column[Any], values: Sequence[str]) -> list[Row]:
    found: list[Row] = []
    for start in range(0, len(values), _CHUNK):
        found += _all(connection, query.where(column.in_(values[start : start + _CHUNK])))
    return found


def _by(rows: Iterable[Row], name: str) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if (key := getattr(row, name)) is not None:
            found[key].append(row)
    return found
