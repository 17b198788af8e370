"""`justtrades notify …`: whom to tell of what. An address holds a password or token, so it is asked for."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from urllib.parse import quote

import typer

from justtrades.cli import show
from justtrades.cli.common import USUAL, Before, Json, Limit, group, reach

app = group("Whom to tell of what: Discord, Telegram, mail and so on.")

Which = Annotated[str, typer.Argument(metavar="PLACE", help="Its id or name.")]


class Kind(StrEnum):
    FILL = "fill"
    REFUSAL = "refusal"
    UNPROTECTED = "unprotected"
    HEARTBEAT = "heartbeat"
    HALT = "halt"
    ALARM = "alarm"
    SUMMARY = "summary"


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="What you call it.")],
    url: Annotated[str | None, typer.Option(help="Its apprise address; asked for when left out.")] = None,
    kinds: Annotated[list[Kind] | None, typer.Option("--kind", help="Only these; as often as needed.")] = None,
    json_: Json = False,
) -> None:
    """Add a place to tell."""
    url = url or typer.prompt("address", hide_input=True)
    body = {"name": name, "url": url, "kinds": [kind.value for kind in kinds or ()]}
    show.fields(reach().act("POST", "/notifications", body), json_=json_)


@app.command("list")
def list_(json_: Json = False, limit: Limit = USUAL, before: Before = None) -> None:
    """Every place, with what still waits for it; never its address."""
    page = reach().read("/notifications", {"limit": limit, "before": before})
    columns = ("id", "name", "service", "kinds", "last_sent_at", "waiting", "last_error")
    show.page(page, columns, json_=json_, lesser=("kinds", "last_sent_at"))


@app.command("test")
def test(place: Which) -> None:
    """Send one message now."""
    reach().act("POST", f"/notifications/{quote(place, safe='')}/test")
    typer.echo("sent")


@app.command("remove")
def remove(place: Which) -> None:
    """It is told nothing more."""
    gone = reach().act("DELETE", f"/notifications/{quote(place, safe='')}")
    typer.echo(f"removed: {gone['name']}")
