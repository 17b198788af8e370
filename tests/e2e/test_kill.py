"""The process is killed at any moment of the main job and started again: same end.

"The same end" is: every accepted alert has one outcome, no intent became two orders, what is held is protected,
and the books are the broker's. An entry whose request was still on its way may end as `not_placed`, and then it
never trades; whether it arrived is the broker's to say, so the test asks the broker's ledger.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.crashes import Crashes
from tests.e2e.process import EngineProcess
from tests.e2e.stage import Json, Recorder, Stage, fresh, paper, until


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


@dataclass(frozen=True)
class Point:
    """A named moment to die at: a call left, and was carried out (`after`), not yet (`before`) or never (`lost`)."""

    doing: str
    endpoint: str
    when: str

    def __str__(self) -> str:
        return f"{self.doing}: {self.endpoint} {self.when}"


POINTS = [
    Point(doing, f"order/{endpoint}", when)
    for doing, endpoint in (
        ("entering", "placeorder"),
        ("protecting", "placeoco"),
        ("adding", "placeorder"),
        ("moving", "modifyorder"),
        ("cancelling", "cancelorder"),
        ("closing", "placeorder"),
    )
    for when in ("before", "after")
]
STALLED = 1.2
"""Seconds the answer is held back: shorter than the two a lost order is looked for here."""


@pytest.mark.parametrize("half", [POINTS[:6], POINTS[6:]], ids=["opening", "ending"])
async def test_killed_at_every_named_point_of_a_trade(theatre: Theatre, half: list[Point]) -> None:
    """Each call of a trade is under way, carried out or not, when the engine dies. Nothing doubles or is left bare."""
    for point in half:
        signal_id = await _die_at(theatre, point)
        play = await theatre.again()
        outcome = (await play.outcome(signal_id))["outcome"]
        assert outcome in ("filled", "not_placed"), f"{point}: {outcome}"
        await all_is_well(play)
        if await play.net():
            closing = await theatre.recorder.trade("close")
            assert closing["outcome"] == "filled", str(point)
        assert await play.net() == 0, str(point)


LIQUIDATING = [
    Point("liquidating", "order/placeorder", "lost"),
    *(Point("liquidating", "order/liquidateposition", when) for when in ("before", "after", "lost")),
]
"""A closing order that never arrived is looked for in vain, and then the broker is asked to liquidate."""


async def test_killed_at_every_named_point_of_a_liquidation(theatre: Theatre) -> None:
    """Its request names no order of ours: only the broker's position and fills tell whether it was carried out."""
    for number, point in enumerate(LIQUIDATING, 1):
        signal_id = await _die_at(theatre, point)
        play = await theatre.again()
        outcome = await play.outcome(signal_id)
        assert outcome["outcome"] == "filled", f"{point}: {outcome}"
        await all_is_well(play)
        assert await play.net() == 0, str(point)
        assert not await play.working(), str(point)
        fills = await play.fills()
        assert len(fills) == 2 * number, f"{point}: one fill opens and one closes: {fills}"
        trades = await play.closed_trades(number)
        assert [trade["exit_reason"] for trade in trades] == ["close"] * number, str(point)
        assert await _calls(play, "order/liquidateposition") >= number, f"{point}: nothing was liquidated"


async def _die_at(theatre: Theatre, point: Point) -> str:
    play, recorder = theatre.play, theatre.recorder
    if point.doing not in ("entering", "protecting"):
        await recorder.trade("buy")
        await play.position(protected=True)
    if point.endpoint == "order/liquidateposition":
        await play.control("faults", fault="lose_request", endpoint="order/placeorder", nth=1)
    await play.control("faults", **_fault(point), endpoint=point.endpoint, nth=1)
    before = await _calls(play, point.endpoint)
    action = "close" if point.doing in ("cancelling", "closing", "liquidating") else "buy"
    signal_id = await recorder.alert({"action": action, "ticker": "MNQ1!", "id": fresh()})

    async def under_way() -> bool:
        return await _calls(play, point.endpoint) > before

    await until(under_way, f"the call of {point}")
    await theatre.engine.kill()
    await play.broker.delete("/control/faults")
    return signal_id


def _fault(point: Point) -> Json:
    return {"fault": "lose_request"} if point.when == "lost" else {"fault": f"stall:{STALLED}", "when": point.when}


async def _calls(play: Stage, endpoint: str) -> int:
    asked: dict[str, int] = (await play.broker.get("/control/requests")).json()
    return asked.get(endpoint, 0)


CHANGING = [f"order/{name}" for name in ("placeorder", "placeoco", "placeoso", "modifyorder", "cancelorder")]


async def test_killed_while_the_disk_takes_nothing_nothing_had_left_and_nothing_was_acknowledged(
    theatre: Theatre, tmp_path: Path
) -> None:
    """Saved first, then sent and answered: with somebody else writing in the database, neither happens."""
    play = theatre.play
    recorder = await play.recorder(name="two", quantity=2)
    await play.control("liquidity", lot=1, depth=1)
    signal_id = await recorder.alert({"action": "buy", "ticker": "MNQ1!", "id": fresh()})
    await play.position(quantity=1)
    with closing(sqlite3.connect(tmp_path / "engine.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        before = [await _calls(play, endpoint) for endpoint in CHANGING]
        await play.price("25000.25")  # the second contract fills, and all of it wants its target
        webhook = f"/webhook/{recorder.token}"
        answer = await play.http.post(webhook, json={"action": "buy", "ticker": "MNQ1!", "id": fresh()})
        assert answer.status_code == 503
        assert [await _calls(play, endpoint) for endpoint in CHANGING] == before
        await theatre.engine.kill()
    play = await theatre.again()
    assert (await play.outcome(signal_id))["outcome"] == "filled"
    await play.position(quantity=2, protected=True)
    await all_is_well(play)


@pytest.mark.parametrize("seed", [1, 2])
async def test_killed_at_ten_random_moments_under_load(tmp_path: Path, seed: int) -> None:
    day = Crashes(tmp_path, kills=10, seed=seed)
    assert await day.run() == []
    assert len(day.acknowledged) > 10, "hardly anything was under way: the kills proved nothing"


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
