"""A re-send is one signal, also when its copies come at once; a quick add is never taken for one."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.api.world import World

BUY: dict[str, Any] = {"action": "buy", "ticker": "MNQ1!"}


async def test_copies_that_come_at_once_are_one_signal(world: World) -> None:
    for mark in ({"id": "one"}, {"time": "2026-09-01T14:30:00Z"}, {}):
        answers = await asyncio.gather(*(world.alert({**BUY, **mark}) for _ in range(12)))
        assert sorted(answer.status_code for answer in answers) == [200] * 11 + [202]
        assert len({answer.json()["signal_id"] for answer in answers}) == 1
    assert len(world.desk.arrivals) == 3


async def test_a_quick_add_in_the_same_second_is_a_signal_of_its_own(world: World) -> None:
    first, second = (
        {**BUY, "time": "2026-09-01T14:30:00Z", "market_position": "long", "market_position_size": size}
        for size in (1, 2)
    )
    assert [(await world.alert(one)).status_code for one in (first, second)] == [202, 202]
    assert [(await world.alert({**BUY, "price": price})).status_code for price in (100, 100.25)] == [202, 202]


async def test_the_first_few_repeats_are_told_in_the_receipt_and_a_flood_is_not(world: World) -> None:
    signal = (await world.alert({**BUY, "id": "one"})).json()["signal_id"]
    for _ in range(20):
        assert (await world.alert({**BUY, "id": "one"})).status_code == 200
    notes = [note["text"] for note in (await world.get(f"/signals/{signal}")).json()["notes"]]
    assert sum("came again" in note for note in notes) == 5
