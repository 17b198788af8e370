"""`POST /api/v1/import`: recorders and closed trades of the system this replaces, some at a time."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field, StringConstraints
from sqlalchemy import Connection

from justtrades.api.audited import AuditedRoute
from justtrades.api.known import Tokens
from justtrades.api.parts import Parts
from justtrades.api.problems import Problem
from justtrades.api.schemas import DecimalText, Given, Moment, Name, Taken
from justtrades.api.security import PartsOf
from justtrades.positions.model import RecorderId
from justtrades.positions.recorder import Recorder
from justtrades.positions.symbols import UnknownSymbol, parse_symbol
from justtrades.store import moving
from justtrades.store.moving import Brought

router = APIRouter(tags=["recorders"], route_class=AuditedRoute)

OldId = Annotated[str, StringConstraints(pattern=r"^old-[!-~]{1,60}$")]
Money = Annotated[DecimalText, Field(max_digits=40, allow_inf_nan=False)]
Words = Annotated[str, StringConstraints(max_length=500)]


class OldRecorder(Taken):
    id: OldId
    name: Name
    token: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,200}$")] | None
    symbol: Name | None = None
    enabled: bool = True


class OldTrade(Taken):
    id: OldId
    recorder_id: Name
    signal_id: Words = ""
    ticker: Name
    action: Literal["BUY", "SELL"]
    side: Literal["LONG", "SHORT"]
    quantity: Annotated[int, Field(ge=1, le=100_000)]
    entry_price: Money | None = None
    exit_price: Money | None = None
    tp_price: Money | None = None
    sl_price: Money | None = None
    pnl: Money | None = None
    pnl_ticks: Money | None = None
    broker_fill_price: Money | None = None
    exit_reason: Words | None = None
    broker_order_id: Words | None = None
    broker_strategy_id: Words | None = None
    broker_managed_tp_sl: bool = False
    opened_at: Moment
    closed_at: Moment | None = None


class ImportIn(Taken):
    """`write` false: only counts what would be written."""

    recorders: list[OldRecorder] = Field(default_factory=list, max_length=200)
    trades: list[OldTrade] = Field(default_factory=list, max_length=500)
    write: bool = False


class ImportOut(Given):
    """What was, or would be, written; and what is there already."""

    recorders: int
    recorders_there: int
    trades: int
    trades_there: int


@router.post("/import")
async def import_old(request: Request, parts: PartsOf, body: ImportIn) -> ImportOut:
    """Takes recorders with their webhook tokens, and closed trades as history; nothing is written twice."""
    found = [(_recorder(parts, one), one.token) for one in body.recorders]
    trades, at = [_trade(one) for one in body.trades], parts.clock()

    def work(connection: Connection) -> Brought:
        return moving.bring(connection, parts.box, found, trades, at, write=body.write)

    brought = await (parts.database.write(work) if body.write else parts.database.read(work))
    tokens: Tokens = request.app.state.tokens
    await tokens.refresh(parts)
    return ImportOut.model_validate(brought)


def _recorder(parts: Parts, one: OldRecorder) -> Recorder:
    """Without an account: it records what comes and trades nothing until somebody says where."""
    try:
        if one.symbol is not None:
            parse_symbol(one.symbol, parts.clock().date())
    except UnknownSymbol as error:
        raise Problem(422, f"symbol: {error}") from None
    return Recorder(RecorderId(one.id), one.name, symbol=one.symbol, enabled=one.enabled)


def _trade(one: OldTrade) -> dict[str, Any]:
    values = {name: getattr(one, name) for name in OldTrade.model_fields}  # a dump would write numbers as text
    return {**values, "account_id": "imported", "contract": one.ticker, "status": "closed", "fees": None}
