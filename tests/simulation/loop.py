"""An event loop without an outside: time jumps to the next timer, threads run in place, nothing differs twice.

Three things of asyncio depend on the machine: the clock, worker threads, and the order of sets of tasks (a task
hashes by its address). Here the clock is virtual, `run_in_executor` calls at once, and tasks hash by their number.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")
BEGAN = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
"""A Monday, two hours after the open in New York: no session ends within a schedule."""
_ZERO = 1000.0


class Stuck(Exception):
    """Everybody waits and no timer is set."""


class _Numbered(asyncio.Task[T]):
    """A task whose place in a set is the same in every run."""

    _numbers = itertools.count(1)

    def __init__(self, coro: Coroutine[Any, Any, T], **options: Any) -> None:
        self.number = next(self._numbers)
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        return self.number


class SeededLoop(asyncio.BaseEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self._now = _ZERO
        self._selector = self
        _Numbered._numbers = itertools.count(1)
        self.set_task_factory(lambda loop, coro, **more: _Numbered(coro, loop=loop, **more))

    def time(self) -> float:
        return self._now

    def select(self, timeout: float | None) -> list[Any]:
        """What `BaseEventLoop` calls when nothing is ready: the time of the next timer has come."""
        if timeout is None:
            raise Stuck("everybody waits for nobody")
        self._now += timeout
        return []

    def run_in_executor(self, _executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]  # no thread, so no hop
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # the thread's error belongs to whoever awaits it
            future.set_exception(error)
        return future

    def _process_events(self, _events: list[Any]) -> None:
        return None

    def _write_to_self(self) -> None:
        return None


def clock() -> datetime:
    """The wall clock of the running loop."""
    return BEGAN + timedelta(seconds=asyncio.get_running_loop().time() - _ZERO)


def seconds() -> float:
    """Virtual seconds since the loop began."""
    return asyncio.get_running_loop().time() - _ZERO


def run(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=SeededLoop) as runner:
        return runner.run(work)
