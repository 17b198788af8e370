"""The fresh seeds of one run of the suite: drawn once, played in shares, told of at its end.

Shares may be played by several processes whose output nobody sees. So the first seed is drawn before these begin
and is handed down in the environment, and what came of a share travels with the report of its test.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # every run of the tests imports this module, and few the engine whole
    from tests.simulation.soak import Soaked

SHARES = range(5)
TEST = "test_fresh_seeds_hold"
_FIRST, _SECONDS = "SIMULATION_SEED", "SIMULATION_SECONDS"
_ALL_TOGETHER = 150.0
"""Seconds; a share has its part of them."""
_APART = 1_000_000
_KEPT = "simulation"


def draw() -> None:
    """Choose the first seed, unless somebody has."""
    os.environ.setdefault(_FIRST, str(secrets.randbelow(10**9) + 10**6))


def first(share: int) -> int:
    return int(os.environ[_FIRST]) + share * _APART


def seconds() -> float:
    return float(os.environ.get(_SECONDS, _ALL_TOGETHER)) / len(SHARES)


def report(request: pytest.FixtureRequest, done: Soaked) -> None:
    request.node.user_properties.append((_KEPT, [done.seeds, done.violations, done.steps, done.fills]))


def told(reports: Iterable[pytest.TestReport]) -> str | None:
    """One line for the terminal, whatever became of the tests; None when none of them was chosen."""
    ours = [report for report in reports if TEST in report.nodeid]
    kept = [value for report in ours for name, value in report.user_properties if name == _KEPT]
    seeds, violations, steps, fills = (sum(column) for column in zip([0] * 4, *kept, strict=True))
    return (
        f"simulation: {seeds} fresh seeds, {violations} violations, {steps} steps, {fills} fills; "
        f"{_FIRST}={os.environ[_FIRST]} plays them again"
        if ours
        else None
    )
