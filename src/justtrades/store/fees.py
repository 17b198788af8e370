"""What fills cost, and with it the trades they belong to.

A fee may come before or after its fill's row, before or after the trade closes, again, and changed. So fees
have a table of their own, and whenever a fee, a fill or a bust is saved, the trades concerned are summed up anew:
`recorded_trades.fees` is the sum over the trade's fills that count, null while no fee is known. The sum is made
here and not in SQL, because SQLite would add floats.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import reduce
from typing import Final

from sqlalchemy import Connection, bindparam, select

from justtrades.positions.model import AccountId, FillId, TradeId
from justtrades.store.dialects import insert_or_update
from justtrades.store.quick import Quick
from justtrades.store.tables import fill_fees, fills, recorded_trades

_write: Final = insert_or_update(fill_fees, ["account_id", "broker_fill_id"])
_trades: Final = select(fills.c.trade_id).where(
    (fills.c.account_id == bindparam("account"))
    & fills.c.broker_fill_id.in_(bindparam("fills", expanding=True))
    & fills.c.trade_id.is_not(None)
)
OF_FILL: Final = (fill_fees.c.account_id == fills.c.account_id) & (fill_fees.c.broker_fill_id == fills.c.broker_fill_id)
_parts: Final = Quick(
    select(recorded_trades.c.fees, fill_fees.c.amount)
    .select_from(
        recorded_trades.outerjoin(fills, (fills.c.trade_id == recorded_trades.c.id) & ~fills.c.busted).outerjoin(
            fill_fees, OF_FILL
        )
    )
    .where(recorded_trades.c.id == bindparam("trade"))
)
_put: Final = Quick(recorded_trades.update().where(recorded_trades.c.id == bindparam("b_trade")))


def keep(connection: Connection, told: Mapping[tuple[AccountId, FillId], Decimal]) -> None:
    """Save what these fills cost (USD; a few hundred at a time) and sum up their trades."""
    values = [{"account_id": a, "broker_fill_id": f, "amount": amount} for (a, f), amount in told.items()]
    if not values:
        return
    _write.run_all(connection, values)
    trades: set[TradeId] = set()
    for account_id in {account for account, _ in told}:
        trades |= trades_of(connection, account_id, [fill for account, fill in told if account == account_id])
    sum_up(connection, trades)


def trades_of(connection: Connection, account_id: AccountId, fill_ids: Iterable[FillId]) -> set[TradeId]:
    """The trades that these fills belong to, as far as their rows are here."""
    found = connection.execute(_trades, {"account": account_id, "fills": list(fill_ids)})
    return {TradeId(trade) for trade in found.scalars()}


def sum_up(connection: Connection, trades: Iterable[TradeId]) -> None:
    """Bring `recorded_trades.fees` of these trades up to date."""
    for trade in trades:
        parts = _parts.rows(connection, {"trade": trade})
        fees = reduce(_plus, (amount for _, amount in parts), None)
        if parts and fees != parts[0][0]:
            _put.run(connection, {"b_trade": trade, "fees": fees})


def _plus(fees: Decimal | None, amount: Decimal | None) -> Decimal | None:
    return fees if amount is None else (fees or Decimal(0)) + amount
