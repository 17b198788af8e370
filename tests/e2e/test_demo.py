"""The demo as a stranger meets it, and the comparison its last line rests on."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from justtrades import demo
from justtrades.broker.simulator.listing import find_contract
from justtrades.demo import story
from justtrades.demo.books import differences
from justtrades.demo.client import NOTHING, Facts, Failed, Json
from justtrades.demo.play import Play
from justtrades.demo.promises import Expected, Told
from justtrades.demo.scenes import SCENES, Scene
from justtrades.demo.telling import lines, price

PATIENCE = 60
SLOWEST = 40.0
"""Seconds the whole story may take, as promised to whoever types `make demo`."""
QUICK = "from justtrades.demo import run; raise SystemExit(run({keep}, pace=0))"
needs_sigint = pytest.mark.skipif(os.name != "posix", reason="a test cannot press Ctrl-C in another console on Windows")


# ── as a stranger meets it ───────────────────────────────────────────────────────────────────────────────


def surroundings(folder: Path, **over: str) -> dict[str, str]:
    """Nothing of the engine's settings, and temporary files where the test can see them."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUSTTRADES_", "COLUMNS"))}
    temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    return {**kept, **temporary, "PYTHONIOENCODING": "utf-8", **over}


@dataclass(frozen=True, slots=True)
class Run:
    code: int
    output: str
    errors: str
    seconds: float
    left_here: list[str]
    left_in_temp: list[str]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run of the real command, in a folder and an environment that would break any engine that read them."""
    here, temp = tmp_path_factory.mktemp("here"), tmp_path_factory.mktemp("temp")
    (here / ".env").write_text("JUSTTRADES_DATABASE_URL=nonsense\nJUSTTRADES_PORT=1\n", encoding="utf-8")
    spoiled = surroundings(temp, JUSTTRADES_PORT="nonsense", JUSTTRADES_PAPER_URL="http://127.0.0.1:9/v1")
    began = monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "justtrades", "demo"],
        cwd=here,
        env=spoiled,
        capture_output=True,
        encoding="utf-8",
        timeout=2 * PATIENCE,
        check=False,
    )
    left = [[path.name for path in folder.iterdir()] for folder in (here, temp)]
    return Run(done.returncode, done.stdout, done.stderr, monotonic() - began, *left)


def test_the_demo_ends_well_and_says_so_last(told: Run) -> None:
    assert told.output.rstrip().splitlines()[-1] == "books match broker: yes", told.output + told.errors
    assert (told.code, told.errors) == (0, "")


def test_the_scenes_come_in_their_order(told: Run) -> None:
    assert re.findall(r"^(\d)\. (.*?) -+$", told.output, re.MULTILINE) == [
        (str(number), scene.title) for number, scene in enumerate(SCENES, 1)
    ]


def test_every_kind_of_step_is_told(told: Run) -> None:
    labels = set(re.findall(r"^ *\d+\.\ds (\S+)", told.output, re.MULTILINE))
    assert labels >= {"alert", "answer", "decision", "order", "fill", "target", "close", "P&L", "refused", "market"}


def test_the_table_counts_what_the_scenes_made(told: Run) -> None:
    rows = re.findall(r"^\| (?:\d\. )?(.*?) +\| +(\d+) \| +(\d+) \|", told.output, re.MULTILINE)
    expected = [(scene.title, *counts) for scene, counts in zip(SCENES, COUNTS, strict=True)]
    assert rows == [(title, str(t), str(f)) for title, t, f in [*expected, ("in all", 6, 14)]]


COUNTS = [(1, 2), (1, 4), (2, 4), (0, 0), (1, 2), (1, 2), (0, 0)]
"""Trades and fills of each scene."""


def test_it_fits_a_plain_terminal(told: Run) -> None:
    assert told.output.isascii()
    assert max(map(len, told.output.splitlines())) <= 80


def test_it_keeps_its_time(told: Run) -> None:
    assert told.seconds < SLOWEST


def test_it_leaves_nothing_behind(told: Run) -> None:
    assert (told.left_here, told.left_in_temp) == ([".env"], [])


# ── stopped, kept, broken ────────────────────────────────────────────────────────────────────────────────


@contextmanager
def started(folder: Path, *, keep: bool) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", QUICK.format(keep=keep)],
        cwd=folder,
        env=surroundings(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_to(process: subprocess.Popen[str], mark: str) -> str:
    """What it says until a line has the mark; fails when it ends before."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if mark in line:
            return said
    raise AssertionError(f"it never said {mark!r}:\n{said}")


def stop(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGINT)
    return process.communicate(timeout=PATIENCE)[0]


@needs_sigint
def test_ctrl_c_ends_it_with_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    with started(tmp_path, keep=False) as process:
        read_to(process, "alert")
        said = stop(process)
    assert said.rstrip().splitlines()[-1] == "justtrades demo: stopped before the end."
    assert (process.returncode, "Traceback" in said) == (1, False)
    assert list(tmp_path.iterdir()) == []


@needs_sigint
def test_keep_stays_up_for_signals_by_hand_until_ctrl_c(tmp_path: Path) -> None:
    with started(tmp_path, keep=True) as process:
        said = read_to(process, "curl")
        webhook = found(r"webhook +(http\S+)", said)
        docs, token = found(r"(http\S+/docs)", said), webhook.rpartition("/")[2]
        assert b"swagger" in fetch(docs)
        parameter = json.loads(fetch(docs.replace("/docs", "/openapi.json")))["paths"]["/webhook/{token}"]["post"]
        assert parameter["parameters"][0]["example"] == token
        answer = json.loads(fetch(webhook, b'{"action": "buy", "ticker": "MNQ1!"}'))
        assert answer["status"] == "accepted"
        rest = stop(process)
    assert process.returncode == 0, rest
    (kept,) = tmp_path.iterdir()
    assert str(kept) in rest
    assert (kept / "justtrades.db").exists()


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match, text
    return match[1]


def fetch(url: str, body: bytes | None = None) -> bytes:
    """Past any proxy of this machine's owner."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, body, timeout=10) as answer:
        content: bytes = answer.read()
        return content


async def breaks(_play: Play) -> Expected:
    raise Failed("waited 8 s in vain for a fill")


async def promises_too_much(_play: Play) -> Expected:
    return Expected(("filled",), fills=2, exits=("target",))


async def has_a_bug(_play: Play) -> Expected:
    raise KeyError("nobody expected this")


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (breaks, "A scene: waited 8 s in vain for a fill"),
        (promises_too_much, "A scene: its signals ended as nothing, not as filled"),
        (has_a_bug, "justtrades demo: KeyError: 'nobody expected this'. The log has the details."),
    ],
)
def test_a_scene_that_fails_makes_exit_code_1(
    act: Callable[[Play], Any],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(story, "SCENES", (Scene("A scene", "It does not come out well.", act),))
    monkeypatch.setattr(story, "PATIENCE", 0.1)
    assert demo.run(pace=0) == 1
    output = capsys.readouterr().out
    assert said in output
    assert "books match broker: yes" not in output
    assert "Traceback" not in output
    assert f"engine.log): {next(tmp_path.iterdir())}" in output


# ── the comparison ───────────────────────────────────────────────────────────────────────────────────────

AT = "2026-11-23T15:00:00Z"
NAME = "MNQZ6"


def contract_id() -> int:
    contract = find_contract(NAME, datetime(2026, 11, 23, tzinfo=UTC))
    assert contract is not None
    return contract.id


def order(broker_id: int, purpose: str, action: str, **over: Any) -> Json:
    row: Json = {"id": f"c{broker_id}", "broker_order_id": str(broker_id), "signal_id": "s1", "contract": NAME}
    row |= {"purpose": purpose, "action": action, "quantity": 2, "filled_quantity": 2, "price": None}
    row |= {"status": "filled", "reason": None, "text": None, "created_at": AT}
    return {**row, **over}


def fill(fill_id: int, order_id: int, action: str, at_price: str) -> Json:
    row = {"id": str(fill_id), "broker_fill_id": str(fill_id), "order_id": f"c{order_id}", "contract": NAME}
    return row | {"action": action, "quantity": 2, "price": at_price, "filled_at": AT}


def books() -> Facts:
    """A long of two that hit its target, and the order of another signal that was refused."""
    orders = [
        order(1, "entry", "Buy"),
        order(2, "target", "Sell", price="25010"),
        order(3, "entry", "Buy", signal_id="s2", status="rejected", filled_quantity=0, reason="MaxOrderQty"),
    ]
    fills = [fill(11, 1, "Buy", "25000"), fill(12, 2, "Sell", "25010")]
    trade = {"id": "t1", "signal_id": "s1", "contract": NAME, "side": "LONG", "quantity": 2, "status": "closed"}
    trade |= {"entry_price": "25000", "exit_price": "25010", "exit_reason": "target", "closed_at": AT}
    trade |= {"pnl": "40", "pnl_ticks": "80"}
    signal_row = {"id": "s1", "received_at": AT, "finished_at": AT, "outcome": "filled", "reason": "bought 2"}
    signal_row |= {"dialect": "plain", "verb": "buy", "ticker": "MNQ1!"}
    return Facts(
        {"s1": signal_row},
        {row["id"]: row for row in orders},
        {row["id"]: row for row in fills},
        {"t1": trade},
        {},
    )


def ledger() -> Json:
    """The broker's side of the same."""
    at = {"contractId": contract_id(), "accountId": 1}
    return {
        "order": [
            {"id": 1, "action": "Buy", "ordStatus": "Filled", **at},
            {"id": 2, "action": "Sell", "ordStatus": "Filled", **at},
            {"id": 3, "action": "Buy", "ordStatus": "Rejected", **at},
        ],
        "orderVersion": [
            {"orderId": 1, "orderQty": 2},
            {"orderId": 2, "orderQty": 2, "price": 25010},
            {"orderId": 3, "orderQty": 2},
        ],
        "fill": [
            {"id": 11, "orderId": 1, "action": "Buy", "qty": 2, "price": 25000, "active": True, **at},
            {"id": 12, "orderId": 2, "action": "Sell", "qty": 2, "price": 25010, "active": True, **at},
        ],
        "fillPair": [{"buyFillId": 11, "sellFillId": 12, "qty": 2, "buyPrice": 25000, "sellPrice": 25010}],
        "position": [{"netPos": 0, **at}],
        "cashBalanceLog": [{"cashChangeType": "TradePaired", "delta": 40}],
    }


def test_books_that_match_have_no_differences() -> None:
    assert differences(books(), ledger()) == []


@pytest.mark.parametrize(
    ("kind", "row", "change", "said"),
    [
        ("position", 0, {"netPos": 1}, "position MNQZ6: the books say nothing, the broker says 1"),
        ("fill", 1, {"price": Decimal("25009.75")}, "fill 12: the books say Sell 2 MNQZ6 at 25010"),
        (
            "fill",
            0,
            {"active": False},
            "fill 11: the books say Buy 2 MNQZ6 at 25000 for order 1, the broker says nothing",
        ),
        ("fill", 1, {"qty": 3}, "fill 12: took MNQZ6 through zero, from 2 to -1"),
        ("fill", 1, {"id": 99}, "fill 99: the books say nothing"),
        ("order", 2, {"ordStatus": "Filled"}, "order 3: the books say rejected, the broker says filled"),
        ("order", 1, {"ordStatus": "Working"}, "working order 2: the books say nothing, the broker says Sell 0 MNQZ6"),
        ("fillPair", 0, {"sellPrice": 25000}, "profit MNQZ6: the books say 40, the broker says nothing"),
        ("cashBalanceLog", 0, {"delta": 39}, "cash: the account was credited 39, the fills make 40"),
    ],
)
def test_a_tampered_ledger_is_noticed(kind: str, row: int, change: Json, said: str) -> None:
    tampered = deepcopy(ledger())
    tampered[kind][row] |= change
    assert any(sentence.startswith(said) for sentence in differences(books(), tampered)), differences(books(), tampered)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (replace(books(), trades={}), "profit MNQZ6: the books say nothing, the broker says 40"),
        (replace(books(), fills={}), "fill 11: the books say nothing"),
        (
            replace(books(), positions={NAME: {"contract": NAME, "side": "SHORT", "quantity": 2}}),
            "position MNQZ6: the books say -2, the broker says nothing",
        ),
    ],
)
def test_books_that_tell_a_tale_are_noticed(changed: Facts, said: str) -> None:
    assert any(sentence.startswith(said) for sentence in differences(changed, ledger()))


GOOD = Expected(("filled",), fills=2, exits=("target",), ticks=Decimal(80))


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        (replace(GOOD, outcomes=("rejected",)), "its signals ended as filled, not as rejected"),
        (replace(GOOD, outcomes=("filled", "filled")), "its signals ended as filled, not as filled, filled"),
        (replace(GOOD, fills=0), "it took 2 fills, not 0"),
        (replace(GOOD, exits=()), "its trades were closed as target, not as nothing"),
        (replace(GOOD, exits=("reverse|close",)), "its trades were closed as target, not as reverse|close"),
        (replace(GOOD, ticks=Decimal(81)), "it made 80 ticks, less than the 81 of its target"),
    ],
)
def test_a_scene_that_came_out_otherwise_than_promised_is_noticed(expected: Expected, said: str) -> None:
    assert story.compared([Told("Scene", ("s1",), GOOD)], books(), ledger()) == []
    assert story.compared([Told("Scene", ("s1",), expected)], books(), ledger()) == [f"Scene: {said}"]


# ── the words ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_whole_trade_seen_in_one_look_is_told_in_the_order_it_happened() -> None:
    facts = replace(books(), orders={key: row for key, row in books().orders.items() if row["signal_id"] == "s1"})
    labels = [line.label for line in lines(NOTHING, facts)]
    assert labels[0] == "read"
    assert labels.index("decision") < labels.index("order") < labels.index("fill") < labels.index("close")
    assert labels[-1] == "P&L"


def test_what_was_told_is_not_told_again() -> None:
    assert lines(books(), books()) == []


def test_a_target_that_moves_says_from_where_to_where() -> None:
    before, after = (
        replace(books(), orders={"c2": order(2, "target", "Sell", price=at, quantity=quantity, status="working")})
        for at, quantity in (("25010.0", 2), ("25012.25", 3))
    )
    assert [line.text for line in lines(before, after)] == ["moved from 25010.00 to 25012.25, now for 3 instead of 2"]


@pytest.mark.parametrize(
    ("value", "contract", "shown"),
    [
        ("6790", "MESZ6", "6790.00"),
        ("65.1", "MCLF7", "65.10"),
        ("6803.333333333333333333333333", "MESZ6", "6803.3333"),
        (None, "MESZ6", "-"),
    ],
)
def test_prices_are_written_as_the_trade_writes_them(value: str | None, contract: str, shown: str) -> None:
    assert price(value, contract) == shown
