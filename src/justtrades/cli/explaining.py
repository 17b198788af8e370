"""`justtrades explain`: an alert from a file or the keyboard, and what it would do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from justtrades.cli import show
from justtrades.cli.common import Json, reach
from justtrades.cli.errors import Failed, Misused
from justtrades.cli.reach import Reach

_LONGEST = 64 * 1024


def explain(
    alert: Annotated[str, typer.Argument(help="A file with the alert's message; - reads it from the keyboard.")] = "-",
    recorder: Annotated[
        str | None, typer.Option("--recorder", help="Whose rules: id or name; needless while there is one only.")
    ] = None,
    json_: Json = False,
) -> None:
    """Say what an alert would do, account by account. Nothing is sent."""
    text, engine = _text(alert), reach()
    body = {"recorder_id": recorder or _only(engine), "alert": text}
    answer = engine.ask("/explain", body)
    if json_:
        show.as_json(answer)
        return
    _told(answer)


# ── leaves ───────────────────────────────────────────────────────────────────────────────────────────────────


def _told(answer: dict[str, Any]) -> None:
    out = show.console()
    out.print(show.escaped(answer["sentence"]))
    for warning in answer["warnings"]:
        out.print(show.escaped(f"warning: {warning}"))
    for route in answer["routes"]:
        out.print()
        out.print(show.escaped(route["sentence"]))
        out.print(show.table(route["rules"], ("rule", "passed", "detail")))


def _text(name: str) -> str:
    try:
        if name == "-":
            return sys.stdin.read(_LONGEST + 1)
        return Path(name).read_text("utf-8")
    except UnicodeDecodeError:
        raise Failed("the alert is not UTF-8 text") from None
    except OSError as error:
        raise Failed(f"the alert cannot be read: {error.strerror or type(error).__name__}") from None


def _only(engine: Reach) -> str:
    """The recorder, when there is no choice."""
    found = engine.read("/recorders", {"limit": 2})["items"]
    if len(found) != 1:
        raise Misused("say whose rules count: --recorder ID or name" if found else "there is no recorder yet")
    recorder_id: str = found[0]["id"]
    return recorder_id
