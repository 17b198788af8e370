"""What is kept of recorders' heartbeats and of the gaps in their alerts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, func, select

from justtrades.positions.model import RecorderId, SignalId
from justtrades.store.dialects import insert_or_ignore, insert_or_update
from justtrades.store.tables import heartbeats, signal_gaps, signals


@dataclass(frozen=True, slots=True)
class Beat:
    """A recorder's last heartbeat; `period_seconds` as the alert named it. `told_at`: its silence was told then."""

    recorder_id: RecorderId
    heard_at: datetime
    period_seconds: int | None = None
    told_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Gaps:
    """How many signals of a recorder came with another missing before them."""

    count: int = 0
    last_at: datetime | None = None


_write: Final = insert_or_update(heartbeats, ["recorder_id"])
_add_gap: Final = insert_or_ignore(signal_gaps)
_owner: Final = select(signals.c.recorder_id).where(signals.c.id == bindparam("signal"))
_counted: Final = select(
    signal_gaps.c.recorder_id, func.count().label("number"), func.max(signal_gaps.c.at).label("last_at")
).group_by(signal_gaps.c.recorder_id)


def keep_beat(connection: Connection, beat: Beat) -> None:
    row = {name: getattr(beat, name) for name in Beat.__slots__}
    _write.run(connection, row)


def beats(connection: Connection) -> list[Beat]:
    return [Beat(**row) for row in connection.execute(select(heartbeats)).mappings()]


def keep_gap(connection: Connection, signal_id: SignalId, text: str, at: datetime) -> None:
    """Once for a signal, however many accounts found it."""
    owner = connection.execute(_owner, {"signal": signal_id}).scalar_one_or_none()
    if owner is not None:
        row = {"signal_id": signal_id, "recorder_id": owner, "at": at, "text": text}
        _add_gap.run(connection, row)


def gaps(connection: Connection) -> dict[RecorderId, Gaps]:
    return {row.recorder_id: Gaps(row.number, row.last_at) for row in connection.execute(_counted)}
