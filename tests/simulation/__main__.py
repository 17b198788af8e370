"""`make soak SEEDS=n START=first`: the schedules on many seeds, ending with one line and its exit code."""

from __future__ import annotations

import argparse
import sys

from tests.simulation.hard_schedules import KINDS, run_hard
from tests.simulation.lane_schedules import run


def play(seed: int) -> str | None:
    """One seed: the plain schedule, then each hard kind in turn by its number."""
    kind = list(KINDS)[seed % len(KINDS)]
    return run(seed) or run_hard(seed, kind)


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--start", type=int, default=0)
    asked = parser.parse_args()
    found = [told for seed in range(asked.start, asked.start + asked.seeds) if (told := play(seed)) is not None]
    for told in found[:5]:
        print(told, end="\n\n")
    print(f"seeds {asked.seeds}, violations {len(found)}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
