"""Fees go to the books past the lanes: they hold up nothing and nothing holds them up for good."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from justtrades.broker.port import FeeReport
from justtrades.positions.model import BrokerAccountId, ContractName, FillId, Verb
from tests.broker.tradovate.virtual import settle
from tests.desk.fakes import FIRST, MNQ, World, played

_FEES = "select fees from recorded_trades"


@played()
async def test_what_a_fill_cost_is_on_its_trade(here: World) -> None:
    await here.trade(Verb.BUY)
    (_, fill), *_ = here.broker.fills
    here.broker.tell(FeeReport(FIRST, MNQ, fill.id, Decimal("0.37")))
    await here.until(lambda: here.saved(_FEES) == [("0.37",)])


@played()
async def test_fees_wait_for_a_full_disk_and_the_newest_wins(here: World) -> None:
    await here.trade(Verb.BUY)
    (_, fill), *_ = here.broker.fills
    here.database.full = True
    here.broker.tell(FeeReport(FIRST, MNQ, fill.id, Decimal("0.37")))
    await settle()
    here.broker.tell(FeeReport(FIRST, MNQ, fill.id, Decimal("0.42")))
    await settle()
    assert here.saved(_FEES) == [(None,)]
    here.database.full = False
    await here.until(lambda: here.saved(_FEES) == [("0.42",)])


@played()
async def test_a_whole_sessions_fees_are_a_few_writes(here: World) -> None:
    await here.trade(Verb.BUY)
    before = here.database.commits
    for number in range(1000):
        here.broker.tell(FeeReport(FIRST, MNQ, FillId(str(number)), Decimal("0.37")))
    await here.until(lambda: here.saved("select count(*) from fill_fees") == [(1000,)])
    assert here.database.commits - before < 10


@played()
async def test_fees_of_lanes_we_never_traded_are_not_kept(here: World) -> None:
    await here.trade(Verb.BUY)
    here.broker.tell(FeeReport(FIRST, ContractName("ESZ6"), FillId("7"), Decimal(1)))
    here.broker.tell(FeeReport(BrokerAccountId("9"), MNQ, FillId("8"), Decimal(1)))
    await asyncio.sleep(1)
    assert here.saved("select * from fill_fees") == []


@played()
async def test_a_fee_does_not_make_a_lane_ask_again(here: World) -> None:
    login = here.desk._links[next(iter(here.brokers))].login
    assert login is not None
    here.broker.tell(FeeReport(FIRST, MNQ, FillId("7"), Decimal(1)))
    await settle()
    assert login.last_seen(FIRST, MNQ) is not None
