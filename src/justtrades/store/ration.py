"""How many token requests left this address, per house of brokers: counted before they are sent, across restarts.

The count is sealed like the tokens it belongs to. One that does not open (another secret key) starts anew: no
token opens then either, so each login has to ask once.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, select

from justtrades.store.dialects import insert_or_update
from justtrades.store.secrets import Box, NotOpened
from justtrades.store.tables import switches

log = logging.getLogger(__name__)

NAMES: Final = "token requests of "
"""How the rows of these counts begin, among the other switches."""
_write: Final = insert_or_update(switches, ["name"])


def claim(
    connection: Connection, box: Box, house: str, now: datetime, limit: int, window: timedelta
) -> datetime | None:
    """Counts one request; None when it may go, else the moment to come again (and counts nothing).

    What was counted under a clock that was ahead counts as of now.
    """
    recent = [min(at, now) for at in _load(connection, box, house) if now - at < window]
    if len(recent) >= limit:
        return recent[-limit] + window
    _save(connection, box, house, [*recent, now], now)
    return None


def give_back(connection: Connection, box: Box, house: str, claimed_at: datetime) -> None:
    """The request counted at that moment never left."""
    left = _load(connection, box, house)
    if claimed_at in left:
        left.remove(claimed_at)
        _save(connection, box, house, left, claimed_at)


def _load(connection: Connection, box: Box, house: str) -> list[datetime]:
    found = select(switches.c.reason).where(switches.c.name == _name(house))
    sealed = connection.execute(found).scalar_one_or_none()
    if not sealed:
        return []
    try:
        told = json.loads(box.open(base64.b64decode(sealed), _about(house)))
    except (NotOpened, ValueError):
        log.warning("the count of token requests does not open; it starts anew")
        return []
    return [datetime.fromisoformat(at) for at in told]


def _save(connection: Connection, box: Box, house: str, moments: Sequence[datetime], now: datetime) -> None:
    sealed = box.seal(json.dumps([at.isoformat() for at in moments]), _about(house))
    text = base64.b64encode(sealed).decode()
    _write.run(connection, {"name": _name(house), "is_on": True, "reason": text, "at": now})


def _name(house: str) -> str:
    return f"{NAMES}{house}"


def _about(house: str) -> str:
    return about_name(_name(house))


def about_name(name: str) -> str:
    """What a sealed count is bound to, by the name of its row."""
    return f"switches:{name}"
