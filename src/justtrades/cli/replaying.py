"""`justtrades replay`: stored alerts, or exported receipts, once more against a fresh simulator."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from justtrades.cli import show
from justtrades.cli.common import Json, reach
from justtrades.cli.errors import Failed

if TYPE_CHECKING:
    from justtrades.replay import Replayed

_NEEDED = frozenset({"id", "received_at", "alert", "routes"})


def replay(
    signals: Annotated[list[str], typer.Argument(help="Signals by id, or files written by `signals SIGNAL --export`.")],
    same: Annotated[bool, typer.Option("--same", help="Fail when an alert ends otherwise than it did.")] = False,
    json_: Json = False,
) -> None:
    """Send stored alerts again, in order, to a fresh engine on a fresh simulator; nothing else is touched."""
    from justtrades.replay import NotReplayed
    from justtrades.replay import replay as play

    silent = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        told = asyncio.run(play([_receipt(one) for one in signals]))
    except NotReplayed as error:
        raise Failed(str(error)) from None
    finally:
        logging.disable(silent)
    if json_:
        show.as_json([{**dataclasses.asdict(one), "same": one.same} for one in told])
    else:
        for one in told:
            _show(one)
    others = sum(not one.same for one in told)
    if same and others:
        raise Failed(f"{others} of {len(told)} ended otherwise than they did")


# ── leaves ───────────────────────────────────────────────────────────────────────────────────────────────────


def _receipt(name: str) -> dict[str, Any]:
    path = Path(name)
    found = _from_file(path) if name.endswith(".json") or path.is_file() else reach().read(f"/signals/{name}")
    if not isinstance(found, dict) or not found.keys() >= _NEEDED:
        raise Failed(f"{name} is not a receipt: write one with `justtrades signals SIGNAL --export FILE`")
    return found


def _from_file(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Failed(f"{path} cannot be read: {type(error).__name__}") from None


def _show(one: Replayed) -> None:
    out = show.console()
    out.print(show.escaped(f"{show.plain_cell(one.received_at)}  {one.alert or 'an act of a person'}"))
    for label, ended in (("then", one.then), ("now", one.now)):
        what = ended["outcome"] or ended["status"]
        out.print(show.escaped(f"  {label:<5}{what}: {ended['reason'] or '—'}"))
    for order in one.orders:
        price = f" at {order['average_price'] or order['price']}" if order["average_price"] or order["price"] else ""
        text = (
            f"{order['purpose']} {order['action']} {order['quantity']} {order['order_type']}{price}: {order['status']}"
        )
        out.print(show.escaped(f"       {text}"))
    for note in one.notes:
        out.print(show.escaped(f"       note: {note}"))
