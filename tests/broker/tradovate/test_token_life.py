"""What can go wrong around a token without being its end: keys without rights, lost answers, clocks, full disks."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from justtrades.broker.port import ConnectionState, NotHandled, Refused, Synced
from justtrades.broker.tradovate import MemoryTokenBox, NotKept, OAuthLogin, Refusal, Token
from justtrades.broker.tradovate.access import Access
from justtrades.broker.tradovate.calls import Calls
from justtrades.broker.tradovate.line import Line
from justtrades.broker.tradovate.token import NOBODY
from tests.broker.tradovate.stub import USER, Ledger, Socket, Stub, desk, ok
from tests.broker.tradovate.test_access import LOGIN, RENEW, access
from tests.broker.tradovate.virtual import clock, run

ME, LIST = "/auth/me", "/account/list"
LIFE = 80 * 60
DENIED = httpx.Response(401, text="Access is denied")


class FullDisk(MemoryTokenBox):
    """A box that fails while it is `full`."""

    full = True
    tries = 0

    async def save(self, token: Token | None) -> None:
        self.tries += 1
        if self.full:
            raise NotKept("the disk is full")
        await super().save(token)


# ── denied ───────────────────────────────────────────────────────────────────────────────────────────────


class Powerless(Stub):
    """A login whose key may ask who it is and nothing else."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for endpoint in (LIST, "/accountRiskStatus/list"):
            self.script(endpoint, DENIED)

    def on_frame(self, socket: Socket, endpoint: str, number: str, query: str, body: str) -> None:
        if endpoint == "authorize":
            super().on_frame(socket, endpoint, number, query, body)
        else:
            socket.say({"s": 401, "i": int(number), "d": "Access is denied"})


def test_a_key_without_permission_is_told_and_never_makes_a_second_token_request() -> None:
    stub = Powerless()

    async def work() -> None:
        async with desk(stub) as one:
            await asyncio.sleep(3 * 60)
            health = one.broker.health
            assert health.state is ConnectionState.REFUSED
            assert "allow the API key to read accounts" in (health.reason or "")
            with pytest.raises(Refused, match="Access is denied"):
                await one.broker.accounts()
            await asyncio.sleep(45 * 60)

    run(work())
    assert len(stub.asked(LOGIN)) == 1
    assert len(stub.asked(ME)) == 1
    assert len(stub.asked(RENEW)) == 1


def test_what_the_broker_still_wants_of_a_login_is_told_when_it_denies() -> None:
    stub = Powerless()
    stub.script(LOGIN, lambda _: ok({**stub.token("a"), "outdatedTaC": True}))

    async def work() -> None:
        one = access(stub)
        assert await one.after_denied(await one.token()) is None
        assert "terms or policies have changed" in (one.refused or "")

    run(work())


@pytest.mark.parametrize("said", [DENIED, ok({})], ids=["denied", "an empty answer"])
def test_a_kept_token_that_died_meanwhile_makes_one_log_in(said: httpx.Response) -> None:
    """An empty answer to whose token it is does not say that it lives."""
    stub, box = Stub(), MemoryTokenBox()
    stub.script(ME, said)
    stub.script(RENEW, DENIED)

    async def work() -> None:
        box.token = Token("killed", USER, clock(), clock() + timedelta(hours=1))
        one = access(stub, box)
        token = await one.token()
        assert token.access == "killed"
        fresh = await one.after_denied(token)
        assert fresh is not None
        assert fresh.access != "killed"

    run(work())
    assert (len(stub.asked(LOGIN)), len(stub.asked(RENEW))) == (1, 0)


def test_new_tokens_that_are_denied_at_once_are_asked_for_ever_more_slowly() -> None:
    stub = Stub()
    stub.script(ME, DENIED)
    stub.script(RENEW, DENIED)
    at: list[float] = []

    async def work() -> None:
        one = access(stub)
        for _ in range(400):
            try:
                await one.after_denied(await one.token())
            except NotHandled:
                await asyncio.sleep(1)
        at.append(len(stub.asked(LOGIN)))

    run(work())
    assert at[0] <= 5


def test_a_call_that_stays_denied_does_not_use_up_the_hours_renewals() -> None:
    stub = Stub()

    async def work() -> None:
        one = access(stub)
        token = await one.token()
        one.worked(token)
        for _ in range(58):
            token = await one.after_denied(token) or token
            one.worked(token)
            await asyncio.sleep(61)

    run(work())
    assert len(stub.asked(RENEW)) == 4
    assert len(stub.asked(LOGIN)) == 1


def test_a_key_that_may_read_but_not_listen_is_told_where_the_connection_stands() -> None:
    class Deaf(Stub):
        def on_frame(self, socket: Socket, endpoint: str, number: str, query: str, body: str) -> None:
            if endpoint == "authorize":
                super().on_frame(socket, endpoint, number, query, body)
            else:
                socket.say({"s": 401, "i": int(number), "d": "Access is denied"})

    stub = Deaf()

    async def work() -> None:
        async with desk(stub) as one:
            await asyncio.sleep(3600)
            health = one.broker.health
            assert health.state is ConnectionState.CONNECTING
            assert health.reason == "sync answered 401 Access is denied"

    run(work())
    assert len(stub.asked(LOGIN)) == 1
    assert len(stub.asked(RENEW)) <= 6


def test_a_broker_that_is_not_reached_is_a_reason() -> None:
    class Dead(Stub):
        async def dial(self, url: str) -> Socket:
            raise OSError

    async def work() -> None:
        async with desk(Dead()) as one:
            await asyncio.sleep(5)
            assert one.broker.health.reason == "no connection (OSError)"

    run(work())


def test_a_login_without_any_account_says_that_the_environment_may_be_wrong() -> None:
    stub = Stub()
    stub.tables["account"] = []

    async def work() -> None:
        async with desk(stub) as one:
            await one.until(Synced)
            assert await one.broker.accounts() == ()
            assert "is the environment (live or demo) the right one?" in (one.broker.health.reason or "")
            assert (await one.broker.picture()).accounts == frozenset()

    run(work())


# ── answers that nobody hears ────────────────────────────────────────────────────────────────────────────


def test_a_log_in_whose_asker_has_gone_is_finished_and_kept() -> None:
    stub, box = Stub(seconds=3.0), MemoryTokenBox()

    async def work() -> None:
        one = access(stub, box)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await one.token()
        assert await one.token() is box.token

    run(work())
    assert len(stub.asked(LOGIN)) == 1


def test_closing_waits_for_the_answer_of_a_log_in_under_way() -> None:
    stub, box = Stub(seconds=3.0), MemoryTokenBox()

    async def work() -> None:
        one = access(stub, box)
        asking = asyncio.create_task(one.token())
        await asyncio.sleep(0.1)
        asking.cancel()
        await one.close(5.0)
        assert box.token is not None

    run(work())


def test_a_lost_answer_to_a_renewal_keeps_the_old_token_and_logs_in_only_when_it_is_dead() -> None:
    stub = Stub()
    stub.script(RENEW, httpx.ReadError("lost"), DENIED)

    async def work() -> None:
        one = access(stub)
        before = await one.token()
        one.worked(before)
        keeper = asyncio.create_task(one.keep_fresh())
        await asyncio.sleep(LIFE * 2 / 3 + 5)
        assert await one.token() is before
        after = await one.after_denied(before)
        assert after is not None
        assert after is not before
        keeper.cancel()

    run(work())
    assert len(stub.asked(LOGIN)) == 2


def test_a_ticket_before_a_renewal_is_served() -> None:
    stub = Stub()
    stub.script(RENEW, {"p-ticket": "T", "p-time": 9}, lambda _: ok(stub.token("served")))

    async def work() -> None:
        one = access(stub)
        await one.token()
        assert (await one.renew()).access == "served"

    run(work())
    assert stub.asked(RENEW)[1] == {"p-ticket": "T"}


# ── waits ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_request_that_never_left_costs_nothing_of_the_ration_and_comes_again_soon() -> None:
    class NoLine(Stub):
        down = True

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if self.down:
                raise httpx.ConnectError("no route")
            return await super().handle_async_request(request)

    stub, box = NoLine(), MemoryTokenBox()

    async def work() -> None:
        one = access(stub, box)
        for _ in range(3600 * 2):
            with pytest.raises(NotHandled):
                await one.token()
            await asyncio.sleep(1)
        assert box.claimed == []
        stub.down = False
        await asyncio.sleep(31)
        await one.token()

    run(work())


def test_a_used_up_ration_says_when_the_next_request_may_go() -> None:
    stub, box = Stub(), MemoryTokenBox()

    async def work() -> None:
        box.claimed = [clock() - timedelta(minutes=20)] * 5
        async with desk(stub, box) as one:
            await asyncio.sleep(1)
            assert "five token requests are used up; the next may go at 15:10 UTC" in str(one.broker.health.reason)

    run(work())
    assert stub.calls == []


def test_a_renewal_waits_for_the_end_of_a_penalty_but_not_past_the_last_minutes_of_the_token() -> None:
    stub = Stub()
    at: list[float] = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        one = Access(
            Calls(Line("https://demo.example/v1", 5.0, stub), Ledger(), clock),
            access(stub)._credentials,
            MemoryTokenBox(),
            clock,
            3600.0,
            hold=lambda: max(began + 70 * 60 - loop.time(), 0.0),
        )
        await one.token()
        keeper = asyncio.create_task(one.keep_fresh())
        for _ in range(LIFE // 10):
            await asyncio.sleep(10)
            if stub.asked(RENEW) and not at:
                at.append(loop.time() - began)
        keeper.cancel()

    run(work())
    assert 69 * 60 < at[0] < 78 * 60


def test_a_refusal_outlives_a_restart_and_ends_with_new_credentials() -> None:
    stub, box = Stub(), MemoryTokenBox()
    stub.script(LOGIN, {"errorText": "Incorrect username or password."}, lambda _: ok(stub.token("good")))

    async def work() -> None:
        for _ in range(6):
            one = access(stub, box)
            with pytest.raises(NotHandled, match="wrong user name or password"):
                await one.token()
        assert isinstance(box.refused, Refusal)
        await box.save(None)
        assert (await access(stub, box).token()).access == "good"

    run(work())
    assert len(stub.asked(LOGIN)) == 2


# ── clocks ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("ahead", [timedelta(minutes=-100), timedelta(minutes=-20), timedelta(0), timedelta(hours=3)])
def test_a_life_is_as_long_as_the_broker_says_whatever_his_clock_says(ahead: timedelta) -> None:
    stub = Stub()

    def answer(_: httpx.Request) -> httpx.Response:
        theirs = clock() + ahead
        expires = (theirs + timedelta(minutes=80)).isoformat()
        body: dict[str, Any] = {"accessToken": "a", "userId": USER, "expirationTime": expires}
        return httpx.Response(200, json=body, headers={"Date": format_datetime(theirs, usegmt=True)})

    stub.script(LOGIN, answer)

    async def work() -> None:
        token = await access(stub).token()
        assert abs(token.expires_at - token.received_at - timedelta(minutes=80)) < timedelta(seconds=3)

    run(work())


# ── boxes ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_token_that_cannot_be_kept_is_used_and_kept_when_the_disk_has_room() -> None:
    stub, box = Stub(), FullDisk()

    async def work() -> None:
        one = access(stub, box)
        token = await one.token()
        keeper = asyncio.create_task(one.keep_fresh())
        await asyncio.sleep(100)
        assert box.tries > 2
        box.full = False
        await asyncio.sleep(31)
        assert await one.token() is token is box.token
        tries = box.tries
        await asyncio.sleep(600)
        assert box.tries == tries
        keeper.cancel()

    run(work())
    assert len(stub.asked(LOGIN)) == 1


def test_no_token_is_asked_for_while_the_request_cannot_be_counted() -> None:
    class Uncounted(MemoryTokenBox):
        async def claim(self, *_: Any, **__: Any) -> Any:
            raise NotKept("the disk is full")

    stub = Stub()

    async def work() -> None:
        with pytest.raises(NotHandled, match="cannot be kept"):
            await access(stub, Uncounted()).token()

    run(work())
    assert stub.calls == []


# ── OAuth ────────────────────────────────────────────────────────────────────────────────────────────────


def by_oauth(stub: Stub, box: MemoryTokenBox) -> Access:
    calls = Calls(Line("https://demo.example/v1", 5.0, stub), Ledger(), clock)
    return Access(calls, OAuthLogin(how="open the page"), box, clock, 3600.0)


def test_an_oauth_login_without_a_token_waits_for_a_person_and_asks_nothing() -> None:
    stub = Stub()

    async def work() -> None:
        one = by_oauth(stub, MemoryTokenBox())
        with pytest.raises(NotHandled, match="open the page"):
            await one.token()
        assert one.refused == "open the page"

    run(work())
    assert stub.calls == []


@pytest.mark.parametrize(("me", "asked"), [({"userId": 77, "name": "trader"}, 0), ({}, 1)])
def test_whose_an_oauth_token_is_tells_auth_me_or_else_a_renewal(me: dict[str, Any], asked: int) -> None:
    stub, box = Stub(), MemoryTokenBox()
    stub.script(ME, me)

    async def work() -> None:
        box.token = Token("granted", NOBODY, clock(), clock() + timedelta(minutes=80))
        token = await by_oauth(stub, box).token()
        assert token.user_id == (USER if asked else 77)
        assert box.token == token

    run(work())
    assert len(stub.asked(RENEW)) == asked


def test_an_oauth_token_is_renewed_like_any_other_and_never_asked_for() -> None:
    stub, box = Stub(), MemoryTokenBox()
    stub.script(ME, {"userId": 77})

    async def work() -> None:
        box.token = Token("granted", NOBODY, clock(), clock() + timedelta(minutes=80))
        one = by_oauth(stub, box)
        await one.token()
        keeper = asyncio.create_task(one.keep_fresh())
        await asyncio.sleep(24 * 3600)
        assert (await one.token()).access != "granted"
        keeper.cancel()

    run(work())
    assert stub.asked(LOGIN) == []
    assert 26 <= len(stub.asked(RENEW)) <= 28
