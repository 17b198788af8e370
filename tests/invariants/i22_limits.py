"""I22: every queue, task, retry and buffer has a limit."""

from __future__ import annotations

from justtrades.desk import JOBS_LIMIT
from justtrades.executor import INBOX_LIMIT
from tests.invariants.checker import Checker

ACTS, ORDERS = 8, 60
"""Calls and reads of one lane under way, and orders it remembers: far below, in any schedule of ours."""


class Limits(Checker):
    id = "I22"

    def ticked(self) -> None:
        desk = self.condition.desk
        for key, executor in desk._lanes.items() if desk is not None else ():
            sizes = {
                "reports wait": (executor._inbox.qsize(), INBOX_LIMIT + 200),
                "signals wait": (len(executor.lane.jobs), JOBS_LIMIT + 50),
                "calls are under way": (len(executor._acts), ACTS),
                "orders are remembered": (len(executor.lane.orders), ORDERS),
            }
            for what, (size, limit) in sizes.items():
                if size > limit:
                    self.broken(f"{key}: {size} {what}, the limit is {limit}")
