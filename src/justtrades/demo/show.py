"""What the demo looks like: one column of seconds, one of labels, one of words. Reads the same without colours.

Only ASCII, so that a plain Windows console and a file show what a modern terminal shows.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from io import TextIOWrapper
from textwrap import wrap
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from justtrades.demo.promises import Result
from justtrades.demo.telling import Line, money

WIDEST: Final = 100
_INDENT: Final = 16
_NARROWEST: Final = 20
_STYLES: Final = {
    "alert": "bold cyan",
    "answer": "cyan",
    "decision": "yellow",
    "order": "blue",
    "target": "magenta",
    "fill": "bold green",
    "refused": "bold red",
    "close": "bold",
    "P&L": "bold green",
    "broker": "dim",
    "market": "dim",
    "read": "dim",
}


def make_console() -> Console:
    """For the terminal or pipe this process writes to."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    console = Console(highlight=False, emoji=False, markup=False)
    return Console(highlight=False, emoji=False, markup=False, width=min(console.width, WIDEST))


class Show:
    """`elapsed` gives the seconds since the demo began, in front of each line."""

    def __init__(self, console: Console, elapsed: Callable[[], float]) -> None:
        self._console = console
        self._elapsed = elapsed

    def say(self, text: str, style: str = "") -> None:
        self._console.print(Text("\n".join(wrap(text, self._console.width)), style=style))

    def blank(self) -> None:
        self._console.print()

    def scene(self, number: int, title: str, why: str) -> None:
        self._console.print()
        self._console.rule(Text(f"{number}. {title}", style="bold"), align="left", characters="-", style="dim")
        self.say(why, "italic")

    def line(self, line: Line) -> None:
        """Wrapped under itself, so that the labels stand alone in their column."""
        room = max(self._console.width - _INDENT, _NARROWEST)
        first, *others = wrap(line.text, room, break_on_hyphens=False) or [""]
        told = Text(f"{self._elapsed():5.1f}s ", style="dim")
        told.append(f"{line.label:<9}", style=_STYLES.get(line.label, ""))
        told.append("".join((first, *(f"\n{'':{_INDENT}}{other}" for other in others))), style="")
        self._console.print(told, soft_wrap=True)

    def copied(self, text: str) -> None:
        """On a line of its own however long it is, so that it can be copied."""
        self._console.print(Text(text), soft_wrap=True)

    def results(self, rows: Iterable[tuple[str, Result]], total: Result) -> None:
        table = Table(box=box.ASCII, show_footer=True)
        table.add_column("scene", "in all", ratio=1)
        for name, footer in zip(("trades", "fills", "ticks", "P&L"), _cells(total), strict=True):
            table.add_column(name, footer, justify="right", no_wrap=True)
        for number, (title, result) in enumerate(rows, 1):
            table.add_row(f"{number}. {title}", *_cells(result))
        self._console.print(table)


def _cells(result: Result) -> tuple[str, ...]:
    if not result.trades:
        return str(result.trades), str(result.fills), "-", "-"
    return str(result.trades), str(result.fills), f"{result.ticks.normalize():+f}", money(result.pnl)
