"""What is taken over from an old system: written once, however often it is brought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from justtrades.positions.recorder import Recorder
from justtrades.store import recorders as kept
from justtrades.store.secrets import Box, hashed
from justtrades.store.tables import recorded_trades, recorder_tokens, recorders


@dataclass(frozen=True, slots=True)
class Brought:
    """How many were written, and how many were there already."""

    recorders: int
    recorders_there: int
    trades: int
    trades_there: int


def new_recorders(connection: Connection, found: Sequence[tuple[Recorder, str | None]]) -> list[tuple[Recorder, str]]:
    """Those that are not there: neither by their id nor by their webhook token."""
    ids = set(connection.execute(select(recorders.c.id)).scalars())
    hashes = set(connection.execute(select(recorder_tokens.c.hash)).scalars())
    return [
        (recorder, token or "")
        for recorder, token in found
        if recorder.id not in ids and (token is None or hashed(token) not in hashes)
    ]


def new_trades(connection: Connection, found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    wanted = [trade["id"] for trade in found]
    there: set[str] = set()
    for start in range(0, len(wanted), 500):
        query = select(recorded_trades.c.id).where(recorded_trades.c.id.in_(wanted[start : start + 500]))
        there |= set(connection.execute(query).scalars())
    return [trade for trade in found if trade["id"] not in there]


def bring(
    connection: Connection,
    box: Box,
    found: Sequence[tuple[Recorder, str | None]],
    trades: Sequence[dict[str, Any]],
    at: datetime,
    *,
    write: bool,
) -> Brought:
    """`trades` the oldest first; they get numbers below all others, so that lists stay newest first."""
    recorders_, trades_ = new_recorders(connection, found), new_trades(connection, trades)
    if write:
        for recorder, token in recorders_:
            kept.add(connection, box, recorder, token or None, at)
        lowest = connection.execute(select(func.min(recorded_trades.c.number))).scalar()
        first = min(lowest if lowest is not None else 1, 1) - len(trades_)
        for number, trade in enumerate(trades_, first):
            connection.execute(recorded_trades.insert(), {**trade, "number": number})
    return Brought(len(recorders_), len(found) - len(recorders_), len(trades_), len(trades) - len(trades_))
