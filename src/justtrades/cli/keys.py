"""`justtrades key …`: keys of people and scripts."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from urllib.parse import quote

import typer

from justtrades.cli import show
from justtrades.cli.common import USUAL, Before, Json, Limit, group, reach

app = group("Keys of people and scripts.")


class Scope(StrEnum):
    READ = "read"
    TRADE = "trade"
    ADMIN = "admin"


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Who or what it is for.")],
    scope: Annotated[Scope, typer.Option(help="read, trade (closes and stops too) or admin.")] = Scope.READ,
    json_: Json = False,
) -> None:
    """Make a key; prints it once."""
    show.fields(reach().act("POST", "/keys", {"name": name, "scope": scope}), json_=json_)


@app.command("list")
def list_(json_: Json = False, limit: Limit = USUAL, before: Before = None) -> None:
    """Every key, with when it was last used."""
    page = reach().read("/keys", {"limit": limit, "before": before})
    columns = ("id", "name", "scope", "in_force", "created_at", "last_used_at")
    show.page(page, columns, json_=json_, lesser=("created_at", "in_force"))


@app.command("revoke")
def revoke(key: Annotated[str, typer.Argument(metavar="KEY", help="Its id or name.")]) -> None:
    """It opens nothing from now on."""
    gone = reach().act("DELETE", f"/keys/{quote(key, safe='')}")
    typer.echo(f"revoked: {gone['name']}")
