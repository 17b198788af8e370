"""Commands that only look."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from justtrades.cli import auditing, show
from justtrades.cli.common import USUAL, Account, Before, Json, Limit, Recorder, group, reach
from justtrades.cli.errors import Failed, Misused

accounts = group("Trading accounts found at the brokers.")


class SignalStatus(StrEnum):
    ACCEPTED = "accepted"
    WORKING = "working"
    DONE = "done"
    REFUSED = "refused"


class TradeStatus(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


@accounts.command("list")
def list_accounts(json_: Json = False, limit: Limit = USUAL, before: Before = None) -> None:
    """Every account of every connection."""
    page = reach().read("/accounts", {"limit": limit, "before": before})
    columns = ("id", "name", "connection_id", "active", "halted", "halt_reason")
    show.page(page, columns, json_=json_, lesser=("connection_id", "active"))


def signals(
    signal_id: Annotated[str | None, typer.Argument(help="One signal: its whole receipt.")] = None,
    status: Annotated[SignalStatus | None, typer.Option(help="Only these.")] = None,
    recorder: Recorder = None,
    export: Annotated[Path | None, typer.Option("--export", help="Write the receipt to this file, as JSON.")] = None,
    json_: Json = False,
    limit: Limit = USUAL,
    before: Before = None,
) -> None:
    """Alerts and acts of people, newest first; with an id, everything that came of one."""
    if export is not None and signal_id is None:
        raise Misused("--export writes one receipt: name the signal")
    if signal_id is not None:
        receipt = reach().read(f"/signals/{signal_id}")
        if export is not None:
            _write(export, receipt)
            return
        show.as_json(receipt) if json_ else show.timeline(receipt)
        return
    query = {"status": status, "recorder_id": recorder, "limit": limit, "before": before}
    columns = ("id", "received_at", "source", "verb", "ticker", "status", "outcome", "reason")
    show.page(reach().read("/signals", query), columns, json_=json_, lesser=("source", "status"))


def _write(path: Path, receipt: Any) -> None:
    try:
        path.write_text(json.dumps(receipt, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise Failed(f"{path} cannot be written: {error.strerror or type(error).__name__}") from None
    typer.echo(f"written to {path}")


def positions(
    account: Account = None, recorder: Recorder = None, json_: Json = False, limit: Limit = USUAL, before: Before = None
) -> None:
    """Open positions and the exits that protect them."""
    query = {"account_id": account, "recorder_id": recorder, "limit": limit, "before": before}
    columns = ("account_id", "contract", "side", "quantity", "average_price", "targets", "stop", "promise")
    show.page(reach().read("/positions", query), columns, json_=json_, lesser=("account_id", "side", "targets"))


def trades(
    status: Annotated[TradeStatus | None, typer.Option(help="Only these.")] = None,
    account: Account = None,
    recorder: Recorder = None,
    json_: Json = False,
    limit: Limit = USUAL,
    before: Before = None,
) -> None:
    """Trades, flat to flat, newest first."""
    query = {
        "status": status,
        "account_id": account,
        "recorder_id": recorder,
        "limit": limit,
        "before": before,
    }
    columns = ("id", "contract", "side", "quantity", "entry_price", "exit_price", "pnl", "status", "exit_reason")
    show.page(reach().read("/trades", query), columns, json_=json_, lesser=("exit_reason", "status"))


def orders(
    account: Account = None,
    signal: Annotated[str | None, typer.Option("--signal", help="Only of this signal.")] = None,
    json_: Json = False,
    limit: Limit = USUAL,
    before: Before = None,
) -> None:
    """Orders of ours, newest first."""
    query = {"account_id": account, "signal_id": signal, "limit": limit, "before": before}
    columns = ("id", "contract", "purpose", "action", "quantity", "price", "status", "filled_quantity", "average_price")
    show.page(reach().read("/orders", query), columns, json_=json_, lesser=("price", "id"))


def audit(
    connection: Annotated[str | None, typer.Option("--connection", help="Only of this connection.")] = None,
    signal: Annotated[str | None, typer.Option("--signal", help="Only of this signal.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Audit the books instead: is all as it must be?")] = False,
    database: Annotated[
        Path | None, typer.Option("--database", help="With --check: a copy that `justtrades db backup` made.")
    ] = None,
    json_: Json = False,
    limit: Limit = USUAL,
    before: Before = None,
) -> None:
    """Broker calls and answers, events, acts of people; newest first."""
    if check:
        if (connection, signal, limit, before) != (None, None, USUAL, None):
            raise Misused("--check looks at the whole database: it goes with --database and --json only")
        auditing.check(database, json_=json_)
        return
    if database is not None:
        raise Misused("--database goes with --check")
    query = {"connection_id": connection, "signal_id": signal, "limit": limit, "before": before}
    columns = ("at", "connection_id", "method", "endpoint", "status", "duration_ms", "signal_id")
    show.page(reach().read("/audit", query), columns, json_=json_, lesser=("signal_id", "connection_id"))
