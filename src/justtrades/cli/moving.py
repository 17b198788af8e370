"""`justtrades import OLD.db`: moving in from the system this replaces. First shown, then written, never twice."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from justtrades.cli import show
from justtrades.cli.common import Json, reach
from justtrades.cli.errors import Failed
from justtrades.cli.reach import NothingYet, Reach

if TYPE_CHECKING:
    from justtrades.moving import OpenPosition, Plan

_PIECE: Final = 150_000
"""Bytes of one request; the API takes 256 KB."""
_AT_ONCE: Final = 200


def import_(
    path: Annotated[Path, typer.Argument(metavar="OLD.db", help="The just_trades.db of the system this replaces.")],
    write: Annotated[bool, typer.Option("--write", help="Write it; without this it is only shown.")] = False,
    json_: Json = False,
) -> None:
    """Take over recorders with their webhook tokens, and closed trades as history."""
    from justtrades.moving import NotReadable, plan, read

    try:
        found = plan(read(path), datetime.now(UTC))
    except NotReadable as error:
        raise Failed(str(error)) from None
    engine = reach()
    shown = _bring(engine, found, write=False)
    written = _bring(engine, found, write=True) if _wanted(write, json_, shown, found) else None
    _tell(engine, found, shown, written, json_=json_)


def _wanted(write: bool, json_: bool, shown: Mapping[str, int], found: Plan) -> bool:
    """Asked for by an option, or by a person who was shown what would be written."""
    if write or json_ or not (shown["recorders"] or shown["trades"]) or not sys.stdin.isatty():
        return write
    typer.echo(_counts(shown, "would be written"))
    return typer.confirm("write it?")


def _bring(engine: Reach, found: Plan, *, write: bool) -> dict[str, int]:
    """All of it, in pieces that the API takes; the sums of what it says."""
    sums = {"recorders": 0, "recorders_there": 0, "trades": 0, "trades_there": 0}
    pieces = [{"recorders": part} for part in _pieces(found.recorders)]
    # The newest first: each piece is numbered below the ones before, so that lists stay newest first.
    pieces += [{"trades": part[::-1]} for part in _pieces(found.trades[::-1])]
    try:
        answers = engine.settle("POST", "/import", [{**piece, "write": write} for piece in pieces], makes=write)
    except NothingYet:
        return {**sums, "recorders": len(found.recorders), "trades": len(found.trades)}
    for answer in answers:
        sums = {name: sums[name] + answer[name] for name in sums}
    return sums


def _pieces(rows: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    piece: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        weight = len(json.dumps(row))
        if piece and (size + weight > _PIECE or len(piece) == _AT_ONCE):
            yield piece
            piece, size = [], 0
        piece.append(row)
        size += weight
    if piece:
        yield piece


# ── telling ──────────────────────────────────────────────────────────────────────────────────────────────────


def _tell(
    engine: Reach, found: Plan, shown: Mapping[str, int], written: Mapping[str, int] | None, *, json_: bool
) -> None:
    beside = _beside(engine, found.open)
    if json_:
        named = [{name: one[name] for name in ("id", "name", "symbol", "enabled")} for one in found.recorders]
        show.as_json(
            {
                "written": written is not None,
                "would_write": dict(shown),
                "recorders": named,
                "open": [{**row, "average_price": _plain(row["average_price"])} for row in beside],
                "not_taken": dict(found.refused),
                "notes": found.notes,
            }
        )
        return
    typer.echo(_counts(written or shown, "written" if written is not None else "would be written"))
    if beside:
        typer.echo("\nopen there, never written here; what is held, only the broker knows:")
        columns = ("recorder", "account", "ticker", "side", "quantity", "average_price", "at_broker")
        show.page({"items": beside}, columns, json_=False)
        typer.echo("adopt what is really held: justtrades resume ACCOUNT CONTRACT --adopt")
    for reason, count in sorted(found.refused.items()):
        typer.echo(f"not taken, {count}: {reason}")
    for note in found.notes:
        typer.echo(f"note: {note}")
    if found.recorders:
        typer.echo("\nAn imported recorder trades nothing until it has an account and rules:")
        typer.echo("  justtrades recorder edit RECORDER --account ACCOUNT --quantity 1 --target 20:ticks")
    if written is None:
        typer.echo("\nnothing was written: add --write to do it")


def _counts(counts: Mapping[str, int], word: str) -> str:
    there = counts["recorders_there"] + counts["trades_there"]
    also = f"; {there} were there already" if there else ""
    return f"{word}: {counts['recorders']} recorders, {counts['trades']} closed trades{also}"


def _beside(engine: Reach, positions: Sequence[OpenPosition]) -> list[dict[str, Any]]:
    """Each old position with what the broker holds of the same future."""
    if not positions:
        return []
    try:
        lanes = engine.read("/lanes", {"limit": 500})["items"]
    except NothingYet:
        lanes = []
    return [{**asdict(one), "at_broker": _held(one.ticker, lanes)} for one in positions]


def _held(ticker: str, lanes: Sequence[Mapping[str, Any]]) -> str:
    from justtrades.positions.symbols import UnknownSymbol, parse_symbol

    try:
        root = parse_symbol(ticker, datetime.now(UTC).date()).root.symbol
    except UnknownSymbol:
        return "a symbol that is not known here"
    alike = [lane for lane in lanes if lane["contract"][:-2] == root and lane["broker_quantity"] is not None]
    told = [f"{lane['broker_quantity']:+d} {lane['contract']} on {lane['account_id']}" for lane in alike]
    return ", ".join(told) or "nothing known"


def _plain(value: Any) -> str | None:
    return None if value is None else format(value, "f")
