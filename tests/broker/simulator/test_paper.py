"""The paper broker as a whole: alone, embedded, killed, and failing."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import websockets

from justtrades.broker.simulator import Paper, embedded, serve_paper
from justtrades.broker.simulator.ledger import Entry, Ledger
from justtrades.broker.simulator.paper import listen
from tests.broker.simulator.client import PATIENCE, Rest, synced, trading, visiting

ALONE = """
import sys
from justtrades.broker.simulator import run_paper
run_paper(port=0, ledger_path=sys.argv[1], market="still", started=lambda url: print(url, flush=True))
"""


@contextmanager
def alone(ledger: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A paper broker in a process of its own, and its URL."""
    command = [sys.executable, "-c", ALONE, str(ledger)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


async def test_killed_in_the_middle_of_orders_it_forgets_nothing_that_it_answered(tmp_path: Path) -> None:
    answered: list[int] = []

    async def keep_ordering(rest: Rest, process: subprocess.Popen[str]) -> None:
        try:
            while True:
                answered.append((await rest.order(orderQty=1))["orderId"])
                if len(answered) == 40:
                    process.kill()
        except httpx.TransportError:
            return

    with alone(tmp_path / "ledger.db") as (process, url):
        async with visiting(url) as rest:
            await asyncio.gather(*(keep_ordering(rest, process) for _ in range(8)))
    with alone(tmp_path / "ledger.db") as (_, url):
        async with visiting(url) as rest:
            books = await rest.ledger()
            filled = {order["id"] for order in books["order"] if order["ordStatus"] == "Filled"}
            assert filled >= set(answered)
            assert books["position"][0]["netPos"] == len(books["fill"]) == len(filled)
            assert (await rest.order())["orderId"] > max(answered)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends a console event, not a signal")
def test_an_interrupt_ends_it_cleanly(tmp_path: Path) -> None:
    with alone(tmp_path / "ledger.db") as (process, _):
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0


async def test_embedded_it_yields_its_base_url_and_ends_with_the_block(tmp_path: Path) -> None:
    async with embedded(tmp_path / "ledger.db", market="still") as url, visiting(url) as rest:
        assert url.startswith("http://127.0.0.1:")
        assert "orderId" in await rest.order()
    with pytest.raises(httpx.ConnectError):
        await httpx.AsyncClient().get(f"{url}/account/list")


async def test_embedded_it_knows_its_tokens_over_a_restart_and_keeps_them_to_itself(tmp_path: Path) -> None:
    async with embedded(tmp_path / "ledger.db", market="still") as url, visiting(url) as rest:
        token = rest.token
    assert (tmp_path / "ledger.sessions").stat().st_mode & 0o077 == 0
    for _ in range(2):
        async with embedded(tmp_path / "ledger.db", market="still") as url, httpx.AsyncClient() as http:
            answer = await http.get(f"{url}/account/list", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 200


async def test_embedded_it_stands_where_it_stood_before_unless_somebody_else_does(tmp_path: Path) -> None:
    async with embedded(tmp_path / "ledger.db", market="still") as first:
        pass
    async with embedded(tmp_path / "ledger.db", market="still") as second:
        assert second == first
    with listen("127.0.0.1", int(first.removesuffix("/v1").rpartition(":")[2])):
        async with embedded(tmp_path / "ledger.db", market="still") as third:
            assert third != first


async def test_it_ends_although_sockets_are_open_and_calls_stall(tmp_path: Path) -> None:
    async with trading(tmp_path) as rest, synced(rest):
        await rest.fault("stall:600", "account/list")
        stalled = asyncio.create_task(rest.get("account/list"))
        await rest.get("position/list")
    with pytest.raises(httpx.TransportError):
        await stalled


async def test_a_block_that_fails_raises_its_own_error(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="mine"):
        async with embedded(tmp_path / "ledger.db"):
            raise LookupError("mine")


class FullDisk(Ledger):
    def write(self, entries: object) -> None:
        raise OSError("disk full")


async def test_a_ledger_that_cannot_write_ends_the_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def trade_until_cancelled() -> None:
        async with trading(tmp_path) as rest:
            monkeypatch.setattr(Ledger, "write", FullDisk.write)
            answer = await rest.raw("POST", "order/placeorder", json=_order(rest))
            assert answer.status_code == 500
            await asyncio.Event().wait()

    with pytest.raises(OSError, match="disk full"):
        await trade_until_cancelled()
    monkeypatch.undo()
    ledger = Ledger(tmp_path / "ledger.db")
    assert ledger.every("order") == []
    ledger.close()


def _order(rest: Rest) -> dict[str, object]:
    who = {"accountId": rest.account["id"], "symbol": "MNQZ6"}
    return who | {"action": "Buy", "orderQty": 1, "orderType": "Market"}


async def test_orders_that_wait_for_the_disk_together_share_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    write = Ledger.write

    def counted(ledger: Ledger, entries: list[Entry]) -> None:
        written.append(len(entries))
        write(ledger, entries)

    async with trading(tmp_path) as rest, synced(rest) as socket_:
        monkeypatch.setattr(Ledger, "write", counted)
        body = _order(rest)
        for number in range(100):
            await socket_.ws.send(f"order/placeorder\n{1000 + number}\n\n{json.dumps(body)}")
        await socket_.until(lambda message: message.get("i") == 1099)
    assert sum(written) == 100
    assert len(written) < 100


async def test_prices_walk_by_themselves_and_fill(tmp_path: Path) -> None:
    async with trading(tmp_path, market="walk", interval=0.001) as rest, synced(rest) as socket_:
        await rest.order(action="Sell", orderType="Stop", stopPrice=24_998)
        await rest.order(action="Buy", orderType="Stop", stopPrice=25_002)
        assert (await socket_.event("fill"))["qty"] == 1


async def test_prices_of_a_file_are_played(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text("symbol,price\nMNQZ6,21000\nMNQZ6,20999.75\n", encoding="utf-8")
    async with trading(tmp_path, market=f"csv:{file}", interval=0.05) as rest, synced(rest) as socket_:
        await rest.order(orderType="Limit", price=20_999.75)
        assert (await socket_.event("fill"))["price"] == 20_999.75


async def test_a_file_that_names_no_contract_ends_the_block(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text("symbol,price\nMNQ1!,21000\n", encoding="utf-8")
    paper = Paper(tmp_path / "ledger.db", market=f"csv:{file}", interval=0)
    with pytest.raises(ValueError, match="MNQ1! is no contract"):
        async with serve_paper(paper):
            await asyncio.Event().wait()


def test_the_listening_socket_says_that_it_is_tcp() -> None:
    with listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_a_taken_port_is_an_error() -> None:
    with listen("127.0.0.1", 0) as listener, pytest.raises(OSError, match=r".+"):
        listen("127.0.0.1", listener.getsockname()[1])


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop is not for Windows")
def test_under_uvloop_a_connection_is_cut_for_real(tmp_path: Path) -> None:
    """The engine runs on uvloop, and so does its embedded simulator: its transports are of another kind."""
    uvloop = pytest.importorskip("uvloop")

    async def lose() -> int:
        async with trading(tmp_path) as rest, synced(rest) as socket_:
            await rest.fault("lose_answer")
            with pytest.raises(httpx.TransportError):
                await rest.order()
            await rest.control("faults", fault="drop_socket")
            with pytest.raises(websockets.ConnectionClosedError):
                await socket_.until(lambda _: False)
            return len((await rest.ledger())["order"])

    assert uvloop.run(lose()) == 1
