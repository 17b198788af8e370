"""One log-in for the whole suite: a real broker gives five an hour."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from justtrades.broker.port import BrokerError
from justtrades.broker.tradovate import MemoryTokenBox
from justtrades.positions import contracts
from justtrades.positions.model import ContractName
from tests.broker.conformance.houses import SWITCH, CannotRun, House, demo, simulator
from tests.broker.conformance.stage import Stage


def front(root: str) -> ContractName:
    today = contracts.trade_date(datetime.now(UTC))
    symbol = contracts.parse_symbol(f"{root}1!", today)
    assert isinstance(symbol, contracts.Continuous)
    return ContractName(contracts.resolve(symbol, today).tradovate)


def _asked_for() -> House:
    try:
        return demo()
    except CannotRun as error:
        pytest.exit(f"conformance: {error}", returncode=2)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        if os.environ.get(SWITCH):
            yield _asked_for()
        else:
            symbols = {root: front(root) for root in ("MNQ", "MES")}
            yield await stack.enter_async_context(simulator(tmp_path_factory.mktemp("conformance"), symbols))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def opened(house: House) -> AsyncIterator[Stage]:
    stage = Stage(house, MemoryTokenBox())
    try:
        await stage.start(front("MNQ"))
        await stage.price()
    except (CannotRun, BrokerError, TimeoutError) as error:
        told = error if not isinstance(error, TimeoutError) else stage.broker.health.reason or "no answer in time"
        await stage.stop()
        pytest.exit(f"conformance: {told}", returncode=1)
    try:
        yield stage
        await stage.tidy()
        left = await stage.picture()
        assert left.quantity == 0, "the suite ends flat"
        assert not [o for o in left.orders if not o.status.ended and o.client_id in stage.placed], "and tidy"
    finally:
        await stage.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def stage(opened: Stage) -> AsyncIterator[Stage]:
    """The stage, flat and empty before and after every case."""
    await opened.breathe()
    try:
        yield opened
    finally:
        await opened.tidy()
