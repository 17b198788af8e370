"""What the adapter never does: endpoints it does not know, the one that ends subscriptions, a live host for demo."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from justtrades.broker.tradovate import requests
from tests.broker.tradovate.stub import Desk, Stub
from tests.broker.tradovate.test_broker import with_desk
from tests.broker.tradovate.test_requests import COMMANDS, prepared

SOURCE = Path(__file__).resolve().parents[3] / "src" / "justtrades"
TRADOVATE = SOURCE / "broker" / "tradovate"

MUTATIONS = {"order/placeorder", "order/placeoco", "order/modifyorder", "order/cancelorder", "order/liquidateposition"}
AUTH = {"auth/accesstokenrequest", "auth/renewaccesstoken", "auth/me", "auth/oauthtoken"}
SOCKET = {"user/syncrequest"}
NO_ENDPOINTS = {"application/json", "word/websocket", "props/word"}
"""A media type, the socket's address, and what events are called in the audit."""
READS = re.compile(r"^\w+/(list|items?|find|deps|ldeps)$")


def endpoints() -> Iterator[str]:
    """Every `entity/operation` that stands in a string of the adapter; a part that is filled in counts as a word."""
    for file in sorted(TRADOVATE.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            text = _text(node)
            if text and re.fullmatch(r"/?[a-z]\w*/[a-z]\w*", text):
                yield text.removeprefix("/")


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else "word" for v in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def test_no_line_of_the_program_knows_the_call_that_ends_subscriptions_and_permissions() -> None:
    assert [file for file in SOURCE.rglob("*.py") if "canceleverything" in file.read_text("utf-8").lower()] == []


def test_the_adapter_knows_five_acts_four_calls_of_auth_one_of_the_socket_and_else_only_reads() -> None:
    known = set(endpoints())
    assert known >= MUTATIONS | AUTH | SOCKET
    assert [one for one in known - MUTATIONS - AUTH - SOCKET - NO_ENDPOINTS if not READS.fullmatch(one)] == []


def test_a_whole_session_asks_for_nothing_else() -> None:
    stub = Stub()

    async def work(one: Desk) -> None:
        await one.broker.accounts()
        await one.broker.picture()

    with_desk(work, stub)
    asked = {endpoint.removeprefix("/") for endpoint, _ in stub.calls}
    spoken = {request for socket in stub.sockets for request in socket.requests}
    assert spoken == {"authorize", "user/syncrequest"}
    assert [one for one in asked - AUTH if not READS.fullmatch(one)] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_act_says_that_no_hand_made_it_and_a_new_order_names_its_account_twice(name: str) -> None:
    request = prepared(COMMANDS[name])
    assert request.endpoint.removeprefix("/") in MUTATIONS
    assert request.body["isAutomated"] is True
    if request.endpoint in (requests.PLACE, requests.PAIR):
        assert (request.body["accountSpec"], request.body["accountId"]) == ("DEMO33", 33)
    if request.endpoint == requests.LIQUIDATE:
        assert request.body["accountId"] == 33
