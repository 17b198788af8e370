"""The paper broker as one thing to run: alone (`run_paper`) or inside another event loop (`embedded`).

Everything has an owner and an end: a failing market or ledger ends the server and is raised to whoever runs
it; leaving the block stops the market, closes the sockets and lets the ledger file go. What stops it without
asking (a kill) loses nothing that was answered.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, assert_never

import uvicorn
from starlette.types import ASGIApp

from justtrades.broker.simulator.doors import Hours, turn_session
from justtrades.broker.simulator.floor import Clock, Floor
from justtrades.broker.simulator.ledger import Ledger
from justtrades.broker.simulator.listing import contract_by_id, find_contract
from justtrades.broker.simulator.market import Market, Moves, parse_market, read_quotes, to_tick, walk
from justtrades.broker.simulator.mixture import Mixture, parse_plan
from justtrades.broker.simulator.rules import Terms
from justtrades.broker.simulator.server import House, Options, build
from justtrades.positions.contracts import is_open


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Paper:
    """What a paper broker is made of. `port` 0: any free one; `interval`: seconds between prices.

    `faults` is a plan (`mixture`); `options.exchange_hours` brings market hours, maintenance and session turns.
    """

    ledger_path: Path | str
    host: str = "127.0.0.1"
    port: int = 0
    market: str = Moves.ALERTS
    interval: float = 0.25  # for the event loop
    seed: int = 1
    accounts: int = 1
    cash: Decimal = Decimal(50_000)
    clock: Clock = utc_now
    terms: Terms = field(default_factory=Terms)
    options: Options = field(default_factory=Options)
    faults: str = ""

    @property
    def rules(self) -> Terms:
        """The terms, with the calendar's hours where exchange hours are kept."""
        return replace(self.terms, is_open=is_open) if self.options.exchange_hours else self.terms


class PaperServer(uvicorn.Server):
    """uvicorn in somebody else's event loop: signals stay with their owner, readiness can be awaited."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def embedded(
    ledger_path: Path | str,
    *,
    market: str = Moves.ALERTS,
    seed: int = 1,
    port: int = 0,
    tell: Callable[[str], None] | None = None,
) -> AsyncIterator[str]:
    """A paper broker on the loopback, as long as the block lasts; yields its base URL, `http://…/v1`.

    `tell` hears one line for each fault that strikes.
    """
    options, kept = Options(tell=tell, sessions=Path(ledger_path).with_suffix(".sessions")), _port_file(ledger_path)
    paper = Paper(ledger_path, market=market, seed=seed, port=port or _port_before(kept), options=options)
    async with serve_paper(paper) as url:
        with suppress(OSError):
            kept.write_text(url.removesuffix("/v1").rpartition(":")[2], encoding="ascii")
        yield url


def _port_file(ledger_path: Path | str) -> Path:
    return Path(ledger_path).with_suffix(".port")


def _port_before(kept: Path) -> int:
    """Where it was found before its restart, so that it is the same broker to its clients; 0 when that is taken."""
    try:
        port = int(kept.read_text(encoding="ascii"))
        with listen("127.0.0.1", port):
            return port
    except (OSError, ValueError, OverflowError):
        return 0


@asynccontextmanager
async def serve_paper(paper: Paper) -> AsyncIterator[str]:
    """Serve until the block ends; an error of the simulator cancels the block and is raised."""
    market, mixture = parse_market(paper.market), Mixture(parse_plan(paper.faults), paper.seed)
    with listen(paper.host, paper.port) as listener:
        host, port = listener.getsockname()[:2]
        floor = Floor(Ledger(paper.ledger_path), paper.clock, paper.rules)
        try:
            await floor.open_accounts(paper.accounts, paper.cash)
            if paper.options.exchange_hours:
                await turn_session(floor)
            house = build(floor, paper.options)
            works = (move_prices(paper, floor, market), house.armory.run(mixture), _hours(paper, floor, house))
            async with _serving(house, floor, listener), _alongside(*works):
                yield f"http://{host}:{port}/v1"
        finally:
            await floor.close()


@asynccontextmanager
async def _serving(house: House, floor: Floor, listener: socket.socket) -> AsyncIterator[None]:
    server = PaperServer(_config(house.app))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await _first(serving, server.ready.wait())
    try:
        async with _alongside(_watch(serving), _watch(floor.failure)):
            yield
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def _alongside(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run work beside the block. Its first error cancels the block and is raised in its place."""
    owner, failed = asyncio.current_task(), list[BaseException]()

    def notice(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            failed.append(error)
            if owner is not None:
                owner.cancel()

    tasks = [asyncio.create_task(work) for work in works]
    for task in tasks:
        task.add_done_callback(notice)
    try:
        yield
    except asyncio.CancelledError:
        if failed and owner is not None:
            owner.uncancel()
            raise failed[0] from None
        raise
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _hours(paper: Paper, floor: Floor, house: House) -> None:
    if paper.options.exchange_hours:
        await Hours(floor, house.doors, house.sockets.shut_down).keep()


async def _watch(ending: asyncio.Future[None]) -> None:
    await asyncio.shield(ending)
    raise RuntimeError("the simulator's server has ended by itself")


async def _first(*waits: Coroutine[Any, Any, Any] | asyncio.Task[Any]) -> None:
    """Until the first of them is done; its error is raised."""
    done, pending = await asyncio.wait(
        [asyncio.ensure_future(wait) for wait in waits], return_when=asyncio.FIRST_COMPLETED
    )
    for task in done:
        task.result()
    for task in pending - set(waits):
        task.cancel()


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        ws_ping_interval=None,  # a silent socket must stay silent: no pings under Tradovate's own heartbeats
        timeout_keep_alive=600,
        timeout_graceful_shutdown=1,
    )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket that says it is TCP: without IPPROTO_TCP asyncio sets no TCP_NODELAY (40 ms a call)."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":  # on Windows this option lets two processes share a port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


# ── the market ───────────────────────────────────────────────────────────────────────────────────────────


async def move_prices(paper: Paper, floor: Floor, market: Market) -> None:
    match market.moves:
        case Moves.STILL:
            return
        case Moves.CSV:
            await _replay(paper, floor, market)
        case Moves.ALERTS | Moves.WALK:
            await _walk(paper, floor)
        case _:
            assert_never(market.moves)


async def _walk(paper: Paper, floor: Floor) -> None:
    rng = Random(paper.seed)
    while True:
        await asyncio.sleep(paper.interval)
        for contract_id, price in list(floor.venue.book.prices.items()):
            contract = contract_by_id(contract_id)
            if (
                contract is not None
                and contract.expires > floor.clock()
                and floor.venue.trades(contract, floor.clock())
            ):
                await floor.trade_at(contract, walk(price, contract.root.tick_size, rng))


async def _replay(paper: Paper, floor: Floor, market: Market) -> None:
    assert market.file is not None  # parse_market gives a CSV market its file
    for quote in read_quotes(market.file):
        await asyncio.sleep(paper.interval if quote.wait is None else max(0.0, quote.wait))
        contract = find_contract(quote.symbol, floor.clock())
        if contract is None:
            raise ValueError(f"{market.file.name}: {quote.symbol} is no contract")
        await floor.trade_at(contract, to_tick(quote.price, contract.root.tick_size))


# ── alone ────────────────────────────────────────────────────────────────────────────────────────────────


def run_paper(
    host: str = "127.0.0.1",
    port: int = 8010,
    ledger_path: Path | str = "paper.db",
    market: str = Moves.ALERTS,
    seed: int = 1,
    accounts: int = 1,
    *,
    faults: str = "",
    options: Options | None = None,
    started: Callable[[str], None] = print,
) -> None:
    """Run a paper broker until it is interrupted; `started` hears its base URL."""
    own = replace(options or Options(), seed=seed)
    paper = Paper(
        ledger_path, host=host, port=port, market=market, seed=seed, accounts=accounts, faults=faults, options=own
    )
    with suppress(KeyboardInterrupt):
        asyncio.run(_run(paper, started))


async def _run(paper: Paper, started: Callable[[str], None]) -> None:
    async with serve_paper(paper) as url:
        started(url)
        await asyncio.Event().wait()
