"""Heartbeats: grey, green and red in virtual time, told once, remembered over a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from justtrades.api import alerts
from justtrades.api.alerts import Heartbeat, NotAnOrder
from justtrades.api.watch import Colour, Watch
from justtrades.positions.model import RecorderId, SignalId
from justtrades.positions.recorder import Recorder
from justtrades.store import watch
from justtrades.store.session import Database
from tests.api.world import START, TOKEN, World, momentum
from tests.broker.tradovate import virtual
from tests.desk.fakes import newest_schema

PERIOD = 300


@dataclass
class Room:
    """A watch over a database file, and what it told."""

    database: Database
    watch: Watch
    told: list[str] = field(default_factory=list)

    def colour(self, recorder: Recorder) -> Colour:
        return self.watch.of(recorder).colour


@asynccontextmanager
async def room(folder: Path, *recorders: Recorder) -> AsyncIterator[Room]:
    database = Database(f"sqlite+aiosqlite:///{folder / 'watch.db'}", clock=virtual.clock, inline=True)
    await database.open()
    made = Room(database, Watch(database, virtual.clock))
    made.watch.notify = lambda kind, title, _: made.told.append(f"{kind} {title}")
    made.watch.know(recorders)
    running = asyncio.create_task(made.watch.run())
    try:
        await asyncio.sleep(0)
        yield made
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await database.close()


def in_virtual_time(test: Callable[[Path], Coroutine[Any, Any, None]]) -> Callable[[Path], None]:
    def whole(tmp_path: Path) -> None:
        (tmp_path / "watch.db").write_bytes(newest_schema())
        virtual.run(test(tmp_path))

    whole.__name__ = test.__name__
    return whole


WATCHED = Recorder(RecorderId("w"), "watched")


@in_virtual_time
async def test_silence_turns_a_recorder_red_within_two_periods_and_is_told_once(folder: Path) -> None:
    async with room(folder, WATCHED) as here:
        assert here.colour(WATCHED) is Colour.GREY
        here.watch.heard(WATCHED, PERIOD, virtual.clock())
        await asyncio.sleep(1.4 * PERIOD)
        assert (here.colour(WATCHED), here.told) == (Colour.GREEN, [])
        await asyncio.sleep(0.2 * PERIOD)
        assert (here.colour(WATCHED), here.told) == (Colour.RED, ["heartbeat watched: no heartbeat"])
        await asyncio.sleep(20 * PERIOD)
        assert len(here.told) == 1
        here.watch.heard(WATCHED, PERIOD, virtual.clock())
        assert (here.colour(WATCHED), here.told[1:]) == (Colour.GREEN, ["heartbeat watched: heard again"])
        await asyncio.sleep(2 * PERIOD)
        assert here.told[2:] == ["heartbeat watched: no heartbeat"]


@in_virtual_time
async def test_a_beat_in_time_keeps_it_green(folder: Path) -> None:
    async with room(folder, WATCHED) as here:
        for _ in range(20):
            here.watch.heard(WATCHED, PERIOD, virtual.clock())
            await asyncio.sleep(1.2 * PERIOD)
        assert (here.colour(WATCHED), here.told) == (Colour.GREEN, [])


@in_virtual_time
async def test_what_was_heard_outlives_a_restart_and_a_silence_told_is_not_told_again(folder: Path) -> None:
    async with room(folder, WATCHED) as here:
        here.watch.heard(WATCHED, PERIOD, virtual.clock())
        await asyncio.sleep(1)
    async with room(folder, WATCHED) as here:
        await asyncio.sleep(PERIOD)
        assert here.colour(WATCHED) is Colour.GREEN
        await asyncio.sleep(PERIOD)
        assert here.told == ["heartbeat watched: no heartbeat"]
    async with room(folder, WATCHED) as here:
        await asyncio.sleep(PERIOD)
        assert (here.colour(WATCHED), here.told) == (Colour.RED, [])
        here.watch.heard(WATCHED, PERIOD, virtual.clock())
        assert here.told == ["heartbeat watched: heard again"]


@in_virtual_time
async def test_a_silence_while_the_engine_was_down_is_told_at_its_start(folder: Path) -> None:
    async with room(folder, WATCHED) as here:
        here.watch.heard(WATCHED, PERIOD, virtual.clock())
    await asyncio.sleep(10 * PERIOD)
    async with room(folder, WATCHED) as here:
        await asyncio.sleep(1)
        assert here.told == ["heartbeat watched: no heartbeat"]


@in_virtual_time
async def test_the_recorders_own_period_counts_before_the_alerts(folder: Path) -> None:
    own = Recorder(RecorderId("o"), "own", heartbeat_seconds=10)
    async with room(folder, own) as here:
        here.watch.heard(own, PERIOD, virtual.clock())
        await asyncio.sleep(16)
        assert here.colour(own) is Colour.RED


@in_virtual_time
async def test_without_a_period_or_a_first_beat_or_when_disabled_it_is_grey(folder: Path) -> None:
    never = Recorder(RecorderId("n"), "never", heartbeat_seconds=10)
    off = Recorder(RecorderId("f"), "off", enabled=False)
    async with room(folder, WATCHED, never, off) as here:
        here.watch.heard(WATCHED, None, virtual.clock())
        here.watch.heard(off, 10, virtual.clock())
        await asyncio.sleep(10_000)
        assert [here.colour(one) for one in (WATCHED, never, off)] == [Colour.GREY] * 3
        assert here.told == []


@in_virtual_time
async def test_an_edited_period_counts_from_now_on(folder: Path) -> None:
    slow = Recorder(RecorderId("w"), "watched", heartbeat_seconds=10_000)
    async with room(folder, slow) as here:
        here.watch.heard(slow, PERIOD, virtual.clock())
        await asyncio.sleep(3 * PERIOD)
        assert here.told == []
        here.watch.know([WATCHED])
        await asyncio.sleep(1)
        assert here.told == ["heartbeat watched: no heartbeat"]


# ── the alert ────────────────────────────────────────────────────────────────────────────────────────────────


def read(text: str) -> object:
    return alerts.read(alerts.parse(text.encode()))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ('"5m"', 300),
        ('"30s"', 30),
        ('"1h"', 3600),
        ('"1 d"', 0),
        ('"1D"', 86_400),
        ('"5"', 300),
        ("5", 300),
        ("true", None),
    ],
)
def test_a_heartbeat_names_its_period(value: str, seconds: int | None) -> None:
    if seconds == 0:
        with pytest.raises(NotAnOrder, match="how often"):
            read(f'{{"heartbeat": {value}}}')
    else:
        assert read(f'{{"heartbeat": {value}}}') == Heartbeat(seconds)


@pytest.mark.parametrize("value", ['"soon"', '"0s"', '"8d"', "-5", "1.5", "{}", "[]"])
def test_a_period_that_makes_no_sense_is_refused_with_an_example(value: str) -> None:
    with pytest.raises(NotAnOrder, match='"heartbeat": "5m"'):
        read(f'{{"heartbeat": {value}}}')


def test_an_order_with_a_heartbeat_field_is_an_order() -> None:
    assert not isinstance(read('{"action": "buy", "ticker": "MNQ1!", "heartbeat": "5m"}'), Heartbeat)
    assert read('{"action": "heartbeat", "heartbeat": "1m"}') == Heartbeat(60)


# ── over HTTP ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_recorder_shows_its_heartbeat_and_gaps_and_stays_ready(world: World) -> None:
    shown = (await world.get("/recorders/r1")).json()
    assert (shown["heartbeat_state"], shown["gaps"], shown["last_gap_at"]) == ("grey", 0, None)
    answer = await world.alert('{"heartbeat": "5m"}', TOKEN)
    assert (answer.status_code, answer.json()) == (200, {"status": "heartbeat"})
    shown = (await world.get("/recorders/r1")).json()
    assert (shown["heartbeat_state"], shown["heartbeat_period_seconds"]) == ("green", 300)
    assert shown["last_heartbeat_at"] == "2026-09-01T14:30:00Z"
    world.clock.pass_seconds(600)
    assert (await world.get("/recorders/r1")).json()["heartbeat_state"] == "red"
    assert [one["heartbeat_state"] for one in (await world.get("/recorders")).json()["items"]] == ["red"]
    assert (await world.http.get("/readyz")).status_code == 200
    await world.change(momentum(heartbeat_seconds=3_600))
    assert (await world.get("/recorders/r1")).json()["heartbeat_state"] == "green"
    metrics = (await world.http.get("/metrics", headers=world.admin)).text
    assert "justtrades_recorders_silent 0" in metrics


async def test_a_gap_counts_once_for_a_signal(world: World) -> None:
    first = (await world.alert({"action": "buy", "ticker": "MNQ1!", "id": 1})).json()["signal_id"]
    for _ in range(2):
        await world.database.write(lambda c: watch.keep_gap(c, SignalId(first), "missing", START))
    await world.database.write(lambda c: watch.keep_gap(c, SignalId("nobody"), "missing", START))
    shown = (await world.get("/recorders/r1")).json()
    assert (shown["gaps"], shown["last_gap_at"]) == (1, "2026-09-01T14:30:00Z")
