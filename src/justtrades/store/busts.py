"""A fill undone after its trade was closed: the trade's row is counted again from the fills that are left.

The exchange may bust a fill at any time (protocol.md section 6: `active` false). The lane has let the trade go by
then, so the numbers come from the fills' own rows. Where entries and exits no longer come to the same, the gain is
that of the contracts that were both bought and sold; the rest stands at the broker and is shown as not ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select

from justtrades.positions.model import Contract, TradeId
from justtrades.store.tables import fills, recorded_trades, recorder_positions

_T, _F = recorded_trades.c, fills.c
_closed: Final = select(_T.id, _T.side).where((_T.id == bindparam("b_trade")) & (_T.status == "closed"))
_left: Final = select(_F.action, _F.quantity, _F.price).where(
    (_F.trade_id == bindparam("b_trade")) & _F.busted.is_(False)
)
_write: Final = recorded_trades.update().where(_T.id == bindparam("b_trade"))
_undo: Final = recorded_trades.delete().where(_T.id == bindparam("b_trade"))
_position: Final = recorder_positions.update().where(recorder_positions.c.trade_id == bindparam("b_trade"))


def recount(connection: Connection, trades: Iterable[TradeId], contract: Contract, at: datetime) -> None:
    """Of these trades the closed ones: numbers from the fills that count; without any it never was a trade."""
    for trade_id in trades:
        key = {"b_trade": trade_id}
        trade = connection.execute(_closed, key).one_or_none()
        if trade is None:
            continue
        left = connection.execute(_left, key).all()
        if left:
            connection.execute(_write.values(**_numbers(trade.side, left, contract)), key)
        else:
            connection.execute(_undo, key)
            connection.execute(_position.values(status="closed", total_quantity=0, updated_at=at), key)


def _numbers(side: str, left: Iterable[Any], contract: Contract) -> dict[str, Any]:
    sign = 1 if side == "LONG" else -1
    signed = [((1 if row.action == "Buy" else -1) * sign * row.quantity, row.price) for row in left]
    entered, entry = _average((quantity, price) for quantity, price in signed if quantity > 0)
    left_by, exit_ = _average((-quantity, price) for quantity, price in signed if quantity < 0)
    both = min(entered, left_by)
    points = (exit_ - entry) * sign * both if entry is not None and exit_ is not None else Decimal(0)
    return {
        "quantity": entered,
        "entry_price": entry,
        "exit_price": exit_,
        "broker_fill_price": entry,
        "pnl": points * contract.point_value,
        "pnl_ticks": points / contract.tick_size,
    }


def _average(parts: Iterable[tuple[int, Decimal]]) -> tuple[int, Decimal | None]:
    found = [*parts]
    volume = sum(quantity for quantity, _ in found)
    return volume, sum((quantity * price for quantity, price in found), Decimal(0)) / volume if volume else None
