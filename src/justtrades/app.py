"""The only place that builds things, and the owner of their lifetimes.

    lock the database ▸ migrate ▸ open ▸ keys ▸ paper broker ▸ desk ▸ API ▸ listen

Everything runs in one task group. When the desk ends unexpectedly, the server stops and the error is raised: a
process that answers 200 while its engine is dead is worse than none. Shutdown is a polite crash: nothing is
flushed that was not durable already.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError

from justtrades import __version__, secret_key
from justtrades.announce import keeping
from justtrades.api.app import create_app
from justtrades.api.parts import Parts
from justtrades.broker.port import Broker, Refused
from justtrades.broker.tradovate import Credentials, OAuthLogin, TradovateBroker, TradovateSettings, tls
from justtrades.courier import ChildCourier
from justtrades.daily import Lookout
from justtrades.desk import Desk
from justtrades.grants import Grants
from justtrades.logs import set_up_logging
from justtrades.outbox import Outbox
from justtrades.paper_house import PaperHouse, Tape
from justtrades.positions.limits import Limits
from justtrades.positions.model import ConnectionId, ContractName
from justtrades.positions.rolls import parse_rolls
from justtrades.secret_key import write_private
from justtrades.selfaudit.auditor import Examiner, SelfAudit
from justtrades.serving import Cannot, Server, listen, uvicorn_config
from justtrades.settings import BadSetting, Settings, key_file, secret_file, unknown
from justtrades.store import books, connections, keys, migrate
from justtrades.store.audit import AuditLog, prune
from justtrades.store.connections import ConnectionRow
from justtrades.store.engines import NotTrustworthy
from justtrades.store.keys import Key, Scope
from justtrades.store.lock import EngineLock, EngineLocked
from justtrades.store.secrets import Box, NotOpened, hashed, new_token
from justtrades.store.session import Database
from justtrades.tokens import SealedTokens, house_of

log = logging.getLogger(__name__)

PRUNE_EVERY = 6 * 3600.0
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Engine:
    """A running engine: where it listens and what it is made of. `admin_key` only when it was made just now."""

    url: str
    app: FastAPI
    desk: Desk
    database: Database
    local_key: str
    admin_key: str | None
    paper: PaperHouse
    outbox: Outbox
    self_audit: SelfAudit | None
    ended: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def paper_url(self) -> str | None:
        """The paper broker's REST base, once a connection uses it."""
        return self.paper.known_url

    def stop(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


# ── running ──────────────────────────────────────────────────────────────────────────────────────────────


def serve(settings: Settings) -> int:
    """Runs the engine until it is told to stop; the exit code of the process."""
    set_up_logging(settings)
    for name in unknown():
        log.warning("%s is set, but there is no such setting: it does nothing", name)
    try:
        run_loop(_serve(settings))
    except Cannot as error:
        print(f"justtrades: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return 0
    finally:
        gc.enable()
    return 0


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """On uvloop where it exists."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


async def _serve(settings: Settings) -> None:
    async with engine(settings) as running:
        with _told_to_stop(running):
            if running.admin_key is not None:
                print(f"admin key (shown once, only its hash is kept): {running.admin_key}", flush=True)
            _settle_in()
            print(f"justtrades {__version__} listens on {running.url}  ·  docs {running.url}/docs", flush=True)
            await running.ended


def _settle_in() -> None:
    """What a start made stays for good: the collector is off till then (`cli.serve`), and leaves it alone after."""
    gc.freeze()
    gc.enable()


@asynccontextmanager
async def engine(settings: Settings, *, clock: Clock = utc_now, demo_token: str | None = None) -> AsyncIterator[Engine]:
    """A whole engine for as long as the block lasts. Raises `Cannot` when it cannot start."""
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listen(settings.host, settings.port))
        database, lock = await _open(settings, clock, stack)
        box = await _box(settings)
        admin_key, local_key, hashes = await _keys(settings, database)
        stack.callback(_remove, key_file(settings))
        await database.write(lambda c: books.first_connection(c, clock()))
        paper = PaperHouse(settings)
        async with httpx.AsyncClient(timeout=2.0, trust_env=False, verify=tls()) as plain:
            audits: dict[ConnectionId, AuditLog] = {}
            stack.push_async_callback(_drain, audits)
            outbox = Outbox(database, box, ChildCourier(), clock)
            stack.push_async_callback(outbox.drain)
            desk = _desk(settings, database, box, clock, paper, plain, audits, outbox)
            self_audit = _self_audit(settings, clock, outbox)
            parts = Parts(
                settings=settings,
                database=database,
                desk=desk,
                box=box,
                clock=clock,
                version=__version__,
                admin_hashes=hashes,
                local_hash=hashed(local_key),
                demo_token=demo_token,
                notices=outbox,
                grants=Grants(settings, database, box, clock, partial(_audit, database, audits)),
                self_audit=self_audit,
            )
            app = create_app(parts)
            stack.push_async_callback(app.state.audit.drain)
            url = f"http://{settings.host}:{listener.getsockname()[1]}"
            running = Engine(url, app, desk, database, local_key, admin_key, paper, outbox, self_audit)
            async with _alongside(running, settings, listener, lock, paper):
                yield running


@asynccontextmanager
async def _alongside(
    running: Engine, settings: Settings, listener: socket.socket, lock: EngineLock, paper: PaperHouse
) -> AsyncIterator[None]:
    """Desk and server run beside the block; whichever ends first ends all, with its error."""
    server = Server(uvicorn_config(running.app))
    house = asyncio.create_task(paper.run(), name="paper")
    desk = asyncio.create_task(running.desk.run(), name="desk")
    pruning = asyncio.create_task(_prune(running.database, settings.audit_days), name="prune")
    holding = asyncio.create_task(_hold(lock), name="lock")
    telling = asyncio.create_task(_tell(running), name="notifications")
    try:
        await _first(desk, asyncio.create_task(running.desk.started()))
        serving = asyncio.create_task(server.serve(sockets=[listener]), name="server")
        watch = asyncio.create_task(_watch(running, (desk, house, pruning, holding, telling, serving)))
        try:
            await _first(serving, asyncio.create_task(server.ready.wait()))
            yield
        finally:
            server.should_exit = True
            await asyncio.gather(serving, return_exceptions=True)
            watch.cancel()
    finally:
        for task in (desk, pruning, holding, telling):
            task.cancel()
        await asyncio.gather(desk, pruning, holding, telling, return_exceptions=True)
        house.cancel()
        await asyncio.gather(house, return_exceptions=True)


async def _hold(lock: EngineLock) -> None:
    """Without its lock another engine may start on this database, so this one ends."""
    await lock.lost.wait()
    raise Cannot("the lock on the database was lost")


async def _tell(running: Engine) -> None:
    """What people should hear of although nobody is looking."""
    outbox, desk = running.outbox, running.desk
    lookout = Lookout(running.database, outbox.clock, desk.not_ready, outbox.notify, outbox.notify_once)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(outbox.run(), name="outbox")
        tasks.create_task(lookout.run(), name="lookout")
        tasks.create_task(_watch_heartbeats(running.app), name="heartbeats")
        if running.self_audit is not None:
            await desk.started()
            tasks.create_task(running.self_audit.run(), name="self-audit")


async def _watch_heartbeats(app: FastAPI) -> None:
    """The recorders are known before the first alert comes, or a silence since before the start would go untold."""
    await app.state.tokens.refresh(app.state.parts)
    await app.state.watch.run()


async def _watch(running: Engine, tasks: tuple[asyncio.Task[None], ...]) -> None:
    """The first to end ends the engine: with its error, or in peace when the server was told to stop."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("%s ended: %s", task.get_name(), error, exc_info=error)
            if not running.ended.done():
                running.ended.set_exception(error)
            return
    running.stop()


async def _first(work: asyncio.Task[None], ready: asyncio.Task[Any]) -> None:
    """Until `ready`; raises when `work` ended before."""
    await asyncio.wait((work, ready), return_when=asyncio.FIRST_COMPLETED)
    if work.done():
        ready.cancel()
        await work


@contextlib.contextmanager
def _told_to_stop(running: Engine) -> Iterator[None]:
    """Ctrl-C and a polite kill end the engine the same way: everything is closed, the exit code is 0."""
    loop = asyncio.get_running_loop()

    def stop(*_: object) -> None:
        loop.call_soon_threadsafe(running.stop)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# ── building ─────────────────────────────────────────────────────────────────────────────────────────────


async def _open(settings: Settings, clock: Clock, stack: AsyncExitStack) -> tuple[Database, EngineLock]:
    lock = await _lock(settings, stack)
    try:
        await migrate.upgrade(settings.database_url)
        database = Database(settings.database_url, clock=clock)
        await database.open()
    except migrate.NewerSchema as error:
        raise Cannot(str(error)) from None
    except (DBAPIError, NotTrustworthy, OSError) as error:
        raise Cannot(f"the database cannot be opened: {_cause(error)}") from None
    stack.push_async_callback(database.close)
    return database, lock


async def _lock(settings: Settings, stack: AsyncExitStack) -> EngineLock:
    """The first that asks the database for anything: when it is not reached, the address is to blame."""
    try:
        return await stack.enter_async_context(EngineLock(settings.database_url))
    except EngineLocked:
        raise Cannot("another engine already runs on this database") from None
    except Exception as error:
        if not isinstance(error, DBAPIError | OSError) and not type(error).__module__.startswith("asyncpg"):
            raise
        raise Cannot(f"JUSTTRADES_DATABASE_URL: the database is not reached: {_cause(error)}", 2) from None


def _cause(error: Exception) -> str:
    """The driver's own sentence: SQLAlchemy's would carry the statement, and more lines than one."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return " ".join(str(cause).split()) or type(cause).__name__


async def _box(settings: Settings) -> Box:
    try:
        return Box(await secret_key.settled(settings))
    except (ValueError, OSError) as error:
        told = "the file cannot be read" if isinstance(error, OSError) else "it is not 32 bytes in base 64"
        raise Cannot(f"JUSTTRADES_SECRET_KEY: the key in {secret_file(settings)} cannot be used: {told}", 2) from None


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


async def _keys(settings: Settings, database: Database) -> tuple[str | None, str, frozenset[str]]:
    """The admin key if it was made just now, the key of the key file, and the hash of the settings' key if set."""
    local_key = new_token()
    write_private(key_file(settings), local_key)
    if settings.admin_key is not None:
        return None, local_key, frozenset({hashed(settings.admin_key.get_secret_value())})
    if any(key.scope is Scope.ADMIN for key in await database.read(keys.every)):
        return None, local_key, frozenset()
    made = new_token()
    first = Key(keys.FIRST, "made at first start", Scope.ADMIN, hashed(made), database.now())
    await database.write(lambda c: keys.keep(c, first))
    return made, local_key, frozenset()


async def _drain(audits: dict[ConnectionId, AuditLog]) -> None:
    """What was heard last is written before the database closes."""
    for audit in audits.values():
        await audit.drain()


def _audit(database: Database, audits: dict[ConnectionId, AuditLog], connection_id: ConnectionId) -> AuditLog:
    """One a connection, for as long as the engine runs."""
    if connection_id not in audits:
        audits[connection_id] = AuditLog(database, connection_id)
    return audits[connection_id]


def _desk(
    settings: Settings,
    database: Database,
    box: Box,
    clock: Clock,
    paper: PaperHouse,
    plain: httpx.AsyncClient,
    audits: dict[ConnectionId, AuditLog],
    outbox: Outbox,
) -> Desk:
    tapes: dict[ConnectionId, Callable[[ContractName, Decimal], Awaitable[None]]] = {}
    markets: dict[ConnectionId, Callable[[ContractName], Awaitable[Decimal | None]]] = {}

    async def make_broker(row: ConnectionRow) -> Broker:
        base = await paper.url() if row.environment == "paper" else _base_url(settings, row.environment)
        try:
            secrets = await database.read(lambda c: connections.load_secrets(c, box, row.id))
        except NotOpened as error:
            raise Refused("SecretKey", str(error)) from None
        if row.environment == "paper" and settings.paper_market == "alerts":
            tapes[row.id] = Tape(plain, base).hear
        elif row.environment == "paper":
            markets[row.id] = Tape(plain, base).last
        return TradovateBroker(
            TradovateSettings(
                base_url=base,
                credentials=_credentials(row, secrets),
                request_timeout=settings.request_timeout_seconds,
                penalty_rest=settings.penalty_rest_seconds,
                budget_per_minute=settings.budget_per_minute,
                budget_per_hour=settings.budget_per_hour,
                exchange_hours=row.environment != "paper",
            ),
            _audit(database, audits, row.id),
            SealedTokens(database, box, row.id, base, house_of(row.environment), row.updated_at),
            clock,
        )

    return Desk(
        database=database,
        make_broker=make_broker,
        limits=_limits(settings),
        clock=clock,
        truth_poll=settings.truth_poll_seconds,
        price_seen=tapes,
        rolls=parse_rolls(settings.roll_days),
        price_tolerance=settings.price_tolerance_percent,
        ask_price=markets,
        on_news=lambda _lane, _news: outbox.look(),
        keep_news=keeping(outbox.keep_with),
        notify=outbox.notify,
    )


def _limits(settings: Settings) -> Limits:
    return Limits(settle=timedelta(seconds=settings.settle_seconds))


def _self_audit(settings: Settings, clock: Clock, outbox: Outbox) -> SelfAudit | None:
    every = settings.self_audit_seconds
    return (
        SelfAudit(Examiner(settings.database_url, clock, _limits(settings)), every, clock, outbox.notify)
        if every
        else None
    )


def _base_url(settings: Settings, environment: str) -> str:
    match environment:
        case "demo":
            return settings.tradovate_demo_url
        case "live" if settings.live_trading:
            return settings.tradovate_live_url
        case "live":
            raise Refused("LiveTrading", "live connections are refused unless JUSTTRADES_LIVE_TRADING is true")
        case _:
            raise Refused("Environment", f"a connection of environment {environment} cannot be used")


def _credentials(row: ConnectionRow, kept: dict[str, str]) -> Credentials:
    if row.auth == "oauth":
        return OAuthLogin(how=f"log in with OAuth: justtrades connection oauth-url {row.id} tells where")
    names = ("password", "app_id", "app_version", "device_id", "cid", "sec")
    given = {name: kept[name] for name in names if kept.get(name)}
    return Credentials(name=row.username or "paper", **{"password": "paper", "device_id": row.id, **given})


async def _prune(database: Database, days: int) -> None:
    """Audit rows past their days leave a few thousand at a time, so that nothing waits long behind it."""
    while True:
        removed = await database.write(lambda c: prune(c, database.now() - timedelta(days=days)))
        await asyncio.sleep(0.05 if removed else PRUNE_EVERY)


__all__ = ["BadSetting", "Cannot", "Engine", "engine", "run_loop", "serve"]
