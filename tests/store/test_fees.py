"""What a trade cost is the sum of its fills' fees, whatever comes first."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from functools import partial

import pytest

from justtrades.positions.events import FillBusted, OrderFilled, OrderReported
from justtrades.positions.model import (
    AccountId,
    Action,
    BrokerOrder,
    BrokerOrderId,
    Fill,
    FillId,
    SignalId,
    Status,
    Verb,
)
from justtrades.store import fees, reads, tables
from justtrades.store.session import Database
from tests.store.conftest import Clock
from tests.store.test_lanes import ACCOUNT, Story, rows


@pytest.fixture
def story(db: Database, clock: Clock) -> Story:
    return Story(db, clock)


async def cost(story: Story, fill: str, amount: str, account: AccountId = ACCOUNT) -> None:
    told = {(account, FillId(fill)): Decimal(amount)}
    await story.db.write(partial(fees.keep, told=told))


async def shown(story: Story) -> list[Decimal | None]:
    return [trade.fees for trade in await rows(story.db, tables.recorded_trades)]


async def leave(story: Story) -> None:
    await story.accepted("102")
    await story.filled("102", "2", Action.SELL, "18005.25")


Act = Callable[[Story], Awaitable[None]]


async def entry_cost(story: Story) -> None:
    await cost(story, "1", "0.37")


async def exit_cost(story: Story) -> None:
    await cost(story, "2", "0.3")


async def enter(story: Story) -> None:
    await story.enter_long()


ORDERS = [
    order
    for order in itertools.permutations((enter, leave, entry_cost, exit_cost))
    if order.index(enter) < order.index(leave)
]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "-".join(act.__name__ for act in order))
async def test_fees_and_fills_in_any_order_end_the_same(story: Story, order: tuple[Act, ...]) -> None:
    for act in order:
        await act(story)
    assert await shown(story) == [Decimal("0.67")]


async def test_an_open_trade_shows_what_it_cost_so_far_and_nothing_while_nothing_is_known(story: Story) -> None:
    await story.enter_long()
    assert await shown(story) == [None]
    await cost(story, "1", "0.37")
    assert await shown(story) == [Decimal("0.37")]
    await leave(story)
    assert await shown(story) == [Decimal("0.37")]


async def test_a_fee_told_again_counts_once_and_a_changed_one_counts_as_it_is_now(story: Story) -> None:
    await story.enter_long()
    await leave(story)
    for amount in ("0.1", "0.1", "0.2"):
        await cost(story, "1", amount)
        await cost(story, "2", "0.1")
    assert await shown(story) == [Decimal("0.3")]
    assert [type(fee) for fee in await shown(story)] == [Decimal]


async def test_saving_a_step_again_leaves_the_fees(story: Story) -> None:
    await story.enter_long()
    await cost(story, "1", "0.37")
    await story.save()
    assert await shown(story) == [Decimal("0.37")]


async def test_a_free_trade_costs_zero_and_is_not_unknown(story: Story) -> None:
    await story.enter_long()
    await cost(story, "1", "0")
    assert await shown(story) == [Decimal(0)]


async def test_a_busted_fill_costs_nothing(story: Story) -> None:
    await story.ready()
    await story.ask(Verb.BUY, "sig-1", quantity=2)
    await story.accepted("101")
    for number in ("1", "2"):
        fill = Fill(FillId(number), BrokerOrderId("101"), Action.BUY, 1, Decimal(18000), story.clock.now)
        await story.tell(OrderFilled(fill))
        await cost(story, number, "0.4")
    await story.tell(OrderReported(BrokerOrder(BrokerOrderId("101"), None, Status.FILLED, claimed=2)))
    assert await shown(story) == [Decimal("0.8")]
    await story.tell(FillBusted(FillId("2")))
    assert await shown(story) == [Decimal("0.4")]
    await cost(story, "2", "0.5")
    assert await shown(story) == [Decimal("0.4")]


async def test_each_trade_has_its_own_fees(story: Story) -> None:
    await story.enter_long()
    await leave(story)
    story.clock.now += timedelta(seconds=1)
    await story.ask(Verb.BUY, "sig-2")
    await story.accepted("201")
    await story.filled("201", "3", Action.BUY, "18000")
    told = {(ACCOUNT, FillId(number)): Decimal(number) for number in ("1", "2", "3")}
    await story.db.write(partial(fees.keep, told=told))
    assert await shown(story) == [Decimal(3), Decimal(3)]


async def test_the_same_fill_id_on_another_account_is_another_fill(story: Story) -> None:
    await story.enter_long()
    await cost(story, "1", "5", AccountId("acc-2"))
    assert await shown(story) == [None]


async def test_nothing_told_changes_nothing(story: Story) -> None:
    await story.db.write(partial(fees.keep, told={}))
    assert await rows(story.db, tables.fill_fees) == []


async def test_fills_are_listed_with_their_fee(story: Story) -> None:
    await story.enter_long()
    await leave(story)
    await cost(story, "1", "0.37")
    page = await story.db.read(reads.list_fills)
    assert [(row["broker_fill_id"], row["fee"]) for row in page.items] == [("2", None), ("1", Decimal("0.37"))]
    found = await story.db.read(lambda c: reads.get_receipt(c, SignalId("sig-1")))
    assert found is not None
    assert Decimal("0.37") in [row["fee"] for row in found.fills]
