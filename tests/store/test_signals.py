"""A signal is accepted once, ends once, and is found again after a restart."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import func, select

from justtrades.positions.model import AccountId, ContractName, Outcome, RecorderId, SignalId, Verb
from justtrades.store import books, outcomes
from justtrades.store.ids import Ids, floor
from justtrades.store.session import Database
from justtrades.store.signals import (
    Accepted,
    Finished,
    NewRoute,
    NewSignal,
    Refusal,
    accept,
    begin_route,
    content_hash,
    finish_route,
    refuse,
    unfinished,
)
from justtrades.store.tables import signal_routes, signals
from tests.store.conftest import START, Clock

REC = RecorderId("rec-1")
A, B, C = AccountId("acc-a"), AccountId("acc-b"), AccountId("acc-c")
BODY = b'{"action":"buy"}'


def alert(db: Database, **changes: Any) -> NewSignal:
    new = NewSignal(
        SignalId(db.new_id()),
        db.now(),
        "webhook",
        content_hash(BODY),
        BODY,
        REC,
        repeat_key="2026-03-02T14:30:00Z",
        duplicate_seconds=3,
        routes=(NewRoute(A),),
        reading_json="{}",
    )
    return replace(new, **changes)


async def send(db: Database, **changes: Any) -> Accepted:
    new = alert(db, **changes)
    return await db.write(lambda c: accept(c, new))


async def count(db: Database) -> int:
    return await db.read(lambda c: c.execute(select(func.count()).select_from(signals)).scalar_one())


async def row(db: Database, signal_id: str) -> Any:
    return await db.read(lambda c: c.execute(select(signals).where(signals.c.id == signal_id)).one())


async def end(db: Database, signal: SignalId, account: AccountId, outcome: Outcome, reason: str) -> Finished | None:
    return await db.write(lambda c: finish_route(c, signal, account, "MNQH6", outcome, reason, START))


async def test_a_repeat_by_its_own_key_gets_the_first_id_however_late(db: Database, clock: Clock) -> None:
    first = await send(db)
    clock.advance(86_400)
    again = await send(db)
    assert again == Accepted(first.signal_id, duplicate=True)
    assert await count(db) == 1


async def test_many_copies_at_once_make_one_signal(db: Database) -> None:
    told = await asyncio.gather(*(send(db) for _ in range(40)))
    assert len({accepted.signal_id for accepted in told}) == 1
    assert [accepted.duplicate for accepted in told].count(False) == 1
    assert await count(db) == 1


async def test_a_repeat_is_recognised_after_a_restart(sqlite_url: str, lite: Database, clock: Clock) -> None:
    first = await send(lite)
    await lite.close()
    reopened = Database(sqlite_url, clock=clock)
    await reopened.open()
    assert await send(reopened) == Accepted(first.signal_id, duplicate=True)
    await reopened.close()


@pytest.mark.parametrize(
    "change",
    [{"repeat_key": "2026-03-02T14:31:00Z"}, {"recorder_id": RecorderId("other")}, {"content_hash": "other"}],
)
async def test_another_time_content_or_recorder_is_another_signal(db: Database, change: dict[str, Any]) -> None:
    await send(db)
    assert not (await send(db, **change)).duplicate


async def test_without_a_key_the_same_bytes_are_a_repeat_only_within_the_window(db: Database, clock: Clock) -> None:
    first = await send(db, repeat_key=None)
    clock.advance(2.9)
    assert await send(db, repeat_key=None) == Accepted(first.signal_id, duplicate=True)
    assert not (await send(db, repeat_key=None, content_hash="other bytes")).duplicate
    assert not (await send(db, repeat_key=None, recorder_id=RecorderId("other"))).duplicate
    clock.advance(0.2)
    assert not (await send(db, repeat_key=None)).duplicate


async def test_the_acts_of_a_person_are_never_repeats(db: Database) -> None:
    told = [await send(db, recorder_id=None, repeat_key=None) for _ in range(2)]
    assert [accepted.duplicate for accepted in told] == [False, False]


async def test_a_signal_without_routes_is_over_at_once(db: Database) -> None:
    accepted = await send(db, routes=())
    assert accepted.finished is not None
    stored = await row(db, accepted.signal_id)
    assert (stored.status, stored.outcome, stored.reason) == ("done", "no_action", "no account is routed")


async def test_a_signal_whose_routes_are_all_blocked_is_blocked(db: Database) -> None:
    blocked = NewRoute(A, outcome=Outcome.BLOCKED, reason="too small")
    accepted = await send(db, routes=(blocked, replace(blocked, account_id=B)))
    stored = await row(db, accepted.signal_id)
    assert (stored.outcome, stored.reason) == ("blocked", "too small")


async def test_a_signal_is_done_when_its_last_route_is_and_takes_the_best_outcome(db: Database) -> None:
    signal = (await send(db, routes=(NewRoute(A), NewRoute(B), NewRoute(C)))).signal_id
    ends = [(A, Outcome.REJECTED, "no"), (B, Outcome.PARTIALLY_FILLED, "1 of 2"), (C, Outcome.KILLED, "off")]
    told = [await end(db, signal, *one) for one in ends]
    assert told[:2] == [None, None]
    assert told[2] is not None
    assert (told[2].outcome, told[2].reason) == (Outcome.PARTIALLY_FILLED, "1 of 2")
    stored = await row(db, signal)
    assert (stored.status, stored.outcome, stored.finished_at) == ("done", "partially_filled", START)


async def test_an_outcome_never_changes(db: Database) -> None:
    signal = (await send(db)).signal_id
    first = await db.write(lambda c: finish_route(c, signal, A, "MNQH6", Outcome.FILLED, "bought", START))
    again = await db.write(lambda c: finish_route(c, signal, A, "MNQH6", Outcome.REJECTED, "no", START))
    assert first is not None
    assert again is None
    assert (await row(db, signal)).outcome == "filled"
    (route,) = await db.read(lambda c: c.execute(select(signal_routes)).all())
    assert (route.outcome, route.reason, route.contract) == ("filled", "bought", "MNQH6")


async def test_a_route_of_another_contract_is_not_touched(db: Database) -> None:
    signal = (await send(db, routes=(NewRoute(A, "MNQH6"), NewRoute(A, "ESH6")))).signal_id
    await db.write(lambda c: finish_route(c, signal, A, "ESH6", Outcome.FILLED, "flat", START))
    left = (await db.read(unfinished))[0].routes
    assert [route.contract for route in left] == ["MNQH6"]


async def test_an_account_can_be_ended_whatever_its_contract(db: Database) -> None:
    signal = (await send(db, routes=(NewRoute(A, "MNQH6"),))).signal_id
    done = await db.write(lambda c: outcomes.finish_account(c, signal, A, Outcome.NO_ACTION, "no lane", START))
    assert done is not None
    assert done.outcome is Outcome.NO_ACTION


async def test_after_a_restart_what_is_unfinished_comes_in_the_order_it_was_accepted(db: Database) -> None:
    ids = [(await send(db, repeat_key=str(n), routes=(NewRoute(A), NewRoute(B)))).signal_id for n in range(4)]
    await db.write(lambda c: finish_route(c, ids[0], A, "MNQH6", Outcome.FILLED, "", START))
    await db.write(lambda c: begin_route(c, ids[1], A, "MNQH6"))
    for account in (A, B):
        await end(db, ids[2], account, Outcome.FILLED, "")
    left = await db.read(unfinished)
    assert [one.signal_id for one in left] == [ids[0], ids[1], ids[3]]
    assert [[route.account_id for route in one.routes] for one in left] == [[B], [A, B], [A, B]]
    assert (await row(db, ids[1])).status == "working"


async def test_refused_alerts_are_kept_the_last_ones_per_recorder(db: Database) -> None:
    for number in range(8):
        recorder = REC if number % 2 else RecorderId("other")
        refusal = Refusal(SignalId(db.new_id()), recorder, START, "webhook", f"reason {number}", "{…}")
        await db.write(partial(refuse, refusal=refusal, keep=3))
    found = await db.read(lambda c: c.execute(select(signals).order_by(signals.c.id)).all())
    assert [one.reason for one in found] == [f"reason {n}" for n in range(2, 8)]
    assert {one.status for one in found} == {"refused"}


async def test_a_refused_alert_is_neither_unfinished_nor_the_first_of_a_repeat(db: Database) -> None:
    refusal = Refusal(SignalId(db.new_id()), REC, START, "webhook", "not an order", BODY.decode())
    await db.write(lambda c: refuse(c, refusal))
    assert await db.read(unfinished) == []
    assert not (await send(db, repeat_key=None)).duplicate


async def test_a_failed_accept_leaves_nothing(db: Database) -> None:
    with pytest.raises(Exception, match=r"(?i)unique"):
        await send(db, routes=(NewRoute(A), NewRoute(A)))
    assert await count(db) == 0


async def test_an_act_of_a_person_waits_for_its_lane_again_after_a_restart(db: Database) -> None:
    signal = SignalId(db.new_id())
    await db.write(lambda c: books.keep_act(c, signal, A, ContractName("MNQH6"), Verb.CLOSE, "me", START))
    (waiting,) = await db.read(books.unfinished)
    assert waiting == books.WaitingAct(signal, A, ContractName("MNQH6"), Verb.CLOSE, START)


def test_ids_rise_within_one_moment_and_when_the_clock_is_set_back(clock: Clock) -> None:
    ids = Ids(clock)
    made = [ids.new() for _ in range(100)]
    clock.advance(-5)
    made.append(ids.new())
    clock.advance(60)
    made.append(ids.new())
    assert made == sorted(set(made))
    assert made[-1] >= floor(clock.now) > made[-2]


async def test_ids_rise_over_a_restart_while_the_clock_was_set_back(
    db: Database, newest_url: str, clock: Clock
) -> None:
    """What waits is worked off in the order of its ids: the later signal must not go first."""
    before = (await send(db)).signal_id
    clock.advance(-8)
    restarted = Database(newest_url, clock=clock)
    await restarted.open()
    after = restarted.new_id()
    await restarted.close()
    assert after > before


@pytest.mark.parametrize("made", ["first", "z" * 26, "Z" * 30])
def test_an_id_of_another_make_says_nothing_of_what_comes_next(clock: Clock, made: str) -> None:
    ids = Ids(clock)
    ids.rise_above(made)
    assert ids.new() < floor(clock.now + timedelta(milliseconds=1))


def test_ids_of_a_seeded_run_are_the_same_again(clock: Clock) -> None:
    assert Ids(clock, random.Random(7)).new() == Ids(clock, random.Random(7)).new()
