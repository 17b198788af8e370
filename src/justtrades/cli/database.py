"""`justtrades db …`: the schema, a check, a copy. Works without an engine."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from justtrades import settings
from justtrades.cli.common import group
from justtrades.cli.errors import Failed

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
