"""Entries are checked before they reach their lane: the contract's end and the alert's price. Exits never are."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

import httpx
import pytest

from justtrades.paper_house import Tape
from justtrades.positions.model import ContractName, Outcome, Verb
from tests.desk.fakes import MNQ, World, played, recorder

HOUR = timedelta(hours=1)


def notes(here: World, signal: str) -> list[str]:
    return [text for (text,) in here.saved("select text from signal_notes where signal_id = ? order by number", signal)]


async def entry(here: World, price: str, verb: Verb = Verb.BUY) -> tuple[Outcome, str]:
    return await here.outcome(await here.alert(verb, price=price))


# ── the price ────────────────────────────────────────────────────────────────────────────────────────────


@played()
async def test_an_entry_whose_price_cannot_be_the_contracts_is_blocked_with_both_prices(here: World) -> None:
    await here.trade(Verb.BUY)  # fills at 100
    outcome, reason = await entry(here, "68")
    assert outcome is Outcome.BLOCKED
    assert "68 is 32.00 % from 100" in reason
    assert here.broker.net() == 1
    assert (await entry(here, "109.75"))[0] is Outcome.FILLED


@played()
async def test_without_a_known_price_the_entry_goes_and_its_receipt_warns(here: World) -> None:
    signal = await here.alert(Verb.BUY, price="68")
    assert (await here.outcome(signal))[0] is Outcome.FILLED
    assert any("rule price: passed (warning: no price of MNQZ6 is known" in note for note in notes(here, signal))


@played()
async def test_a_close_is_never_refused_for_its_price(here: World) -> None:
    await here.trade(Verb.BUY)
    assert (await entry(here, "68", Verb.CLOSE))[0] is Outcome.FILLED


@played()
async def test_a_reversal_with_an_impossible_price_closes_and_does_not_enter(here: World) -> None:
    await here.trade(Verb.BUY)
    outcome, reason = await entry(here, "68", Verb.SELL)
    assert outcome is Outcome.PARTIALLY_FILLED
    assert reason.startswith("closed, but not reversed: the alert's price 68")
    assert here.broker.net() == 0


@played()
async def test_a_restart_remembers_the_days_prices_and_the_next_day_forgets_them(here: World) -> None:
    await here.trade(Verb.BUY)
    await here.trade(Verb.CLOSE)
    here.broker.fills.clear()  # a broker lists old fills for a while only
    await here.restart()
    assert (await entry(here, "68"))[0] is Outcome.BLOCKED
    here.clock.ahead = timedelta(days=1)
    await here.restart()
    assert (await entry(here, "68"))[0] is Outcome.FILLED


@played()
async def test_a_fill_by_hand_is_a_known_price_too(here: World) -> None:
    here.broker.by_hand(1)
    here.broker.by_hand(-1)
    here.broker.sync()
    await here.until(lambda: here.broker.reads.count("picture") > 1)
    assert (await entry(here, "68"))[0] is Outcome.BLOCKED
    assert here.saved("select 1 from lanes") == []


@played()
async def test_the_price_of_a_market_that_moves_by_itself_is_asked_for(here: World) -> None:
    asked: list[ContractName] = []

    async def tells(contract: ContractName) -> Decimal | None:
        asked.append(contract)
        return Decimal(25000)

    await here.crash()
    here.tells_prices = tells
    await here.start()
    await here.ready()
    outcome, reason = await entry(here, "6800")
    assert outcome is Outcome.BLOCKED
    assert "25000, the simulator's price" in reason
    assert (await entry(here, "25010"))[0] is Outcome.FILLED
    assert (await entry(here, "25010", Verb.CLOSE))[0] is Outcome.FILLED
    assert asked == [MNQ, MNQ]  # a close asks nobody


@played()
async def test_a_market_that_follows_alerts_does_not_follow_one_that_is_refused(here: World) -> None:
    heard: list[Decimal] = []

    async def hear(_: ContractName, price: Decimal) -> None:
        heard.append(price)

    await here.crash()
    here.hears_prices = hear
    await here.start()
    await here.ready()
    assert (await entry(here, "100"))[0] is Outcome.FILLED
    assert (await entry(here, "250"))[0] is Outcome.BLOCKED
    assert heard == [Decimal(100)]


@pytest.mark.parametrize(
    ("status", "body", "price"),
    [
        (200, '{"MNQZ6": 25000.25}', "25000.25"),
        (200, '{"MNQZ6": "25000.25"}', "25000.25"),
        (200, "{}", None),
        (403, "Forbidden", None),
        (200, "[1]", None),
    ],
)
async def test_a_paper_market_that_cannot_tell_its_price_is_no_reason_to_fail(
    status: int, body: str, price: str | None
) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(status, text=body))
    async with httpx.AsyncClient(transport=transport) as client:
        assert await Tape(client, "http://127.0.0.1:1/v1").last(MNQ) == (Decimal(price) if price else None)


@played()
async def test_a_tolerance_of_zero_compares_nothing(here: World) -> None:
    here.desk._checks.tolerance = Decimal(0)
    await here.trade(Verb.BUY)
    signal = await here.alert(Verb.BUY, price="68")
    assert (await here.outcome(signal))[0] is Outcome.FILLED
    assert not any("rule price" in note for note in notes(here, signal))


# ── the end of a contract ────────────────────────────────────────────────────────────────────────────────


@played()
async def test_a_contract_that_expires_while_its_lane_lives_takes_no_entry_but_closes(here: World) -> None:
    here.broker.expires[MNQ] = here.clock() + HOUR
    assert await here.trade(Verb.BUY) is Outcome.FILLED
    here.clock.ahead = HOUR
    outcome, reason = await here.outcome(await here.alert(Verb.BUY))
    assert outcome is Outcome.BLOCKED
    assert reason.startswith("MNQZ6 has expired: ")
    assert await here.trade(Verb.CLOSE) is Outcome.FILLED
    assert (await here.outcome(await here.alert(Verb.BUY, recorder(symbol="MNQZ2026"))))[0] is Outcome.BLOCKED


@played()
async def test_a_lane_from_before_a_restart_is_held_to_the_contracts_end_too(here: World) -> None:
    here.broker.expires[MNQ] = here.clock() + HOUR
    assert await here.trade(Verb.BUY) is Outcome.FILLED
    here.clock.ahead = HOUR
    await here.restart()
    assert (await here.outcome(await here.alert(Verb.BUY)))[0] is Outcome.BLOCKED


@played()
async def test_a_named_contract_of_the_past_is_blocked_by_the_calendar_when_the_broker_gives_no_date(
    here: World,
) -> None:
    outcome, reason = await here.outcome(await here.alert(Verb.BUY, recorder(symbol="MNQU2026")))
    assert (outcome, reason) == (Outcome.BLOCKED, "MNQU6 has expired: 2026-09-18 by the calendar")


# ── positions that stay behind ───────────────────────────────────────────────────────────────────────────


@played(truth_poll=20.0)
async def test_a_position_past_its_roll_day_is_told_of_once_a_trade_date_until_it_is_closed(here: World) -> None:
    told: list[tuple[str, str]] = []
    here.desk._overdue.notify = lambda _, title, body: told.append((title, body))
    await here.trade(Verb.BUY)
    for days in (16, 17, 17, 18):  # 10 December, twice, and the day before and after
        here.clock.ahead = timedelta(days=days)
        await asyncio.sleep(50)
    assert [title for title, _ in told] == ["MNQZ6 is held past its roll day"] * 2
    assert "roll day 2026-12-10, expiry 2026-12-18" in told[0][1]
    assert "the next entry takes MNQH7" in told[0][1]
    await here.trade(Verb.CLOSE)
    here.clock.ahead = timedelta(days=21)
    await asyncio.sleep(50)
    assert len(told) == 2


@played()
async def test_the_receipt_of_an_entry_names_its_contract_and_both_checks(here: World) -> None:
    here.broker.expires[MNQ] = here.clock() + HOUR
    signal = await here.alert(Verb.BUY, price="100")
    await here.outcome(signal)
    said = "\n".join(notes(here, signal))
    assert "rule contract: passed (MNQ1! is MNQZ6 until it rolls on 2026-12-10)" in said
    assert "rule expiry: passed (MNQZ6 trades until " in said
    assert "rule price: passed (warning: " in said
