"""How an account stands: locks, liquidations and limits, whole or in part, by events or found on a look."""

from __future__ import annotations

from typing import Any

import pytest

from justtrades.broker.port import AccountReport, OrderReport
from tests.broker.tradovate.stub import ACCOUNT, Desk, Stub, account, command, order, props
from tests.broker.tradovate.test_broker import with_desk

N = 601683390102


def last(one: Desk) -> tuple[bool, str | None, str | None]:
    found = one.said(AccountReport)[-1].account
    return found.active, found.why, found.liquidation


async def tell(one: Desk, kind: str, row: dict[str, Any], event: str = "Updated") -> None:
    count = len(one.said(AccountReport))
    one.stub.socket.say(props(kind, {"id": ACCOUNT, **row}, event))
    await one.until(AccountReport, count + 1)


@pytest.mark.parametrize(
    ("risk", "why", "liquidation"),
    [
        ({"adminAction": "LiquidateOnlyModeImmediately"}, "liquidation only", None),
        ({"adminAction": "AgreedOnLiqOnlyModeByAutoLiq"}, "liquidation only", None),
        ({"liquidateOnly": "2026-11-23T14:00:00Z"}, "liquidation only", None),
        ({"userTriggeredLiqOnly": True}, "liquidation only", None),
        ({"adminAction": "LockTradingImmediately"}, "locked by the broker", None),
        (
            {"adminAction": "AgreedOnLiquidationByAutoLiq", "adminTimestamp": "2026-11-23T14:00Z"},
            "being liquidated by the broker",
            "2026-11-23T14:00:00+00:00",
        ),
        ({"adminAction": "LiquidateImmediately"}, "being liquidated by the broker", "now"),
    ],
)
def test_a_risk_status_stops_entries_and_its_end_frees_them(
    risk: dict[str, Any], why: str, liquidation: str | None
) -> None:
    async def work(one: Desk) -> None:
        await tell(one, "accountRiskStatus", risk)
        assert last(one) == (False, why, liquidation)
        await tell(one, "accountRiskStatus", {"adminAction": "Normal"})
        assert last(one) == (True, None, None)

    with_desk(work)


def test_a_risk_status_that_is_deleted_holds_nothing_back() -> None:
    async def work(one: Desk) -> None:
        await tell(one, "accountRiskStatus", {"adminAction": "LockTradingImmediately"})
        await tell(one, "accountRiskStatus", {}, "Deleted")
        assert last(one) == (True, None, None)

    with_desk(work)


def test_the_limits_of_auto_liquidation_are_told_with_the_reason() -> None:
    async def work(one: Desk) -> None:
        one.stub.socket.say(props("userAccountAutoLiq", {"id": ACCOUNT, "dailyLossAutoLiq": 1000.0}, "Created"))
        one.stub.socket.say(props("userAccountAutoLiq", {"id": ACCOUNT, "trailingMaxDrawdown": 2500.5}, "Updated"))
        await tell(one, "accountRiskStatus", {"adminAction": "LiquidateOnlyModeImmediately"})
        assert last(one)[1] == "liquidation only (its limits: daily loss 1000, trailing drawdown 2500.5)"

    with_desk(work)


def test_part_of_an_account_is_merged_and_a_whole_one_replaces_it() -> None:
    async def work(one: Desk) -> None:
        await tell(one, "account", {"active": False})
        assert last(one) == (False, "not active", None)
        await tell(one, "account", {**account(), "restricted": True})
        assert last(one) == (False, "restricted", None)
        await tell(one, "account", account())
        assert last(one)[0]

    with_desk(work)


def test_an_account_that_is_deleted_may_not_trade_any_more() -> None:
    async def work(one: Desk) -> None:
        await tell(one, "account", {}, "Deleted")
        assert last(one) == (False, "not listed by the broker", None)

    with_desk(work)


def test_an_order_of_the_brokers_own_is_told_as_such_and_one_that_we_asked_for_is_not() -> None:
    async def work(one: Desk) -> None:
        say = one.stub.socket.say
        say(props("order", order(N, admin=True)), props("command", command(N, None)))
        say(props("order", order(N + 9, admin=True)), props("command", command(N + 9, "jt-ours")))
        await one.until(OrderReport, 2)
        assert [report.order.admin for report in one.said(OrderReport)] == [True, False]

    with_desk(work)


def test_a_lock_that_no_event_told_of_is_found_on_the_next_look() -> None:
    stub = Stub()

    async def work(one: Desk) -> None:
        stub.tables["accountRiskStatus"] = [{"id": ACCOUNT, "adminAction": "LockTradingImmediately"}]
        (found,) = await one.broker.accounts()
        assert (found.active, found.why) == (False, "locked by the broker")

    with_desk(work, stub)
