"""Reads for what is in doubt: few, shared by all who look at the same moment, and each knows whom it was made for."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from justtrades.broker.port import Asker, OrderReport, PositionReport, Unreachable
from justtrades.positions.model import BrokerAccountId, ClientOrderId, SignalId
from justtrades.positions.urgency import Urgency
from tests.broker.tradovate.stub import ACCOUNT, Desk, Stub, account, command, fill, order, position, props, version
from tests.broker.tradovate.test_broker import MINE, OURS, N, with_desk

SECOND = ACCOUNT + 1
YOURS, THEIRS = BrokerAccountId(str(SECOND)), ClientOrderId("jt-7")


def asker(account: BrokerAccountId = MINE, order_id: ClientOrderId = OURS) -> Asker:
    return Asker(account, order_id, SignalId("s1"))


def placed(stub: Stub, status: str) -> None:
    stub.tables["order"] = [order(N, status)]
    stub.tables["command"] = [command(N, OURS)]
    stub.tables["orderVersion"] = [version(N)]
    stub.tables["fill"] = [fill(N + 3, N)] if status == "Filled" else []


@pytest.mark.parametrize(
    ("status", "more"),
    [
        ("Working", ["/fill/ldeps", "/orderVersion/ldeps"]),
        ("Filled", ["/fill/ldeps", "/orderVersion/ldeps"]),
        ("Canceled", ["/executionReport/ldeps", "/fill/ldeps"]),
        ("Rejected", ["/commandReport/ldeps", "/executionReport/ldeps"]),
    ],
)
def test_an_order_that_is_found_takes_two_reads_more(status: str, more: list[str]) -> None:
    stub = Stub()

    async def work(one: Desk) -> None:
        placed(stub, status)
        stub.calls.clear()
        asking = asker()
        (found,), _ = await one.broker.look(MINE, (OURS,), asking)
        assert found.client_id == OURS
        asked = [endpoint for endpoint, _ in stub.calls]
        assert (asked[:2], sorted(asked[2:4])) == (["/order/deps", "/command/ldeps"], more)
        assert asking.requests == 4

    with_desk(work, stub)


def test_looks_after_the_first_take_one_read_until_somebody_orders_anew() -> None:
    stub = Stub()

    async def work(one: Desk) -> None:
        placed(stub, "Working")
        counts = []
        for _ in range(3):
            asking = asker(order_id=THEIRS)
            await one.broker.look(MINE, (THEIRS,), asking)
            counts.append(asking.requests)
        assert counts == [2, 1, 1]

    with_desk(work, stub)


def test_looks_of_many_accounts_at_once_are_one_look() -> None:
    stub = Stub()
    stub.tables["account"].append(account(SECOND))

    async def work(one: Desk) -> None:
        placed(stub, "Working")
        stub.tables["order"].append(order(N + 9, accountId=SECOND))
        stub.tables["command"].append(command(N + 9, THEIRS))
        stub.calls.clear()
        mine, yours = asker(), asker(YOURS, THEIRS)
        (found, _), (others, _) = await asyncio.gather(
            one.broker.look(MINE, (ClientOrderId("jt-8"),), mine), one.broker.look(YOURS, (THEIRS,), yours)
        )
        assert (found, [o.client_id for o in others]) == ((), [THEIRS])
        assert stub.asked("/order/ldeps") == [{"masterids": f"{MINE},{YOURS}"}]
        assert stub.asked("/order/deps") == []
        assert (mine.requests, yours.requests) == (2, 4)

    with_desk(work, stub)


def test_a_list_that_is_behind_for_one_account_is_a_negative_for_the_other() -> None:
    stub = Stub()
    stub.tables["account"].append(account(SECOND))

    async def work(one: Desk) -> None:
        one.stub.socket.say(props("order", order(N)), props("command", command(N, OURS)))
        await one.until(OrderReport)
        mine, yours = await asyncio.gather(
            one.broker.look(MINE, (THEIRS,)), one.broker.look(YOURS, (THEIRS,)), return_exceptions=True
        )
        assert isinstance(mine, Unreachable)
        assert yours == ((), ())

    with_desk(work, stub)


def test_the_audit_says_for_which_order_a_read_was_made_also_when_it_fails() -> None:
    stub = Stub()

    async def work(one: Desk) -> None:
        placed(stub, "Filled")
        stub.script("/fill/ldeps", httpx.ReadError("gone"))
        one.ledger.rows.clear()
        asking = asker()
        with pytest.raises(Unreachable):
            await one.broker.look(MINE, (OURS,), asking)
        reads = [row for row in one.ledger.rows if row.order_id == OURS and row.signal_id == "s1"]
        assert len(reads) == asking.requests == 4

    with_desk(work, stub)


def test_a_picture_for_what_is_in_doubt_reads_no_further_while_the_orders_are_behind() -> None:
    stub = Stub()

    async def work(one: Desk) -> None:
        one.stub.socket.say(props("order", order(N)), props("command", command(N, OURS)))
        await one.until(OrderReport)
        stub.calls.clear()
        asking = asker()
        with pytest.raises(Unreachable, match="stale"):
            await one.broker.picture(Urgency.LOOK, asking)
        assert [endpoint for endpoint, _ in stub.calls] == ["/order/list"]
        stub.tables["order"] = [order(N)]
        await one.broker.picture(Urgency.LOOK, asking)
        assert asking.requests == 1 + 6, "four lists, and commands and versions of what lives"

    with_desk(work, stub)


def test_whoever_shares_a_picture_with_a_doubt_gets_what_it_shows_of_other_accounts() -> None:
    stub = Stub()
    stub.tables["account"].append(account(SECOND))

    async def work(one: Desk) -> None:
        one.stub.socket.say(props("order", order(N)), props("command", command(N, OURS)))
        await one.until(OrderReport)
        seen = await asyncio.gather(one.broker.picture(Urgency.LOOK, asker()), one.broker.picture(Urgency.RECONCILE))
        assert [picture.accounts for picture in seen] == [frozenset({YOURS})] * 2

    with_desk(work, stub)


def test_a_picture_tells_when_a_position_moved() -> None:
    stub = Stub()

    async def work(one: Desk) -> None:
        stub.tables["position"] = [position(2, timestamp="2026-11-23T14:31:00Z")]
        (lane,) = (await one.broker.picture()).lanes
        assert lane.moved_at is not None
        assert (lane.quantity, lane.moved_at.isoformat()) == (2, "2026-11-23T14:31:00+00:00")

    with_desk(work, stub)


def test_positions_that_begin_a_stream_are_told_as_such_and_later_ones_are_not() -> None:
    stub = Stub()
    stub.tables["position"] = [position(1)]

    async def work(one: Desk) -> None:
        one.stub.socket.say(props("position", position(2, timestamp="2026-11-23T14:31:00Z"), "Updated"))
        await one.until(PositionReport, 2)
        assert [(r.quantity, r.snapshot) for r in one.said(PositionReport)] == [(1, True), (2, False)]

    with_desk(work, stub)
