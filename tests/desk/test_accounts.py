"""Accounts that the broker stops, liquidates or no longer lists: entries stop with the reason, exits go on."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from justtrades.account_watch import AccountWatch
from justtrades.broker.port import Account, AccountReport, OrderReport
from justtrades.notices import silent
from justtrades.positions.commands import Mutation
from justtrades.positions.model import (
    Action,
    BrokerOrder,
    BrokerOrderId,
    ContractName,
    OrderType,
    Outcome,
    Purpose,
    Status,
    Verb,
)
from justtrades.store import books, migrate
from justtrades.store.session import Database, NotDurable
from tests.broker.tradovate.virtual import settle
from tests.desk.fakes import ACCOUNT, FIRST, MNQ, OTHER, PAPER, SECOND, World, nothing, played, recorder

FREE = Account(FIRST, "DEMO1001")
LOCKED = replace(FREE, active=False, why="liquidation only")
LIQUIDATED = replace(FREE, active=False, why="being liquidated by the broker", liquidation="2026-11-23T14:30:00+00:00")
RESUME = "entries stop until a person resumes the account"
KEPT = "select halted, halt_reason from accounts where id = ?"


def of_the_brokers_own(here: World, number: str = "900") -> BrokerOrder:
    facts = (Action.SELL, 1, OrderType.MARKET, None)
    return BrokerOrder(BrokerOrderId(number), None, Status.WORKING, *facts, at=here.clock(), version=1, admin=True)


async def tell(here: World, account: Account) -> None:
    here.broker.tell(AccountReport(account))
    await settle()


@played()
async def test_an_account_comes_back_when_the_broker_frees_it(here: World) -> None:
    await tell(here, LOCKED)
    assert await here.trade(Verb.BUY) is Outcome.BLOCKED
    await tell(here, FREE)
    assert await here.trade(Verb.BUY) is Outcome.FILLED


@played()
async def test_an_entry_that_waited_while_its_account_was_locked_never_leaves(here: World) -> None:
    await here.trade(Verb.BUY)
    here.broker.lose()
    await here.until(lambda: not here.lane().lane.synced)
    signal = await here.alert(Verb.BUY)
    await tell(here, LOCKED)
    here.broker.listed = (LOCKED, *here.broker.listed[1:])
    here.broker.sync()
    outcome, reason = await here.outcome(signal)
    assert outcome is Outcome.BLOCKED, "it waited for the lock to end, and a rule of ours is why it never left"
    assert "liquidation only" in (reason or "")
    assert len(here.broker.placed(Purpose.ENTRY)) == 1
    assert await here.trade(Verb.CLOSE) is Outcome.FILLED


@played()
async def test_a_lock_that_comes_while_the_entry_is_on_its_way_stops_it_before_the_write(here: World) -> None:
    async def locks(_: Mutation) -> None:
        here.broker.before = nothing
        await tell(here, LOCKED)

    here.broker.before = locks
    signal = await here.alert(Verb.BUY)
    await asyncio.sleep(2)
    assert here.broker.sent == []
    await tell(here, FREE)
    assert (await here.outcome(signal))[0] is Outcome.FILLED


@played()
async def test_a_liquidation_halts_the_account_until_a_person_resumes_it_also_across_a_restart(here: World) -> None:
    await tell(here, LIQUIDATED)
    await tell(here, FREE)
    assert await here.outcome(await here.alert(Verb.BUY)) == (
        Outcome.BLOCKED,
        f"the broker liquidated the account: {RESUME}",
    )
    await here.restart()
    assert await here.trade(Verb.BUY) is Outcome.BLOCKED
    await here.desk.resume_account(ACCOUNT, "a person")
    assert await here.trade(Verb.BUY) is Outcome.FILLED
    await here.restart()
    await tell(here, LIQUIDATED)
    await tell(here, FREE)
    assert await here.trade(Verb.BUY) is Outcome.FILLED
    later = replace(LIQUIDATED, liquidation="2026-11-23T18:00:00+00:00")
    await tell(here, later)
    await tell(here, FREE)
    assert await here.trade(Verb.BUY) is Outcome.BLOCKED


@played()
async def test_a_liquidation_without_a_time_of_its_own_halts_each_time_it_begins(here: World) -> None:
    untimed = replace(LIQUIDATED, liquidation="now")
    for _ in range(2):
        await tell(here, untimed)
        await tell(here, untimed)
        await tell(here, FREE)
        assert await here.trade(Verb.BUY) is Outcome.BLOCKED
        await here.desk.resume_account(ACCOUNT, "a person")
        assert await here.trade(Verb.BUY) is Outcome.FILLED


@played()
async def test_an_order_of_the_brokers_own_halts_its_account_once_and_no_other(here: World) -> None:
    theirs = of_the_brokers_own(here)
    here.broker.tell(OrderReport(FIRST, ContractName("ESZ6"), theirs))
    await settle()
    assert await here.trade(Verb.BUY) is Outcome.BLOCKED
    assert await here.trade(Verb.BUY, recorder(OTHER)) is Outcome.FILLED
    await here.desk.resume_account(ACCOUNT, "a person")
    here.broker.tell(OrderReport(FIRST, ContractName("ESZ6"), replace(theirs, status=Status.FILLED, claimed=1)))
    await settle()
    await here.restart()
    here.broker.tell(OrderReport(FIRST, ContractName("ESZ6"), theirs))
    await settle()
    assert await here.trade(Verb.BUY) is Outcome.FILLED


@played()
async def test_a_liquidation_while_the_engine_was_down_is_found_in_the_picture(here: World) -> None:
    await here.trade(Verb.BUY)
    await here.crash()
    theirs = of_the_brokers_own(here)
    here.broker.lanes[theirs.broker_id] = (FIRST, MNQ)
    here.broker.orders[theirs.broker_id] = theirs
    await here.start()
    await here.ready()
    assert here.saved(KEPT, ACCOUNT) == [(1, f"the broker liquidated by an order of its own: {RESUME}")]


@played()
async def test_an_old_order_of_the_brokers_own_is_history(here: World) -> None:
    theirs = replace(of_the_brokers_own(here), at=here.clock() - timedelta(days=2))
    here.broker.tell(OrderReport(FIRST, MNQ, theirs))
    await settle()
    assert await here.trade(Verb.BUY) is Outcome.FILLED


@played()
async def test_exits_go_on_while_the_account_is_halted(here: World) -> None:
    await here.trade(Verb.BUY)
    await tell(here, LIQUIDATED)
    assert await here.trade(Verb.CLOSE) is Outcome.FILLED


@played()
async def test_a_list_without_any_account_stops_all_and_asks_for_the_environment_and_never_reads_as_flat(
    here: World,
) -> None:
    await here.trade(Verb.BUY)
    here.broker.listed = ()
    here.broker.sync()
    await settle()
    outcome, reason = await here.outcome(await here.alert(Verb.BUY))
    assert outcome is Outcome.BLOCKED
    assert "is the environment (live or demo) the right one?" in (reason or "")
    await asyncio.sleep(60)
    assert here.view().quantity == 1
    assert here.saved("select count(*) from recorded_trades where status = 'open'") == [(1,)]


@played()
async def test_a_lock_that_no_event_told_of_is_found_within_five_minutes(here: World) -> None:
    await here.trade(Verb.BUY)
    here.broker.listed = (LOCKED, *here.broker.listed[1:])
    await asyncio.sleep(301)
    assert await here.trade(Verb.BUY) is Outcome.BLOCKED


@played()
async def test_accounts_of_a_login_that_trades_nothing_are_not_looked_at_again(here: World) -> None:
    await asyncio.sleep(3600)
    assert here.broker.reads.count("accounts") == 1
    assert SECOND in {account.id for account in here.broker.listed}


@played()
async def test_a_contract_that_ends_while_its_entry_is_on_the_way_is_not_entered_any_more(here: World) -> None:
    await here.trade(Verb.BUY)
    await here.trade(Verb.CLOSE)
    entries = len(here.broker.placed(Purpose.ENTRY))
    login = here.desk._link(PAPER).login
    assert login is not None
    here.broker.expires[MNQ] = here.clock() + timedelta(seconds=2)
    login._contracts.clear()
    await login.contract(MNQ)

    async def slow(_: Mutation) -> None:
        here.broker.before = nothing
        await asyncio.sleep(3)

    here.broker.before = slow
    outcome, reason = await here.outcome(await here.alert(Verb.BUY))
    assert (outcome, len(here.broker.placed(Purpose.ENTRY))) == (Outcome.BLOCKED, entries)
    assert "MNQZ6 has expired" in (reason or "")


# ── beside a database that takes no writes ───────────────────────────────────────────────────────────────


@played()
async def test_a_liquidation_told_while_the_disk_is_full_halts_the_account_for_good(here: World) -> None:
    here.database.full = True
    await tell(here, LIQUIDATED)
    await tell(here, FREE)
    assert not here.running.done()
    assert here.saved(KEPT, ACCOUNT) == [(0, None)]
    here.database.full = False
    await here.until(lambda: here.saved(KEPT, ACCOUNT)[0][0] == 1)
    await here.restart()
    assert await here.trade(Verb.BUY) is Outcome.BLOCKED


@played()
async def test_what_is_told_of_an_account_while_the_older_is_being_written_is_written_too(here: World) -> None:
    here.database.slow = 1.0
    here.broker.tell(AccountReport(LOCKED))
    await asyncio.sleep(0.5)
    here.broker.tell(AccountReport(FREE))
    await asyncio.sleep(5)
    assert here.saved("select active from accounts where id = ?", ACCOUNT) == [(1,)]


@played()
async def test_an_error_nobody_expected_in_what_is_kept_of_an_account_ends_the_engine(here: World) -> None:
    """Only that the disk takes nothing is waited for."""

    async def broken(_: object) -> None:
        raise KeyError("row")

    here.database.write = broken  # type: ignore[method-assign,assignment]
    here.broker.tell(AccountReport(LOCKED))
    await asyncio.wait((here.running,), timeout=10)
    assert isinstance(here.running.exception(), ExceptionGroup)


@played()
async def test_what_a_person_let_go_on_meanwhile_is_not_halted_by_a_late_write(here: World) -> None:
    here.database.full = True
    await tell(here, LIQUIDATED)
    await tell(here, FREE)
    with pytest.raises(NotDurable):
        await here.desk.resume_account(ACCOUNT, "a person")
    here.database.full = False
    await here.desk.resume_account(ACCOUNT, "a person")
    await asyncio.sleep(5)
    assert here.saved(KEPT, ACCOUNT) == [(0, None)]
    await here.restart()
    await tell(here, LIQUIDATED)
    await tell(here, FREE)
    assert await here.trade(Verb.BUY) is Outcome.FILLED


async def test_news_of_an_account_outlasts_a_queue_of_writes_that_is_full(tmp_path: Path) -> None:
    """The stream tells of accounts; nothing that hears it may end because too much waits for the disk."""
    release, begun, tasks = threading.Event(), threading.Event(), set[asyncio.Task[None]]()
    url, now = f"sqlite+aiosqlite:///{tmp_path}/justtrades.db", datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
    database = Database(url, clock=lambda: now, queue_limit=3)
    await migrate.upgrade(url)
    await database.open()
    await database.write(lambda c: books.first_connection(c, now))
    rows = await database.write(lambda c: books.keep_accounts(c, PAPER, (FREE,), now))
    watch = AccountWatch(
        database, lambda: now, {r.id: r for r in rows}, silent, lambda work, _: tasks.add(asyncio.create_task(work))
    )

    def hold(_: Connection) -> None:
        begun.set()
        release.wait(10)

    held = asyncio.create_task(database.write(hold))
    await asyncio.to_thread(begun.wait, 10)
    for _ in range(3):
        database.post(lambda _: None)
    for account in (LOCKED, FREE, LIQUIDATED):
        watch.changed(PAPER, account)
    release.set()
    await asyncio.gather(held, *tasks)
    kept = await database.read(lambda c: c.exec_driver_sql("select active, halted from accounts").all())
    await database.close()
    assert [tuple(row) for row in kept] == [(0, 1)]
