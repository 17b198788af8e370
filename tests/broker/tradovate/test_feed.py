"""The user socket over its whole life: heartbeat, silence, quota, expiry, reconnect."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from justtrades.broker.port import ConnectionState, Lost, PositionReport, Synced
from justtrades.broker.tradovate import feed, frames
from tests.broker.tradovate.stub import CONTRACT, Desk, Socket, Stub, account, desk, order, position, props
from tests.broker.tradovate.virtual import run


def with_desk(work: Any, stub: Stub | None = None) -> Desk:
    async def whole() -> Desk:
        async with desk(stub) as one:
            await work(one)
            return one

    return run(whole())


async def kept_alive(one: Desk, seconds: float) -> None:
    """The server's heartbeats for a while, on whatever socket is the newest."""
    for _ in range(int(seconds / 2.5)):
        one.stub.socket.raw("h")
        await asyncio.sleep(2.5)


def test_a_socket_is_authorized_and_synced_once() -> None:
    async def work(one: Desk) -> None:
        await one.until(Synced)
        await kept_alive(one, 60)
        assert one.stub.dials == 1
        assert one.stub.socket.requests == ["authorize", "user/syncrequest"]
        assert one.broker.health.state is ConnectionState.SYNCED

    with_desk(work)


def _gaps(socket: Socket) -> Iterator[float]:
    beats = [at for at, frame in socket.heard if frame == frames.HEARTBEAT]
    return (b - a for a, b in itertools.pairwise(beats))


@pytest.mark.parametrize("quiet", [True, False], ids=["quiet", "busy"])
def test_our_heartbeat_goes_every_two_and_a_half_seconds_whatever_comes_in(quiet: bool) -> None:
    async def work(one: Desk) -> None:
        await one.until(Synced)
        for n in range(60):
            if not quiet or n % 8 == 0:
                one.stub.socket.say(props("position", position(n), "Updated"))
            await asyncio.sleep(1)
        gaps = list(_gaps(one.stub.socket))
        assert len(gaps) >= 20
        assert max(gaps) <= 2.5

    with_desk(work)


def test_ten_silent_seconds_are_a_loss_and_the_feed_comes_again() -> None:
    async def work(one: Desk) -> None:
        await one.until(Synced)
        began = asyncio.get_running_loop().time()
        lost = await one.until(Lost)
        assert 9.9 <= asyncio.get_running_loop().time() - began <= 11
        assert "silent" in lost.why
        assert one.broker.health.state is ConnectionState.OFFLINE
        await one.until(Synced, 2)

    with_desk(work)


def test_a_reset_is_a_loss_and_the_feed_comes_again() -> None:
    async def work(one: Desk) -> None:
        await one.until(Synced)
        one.stub.socket.breaks()
        await one.until(Lost)
        await one.until(Synced, 2)
        assert [type(r) for r in one.reports if isinstance(r, Synced | Lost)] == [Synced, Lost, Synced]

    with_desk(work)


def test_a_quota_shutdown_is_answered_with_a_wait() -> None:
    async def work(one: Desk) -> None:
        await one.until(Synced)
        one.stub.socket.say({"e": "shutdown", "d": {"reasonCode": "ConnectionQuotaReached"}})
        await one.until(Lost)
        at = asyncio.get_running_loop().time()
        await one.until(Synced, 2, within=600)
        assert asyncio.get_running_loop().time() - at >= 60

    with_desk(work)


def test_a_server_that_closes_at_once_every_time_is_not_hammered() -> None:
    async def work(one: Desk) -> None:
        for _ in range(1800):
            if one.stub.sockets and not one.stub.socket.closed:
                one.stub.socket.raw('c[1000,"bye"]')
            await asyncio.sleep(1)
        assert 10 <= one.stub.dials <= 150

    with_desk(work)


def test_a_denied_authorize_fetches_another_token() -> None:
    class Strict(Stub):
        def on_frame(self, socket: Socket, endpoint: str, number: str, query: str, body: str) -> None:
            if endpoint == "authorize" and len(self.sockets) == 1:
                socket.say({"s": 401, "i": int(number), "d": "Invalid access token"})
            else:
                super().on_frame(socket, endpoint, number, query, body)

    stub = Strict()

    async def work(one: Desk) -> None:
        await one.until(Synced)

    with_desk(work, stub)
    assert len(stub.asked("/auth/renewaccesstoken")) == 1
    assert stub.sockets[0].heard[0][1] != stub.sockets[1].heard[0][1]


def test_a_socket_closed_at_token_expiry_comes_back_with_the_renewed_token() -> None:
    async def work(one: Desk) -> None:
        await one.until(Synced)
        await kept_alive(one, 80 * 60)
        first = one.stub.sockets[0].heard[0][1]
        one.stub.socket.raw('c[1000,"token expired"]')
        await one.until(Synced, 2)
        assert one.stub.socket.heard[0][1] != first
        assert len(one.stub.asked("/auth/accesstokenrequest")) == 1

    with_desk(work)


def test_a_bare_snapshot_is_asked_for_again_by_entity_types_on_a_fresh_socket() -> None:
    stub = Stub(snapshot={"users": [{"id": 1}]})

    async def work(one: Desk) -> None:
        await one.until(Synced)

    with_desk(work, stub)
    assert [socket.requests for socket in stub.sockets] == [["authorize", "user/syncrequest"]] * 2
    assert '"users"' in stub.sockets[0].heard[1][1]
    assert '"entityTypes"' in stub.sockets[1].heard[1][1]


class Parts(Stub):
    """Answers a sync by entity types in several messages, as a server for organisations may; the rest follows."""

    parts: tuple[tuple[float, dict[str, Any]], ...] = ()

    def on_frame(self, socket: Socket, endpoint: str, number: str, query: str, body: str) -> None:
        if endpoint != "user/syncrequest" or "entityTypes" not in body:
            super().on_frame(socket, endpoint, number, query, body)
            return
        assert '"splitResponses":true' in body
        for at, part in self.parts:
            answer = {"s": 200, "i": int(number), "d": part}
            asyncio.get_running_loop().call_later(at, socket.say, answer)


def split(*parts: tuple[float, dict[str, Any]]) -> Parts:
    stub = Parts(snapshot={"users": [{"id": 1}]})
    stub.parts = parts
    return stub


def test_a_snapshot_in_several_messages_is_one_snapshot() -> None:
    early = props("position", position(3, timestamp="2026-11-23T14:30:05Z"), "Updated")
    stub = split(
        (0.1, {"accounts": [account()]}),
        (0.6, {"positions": [position(1)], "contracts": [{"id": CONTRACT, "name": "MNQZ6"}]}),
        (1.2, {"orders": [order(70)]}),
    )

    async def work(one: Desk) -> None:
        await asyncio.sleep(1.5)
        assert not one.said(Synced)
        one.stub.socket.say(early)
        await one.until(Synced)
        await asyncio.sleep(1)
        assert [report.quantity for report in one.said(PositionReport)] == [1, 3]
        assert one.said(Synced) == [Synced()]
        assert one.said(Lost) == []

    with_desk(work, stub)
    assert [socket.requests for socket in stub.sockets] == [["authorize", "user/syncrequest"]] * 2


def test_a_part_that_comes_after_the_snapshot_counts_too() -> None:
    stub = split(
        (0.1, {"accounts": [account()], "contracts": [{"id": CONTRACT, "name": "MNQZ6"}]}),
        (4.0, {"positions": [position(2)]}),
    )

    async def work(one: Desk) -> None:
        await one.until(Synced)
        assert one.said(PositionReport) == []
        await asyncio.sleep(5)
        assert [report.quantity for report in one.said(PositionReport)] == [2]
        assert one.said(Synced) == [Synced()]

    with_desk(work, stub)


def test_one_socket_serves_all_accounts_of_a_login() -> None:
    stub = Stub()
    stub.tables["account"] = [account(1000 + n) for n in range(20)]
    stub.tables["position"] = [position(n, id=n + 1, accountId=1000 + n) for n in range(20)]

    async def work(one: Desk) -> None:
        await one.until(Synced)
        await asyncio.sleep(1)
        assert {report.account for report in one.said(PositionReport)} == {str(1000 + n) for n in range(20)}
        assert one.stub.dials == 1

    with_desk(work, stub)


# ── closed hours ─────────────────────────────────────────────────────────────────────────────────────────

MONDAY_AT_16 = 7.5 * 3600
"""Virtual time begins on a Monday at 8:30 in Chicago; maintenance and the daily break begin at 16:00."""


def at_16(work: Any, stub: Stub | None = None) -> Desk:
    async def whole() -> Desk:
        await asyncio.sleep(MONDAY_AT_16 - 30)
        async with desk(stub, exchange_hours=True) as one:
            await one.until(Synced)
            await kept_alive(one, 60)
            await work(one)
            return one

    return run(whole())


def test_a_socket_that_falls_silent_in_closed_hours_has_half_a_minute() -> None:
    async def work(one: Desk) -> None:
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(25)
        assert one.said(Lost) == []
        one.stub.socket.raw("h")
        await one.until(Lost)
        assert asyncio.get_running_loop().time() - began == pytest.approx(55, abs=1)

    at_16(work)


def test_a_server_that_is_down_for_maintenance_is_not_hammered_and_missed_by_no_more_than_seconds() -> None:
    class Down(Stub):
        down = False

        async def dial(self, url: str) -> Socket:
            if self.down:
                self.dials += 1
                raise ConnectionRefusedError
            return await super().dial(url)

    stub = Down()

    async def work(one: Desk) -> None:
        stub.down = True
        one.stub.socket.say({"e": "shutdown", "d": {"reasonCode": "Maintenance"}})
        await one.until(Lost)
        dials = stub.dials
        await asyncio.sleep(3540)
        assert 5 <= stub.dials - dials <= 60
        stub.down = False
        now = asyncio.get_running_loop().time()
        await one.until(Synced, 2, within=120)
        assert asyncio.get_running_loop().time() - now <= 75

    at_16(work, stub)


def test_fifty_logins_that_drop_at_once_come_back_spread_over_time() -> None:
    """At most a fifth of them in any tenth of a second, and none later than two seconds."""

    async def whole() -> list[float]:
        at: list[float] = []

        class Counted(Stub):
            async def dial(self, url: str) -> Socket:
                at.append(asyncio.get_running_loop().time())
                return await super().dial(url)

        ones = [desk(Counted(), seed=n) for n in range(50)]
        for one in ones:
            await one.__aenter__()
        await asyncio.gather(*(one.until(Synced) for one in ones))
        await asyncio.gather(*(kept_alive(one, 60) for one in ones))
        at.clear()
        began = asyncio.get_running_loop().time()
        for one in ones:
            one.stub.socket.breaks()
        await asyncio.gather(*(one.until(Synced, 2) for one in ones))
        for one in ones:
            await one.__aexit__()
        return [when - began for when in at]

    back = run(whole())
    busiest = max(sum(0 <= other - when < 0.1 for other in back) for when in back)
    assert len(back) == 50
    assert max(back) <= 2
    assert busiest <= 10


def test_a_sync_without_an_answer_is_given_up() -> None:
    stub = Stub(answers_sync=False)

    async def work(one: Desk) -> None:
        await asyncio.sleep(15)
        stub.answers_sync = True
        await one.until(Synced)

    with_desk(work, stub)
    assert stub.dials >= 2


def test_a_sync_that_meets_a_captcha_stops_the_connection() -> None:
    stub = Stub(snapshot={"p-ticket": "T", "p-time": 19, "p-captcha": True})

    async def work() -> None:
        async with desk(stub) as one:
            await asyncio.sleep(600)
            assert one.broker.health.state is ConnectionState.REFUSED

    run(work())
    assert stub.dials == 1


def test_events_before_the_snapshot_win_over_it() -> None:
    class Early(Stub):
        def on_frame(self, socket: Socket, endpoint: str, number: str, query: str, body: str) -> None:
            if endpoint == "user/syncrequest":
                socket.say(props("position", position(3, timestamp="2026-11-23T14:30:05Z"), "Updated"))
            super().on_frame(socket, endpoint, number, query, body)

    stub = Early()
    stub.tables["position"] = [position(1)]

    async def work(one: Desk) -> None:
        await one.until(Synced)
        await asyncio.sleep(1)
        assert [report.quantity for report in one.said(PositionReport)] == [1, 3]

    with_desk(work, stub)


def test_an_error_in_the_adapter_ends_the_reports_with_it() -> None:
    class Broken(Stub):
        def sync(self) -> dict[str, Any]:
            raise ZeroDivisionError("a mistake of ours")

    async def work() -> None:
        one = desk(Broken())
        await one.broker.start()
        with pytest.raises(ZeroDivisionError):
            async for _ in one.broker.reports():
                pass
        await one.broker.close()

    run(work())


async def test_the_real_socket_speaks_the_protocol_both_ways() -> None:
    heard: list[str] = []

    async def server(connection: ServerConnection) -> None:
        await connection.send("o")
        heard.append(str(await connection.recv()))
        await connection.close()

    async with serve(server, "127.0.0.1", 0) as serving:
        port = next(iter(serving.sockets)).getsockname()[1]
        socket = await feed.dial(f"ws://127.0.0.1:{port}/v1/websocket")
        assert await socket.recv() == "o"
        await socket.send("authorize\n1\n\ntoken")
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        await socket.close()
    assert heard == ["authorize\n1\n\ntoken"]
