"""The process is killed at any moment of the main job and started again: same end.

"The same end" is: every accepted alert has one outcome, no intent became two orders, what is held is protected,
and the books are the broker's. An entry whose request was still on its way may end as `not_placed`, and then it
never trades; whether it arrived is the broker's to say, so the test asks the broker's ledger.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.process import EngineProcess
from tests.e2e.stage import Json, Recorder, Stage, fresh, paper

MOMENTS = [0, 3, 8, 15, 30, 60]
"""Milliseconds after the alert was sent."""


@dataclass
class Theatre:
    engine: EngineProcess
    stack: AsyncExitStack
    play: Stage
    recorder: Recorder

    async def again(self) -> Stage:
        """The curtain rises on the same database and the same broker."""
        await self.engine.kill()
        await self.engine.start()
        self.play = await self.engine.on_stage(self.stack)
        self.recorder = Recorder(self.play, self.recorder.id, self.recorder.token)
        return self.play

    async def kill_after(self, milliseconds: float, action: str) -> str | None:
        """Sends an alert and kills the engine so much later; the signal's id when it was acknowledged."""
        alert = asyncio.create_task(self.recorder.alert({"action": action, "ticker": "MNQ1!", "id": fresh()}))
        await asyncio.sleep(milliseconds / 1000)  # the moment of death is what this test is about
        await self.engine.kill()
        (found,) = await asyncio.gather(alert, return_exceptions=True)
        return found if isinstance(found, str) else None


@pytest.fixture
async def theatre(tmp_path: Path) -> AsyncIterator[Theatre]:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(paper(tmp_path))
        engine = EngineProcess(tmp_path, url)
        stack.push_async_callback(engine.kill)
        await engine.start()
        play = await engine.on_stage(stack)
        await play.price("25000")
        recorder = await play.recorder(stop={"distance": "80", "unit": "ticks"})
        yield Theatre(engine, stack, play, recorder)


async def all_is_well(play: Stage) -> None:
    await play.books_match()
    positions = await play.items("positions")
    for row in positions:
        await play.position(contract=row["contract"], protected=True)
    commands: list[Json] = (await play.ledger())["command"]
    sent = Counter(c["clOrdId"] for c in commands if c["commandType"] == "New" and c.get("clOrdId"))
    assert not [client_id for client_id, times in sent.items() if times > 1]


@pytest.mark.parametrize("moment", MOMENTS)
async def test_killed_while_entering(theatre: Theatre, moment: float) -> None:
    signal_id = await theatre.kill_after(moment, "buy")
    play = await theatre.again()
    if signal_id is not None:
        signal = await play.outcome(signal_id)
        assert signal["outcome"] in ("filled", "not_placed")
        assert await play.net() == (1 if signal["outcome"] == "filled" else 0)
    await all_is_well(play)


@pytest.mark.parametrize("moment", MOMENTS[1:4])
async def test_killed_while_adding(theatre: Theatre, moment: float) -> None:
    await theatre.recorder.trade("buy")
    await theatre.play.position(protected=True)
    signal_id = await theatre.kill_after(moment, "buy")
    play = await theatre.again()
    if signal_id is not None:
        assert (await play.outcome(signal_id))["outcome"] in ("filled", "not_placed")
    await all_is_well(play)
    position = await play.position(protected=True)
    assert [t["quantity"] for t in position["targets"]] == [position["quantity"]]


async def test_the_target_fills_while_the_engine_is_dead(theatre: Theatre) -> None:
    await theatre.recorder.trade("sell")
    await theatre.play.position(protected=True)
    await theatre.engine.kill()
    await theatre.play.price("24995")
    play = await theatre.again()
    (trade,) = await play.closed_trades(1)
    assert (trade["exit_reason"], trade["pnl"]) == ("target", "10")
    await all_is_well(play)
    assert await play.net() == 0


@pytest.mark.parametrize("moment", MOMENTS[1:5])
async def test_killed_while_closing(theatre: Theatre, moment: float) -> None:
    await theatre.recorder.trade("buy")
    await theatre.play.position(protected=True)
    signal_id = await theatre.kill_after(moment, "close")
    play = await theatre.again()
    if signal_id is not None:
        assert (await play.outcome(signal_id))["outcome"] == "filled"
        assert await play.net() == 0
    await all_is_well(play)


async def test_killed_again_and_again_through_a_day_of_alerts(theatre: Theatre) -> None:
    dice = random.Random(7)
    signals = []
    for _ in range(5):
        action = dice.choice(["buy", "sell", "close"])
        signals.append(await theatre.kill_after(dice.uniform(0, 80), action))
        play = await theatre.again()
        await play.price(str(25000 + dice.randint(-30, 30) * 0.25))
    for signal_id in signals:
        if signal_id is not None:
            assert (await theatre.play.outcome(signal_id))["outcome"] != "needs_attention"
    await all_is_well(theatre.play)


async def test_the_broker_dies_and_comes_back_with_its_ledger(tmp_path: Path) -> None:
    """The other way round: the simulator is killed, the engine lives on."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with AsyncExitStack() as stack:
        engine = EngineProcess(tmp_path, f"http://127.0.0.1:{port}/v1")
        stack.push_async_callback(engine.kill)
        async with paper(tmp_path, port=port):
            await engine.start()
            play = await engine.on_stage(stack)
            await play.price("25000")
            recorder = await play.recorder()
            await recorder.trade("buy")
            await play.position(protected=True)
        async with paper(tmp_path, port=port):
            await play.ready()
            await play.price("25005")
            (trade,) = await play.closed_trades(1)
            assert trade["exit_reason"] == "target"
            await all_is_well(play)
