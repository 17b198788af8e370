"""`justtrades db …`: the schema, a check, a copy. Works without an engine."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from justtrades import settings
from justtrades.cli.common import group
from justtrades.cli.errors import Failed

if TYPE_CHECKING:
    from justtrades.store.resealing import Resealed

app = group("The database.")

T = TypeVar("T")


@app.command("upgrade")
def upgrade() -> None:
    """Bring the database to the newest schema; `serve` does it by itself."""
    _run(_upgrade(settings.load().database_url))
    typer.echo("the schema is the newest")


@app.command("check")
def check() -> None:
    """Look for damage and an old schema."""
    from justtrades.store import migrate

    url = settings.load().database_url
    _require(url)
    problems = _run(migrate.check(url))
    if problems:
        raise Failed("; ".join(problems))
    typer.echo("nothing is wrong")


@app.command("backup")
def backup(path: Annotated[Path, typer.Argument(help="The new file.")]) -> None:
    """Copy the database, also while an engine runs on it."""
    from justtrades.store import migrate

    _run(migrate.backup(settings.load().database_url, path))
    typer.echo(f"copied to {path}")


@app.command("rotate-key")
def rotate_key(
    ask: Annotated[bool, typer.Option("--ask", help="Ask for the new key; else one is made.")] = False,
) -> None:
    """Seal every stored secret with a new secret key. The engine must not run."""
    loaded = settings.load()
    _require(loaded.database_url)
    key = _asked() if ask or loaded.secret_key is not None else None
    done = _run(_exchange(loaded, key))
    typer.echo(f"{done.changed} secrets are sealed with the new key" + (f", {done.already} were" * bool(done.already)))
    if loaded.secret_key is not None:
        typer.echo("now put it in JUSTTRADES_SECRET_KEY: the old one opens nothing any more")


def _asked() -> str:
    first = typer.prompt("new secret key, or a passphrase", hide_input=True)
    if first != typer.prompt("once more", hide_input=True):
        raise Failed("the two are not the same")
    try:
        return settings.sealing_key(first)
    except ValueError as error:
        raise Failed(f"the new key {error}") from None


async def _exchange(loaded: settings.Settings, key: str | None) -> Resealed:
    from justtrades import secret_key
    from justtrades.store import migrate
    from justtrades.store.lock import EngineLock
    from justtrades.store.secrets import NotOpened

    async with EngineLock(loaded.database_url):
        await migrate.upgrade(loaded.database_url)
        try:
            return await secret_key.exchange(loaded, key)
        except (NotOpened, secret_key.Unfit) as error:
            raise Failed(str(error)) from None


def _require(url: str) -> None:
    """Looking must not make an empty database where there is none."""
    from justtrades.store import engines

    parsed = engines.parse(url)
    if engines.is_sqlite(parsed) and not Path(str(parsed.database)).is_file():
        raise Failed(f"there is no database at {parsed.database}")


async def _upgrade(url: str) -> None:
    from justtrades.store import migrate
    from justtrades.store.lock import EngineLock

    async with EngineLock(url):
        await migrate.upgrade(url)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """What the database says no to, as one line."""
    from sqlalchemy.exc import SQLAlchemyError

    from justtrades.store.engines import NotTrustworthy
    from justtrades.store.lock import EngineLocked
    from justtrades.store.migrate import NewerSchema

    try:
        return asyncio.run(work)
    except (NotTrustworthy, EngineLocked, NewerSchema, ValueError, OSError) as error:
        raise Failed(str(error)) from None
    except SQLAlchemyError as error:
        raise Failed(f"the database cannot be used ({type(error).__name__})") from None
