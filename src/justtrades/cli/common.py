"""What most commands share: their options, the settings, the way to the engine."""

from __future__ import annotations

from typing import Annotated

import typer

from justtrades import settings
from justtrades.cli.reach import Reach

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="How many at most.")]
Before = Annotated[str | None, typer.Option("--before", help="The cursor of the page before.")]
Account = Annotated[str | None, typer.Option("--account", help="Only this account.")]
Recorder = Annotated[str | None, typer.Option("--recorder", help="Only this recorder.")]

USUAL = 50


def reach() -> Reach:
    """The engine that the settings of this process describe."""
    return Reach(settings.load())


def group(help_: str) -> typer.Typer:
    return typer.Typer(help=help_, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
