"""The engine under cProfile, from the file `begin` in a directory to the file `end`, then the figures in it.

    python -m bench.profiled DIRECTORY

The event loop's thread and the database writer's have a profile each: they share the interpreter, so both are
time that an alert waits for. A profiler makes small functions look dearer than they are: read the shares, not
the milliseconds.
"""

from __future__ import annotations

import asyncio
import cProfile
import pstats
import sys
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from justtrades.app import Engine, engine, run_loop
from justtrades.settings import load

BEGIN, END, DONE = "begin", "end", "done"
LOOK_EVERY: Final = 0.02
WAITING: Final = ("run_until_complete", "SimpleQueue", "acquire", "run_forever", "epoll", "_asyncio.Future")


async def serve(directory: Path) -> None:
    async with engine(load()) as running:
        print(f"listens on {running.url}", flush=True)
        await appeared(directory / BEGIN)
        await _profile(running, directory)
        await running.ended


async def _profile(running: Engine, directory: Path) -> None:
    loop, writer = cProfile.Profile(), cProfile.Profile()
    await running.database.write(lambda _: _enable(writer))
    _enable(loop)
    await appeared(directory / END)
    loop.disable()
    await running.database.write(lambda _: writer.disable())
    for name, profile in (("loop", loop), ("writer", writer)):
        profile.create_stats()
        profile.dump_stats(directory / f"{name}.pstats")
    (directory / DONE).touch()


def _enable(profile: cProfile.Profile) -> None:
    with suppress(ValueError):  # from Python 3.12 on one profile sees every thread
        profile.enable()


async def appeared(path: Path) -> None:
    # Another process makes the file: there is no event to wait for.
    while not path.exists():  # noqa: ASYNC110, ASYNC240
        await asyncio.sleep(LOOK_EVERY)


def show(directory: Path, alerts: int, lines: int = 45) -> None:
    """The dearest functions of each thread by own time, per alert."""
    for name in ("loop", "writer"):
        stats: Any = pstats.Stats(str(directory / f"{name}.pstats"))
        rows = sorted(stats.stats.items(), key=lambda item: -item[1][2])
        rows = [row for row in rows if not any(word in row[0][2] for word in WAITING)]
        _table(name, rows, alerts, lines)
        _by_file(rows, alerts)


def _table(name: str, rows: list[Any], alerts: int, lines: int) -> None:
    busy = sum(row[2] for _, row in rows) or 1.0
    print(f"\n{name}: {busy * 1e3 / alerts:.2f} ms per alert, profiled")
    print(f"{'own %':>6} {'own ms':>8} {'all ms':>8} {'calls':>8}  function, per alert")
    for where, (_, calls, own, whole, _) in rows[:lines]:
        per_alert = f"{own * 1e3 / alerts:8.3f} {whole * 1e3 / alerts:8.3f} {calls / alerts:8.1f}"
        print(f"{own / busy * 100:6.1f} {per_alert}  {_named(where)}")
    print(f"{'all %':>6}  by the time of what they call, too")
    for where, (_, calls, _, whole, _) in sorted(rows, key=lambda item: -item[1][3])[:lines]:
        print(f"{whole / busy * 100:6.1f} {whole * 1e3 / alerts:8.3f} ms {calls / alerts:8.1f}  {_named(where)}")


def _by_file(rows: list[Any], alerts: int, lines: int = 25) -> None:
    own: dict[str, float] = defaultdict(float)
    for where, row in rows:
        own[_named(where).partition(":")[0] if where[1] else "built-in"] += row[2]
    busy = sum(own.values()) or 1.0
    print(f"{'own %':>6}  by file")
    for file, seconds in sorted(own.items(), key=lambda item: -item[1])[:lines]:
        print(f"{seconds / busy * 100:6.1f} {seconds * 1e3 / alerts:8.3f} ms  {file}")


def _named(where: tuple[str, int, str]) -> str:
    file, line, function = where
    parts = Path(file).parts
    shown = "/".join(parts[parts.index("site-packages") + 1 :] if "site-packages" in parts else parts[-3:])
    return function if line == 0 else f"{shown}:{line} {function}"


def main() -> None:
    run_loop(serve(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
