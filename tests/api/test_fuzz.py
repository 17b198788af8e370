"""Bad bodies by the thousand: every one is answered, none with a failure of ours (see `fuzz`)."""

from __future__ import annotations

import json
import random

from tests.api import fuzz
from tests.api.world import TOKEN, World
from tests.api.world import world as make_world

INPUTS = 5_000


async def test_no_alert_gets_a_5xx_or_an_echo_or_a_long_answer_and_every_refusal_is_kept() -> None:
    tally = await fuzz.fuzz(INPUTS, seed=20261125)
    assert tally.violations == []
    assert tally.inputs == INPUTS
    assert {200, 202, 400, 413, 422} <= tally.statuses.keys()
    refused = sum(tally.statuses[status] for status in fuzz.REFUSED_WITH)
    assert refused > INPUTS * 0.8


async def test_an_answer_that_breaks_a_promise_is_found() -> None:
    """The checks themselves: an echo, a 5xx and a length are all seen."""
    echo = json.dumps({"error": fuzz.MARKER}).encode()
    assert list(fuzz._wrong(fuzz.Answer(422, (), echo), 0)) == ["an echo"]
    assert "a status that no alert has" in list(fuzz._wrong(fuzz.Answer(503, (), b"{}"), 0))
    assert "too long" in list(fuzz._wrong(fuzz.Answer(422, (), b'{"error": "%s"}' % (b"x" * 1024)), 0))
    assert len(list(fuzz._wrong(fuzz.Answer(202, (), b"{}"), 0))) == 1


async def test_a_body_that_only_grows_is_cut_off_before_anything_reads_it() -> None:
    """Without a length, in pieces, and without an end: the door closes after 64 KB."""
    async with make_world() as world:
        taken = 0

        async def receive() -> dict[str, object]:
            nonlocal taken
            taken += 1
            return {"type": "http.request", "body": b"x" * 8_192, "more_body": True}

        sent: list[dict[str, object]] = []

        async def answer(message: dict[str, object]) -> None:
            sent.append(message)

        await world.app(fuzz._scope(TOKEN, b"text/plain"), receive, answer)  # type: ignore[arg-type]  # plain dicts
        assert sent[0]["status"] == 413
        assert taken == 9


async def test_what_was_kept_of_bad_alerts_can_be_shown() -> None:
    rng = random.Random(20260901)
    async with make_world(webhook_rate_per_minute=100_000) as world:
        for index in range(400):
            await fuzz.send(world, TOKEN, fuzz.KINDS[index % len(fuzz.KINDS)](rng), rng)
        await everything_can_be_listed(world)


async def everything_can_be_listed(world: World) -> None:
    for status in ("refused", "accepted"):
        page = (await world.get("/signals", status=status, limit=500)).json()
        assert page["items"]
        for signal in page["items"][:60]:
            assert (await world.get(f"/signals/{signal['id']}")).status_code == 200


async def test_no_admin_body_gets_a_5xx() -> None:
    rng = random.Random(7)
    async with make_world() as world:
        for path in ("/recorders", "/connections", "/kill", "/positions/close", "/lanes/resume", "/flatten"):
            for index in range(60):
                method = "PUT" if path == "/kill" else "POST"
                body = fuzz.KINDS[index % len(fuzz.KINDS)](rng)
                answer = await world.http.request(method, f"/api/v1{path}", content=body, headers=world.admin)
                assert answer.status_code < 500
