"""`make crashes KILLS=200 START=1`: the engine is killed so many times under load, and must end right.

Ends with one line, `kills …, violations …`, and a code other than zero if there are any.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.e2e.crashes import Crashes

A_DAY = 25
"""Kills on one database; then a new day begins on a new one, with the next seed."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="crashes", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    wrong, done, acknowledged = 0, 0, 0
    while done < asked.kills:
        kills = min(A_DAY, asked.kills - done)
        with tempfile.TemporaryDirectory(prefix="justtrades-crashes-") as folder:
            day = Crashes(Path(folder), kills, asked.seed + done // A_DAY)
            found = asyncio.run(day.run())
        done, wrong, acknowledged = done + kills, wrong + len(found), acknowledged + len(day.acknowledged)
        for told in found:
            print(f"seed {day.seed}: {told}")
        print(f"{done} kills, {acknowledged} alerts acknowledged, {wrong} violations so far", flush=True)
    print(f"kills {done}, violations {wrong}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
