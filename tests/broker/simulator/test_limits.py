"""The published limits: who is asked to wait, in which form, and when it is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from justtrades.broker.simulator.limits import Limits, Quota, Traffic, Usage, network
from justtrades.broker.simulator.server import Options
from tests.broker.simulator.client import connected, synced, trading

START = datetime(2026, 11, 23, 15, tzinfo=UTC)
TOKENS, RENEWALS = "auth/accesstokenrequest", "auth/renewaccesstoken"


class Hours:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **time: float) -> None:
        self.now += timedelta(**time)


def limited(folder: Path, clock: Hours, limits: Limits | None = None, **more: Any) -> Any:
    return trading(folder, clock=clock, options=Options(limits=limits or Limits()), **more)


@pytest.mark.parametrize(
    ("endpoint", "an_hour"), [(TOKENS, 5), (RENEWALS, 15), ("auth/me", 10), ("user/syncrequest", 300)]
)
def test_the_published_quotas(endpoint: str, an_hour: int) -> None:
    usage = Usage(Limits())
    answers = [usage.penalty(endpoint, "a", "127.0.0.1", None, START) for _ in range(an_hour + 1)]
    assert answers[:-1] == [None] * an_hour
    assert answers[-1] is not None


def test_the_quota_of_token_requests_is_an_addresses_and_that_of_renewals_a_users() -> None:
    usage = Usage(Limits(endpoints={TOKENS: Quota(1, 15, of_address=True), RENEWALS: Quota(1, 15)}))

    def passes(endpoint: str, user: str, address: str) -> bool:
        return usage.penalty(endpoint, user, address, None, START) is None

    assert passes(TOKENS, "a", "192.0.2.1")
    assert not passes(TOKENS, "b", "192.0.2.9")
    assert passes(TOKENS, "a", "198.51.100.1")
    assert passes(RENEWALS, "a", "192.0.2.1")
    assert passes(RENEWALS, "b", "192.0.2.1")
    assert not passes(RENEWALS, "a", "198.51.100.1")


def test_an_address_counts_by_its_24_bits() -> None:
    assert network("192.0.2.77") == network("192.0.2.1") == "192.0.2.0/24"
    assert network("2001:db8::1") != network("2001:db8::2")


async def test_the_sixth_token_request_of_an_hour_meets_a_captcha_that_only_time_lifts(tmp_path: Path) -> None:
    clock = Hours()
    async with limited(tmp_path, clock) as rest:
        for _ in range(4):
            await rest.log_in()
        penalty = await rest.post(TOKENS, name="trader", password="any")
        assert (penalty["p-time"], penalty["p-captcha"]) == (15, True)
        clock.pass_(seconds=15)
        ticket = {"p-ticket": penalty["p-ticket"]}
        assert "p-ticket" in await rest.post(TOKENS, name="trader", password="any", **ticket)
        clock.pass_(hours=1)
        assert "accessToken" in await rest.post(TOKENS, name="trader", password="any")


async def test_a_renewal_too_many_passes_with_its_ticket_after_its_time(tmp_path: Path) -> None:
    clock = Hours()
    async with limited(tmp_path, clock) as rest:
        for _ in range(15):
            assert "accessToken" in await rest.get(RENEWALS)
        penalty = await rest.get(RENEWALS)
        assert set(penalty) == {"p-ticket", "p-time", "p-message"}
        assert (await rest.get(RENEWALS, **{"p-ticket": penalty["p-ticket"]}))["p-ticket"] == penalty["p-ticket"]
        clock.pass_(seconds=15)
        assert "accessToken" in await rest.get(RENEWALS, **{"p-ticket": penalty["p-ticket"]})
        assert "p-ticket" in await rest.get(RENEWALS)


async def test_traffic_beyond_the_limit_is_429_without_a_body_and_on_the_socket_without_d(tmp_path: Path) -> None:
    clock = Hours()
    limits = Limits(user=Traffic(5_000, 10))
    async with limited(tmp_path, clock, limits) as rest, connected(rest) as socket:
        await socket.ask("authorize", body=rest.token)
        while (answer := await rest.raw("GET", "account/list")).status_code == 200:
            pass
        assert (answer.status_code, answer.content, answer.headers["content-length"]) == (429, b"", "0")
        assert await socket.ask("account/list") == {"s": 429, "i": 2}


async def test_requests_while_locked_extend_the_lock(tmp_path: Path) -> None:
    clock = Hours()
    async with limited(tmp_path, clock, Limits(user=Traffic(5_000, 3))) as rest:
        for _ in range(4):
            await rest.raw("GET", "account/list")
        clock.pass_(minutes=30)
        for _ in range(3):
            assert (await rest.raw("GET", "account/list")).status_code == 429
        clock.pass_(minutes=31)
        assert (await rest.raw("GET", "account/list")).status_code == 429
        clock.pass_(hours=1)
        assert (await rest.raw("GET", "account/list")).status_code == 401, "the lock is over, and the token is too"


async def test_a_minute_has_a_limit_of_its_own(tmp_path: Path) -> None:
    clock = Hours()
    async with limited(tmp_path, clock, Limits(user=Traffic(2, 5_000))) as rest:
        statuses = [(await rest.raw("GET", "account/list")).status_code for _ in range(3)]
        clock.pass_(seconds=61)
        statuses.append((await rest.raw("GET", "account/list")).status_code)
        assert statuses == [200, 429, 429, 200]


async def test_a_sync_too_many_demands_its_ticket_on_the_socket(tmp_path: Path) -> None:
    clock, quota = Hours(), {"user/syncrequest": Quota(1, 3)}
    async with limited(tmp_path, clock, Limits(endpoints=quota)) as rest, synced(rest), connected(rest) as socket:
        await socket.ask("authorize", body=rest.token)
        penalty = (await socket.ask("user/syncrequest", body={"splitResponses": False}))["d"]
        clock.pass_(seconds=3)
        body = {"splitResponses": False, "p-ticket": penalty["p-ticket"]}
        assert "accounts" in (await socket.ask("user/syncrequest", body=body))["d"]


async def test_without_limits_nobody_waits(tmp_path: Path) -> None:
    async with trading(tmp_path) as rest:
        for _ in range(8):
            await rest.log_in()
