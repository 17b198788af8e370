"""Was it kept? After a write whose answer was lost, asked until the database tells.

A commit can be on the disk although it was reported as failed (a connection that broke at the wrong moment). A
signal like that must not lie in the database unheard: at the next start it would be traded, long after anybody
expected it.
"""

from __future__ import annotations

import asyncio
import logging

from sqlalchemy import bindparam, select
from sqlalchemy.exc import SQLAlchemyError

from justtrades.positions.model import SignalId
from justtrades.store.session import Database
from justtrades.store.tables import signals

log = logging.getLogger(__name__)

LONGEST_WAIT = 10.0
_open = select(signals.c.id).where((signals.c.id == bindparam("signal")) & signals.c.outcome.is_(None))


async def was_kept(database: Database, signal_id: SignalId) -> bool:
    """Whether the signal is in the database and has no outcome yet. Waits for as long as the database is away."""
    wait = 0.25
    while True:
        try:
            return await database.read(lambda c: c.execute(_open, {"signal": signal_id}).first() is not None)
        except (SQLAlchemyError, OSError) as error:
            log.warning("whether signal %s was kept is not known yet: %s", signal_id, type(error).__name__)
        await asyncio.sleep(wait)
        wait = min(wait * 2, LONGEST_WAIT)
