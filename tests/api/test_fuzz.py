"""Bad bodies by the hundred: every one is answered, none with a failure of ours."""

from __future__ import annotations

import json
import random
from typing import Any

from tests.api.world import World
from tests.api.world import world as make_world

WORDS = ["buy", "sell", "close", "", "flat", "{{close}}", "\ud800", "\x00", "💥" * 9, "1e999", "NaN", "-0", "9" * 5000]
KEYS = [
    "action",
    "ticker",
    "quantity",
    "price",
    "tp",
    "sl",
    "time",
    "id",
    "sentiment",
    "takeProfit",
    "stopLoss",
    "trail",
]
ALLOWED = {200, 202, 400, 413, 422}


def value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(7 if depth < 4 else 5)
    match kind:
        case 0:
            return rng.choice(WORDS)
        case 1:
            return rng.choice([0, -1, 10**30, 1e300, -1e-300, 3, 0.1])
        case 2:
            return rng.choice([None, True, False])
        case 3 | 4:
            return rng.choice(WORDS) + rng.choice(WORDS)
        case 5:
            return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
        case _:
            return {rng.choice(KEYS + WORDS): value(rng, depth + 1) for _ in range(rng.randrange(5))}


def body(rng: random.Random) -> bytes:
    alert = {key: value(rng) for key in rng.sample(KEYS, rng.randrange(len(KEYS)))}
    if rng.random() < 0.7:
        alert |= {"action": rng.choice(["buy", "sell", "close", "add", "exit"]), "ticker": "MNQ1!"}
    text = bytearray(json.dumps(alert, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass"))
    for _ in range(rng.randrange(4) if rng.random() < 0.6 else 0):
        text[rng.randrange(len(text))] = rng.randrange(256)
    return bytes(text[: rng.randrange(1, len(text) + 1)] if rng.random() < 0.2 else text)


async def test_no_body_gets_a_5xx_or_an_echo_or_a_long_answer() -> None:
    rng = random.Random(20260901)
    seen = set()
    async with make_world(webhook_rate_per_minute=100_000) as world:
        for _ in range(400):
            answer = await world.alert(body(rng))
            seen.add(answer.status_code)
            assert len(answer.content) <= 1024
        await everything_can_be_listed(world)
    assert seen <= ALLOWED
    assert {202, 400, 422} <= seen


async def everything_can_be_listed(world: World) -> None:
    """What was kept of it can be shown."""
    for status in ("refused", "accepted"):
        page = (await world.get("/signals", status=status, limit=500)).json()
        for signal in page["items"][:60]:
            assert (await world.get(f"/signals/{signal['id']}")).status_code == 200


async def test_no_admin_body_gets_a_5xx() -> None:
    rng = random.Random(7)
    async with make_world() as world:
        for path in ("/recorders", "/connections", "/kill", "/positions/close", "/lanes/resume", "/flatten"):
            for _ in range(40):
                method = "PUT" if path == "/kill" else "POST"
                answer = await world.http.request(method, f"/api/v1{path}", content=body(rng), headers=world.admin)
                assert answer.status_code < 500
