"""What the broker took for a round trip stands beside its P&L."""

from __future__ import annotations

from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path

from tests.e2e.process import EngineProcess
from tests.e2e.stage import Json, Stage, paper, stage, until

AMOUNTS = ("clearingFee", "exchangeFee", "nfaFee", "brokerageFee", "ipFee", "orderRoutingFee", "commission")


async def taken(play: Stage) -> Decimal:
    """What the broker's own ledger says, every fee of every fill."""
    rows = (await play.ledger())["fillFee"]
    return sum((Decimal(str(row[name])) for row in rows for name in AMOUNTS if name in row), Decimal(0))


async def fees_match(play: Stage) -> None:
    wanted = await taken(play)
    assert wanted > 0

    async def same() -> bool:
        trades: list[Json] = await play.items("trades")
        return sum((Decimal(trade["fees"] or 0) for trade in trades), Decimal(0)) == wanted

    await until(same, f"the trades' fees to be {wanted}")
    fills = await play.items("fills", limit=500)
    assert sum((Decimal(fill["fee"]) for fill in fills), Decimal(0)) == wanted


async def test_a_round_trip_shows_what_the_broker_took(tmp_path: Path) -> None:
    async with stage(tmp_path) as play:
        recorder = await play.recorder(quantity=3)
        await play.control("liquidity", lot=2)
        await recorder.trade("buy")
        await play.position(quantity=3, protected=True)
        await fees_match(play)
        await play.price("25005")
        (trade,) = await play.closed_trades(1)
        assert trade["pnl"] == "30"
        await fees_match(play)


async def test_fees_of_fills_while_the_engine_is_dead_are_told_by_the_next_sync(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(paper(tmp_path))
        engine = EngineProcess(tmp_path, url)
        stack.push_async_callback(engine.kill)
        await engine.start()
        play = await engine.on_stage(stack)
        await play.price("25000")
        recorder = await play.recorder()
        await recorder.trade("buy")
        await play.position(protected=True)
        await engine.kill()
        await play.price("25005")
        await engine.start()
        play = await engine.on_stage(stack)
        await play.closed_trades(1)
        await fees_match(play)
