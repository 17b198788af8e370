"""`justtrades audit --check`: the engine's audit of its books, made on a database or on a copy of one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from justtrades import settings
from justtrades.cli import show
from justtrades.cli.errors import Failed

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from justtrades.selfaudit.checks import Finding


class OldSchema(Exception):
    """The database was made by an older version."""


def check(copy: Path | None, *, json_: bool) -> None:
    """Of all rows, also while an engine runs. Ends with 1 when something was found."""
    from justtrades.selfaudit.checks import CHECKS

    found = _found(f"sqlite+aiosqlite:///{copy}" if copy is not None else settings.load().database_url)
    if json_:
        findings = [{"invariant": finding.invariant, "text": finding.text} for finding in found]
        show.as_json({"checks": len(CHECKS), "findings": findings})
    else:
        for finding in found:
            typer.echo(str(finding))
        if not found:
            typer.echo(f"{len(CHECKS)} checks, nothing found")
    if found:
        raise typer.Exit(1)


def _found(url: str) -> list[Finding]:
    from sqlalchemy.exc import SQLAlchemyError

    from justtrades.store import apart, engines

    parsed = engines.parse(url)
    if engines.is_sqlite(parsed) and not Path(str(parsed.database)).is_file():
        raise Failed(f"there is no database at {parsed.database}")
    try:
        return apart.look(url, _audited)
    except OldSchema:
        named = f" with JUSTTRADES_DATABASE_URL={url}" if url != settings.load().database_url else ""
        raise Failed(f"the schema is not the newest: run `justtrades db upgrade`{named}") from None
    except (SQLAlchemyError, OSError) as error:
        raise Failed(f"the database cannot be read ({type(error).__name__}): try `justtrades db check`") from None


def _audited(connection: Connection) -> list[Finding]:
    from justtrades.selfaudit.checks import whole
    from justtrades.store import migrate

    if not migrate.is_newest(connection):
        raise OldSchema
    return whole(connection)
