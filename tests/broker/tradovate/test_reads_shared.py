"""A read that many share, and that nobody can begin once its login is over."""

from __future__ import annotations

import asyncio

import pytest

from justtrades.broker.port import Unreachable
from justtrades.broker.tradovate.shared import Shared
from tests.broker.tradovate.virtual import run


def test_no_read_begins_after_the_end() -> None:
    begun: list[str] = []

    async def read(_: object) -> None:
        begun.append("read")
        await asyncio.sleep(60)

    async def play() -> None:
        shared = Shared(read)
        first = asyncio.ensure_future(shared.get())
        await asyncio.sleep(1)
        shared.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        with pytest.raises(Unreachable, match="closed"):
            await shared.get()
        assert len(asyncio.all_tasks()) == 1, "nothing is left running"

    run(play())
    assert begun == ["read"]
