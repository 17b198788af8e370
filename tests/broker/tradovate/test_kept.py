"""What stays in memory of finished trades: what is read of them, for a day, and nothing for ever."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from justtrades.broker.tradovate import fees, wire
from justtrades.broker.tradovate.entities import Memory
from justtrades.broker.tradovate.kept import FIELDS, kept
from justtrades.broker.tradovate.wire import Parts
from tests.broker.tradovate.stub import ACCOUNT, CONTRACT, command, fill, order, version
from tests.broker.tradovate.virtual import BEGAN

FIRST = 601683390102


def trade(number: int, at: datetime) -> Iterable[tuple[str, dict[str, Any]]]:
    """All that is told of one finished order, and of the position of its day."""
    one = FIRST + 100 * number
    stamp, day = at.strftime("%Y-%m-%dT%H:%M:%SZ"), {"year": at.year, "month": at.month, "day": at.day}
    yield "command", command(one, f"jt-{number}", timestamp=stamp)
    yield "order", order(one, "Filled", timestamp=stamp)
    yield "orderVersion", version(one)
    yield "commandReport", {"id": one + 1, "commandId": one, "commandStatus": "RiskPassed"}
    yield "fill", fill(one + 2, one, timestamp=stamp)
    yield "executionReport", {"id": one + 3, "commandId": one, "orderId": one, "cumQty": 1}
    yield "fillFee", {"id": one + 2, "commission": Decimal("0.25")}
    yield (
        "position",
        {
            "id": int(f"{at:%Y%m%d}"),
            "accountId": ACCOUNT,
            "contractId": CONTRACT,
            "timestamp": stamp,
            "tradeDate": day,
            "netPos": 0,
        },
    )


def of_nobody(number: int) -> Iterable[tuple[str, dict[str, Any]]]:
    """Rows of an order that is never told itself."""
    one = FIRST + 100 * number + 50
    yield "command", command(one, "jt-gone")
    yield "orderVersion", version(one)
    yield "commandReport", {"id": one + 1, "commandId": one + 40, "commandStatus": "RiskPassed"}
    yield "executionReport", {"id": one + 2, "commandId": one, "orderId": one, "execType": "New"}


def held(value: object) -> int:
    """How many entries all containers in it have."""
    match value:
        case dict():
            return len(value) + sum(held(one) for one in value.values())
        case list() | tuple() | set():
            return len(value) + sum(held(one) for one in value)
        case _:
            return 0


def after(trades: int) -> int:
    """What a memory holds when so many trades, ten a day, are over for two days."""
    memory, now = Memory(), BEGAN
    memory.merge("contract", {"id": CONTRACT, "name": "MNQZ6"})
    for number in range(trades):
        for kind, row in (*trade(number, now), *of_nobody(number)):
            memory.merge(kind, row)
        memory.due(0.0)
        if number % 10 == 9:
            now += timedelta(days=1)
            memory.forget(now)
    for hours in (24, 25, 48):
        memory.forget(now + timedelta(hours=hours))
    return held(vars(memory))


def test_a_thousand_finished_trades_leave_no_more_than_ten() -> None:
    assert after(1000) == after(10)


class Read(dict[str, Any]):
    """A row that notes which of its fields are asked for."""

    def __init__(self, row: dict[str, Any]) -> None:
        super().__init__(row)
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)

    def __contains__(self, name: object) -> bool:
        self.asked.add(str(name))
        return super().__contains__(name)


@pytest.mark.parametrize("status", ["Filled", "Rejected", "PendingReplace"])
@pytest.mark.parametrize("kind", ["Limit", "Stop", "Market"])
def test_every_field_that_is_read_of_an_orders_entities_is_kept(status: str, kind: str) -> None:
    rows = {
        "order": Read(order(FIRST, status)),
        "orderVersion": Read(version(FIRST, orderType=kind)),
        "command": Read(command(FIRST, "jt-1", commandType="Modify")),
        "commandReport": Read({"id": 2, "commandId": FIRST, "rejectReason": "RiskCheckTimeout"}),
        "executionReport": Read({"id": 3, "commandId": FIRST, "rejectReason": "NoQuote"}),
        "fill": Read(fill(4, FIRST)),
        "fillFee": Read({"id": 4, **{name: Decimal(1) for name in fees.AMOUNTS}}),
    }
    one, others = rows["order"], {name: (row,) for name, row in rows.items()}
    wire.place(one)
    wire.joined(
        Parts(
            order=one,
            versions=others["orderVersion"],
            commands=others["command"],
            reports=others["commandReport"],
            executions=others["executionReport"],
            fills=others["fill"],
        )
    )
    wire.fill(rows["fill"])
    fees.total(rows["fillFee"])
    unkept = {name: row.asked - set(FIELDS[name]) for name, row in rows.items()}
    assert not any(unkept.values()), unkept


def test_what_nobody_reads_is_not_kept_and_words_are_kept_once() -> None:
    made = [kept("command", {**command(FIRST, None), "commandStatus": "".join(["Pen", "ding"]), "isAutomated": True})]
    made += [kept("command", {**command(FIRST, None), "commandStatus": "".join(["Pend", "ing"])})]
    assert "isAutomated" not in made[0]
    assert made[0]["commandStatus"] is made[1]["commandStatus"]


def test_an_order_shown_again_is_the_one_that_was_told() -> None:
    memory = Memory()
    memory.merge("contract", {"id": CONTRACT, "name": "MNQZ6"})
    for kind, row in trade(0, BEGAN):
        memory.merge(kind, row)
    memory.due(0.0)
    assert memory.order(FIRST) is not None
    assert memory.order(FIRST) is memory.order(FIRST)
