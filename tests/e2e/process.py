"""The engine as a process of its own, to be killed and started again."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.e2e.stage import Stage, until


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class EngineProcess:
    """`justtrades serve` on a database in `folder`, trading at a broker that lives elsewhere."""

    folder: Path
    paper_url: str
    port: int = field(default_factory=free_port)
    environment: dict[str, str] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None

    @property
    def key(self) -> str:
        return (self.folder / "engine.admin").read_text(encoding="ascii").strip()

    async def start(self) -> None:
        await self.begin()
        await until(self.answers, "the engine to answer", 60)

    async def begin(self) -> None:
        """The process, which is not ready yet."""
        given = {
            "PORT": str(self.port),
            "DATABASE_URL": f"sqlite+aiosqlite:///{self.folder / 'engine.db'}",
            "PAPER_URL": self.paper_url,
            "PAPER_MARKET": "walk",
            "BUDGET_PER_MINUTE": "5000",
            "BUDGET_PER_HOUR": "100000",
            "SETTLE_SECONDS": "2",
            **self.environment,
        }
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "justtrades",
            "serve",
            env={**os.environ, **{f"JUSTTRADES_{name}": value for name, value in given.items()}},
            cwd=self.folder,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )

    async def answers(self) -> bool:
        assert self.process is not None
        assert self.process.returncode is None, f"the engine ended with {self.process.returncode}"
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"http://127.0.0.1:{self.port}/healthz")).status_code == 200
        except httpx.HTTPError:
            return False

    async def kill(self) -> None:
        """As the power would: nothing is told, nothing is flushed."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def on_stage(self, stack: AsyncExitStack) -> Stage:
        """What a test asks of the engine; the key changes with each start."""
        headers = {"Authorization": f"Bearer {self.key}"}
        url = f"http://127.0.0.1:{self.port}"
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, headers=headers, timeout=10))
        root = self.paper_url.removesuffix("/v1")
        broker = await stack.enter_async_context(httpx.AsyncClient(base_url=root, timeout=10))
        found = Stage(url, broker, http)
        await found.ready()
        return found
