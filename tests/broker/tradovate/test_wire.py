"""One order out of its many entities, whatever is known of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from justtrades.broker.tradovate import wire
from justtrades.broker.tradovate.wire import Parts
from justtrades.positions.model import OrderType, Status
from tests.broker.tradovate.stub import account, command, fill, order, position, version

N = 601683390102
MODIFY = N + 50


def parts(status: str = "Working", **more: Any) -> Parts:
    made = Parts(order(N, status), versions=[version(N, orderType="Limit", price=Decimal("100.25"))])
    return replace(made, commands=[command(N, "jt-1")], **more)


def modified(order_status: str = "Working", **more: Any) -> Parts:
    before = parts(order_status)
    changed = version(N, version_id=MODIFY, orderType="Limit", price=Decimal("101.5"), orderQty=3)
    asked = {**command(N, "jt-2", commandType="Modify"), "id": MODIFY, **more}
    return replace(before, versions=[*before.versions, changed], commands=[*before.commands, asked])


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("PendingNew", Status.SENT),
        ("Working", Status.WORKING),
        ("PendingReplace", Status.WORKING),
        ("PendingCancel", Status.WORKING),
        ("Suspended", Status.WORKING),
        ("Filled", Status.FILLED),
        ("Canceled", Status.CANCELED),
        ("Completed", Status.CANCELED),
        ("Expired", Status.EXPIRED),
        ("Rejected", Status.REJECTED),
    ],
)
def test_every_order_status_has_its_meaning(word: str, status: Status) -> None:
    found = wire.joined(parts(word))
    assert found is not None
    assert found.status is status


def test_an_unknown_status_is_no_news() -> None:
    assert wire.joined(parts("Unknown")) is None
    assert wire.joined(parts("SomethingNew")) is None


def test_the_parts_make_one_order() -> None:
    found = wire.joined(parts())
    assert found is not None
    assert (found.client_id, found.quantity, found.order_type) == ("jt-1", 1, OrderType.LIMIT)
    assert (found.price, found.claimed, found.version) == (Decimal("100.25"), 0, N)


def test_what_is_not_known_is_not_said() -> None:
    found = wire.joined(Parts(order(N)))
    assert found is not None
    assert (found.client_id, found.quantity, found.order_type, found.price) == (None, None, None, None)


def test_the_newest_version_holds() -> None:
    found = wire.joined(modified(commandStatus="RiskPassed"))
    assert found is not None
    assert (found.quantity, found.price, found.version) == (3, Decimal("101.5"), MODIFY)


@pytest.mark.parametrize("word", ["RiskRejected", "ExecutionRejected"])
def test_a_rejected_modify_never_held_and_is_newer_news(word: str) -> None:
    by_status = wire.joined(modified(commandStatus=word))
    report = {"id": MODIFY + 1, "commandId": MODIFY, "commandStatus": word, "rejectReason": "InvalidPrice"}
    by_report = wire.joined(replace(modified(), reports=[report]))
    for found in (by_status, by_report):
        assert found is not None
        assert (found.quantity, found.price) == (1, Decimal("100.25"))
        assert found.version > MODIFY


def test_a_replacement_still_asked_for_does_not_hold_yet() -> None:
    found = wire.joined(modified("PendingReplace"))
    assert found is not None
    assert found.price == Decimal("100.25")


def test_what_was_filled_is_the_most_anybody_claims() -> None:
    reported = {"id": N + 4, "commandId": N, "orderId": N, "execType": "Trade", "cumQty": 2}
    by_report = wire.joined(parts(executions=[reported], fills=[fill(N + 3, N)]))
    by_status = wire.joined(replace(parts("Filled"), versions=[version(N, orderQty=5)]))
    assert by_report is not None
    assert by_status is not None
    assert (by_report.claimed, by_status.claimed) == (2, 0), "a version is what was asked, not what was filled"


def test_a_busted_fill_is_not_claimed() -> None:
    found = wire.joined(parts(fills=[fill(N + 3, N, active=False), fill(N + 5, N, qty=2)]))
    assert found is not None
    assert found.claimed == 2


@pytest.mark.parametrize("kind", ["reports", "executions"])
def test_the_reason_of_a_rejection_comes_from_risk_or_exchange(kind: str) -> None:
    told = {"id": N + 1, "commandId": N, "rejectReason": "LiquidationOnly", "text": "Your account is set to it."}
    where: dict[str, Any] = {kind: [told]}
    found = wire.joined(replace(parts("Rejected"), **where))
    assert found is not None
    assert (found.reason, found.text) == ("LiquidationOnly", "Your account is set to it.")


@pytest.mark.parametrize(
    ("row", "risk", "why"),
    [
        (account(), None, None),
        (account(), {"id": 1, "adminAction": "Normal", "autoLiqCounter": 2}, None),
        (account(active=False), None, "not active"),
        (account(closed=True), None, "closed"),
        (account(archived=True), None, "archived"),
        (account(restricted=True), None, "restricted"),
        (account(readonly=True), None, "readonly"),
        (account(), {"id": 1, "adminAction": "LockTradingImmediately"}, "locked by the broker"),
        (account(), {"id": 1, "liquidateOnly": "2026-11-23T14:00:00Z"}, "liquidation only"),
    ],
)
def test_an_account_that_cannot_trade_says_why(row: Any, risk: Any, why: str | None) -> None:
    found = wire.account(row, risk)
    assert found is not None
    assert (found.active, found.why) == (why is None, why)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2017-12-15T22:29Z", datetime(2017, 12, 15, 22, 29, tzinfo=UTC)),
        ("2024-07-11T06:56:09Z", datetime(2024, 7, 11, 6, 56, 9, tzinfo=UTC)),
        ("2026-08-18T01:50:08.477Z", datetime(2026, 8, 18, 1, 50, 8, 477000, tzinfo=UTC)),
        ("yesterday", None),
    ],
)
def test_recorded_forms_of_time_are_read(text: str, at: datetime | None) -> None:
    assert wire.moment({"timestamp": text}, "timestamp") == at


def test_a_fill_is_read_exactly_and_half_a_fill_not_at_all() -> None:
    found = wire.fill(fill(N + 3, N, price=Decimal("24652.25")))
    assert found is not None
    assert (found.id, found.broker_order_id, found.price) == (str(N + 3), str(N), Decimal("24652.25"))
    assert wire.fill({"id": N + 3, "orderId": N}) is None


def test_the_newest_row_of_a_position_sorts_last() -> None:
    older = position(3, id=9, tradeDate={"year": 2026, "month": 11, "day": 20})
    newer = position(1, id=4)
    assert max([newer, older], key=wire.position_order) is newer


def test_an_order_of_the_brokers_own_is_told_as_such() -> None:
    told = [wire.joined(Parts(order(N, "Filled", admin=admin))) for admin in (True, False)]
    assert [one.admin for one in told if one is not None] == [True, False]


@pytest.mark.parametrize(
    ("row", "average"),
    [
        ({"netPos": 2, "netPrice": Decimal("25871.369565217")}, Decimal("25871.369565217")),
        ({"netPos": 2, "prevPos": 2, "prevPrice": Decimal(25000)}, Decimal(25000)),
        ({"netPos": 0, "prevPos": 2, "prevPrice": Decimal(25000)}, None),
        ({"netPos": 1}, None),
    ],
)
def test_a_position_carried_over_costs_what_it_cost_before(row: dict[str, Any], average: Decimal | None) -> None:
    assert wire.average(row) == average
