"""What commands print: JSON for programs, tables for people."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from justtrades.cli.tables import fitted, head

_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z")
_WIDE: Final = 220
_ENDLESS: Final = 2_000
_WHOLE: Final = frozenset({"at", "contract"})


def console(without: int = _WIDE) -> Console:
    """As wide as the terminal; a pipe has no width, so nothing is broken there."""
    made = Console()
    return made if made.is_terminal or "COLUMNS" in os.environ else Console(width=without)


def as_json(value: Any) -> None:
    """One JSON value; plain text, so that a pipe gets what a file gets."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def page(value: Mapping[str, Any], columns: Sequence[str], *, json_: bool, lesser: Sequence[str] = ()) -> None:
    """A page of a list: all of it as JSON, or these columns as a table; `lesser` ones only where there is room."""
    if json_:
        as_json(value)
        return
    out = console(_ENDLESS)
    out.print(fitted(value["items"], columns, lesser, out.width, plain_cell))
    if value.get("next"):
        out.print(f"more: --before {value['next']}")


def table(items: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Table:
    """With every word of it, over as many lines as it takes."""
    made = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        made.add_column(head(name), overflow="fold", no_wrap=name in _WHOLE)
    for item in items:
        made.add_row(*(cell(item.get(name)) for name in columns))
    return made


def fields(value: Mapping[str, Any], *, json_: bool) -> None:
    """One thing, a field a line."""
    if json_:
        as_json(value)
        return
    made = Table(box=None, show_header=False, pad_edge=False)
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, one in value.items():
        made.add_row(name.replace("_", " "), cell(one))
    console().print(made)


def cell(value: Any) -> str:
    return escaped(plain_cell(value))


def plain_cell(value: Any) -> str:
    match value:
        case None:
            return "—"
        case bool():
            return "yes" if value else "no"
        case list() if all(isinstance(part, dict) and "price" in part for part in value):
            return ", ".join(f"{part['quantity']} at {part['price']}" for part in value) or "—"
        case {"price": price, "quantity": quantity}:
            return f"{quantity} at {price}"
        case dict() | list():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return " ".join(_MOMENT.sub(r"\1 \2", str(value)).split())


def escaped(text: str) -> str:
    """Without rich's own markup: what somebody sent is never taken for a style."""
    return text.replace("[", r"\[")


def timeline(receipt: Mapping[str, Any]) -> None:
    """A receipt, as lines in order."""
    head = ("id", "received_at", "source", "dialect", "verb", "ticker", "status", "outcome", "reason")
    fields({name: receipt.get(name) for name in head}, json_=False)
    console().print()
    console().print(table(receipt["timeline"], ("at", "kind", "contract", "text")))
    if receipt.get("phases"):
        console().print()
        console().print(table(receipt["phases"], ("phase", "account_id", "at", "ms", "since_received_ms")))
    for one in receipt.get("reconciliations", ()):
        said = "confirmed" if one["confirmed"] else "not confirmed yet"
        where = f"{one['contract']} on {one['account_id']}"
        console().print(escaped(f"{said} by the comparison of {where} at {plain_cell(one['checked_at'])}"))
