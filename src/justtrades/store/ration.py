"""How many token requests left from here, per host: counted before they are sent, across restarts."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, select

from justtrades.store.dialects import insert_or_update
from justtrades.store.tables import switches

_write: Final = insert_or_update(switches, ["name"])


def claim(connection: Connection, host: str, now: datetime, limit: int, window: timedelta) -> datetime | None:
    """Counts one request to `host`; None when it may go, else the moment to come again (and counts nothing)."""
    name = f"token requests {host}"
    text = connection.execute(select(switches.c.reason).where(switches.c.name == name)).scalar_one_or_none()
    recent = [at for at in map(datetime.fromisoformat, json.loads(text or "[]")) if now - at < window]
    if len(recent) >= limit:
        return recent[-limit] + window
    kept = json.dumps([at.isoformat() for at in [*recent, now]])
    connection.execute(_write.on(connection), {"name": name, "is_on": True, "reason": kept, "at": now})
    return None
