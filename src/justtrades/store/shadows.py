"""Lanes of recorders in shadow mode: what would be held if their orders had been sent. No broker knows of them."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select

from justtrades.positions.model import Lane, RecorderId
from justtrades.store import codec
from justtrades.store.dialects import insert_or_update
from justtrades.store.tables import shadow_lanes

_write: Final = insert_or_update(shadow_lanes, ["recorder_id", "account_id", "contract"])


def keep(connection: Connection, recorder_id: RecorderId, lane: Lane, at: datetime) -> None:
    row = {
        "recorder_id": recorder_id,
        "account_id": lane.account_id,
        "contract": lane.contract.name,
        "state_json": codec.lane_text(lane),
        "updated_at": at,
    }
    _write.run(connection, row)


def every(connection: Connection) -> list[tuple[RecorderId, Lane]]:
    rows = connection.execute(select(shadow_lanes.c.recorder_id, shadow_lanes.c.state_json))
    return [(RecorderId(row.recorder_id), codec.lane_from(row.state_json)) for row in rows]
