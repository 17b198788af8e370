"""The door: who is asking, whose word about it counts, and that nobody's flood is in another's way."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from justtrades.api.doors import client_address, is_local
from justtrades.api.rates import ADDRESSES, MISSES, Strangers
from justtrades.positions.model import RecorderId
from justtrades.settings import trusted_networks
from tests.api.world import TOKEN, momentum
from tests.api.world import world as make_world

PROXIES = trusted_networks("10.0.0.0/8, 192.168.1.7, fd00::/8, ::1")
BUY = {"action": "buy", "ticker": "MNQ1!"}


def scope(peer: str, *forwarded: str, **others: str) -> dict[str, Any]:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    headers += [(name.replace("_", "-").encode(), value.encode()) for name, value in others.items()]
    return {"type": "http", "client": (peer, 1), "headers": headers}


# ── whose word counts ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        # nobody vouches: what a stranger writes about himself is nothing
        ("203.0.113.7", ["52.89.214.238"], "203.0.113.7"),
        ("203.0.113.7", ["10.0.0.1, 52.89.214.238"], "203.0.113.7"),
        # one proxy: what it adds stands at the right
        ("10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["52.89.214.238, 203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["52.89.214.238", "203.0.113.7"], "203.0.113.7"),
        # a chain of proxies: the right-most that is none of them
        ("10.0.0.1", ["52.89.214.238, 203.0.113.7, 192.168.1.7, 10.9.9.9"], "203.0.113.7"),
        ("10.0.0.1", ["203.0.113.7, 192.168.1.8, 10.9.9.9"], "192.168.1.8"),
        # everything is a proxy: the farthest of them
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", [], "10.0.0.1"),
        # what is no address ends the walk without an answer
        ("10.0.0.1", ["52.89.214.238, unknown"], None),
        ("10.0.0.1", ["52.89.214.238, "], "52.89.214.238"),
        ("10.0.0.1", ["52.89.214.238, 203.0.113.7, evil\x00"], None),
        ("10.0.0.1", ["52.89.214.238/32"], None),
        # ports and brackets, as some proxies write them
        ("10.0.0.1", ["203.0.113.7:51234"], "203.0.113.7"),
        ("10.0.0.1", ["[2001:db8::1]:51234"], "2001:db8::1"),
        # IPv6, and IPv4 in its clothes
        ("::1", ["2001:db8::1"], "2001:db8::1"),
        ("fd00::5", ["52.89.214.238, 2001:DB8:0::0001"], "2001:db8::1"),
        ("2001:db8::9", ["52.89.214.238"], "2001:db8::9"),
        ("::ffff:10.0.0.1", ["::ffff:203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["203.0.113.7, ::ffff:10.0.0.2"], "203.0.113.7"),
        ("not an address", ["52.89.214.238"], None),
    ],
)
def test_an_address_is_the_right_most_that_nobody_trusted_vouches_for(
    peer: str, forwarded: list[str], found: str | None
) -> None:
    told = client_address(scope(peer, *forwarded), PROXIES)
    assert told == (None if found is None else ip_address(found))


@pytest.mark.parametrize("name", ["forwarded", "x_real_ip", "cf_connecting_ip", "true_client_ip", "x_client_ip"])
def test_no_other_header_says_who_is_asking(name: str) -> None:
    assert client_address(scope("10.0.0.1", **{name: "52.89.214.238"}), PROXIES) == ip_address("10.0.0.1")


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine_is_local_only_when_it_asks_for_itself(peer: str) -> None:
    assert is_local(scope(peer))
    assert not is_local(scope(peer, "127.0.0.1"))
    assert not is_local(scope(peer, via="1.1 proxy"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "status"),
    [
        ("127.0.0.1", "52.89.214.238", 202),
        ("127.0.0.1", "52.89.214.238, 203.0.113.7", 403),
        ("203.0.113.7", "52.89.214.238", 403),
        ("52.89.214.238", "203.0.113.7", 202),
        ("127.0.0.1", "nonsense", 403),
        ("127.0.0.1", "", 403),
    ],
)
async def test_only_tradingview_gets_in_however_an_address_is_spoofed(peer: str, forwarded: str, status: int) -> None:
    async with make_world(peer=peer, webhook_allowed_ips="tradingview", trusted_proxies="127.0.0.1") as world:
        assert (await world.alert(BUY, **{"X-Forwarded-For": forwarded})).status_code == status


# ── floods ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_one_token_that_is_over_its_limit_takes_nothing_from_another() -> None:
    async with make_world(webhook_rate_per_minute=5) as world:
        await world.keep(replace(momentum(), id=RecorderId("r2"), name="second"), "second-token")
        answers = [(await world.alert({**BUY, "id": str(number)})).status_code for number in range(20)]
        assert (answers.count(202), answers.count(429)) == (5, 15)
        others = [await world.alert({**BUY, "id": str(number)}, token="second-token") for number in range(5)]
        assert [answer.status_code for answer in others] == [202] * 5


async def test_an_address_that_tries_tokens_is_slowed_and_good_alerts_from_it_are_not() -> None:
    async with make_world(webhook_rate_per_minute=2) as world:
        answers = [await world.alert(BUY, token=f"guess-{number}") for number in range(2 * MISSES + 5)]
        statuses = [answer.status_code for answer in answers]
        assert statuses == [404] * 2 * MISSES + [429] * 5
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert (await world.alert(BUY, token=TOKEN)).status_code == 202
        world.clock.pass_seconds(60)
        assert (await world.alert(BUY, token="guess")).status_code == 404


async def test_another_address_is_not_slowed_by_it_and_unknown_and_disabled_are_slowed_alike() -> None:
    async with make_world(webhook_rate_per_minute=1, trusted_proxies="203.0.113.0/24") as world:
        await world.change(momentum(enabled=False))
        for token in ("guess", TOKEN):
            there = {"X-Forwarded-For": f"198.51.100.{len(token)}"}
            statuses = [(await world.alert(BUY, token=token, **there)).status_code for _ in range(MISSES + 1)]
            assert statuses == [404] * MISSES + [429]


def test_a_house_of_many_addresses_is_one_and_memory_has_an_end() -> None:
    strangers = Strangers(1)
    for number in range(MISSES):
        assert strangers.take(ip_address(f"2001:db8:1:2::{number:x}"), 0.0) is None
    assert strangers.take(ip_address("2001:db8:1:2:ffff::1"), 0.0) is not None
    assert strangers.take(ip_address("2001:db8:1:3::1"), 0.0) is None
    for number in range(ADDRESSES + 100):
        strangers.take(ip_address(0x0B000000 + number), 0.0)
    assert len(strangers) == ADDRESSES
    assert strangers.take(None, 0.0) is None


async def test_a_flood_fills_neither_the_log_nor_the_database(caplog: pytest.LogCaptureFixture) -> None:
    async with make_world(webhook_rate_per_minute=5) as world:
        for number in range(50):
            await world.alert({**BUY, "id": str(number)})
        assert len([record for record in caplog.records if "alert refused" in record.message]) == 5
        assert len((await world.get("/signals", status="refused")).json()["items"]) == 5
        assert world.app.state.webhook.counts == {"202": 5, "429": 45}
