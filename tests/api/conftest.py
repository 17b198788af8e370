from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.api.world import World
from tests.api.world import world as make_world


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with make_world() as made:
        yield made
