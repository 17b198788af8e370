"""An event loop whose clock jumps: when nothing is ready it is at once the time of the next timer."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")
BEGAN = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)


class _Jumping(selectors.SelectSelector):
    """Never waits: it lets the loop's clock run instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        assert timeout is not None, "everybody waits for nobody"
        self.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


def clock() -> datetime:
    """The wall clock that belongs to the running virtual loop."""
    return BEGAN + timedelta(seconds=asyncio.get_running_loop().time() - 1000.0)


async def settle() -> None:
    """Let everything that is ready run, without the clock moving on noticeably."""
    await asyncio.sleep(0.001)
