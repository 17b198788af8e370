"""A lane's step, saved in one go: the difference between the lane before and after, and what it told.

Rows are upserted and outcomes written where there is none, so saving the same step twice (after a commit whose
answer was lost) changes nothing. What a lane forgets when a trade is over stays in the tables.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, assert_never

from sqlalchemy import ColumnElement, Connection, Select, bindparam, case, func, select

from justtrades.positions import book
from justtrades.positions.commands import Command
from justtrades.positions.events import Event
from justtrades.positions.model import (
    AccountId,
    BrokerOrderId,
    ContractName,
    Fill,
    FillId,
    Lane,
    LetGo,
    Noted,
    Order,
    SignalDone,
    SignalId,
    Status,
    TradeClosed,
    TradeId,
)
from justtrades.store import audit, busts, codec, fees, outcomes, rows, watch
from justtrades.store.dialects import Insert, Upsert, insert_or_ignore, insert_or_update
from justtrades.store.outcomes import Finished
from justtrades.store.rows import Row
from justtrades.store.subject import subject
from justtrades.store.tables import (
    fills,
    journal,
    lanes,
    orders,
    recorded_trades,
    recorder_positions,
    signals,
)

KNOWN_MOST: Final = 200_000
"""Ids read at a start, over all lanes: far above what request budgets let happen in a few days."""

LaneKey = tuple[AccountId, ContractName]


@dataclass(frozen=True, slots=True)
class JournalRow:
    """What happened and what was decided. An event with a `key` has one row, however often it comes."""

    event: Event
    commands: tuple[Command, ...] = ()
    key: str | None = None
    signal_id: SignalId | None = None
    """None: found out from the event and the commands."""
    at: datetime | None = None
    """When the step was made; None: when it is saved."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What a step brought to an end, for those who watch."""

    finished: tuple[Finished, ...] = ()


@dataclass(frozen=True, slots=True)
class Unprotected:
    """The longest stretch without an exit that a lane knew of, and the trade date it counts for."""

    account_id: AccountId
    contract: ContractName
    day: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Known:
    """The broker's ids that are old news on a lane, the latest last."""

    orders: list[BrokerOrderId] = field(default_factory=list)
    fills: list[FillId] = field(default_factory=list)


def _update_lane(insert: Insert) -> Insert:
    new, old = insert.excluded, lanes.c
    longer_today = (old.unprotected_day == new.unprotected_day) & (
        old.unprotected_seconds_max > new.unprotected_seconds_max
    )
    values: dict[str, ColumnElement[Any]] = {
        column.name: new[column.name] for column in lanes.columns if column.name not in ("account_id", "contract")
    }
    values["unprotected_seconds_max"] = case(
        (longer_today, old.unprotected_seconds_max), else_=new.unprotected_seconds_max
    )
    return insert.on_conflict_do_update(index_elements=["account_id", "contract"], set_=values)


def _update_trade(insert: Insert) -> Insert:
    """`ticker` stands once written; `fees` are summed up apart (see `fees`)."""
    kept = {"id", "number", "ticker", "fees"}
    values = {c.name: insert.excluded[c.name] for c in recorded_trades.columns if c.name not in kept}
    return _with_ticker(insert).on_conflict_do_update(index_elements=["id"], set_=values)


def _update_position(insert: Insert) -> Insert:
    key = ["recorder_id", "account_id", "contract"]
    values = {c.name: insert.excluded[c.name] for c in recorder_positions.columns if c.name not in ("id", *key)}
    return _with_ticker(insert).on_conflict_do_update(index_elements=key, set_=values)


def _with_ticker(insert: Insert) -> Insert:
    """The ticker that the signal named, such as `MNQ1!`; a lane only knows its contract."""
    named = select(signals.c.ticker).where(signals.c.id == bindparam("b_signal")).scalar_subquery()
    return insert.values(ticker=func.coalesce(named, bindparam("b_contract")))


_write_lane: Final = Upsert(lanes, _update_lane)
_write_orders_filled: Final = insert_or_update(orders, ["id"], keep=["created_at"])
_write_orders: Final = insert_or_update(
    orders, ["id"], keep=["created_at", "trade_id", "filled_quantity", "average_price"]
)
_write_fills: Final = insert_or_update(fills, ["account_id", "broker_fill_id"], keep=["busted"])
_write_trade: Final = Upsert(recorded_trades, _update_trade)
_undo_trade: Final = recorded_trades.delete().where(recorded_trades.c.id == bindparam("b_trade"))
_undo_position: Final = (
    recorder_positions.update()
    .where(recorder_positions.c.trade_id == bindparam("b_trade"))
    .values(status="closed", total_quantity=0)
)
_write_position: Final = Upsert(recorder_positions, _update_position)
_write_journal: Final = insert_or_ignore(journal)
_write_busts: Final = (
    fills.update()
    .where((fills.c.account_id == bindparam("b_account")) & (fills.c.broker_fill_id == bindparam("b_fill")))
    .values(busted=True)
)


def save_step(
    connection: Connection,
    before: Lane | None,
    after: Lane,
    *,
    at: datetime,
    journal: Iterable[JournalRow] = (),
    requests: Iterable[audit.Exchanged] = (),
    connection_id: str | None = None,
) -> Saved:
    """One step, or several in a row whose news are gathered in `after`: lane, orders, fills, trade, outcomes,
    journal, and the audit rows of what is sent next.

    `before` is the lane as it was last saved (None: never). `connection_id`: the login of the `requests`.
    """
    whole = _with_what_left(after)
    if before is not after:
        first = Lane(after.account_id, after.contract, after.tag)
        _save_difference(connection, before or first, after, whole, at)
    for entry in journal:
        _save_journal(connection, whole, entry, at)
    audit.insert(connection, requests, connection_id)
    return Saved(_tell_news(connection, after, at))


def load_lanes(connection: Connection) -> list[Lane]:
    return [codec.lane_from(text) for text in connection.execute(select(lanes.c.state_json)).scalars()]


def unprotected(connection: Connection) -> list[Unprotected]:
    kept = select(lanes.c.account_id, lanes.c.contract, lanes.c.unprotected_day, lanes.c.unprotected_seconds_max)
    return [Unprotected(*row) for row in connection.execute(kept.where(lanes.c.unprotected_day.is_not(None)))]


def known_ids(connection: Connection, since: datetime, most: int = KNOWN_MOST) -> dict[LaneKey, Known]:
    """Broker ids of each lane's orders and fills since a moment, the latest last, those of finished trades included.

    One walk along an index by time, so a start takes as long with a million old rows as with none.
    """
    ended, executed = orders.c.ended_at, fills.c.filled_at
    id_of, fill_of = orders.c.broker_order_id, fills.c.broker_fill_id
    # An order without an end either stands in its lane or was let go of as it was: few, and told as well.
    live = select(orders.c.account_id, orders.c.contract, id_of).where(ended.is_(None) & id_of.is_not(None))
    late = select(orders.c.account_id, orders.c.contract, id_of).where((ended >= since) & id_of.is_not(None))
    done = select(fills.c.account_id, fills.c.contract, fill_of).where(executed >= since)
    found: dict[LaneKey, Known] = {}
    for query in (late.order_by(ended.desc()), live):
        for account_id, contract, order_id in _oldest_first(connection, query, most):
            found.setdefault((account_id, contract), Known()).orders.append(order_id)
    for account_id, contract, fill_id in _oldest_first(connection, done.order_by(executed.desc()), most):
        found.setdefault((account_id, contract), Known()).fills.append(fill_id)
    return found


def _oldest_first(connection: Connection, newest_first: Select[Any], most: int) -> Iterable[Any]:
    return reversed(connection.execute(newest_first.limit(most)).all())


# ── the difference ───────────────────────────────────────────────────────────────────────────────────────


def _save_difference(connection: Connection, before: Lane, after: Lane, whole: Lane, at: datetime) -> None:
    seconds = (at - before.unprotected_since).total_seconds() if before.unprotected_since else 0.0
    values = rows.lane_row(after, codec.lane_text(after), at, max(seconds, 0.0))
    _write_lane.run(connection, values)
    _save_jobs(connection, before, after)
    moved = {told.trade.id for told in after.news if isinstance(told, TradeClosed)}
    left = _left_by_fills(connection, before, whole)
    if before.orders is not whole.orders or before.fills is not whole.fills:
        trade_of = _TradeOf(after)
        moved |= _save_fills(connection, before, after, whole, trade_of)
        _save_orders(connection, before, whole, trade_of, at)
    busted = _save_busts(connection, before, after)
    moved |= busted | left
    _save_trades(connection, before, after, at)
    busts.recount(connection, busted | left, after.contract, at)
    fees.sum_up(connection, moved)


def _with_what_left(after: Lane) -> Lane:
    """The lane with the orders and fills it let go of, as they were last known."""
    left = [told for told in after.news if isinstance(told, LetGo)]
    if not left:
        return after
    orders = {order.id: order for told in left for order in told.orders}
    fills = {fill.id: fill for told in left for fill in told.fills}
    orders |= {order.id: order for order in after.orders}
    fills |= {fill.id: fill for fill in after.fills}
    return replace(after, orders=tuple(orders.values()), fills=tuple(fills.values()))


class _TradeOf:
    """Which trade an order or fill belongs to: the one it left the lane with, else the open one."""

    def __init__(self, lane: Lane) -> None:
        self._open = lane.trade.id if lane.trade else None
        self._left: dict[str, TradeId | None] = {}
        for told in lane.news:
            if isinstance(told, LetGo):
                self._left |= {order.id: told.trade_id for order in told.orders}
                self._left |= {fill.id: told.trade_id for fill in told.fills}

    def __getitem__(self, member: Order | Fill) -> TradeId | None:
        return self._left.get(member.id, self._open)


def _save_jobs(connection: Connection, before: Lane, after: Lane) -> None:
    known = {job.signal.id for job in before.jobs}
    for job in after.jobs:
        if job.signal.id not in known:
            outcomes.begin_route(connection, job.signal.id, after.account_id, after.contract.name)


def _save_orders(connection: Connection, before: Lane, after: Lane, trade_of: _TradeOf, at: datetime) -> None:
    """An order that outlives its fills here keeps what its row says of them."""
    known = {order.id: order for order in before.orders}
    touched = _fills_changed(before, after)
    filled, others = [], []
    for order in after.orders:
        if order.broker_id in touched:
            filled.append(rows.order_row(after, order, trade_of[order], at))
        elif known.get(order.id) != order:
            others.append(rows.order_row(after, order, trade_of[order], at))
    _write_orders_filled.run_all(connection, filled)
    _write_orders.run_all(connection, others)


def _fills_changed(before: Lane, after: Lane) -> set[BrokerOrderId]:
    """Broker ids of orders that gained a fill, lost one to a bust, or were just found to own one."""
    old = {fill.id for fill in before.fills}
    gained = {fill.broker_order_id for fill in after.fills if fill.id not in old}
    lost = {fill.broker_order_id for fill in before.fills if fill.id in after.busted}
    bound = {order.broker_id for order in before.orders}
    found = {o.broker_id for o in after.orders if o.broker_id is not None and o.broker_id not in bound}
    return gained | lost | found


def _save_fills(connection: Connection, before: Lane, after: Lane, whole: Lane, trade_of: _TradeOf) -> set[TradeId]:
    """New fills, and old ones that are known to have moved a trade since; returns the trades they belong to."""
    owners, owned = _owners(whole), _owners(before)
    old, moves = {fill.id for fill in before.fills}, _moves_trade(after)
    moved_before = _moves_trade(before)
    news = [
        rows.fill_row(
            whole,
            fill,
            owners.get(fill.broker_order_id),
            trade_of[fill] if fill.id in moves or fill.broker_order_id in owners else None,
        )
        for fill in whole.fills
        if fill.id not in old
        or (fill.broker_order_id in owners and fill.broker_order_id not in owned)
        or (fill.id in moves and fill.id not in moved_before)
    ]
    _write_fills.run_all(connection, news)
    return {row["trade_id"] for row in news if row["trade_id"] is not None}


def _left_by_fills(connection: Connection, before: Lane, after: Lane) -> set[TradeId]:
    """Finished trades whose fills a person takes over, because their exits were undone: what is left of them counts.

    Only what is taken over comes into a lane as an order that is filled already.
    """
    if before.orders is after.orders:
        return set()
    known = {order.id for order in before.orders}
    taken = {o.broker_id for o in after.orders if o.id not in known and o.status is Status.FILLED}
    fill_ids = [fill.id for fill in after.fills if fill.broker_order_id in taken] if taken else []
    return fees.trades_of(connection, after.account_id, fill_ids) if fill_ids else set()


def _moves_trade(lane: Lane) -> set[FillId]:
    """Fills that moved what we hold, or held until this step: ours, and others' that reduced ours."""
    closed = (fill for told in lane.news if isinstance(told, TradeClosed) for fill in told.fills)
    return {part.fill.id for part in book.standing(lane).parts} | {fill.id for fill in closed}


def _owners(lane: Lane) -> dict[BrokerOrderId, Order]:
    return {order.broker_id: order for order in lane.orders if order.broker_id is not None}


def _save_busts(connection: Connection, before: Lane, after: Lane) -> set[TradeId]:
    """Returns the trades that lost a fill."""
    busted = [fill_id for fill_id in after.busted if fill_id not in before.busted]
    if not busted:
        return set()
    marks = [{"b_account": after.account_id, "b_fill": fill_id} for fill_id in busted]
    connection.execute(_write_busts, marks)
    return fees.trades_of(connection, after.account_id, busted)


# ── trades ───────────────────────────────────────────────────────────────────────────────────────────────


def _save_trades(connection: Connection, before: Lane, after: Lane, at: datetime) -> None:
    for closed in (told for told in after.news if isinstance(told, TradeClosed)):
        _close_trade(connection, after, closed, at)
    if before.trade is after.trade and before.orders is after.orders and before.fills is after.fills:
        return
    row = rows.open_trade_row(after)
    if row is not None and row != rows.open_trade_row(before):
        _save_trade(connection, row, at)


def _close_trade(connection: Connection, lane: Lane, closed: TradeClosed, at: datetime) -> None:
    row = rows.closed_trade_row(lane, closed)
    if closed.fills:
        _save_trade(connection, row, at)
        return
    # Every fill of it was busted: it never was a trade. The fills' rows and the journal tell the story.
    connection.execute(_undo_trade, {"b_trade": closed.trade.id})
    connection.execute(_undo_position, {"b_trade": closed.trade.id, "closed_at": at, "updated_at": at})


def _save_trade(connection: Connection, row: Row, at: datetime) -> None:
    names = {"b_signal": row["signal_id"], "b_contract": row["contract"]}
    _write_trade.run(connection, {**row, **names})
    _write_position.run(connection, {**rows.position_row(row, at), **names})


# ── journal and news ─────────────────────────────────────────────────────────────────────────────────────


def _save_journal(connection: Connection, lane: Lane, entry: JournalRow, at: datetime) -> None:
    """A key that was seen before is dropped, not the row: what the step decided must be told all the same."""
    row = {
        "account_id": lane.account_id,
        "contract": lane.contract.name,
        "at": entry.at or at,
        "key": entry.key,
        "event_json": codec.event_text(entry.event),
        "commands_json": codec.commands_text(entry.commands),
        "signal_id": entry.signal_id or subject(lane, entry.event, entry.commands),
    }
    written = _write_journal.run(connection, row)
    if not written and entry.commands:
        _write_journal.run(connection, {**row, "key": None})


def _tell_news(connection: Connection, lane: Lane, at: datetime) -> tuple[Finished, ...]:
    where = (lane.account_id, lane.contract.name)
    finished: list[Finished] = []
    for told in lane.news:
        match told:
            case SignalDone(signal_id, outcome, reason, notes, gap):
                if gap is not None:
                    watch.keep_gap(connection, signal_id, gap, at)
                outcomes.note(connection, signal_id, *where, at, notes)
                ended = outcomes.finish_route(connection, signal_id, *where, outcome, reason, at)
                finished += [ended] if ended else []
            case Noted(signal_id, text, alarm):
                if signal_id is not None:
                    outcomes.note(connection, signal_id, *where, at, [text], alarm=alarm)
            case TradeClosed() | LetGo():
                pass  # saved with the difference
            case _:
                assert_never(told)
    return tuple(finished)
