"""When the broker may rightly be silent: maintenance and closed hours (protocol.md section 4, official).

Only a broker that keeps the exchange's hours is given this patience; a simulator that is always open is not.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from justtrades.positions.calendar import in_maintenance, is_open

SECOND = timedelta(seconds=1)


def shut(now: datetime) -> bool:
    """Maintenance, or no future trades."""
    return in_maintenance(now) or not is_open(None, now)


def seconds_until_open(now: datetime, most: float) -> float | None:
    """How long until the doors open, when that is within `most` seconds; None when they stay shut as long."""
    if shut(now + SECOND * most):
        return None
    return next(float(n) for n in range(int(most) + 1) if not shut(now + SECOND * n) or n == int(most))
