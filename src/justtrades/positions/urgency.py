"""Who goes first at the broker, where the requests of a login are rationed."""

from __future__ import annotations

from enum import IntEnum


class Urgency(IntEnum):
    """Who goes first when the requests of a login have to wait for each other; the smaller, the sooner."""

    CLOSE = 1
    """Kill, flatten and close, and the sight of the broker they need."""
    CANCEL = 2
    PROTECT = 3
    """A target or a stop."""
    LOOK = 4
    """Reads for an order in doubt, or for what is held."""
    RECONCILE = 5
    ENTER = 6
    SHOW = 7
    """Reads that only a person waits for."""

    @property
    def protects(self) -> bool:
        """It reduces or protects, or is a read for that: it goes on when entries rest."""
        return self <= Urgency.LOOK
