"""What people set for the whole engine and must survive a restart: the kill switch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select

from justtrades.store.dialects import insert_or_update
from justtrades.store.tables import switches

KILL: Final = "kill"
_write_switch: Final = insert_or_update(switches, ["name"])


@dataclass(frozen=True, slots=True)
class Kill:
    """While on, no entry leaves. `since` is the moment it was last switched, None if never."""

    on: bool = False
    reason: str = ""
    since: datetime | None = None


def get_kill(connection: Connection) -> Kill:
    row = connection.execute(select(switches).where(switches.c.name == KILL)).one_or_none()
    return Kill(row.is_on, row.reason or "", row.at) if row is not None else Kill()


def set_kill(connection: Connection, on: bool, reason: str, at: datetime) -> Kill:
    row = {"name": KILL, "is_on": on, "reason": reason, "at": at}
    _write_switch.run(connection, row)
    return Kill(on, reason, at)
