"""Bad alerts by the thousand: `make fuzz INPUTS=50000 SEED=1`, and a tenth of that in the suite.

Five kinds, in turn: raw bytes; JSON's grammar, right and wrong; the field names of every dialect with values of
every sort; the examples of every dialect, mutated; texts in a few words. Each carries a marker that no answer may
repeat. They go through the whole application, the body in pieces, with whatever content type.

What must hold for each: no 5xx, at most 1 KB, no marker, and a refused one leaves everything as it was but stands
in the list of refused alerts with the sentence that was answered.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from justtrades.api import alerts
from justtrades.api.alerts import (
    algoway,
    crosstrade,
    just_trades,
    openalgo,
    pickmytrade,
    terse,
    three_commas,
    tickerly,
    traderspost,
    tv_hub,
)
from justtrades.positions.model import RecorderId
from justtrades.positions.recorder import Recorder
from tests.api.world import TOKEN, World
from tests.api.world import world as make_world

MARKER: Final = "zq9Marker"
LONGEST: Final = 1024
REFUSED_WITH: Final = frozenset((400, 413, 422))
TAKEN_WITH: Final = frozenset((200, 202))
DISABLED: Final = "the-token-of-a-disabled-recorder"
UNKNOWN: Final = "a-token-that-nobody-has"
_BARE: Final = "a number without quotes, that a float could not hold"
_CHECKED_TOGETHER: Final = 200

Make = Callable[[random.Random], bytes]

# ── values ───────────────────────────────────────────────────────────────────────────────────────────────────

WORDS: Final = (
    *("buy", "sell", "long", "short", "close", "flat", "exit", "add", "cancel", "heartbeat", "market", "limit", "MKT"),
    *(
        "closelong",
        "exit_short",
        "PLACE",
        "FLATPLACE",
        "REVERSE",
        "CLOSEPOSITION",
        "flat/short",
        "true",
        "false",
        "base",
    ),
    *("MNQ1!", "CME_MINI:ES1!", "ES 09-26", "NYSE:ES", "", " ", "NaN", "null", "-0", "1e999", "0x10", "1_0", "٣", "½"),
    *("{{close}}", "{{plot_9}}", "{{strategy.order.action}}", "\ud800", "\x00", "\x7f", "\u202e", "💥" * 9, "9" * 5000),
    *("20 ticks", "-3%", "250 dollars", "1;2", "a=b", '"', "'", "\\", "\n", "</script>", "2026-11-24T15:00:00Z"),
)
NUMBERS: Final = ("0", "-1", "1", "2.5", "1e2", "1e999", "-1e-999", "1e99999999", "9" * 600, "0.1", "1E+2", "-0.0")
KNOWN: Final = (
    *(algoway.KNOWN, just_trades.KNOWN, openalgo.KNOWN, pickmytrade.KNOWN, three_commas.KNOWN, tickerly.KNOWN),
    *(traderspost.KNOWN, tv_hub.KNOWN),
)
EXAMPLES: Final = tuple(example.body for example in alerts.examples())


def word(rng: random.Random) -> str:
    return rng.choice((*WORDS, MARKER, f"{rng.choice(WORDS)}{MARKER}"))


def value(rng: random.Random, depth: int = 0) -> Any:
    match rng.randrange(8 if depth < 5 else 5):
        case 0 | 1 | 2:
            return word(rng)
        case 3:
            return rng.choice([0, 1, -1, 3, 0.1, 10**30, 1e300, -1e-300])
        case 4:
            return rng.choice([None, True, False])
        case 5:
            return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
        case _:
            return {word(rng): value(rng, depth + 1) for _ in range(rng.randrange(4))}


# ── the five kinds ───────────────────────────────────────────────────────────────────────────────────────────


def raw(rng: random.Random) -> bytes:
    match rng.randrange(7):
        case 0:
            return rng.randbytes(rng.randrange(200))
        case 1:
            return bytes([rng.choice(b'{}[]",:0e-\\u')]) * rng.choice([1, 17, 3_000, 65_536, 65_537])
        case 2:
            return json.dumps(example(rng)).encode(rng.choice(["utf-16", "utf-32", "utf-8-sig"]))
        case 3:
            return b"\xed\xa0\x80" + MARKER.encode() + rng.randbytes(8)
        case 4:
            return (MARKER + rng.choice(WORDS[:30]) + " ").encode() * rng.randrange(1, 3_000)
        case 5:
            return rng.choice([b"[", b'{"a":', b"(", b"buy ", b"a=b;", b" = ", b"command=PLACE;"]) * rng.randrange(
                9_000
            )
        case _:
            return scarred(rng, json.dumps(example(rng)).encode())


def grammar(rng: random.Random) -> bytes:
    """JSON as it may be written, mostly, and as it may not."""
    return "".join(_json(rng, 0)).encode("utf-8", "surrogatepass")


def _json(rng: random.Random, depth: int) -> Iterator[str]:
    kind = rng.randrange(9 if depth < 6 else 6)
    if kind < 6:
        yield _scalar(rng, kind)
        return
    opening, closing = rng.choice(["{}", "{}", "{}", "[]", "[]", "{]", "[}", "{"])[:1], rng.choice(["}", "}", "]", ""])
    yield opening
    for index in range(rng.randrange(5)):
        yield "" if index == 0 else rng.choice([",", ",", ",", ",,", " ", ";"])
        if opening == "{":
            yield f"{_scalar(rng, 0)}{rng.choice([':', ':', ':', ' : ', '=', ''])}"
        yield from _json(rng, depth + 1)
    yield closing


def _scalar(rng: random.Random, kind: int) -> str:
    match kind:
        case 0 | 1 | 2:
            return json.dumps(rng.choice(("action", "ticker", "quantity", word(rng))), ensure_ascii=rng.random() < 0.5)
        case 3:
            return rng.choice(NUMBERS)
        case 4:
            return rng.choice(
                ["true", "false", "null", "NaN", "-Infinity", "nul", "undefined", "buy", "'buy'", "“buy”"]
            )
        case _:
            return f'"{rng.choice(WORDS)} "{MARKER}" {rng.choice(WORDS)}"'


def schema(rng: random.Random) -> bytes:
    """Fields that some dialect knows, with values of any sort."""
    names = sorted(rng.choice(KNOWN))
    fields = {name: value(rng) for name in rng.sample(names, rng.randrange(1, min(len(names), 12)))}
    if rng.random() < 0.5:
        fields |= {"action": rng.choice(WORDS[:10]), "ticker": "MNQ1!"}
    return json.dumps(fields, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")


def example(rng: random.Random) -> Any:
    return rng.choice(EXAMPLES)


def mutated(rng: random.Random) -> bytes:
    """An example of some dialect with one to three things wrong."""
    body = example(rng)
    for _ in range(rng.randrange(1, 4)):
        body = _worded(rng, body) if isinstance(body, str) else _changed(rng, body)
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=rng.random() < 0.5)
    if rng.random() < 0.1 and isinstance(body, dict) and body:
        text = text[:-1] + f', {json.dumps(rng.choice(sorted(body)))}: "{MARKER}"}}'
    found = text.replace(f'"{_BARE}"', rng.choice(NUMBERS)).encode("utf-8", "surrogatepass")
    return scarred(rng, found) if rng.random() < 0.3 else found


def _changed(rng: random.Random, body: dict[str, Any]) -> dict[str, Any]:
    names = sorted(body) or ["action"]
    name = rng.choice(names)
    match rng.randrange(6):
        case 0:
            return {key: kept for key, kept in body.items() if key != name}
        case 1:
            return {**body, rng.choice(sorted(rng.choice(KNOWN))): value(rng)}
        case 2:
            return {key.upper() if key == name else key: kept for key, kept in body.items()}
        case 3:
            return {**body, word(rng): word(rng)}
        case 4:
            return {**body, rng.choice([name, "time", "price", "quantity"]): _BARE}
        case _:
            return {**body, name: value(rng)}


def _worded(rng: random.Random, text: str) -> str:
    words = text.split(" ")
    at = rng.randrange(len(words))
    named = f"{rng.choice(sorted(crosstrade.KNOWN | terse.KNOWN))}={word(rng)}"
    return " ".join(
        words[:at] + rng.choice([[word(rng)], [f"{named};"], [named], [], words[at:] * 2]) + words[at + 1 :]
    )


def scarred(rng: random.Random, text: bytes) -> bytes:
    """Some bytes changed, or the end cut off."""
    scarred = bytearray(text or b"x")
    for _ in range(rng.randrange(1, 5)):
        scarred[rng.randrange(len(scarred))] = rng.randrange(256)
    return bytes(scarred[: rng.randrange(1, len(scarred) + 1)] if rng.random() < 0.3 else scarred)


def wording(rng: random.Random) -> bytes:
    """A few words, some of which mean something."""
    parts = [rng.choice([word(rng), f"{rng.choice(sorted(terse.KNOWN))}={word(rng)}"]) for _ in range(rng.randrange(9))]
    start = rng.choice([rng.choice(WORDS[:16]), "command=PLACE;", "Keys(MNQ1!) {", "", MARKER])
    return rng.choice([" ", "\n", ";", ","]).join([start, *parts]).encode("utf-8", "surrogatepass")


KINDS: Final[tuple[Make, ...]] = (raw, grammar, schema, mutated, wording)

# ── sending them ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


@dataclass(slots=True)
class Tally:
    """What came of the inputs, and what must not have."""

    inputs: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    longest: int = 0
    slowest: float = 0.0
    violations: list[str] = field(default_factory=list)

    @property
    def line(self) -> str:
        counts = ", ".join(f"{status}: {count}" for status, count in sorted(self.statuses.items()))
        failed = sum(count for status, count in self.statuses.items() if status >= 500)
        return (
            f"inputs {self.inputs} ({counts}), 5xx {failed}, longest answer {self.longest} bytes, "
            f"slowest {1000 * self.slowest:.0f} ms, violations {len(self.violations)}"
        )


async def send(world: World, token: str, body: bytes, rng: random.Random) -> Answer:
    """One POST, in one to three pieces."""
    cuts = sorted(rng.randrange(len(body) + 1) for _ in range(rng.choice([0, 0, 1, 2])))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    kind = rng.choice([b"application/json", b"text/plain; charset=utf-8", b"", b"image/png"])
    messages = [{"type": "http.request", "body": p, "more_body": i < len(pieces) - 1} for i, p in enumerate(pieces)]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def answer(message: Any) -> None:
        sent.append(message)

    await world.app(_scope(token, kind), receive, answer)
    return Answer(sent[0]["status"], tuple(sent[0]["headers"]), b"".join(m.get("body", b"") for m in sent[1:]))


def _scope(token: str, kind: bytes) -> dict[str, Any]:
    path = f"/webhook/{token}"
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"engine.test"), (b"content-type", kind)],
        "client": ("203.0.113.7", 40_000),
        "server": ("engine.test", 80),
    }


async def fuzz(inputs: int, seed: int) -> Tally:
    """So many bad alerts to one recorder; the same seed sends the same."""
    rng, tally = random.Random(seed), Tally()
    async with make_world(webhook_rate_per_minute=1_000_000) as world:
        await world.keep(Recorder(RecorderId("r2"), "disabled", enabled=False), DISABLED)
        said: list[str] = []
        for index in range(inputs):
            body = KINDS[index % len(KINDS)](rng)
            await _one(world, body, rng, tally, said)
            if index % 50 == 0:
                await _nobody(world, body, rng, tally)
            if len(said) == _CHECKED_TOGETHER:
                await _kept(world, said, tally)
                said.clear()
        await _kept(world, said, tally)
    return tally


async def _one(world: World, body: bytes, rng: random.Random, tally: Tally, said: list[str]) -> None:
    arrived, began = len(world.desk.arrivals), time.perf_counter()
    answer = await send(world, TOKEN, body, rng)
    tally.slowest = max(tally.slowest, time.perf_counter() - began)
    tally.inputs += 1
    tally.statuses[answer.status] += 1
    tally.longest = max(tally.longest, len(answer.body))
    for wrong in _wrong(answer, len(world.desk.arrivals) - arrived):
        tally.violations.append(f"{wrong}: {answer.status} {answer.body[:200]!r} to {body[:200]!r}")
    if answer.status in REFUSED_WITH:
        said.append(json.loads(answer.body)["error"])


def _wrong(answer: Answer, arrived: int) -> Iterator[str]:
    if answer.status not in REFUSED_WITH | TAKEN_WITH:
        yield "a status that no alert has"
    if len(answer.body) > LONGEST:
        yield "too long"
    if MARKER.lower().encode() in answer.body.lower() or any(MARKER.encode() in v for _, v in answer.headers):
        yield "an echo"
    if arrived != (1 if answer.status == 202 else 0):
        yield "a refused alert that went on, or an accepted one that did not"
    if answer.status in REFUSED_WITH and json.loads(answer.body).keys() != {"error"}:
        yield "a refusal with more than its sentence"


async def _kept(world: World, said: list[str], tally: Tally) -> None:
    """The refusals stand in the list with what was answered, the newest first."""
    if not said:
        return
    listed = (await world.get("/signals", status="refused", limit=len(said))).json()["items"]
    if [one["reason"] for one in listed] != said[::-1]:
        tally.violations.append("a refused alert is not in the list of refused alerts, or with another reason")


async def _nobody(world: World, body: bytes, rng: random.Random, tally: Tally) -> None:
    """An unknown and a disabled token cannot be told apart."""
    unknown, disabled = await send(world, UNKNOWN, body, rng), await send(world, DISABLED, body, rng)
    if unknown != disabled or unknown.status != 404:
        tally.violations.append(f"an unknown token is answered {unknown}, a disabled one {disabled}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    logging.disable(logging.ERROR)
    tally = asyncio.run(fuzz(asked.inputs, asked.seed))
    for told in tally.violations[:5]:
        print(told, end="\n\n")
    print(f"seed {asked.seed}: {tally.line}")
    return 1 if tally.violations else 0


if __name__ == "__main__":
    sys.exit(main())
