"""How commands reach the engine: over HTTP when one runs, and else, to read, straight from its database.

Both ways end at the same routes, so a list looks the same either way: without an engine the API is set up in
this process over the database, with a desk that knows of nothing and does nothing. What would act needs a
running engine, since only that may touch a lane.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx

from justtrades.cli.errors import Failed
from justtrades.settings import Settings, key_file

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from justtrades.rehearse import Books

Query = Mapping[str, str | int | None]

NO_ENGINE = "no engine is running"
TIMEOUT = httpx.Timeout(20, connect=2)


class NothingYet(Failed):
    """No engine runs, and there is no database either."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The engine these settings describe. `transport` replaces the network in tests."""

    settings: Settings
    transport: httpx.BaseTransport | None = None

    def read(self, path: str, query: Query | None = None) -> Any:
        """What the API answers to a GET, from the running engine or from the database. Raises `Failed`."""
        wanted = {name: value for name, value in (query or {}).items() if value is not None}
        try:
            answer = self._call("GET", path, params=wanted)
        except httpx.ConnectError:
            answer = asyncio.run(_from_database(self.settings, path, wanted))
        return _content(answer)

    def ask(self, path: str, body: Any) -> Any:
        """What the API answers to a question that is a POST but changes nothing. Raises `Failed`."""
        try:
            answer = self._call("POST", path, json=body)
        except httpx.ConnectError:
            answer = asyncio.run(_from_database(self.settings, path, {}, body))
        return _content(answer)

    def act(self, method: str, path: str, body: Any = None) -> Any:
        """What the running engine answers; None for no content. Raises `Failed`."""
        try:
            return _content(self._call(method, path, json=body))
        except httpx.ConnectError:
            raise Failed(NO_ENGINE) from None

    def settle(self, method: str, path: str, bodies: Sequence[Any], *, makes: bool) -> list[Any]:
        """The same act with each body: by the running engine, or, where none runs, on its database, locked
        meanwhile. For what touches no lane. `makes`: with no database yet, one is made; else `NothingYet`. Raises
        `Failed`."""
        try:
            return [_content(self._call(method, path, json=body)) for body in bodies]
        except httpx.ConnectError:
            if not makes:
                _require_file(self.settings)
            return [_content(answer) for answer in asyncio.run(_on_database(self.settings, method, path, bodies))]

    def _call(self, method: str, path: str, **request: Any) -> httpx.Response:
        # trust_env False: a proxy set for the web must never see the admin key.
        with httpx.Client(
            base_url=_url(self.settings), timeout=TIMEOUT, trust_env=False, transport=self.transport
        ) as http:
            try:
                return http.request(method, f"/api/v1{path}", headers=_key(self.settings), **request)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                raise httpx.ConnectError(str(error)) from None
            except httpx.HTTPError as error:
                raise Failed(f"the engine did not answer: {type(error).__name__}") from None


def _url(settings: Settings) -> str:
    """Where to ask: an engine that listens everywhere is asked on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104,RUF100 - not bound
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def _key(settings: Settings) -> dict[str, str]:
    if settings.admin_key is not None:
        return {"Authorization": f"Bearer {settings.admin_key.get_secret_value()}"}
    try:
        text = key_file(settings).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return {}
    return {"Authorization": f"Bearer {text}"} if text else {}


def _content(answer: httpx.Response) -> Any:
    if answer.is_success:
        return answer.json() if answer.content else None
    if answer.status_code == 401:
        raise Failed("the engine does not take this key: set JUSTTRADES_ADMIN_KEY, or run where its key file is")
    raise Failed(_reason(answer))


def _reason(answer: httpx.Response) -> str:
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return f"the engine answered {answer.status_code}"
    return " ".join(str(detail).split())


# ── without an engine ────────────────────────────────────────────────────────────────────────────────────────


async def _from_database(settings: Settings, path: str, query: Query, body: Any = None) -> httpx.Response:
    from sqlalchemy.exc import SQLAlchemyError

    from justtrades.store.engines import NotTrustworthy

    _require_file(settings)
    try:
        async with _over_database(settings) as http:
            method = "GET" if body is None else "POST"
            return await http.request(method, path, params=dict(query), json=body)
    except (SQLAlchemyError, NotTrustworthy, OSError) as error:
        raise Failed(f"the database cannot be read ({type(error).__name__}): try `justtrades db check`") from None


@asynccontextmanager
async def _over_database(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """The API over the database, in this process."""
    from justtrades import __version__
    from justtrades.api.app import create_app
    from justtrades.api.parts import Parts
    from justtrades.cli.idle import IdleDesk
    from justtrades.store import switches
    from justtrades.store.secrets import Box, hashed, new_token
    from justtrades.store.session import Database

    key = new_token()
    database = Database(settings.database_url, clock=_now)
    await database.open()
    try:
        desk = IdleDesk(await database.read(switches.get_kill), await database.read(partial(_books, settings)))
        hashes = frozenset({hashed(key)})
        parts = Parts(settings, database, desk, Box(await _secret(settings)), _now, __version__, admin_hashes=hashes)
        app = create_app(parts)
        headers = {"Authorization": f"Bearer {key}"}
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://database/api/v1", headers=headers) as http:
            yield http
        await app.state.audit.drain()
    finally:
        await database.close()


def _books(settings: Settings, connection: Connection) -> Books:
    """Accounts and lanes as they were last saved."""
    from justtrades.positions.limits import Limits
    from justtrades.positions.rolls import parse_rolls
    from justtrades.rehearse import Books
    from justtrades.store import books

    state, limits = books.load(connection), Limits(settle=timedelta(seconds=settings.settle_seconds))
    accounts = {row.id: row for row in state.accounts}
    return Books(accounts, tuple(state.lanes), state.kill.on, limits, parse_rolls(settings.roll_days))


async def _on_database(settings: Settings, method: str, path: str, bodies: Sequence[Any]) -> list[httpx.Response]:
    from sqlalchemy.exc import SQLAlchemyError

    from justtrades.store import migrate
    from justtrades.store.engines import NotTrustworthy
    from justtrades.store.lock import EngineLock, EngineLocked

    try:
        async with EngineLock(settings.database_url):
            await migrate.upgrade(settings.database_url)
            async with _over_database(settings) as http:
                return [await http.request(method, path, json=body) for body in bodies]
    except (EngineLocked, migrate.NewerSchema) as error:
        raise Failed(str(error)) from None
    except (SQLAlchemyError, NotTrustworthy, OSError) as error:
        raise Failed(f"the database cannot be used ({type(error).__name__}): try `justtrades db check`") from None


def _require_file(settings: Settings) -> None:
    """Looking must not make an empty database where there is none."""
    from pathlib import Path

    from justtrades.store import engines

    url = engines.parse(settings.database_url)
    if engines.is_sqlite(url) and not Path(str(url.database)).is_file():
        raise NothingYet(f"{NO_ENGINE}, and there is no database yet")


async def _secret(settings: Settings) -> str:
    """The key recorders' secrets are sealed with. Without one there is nothing sealed to be read."""
    from justtrades import secret_key
    from justtrades.store.secrets import new_key

    return await secret_key.at_hand(settings) or new_key()


def _now() -> datetime:
    return datetime.now(UTC)
