"""How much is measured. The defaults are the issue's; a smoke test makes everything tiny."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Size:
    """Delays are seconds. The stub's are like a broker's order of events, only shorter than any real one."""

    rounds: int = 5
    lanes: int = 200
    """Accounts of the stub, each with one contract: the lanes of the burst."""
    busy_lanes: int = 50
    one_by_one: int = 60
    side_by_side: int = 1_000
    alerts: int = 10_000
    """For the memory after a long day."""
    old_rows: tuple[int, ...] = (100_000,)
    pause: float = 0.02
    fills_after: float = 0.005
    rests_for: float = 0.005
    pinned: bool = False
    under: Path = field(default_factory=lambda: Path(tempfile.gettempdir()))
    """Where the databases live. On a disk: in memory a durable commit costs nothing and the ratios mean nothing."""
