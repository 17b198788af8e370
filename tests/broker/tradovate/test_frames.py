"""The socket's frames and its session, without a socket."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from justtrades.broker.tradovate import frames
from justtrades.broker.tradovate.frames import (
    BadFrame,
    Closed,
    Failed,
    Props,
    Session,
    Shutdown,
    Snapshot,
    State,
    Ticketed,
)

ORDER = {"id": 601683390113, "accountId": 60039759, "ordStatus": "Canceled", "action": "Buy"}


def session() -> Session:
    return Session("token", frames.sync_body(15460, by_types=False), 100.0)


def a(*messages: Any) -> str:
    return "a" + json.dumps(messages)


def props(entity: Any, event: str = "Updated") -> dict[str, Any]:
    return {"e": "props", "d": {"entityType": "order", "eventType": event, "entity": entity}}


def synced() -> Session:
    one = session()
    for frame in ("o", a({"s": 200, "i": 1}), a({"s": 200, "i": 2, "d": {"users": [], "accounts": []}})):
        one.receive(frame, 100.0)
        one.to_send()
    return one


def test_nothing_is_sent_before_the_server_opens() -> None:
    one = session()
    assert one.to_send() == []
    assert one.beat(200.0) is None
    one.receive("o", 101.0)
    assert one.to_send() == ["authorize\n1\n\ntoken"]


def test_an_authorized_session_asks_for_exactly_one_snapshot() -> None:
    one = session()
    one.receive("o", 100.0)
    one.to_send()
    one.receive(a({"s": 200, "i": 1}), 100.0)
    one.receive(a({"s": 200, "i": 1}), 100.0)
    assert one.to_send() == ['user/syncrequest\n2\n\n{"users":[15460],"splitResponses":false}']


def test_the_look_up_frame_is_the_recorded_one() -> None:
    assert frames.request("executionReport/list", 4) == "executionReport/list\n4\n\n"
    assert frames.request("tradingPermission/ldeps", 8, query="masterids=1") == (
        "tradingPermission/ldeps\n8\nmasterids=1\n"
    )


def test_events_before_the_snapshot_come_after_it() -> None:
    one = session()
    one.receive("o", 100.0)
    one.receive(a({"s": 200, "i": 1}), 100.0)
    assert one.receive(a(props(ORDER)), 100.0) == []
    heard = one.receive(a({"s": 200, "i": 2, "d": {"accounts": [], "orders": [ORDER]}}), 100.0)
    assert [type(one) for one in heard] == [Snapshot, Props]
    assert one.state is State.SYNCED


def test_a_frame_ahead_of_the_snapshot_names_its_events_when_it_comes() -> None:
    """The audit keeps each frame in its own words; the snapshot's frame brought no event."""
    one = session()
    one.receive("o", 100.0)
    one.receive(a({"s": 200, "i": 1}), 100.0)
    assert one.receive(a(props(ORDER)), 100.0) == []
    assert list(one.kinds) == ["order"]
    told = one.receive(a({"s": 200, "i": 2, "d": {"users": [], "accounts": []}}), 100.0)
    assert [type(heard) for heard in told] == [Snapshot, Props]
    assert not one.kinds


def test_one_frame_may_carry_many_messages_and_one_event_many_entities() -> None:
    heard = synced().receive(a(props(ORDER), props([ORDER, ORDER])), 100.0)
    assert [len(one.entities) for one in heard if isinstance(one, Props)] == [1, 2]


def test_an_event_without_event_type_is_an_update() -> None:
    message = {"e": "props", "d": {"entityType": "fill", "entity": {"id": 663695020156}}}
    assert synced().receive(a(message), 100.0) == [Props("fill", ({"id": 663695020156},))]


def test_a_deleted_entity_is_told_as_deleted() -> None:
    (heard,) = synced().receive(a(props(ORDER, "Deleted")), 100.0)
    assert isinstance(heard, Props)
    assert heard.deleted


def test_prices_are_read_exactly() -> None:
    frame = 'a[{"e":"props","d":{"entityType":"fill","entity":{"id":1,"price":25871.369565217}}}]'
    (heard,) = synced().receive(frame, 100.0)
    assert isinstance(heard, Props)
    assert heard.entities[0]["price"] == Decimal("25871.369565217")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"s": 401, "i": 1, "d": "Invalid access token"}, Failed("authorize", 401, "Invalid access token")),
        ({"s": 429, "i": 1}, Failed("authorize", 429, "")),
    ],
)
def test_a_refused_authorize_is_told(answer: dict[str, Any], expected: Failed) -> None:
    one = session()
    one.receive("o", 100.0)
    assert one.receive(a(answer), 100.0) == [expected]


def test_a_sync_that_met_a_penalty_is_repeated_with_its_ticket() -> None:
    one = session()
    one.receive("o", 100.0)
    one.receive(a({"s": 200, "i": 1}), 100.0)
    one.to_send()
    (heard,) = one.receive(a({"s": 200, "i": 2, "d": {"p-ticket": "TKT", "p-time": 1}}), 100.0)
    assert isinstance(heard, Ticketed)
    one.sync_again(heard.ticket.ticket)
    (frame,) = one.to_send()
    assert json.loads(frame.split("\n")[3]) == {"users": [15460], "splitResponses": False, "p-ticket": "TKT"}


def test_a_snapshot_without_accounts_and_orders_is_bare() -> None:
    one = session()
    one.receive("o", 100.0)
    one.receive(a({"s": 200, "i": 1}), 100.0)
    (heard,) = one.receive(a({"s": 200, "i": 2, "d": {"users": [{"id": 99}], "cashBalances": []}}), 100.0)
    assert isinstance(heard, Snapshot)
    assert heard.bare
    assert heard.collections["order"] == ()


def test_users_and_entity_types_are_never_combined() -> None:
    assert "users" not in frames.sync_body(1, by_types=True)


def test_shutdown_and_close_are_told() -> None:
    assert synced().receive(a({"e": "shutdown", "d": {"reasonCode": "ConnectionQuotaReached"}}), 0.0) == [
        Shutdown("ConnectionQuotaReached")
    ]
    assert synced().receive('c[3000,"Go away!"]', 0.0) == [Closed(3000, "Go away!")]


def test_the_heartbeat_is_due_by_its_own_timer() -> None:
    one = synced()
    assert one.beat(102.3) is None
    one.receive("h", 102.3)
    assert one.beat(102.4) == "[]"
    assert one.beat(102.5) is None
    assert one.heartbeat_due - 102.4 < 2.5


def test_any_frame_is_a_sign_of_life_and_ten_silent_seconds_are_the_end() -> None:
    one = synced()
    one.receive("h", 107.0)
    assert one.dead_at == 117.0


@pytest.mark.parametrize("frame", ["x", "a{}", "a[1]", "a[", "c[", 'a["{}"]'])
def test_what_is_no_frame_is_said_so(frame: str) -> None:
    with pytest.raises(BadFrame):
        synced().receive(frame, 100.0)


def test_other_events_and_strange_answers_are_left_alone() -> None:
    one = synced()
    assert one.receive(a({"e": "md", "d": {"quotes": []}}, {"e": "clock", "d": "{}"}, {"s": 200, "i": 99}), 0.0) == []
    assert one.receive("h", 0.0) == []
