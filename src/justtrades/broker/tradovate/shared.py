"""One read for all who ask at the same time; nobody gets one that began before they asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from justtrades.broker.port import Asker, Unreachable

T = TypeVar("T")
Askers = tuple[Asker | None, ...]
"""Who shares a read; None for one whom no order in doubt made ask."""


async def at_once() -> None:
    """No pause."""


class Shared(Generic[T]):
    """One read for all who ask before it begins; whoever asks later shares the next one. `pause` comes before it."""

    def __init__(self, read: Callable[[Askers], Awaitable[T]], pause: Callable[[], Awaitable[None]] = at_once) -> None:
        self._read = read
        self._pause = pause
        self._asking: list[Asker | None] = []
        self._running: asyncio.Task[T] | None = None
        self._next: asyncio.Task[T] | None = None
        self._over = False

    @property
    def coming(self) -> bool:
        """Somebody waits for a read that has not begun yet."""
        return self._next is not None

    async def get(self, asker: Asker | None = None) -> T:
        """Raises what the read raises, and `Unreachable` once this was cancelled: nothing begins after the end."""
        if self._over:
            raise Unreachable("offline", "the connection was closed")
        self._asking.append(asker)
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._running))
            self._next.add_done_callback(noticed)
        return await asyncio.shield(self._next)

    async def _after(self, running: asyncio.Task[T] | None) -> T:
        if running is not None:
            await asyncio.wait({running})
        await self._pause()
        self._running, self._next = self._next, None
        asking, self._asking = tuple(self._asking), []
        return await self._read(asking)

    def cancel(self) -> list[asyncio.Task[T]]:
        """What was under way, and is about to end."""
        self._over = True
        under_way = [task for task in (self._running, self._next) if task is not None]
        for task in under_way:
            task.cancel()
        return under_way


def noticed(task: asyncio.Task[Any]) -> None:
    """All who asked may have been cancelled; the failure was theirs to hear, nobody else's."""
    if not task.cancelled():
        task.exception()


def doubting(asking: Askers) -> tuple[Asker, ...]:
    return tuple(asker for asker in asking if asker is not None)
