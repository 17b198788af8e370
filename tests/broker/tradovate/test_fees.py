"""What fills cost: one report per fill and amount, whatever comes first."""

from __future__ import annotations

import itertools
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from justtrades.broker.port import FeeReport, FillReport
from justtrades.broker.tradovate import exact, fees
from justtrades.broker.tradovate.entities import Memory
from justtrades.broker.tradovate.frames import sync_body
from tests.broker.tradovate.stub import CONTRACT, Stub, command, desk, fill, order, props, version
from tests.broker.tradovate.virtual import BEGAN, run

N = 601683390102
FEE = {"id": N + 3, "clearingFee": 0.09, "clearingCurrencyId": 1, "exchangeFee": 0.2, "commission": 0.25}
EVENTS: list[tuple[str, dict[str, Any]]] = [
    ("contract", {"id": CONTRACT, "name": "MNQZ6"}),
    ("command", command(N, "jt-1")),
    ("order", order(N, "Filled")),
    ("fill", fill(N + 3, N)),
    ("fillFee", FEE),
]


def read(row: dict[str, Any]) -> Any:
    """As it comes off the wire: fractions are decimals."""
    return exact.loads(exact.dumps({k: Decimal(str(v)) if isinstance(v, float) else v for k, v in row.items()}))


def test_every_kind_of_fee_counts() -> None:
    names = ("clearing", "exchange", "nfa", "brokerage", "ip", "orderRouting")
    row = {**{f"{name}Fee": Decimal("0.1") for name in names}, "commission": Decimal("0.35")}
    assert fees.total(row) == Decimal("0.95")


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"clearingCurrencyId": 1},
        {"commission": "0.35"},
        {"commission": Decimal("0.35"), "commissionCurrencyId": 2},
        {"commission": Decimal("1E+400")},
        {"commission": Decimal("1E-400")},
    ],
)
def test_what_tells_no_amount_of_dollars_is_unknown(row: dict[str, Any]) -> None:
    assert fees.total(row) is None


def test_nothing_in_another_currency_is_nothing() -> None:
    assert fees.total({"commission": Decimal("0.5"), "ipFee": Decimal(0), "ipCurrencyId": 7}) == Decimal("0.5")


def told(memory: Memory, *events: tuple[str, dict[str, Any]]) -> list[Any]:
    said: list[Any] = []
    for kind, row in events:
        memory.merge(kind, read(row))
        said += memory.due(0.0)
    return [report for report in said if isinstance(report, FeeReport | FillReport)]


def test_a_fee_is_told_once_and_after_its_fill_in_any_order() -> None:
    for events in itertools.permutations(EVENTS):
        first, second = told(Memory(), *events, *events)
        assert isinstance(first, FillReport)
        assert isinstance(second, FeeReport)
        assert (second.fill_id, second.contract, second.amount) == (str(N + 3), "MNQZ6", Decimal("0.54"))


def test_a_fee_in_parts_or_changed_is_told_again() -> None:
    memory = Memory()
    told(memory, *EVENTS)
    (again,) = told(memory, ("fillFee", {"id": N + 3, "nfaFee": 0.02, "nfaCurrencyId": 1}))
    assert again.amount == Decimal("0.56")


def test_a_fee_is_forgotten_with_its_fill() -> None:
    memory = Memory()
    old = {"timestamp": "2026-11-20T10:00:00Z"}
    for kind, row in EVENTS:
        memory.merge(kind, read({**row, **old}))
    memory.due(0.0)
    memory.forget(BEGAN)
    assert len(told(memory, *EVENTS[1:4])) == 1
    assert [type(report) for report in told(memory, EVENTS[4])] == [FeeReport]


def test_a_fee_whose_fill_never_comes_is_kept_a_while_only() -> None:
    memory = Memory()
    told(memory, EVENTS[0], EVENTS[4])
    memory.forget(BEGAN)
    assert [type(r) for r in told(memory, *EVENTS[1:4])] == [FillReport, FeeReport]
    lone = Memory()
    told(lone, EVENTS[0], EVENTS[4])
    lone.forget(BEGAN)
    lone.forget(BEGAN + timedelta(hours=1))
    assert [type(r) for r in told(lone, *EVENTS[1:4])] == [FillReport]


def test_fees_come_by_the_sync_and_by_events() -> None:
    stub = Stub()
    rows = {"order": "orders", "command": "commands", "orderVersion": "orderVersions", "fill": "fills"}
    stub.snapshot = {
        "contracts": [EVENTS[0][1]],
        **{plural: [] for plural in rows.values()},
        "orders": [order(N, "Filled")],
        "commands": [command(N, "jt-1")],
        "orderVersions": [version(N)],
        "fills": [fill(N + 3, N)],
        "fillFees": [FEE],
    }

    async def work() -> None:
        async with desk(stub) as one:
            missed = await one.until(FeeReport)
            assert (missed.fill_id, missed.amount) == (str(N + 3), Decimal("0.54"))
            stub.socket.say(props("fillFee", {**FEE, "commission": 0.5}, "Updated"))
            corrected = await one.until(FeeReport, 2)
            assert corrected.amount == Decimal("0.79")

    run(work())


def test_a_sync_by_types_asks_for_fees() -> None:
    assert "fillFee" in sync_body(1, by_types=True)["entityTypes"]
