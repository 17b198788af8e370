"""Memory and start: the engine beside a process that only imports the same packages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench import sides
from bench.engine import SERVE, Engine
from bench.processes import Child, module
from bench.report import Figure
from bench.sizes import Size

MB: Final = 2.0**20
PARTS: Final = ("memory", "start")
REST: Final = 1.0
OURS: Final = ("justtrades", "bench", "__main__")


@dataclass(slots=True)
class Samples:
    """One value per round: megabytes at rest and seconds until ready."""

    memory: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


async def figures(size: Size, parts: frozenset[str], say: Callable[[str], None]) -> list[Figure]:
    found: list[Figure] = []
    with sides.folder(size) as directory, sides.stub(size, directory) as broker:
        names = await _prepare(size, directory, broker.url)
        imports, engine = Samples(), Samples()
        for number in range(size.rounds):
            say(f"start {number + 1} of {size.rounds}")
            await _imports(directory, names, imports)
            await _engine(Engine(directory, broker.url), engine)
        if "start" in parts:
            found.append(Figure("start to ready", "s", engine.seconds, imports.seconds, 2.0, "imports"))
    if "memory" in parts:
        found.append(Figure("memory at rest", "MB", engine.memory, imports.memory, 1.5, "imports"))
        found.append(await _after_alerts(size, say))
    return found


async def _prepare(size: Size, directory: Path, stub_url: str) -> Path:
    """A database with a connection and lanes; and a file with what a ready engine has imported."""
    engine = Engine(directory, stub_url, ("-X", "importtime", *SERVE), keeps=100_000)
    try:
        engine.start()
        await engine.set_up(1)
        await engine.ready()
        told = engine.running.said
    finally:
        engine.stop()
    names = directory / "imports.txt"
    found = [line.rpartition("|")[2].strip() for line in told if line.startswith("import time:")]
    theirs = [name for name in found[1:] if name.partition(".")[0] not in OURS]
    names.write_text("\n".join(theirs), encoding="utf-8")
    return names


async def _imports(directory: Path, names: Path, into: Samples) -> None:
    began = time.perf_counter()
    with module("bench.imports", str(names), directory=directory) as child:
        into.seconds.append(time.perf_counter() - began)
        await _weigh(child, into)


async def _engine(engine: Engine, into: Samples) -> None:
    began = time.perf_counter()
    try:
        engine.start()
        into.seconds.append(await engine.ready() - began)
        await _weigh(engine.running, into)
    finally:
        engine.stop()


async def _weigh(child: Child, into: Samples) -> None:
    await asyncio.sleep(REST)
    into.memory.append(child.memory / MB)


async def _after_alerts(size: Size, say: Callable[[str], None]) -> Figure:
    """Once, since it takes long: the same engine before and after its alerts, with all its lanes alive."""
    say(f"memory after {size.alerts} alerts")
    async with sides.engine(size) as side:
        await side.traffic.side_by_side(size.lanes, size.lanes)
        await asyncio.sleep(REST)
        before = side.server.memory / MB
        await side.traffic.side_by_side(size.busy_lanes, size.alerts)
        await asyncio.sleep(REST)
        after = side.server.memory / MB
    return Figure(f"memory after {size.alerts:,} alerts", "MB", [after], [before], 1.15, "at rest")
