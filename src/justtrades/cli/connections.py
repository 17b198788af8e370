"""`justtrades connection …`: logins at brokers. A password is asked for, so that no shell remembers it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from justtrades.cli import show
from justtrades.cli.common import USUAL, Before, Json, Limit, group, reach
from justtrades.cli.errors import Failed

app = group("Logins at brokers.")


class Environment(StrEnum):
    PAPER = "paper"
    DEMO = "demo"
    LIVE = "live"


class Auth(StrEnum):
    PASSWORD = "password"
    OAUTH = "oauth"


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="What you call it.")],
    environment: Annotated[Environment, typer.Option("--environment", "-e")] = Environment.PAPER,
    auth: Annotated[Auth, typer.Option(help="oauth: log in on the broker's page instead.")] = Auth.PASSWORD,
    username: Annotated[str | None, typer.Option(help="Of the Tradovate login.")] = None,
    password: Annotated[str | None, typer.Option(help="Asked for when left out.")] = None,
    cid: Annotated[str | None, typer.Option(help="Client id of the API key.")] = None,
    sec: Annotated[str | None, typer.Option(help="Secret of the API key; asked for when left out.")] = None,
    app_id: Annotated[str | None, typer.Option(help="Name of the API key.")] = None,
    app_version: Annotated[str | None, typer.Option()] = None,
    device_id: Annotated[str | None, typer.Option()] = None,
    json_: Json = False,
) -> None:
    """Add a login."""
    by_password = environment is not Environment.PAPER and auth is Auth.PASSWORD
    if by_password:
        username = username or typer.prompt("user name")
        password = password or typer.prompt("password", hide_input=True)
    if cid is not None and sec is None and environment is not Environment.PAPER:
        sec = typer.prompt("secret of the API key", hide_input=True)
    given = {
        "username": username,
        "password": password,
        "cid": cid,
        "sec": sec,
        "app_id": app_id,
        "app_version": app_version,
        "device_id": device_id,
    }
    body = {
        "name": name,
        "environment": environment,
        **({"auth": auth} if auth is Auth.OAUTH else {}),
        **{key: value for key, value in given.items() if value},
    }
    made = reach().act("POST", "/connections", body)
    if auth is Auth.OAUTH:
        made |= {"open_in_a_browser": _page(made["id"])}
    show.fields(made, json_=json_)


@app.command("oauth-url")
def oauth_url(connection_id: str, json_: Json = False) -> None:
    """The broker's page on which to log this connection in; good for ten minutes and one use."""
    show.fields(reach().act("GET", f"/connections/{connection_id}/oauth-url"), json_=json_)


def _page(connection_id: str) -> str:
    """The connection is there already; without an OAuth client its page comes later."""
    try:
        return str(reach().act("GET", f"/connections/{connection_id}/oauth-url")["url"])
    except Failed as error:
        return f"not yet: {error}"


@app.command("list")
def list_(json_: Json = False, limit: Limit = USUAL, before: Before = None) -> None:
    """Every login and how it is."""
    page = reach().read("/connections", {"limit": limit, "before": before})
    columns = ("id", "name", "environment", "enabled", "state", "reason", "last_event_at")
    show.page(page, columns, json_=json_, lesser=("last_event_at", "environment"))


@app.command("test")
def try_(connection_id: str, json_: Json = False) -> None:
    """Ask the broker for this login's accounts, now."""
    found = reach().act("POST", f"/connections/{connection_id}/test")
    show.page({"items": found["accounts"]}, ("broker_account_id", "name", "active", "why"), json_=json_)
