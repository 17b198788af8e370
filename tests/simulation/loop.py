"""An event loop without an outside: time jumps to the next timer, threads run in place, nothing differs twice.

Three things of asyncio depend on the machine: the clock, worker threads, and the order of sets of tasks (a task
hashes by its address). Here the clock is virtual, `run_in_executor` calls at once, and tasks hash by their number.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from datetime import UTC, datetime, timedelta
from functools import partial
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


class _Handle(asyncio.Handle):
    """asyncio's, without the questions of its debug mode."""

    __slots__ = ()

    def __init__(  # the base's would ask the loop for its debug mode each time
        self, callback: Callable[..., object], args: tuple[Any, ...], loop: asyncio.AbstractEventLoop, context: Context
    ) -> None:
        self._context = context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = self._source_traceback = None


class _Timer(float):
    """A handle that is its own time: a heap of these compares numbers and calls no Python."""

    __slots__ = ("_args", "_callback", "_cancelled", "_context", "_loop", "_scheduled")

    _args: tuple[Any, ...] | None
    _callback: Callable[..., object] | None
    _cancelled: bool
    _context: Context
    _loop: SeededLoop
    _scheduled: bool

    def __new__(
        cls, when: float, callback: Callable[..., object], args: tuple[Any, ...], loop: SeededLoop, context: Context
    ) -> _Timer:
        made = super().__new__(cls, when)
        made._callback, made._args, made._context, made._loop = callback, args, context, loop
        made._cancelled, made._scheduled = False, True
        return made

    def cancel(self) -> None:
        if not self._cancelled:
            self._loop.one_is_cancelled(self._scheduled)
            self._cancelled = True
            self._callback = self._args = None

    def cancelled(self) -> bool:
        return self._cancelled

    def when(self) -> float:
        return float(self)


class SeededLoop(asyncio.BaseEventLoop):
    _ready: deque[Any]
    _stopping: bool
    _clock_resolution: float

    def __init__(self, began: datetime = BEGAN) -> None:
        super().__init__()
        self.began = began
        self.slip = timedelta(0)
        """How far the engine's clock is ahead of everybody else's."""
        self._now = _ZERO
        self._wall = (_ZERO, began)
        self._timers: list[_Timer] = []
        self._cancelled = 0
        self._selector = self
        _Numbered._numbers = itertools.count(1)
        self.set_task_factory(lambda loop, coro, **more: _Numbered(coro, loop=loop, **more))

    def time(self) -> float:
        return self._now

    def call_soon(  # type: ignore[override]  # without tying the arguments to the callback
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = _Handle(callback, args, self, copy_context() if context is None else context)
        self._ready.append(handle)
        return handle

    def call_at(  # type: ignore[override]  # a timer in all but name
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> _Timer:
        timer = _Timer(when, callback, args, self, copy_context() if context is None else context)
        heapq.heappush(self._timers, timer)
        return timer

    def call_later(  # type: ignore[override]  # a timer in all but name
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> _Timer:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def one_is_cancelled(self, scheduled: bool) -> None:
        self._cancelled += scheduled

    def _run_once(self) -> None:
        """As `BaseEventLoop` does it: what is ready now, or else the next timers, whose time has come then."""
        self._forget_cancelled()
        ready, timers = self._ready, self._timers
        if not ready and not self._stopping:
            if not timers:
                raise Stuck("everybody waits for nobody")
            self._now += max(0.0, timers[0] - self._now)
        until = self._now + self._clock_resolution
        while timers and timers[0] < until:
            timer = heapq.heappop(timers)
            timer._scheduled = False
            ready.append(timer)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                try:
                    handle._context.run(handle._callback, *handle._args)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:
                    self.call_exception_handler({"message": "a callback failed", "exception": error})

    def _forget_cancelled(self) -> None:
        timers = self._timers
        if len(timers) > 100 and self._cancelled / len(timers) > 0.5:
            self._timers = timers = [timer for timer in timers if not timer._cancelled]
            heapq.heapify(timers)
            self._cancelled = 0
        while timers and timers[0]._cancelled:
            heapq.heappop(timers)._scheduled = False
            self._cancelled -= 1

    def wall_clock(self) -> datetime:
        """The moment it is now; made once for each."""
        at, moment = self._wall
        if at != self._now:
            moment = self.began + timedelta(seconds=self._now - _ZERO)
            self._wall = (self._now, moment)
        return moment

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


def running() -> SeededLoop:
    found = asyncio.get_running_loop()
    assert isinstance(found, SeededLoop)
    return found


def clock() -> datetime:
    """The wall clock of the running loop, as the broker's is."""
    return running().wall_clock()


def engine_clock() -> datetime:
    """The clock of the engine's machine, which somebody may set."""
    found = running()
    return found.wall_clock() + found.slip if found.slip else found.wall_clock()


def seconds() -> float:
    """Virtual seconds since the loop began."""
    return asyncio.get_running_loop().time() - _ZERO


def run(work: Coroutine[Any, Any, T], began: datetime = BEGAN) -> T:
    with asyncio.Runner(loop_factory=partial(SeededLoop, began)) as runner:
        return runner.run(work)
