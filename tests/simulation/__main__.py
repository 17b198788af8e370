"""`make soak SEEDS=n START=first`: the schedules on many seeds, ending with one line and its exit code.

Seeds play the kinds of misfortune in turn, each on the whole engine; every thirteenth plays the core alone.
`--seconds` plays for that long instead of a number of seeds.
"""

from __future__ import annotations

import argparse
import sys

from tests.simulation.ablate import search
from tests.simulation.soak import Soaked, every_seed

SHOWN = 5


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=None)
    parser.add_argument("--ablations", action="store_true", help="search a seed that notices each lost safeguard")
    asked = parser.parse_args()
    if asked.ablations:
        return min(search(asked.seeds, asked.start), 1)
    done = Soaked()
    for story in every_seed(done, asked.start, asked.seeds, asked.seconds):
        if done.violations <= SHOWN:
            print(story, end="\n\n", flush=True)
    print(done.figures)
    print(f"seeds {done.seeds}, violations {done.violations}")
    return 1 if done.violations else 0


if __name__ == "__main__":
    sys.exit(main())
