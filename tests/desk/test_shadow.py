"""A recorder in shadow mode does everything but send, and its receipts say what would have been sent."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from justtrades.positions.model import Outcome, Verb
from justtrades.positions.recorder import Mode
from tests.desk.fakes import ACCOUNT, OTHER, World, played, recorder, ticks

SHADOW = recorder(mode=Mode.SHADOW, targets=ticks(20), quantity=2)


async def reasons(here: World, *alerts: tuple[Verb, str]) -> list[str]:
    told = []
    for verb, price in alerts:
        outcome, reason = await here.outcome(await here.alert(verb, SHADOW, price=price))
        assert outcome is Outcome.NO_ACTION
        told.append(reason.removeprefix("shadow mode, nothing was sent; it would have been: "))
    return told


@played()
async def test_a_shadow_follows_its_own_position_and_sends_nothing(here: World) -> None:
    told = await reasons(here, (Verb.BUY, "100"), (Verb.BUY, "101"), (Verb.CLOSE, "102"), (Verb.CLOSE, "102"))
    assert told == [
        "DEMO1001: buy 2 MNQZ6 at market, then rest a target to sell 2 MNQZ6 at 105.",
        "DEMO1001: buy 2 MNQZ6 at market, then change the target to 4 at 105.5.",
        "DEMO1001: cancel the target, then sell 4 MNQZ6 at market to close.",
        "DEMO1001: nothing: no action, already flat at the broker.",
    ]
    assert here.broker.sent == []
    assert here.desk.lanes() == ()


@played()
async def test_a_target_the_price_has_passed_is_taken_to_have_filled(here: World) -> None:
    told = await reasons(here, (Verb.BUY, "100"), (Verb.SELL, "106"))
    assert told[1] == "DEMO1001: sell 2 MNQZ6 at market, then rest a target to buy 2 MNQZ6 at 101."


@played()
async def test_the_receipt_holds_the_rules_the_end_and_the_result(here: World) -> None:
    await reasons(here, (Verb.BUY, "100"))
    signal = await here.alert(Verb.CLOSE, SHADOW, price="103")
    await here.outcome(signal)
    notes = [text for (text,) in here.saved("select text from signal_notes where signal_id = ?", signal)]
    assert "rule position: passed (+2 held, broker shows +2)" in notes
    assert "shadow: would have ended filled (closed 2 MNQZ6, flat)" in notes
    assert "shadow: its trade of 2 closed by close, P&L 12 before fees" in notes


@played()
async def test_a_shadow_outlives_a_kill_of_the_engine_and_takes_each_signal_once(here: World) -> None:
    await reasons(here, (Verb.BUY, "100"))
    waiting = await here.accept(Verb.BUY, SHADOW, price="101")
    await here.restart()
    assert "change the target to 4" in (await here.outcome(waiting.signal_id))[1]
    await here.restart()
    assert "sell 4 MNQZ6" in (await reasons(here, (Verb.CLOSE, "102")))[0]


@played()
async def test_a_shadow_and_a_trading_recorder_never_meet(here: World) -> None:
    await here.trade(Verb.BUY)
    await reasons(here, (Verb.SELL, "100"))
    assert here.broker.net() == 1
    (would,) = await here.desk.rehearsed(await here.accept(Verb.CLOSE, SHADOW, price="99"))
    assert would.played is not None
    assert [m.signal_id for m in would.played.mutations]
    assert (await here.trade(Verb.CLOSE), here.broker.net()) == (Outcome.FILLED, 0)


@played()
async def test_each_account_of_a_shadow_has_its_part(here: World) -> None:
    both = recorder(ACCOUNT, OTHER, mode=Mode.SHADOW)
    signal = await here.alert(Verb.BUY, both, price="100")
    await here.outcome(signal)
    await asyncio.sleep(1)
    found = here.saved("select account_id, outcome from signal_routes where signal_id = ?", signal)
    assert sorted(found) == [(ACCOUNT, "no_action"), (OTHER, "no_action")]
    assert here.saved("select count(*) from shadow_lanes") == [(2,)]
    assert Decimal(here.broker.net()) == 0
