"""Looks and pictures, and what a second program sees: after a restart everything is still there."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from justtrades.broker.port import OrderReport, Synced
from justtrades.positions.model import Status
from justtrades.positions.urgency import Urgency
from tests.broker.conformance.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_look_finds_an_order_by_our_id_with_its_fill(stage: Stage) -> None:
    order = await stage.enter()
    found, fills = await stage.broker.look(stage.account.id, (order.id,))
    assert [(o.client_id, o.status, o.broker_id) for o in found] == [
        (order.id, Status.FILLED, stage.placed[order.id]),
    ]
    assert [f.quantity for f in fills] == [1]


async def test_a_look_right_after_the_answer_finds_the_order(stage: Stage) -> None:
    order = stage.entry()
    await stage.place(order)
    async with asyncio.timeout(stage.house.patience):
        while not (await stage.broker.look(stage.account.id, (order.id,)))[0]:
            await stage.breathe()


async def test_a_look_for_an_id_nobody_sent_finds_nothing(stage: Stage) -> None:
    assert await stage.broker.look(stage.account.id, (stage.new_id(),)) == ((), ())


async def test_a_look_finds_what_was_asked_for_and_nothing_else(stage: Stage) -> None:
    one = await stage.rest(stage.target(await stage.far(1)))
    other = await stage.rest(stage.target(await stage.far(1, further=4)))
    found, _ = await stage.broker.look(stage.account.id, (other.id,))
    assert [o.client_id for o in found] == [other.id]
    assert one.id in stage.live


async def test_a_picture_shows_position_order_and_fill(stage: Stage) -> None:
    order = await stage.enter()
    seen = await stage.picture()
    assert seen.quantity == 1
    assert order.id in [o.client_id for o in seen.orders]
    assert stage.placed[order.id] in [f.broker_order_id for f in seen.fills]


async def test_a_picture_after_the_close_is_flat(stage: Stage) -> None:
    await stage.enter()
    await stage.leave()
    assert (await stage.picture()).quantity == 0


async def test_a_picture_says_which_accounts_it_covers_and_when_it_began(stage: Stage) -> None:
    before = datetime.now(UTC)
    picture = await stage.broker.picture(Urgency.LOOK)
    assert before <= picture.began_at <= datetime.now(UTC)
    assert stage.account.id in picture.accounts


async def test_pictures_asked_for_together_are_read_once(stage: Stage) -> None:
    before = len(stage.audit.calls("/order/list"))
    await asyncio.gather(*(stage.broker.picture(Urgency.LOOK) for _ in range(5)))
    assert len(stage.audit.calls("/order/list")) == before + 1


async def test_fills_of_a_picture_are_those_that_were_told(stage: Stage) -> None:
    order = await stage.enter()
    told = (await stage.fills(order.id))[0].fill
    assert told in (await stage.picture()).fills


# ── a second program ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_restart_asks_for_no_new_token(stage: Stage) -> None:
    async with stage.another() as one:
        assert one.audit.calls("/auth/accesstokenrequest") == []
        assert one.said(Synced)


async def test_a_restart_hears_of_a_working_order_under_our_id(stage: Stage) -> None:
    order = await stage.rest(stage.target(await stage.far(1)))
    async with stage.another() as one:
        told = await one.status(order.id, Status.WORKING)
        assert told.order.broker_id == stage.placed[order.id]
        assert told.order.price == order.price


async def test_a_restart_sees_the_position_and_its_fill(stage: Stage) -> None:
    order = await stage.enter()
    async with stage.another() as one:
        seen = await one.picture()
        assert seen.quantity == 1
        assert stage.placed[order.id] in [f.broker_order_id for f in seen.fills]
        found, fills = await one.broker.look(one.account.id, (order.id,))
        assert [o.status for o in found] == [Status.FILLED]
        assert len(fills) == 1


async def test_what_one_program_does_the_other_hears(stage: Stage) -> None:
    async with stage.another() as one:
        order = await stage.rest(stage.target(await stage.far(1)))
        await one.status(order.id, Status.WORKING)
        await stage.cancel(order)
        await one.status(order.id, Status.CANCELED)


async def test_an_order_of_before_can_be_cancelled_after_a_restart(stage: Stage) -> None:
    order = await stage.rest(stage.target(await stage.far(1)))
    async with stage.another() as one:
        one.placed[order.id] = (await one.status(order.id, Status.WORKING)).order.broker_id
        await one.cancel(order)
    await stage.status(order.id, Status.CANCELED)


async def test_reports_are_the_same_however_often_they_are_told(stage: Stage) -> None:
    order = await stage.enter()
    last = stage.said(OrderReport, lambda r: r.order.client_id == order.id)[-1]
    async with stage.another() as one:
        again = await one.status(order.id, Status.FILLED)
        assert (again.order.broker_id, again.order.status) == (last.order.broker_id, last.order.status)
