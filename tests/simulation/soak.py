"""Many seeds, and what came of them."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

from tests.simulation.disturbed_schedules import run_disturbed
from tests.simulation.hard_schedules import KINDS, run_hard
from tests.simulation.idle_schedules import run_idle
from tests.simulation.lane_schedules import run
from tests.simulation.script import Played, play

CORE_EVERY = 13
"""Every so many seeds the core plays alone instead of the whole engine; prime to the number of its kinds."""

PART = 50
"""Seeds one process plays before it says what came of them."""


@dataclass
class Soaked:
    seeds: int = 0
    violations: int = 0
    steps: int = 0
    fills: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def figures(self) -> str:
        took = max(time.monotonic() - self.began, 0.001)
        rate = self.seeds / took * 60
        return f"{self.steps} steps, {self.fills} fills, {rate:.0f} schedules a minute"


def every_seed(done: Soaked, start: int, seeds: int, seconds: float | None = None) -> Iterator[str]:
    """The stories of those that failed; stops after `seeds`, or after `seconds`."""
    with quiet():
        for seed in count(start):
            if done.seeds >= seeds if seconds is None else time.monotonic() - done.began >= seconds:
                return
            yield from _of_one(done, seed)


def in_parts(done: Soaked, start: int, seeds: int, processes: int | None = None) -> Iterator[str]:
    """The same on all cores, a few seeds at a time; stories come as they are found."""
    parts = [(first, min(PART, start + seeds - first)) for first in range(start, start + seeds, PART)]
    most = min(processes or os.cpu_count() or 1, len(parts))
    if most <= 1:
        yield from every_seed(done, start, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(most) as pool:
        for part, stories in pool.imap_unordered(_part, parts):
            done.seeds += part.seeds
            done.violations += part.violations
            done.steps += part.steps
            done.fills += part.fills
            yield from stories


def _part(asked: tuple[int, int]) -> tuple[Soaked, list[str]]:
    part = Soaked()
    return part, list(every_seed(part, *asked))


def _of_one(done: Soaked, seed: int) -> Iterator[str]:
    done.seeds += 1
    for story in _played(done, seed):
        if story is not None:
            done.violations += 1
            yield story


def _played(done: Soaked, seed: int) -> tuple[str | None, ...]:
    try:
        if seed % CORE_EVERY == 0:
            hard = list(KINDS)[seed % len(KINDS)]
            return run(seed), run_hard(seed, hard), run_disturbed(seed), run_idle(seed)
        return (whole(done, play(seed)),)
    except Exception as error:
        error.add_note(f"while seed {seed} was played")
        raise


def whole(done: Soaked, played: Played) -> str | None:
    """The story of a schedule that broke something; None when it held."""
    done.steps += played.steps
    done.fills += played.fills
    return failed(played)


def failed(played: Played) -> str | None:
    return f"{played.story}\n{played.broken[0]}" if played.broken else None


@contextmanager
def quiet() -> Iterator[None]:
    """Without the engine's log, and without collecting what lives as long as the process."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        logging.disable(before)
