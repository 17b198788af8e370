"""People hear of what happens: noted at once, kept, gathered, carried, tried again; never in the way of a trade."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from justtrades import outbox as outbox_module
from justtrades.announce import announced
from justtrades.courier import ChildCourier, Delivery
from justtrades.daily import Lookout, summary
from justtrades.notices import Kind
from justtrades.outbox import TRIES, Outbox, text_of
from justtrades.positions.model import AccountId, Contract, ContractName, Lane, Noted, Outcome, SignalDone, SignalId
from justtrades.store import notifications
from justtrades.store.notifications import News, TargetRow
from justtrades.store.secrets import Box, new_key
from justtrades.store.session import Database
from tests import newest
from tests.api.world import START, Clock, World
from tests.api.world import world as make_world

URL = "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js"


@dataclass
class FakeCourier:
    """Takes what it is given, or answers as told."""

    answers: list[Delivery] = field(default_factory=list)
    carried: list[tuple[str, str, str]] = field(default_factory=list)

    async def deliver(self, url: str, title: str, body: str) -> Delivery:
        self.carried.append((url, title, body))
        return self.answers.pop(0) if self.answers else Delivery.SENT

    @property
    def titles(self) -> list[str]:
        return [title for _, title, _ in self.carried]


@dataclass
class Post:
    """An outbox on a database in memory, driven by hand."""

    outbox: Outbox
    courier: FakeCourier
    clock: Clock
    database: Database

    async def place(self, name: str = "phone", kinds: tuple[str, ...] = ()) -> None:
        new = TargetRow(self.database.new_id(), name, "discord", kinds, True, START)
        await self.database.write(lambda c: notifications.add(c, self.outbox.box, new, URL))
        await self.outbox.refresh()

    async def pass_seconds(self, seconds: float) -> None:
        """Keeps what was noted, lets time pass, carries what is due then."""
        await self.outbox.keep()
        self.clock.pass_seconds(seconds)
        await self.outbox.carry_due()

    def refuse(self, text: str) -> None:
        self.outbox.notify(Kind.REFUSAL, "momentum: alert refused", text)


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    clock, courier = Clock(), FakeCourier()
    database = Database("sqlite+aiosqlite://", clock=clock, inline=True)
    await database.open()
    await database.write(newest.create)
    outbox = Outbox(database, Box(new_key()), courier, clock, random.Random(1))
    await outbox.refresh()
    yield Post(outbox, courier, clock, database)
    await database.close()


# ── what is told, and how often ──────────────────────────────────────────────────────────────────────────────


async def test_news_reaches_every_place_that_wants_its_kind(post: Post) -> None:
    await post.place("phone")
    await post.place("mail", ("summary", "halt"))
    post.outbox.notify(Kind.FILL, "MNQU6 filled", "long 1")
    await post.pass_seconds(3)
    assert post.courier.carried == [(URL, "justtrades: MNQU6 filled", "long 1")]
    post.outbox.notify(Kind.HALT, "kill switch on", "by admin key")
    await post.pass_seconds(0)
    assert len(post.courier.carried) == 3


async def test_news_that_says_the_same_is_one_line_with_its_count(post: Post) -> None:
    await post.place()
    for reason in ("no such word", "no such word", "too late"):
        post.refuse(reason)
    await post.pass_seconds(10)
    assert [line.rpartition(": ")[2] for line in post.courier.carried[0][2].splitlines()] == [
        "no such word (2 times)",
        "too late",
    ]


async def test_a_storm_of_refusals_is_one_message_and_the_rest_of_it_another_minutes_later(post: Post) -> None:
    await post.place()
    for number in range(500):
        post.refuse(f"reason {number}")
    await post.pass_seconds(10)
    assert post.courier.titles == ["justtrades: 500 refused or blocked alerts"]
    assert post.courier.carried[0][2].count("\n") == 10
    assert post.courier.carried[0][2].endswith("… and 490 more")
    for minute in range(5):
        post.refuse(f"still {minute}")
        await post.pass_seconds(60)
    assert post.courier.titles[1:] == ["justtrades: 5 refused or blocked alerts"]


async def test_a_storm_over_many_writes_waits_as_one_row(post: Post) -> None:
    await post.place()
    for number in range(30):
        post.refuse(f"reason {number}")
        await post.outbox.keep()
    waiting = await post.database.read(notifications.waiting_by_target)
    assert list(waiting.values()) == [1]


async def test_without_anyone_to_tell_nothing_is_noted(post: Post) -> None:
    post.refuse("nobody hears")
    await post.place(kinds=("fill",))
    post.refuse("nobody wants it")
    assert post.outbox._pending == {}


async def test_news_of_the_first_moment_is_not_lost_because_the_places_are_not_read_yet(post: Post) -> None:
    await post.place()
    post.outbox = Outbox(post.database, post.outbox.box, post.courier, post.clock)
    post.refuse("at once after a start")
    await post.pass_seconds(60)
    assert len(post.courier.carried) == 1


async def test_noting_never_waits_and_is_bounded(post: Post) -> None:
    await post.place()
    for number in range(10_000):
        post.refuse("x" * 5_000 + str(number))
    (news,) = post.outbox._pending.values()
    assert (news.count, len(news.lines)) == (10_000, notifications.LINES_KEPT)
    assert sum(len(title) + len(body) for title, body in news.lines) < 10_000


# ── kept and tried again ─────────────────────────────────────────────────────────────────────────────────────


async def test_what_was_kept_is_sent_by_the_next_engine(post: Post) -> None:
    await post.place()
    post.outbox.notify(Kind.HALT, "MNQU6", "halted: an unexpected error")
    await post.outbox.keep()
    courier = FakeCourier()
    await Outbox(post.database, post.outbox.box, courier, post.clock).carry_due()
    assert courier.titles == ["justtrades: MNQU6"]


async def test_a_message_that_is_not_taken_comes_again_later_and_later_and_is_given_up(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    await post.place()
    post.courier.answers = [Delivery.REFUSED] * (TRIES + 5)
    post.outbox.notify(Kind.HALT, "MNQU6", "halted")
    waits, before = [], post.clock.now
    await post.outbox.keep()
    while (due := await post.database.read(notifications.next_due)) is not None:
        post.clock.now = max(due, post.clock.now)
        tries = len(post.courier.carried)
        await post.outbox.carry_due()
        assert len(post.courier.carried) == tries + 1
        waits.append((post.clock.now - before).total_seconds())
        before = post.clock.now
    assert len(post.courier.carried) == TRIES
    assert 15 <= waits[1] <= 30
    assert waits[-1] <= 3600
    assert sum(waits) > 3600
    (row,) = await post.database.read(notifications.every)
    assert row.last_error == "the service was not reached or did not take it"
    assert "given up" in caplog.text
    assert URL not in caplog.text


async def test_what_joins_a_message_on_its_way_is_told_after_it(post: Post) -> None:
    await post.place()

    class Slow(FakeCourier):
        async def deliver(self, url: str, title: str, body: str) -> Delivery:
            if not self.carried:
                post.outbox.notify(Kind.HALT, "second", "came meanwhile")
                await post.outbox.keep()
            return await super().deliver(url, title, body)

    post.outbox.courier = courier = Slow()
    post.outbox.notify(Kind.HALT, "first", "came before")
    await post.pass_seconds(0)
    await post.pass_seconds(61)
    assert courier.titles == ["justtrades: first", "justtrades: second"]
    assert await post.database.read(notifications.waiting_by_target) == {}


async def test_one_place_that_is_down_keeps_nothing_from_another(post: Post) -> None:
    await post.place("down")
    await post.place("up")
    post.courier.answers = [Delivery.LATE]
    post.outbox.notify(Kind.HALT, "MNQU6", "halted")
    await post.pass_seconds(0)
    assert len(post.courier.carried) == 2
    assert list((await post.database.read(notifications.waiting_by_target)).values()) == [1]


async def test_a_place_that_was_removed_takes_what_waits_for_it_along(post: Post) -> None:
    await post.place()
    post.outbox.notify(Kind.HALT, "MNQU6", "halted")
    await post.outbox.keep()
    (row,) = await post.database.read(notifications.every)
    await post.database.write(lambda c: notifications.remove(c, row.id))
    assert not await post.outbox.carry_due()


async def test_the_running_outbox_carries_without_being_driven(post: Post) -> None:
    await post.place()
    sent = asyncio.Event()

    class Ringing(FakeCourier):
        async def deliver(self, url: str, title: str, body: str) -> Delivery:
            sent.set()
            return await super().deliver(url, title, body)

    post.outbox.courier = Ringing()
    running = asyncio.create_task(post.outbox.run())
    await asyncio.sleep(0)
    post.outbox.notify(Kind.HALT, "MNQU6", "halted")
    async with asyncio.timeout(5):
        await sent.wait()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


def test_every_kind_has_its_pauses_and_its_words() -> None:
    assert set(outbox_module.PAUSES) == set(outbox_module._MANY) == set(Kind)
    for kind in Kind:
        assert text_of(News(kind, (("a", "b"), ("c", "")), 2))[1] == "• a: b\n• c"


# ── what is worth telling ────────────────────────────────────────────────────────────────────────────────────

LANE = Lane(AccountId("paper-1001"), Contract(ContractName("MNQU6"), Decimal("0.25"), Decimal(2)), "tag")


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (Outcome.FILLED, Kind.FILL),
        (Outcome.BLOCKED, Kind.REFUSAL),
        (Outcome.REJECTED, Kind.REFUSAL),
        (Outcome.NEEDS_ATTENTION, Kind.HALT),
        (Outcome.NO_ACTION, None),
        (Outcome.SUPERSEDED, None),
    ],
)
def test_a_signals_end_is_told_by_what_it_means(outcome: Outcome, kind: Kind | None) -> None:
    told = [notice.kind for notice in announced(LANE, SignalDone(SignalId("s1"), outcome, "because"))]
    assert told == ([] if kind is None else [kind])


@pytest.mark.parametrize(
    ("lane", "kind"),
    [({"halted": "x"}, Kind.HALT), ({"unprotected_since": START}, Kind.UNPROTECTED), ({}, Kind.ALARM)],
)
def test_an_alarm_is_told_by_the_state_of_its_lane(lane: dict[str, Any], kind: Kind) -> None:
    (notice,) = announced(replace(LANE, **lane), Noted(None, "something", alarm=True))
    assert (notice.kind, notice.body) == (kind, "something")
    assert list(announced(LANE, Noted(None, "only a note"))) == []


def test_a_days_summary_has_the_sum_and_each_contract() -> None:
    rows = [
        {"contract": "MNQU6", "pnl": Decimal("40.00"), "fees": Decimal("1.04")},
        {"contract": "MESU6", "pnl": Decimal("-12.50"), "fees": None},
    ]
    told = summary(START.date(), rows)
    assert told.title == "2026-09-01: 2 trades, +27.50 USD"
    assert told.body == "1 won, 1 not; fees 1.04 USD\nMESU6: 1 for -12.50 USD\nMNQU6: 1 for +40.00 USD"


async def test_what_keeps_the_engine_from_trading_is_told_once_when_it_lasts(post: Post) -> None:
    await post.place()
    reasons: list[tuple[str, ...]] = [
        ("connection demo is offline",),  # may pass by itself
        ("connection demo is offline", "MNQU6 on d-1 is in doubt for 16 s"),
        ("connection demo is offline", "MNQU6 on d-1 is in doubt for 31 s"),
        (),
        (),
    ]
    outbox = post.outbox
    lookout = Lookout(post.database, post.clock, lambda: reasons.pop(0), outbox.notify, outbox.notify_once)
    for _ in range(5):
        await lookout.look()
        await post.pass_seconds(120)
    assert post.courier.titles == ["justtrades: not ready to trade", "justtrades: ready again"]


async def test_a_summary_is_told_once_however_often_the_engine_starts(post: Post) -> None:
    await post.place()
    for _ in range(3):
        post.outbox.notify_once(Kind.SUMMARY, "2026-09-01: 2 trades, +27.50 USD", "…")
        await post.pass_seconds(1)
    assert len(post.courier.carried) == 1


# ── over HTTP ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Heard:
    told: list[tuple[Kind, str, str]] = field(default_factory=list)
    refreshed: int = 0

    def notify(self, kind: Kind, title: str, body: str) -> None:
        self.told.append((kind, title, body))

    async def refresh(self) -> None:
        self.refreshed += 1


@pytest.fixture
async def world() -> AsyncIterator[tuple[World, FakeCourier, Heard]]:
    courier, heard = FakeCourier(), Heard()
    async with make_world(parts={"courier": courier, "notices": heard}) as made:
        yield made, courier, heard


async def test_an_address_goes_in_and_never_comes_out(world: tuple[World, FakeCourier, Heard]) -> None:
    here, courier, heard = world
    made = await here.send("POST", "/notifications", {"name": "phone", "url": URL, "kinds": ["halt"]})
    assert made.status_code == 201
    assert heard.refreshed == 1
    await here.app.state.audit.drain()
    for path in ("/notifications", "/audit"):
        answer = await here.get(path)
        assert "discord" in answer.text or path == "/audit"
        assert "JHMHI8q" not in answer.text
    assert (await here.send("POST", "/notifications/phone/test")).json() == {"sent": True}
    assert courier.carried[-1][0] == URL
    assert (await here.send("POST", "/notifications", {"name": "phone", "url": URL})).status_code == 409
    assert (await here.send("DELETE", "/notifications/phone")).status_code == 200
    assert (await here.send("DELETE", "/notifications/phone")).status_code == 404


async def test_an_address_nobody_knows_is_refused_and_a_failed_test_says_so(
    world: tuple[World, FakeCourier, Heard],
) -> None:
    here, courier, _ = world
    courier.answers = [Delivery.UNKNOWN]
    answer = await here.send("POST", "/notifications", {"name": "x", "url": "nonsense://secret-token"})
    assert answer.status_code == 422
    assert "secret-token" not in answer.text
    await here.send("POST", "/notifications", {"name": "phone", "url": URL})
    courier.answers = [Delivery.REFUSED]
    assert (await here.send("POST", "/notifications/phone/test")).status_code == 502


async def test_a_refused_alert_is_told_with_its_recorder_and_reason(world: tuple[World, FakeCourier, Heard]) -> None:
    here, _, heard = world
    assert (await here.alert({"action": "dance", "ticker": "MNQ1!"})).status_code == 422
    ((kind, title, body),) = heard.told
    assert (kind, title) == (Kind.REFUSAL, "momentum: alert refused")
    assert body


# ── the child process, for real ──────────────────────────────────────────────────────────────────────────────


async def test_the_courier_carries_over_real_http_and_says_what_it_cannot(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    received: list[dict[str, Any]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200 if "refuse" not in self.path else 500)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("JUSTTRADES_SECRET_KEY", "never handed to the child")
    try:
        url = f"json://user:a-password@127.0.0.1:{server.server_address[1]}"
        taken, refused, unknown = await asyncio.gather(
            ChildCourier().deliver(f"{url}/hook", "justtrades: MNQU6", "halted"),
            ChildCourier().deliver(f"{url}/refuse", "justtrades: MNQU6", "halted"),
            ChildCourier().deliver("nonsense://x", "", ""),
        )
    finally:
        server.shutdown()
        server.server_close()
    assert (taken, refused, unknown) == (Delivery.SENT, Delivery.REFUSED, Delivery.UNKNOWN)
    assert {(one["title"], one["message"]) for one in received} == {("justtrades: MNQU6", "halted")}
    assert "a-password" not in caplog.text


async def test_a_courier_that_hangs_is_ended() -> None:
    assert await ChildCourier(within=0.0).deliver(URL, "a", "b") is Delivery.LATE
