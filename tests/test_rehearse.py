"""`justtrades rehearse` over real HTTP: at a simulator named, known from the settings, or left by the engine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from justtrades import cli
from justtrades.paper_house import PaperHouse
from justtrades.settings import Settings, paper_address_file
from tests.broker.simulator.client import Rest, trading


@pytest.fixture
async def rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rest]:
    async with trading(tmp_path) as client:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("JUSTTRADES_PAPER_URL", str(client.http.base_url))
        yield client


async def run(*arguments: str) -> int:
    """The command line beside the simulator that runs in this loop."""
    return await asyncio.to_thread(cli.run, ["rehearse", *arguments])


async def armed(rest: Rest) -> list[dict[str, object]]:
    found: list[dict[str, object]] = (await rest.http.get("/control/faults")).json()["faults"]
    return found


async def test_without_a_name_it_lists_what_there_is(rest: Rest, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run() == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("drop_socket ") and "my connection dies now" in line for line in lines)


async def test_a_calls_fault_waits_for_the_next_order_unless_told_otherwise(
    rest: Rest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run("lose_answer") == 0
    assert await run("status:500", "--endpoint", "order/cancelorder", "--nth", "2", "--times", "3", "--before") == 0
    told = capsys.readouterr().out.splitlines()
    assert told == [
        "lose_answer: my next order arrives and its answer is lost",
        "status:500 waits for order/cancelorder",
    ]
    found = [(f["kind"], f["endpoint"], f["nth"], f["times"], f["after"]) for f in await armed(rest)]
    assert found == [
        ("lose_answer", "order/place*", 1, 1, True),
        ("status", "order/cancelorder", 2, 3, False),
    ]


async def test_calm_takes_it_back_and_struck_tells_what_was(rest: Rest, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run("failure:NoQuote") == 0
    assert (await rest.order())["failureReason"] == "NoQuote"
    assert await run("duplicate_events") == 0
    assert await run("calm") == 0
    capsys.readouterr()
    assert await run("--struck") == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("failure:NoQuote struck order/placeorder (call 1)")
    assert not any((await rest.http.get("/control/faults")).json()["manners"].values())


@pytest.mark.parametrize("plan", ["rough", "0.5", "lose_request@order/*=1"])
async def test_a_mixture_begins_on_a_simulator_that_runs(rest: Rest, plan: str) -> None:
    assert await run(plan) == 0
    assert await run("calm") == 0
    assert "orderId" in await rest.order()


async def test_a_fault_that_does_not_exist_is_one_sentence(rest: Rest, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run("earthquake") == 1
    said = capsys.readouterr().err
    assert "justtrades rehearse" in said
    assert len(said.splitlines()) == 1


async def test_json_is_what_the_simulator_said(rest: Rest, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run("drop_socket", "--json") == 0
    assert set(json.loads(capsys.readouterr().out)) == {"faults", "manners"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [((), "no paper broker is known"), (("--url", "http://127.0.0.1:1"), "did not answer"), (("--url", "?"), "answer")],
)
async def test_without_a_simulator_it_says_so(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JUSTTRADES_PAPER_URL", raising=False)
    assert await run("drop_socket", *arguments) == 1
    assert says in capsys.readouterr().err


async def test_the_engine_leaves_the_address_of_its_own_simulator_while_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JUSTTRADES_PAPER_URL", raising=False)
    settings = Settings(_env_file=None, paper_market="walk")
    house = PaperHouse(settings)
    running = asyncio.create_task(house.run())
    url = await house.url()
    assert paper_address_file(settings).read_text("ascii").strip() == url
    assert await run("drop_socket") == 0
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert not paper_address_file(settings).exists()
