"""`make soak SEEDS=n START=first`: the schedules on many seeds, ending with one line and its exit code.

Seeds play the kinds of misfortune in turn, each on the whole engine; every thirteenth plays the core alone.
All cores play, a part of the seeds each. `--seconds` plays for that long instead of a number of seeds, on one.
"""

from __future__ import annotations

import argparse
import sys

from tests.simulation.ablate import search
from tests.simulation.soak import Soaked, every_seed, in_parts

SHOWN = 5


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=None)
    parser.add_argument("--ablations", action="store_true", help="search a seed that notices each lost safeguard")
    parser.add_argument("--processes", type=int, default=None, help="as many as there are cores")
    asked = parser.parse_args()
    if asked.ablations:
        return min(search(asked.seeds, asked.start), 1)
    done = Soaked()
    told = in_parts(done, asked.start, asked.seeds, asked.processes)
    if asked.seconds is not None:
        told = every_seed(done, asked.start, asked.seeds, asked.seconds)
    for story in told:
        if done.violations <= SHOWN:
            print(story, end="\n\n", flush=True)
    print(done.figures)
    print(f"seeds {done.seeds}, violations {done.violations}")
    return 1 if done.violations else 0


if __name__ == "__main__":
    sys.exit(main())
