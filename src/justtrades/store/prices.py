"""The prices that fills of a day have left: what an engine that starts anew still knows of its contracts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection, select

from justtrades.positions.model import ConnectionId, ContractName
from justtrades.store.tables import accounts, fills

LOOKED_AT: Final = 5_000
"""The newest so many fills are looked at: a start must not read the fills of years."""


@dataclass(frozen=True, slots=True)
class LastPrice:
    connection_id: ConnectionId
    contract: ContractName
    price: Decimal
    at: datetime


def last_prices(connection: Connection, since: datetime) -> list[LastPrice]:
    """The newest fill at or after `since` of every contract on every connection; busted ones are none."""
    f = fills.c
    query = (
        select(accounts.c.connection_id, f.contract, f.price, f.filled_at)
        .join(accounts, accounts.c.id == f.account_id)
        .where((f.filled_at >= since) & ~f.busted)
        .order_by(f.filled_at.desc(), f.number.desc())
        .limit(LOOKED_AT)
    )
    newest = {(row.connection_id, row.contract): LastPrice(*row) for row in reversed(connection.execute(query).all())}
    return list(newest.values())
