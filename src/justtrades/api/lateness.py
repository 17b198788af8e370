"""Is an alert too late, and is it a repeat: the two questions asked before any lane, each with its numbers.

Both stand in the receipt and in an explanation, whether they let the alert pass or not.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from justtrades.positions.recorder import Reading, Recorder
from justtrades.positions.rules import Rule


def lateness(recorder: Recorder, reading: Reading, at: datetime) -> Rule:
    """An alert's own clock against `max_alert_age_seconds`; an exit is never too late."""
    told, limit = reading.alert_time, _limit(recorder, reading)
    if limit is None:
        return Rule("lateness", True, "the recorder sets no limit by the alert's own time")
    if told is None:
        return Rule("lateness", True, "the alert carries no time that could be compared")
    age = (at - told).total_seconds()
    if reading.verb.enters and at - told > timedelta(seconds=limit):
        return Rule("lateness", False, f"the alert's own time is {age:g} s ago, which is more than {limit} s ago")
    kind = "" if reading.verb.enters else "; an exit is never too late"
    return Rule("lateness", True, f"the alert's own time is {age:g} s ago, at most {limit} s{kind}")


def repeat(reading: Reading, duplicate_seconds: float) -> Rule:
    """By what a repeat of this alert would be told; that it is none is known by its being a signal at all."""
    if reading.repeat_key is not None:
        marks = ", ".join(line.partition("=")[0] for line in reading.repeat_key.splitlines())
        return Rule("repeat", True, f"the first with this {marks} and content")
    return Rule("repeat", True, f"the first with these bytes within {duplicate_seconds:g} s")


def _limit(recorder: Recorder, reading: Reading) -> int | None:
    given = [s for s in (recorder.max_alert_age_seconds, reading.max_age_seconds) if s is not None]
    return min(given, default=None)
