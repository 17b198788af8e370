"""Faults by chance: written in a line, drawn from a seed, told one by one."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from pathlib import Path

import httpx
import pytest

from justtrades.broker.simulator.faults import Blow, Kind, Manner
from justtrades.broker.simulator.mixture import BLOWS, CALLS, EVENTS, MIXTURES, Item, Mixture, parse_plan
from justtrades.broker.simulator.rehearsals import REHEARSALS, Rehearsal
from justtrades.broker.simulator.server import Options
from tests.broker.simulator.client import Rest, connected, synced, trading

ORDER = "order/placeorder"


def fates(plan: str, seed: int, calls: int = 200, endpoint: str = ORDER) -> list[str]:
    mixture = Mixture(parse_plan(plan), seed)
    return [str(fault) if (fault := mixture.take(endpoint)) else "" for _ in range(calls)]


def test_a_plan_is_a_list_of_faults_with_their_place_and_chance() -> None:
    assert parse_plan("lose_answer@order/placeorder#2, 500!before=0.1 ,drop_socket=2,visibility_lag:3") == (
        Item("lose_answer", "order/placeorder", nth=2),
        Item("500", before=True, rate=0.1),
        Item("drop_socket", rate=2.0),
        Item("visibility_lag:3"),
    )


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ("nonsense", "there is no fault nonsense"),
        ("lose_answer=often", "is a number"),
        ("lose_answer=2", "between 0 and 1"),
        ("1.5", "between 0 and 1"),
        ("stall:soon", "float"),
        ("@order", "is written FAULT"),
    ],
)
def test_what_is_no_plan_is_refused_in_a_sentence(plan: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_plan(plan)


def test_a_seed_gives_every_call_the_same_fate_again_and_another_seed_another() -> None:
    assert fates("storm", 3) == fates("storm", 3)
    assert fates("storm", 3) != fates("storm", 4)


def test_the_fate_of_an_endpoints_calls_does_not_hang_on_other_calls() -> None:
    mixture = Mixture(parse_plan("storm"), 3)
    found = []
    for _ in range(200):
        mixture.take("account/list")
        found.append(str(fault) if (fault := mixture.take(ORDER)) else "")
    assert found == fates("storm", 3)


def test_a_rate_is_the_share_of_calls_that_go_wrong_and_every_kind_comes() -> None:
    found = Counter(fates("0.2", 1, 4_000))
    assert found.total() - found[""] == pytest.approx(800, rel=0.1)
    assert {name.partition("!")[0].partition(":")[0] for name in found if name} == {
        text.partition("!")[0].partition(":")[0] for text in CALLS
    }


def test_chances_leave_log_ins_alone_unless_they_name_them() -> None:
    assert set(fates("1", 1, endpoint="auth/accesstokenrequest")) == {""}
    assert set(fates("empty@auth/*=1", 1, endpoint="auth/accesstokenrequest")) == {"empty"}


def test_calm_does_nothing() -> None:
    mixture = Mixture(parse_plan("calm"), 1)
    assert (mixture.items, mixture.whims(), list(mixture.moments())) == ((), [], [])


@pytest.mark.parametrize("name", MIXTURES)
def test_every_mixture_is_made_of_faults_that_exist(name: str) -> None:
    assert {item.name for item in parse_plan(name)} <= {*Kind, *Manner, *Blow}
    assert sum(CALLS.values()) == pytest.approx(1)


def test_blows_fall_at_seeded_moments_as_often_as_asked() -> None:
    def falls(seed: int) -> list[float]:
        return [at for at, _ in islice(Mixture(parse_plan("drop_socket=6"), seed).moments(), 300)]

    assert falls(1) == falls(1) != falls(2)
    assert falls(1)[-1] / 300 == pytest.approx(10, rel=0.2)


def test_a_blow_may_fall_at_its_second_and_several_take_turns() -> None:
    mixture = Mixture(parse_plan("roll#30,drop_socket#10,drop_socket=1"), 1)
    moments = [(at, item.name) for at, item in islice(mixture.moments(), 5)]
    assert sorted(moments) == moments
    assert {(10.0, "drop_socket"), (30.0, "roll")} <= set(moments)


def test_a_storm_tells_events_badly_now_and_then() -> None:
    mixture = Mixture(parse_plan("storm"), 1)
    seen = {item.name for _ in range(500) for item in mixture.whims()}
    assert seen == {text.partition(":")[0] for text in EVENTS}
    assert {item.name for _, item in islice(mixture.moments(), 200)} == set(BLOWS)


async def test_an_explicit_fault_strikes_its_call_and_is_told(tmp_path: Path) -> None:
    said: list[str] = []
    plan = f"failure:NoQuote@{ORDER}#2"
    async with trading(tmp_path, faults=plan, options=Options(tell=said.append)) as rest:
        assert "orderId" in await rest.order()
        assert (await rest.order())["failureReason"] == "NoQuote"
        assert "orderId" in await rest.order()
        struck = (await rest.http.get("/control/struck")).json()
    assert said == [f"fault: failure:NoQuote struck {ORDER} (call 2)"]
    assert [line["what"] for line in struck] == [said[0].removeprefix("fault: ")]


async def test_a_mixture_strikes_real_calls_and_clearing_ends_it(tmp_path: Path) -> None:
    said: list[str] = []
    async with trading(tmp_path, faults="lose_request@order/*=1", options=Options(tell=said.append)) as rest:
        with pytest.raises(httpx.TransportError):
            await rest.order()
        await rest.http.delete("/control/faults")
        assert "orderId" in await rest.order()
    assert len(said) == 1


async def test_the_events_of_a_change_may_come_in_bad_manners_by_chance(tmp_path: Path) -> None:
    async with trading(tmp_path, faults="duplicate_events=1") as rest, synced(rest) as socket:
        await rest.order()
        await socket.until(lambda _: socket.events.count("cashBalance Updated") == 2)


async def test_a_blow_of_a_plan_falls(tmp_path: Path) -> None:
    said: list[str] = []
    async with trading(tmp_path, faults="liquidation_only", options=Options(tell=said.append)) as rest:
        assert (await rest.order())["failureReason"] == "LiquidationOnly"
    assert said == ["fault: liquidation_only struck"]


@pytest.mark.parametrize("one", REHEARSALS, ids=lambda one: one.fault)
async def test_every_rehearsal_can_be_armed(tmp_path: Path, one: Rehearsal) -> None:
    async with trading(tmp_path) as rest:
        armed = await rest.control("faults", fault=one.fault, endpoint=one.endpoint or "*")
        name = one.fault.partition(":")[0]
        if name not in {*Manner, *Blow}:
            assert armed["faults"]
        elif name in set(Manner):
            assert any(armed["manners"].values())


async def test_every_fault_can_be_rehearsed(tmp_path: Path) -> None:
    async with trading(tmp_path) as rest:
        listed = {one["fault"].partition(":")[0] for one in (await rest.http.get("/control/rehearsals")).json()}
    left_out = {Kind.ERROR_TEXT, Kind.VIOLATIONS, Blow.SHUTDOWN}
    assert {*Kind, *Manner, *Blow} - left_out <= listed


async def _net(rest: Rest) -> int:
    return int((await rest.get("position/list"))[0]["netPos"])


async def test_a_hand_may_close_just_before_our_order_arrives(tmp_path: Path) -> None:
    async with trading(tmp_path) as rest:
        await rest.order(orderQty=2)
        await rest.fault("hand_close", ORDER)
        assert "orderId" in await rest.order(action="Sell", orderQty=2)
        assert await _net(rest) == -2, "ours came after the hand's"


async def test_a_hand_may_close_and_leave_the_orders_working(tmp_path: Path) -> None:
    async with trading(tmp_path) as rest, synced(rest) as socket:
        await rest.order(orderQty=2)
        target = (await rest.order(action="Sell", orderType="Limit", price=25_100, orderQty=2))["orderId"]
        await rest.control("faults", fault="close_by_hand")
        assert (await socket.event("position", netPos=0))["netPos"] == 0
        assert (await rest.get("order/item", id=target))["ordStatus"] == "Working"
        await rest.control("faults", fault="cancel_by_hand")
        assert (await rest.get("order/item", id=target))["ordStatus"] == "Canceled"


async def test_the_risk_desk_cancels_closes_and_leaves_the_account_liquidation_only(tmp_path: Path) -> None:
    async with trading(tmp_path) as rest, synced(rest) as socket:
        await rest.order(orderQty=2)
        await rest.order(action="Sell", orderType="Limit", price=25_100, orderQty=2)
        await rest.control("faults", fault="liquidate")
        status = await socket.event("accountRiskStatus")
        assert {"liquidateOnly", "autoLiqStarted", "autoLiqCounter"} <= set(status)
        assert await _net(rest) == 0
        assert (await rest.order())["failureReason"] == "LiquidationOnly"
        await rest.control("faults", fault="restore")
        assert "orderId" in await rest.order()


async def test_a_half_open_socket_carries_nothing_either_way(tmp_path: Path) -> None:
    async with trading(tmp_path) as rest, synced(rest) as socket:
        await rest.control("faults", fault="half_open_socket")
        body = {"accountId": rest.account["id"], "symbol": "MNQZ6", "action": "Buy", "orderQty": 1}
        await socket.ws.send(f"order/placeorder\n9\n\n{json.dumps(body | {'orderType': 'Market'})}")
        await rest.order(clOrdId="over REST")  # taken after what the socket sent before it
        assert [command["clOrdId"] for command in await rest.get("command/list")] == ["over REST"]


async def test_being_kicked_out_is_told_and_revokes_the_token(tmp_path: Path) -> None:
    async with trading(tmp_path) as rest, synced(rest) as socket:
        await rest.control("faults", fault="kick_out")
        message = await socket.until(lambda m: m.get("e") == "shutdown")
        assert message["d"] == {"reasonCode": "ConnectionQuotaReached"}
        assert (await rest.raw("GET", "account/list")).status_code == 401


async def test_a_bare_sync_shows_orders_only_when_they_are_asked_for(tmp_path: Path) -> None:
    async with trading(tmp_path) as rest:
        await rest.control("faults", fault="bare_sync")
        async with synced(rest) as socket:
            bare = next(m["d"] for m in socket.messages if m.get("i") == 2)
        assert set(bare) == {"users"}
        async with connected(rest) as socket:
            await socket.ask("authorize", body=rest.token)
            full = (await socket.ask("user/syncrequest", body={"entityTypes": ["order", "account"]}))["d"]
        assert full["accounts"]
        assert "orders" in full
