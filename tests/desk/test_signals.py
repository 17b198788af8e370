"""The way of an accepted signal to its lane or to its end: none lost, none taken twice, the right contract."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

from justtrades.broker.port import Account, AccountReport, Refused, Unreachable
from justtrades.desk import JOBS_LIMIT
from justtrades.positions.commands import Mutation
from justtrades.positions.model import AccountId, ContractName, Outcome, Purpose, Verb
from justtrades.positions.rolls import parse_rolls
from tests.desk.fakes import ACCOUNT, ES, FIRST, MNQ, OTHER, SECOND, World, played, recorder, ticks

PAST_THE_ROLL = timedelta(days=19)
MARCH = ContractName("MNQH7")


# ── from acceptance to the lane ──────────────────────────────────────────────────────────────────────────


@played(start=False)
async def test_a_signal_accepted_and_never_dispatched_is_dispatched_at_start_and_ends_once(here: World) -> None:
    await here.start()
    await here.ready()
    arrival = await here.accept(Verb.BUY)
    await here.restart()
    assert (await here.outcome(arrival.signal_id))[0] is Outcome.FILLED
    await here.restart()
    await asyncio.sleep(5)
    assert len(here.broker.placed(Purpose.ENTRY)) == 1
    assert here.broker.net() == 1


@played()
async def test_a_signal_the_lane_already_has_is_not_taken_twice(here: World) -> None:
    await here.trade(Verb.BUY)
    await here.trade(Verb.CLOSE)
    here.broker.lose()
    await here.until(lambda: not here.lane().lane.synced)
    arrival = await here.accept(Verb.BUY)
    here.desk.dispatch(arrival)
    here.desk.dispatch(arrival)
    await here.until(lambda: here.durable_lane().jobs)
    await here.restart()
    assert (await here.outcome(arrival.signal_id))[0] is Outcome.FILLED
    await asyncio.sleep(5)
    assert here.broker.net() == 1


@played()
async def test_a_signal_that_ends_while_the_engine_still_starts_is_not_taken_again(here: World) -> None:
    """Filled at the broker, killed before the answer; its lane learns the end before the old signals are read."""
    await here.trade(Verb.BUY)
    await here.trade(Verb.CLOSE)
    here.broker.after, here.broker.mute = _forever, True
    signal = await here.alert(Verb.BUY)
    await here.until(lambda: here.broker.net() == 1)
    await here.crash()
    here.broker.after, here.broker.mute = _at_once, False
    await here.start(slow_reads=1.0)
    await here.ready()
    assert (await here.outcome(signal))[0] is Outcome.FILLED
    await asyncio.sleep(5)
    assert here.broker.net() == 1
    assert len(here.broker.placed(Purpose.ENTRY)) == 2


@played()
async def test_a_close_right_behind_the_first_entry_waits_for_it(here: World) -> None:
    here.broker.read = _slow
    entry, close = await here.alert(Verb.BUY), await here.alert(Verb.CLOSE)
    await here.outcome(entry)
    await here.outcome(close)
    assert here.broker.net() == 0
    assert (await here.outcome(entry))[0] in (Outcome.SUPERSEDED, Outcome.FILLED)


@played()
async def test_a_close_spelled_another_way_waits_for_the_first_entry_too(here: World) -> None:
    here.broker.read = _slow
    entry = await here.alert(Verb.BUY)
    close = await here.alert(Verb.CLOSE, recorder(symbol="CME_MINI:MNQ1!"))
    await here.outcome(entry)
    assert (await here.outcome(close))[0] is not Outcome.NO_ACTION or here.broker.placed() == []
    assert here.broker.net() == 0


@played()
async def test_an_entry_that_waits_for_its_contract_keeps_no_close_of_another_waiting(here: World) -> None:
    await here.trade(Verb.BUY)
    here.broker.read = _raises(Unreachable("down", "no answer"))
    entry = await here.alert(Verb.BUY, recorder(symbol="MNQH7"))
    close = await here.alert(Verb.CLOSE)
    await here.until(lambda: here.lane().lane.jobs, within=1)
    here.broker.read = _at_once
    assert (await here.outcome(close))[0] is Outcome.FILLED
    assert (await here.outcome(entry))[0] is Outcome.FILLED


@played()
async def test_an_entry_whose_contract_is_never_told_ends_when_it_is_too_old(here: World) -> None:
    """A look-up may wait for its turn in the budget of an hour; the entry does not."""
    here.broker.read = _forever
    entry = await here.alert(Verb.BUY)
    assert await here.outcome(entry) == (
        Outcome.EXPIRED,
        "too old to be sent: the broker could not be asked for the contract in time",
    )
    here.broker.read = _at_once
    assert await here.trade(Verb.BUY) is Outcome.FILLED


@played()
async def test_two_spellings_of_one_contract_at_once_make_one_lane(here: World) -> None:
    here.broker.read = _slow
    spellings = ("MNQ1!", "MNQZ6", "CME_MINI:MNQ1!")
    signals = [await here.alert(Verb.BUY, recorder(symbol=symbol)) for symbol in spellings]
    assert [(await here.outcome(signal))[0] for signal in signals] == [Outcome.FILLED] * 3
    await here.until(lambda: here.view().quantity == 3)
    assert here.durable_lane().serial == 3
    assert len({order.id for order in here.broker.placed()}) == 3


@played()
async def test_a_signal_over_two_accounts_ends_when_both_have_and_with_the_better_outcome(here: World) -> None:
    async def refuses_the_second(command: Mutation) -> None:
        if here.broker.orders:
            raise Refused("MaxPosLimitReached", "too much")

    here.broker.before = refuses_the_second
    signal = await here.alert(Verb.BUY, recorder(ACCOUNT, OTHER))
    assert (await here.outcome(signal))[0] is Outcome.FILLED
    routes = here.saved("select outcome from signal_routes where signal_id = ? order by outcome", signal)
    assert routes == [("filled",), ("rejected",)]


@played()
async def test_what_does_not_fit_into_a_lanes_queue_is_blocked_and_a_close_still_fits(here: World) -> None:
    await here.trade(Verb.BUY)
    here.broker.lose()
    await here.until(lambda: not here.lane().lane.synced)
    waiting = [await here.alert(Verb.BUY) for _ in range(JOBS_LIMIT)]
    await here.until(lambda: here.view().signals_waiting == JOBS_LIMIT)
    outcome, reason = await here.outcome(await here.alert(Verb.BUY))
    assert (outcome, reason) == (Outcome.BLOCKED, f"{JOBS_LIMIT} signals already wait on this lane")
    assert await here.trade(Verb.CLOSE) is Outcome.FILLED
    assert {here.ended(signal)[0] for signal in waiting} == {Outcome.SUPERSEDED}  # type: ignore[index]  # all ended


@played()
async def test_the_price_of_an_alert_is_heard_before_its_order_leaves(here: World) -> None:
    heard: list[tuple[str, object]] = []

    async def hear(contract: ContractName, price: Decimal) -> None:
        heard.append(("price", (contract, price)))

    async def before(command: Mutation) -> None:
        heard.append(("order", command.id))

    await here.crash()
    here.hears_prices, here.broker.before = hear, before
    await here.start()
    await here.ready()
    for verb in (Verb.BUY, Verb.CLOSE):
        await here.outcome(await here.alert(verb, price="24652.25"))
    assert [what for what, _ in heard] == ["price", "order", "price", "order"]
    assert heard[0][1] == (MNQ, Decimal("24652.25"))


@played()
async def test_an_alert_may_bound_the_open_positions_of_its_account(here: World) -> None:
    async def entered(symbol: str, most: int) -> tuple[Outcome, str]:
        arrival = await here.accept(Verb.BUY, recorder(symbol=symbol, id=symbol), max_positions=most)
        here.desk.dispatch(arrival)
        return await here.outcome(arrival.signal_id)

    assert (await entered("MNQ1!", 1))[0] is Outcome.FILLED
    outcome, reason = await entered("ES1!", 1)
    assert (outcome, reason) == (Outcome.BLOCKED, "the alert allows 1 open position on the account: it has 1")
    assert (await entered("MNQ1!", 1))[0] is Outcome.FILLED
    assert (await entered("ES1!", 2))[0] is Outcome.FILLED


# ── routes that lead nowhere ─────────────────────────────────────────────────────────────────────────────


@played()
async def test_a_route_to_an_account_that_does_not_exist_is_blocked_with_a_sentence(here: World) -> None:
    signal = await here.alert(Verb.BUY, recorder(AccountId("paper-9")))
    assert await here.outcome(signal) == (Outcome.BLOCKED, "the account of this route does not exist")


@played()
async def test_an_end_that_could_not_be_saved_at_once_is_saved_when_it_can(here: World) -> None:
    arrival = await here.accept(Verb.BUY, recorder(symbol="NOSUCH1!"))
    here.database.full = True
    here.desk.dispatch(arrival)
    await asyncio.sleep(10)
    here.database.full = False
    assert (await here.outcome(arrival.signal_id))[0] is Outcome.BLOCKED


@played()
async def test_a_signal_handed_to_a_desk_that_has_ended_waits_for_the_next_start(here: World) -> None:
    arrivals = [await here.accept(Verb.BUY), await here.accept(Verb.BUY, recorder(symbol="NOSUCH1!"))]
    here.running.cancel()
    await asyncio.wait((here.running,), timeout=5)
    for arrival in arrivals:
        here.desk.dispatch(arrival)
    await here.restart()
    assert (await here.outcome(arrivals[0].signal_id))[0] is Outcome.FILLED
    assert (await here.outcome(arrivals[1].signal_id))[0] is Outcome.BLOCKED


@played()
async def test_an_account_that_cannot_trade_takes_no_entry_but_closes(here: World) -> None:
    await here.trade(Verb.BUY)
    locked = Account(FIRST, "DEMO1001", active=False, why="liquidation only")
    here.broker.tell(AccountReport(locked))
    await asyncio.sleep(0.1)
    assert await here.outcome(await here.alert(Verb.BUY)) == (Outcome.BLOCKED, "liquidation only")
    assert here.saved("select active, why from accounts where id = ?", ACCOUNT) == [(0, "liquidation only")]
    assert await here.trade(Verb.CLOSE) is Outcome.FILLED


@played()
async def test_an_account_the_broker_no_longer_lists_takes_no_entry(here: World) -> None:
    here.broker.listed = here.broker.listed[1:]
    here.broker.sync()
    await asyncio.sleep(0.1)
    outcome, reason = await here.outcome(await here.alert(Verb.BUY))
    assert (outcome, reason) == (Outcome.BLOCKED, "the broker does not list it any more")


@played()
async def test_a_position_on_an_account_the_broker_does_not_list_is_not_ready(here: World) -> None:
    await here.trade(Verb.BUY)
    listed, here.broker.listed = here.broker.listed, here.broker.listed[1:]
    here.broker.sync()
    await asyncio.sleep(0.1)
    assert any("does not list" in reason for reason in here.desk.not_ready())
    here.broker.listed = listed
    here.broker.sync()
    await here.until(lambda: not here.desk.not_ready())


@played()
async def test_an_unknown_symbol_is_blocked_with_a_sentence(here: World) -> None:
    outcome, reason = await here.outcome(await here.alert(Verb.BUY, recorder(symbol="NOSUCH1!")))
    assert outcome is Outcome.BLOCKED
    assert reason


@played()
async def test_a_recorder_and_an_alert_without_a_symbol_are_blocked(here: World) -> None:
    outcome, reason = await here.outcome(await here.alert(Verb.BUY, recorder(symbol=None)))
    assert (outcome, reason) == (Outcome.BLOCKED, "neither the recorder nor the alert names a symbol")


@played()
async def test_an_expired_contract_is_blocked(here: World) -> None:
    name = ContractName("MNQU6")
    here.broker.expires[name] = here.clock() - timedelta(days=60)
    outcome, reason = await here.outcome(await here.alert(Verb.BUY, recorder(symbol="MNQU6")))
    assert outcome is Outcome.BLOCKED
    assert reason.startswith("MNQU6 has expired: ")


@played()
async def test_a_contract_the_broker_does_not_know_is_rejected_with_its_words(here: World) -> None:
    here.broker.read = _raises(Refused("NotFound", "no such contract"))
    outcome, reason = await here.outcome(await here.alert(Verb.BUY))
    assert outcome is Outcome.REJECTED
    assert "no such contract" in reason


@played()
async def test_an_entry_expires_when_the_broker_cannot_be_asked_about_its_contract_in_time(here: World) -> None:
    here.broker.read = _raises(Unreachable("down", "no answer"))
    signal = await here.alert(Verb.BUY)
    await asyncio.sleep(29)
    assert here.ended(signal) is None
    outcome, reason = await here.outcome(signal)
    assert outcome is Outcome.EXPIRED
    assert "too old" in reason
    assert here.broker.sent == []


@played()
async def test_an_entry_is_sent_once_the_broker_can_be_asked_again(here: World) -> None:
    here.broker.read = _raises(Unreachable("down", "no answer"))
    signal = await here.alert(Verb.BUY)
    await asyncio.sleep(10)
    here.broker.read = _at_once
    assert (await here.outcome(signal))[0] is Outcome.FILLED


@played()
async def test_a_close_where_nothing_was_ever_traded_asks_nobody(here: World) -> None:
    reads = len(here.broker.reads)
    assert (await here.outcome(await here.alert(Verb.CLOSE)))[0] is Outcome.NO_ACTION
    assert len(here.broker.reads) == reads


# ── which contract ───────────────────────────────────────────────────────────────────────────────────────


@played()
async def test_the_position_picks_the_contract_and_an_entry_from_flat_takes_the_new_front(here: World) -> None:
    await here.trade(Verb.BUY)
    here.clock.ahead = PAST_THE_ROLL
    assert await here.trade(Verb.BUY) is Outcome.FILLED
    assert (here.view().quantity, here.broker.net((FIRST, MARCH))) == (2, 0)
    assert await here.trade(Verb.CLOSE) is Outcome.FILLED
    assert here.broker.net() == 0
    assert await here.trade(Verb.BUY) is Outcome.FILLED
    assert (here.broker.net(), here.broker.net((FIRST, MARCH))) == (0, 1)


@played()
async def test_a_contract_that_an_alert_names_is_never_changed(here: World) -> None:
    await here.trade(Verb.BUY)
    assert await here.trade(Verb.BUY, recorder(symbol="MNQH7")) is Outcome.FILLED
    assert (here.broker.net(), here.broker.net((FIRST, MARCH))) == (1, 1)


@played()
async def test_a_reversal_after_the_roll_stays_in_the_contract_that_is_held(here: World) -> None:
    await here.trade(Verb.BUY)
    here.clock.ahead = PAST_THE_ROLL
    assert await here.trade(Verb.SELL) is Outcome.FILLED
    assert (here.broker.net(), here.broker.net((FIRST, MARCH))) == (-1, 0)
    assert await here.trade(Verb.CLOSE) is Outcome.FILLED
    assert await here.trade(Verb.SELL) is Outcome.FILLED
    assert (here.broker.net(), here.broker.net((FIRST, MARCH))) == (0, -1)


@played()
async def test_a_position_stays_in_its_contract_when_a_restart_comes_after_the_roll(here: World) -> None:
    await here.trade(Verb.BUY)
    here.clock.ahead = PAST_THE_ROLL
    await here.restart()
    assert await here.trade(Verb.BUY) is Outcome.FILLED
    assert (here.broker.net(), here.broker.net((FIRST, MARCH))) == (2, 0)


@played()
async def test_an_entry_from_flat_follows_the_operators_own_roll_day(here: World) -> None:
    here.desk._signals.rolls = parse_rolls("MNQ=30")
    assert await here.trade(Verb.BUY) is Outcome.FILLED
    assert (here.broker.net(), here.broker.net((FIRST, MARCH))) == (0, 1)


@played()
async def test_roots_do_not_mix(here: World) -> None:
    await here.trade(Verb.BUY)
    assert await here.trade(Verb.SELL, recorder(symbol="ES1!")) is Outcome.FILLED
    assert (here.broker.net(), here.broker.net((FIRST, ES))) == (1, -1)


# ── what is not news ─────────────────────────────────────────────────────────────────────────────────────


@played()
async def test_old_fills_and_orders_told_again_change_nothing(here: World) -> None:
    """As at the end of a session, and after a restart; reports and pictures alike."""
    targets = recorder(targets=ticks(20))
    await here.trade(Verb.BUY, targets)
    (target,) = await here.until(here.broker.working)
    here.broker.fill(target)
    await here.until(lambda: here.view().quantity == 0 and here.lane().idle)
    trades = here.saved("select * from recorded_trades")
    fills = here.saved("select * from fills")
    for _ in range(2):
        here.broker.tell_again()
        await here.desk.reconcile(None)
        await asyncio.sleep(5)
        view = here.view()
        assert (view.quantity, view.foreign, view.blocked, view.in_doubt) == (0, 0, None, False)
        assert here.saved("select * from recorded_trades") == trades
        assert here.saved("select * from fills") == fills
        await here.restart()
    assert await here.trade(Verb.SELL, targets) is Outcome.FILLED
    assert here.view().quantity == -1


@played()
async def test_what_traded_by_hand_before_a_lane_existed_is_not_its_news(here: World) -> None:
    here.broker.by_hand(1)
    here.broker.by_hand(-1)
    here.broker.sync()
    await asyncio.sleep(0.1)
    assert await here.trade(Verb.BUY) is Outcome.FILLED
    view = here.view()
    assert (view.quantity, view.foreign, view.blocked) == (1, 0, None)
    assert len(here.saved("select 1 from fills")) == 1


@played()
async def test_a_position_made_by_hand_before_a_lane_existed_is_shown_and_left_alone(here: World) -> None:
    here.broker.by_hand(3)
    outcome, reason = await here.outcome(await here.alert(Verb.BUY))
    assert outcome is Outcome.BLOCKED
    assert "+3" in reason
    assert (here.view().quantity, here.view().foreign, here.broker.net()) == (0, 3, 3)


@played(truth_poll=20.0)
async def test_an_account_missing_from_the_picture_never_reads_as_flat(here: World) -> None:
    await here.trade(Verb.BUY, recorder(targets=ticks(20)))
    await here.until(lambda: here.view().targets)
    here.broker.listed = tuple(account for account in here.broker.listed if account.id == SECOND)
    pictures = here.broker.reads.count("picture")
    await here.until(lambda: here.broker.reads.count("picture") >= pictures + 3, within=120)
    await here.desk.reconcile(ACCOUNT)
    assert here.view().quantity == 1
    assert here.saved("select status from recorded_trades") == [("open",)]


@played()
async def test_a_fill_of_a_bound_order_seen_in_a_picture_and_as_a_report_counts_once(here: World) -> None:
    await here.trade(Verb.BUY)
    await here.desk.reconcile(None)
    here.broker.tell_again()
    await asyncio.sleep(1)
    assert here.view().quantity == 1
    assert len(here.saved("select 1 from fills")) == 1


# ── short hands ──────────────────────────────────────────────────────────────────────────────────────────


async def _at_once(_: object) -> None:
    return None


async def _slow(_: object) -> None:
    await asyncio.sleep(0.5)


async def _forever(_: object) -> None:
    await asyncio.Event().wait()


def _raises(error: Exception) -> Any:
    async def raises(_: object) -> None:
        raise error

    return raises
