"""The three that are measured, each with a stub and a database of its own, for one round."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.client import Client
from bench.engine import SERVE, Engine
from bench.processes import Child, module
from bench.sizes import Size
from bench.traffic import Lost, Traffic, Watch


@dataclass(frozen=True, slots=True)
class Side:
    """A running server, and the traffic to it."""

    server: Child
    traffic: Traffic


@contextmanager
def folder(size: Size) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="justtrades-bench-", dir=size.under) as name:
        yield Path(name)


def stub(size: Size, directory: Path) -> Child:
    return module(
        "bench.stub",
        f"--accounts={size.lanes}",
        f"--fills-after={size.fills_after}",
        f"--rests-for={size.rests_for}",
        directory=directory,
    )


@asynccontextmanager
async def floor_g(size: Size) -> AsyncIterator[tuple[Child, Client]]:
    with folder(size) as directory, module("bench.floor_g", str(directory / "g.db"), directory=directory) as server:
        _pin(size, server)
        async with Client(server.url) as client:
            yield server, client


@asynccontextmanager
async def floor_f(size: Size) -> AsyncIterator[Side]:
    paths = [f"/webhook/{lane}" for lane in range(size.lanes)]
    with folder(size) as directory, stub(size, directory) as broker:
        arguments = ("bench.floor_f", str(directory / "f.db"), broker.url)
        with module(*arguments, directory=directory) as server:
            async with traffic(size, server, broker, paths) as made:
                yield Side(server, made)


@asynccontextmanager
async def engine(size: Size, command: tuple[str, ...] = SERVE) -> AsyncIterator[Side]:
    with folder(size) as directory, stub(size, directory) as broker:
        made = Engine(directory, broker.url, command)
        try:
            made.start()
            await made.set_up(size.lanes)
            async with traffic(size, made.running, broker, made.paths) as flowing:
                yield Side(made.running, flowing)
        except (Lost, OSError) as lost:
            said = " / ".join(made.running.said[-3:])
            raise Lost(f"{str(lost) or type(lost).__name__}; the engine's last words: {said}") from None
        finally:
            made.stop()


@asynccontextmanager
async def traffic(size: Size, server: Child, broker: Child, paths: list[str]) -> AsyncIterator[Traffic]:
    _pin(size, server, broker)
    async with Watch(broker.url) as watch, Client(server.url) as client:
        yield Traffic(client, watch, paths)


def _pin(size: Size, server: Child, *others: Child) -> None:
    """The server alone on the last core, everybody else on the others."""
    cores = list(range(os.cpu_count() or 1))
    if size.pinned and len(cores) > 1:
        server.pin(cores[-1:])
        for other in others:
            other.pin(cores[:-1])
