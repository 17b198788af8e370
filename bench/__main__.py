"""`python -m bench [name …]`: measures, prints one table, and writes it down when asked to."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench import flood, old_rows, profiled, sides, speed, weight
from bench.engine import NotReady
from bench.processes import Ended, machine
from bench.report import Report
from bench.sizes import Size
from bench.traffic import Lost

RESULTS: Final = Path(__file__).with_name("RESULTS.md")
USUAL: Final = (*speed.PARTS, *weight.PARTS, *flood.PARTS)
NAMES: Final = (*USUAL, *old_rows.PARTS)
REMARKS: Final = (
    "Lifted in the engine by settings: request budgets and the webhook's rate limit. Duplicate and token checks stay.",
    "p99 is over all rounds and is not judged.",
)


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    usual = Size()
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(NAMES)}; without: all but the old")
    parser.add_argument("--rounds", type=int, default=usual.rounds)
    parser.add_argument("--old-rows", type=int, action="append", help="rows a table for `old`; may be given twice")
    parser.add_argument("--alerts", type=int, default=usual.alerts, help="for the memory after them")
    parser.add_argument("--dir", type=Path, default=None, help="where the databases live; on a disk, not in memory")
    parser.add_argument("--pin", action="store_true", help="the server alone on the last core (Linux, Windows)")
    parser.add_argument("--write", action="store_true", help=f"write the table to {RESULTS.name}")
    parser.add_argument("--profile", choices=speed.PARTS, help="the engine under a profiler, this part, no floors")
    found = parser.parse_args(arguments)
    if unknown := set(found.names) - set(NAMES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    return found


def size_of(found: argparse.Namespace) -> Size:
    usual = Size()
    return Size(
        rounds=found.rounds,
        alerts=found.alerts,
        old_rows=tuple(found.old_rows or usual.old_rows),
        pinned=found.pin,
        under=found.dir or usual.under,
    )


async def run(size: Size, names: Sequence[str]) -> Report:
    """All figures that were asked for; a measurement that breaks off does not take the others with it."""
    report = Report(machine(), size.rounds, remarks=list(REMARKS))
    for kind in (speed, weight, flood, old_rows):
        parts = frozenset(kind.PARTS) & frozenset(names or USUAL)
        if parts:
            try:
                report.figures += await kind.figures(size, parts, _say)
            except (Lost, NotReady, Ended) as error:
                report.failed.append(f"NOT MEASURED, {', '.join(sorted(parts))}: {error}")
    return report


async def profile(size: Size, part: str) -> None:
    """One part on a profiled engine."""
    small = replace(size, lanes=size.busy_lanes)
    alerts = {"latency": small.one_by_one, "throughput": small.side_by_side, "burst": small.lanes}[part]
    with sides.folder(size) as directory:
        command = ("-m", "bench.profiled", str(directory))
        async with sides.engine(small, command) as side:
            await speed.warm(side, small)
            (directory / profiled.BEGIN).touch()
            await speed.measure(side, small, frozenset({part}), speed.Samples())
            (directory / profiled.END).touch()
            await profiled.appeared(directory / profiled.DONE)
        profiled.show(directory, alerts)


def _say(text: str) -> None:
    print(f"… {text}", file=sys.stderr, flush=True)


def main() -> None:
    found = options()
    size = size_of(found)
    if found.profile:
        asyncio.run(profile(replace(size, one_by_one=500), found.profile))
        return
    report = asyncio.run(run(size, found.names))
    print(report.text())
    if found.write:
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        RESULTS.write_text(f"# Results of {now}\n\n{report.text()}", encoding="utf-8")
    sys.exit(bool(report.failed))


if __name__ == "__main__":
    main()
