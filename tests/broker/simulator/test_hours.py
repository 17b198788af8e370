"""Exchange hours as a switch: closed markets, maintenance, and the turn of the session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import websockets

from justtrades.broker.simulator.doors import Doors, Hours, session_over, turn_session
from justtrades.broker.simulator.floor import Floor
from justtrades.broker.simulator.ledger import Ledger
from justtrades.broker.simulator.server import Options
from tests.broker.simulator.client import Rest, connected, trading, visiting

MONDAY = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
"""09:30 in Chicago."""
EXCHANGE = Options(exchange_hours=True)


class Clock:
    def __init__(self, now: datetime = MONDAY) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def chicago(hour: int, minute: int = 0, day: int = 23) -> datetime:
    return datetime(2026, 11, day, tzinfo=UTC) + timedelta(hours=hour + 6, minutes=minute)


@pytest.mark.parametrize(
    ("at", "shut"),
    [
        (chicago(15, 59), False),
        (chicago(16), True),
        (chicago(16, 59), True),
        (chicago(17), False),
        (chicago(18, day=27), True),  # a Friday
        (chicago(23, day=28), True),  # a Saturday
        (chicago(7, day=29), False),  # a Sunday
    ],
)
def test_the_doors_are_shut_in_the_published_windows_only_where_hours_are_kept(at: datetime, shut: bool) -> None:
    assert Doors(lambda: at, by_calendar=True).are_shut is shut
    assert Doors(lambda: at).are_shut is False


async def test_a_paper_without_exchange_hours_is_always_open(tmp_path: Path) -> None:
    saturday = Clock(chicago(12, day=28))
    async with trading(tmp_path, clock=saturday) as rest:
        assert "orderId" in await rest.order()


async def test_with_exchange_hours_a_closed_market_takes_no_orders_and_fills_none(tmp_path: Path) -> None:
    clock = Clock()
    async with trading(tmp_path, clock=clock, options=EXCHANGE) as rest:
        order = (await rest.order(orderType="Limit", price=24_000, timeInForce="GTC"))["orderId"]
        clock.now = chicago(12, day=28)
        answer = await rest.raw("POST", "order/placeorder", json=_order(rest))
        assert answer.status_code == 401, "the token is over by then"
        await rest.log_in()
        assert (await rest.order())["failureReason"] == "SessionClosed"
        await rest.control("price", symbol="MNQZ6", price=23_000)
        assert (await rest.get("order/item", id=order))["ordStatus"] == "Working"


def _order(rest: Rest) -> dict[str, Any]:
    return {"accountId": rest.account["id"], "symbol": "MNQZ6", "action": "Buy", "orderQty": 1, "orderType": "Market"}


async def test_in_maintenance_calls_are_503_and_sockets_are_sent_away(tmp_path: Path) -> None:
    clock = Clock()
    async with trading(tmp_path, clock=clock, options=EXCHANGE) as rest:
        clock.now = chicago(16, 1)
        assert (await rest.raw("GET", "account/list")).status_code == 503
        async with connected(rest) as socket:
            message = await socket.until(lambda m: m.get("e") == "shutdown")
            assert message["d"] == {"reasonCode": "Maintenance"}
            assert (await socket.frame())[0] == "c"


async def test_a_rehearsed_maintenance_ends_by_itself_or_when_it_is_cleared(tmp_path: Path) -> None:
    clock = Clock()
    async with trading(tmp_path, clock=clock) as rest:
        await rest.control("faults", fault="maintenance:60")
        assert (await rest.raw("GET", "account/list")).status_code == 503
        clock.now += timedelta(seconds=60)
        assert (await rest.raw("GET", "account/list")).status_code == 200
        await rest.control("faults", fault="maintenance:60")
        await rest.http.delete("/control/faults")
        assert (await rest.raw("GET", "account/list")).status_code == 200


# ── the turn of the session ──────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def floor_at(folder: Path, clock: Clock) -> AsyncIterator[Floor]:
    floor = Floor(Ledger(folder / "ledger.db"), clock)
    try:
        await floor.open_accounts(1, Decimal(50_000))
        yield floor
    finally:
        await floor.close()


async def test_a_session_is_over_when_the_trade_date_turns_at_17_chicago(tmp_path: Path) -> None:
    clock = Clock()
    async with floor_at(tmp_path, clock) as floor:
        found = []
        for clock.now in (chicago(16, 59), chicago(17)):
            found.append(session_over(floor.venue.book, clock.now))
        assert found == [False, True]
        await turn_session(floor)
        assert not session_over(floor.venue.book, clock.now)


async def test_hours_are_kept_as_the_clock_goes_on(tmp_path: Path) -> None:
    clock, said = Clock(chicago(15, 59)), list[str]()
    async with floor_at(tmp_path, clock) as floor:
        hours, dates = Hours(floor, Doors(clock, by_calendar=True), said.append), []
        for clock.now in (chicago(16), chicago(16, 30), chicago(17), chicago(16, day=24)):
            await hours.look()
            dates += [cash["tradeDate"]["day"] for cash in floor.venue.book.cash.values()]
    assert said == ["Maintenance", "Maintenance"]
    assert dates == [23, 23, 24, 24]


async def test_a_new_session_expires_day_orders_and_carries_the_position(tmp_path: Path) -> None:
    """The simulator was off over the turn: it catches up when it starts."""
    clock = Clock()
    async with trading(tmp_path, clock=clock, options=EXCHANGE) as rest:
        await rest.order(orderQty=2)
        day = (await rest.order(orderType="Limit", price=24_000))["orderId"]
        stays = (await rest.order(orderType="Limit", price=24_000, timeInForce="GTC"))["orderId"]
        await rest.order(action="Sell")
    clock.now = chicago(18)
    async with trading(tmp_path, clock=clock, options=EXCHANGE) as rest:
        assert (await rest.get("order/item", id=day))["ordStatus"] == "Expired"
        assert (await rest.get("order/item", id=stays))["ordStatus"] == "Working"
        row = (await rest.get("position/list"))[0]
        assert (row["netPos"], row["prevPos"], row["prevPrice"]) == (1, 1, 25_000)
        assert (row["bought"], row["boughtValue"], row["sold"], row["soldValue"]) == (0, 0, 0, 0)
        assert "netPrice" not in row
        assert row["tradeDate"] == {"year": 2026, "month": 11, "day": 24}
        reports = await rest.get("executionReport/list")
        assert [report["orderId"] for report in reports if report["execType"] == "Expired"] == [day]


async def test_the_weeks_result_begins_anew_with_the_weeks_first_session(tmp_path: Path) -> None:
    clock = Clock()
    async with trading(tmp_path, clock=clock) as rest:
        await rest.order()
        await rest.control("price", symbol="MNQZ6", price=25_010)
        await rest.order(action="Sell")
        figures = []
        for clock.now in (chicago(17), chicago(17, day=27), chicago(17, day=29)):
            await rest.control("roll")
            await rest.log_in()
            cash = (await rest.get("cashBalance/list"))[0]
            figures.append((cash["realizedPnL"], cash["weekRealizedPnL"]))
        assert figures == [(0, 20), (0, 20), (0, 0)]


async def test_a_token_may_be_over_before_its_time(tmp_path: Path) -> None:
    async with trading(tmp_path) as rest, connected(rest) as socket:
        await socket.ask("authorize", body=rest.token)
        await rest.control("faults", fault="expire_tokens")
        assert await socket.frame() == 'c[1000,"Token expired"]'
        with pytest.raises(websockets.ConnectionClosed):
            await socket.frame()
        assert (await rest.raw("GET", "account/list")).status_code == 401
        async with visiting(str(rest.http.base_url)) as other:
            assert other.account
