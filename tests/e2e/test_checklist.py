"""The checklist of the system this one replaces, each line over real HTTP and WebSocket, named after its line."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.e2e.stage import Json, Stage, fresh, stage, until


@pytest.fixture
async def play(tmp_path: Path) -> AsyncIterator[Stage]:
    async with stage(tmp_path) as found:
        yield found


async def target_of(play: Stage) -> Json:
    """The one target that works at the broker."""

    async def one() -> Json | None:
        orders = await play.items("orders")
        found = [o for o in orders if o["purpose"] == "target" and o["status"] == "working"]
        assert len(found) <= 1
        return found[0] if found else None

    found: Json = await until(one, "a working target")
    return found


async def test_long_entry_market_order_fills_tp_limit_placed_tp_hits_position_closes_by_sell(play: Stage) -> None:
    recorder = await play.recorder()
    signal = await recorder.trade("buy")
    assert (signal["status"], signal["outcome"]) == ("done", "filled")
    position = await play.position(side="LONG", quantity=1, protected=True)
    assert [t["price"] for t in position["targets"]] == ["25005"]
    target = await target_of(play)
    assert (target["action"], target["order_type"], target["quantity"]) == ("Sell", "Limit", 1)
    await play.price("25005")
    (trade,) = await play.closed_trades(1)
    assert [f["action"] for f in await play.fills()] == ["Buy", "Sell"]
    assert (trade["exit_reason"], trade["pnl"], trade["pnl_ticks"]) == ("target", "10", "20")
    assert (trade["entry_price"], trade["exit_price"]) == ("25000", "25005")
    await play.books_match()
    assert await play.net() == 0


async def test_short_entry_market_order_fills_tp_limit_placed_tp_hits_position_closes_by_buy_never_sell(
    play: Stage,
) -> None:
    recorder = await play.recorder(quantity=3)
    await recorder.trade("sell")
    await play.position(side="SHORT", quantity=3, protected=True)
    target = await target_of(play)
    assert (target["action"], target["quantity"], target["price"]) == ("Buy", 3, "24995")
    await play.price("24995")
    (trade,) = await play.closed_trades(1)
    assert [(f["action"], f["qty"]) for f in await play.fills()] == [("Sell", 3), ("Buy", 3)]
    assert (trade["side"], trade["pnl"]) == ("SHORT", "30")
    await play.books_match()
    assert await play.net() == 0


@pytest.mark.parametrize("update", ["modify", "replace"])
@pytest.mark.parametrize(
    ("action", "second", "third", "average", "target"),
    [("buy", "24990", "24980", "24990", "24995"), ("sell", "25010", "25020", "25010", "25005")],
    ids=["DCA LONG", "DCA SHORT"],
)
async def test_dca_added_old_target_gone_exactly_one_target_whole_quantity_at_the_new_average(
    play: Stage, action: str, second: str, third: str, average: str, target: str, update: str
) -> None:
    recorder = await play.recorder(target_update=update)
    for price in ("25000", second, third):
        await play.price(price)
        assert (await recorder.trade(action))["outcome"] == "filled"
        await play.position(protected=True)
    position = await play.position(quantity=3, protected=True, average_price=average)
    assert [(t["price"], t["quantity"]) for t in position["targets"]] == [(target, 3)]
    assert len(await play.working()) == 1
    await play.price(target)
    (trade,) = await play.closed_trades(1)
    assert (trade["quantity"], Decimal(trade["pnl"])) == (3, Decimal(30))
    await play.books_match()


async def test_broker_refuses_with_a_failure_reason_nothing_recorded_as_a_trade_and_the_reason_is_shown(
    play: Stage,
) -> None:
    recorder = await play.recorder()
    fault = "failure:MaxOrderQtyLimitReached:Your maximum order quantity has been met."
    await play.control("faults", fault=fault, endpoint="order/placeorder")
    signal = await recorder.trade("buy")
    assert signal["outcome"] == "rejected"
    assert "Your maximum order quantity has been met." in signal["reason"]
    assert await play.items("trades") == []
    assert await play.items("positions") == []
    await play.books_match()


async def test_broker_refuses_by_an_order_id_followed_by_a_risk_rejection_nothing_recorded_and_the_reason_is_shown(
    play: Stage,
) -> None:
    recorder = await play.recorder()
    fault = "late_reject:LiquidationOnly:Your account is set to liquidation only."
    await play.control("faults", fault=fault, endpoint="order/placeorder")
    signal = await recorder.trade("buy")
    assert signal["outcome"] == "rejected"
    assert "Your account is set to liquidation only." in signal["reason"]
    assert await play.items("trades") == []
    await play.books_match()


@pytest.mark.parametrize("when", ["before", "after"])
async def test_broker_answers_with_an_empty_object_and_looking_decides(play: Stage, when: str) -> None:
    recorder = await play.recorder()
    await play.control("faults", fault="empty", endpoint="order/placeorder", when=when)
    signal = await recorder.trade("buy")
    if when == "after":
        assert signal["outcome"] == "filled"
        await play.position(quantity=1, protected=True)
    else:
        assert signal["outcome"] == "not_placed"
        assert await play.items("trades") == []
    await play.books_match()


async def test_target_fills_at_the_broker_no_redundant_close(play: Stage) -> None:
    recorder = await play.recorder()
    await recorder.trade("buy")
    await play.position(protected=True)
    await play.price("25005")
    await play.closed_trades(1)
    signal = await recorder.trade("close")
    assert signal["outcome"] == "no_action"
    assert [f["action"] for f in await play.fills()] == ["Buy", "Sell"]
    assert [o["purpose"] for o in await play.items("orders") if o["purpose"] == "close"] == []
    await play.books_match()


@pytest.mark.parametrize("delay_ms", [0, 1, 2, 4, 7, 11, 16, 25, 40])
@pytest.mark.parametrize("first", ["fill", "close"])
async def test_a_close_alert_at_the_instant_the_target_fills_never_flips(
    play: Stage, first: str, delay_ms: int
) -> None:
    import asyncio

    recorder = await play.recorder(quantity=2)
    await recorder.trade("sell")
    await play.position(protected=True)
    loop = asyncio.get_running_loop()

    async def at(moment: float, act: str) -> str:
        await asyncio.sleep(max(moment - loop.time(), 0))  # the timing is what this test is about
        if act == "fill":
            await play.price("24995")
            return ""
        return await recorder.alert({"action": "close", "ticker": "MNQ1!", "id": fresh()})

    start, later = loop.time() + 0.01, delay_ms / 1000
    order = ("fill", "close") if first == "fill" else ("close", "fill")
    found = await asyncio.gather(at(start, order[0]), at(start + later, order[1]))
    signal = await play.outcome(next(s for s in found if s))
    assert signal["outcome"] in ("filled", "no_action")
    await play.closed_trades(1)
    await play.books_match()
    held = 0
    for fill in sorted(await play.fills(), key=lambda f: f["id"]):
        held += fill["qty"] * (1 if fill["action"] == "Buy" else -1)
        assert held <= 0, "the short became a long"
    assert held == 0


async def test_after_each_trade_the_books_and_the_broker_agree(play: Stage) -> None:
    recorder = await play.recorder(stop={"distance": "40", "unit": "ticks"})
    for action, price in (("buy", "25005"), ("sell", "25015"), ("buy", "25020"), ("sell", "25015")):
        await recorder.trade(action)
        await play.position(protected=True)
        await play.price(price)
        await play.books_match()
    await recorder.trade("close")
    await play.books_match()
    made = sum((Decimal(t["pnl"]) for t in await play.items("trades", status="closed")), Decimal(0))
    assert made == await play.made()
