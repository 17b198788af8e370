"""How long a doubt lasts and how soon a difference is repaired: the whole engine in virtual time, seed after seed.

    python -m tests.simulation.figures --seeds 100

What is counted from when to when stands in `doubted` and `differed`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from random import Random

from tests.simulation import loop
from tests.simulation.differed import ACTS, Play, heard, reconnected, requests_at_rest, without_a_word
from tests.simulation.doubted import crashed, deaf_doubts, doubts
from tests.simulation.figured import Figures, line
from tests.simulation.soak import quiet
from tests.simulation.world import World

DOUBTS: tuple[Play, ...] = (doubts, deaf_doubts, crashed)
DIFFERENCES: tuple[Play, ...] = tuple(
    play
    for what in ACTS
    for play in (
        heard(what),
        without_a_word(what),
        reconnected(what),
        without_a_word(what, lagging=True),
        reconnected(what, lagging=True),
    )
)


def measured(seeds: Iterable[int], plays: Iterable[Play]) -> Figures:
    found = Figures()
    with quiet():
        for seed in seeds:
            for play in plays:
                found.add(loop.run(_one(seed, play)))
    return found


async def _one(seed: int, play: Play) -> Figures:
    world = World(seed)
    try:
        return await play(world, Random(f"{seed} figures"))
    finally:
        await world.close()


def table(found: Figures) -> str:
    head = f"{'what':58}  {'n':>5}  {'p50':>7}  {'p99':>7}  {'most':>7}  own reads, most  all of the login, most"
    lines = [line(name, values, found.own.get(name), found.all.get(name)) for name, values in found.seconds.items()]
    return "\n".join([head, *sorted(lines)])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.figures", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--only", choices=("doubts", "differences", "rest"))
    asked = parser.parse_args()
    plays = {"doubts": DOUBTS, "differences": DIFFERENCES, "rest": (), None: DOUBTS + DIFFERENCES}[asked.only]
    print(table(measured(range(asked.start, asked.start + asked.seeds), plays)))
    if asked.only in (None, "rest"):
        for positions in (0, 1, 5, 20):
            with quiet():
                told = loop.run(requests_at_rest(positions, asked.start))
            print(f"requests a minute at rest, {positions:2} open positions: {told:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
