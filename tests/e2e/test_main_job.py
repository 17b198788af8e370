"""The rest of the main job over real HTTP and WebSocket: partial fills, stops, several accounts, people, databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.process import EngineProcess
from tests.e2e.stage import Recorder, Stage, fresh, paper, stage, until


@pytest.fixture
async def play(tmp_path: Path) -> AsyncIterator[Stage]:
    async with stage(tmp_path) as found:
        yield found


async def test_an_order_that_fills_in_parts_ends_with_one_target_for_all_of_it(play: Stage) -> None:
    recorder = await play.recorder(quantity=7)
    await play.control("liquidity", lot=2)
    assert (await recorder.trade("buy"))["outcome"] == "filled"
    position = await play.position(quantity=7, protected=True)
    assert [t["quantity"] for t in position["targets"]] == [7]
    assert [f["qty"] for f in await play.fills()] == [2, 2, 2, 1]
    await play.price("25005")
    (trade,) = await play.closed_trades(1)
    assert (trade["quantity"], trade["pnl"]) == (7, "70")
    await play.books_match()


async def test_a_reversal_is_two_ordered_steps(play: Stage) -> None:
    recorder = await play.recorder(quantity=2)
    await recorder.trade("buy")
    await play.position(side="LONG", protected=True)
    assert (await recorder.trade("sell"))["outcome"] == "filled"
    await play.position(side="SHORT", quantity=2, protected=True)
    held, seen = 0, []
    for fill in await play.fills():
        held += fill["qty"] * (1 if fill["action"] == "Buy" else -1)
        seen.append(held)
    assert seen == [2, 0, -2]
    (trade,) = await play.closed_trades(1)
    assert trade["exit_reason"] == "reverse"
    await play.books_match()


async def test_the_stop_fills_while_the_engine_is_dead_and_takes_the_target_with_it(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(paper(tmp_path))
        engine = EngineProcess(tmp_path, url)
        stack.push_async_callback(engine.kill)
        await engine.start()
        play = await engine.on_stage(stack)
        await play.price("25000")
        recorder = await play.recorder(stop={"distance": "40", "unit": "ticks"})
        await recorder.trade("buy")
        await play.position(protected=True)
        await engine.kill()
        await play.price("24990")
        assert await play.working() == []
        await engine.start()
        play = await engine.on_stage(stack)
        (trade,) = await play.closed_trades(1)
        assert (trade["exit_reason"], trade["pnl"], trade["sl_price"]) == ("stop", "-20", "24990")
        await play.books_match()


async def test_one_alert_trades_each_account_with_its_multiplier(tmp_path: Path) -> None:
    async with stage(tmp_path, paper_over={"accounts": 3}) as play:
        accounts = [row["id"] for row in await play.items("accounts")]
        routes = [{"account_id": a, "multiplier": m} for a, m in zip(accounts, ("1", "2.5", "0.4"), strict=True)]
        recorder = await play.recorder(quantity=2, routes=routes)
        signal = await recorder.trade("buy")
        found = {r["account_id"]: r["outcome"] for r in signal["routes"]}
        assert found == {accounts[0]: "filled", accounts[1]: "filled", accounts[2]: "blocked"}
        assert signal["outcome"] == "filled"
        held = {row["account_id"]: row["quantity"] for row in await play.items("positions")}
        assert held == {accounts[0]: 2, accounts[1]: 5}
        assert len(await play.items("trades")) == 2


async def test_the_same_alert_twice_at_once_is_one_signal_and_one_order(play: Stage) -> None:
    recorder = await play.recorder()
    body = {"action": "buy", "ticker": "MNQ1!", "time": "2026-11-23T15:00:00Z"}
    url = f"/webhook/{recorder.token}"
    answers = await asyncio.gather(*(play.http.post(url, json=body) for _ in range(10)))
    assert sorted(a.status_code for a in answers) == [200] * 9 + [202]
    assert len({a.json()["signal_id"] for a in answers}) == 1
    await play.position(quantity=1, protected=True)
    assert len(await play.fills()) == 1


async def test_a_person_closes_flattens_and_kills(play: Stage) -> None:
    recorder = await play.recorder()
    await recorder.trade("buy")
    position = await play.position(protected=True)
    where = {"account_id": position["account_id"], "contract": position["contract"]}
    answer = await play.http.post("/api/v1/positions/close", json=where)
    assert answer.status_code in (200, 202)
    (trade,) = await play.closed_trades(1)
    assert trade["exit_reason"] == "close"
    await recorder.trade("sell")
    await play.position(protected=True)
    assert (await play.http.post("/api/v1/flatten", json={})).status_code in (200, 202)
    await play.closed_trades(2)
    await play.http.put("/api/v1/kill", json={"on": True, "reason": "enough for today"})
    assert (await recorder.trade("buy"))["outcome"] == "killed"
    assert (await play.get("kill"))["on"] is True
    await play.http.put("/api/v1/kill", json={"on": False, "reason": "a new day"})
    assert (await recorder.trade("buy"))["outcome"] == "filled"
    await play.books_match()


async def test_a_dropped_socket_loses_no_fill(play: Stage) -> None:
    recorder = await play.recorder()
    await recorder.trade("buy")
    await play.position(protected=True)
    await play.control("faults", fault="drop_socket")
    await play.price("25005")
    (trade,) = await play.closed_trades(1)
    assert trade["exit_reason"] == "target"
    await play.books_match()


async def test_a_lost_answer_doubles_nothing(play: Stage) -> None:
    recorder = await play.recorder()
    await play.control("faults", fault="lose_answer", endpoint="order/placeorder")
    assert (await recorder.trade("buy"))["outcome"] == "filled"
    await play.position(quantity=1, protected=True)
    assert len(await play.fills()) == 1
    await play.books_match()


async def test_a_target_whose_answer_is_lost_is_found_and_not_doubled(play: Stage) -> None:
    recorder = await play.recorder()
    await play.control("faults", fault="lose_answer", endpoint="order/placeorder", nth=2)
    await recorder.trade("buy")
    await play.position(quantity=1, protected=True)
    assert len(await play.working()) == 1
    await play.books_match()


async def test_a_server_error_after_acting_is_looked_up(play: Stage) -> None:
    recorder = await play.recorder()
    await play.control("faults", fault="status:502", endpoint="order/placeorder", when="after")
    assert (await recorder.trade("sell"))["outcome"] == "filled"
    await play.position(quantity=1, protected=True)
    assert len(await play.fills()) == 1


async def test_a_position_closed_by_hand_closes_the_trade_and_takes_the_target_back(play: Stage) -> None:
    recorder = await play.recorder()
    await recorder.trade("buy")
    await play.position(protected=True)
    account = (await play.items("accounts"))[0]["name"]
    await play.control("hand", account=account, symbol=await play.symbol(), action="Sell", qty=1)
    (trade,) = await play.closed_trades(1)
    assert trade["exit_reason"] == "manual"

    async def no_order_left() -> bool:
        return not await play.working()

    await until(no_order_left, "the target to be withdrawn")
    assert await play.net() == 0


@pytest.mark.postgres
async def test_the_main_job_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    over: dict[str, Any] = {"database_url": postgres_url}
    async with stage(tmp_path, **over) as play:
        recorder: Recorder = await play.recorder()
        assert (await recorder.trade("buy"))["outcome"] == "filled"
        await play.position(protected=True)
        await play.price("25005")
        (trade,) = await play.closed_trades(1)
        assert Decimal(trade["pnl"]) == 10
        again = await recorder.alert({"action": "close", "ticker": "MNQ1!", "id": fresh()})
        assert (await play.outcome(again))["outcome"] == "no_action"
