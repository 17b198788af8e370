"""`/api/v1`: what is and what happened, read only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from sqlalchemy import Connection

from justtrades.api.audited import AuditedRoute
from justtrades.api.lists import USUAL, Cursor, Filter, Id, Limit, cut, page
from justtrades.api.problems import Problem, not_found
from justtrades.api.receipts import ReceiptOut, receipt
from justtrades.api.records import AuditOut, FillOut, LaneOut, OrderOut, PositionOut, SignalOut, TradeOut
from justtrades.api.schemas import Page
from justtrades.api.security import PartsOf
from justtrades.api.views import by_key, lanes, position
from justtrades.store import reads

router = APIRouter(tags=["history"], route_class=AuditedRoute)

SignalStatus = Annotated[Literal["accepted", "working", "done", "refused"] | None, Query()]
TradeStatus = Annotated[Literal["open", "closed"] | None, Query()]


@router.get("/signals")
async def list_signals(
    parts: PartsOf,
    status: SignalStatus = None,
    recorder_id: Filter = None,
    limit: Limit = USUAL,
    before: Cursor = None,
) -> Page[SignalOut]:
    """Alerts and acts of people. Refused alerts are among them with `status=refused`."""
    found = await parts.database.read(
        lambda c: reads.list_signals(c, limit=limit, before=before, status=status, recorder_id=recorder_id)
    )
    return Page[SignalOut].model_validate(page(found))


@router.get("/signals/{signal_id}")
async def show_signal(parts: PartsOf, signal_id: Id) -> ReceiptOut:
    """One signal's receipt: how it was read and everything that came of it, in order."""
    found = await parts.database.read(lambda c: reads.get_receipt(c, signal_id))
    if found is None:
        raise not_found("signal")
    stored = await parts.database.read(lambda c: reads.list_lanes(c, parts.clock()))
    return receipt(found, lanes(stored, by_key(parts.desk.lanes())))


@router.get("/lanes")
async def list_lanes(
    parts: PartsOf, account_id: Filter = None, limit: Limit = USUAL, before: Cursor = None
) -> Page[LaneOut]:
    """One row per account and contract that was ever traded."""
    now = parts.clock()
    stored = await parts.database.read(lambda c: reads.list_lanes(c, now, account_id=account_id))
    running = by_key(view for view in parts.desk.lanes() if account_id in (None, view.account_id))
    found = cut(lanes(stored, running), lambda row: f"{row['account_id']}:{row['contract']}", limit, before)
    return Page[LaneOut].model_validate(found)


@router.get("/positions")
async def list_positions(
    parts: PartsOf,
    account_id: Filter = None,
    recorder_id: Filter = None,
    limit: Limit = USUAL,
    before: Cursor = None,
) -> Page[PositionOut]:
    """Open positions with the exits that protect them."""
    stored = await parts.database.read(
        lambda c: reads.list_positions(c, account_id=account_id, recorder_id=recorder_id)
    )
    running = by_key(parts.desk.lanes())
    rows = [position(row, running.get((row["account_id"], row["contract"]))) for row in stored]
    return Page[PositionOut].model_validate(cut(rows, lambda row: str(row["trade_id"]), limit, before))


@router.get("/trades")
async def list_trades(
    parts: PartsOf,
    status: TradeStatus = None,
    recorder_id: Filter = None,
    account_id: Filter = None,
    contract: Filter = None,
    limit: Limit = USUAL,
    before: Cursor = None,
) -> Page[TradeOut]:
    """Flat to flat. `pnl` is price difference × quantity × point value; fees stand beside it."""

    def work(connection: Connection) -> reads.Page:
        return reads.list_trades(
            connection,
            limit=limit,
            before=before,
            status=status,
            recorder_id=recorder_id,
            account_id=account_id,
            contract=contract,
        )

    return Page[TradeOut].model_validate(page(await _numbered(parts, work)))


@router.get("/orders")
async def list_orders(
    parts: PartsOf,
    status: Filter = None,
    signal_id: Filter = None,
    account_id: Filter = None,
    contract: Filter = None,
    limit: Limit = USUAL,
    before: Cursor = None,
) -> Page[OrderOut]:
    """Every order of ours; `id` is the client order id."""

    def work(connection: Connection) -> reads.Page:
        return reads.list_orders(
            connection,
            limit=limit,
            before=before,
            status=status,
            signal_id=signal_id,
            account_id=account_id,
            contract=contract,
        )

    return Page[OrderOut].model_validate(page(await _numbered(parts, work)))


@router.get("/fills")
async def list_fills(
    parts: PartsOf,
    order_id: Filter = None,
    account_id: Filter = None,
    contract: Filter = None,
    limit: Limit = USUAL,
    before: Cursor = None,
) -> Page[FillOut]:
    """Every execution on lanes of ours; `order_id` is empty for one that is not ours."""

    def work(connection: Connection) -> reads.Page:
        return reads.list_fills(
            connection, limit=limit, before=before, order_id=order_id, account_id=account_id, contract=contract
        )

    return Page[FillOut].model_validate(page(await _numbered(parts, work)))


@router.get("/audit")
async def list_audit(
    parts: PartsOf,
    connection_id: Filter = None,
    signal_id: Filter = None,
    order_id: Filter = None,
    limit: Limit = USUAL,
    before: Cursor = None,
) -> Page[AuditOut]:
    """Every call to a broker and its answer, every event received, every act of a person; redacted."""

    def work(connection: Connection) -> reads.Page:
        return reads.list_audit(
            connection, limit=limit, before=before, connection_id=connection_id, signal_id=signal_id, order_id=order_id
        )

    return Page[AuditOut].model_validate(page(await parts.database.read(work)))


async def _numbered(parts: PartsOf, work: Callable[[Connection], reads.Page]) -> reads.Page:
    """A list whose cursor is a number: a cursor of another list is the caller's mistake."""
    try:
        return await parts.database.read(work)
    except reads.BadCursor as error:
        raise Problem(422, f"before: {error}") from None
