"""`justtrades recorder …`: strategies, their rules, their webhook tokens."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from justtrades.cli import show
from justtrades.cli.common import USUAL, Before, Json, Limit, group, reach
from justtrades.cli.errors import Misused

app = group("Strategies: their rules and webhook tokens.")

Which = Annotated[str, typer.Argument(metavar="RECORDER", help="Its id, or its name if no other has it.")]
Symbol = Annotated[str | None, typer.Option(help="Such as MNQ1!; without it the alert's ticker.")]
Quantity = Annotated[int | None, typer.Option(min=1, help="Contracts of an entry.")]
QuantityFrom = Annotated[str | None, typer.Option(help="recorder or alert.")]
AddQuantity = Annotated[int | None, typer.Option(min=1, help="Contracts of an add.")]
MaxQuantity = Annotated[int | None, typer.Option(min=1, help="Contracts held at most.")]
OnSameSide = Annotated[str | None, typer.Option(help="add, ignore or reenter.")]
OnOpposite = Annotated[str | None, typer.Option(help="reverse, close, ignore or net.")]
Targets = Annotated[
    list[str] | None, typer.Option("--target", help="DISTANCE[:UNIT[:PERCENT]], such as 20:ticks; none for none.")
]
StopAt = Annotated[str | None, typer.Option("--stop", help="DISTANCE[:UNIT], such as 40:ticks; none for none.")]
ExitsFrom = Annotated[str | None, typer.Option(help="recorder or alert.")]
TargetUpdate = Annotated[str | None, typer.Option(help="modify or replace.")]
Dialect = Annotated[str | None, typer.Option(help="auto, or the one format it takes.")]
Mode = Annotated[str | None, typer.Option(help="trade or shadow.")]
Accounts = Annotated[list[str] | None, typer.Option("--account", help="ID[:MULTIPLIER], as often as needed.")]
Secret = Annotated[str | None, typer.Option(help="What the alert must carry in secret, key or token.")]
Rules = Annotated[str | None, typer.Option("--from", help="A JSON file with rules; - reads stdin.")]


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="What you call it.")],
    symbol: Symbol = None,
    quantity: Quantity = None,
    quantity_from: QuantityFrom = None,
    add_quantity: AddQuantity = None,
    max_quantity: MaxQuantity = None,
    on_same_side: OnSameSide = None,
    on_opposite: OnOpposite = None,
    targets: Targets = None,
    stop: StopAt = None,
    exits_from: ExitsFrom = None,
    target_update: TargetUpdate = None,
    dialect: Dialect = None,
    mode: Mode = None,
    accounts: Accounts = None,
    secret: Secret = None,
    rules: Rules = None,
    json_: Json = False,
) -> None:
    """Add a strategy; prints its webhook once."""
    body = {**_rules(rules), **_given(locals()), "name": name}
    show.fields(reach().act("POST", "/recorders", body), json_=json_)


@app.command("edit")
def edit(
    recorder_id: Which,
    name: Annotated[str | None, typer.Option()] = None,
    symbol: Symbol = None,
    quantity: Quantity = None,
    quantity_from: QuantityFrom = None,
    add_quantity: AddQuantity = None,
    max_quantity: MaxQuantity = None,
    on_same_side: OnSameSide = None,
    on_opposite: OnOpposite = None,
    targets: Targets = None,
    stop: StopAt = None,
    exits_from: ExitsFrom = None,
    target_update: TargetUpdate = None,
    dialect: Dialect = None,
    mode: Mode = None,
    accounts: Accounts = None,
    secret: Secret = None,
    enabled: Annotated[bool | None, typer.Option("--enable/--disable")] = None,
    rules: Rules = None,
    json_: Json = False,
) -> None:
    """Change some of its rules; what is not named stays."""
    body = {**_rules(rules), **_given(locals())}
    if name is not None:
        body["name"] = name
    if not body:
        raise Misused("nothing to change was named")
    show.fields(reach().act("PATCH", f"/recorders/{_path(recorder_id)}", body), json_=json_)


@app.command("list")
def list_(json_: Json = False, limit: Limit = USUAL, before: Before = None) -> None:
    """Every strategy, disabled ones included."""
    page = reach().read("/recorders", {"limit": limit, "before": before})
    show.page(
        page,
        ("id", "name", "symbol", "quantity", "mode", "enabled", "heartbeat_state", "gaps", "updated_at"),
        json_=json_,
        lesser=("updated_at", "mode", "gaps", "heartbeat_state"),
    )


@app.command("show")
def show_one(recorder_id: Which, json_: Json = False) -> None:
    """All rules of one strategy."""
    show.fields(reach().read(f"/recorders/{_path(recorder_id)}"), json_=json_)


@app.command("rotate-token")
def rotate_token(
    recorder_id: Which,
    overlap: Annotated[int, typer.Option(min=0, help="Seconds the old token goes on; 0 revokes it.")] = 86_400,
    json_: Json = False,
) -> None:
    """A new webhook token, printed once."""
    made = reach().act("POST", f"/recorders/{_path(recorder_id)}/rotate-token", {"overlap_seconds": overlap})
    show.fields(made, json_=json_)


@app.command("disable")
def disable(recorder_id: Which) -> None:
    """Its webhook answers 404 from now on."""
    reach().act("DELETE", f"/recorders/{_path(recorder_id)}")
    typer.echo("disabled")


# ── options into rules ───────────────────────────────────────────────────────────────────────────────────────

_PLAIN = (
    *("symbol", "quantity", "quantity_from", "add_quantity", "max_quantity", "on_same_side", "on_opposite"),
    *("exits_from", "target_update", "dialect", "mode", "secret", "enabled"),
)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were named, as fields of the recorder."""
    body = {name: options[name] for name in _PLAIN if options.get(name) is not None}
    if options["targets"]:
        body["targets"] = [_target(text) for text in options["targets"] if text != "none"]
    if options["stop"]:
        body["stop"] = None if options["stop"] == "none" else _distance(options["stop"].split(":"))
    if options["accounts"]:
        body["routes"] = [_route(text) for text in options["accounts"]]
    return body


def _path(id_or_name: str) -> str:
    return quote(id_or_name, safe="")


def _target(text: str) -> dict[str, Any]:
    parts = text.split(":")
    return {**_distance(parts[:2]), "percent": parts[2] if len(parts) > 2 else "100"}


def _distance(parts: list[str]) -> dict[str, Any]:
    return {"distance": parts[0], "unit": parts[1] if len(parts) > 1 else "ticks"}


def _route(text: str) -> dict[str, Any]:
    account, _, multiplier = text.partition(":")
    return {"account_id": account, "multiplier": multiplier or "1"}


def _rules(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        rules = json.loads(sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Misused(f"--from: {type(error).__name__}: the rules cannot be read as JSON") from None
    if not isinstance(rules, dict):
        raise Misused("--from: the rules must be one JSON object")
    return rules
