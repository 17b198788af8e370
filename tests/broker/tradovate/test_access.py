"""The token: one per login, renewed in time, never asked for in a loop."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import httpx
import pytest

from justtrades.broker.port import ConnectionState, NotHandled, Synced
from justtrades.broker.tradovate import Credentials, MemoryTokenBox, Token
from justtrades.broker.tradovate.access import Access
from justtrades.broker.tradovate.calls import Calls
from justtrades.broker.tradovate.line import Line
from tests.broker.tradovate.stub import PASSWORD, SEC, USER, Ledger, Stub, desk, ok
from tests.broker.tradovate.virtual import clock, run

LOGIN, RENEW = "/auth/accesstokenrequest", "/auth/renewaccesstoken"


def access(stub: Stub, box: MemoryTokenBox | None = None, ledger: Ledger | None = None) -> Access:
    line = Line("https://demo.example/v1", 5.0, stub)
    credentials = Credentials("trader", PASSWORD, device_id="device", cid="8", sec=SEC)
    calls = Calls(line, ledger or Ledger(), clock, credentials.secrets)
    return Access(calls, credentials, box or MemoryTokenBox(), clock, 3600.0)


def test_the_log_in_carries_what_the_spec_asks_for() -> None:
    stub = Stub()

    async def work() -> None:
        token = await access(stub).token()
        assert token.user_id == USER

    run(work())
    (body,) = stub.asked(LOGIN)
    assert body == {
        "name": "trader",
        "password": PASSWORD,
        "appId": "justtrades",
        "appVersion": "1.0",
        "deviceId": "device",
        "cid": "8",
        "sec": SEC,
    }


def test_all_who_ask_at_once_share_one_log_in() -> None:
    stub = Stub()

    async def work() -> None:
        one = access(stub)
        tokens = await asyncio.gather(*(one.token() for _ in range(20)))
        assert len(set(tokens)) == 1

    run(work())
    assert len(stub.asked(LOGIN)) == 1


def test_a_restart_goes_on_with_the_token_it_had() -> None:
    stub, box = Stub(), MemoryTokenBox()

    async def work() -> None:
        first = await access(stub, box).token()
        assert await access(stub, box).token() == first

    run(work())
    assert len(stub.asked(LOGIN)) == 1


def test_an_expired_token_in_the_box_is_not_used() -> None:
    stub, box = Stub(), MemoryTokenBox()

    async def work() -> None:
        box.token = Token("old", USER, clock() - timedelta(hours=2), clock() - timedelta(hours=1))
        assert (await access(stub, box).token()).access != "old"

    run(work())


def test_a_token_is_renewed_at_two_thirds_of_its_life() -> None:
    stub = Stub()

    async def work() -> None:
        one = access(stub)
        first = await one.token()
        keeper = asyncio.create_task(one.keep_fresh())
        await asyncio.sleep(80 * 60 * 2 / 3 - 10)
        assert await one.token() is first
        await asyncio.sleep(20)
        assert await one.token() is not first
        keeper.cancel()

    run(work())
    assert (len(stub.asked(LOGIN)), len(stub.asked(RENEW))) == (1, 1)


def test_renewal_goes_on_for_days_without_a_second_log_in() -> None:
    stub = Stub()

    async def work() -> None:
        one = access(stub)
        await one.token()
        keeper = asyncio.create_task(one.keep_fresh())
        await asyncio.sleep(3 * 24 * 3600)
        keeper.cancel()

    run(work())
    assert len(stub.asked(LOGIN)) == 1
    assert 80 <= len(stub.asked(RENEW)) <= 82


def test_a_failed_renewal_is_tried_again_while_the_token_lives() -> None:
    stub = Stub()
    stub.script(RENEW, httpx.Response(500), httpx.Response(500), lambda _: ok(stub.token("fresh")))

    async def work() -> None:
        one = access(stub)
        await one.token()
        keeper = asyncio.create_task(one.keep_fresh())
        await asyncio.sleep(80 * 60 * 2 / 3 + 200)
        assert (await one.token()).access == "fresh"
        keeper.cancel()

    run(work())
    assert len(stub.asked(LOGIN)) == 1


def test_a_renewed_token_is_used_only_after_it_was_let_in() -> None:
    stub, box = Stub(), MemoryTokenBox()
    stub.script("/account/list", httpx.Response(401), lambda _: ok([]))

    async def work() -> None:
        one = access(stub, box)
        before = await one.token()
        one.worked(before)
        keeper = asyncio.create_task(one.keep_fresh())
        await asyncio.sleep(80 * 60 * 2 / 3 + 5)
        assert len(stub.asked(RENEW)) == 1
        assert await one.token() is before
        assert box.token is before
        await asyncio.sleep(60)
        assert await one.token() is box.token is not before
        keeper.cancel()

    run(work())
    assert (len(stub.asked(LOGIN)), len(stub.asked(RENEW))) == (1, 2)


def test_a_renewal_whose_proof_got_no_answer_is_proved_later_and_not_asked_for_again() -> None:
    stub = Stub()
    stub.script("/account/list", httpx.Response(500), lambda _: ok([]))

    async def work() -> None:
        one = access(stub)
        before = await one.token()
        keeper = asyncio.create_task(one.keep_fresh())
        await asyncio.sleep(80 * 60 * 2 / 3 + 5)
        assert await one.token() is before
        await asyncio.sleep(60)
        assert await one.token() is not before
        keeper.cancel()

    run(work())
    assert len(stub.asked(RENEW)) == 1


def test_an_unproved_renewal_takes_over_when_the_old_token_dies_of_it() -> None:
    stub = Stub()
    stub.script("/account/list", httpx.Response(500))

    async def work() -> None:
        one = access(stub)
        before = await one.token()
        one.worked(before)
        with pytest.raises(NotHandled):
            await one.renew()
        after = await one.after_denied(before)
        assert after is not None
        assert after is not before

    run(work())
    assert (len(stub.asked(LOGIN)), len(stub.asked(RENEW))) == (1, 1)


def test_a_renewed_token_that_worked_does_not() -> None:
    stub = Stub()

    async def work() -> None:
        one = access(stub)
        one.worked(await one.token())
        renewed = await one.renew()
        one.worked(renewed)
        assert await one.after_denied(renewed) is None

    run(work())


def test_a_dead_session_logs_in_once_for_all() -> None:
    stub = Stub()
    stub.script(RENEW, httpx.Response(401))

    async def work() -> None:
        one = access(stub)
        token = await one.token()
        one.worked(token)
        fresh = await asyncio.gather(*(one.after_denied(token) for _ in range(10)))
        assert len(set(fresh)) == 1

    run(work())
    assert len(stub.asked(LOGIN)) == 2


def test_five_token_requests_an_hour_are_never_exceeded() -> None:
    stub = Stub()
    stub.script(LOGIN, httpx.Response(500))
    box = MemoryTokenBox()
    sent: list[float] = []

    async def work() -> None:
        one = access(stub, box)
        for _ in range(4 * 3600 // 10):
            with pytest.raises(NotHandled):
                await one.token()
            sent.append(len(stub.asked(LOGIN)))
            await asyncio.sleep(10)

    run(work())
    per_hour = 360
    assert max(b - a for a, b in zip(sent, sent[per_hour:], strict=False)) <= 5
    assert sent[-1] >= 5


def test_the_ration_outlives_a_restart() -> None:
    stub, box = Stub(), MemoryTokenBox()
    stub.script(LOGIN, httpx.Response(500))

    async def work() -> None:
        for _ in range(20):
            with pytest.raises(NotHandled):
                await access(stub, box).token()

    run(work())
    assert len(stub.asked(LOGIN)) == 5


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (
            {"errorText": "Incorrect username or password."},
            "wrong user name or password (the broker says: Incorrect username or password.)",
        ),
        ({"errorText": "No.", "userStatus": "TemporaryLocked"}, "No.; the login is locked by the broker for a while"),
        ({"errorText": "No.", "userStatus": "TemporaryLocked"}, "(user status TemporaryLocked)"),
        ({"userStatus": "Closed"}, "the login is closed (user status Closed)"),
        ({"userStatus": "UnconfirmedEmail"}, "the login's e-mail address is not confirmed"),
        ({"userStatus": "Initiated"}, "the login's registration is not finished"),
        ({"userStatus": "Active"}, "the answer holds no token"),
        ({}, "the answer holds no token"),
        ({"outdatedTaC": True}, "the broker's terms or policies have changed"),
        ({"errorText": "The app is not registered"}, "wrong API key"),
        ({"errorText": "Invalid cid or sec"}, "wrong API key"),
        ({"errorText": "Unknown device, check your e-mail"}, "the broker does not know this device"),
        ({"errorText": "Account is locked. Try again later"}, "the login is locked"),
        ({"errorText": "Your password has expired"}, "the password has expired"),
        ({"errorText": "Access is denied"}, "the broker denies this API key or this device"),
        ({"errorText": "Something new"}, "Something new"),
        ({"p-ticket": "MTEsUFN6SU05", "p-time": 19, "p-captcha": True}, "captcha"),
        ({"errorText": f"not your password: {PASSWORD}"}, "not your password: ***"),
    ],
)
def test_a_refused_log_in_is_not_repeated_for_an_hour(answer: dict[str, object], why: str) -> None:
    stub = Stub()
    stub.script(LOGIN, answer)

    async def work() -> None:
        one = access(stub)
        for _ in range(50):
            with pytest.raises(NotHandled):
                await one.token()
            await asyncio.sleep(60)
        assert one.refused is not None
        assert why in one.refused

    run(work())
    assert len(stub.asked(LOGIN)) == 1


def test_a_log_in_that_met_a_ticket_serves_it() -> None:
    stub = Stub()
    stub.script(LOGIN, {"p-ticket": "T", "p-time": 15}, lambda _: ok(stub.token("served")))

    async def work() -> None:
        began = asyncio.get_running_loop().time()
        assert (await access(stub).token()).access == "served"
        assert asyncio.get_running_loop().time() - began >= 15

    run(work())
    first, second = stub.asked(LOGIN)
    assert second == {**first, "p-ticket": "T"}


def test_an_expiry_in_the_past_means_that_the_clocks_disagree() -> None:
    stub = Stub()
    stub.script(LOGIN, {"accessToken": "a", "userId": USER, "expirationTime": "2021-06-15T15:40:30.056Z"})

    async def work() -> None:
        one = access(stub)
        assert await one.token() is await one.token()

    run(work())
    assert len(stub.asked(LOGIN)) == 1


def test_no_secret_reaches_audit_errors_or_health() -> None:
    stub = Stub()
    stub.script("/position/list", httpx.Response(500, text=f"token-1 {PASSWORD} {SEC}"))

    async def work() -> str:
        async with desk(stub) as one:
            await one.until(Synced)
            with pytest.raises(Exception, match="500") as failed:
                await one.broker.picture()
            return one.ledger.everything() + repr(failed.value) + repr(one.broker.health)

    told = run(work())
    assert "/auth/accesstokenrequest" in told
    for secret in (PASSWORD, SEC, "token-1", '"md"'):
        assert secret not in told


def test_health_says_why_the_broker_does_not_let_us_in() -> None:
    stub = Stub()
    stub.script(LOGIN, {"errorText": "Incorrect username or password."})

    async def work() -> None:
        async with desk(stub) as one:
            await asyncio.sleep(1)
            health = one.broker.health
            assert (health.state, health.reason) == (
                ConnectionState.REFUSED,
                "wrong user name or password (the broker says: Incorrect username or password.)",
            )

    run(work())
