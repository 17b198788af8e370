"""Commands of a person who steps in. They need a running engine."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from justtrades.cli import show
from justtrades.cli.common import Json, group, reach
from justtrades.cli.errors import Misused

kill = group("The kill switch: while it is on, no entry leaves.")

_COMPARED = ("account_id", "contract", "books", "not_ours", "broker")
_LANES = ("account_id", "contract", "quantity", "broker_quantity", "in_doubt", "halted", "halt_reason", "checked_at")


def close(
    account: Annotated[str, typer.Argument(help="The account's id.")],
    contract: Annotated[str, typer.Argument(help="The contract, such as MNQZ6.")],
) -> None:
    """Close what is ours on one account and contract."""
    made = reach().act("POST", "/positions/close", {"account_id": account, "contract": contract})
    typer.echo(f"closing, as signal {made['signal_id']}")


def flatten(
    account: Annotated[str | None, typer.Option("--account", help="Only this account; else all.")] = None,
) -> None:
    """Close everything of ours."""
    made = reach().act("POST", "/flatten", {"account_id": account})
    typer.echo(f"closing {_lanes(len(made['signal_ids']))}" if made["signal_ids"] else "nothing of ours is open")


def resume(
    account: Annotated[str, typer.Argument(help="The account's id.")],
    contract: Annotated[str | None, typer.Argument(help="The halted lane's contract; without it the account.")] = None,
    adopt: Annotated[
        bool,
        typer.Option("--adopt", help="What is not ours becomes the recorder's trade."),
    ] = False,
    leave: Annotated[bool, typer.Option("--leave", help="It stays shown and untouched.")] = False,
    recorder: Annotated[
        str | None, typer.Option("--recorder", help="Whose it becomes, when several trade this contract.")
    ] = None,
) -> None:
    """Let a halted lane, or a halted account, go on."""
    if adopt and leave:
        raise Misused("say --adopt or --leave, not both")
    if recorder is not None and not adopt:
        raise Misused("--recorder is said with --adopt")
    if contract is None:
        if adopt or leave:
            raise Misused("--adopt and --leave are said of a contract: name it")
        reach().act("POST", f"/accounts/{account}/resume")
        typer.echo("the account goes on")
        return
    if not adopt and not leave:
        raise Misused("say --adopt or --leave: what becomes of a quantity that is not ours")
    body = {"account_id": account, "contract": contract, "decision": "adopt" if adopt else "leave"}
    done = reach().act("POST", "/lanes/resume", body | ({"recorder_id": recorder} if recorder else {}))
    told = f"; taken over by signal {done['signal_id']}" if done.get("signal_id") else ""
    typer.echo(f"the lane goes on{told}")


def reconcile(
    account: Annotated[str | None, typer.Option("--account", help="Only this account; else all.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what differs; mend nothing.")] = False,
    json_: Json = False,
) -> None:
    """Compare books and broker now."""
    compared = reach().act("POST", "/reconcile", {"account_id": account, "dry_run": dry_run})
    if dry_run:
        _differences(compared["lanes"], json_=json_)
        return
    show.page({"items": compared["lanes"]}, _LANES, json_=json_, lesser=("checked_at", "in_doubt"))
    if not json_:
        _others(compared["lanes"])


def _others(lanes: list[dict[str, Any]]) -> None:
    """A line for each working order of somebody else."""
    for lane in lanes:
        for order in lane.get("foreign_orders", ()):
            side = " ".join(str(order[key]).lower() for key in ("action", "order_type") if order[key])
            terms = f"{order['quantity'] or '?'}" + (f" at {order['price']}" if order["price"] else "")
            said = f"{side or 'an'} order {order['broker_order_id']} for {terms} works there and is not ours"
            typer.echo(f"{lane['account_id']} {lane['contract']}: {said}")


def _differences(lanes: list[dict[str, Any]], *, json_: bool) -> None:
    """Books beside broker, and below them a line for each thing that differs."""
    show.page({"items": lanes if json_ else [_row(lane) for lane in lanes]}, _COMPARED, json_=json_)
    if json_:
        return
    for lane in lanes:
        for difference in lane["differences"]:
            typer.echo(f"{lane['account_id']} {lane['contract']}: {difference}")
    if lanes and not any(lane["differences"] for lane in lanes):
        typer.echo("books and broker say the same")


def _row(lane: dict[str, Any]) -> dict[str, Any]:
    broker = lane["broker_quantity"]
    books = {"books": lane["quantity"], "not_ours": lane["foreign_quantity"]}
    return {**lane, **books, "broker": "unknown" if broker is None else broker}


@kill.command("on")
def kill_on(reason: Annotated[str, typer.Option(help="Why, for the record.")] = "") -> None:
    """No entry leaves from now on; exits go on."""
    reach().act("PUT", "/kill", {"on": True, "reason": reason})
    typer.echo("the kill switch is on: no entry leaves")


@kill.command("off")
def kill_off(reason: Annotated[str, typer.Option(help="Why, for the record.")] = "") -> None:
    """Entries may leave again."""
    reach().act("PUT", "/kill", {"on": False, "reason": reason})
    typer.echo("the kill switch is off: entries may leave")


@kill.command("status")
def kill_status(json_: Json = False) -> None:
    """Whether it is on, why and since when."""
    show.fields(reach().read("/kill"), json_=json_)


def _lanes(count: int) -> str:
    return "1 lane" if count == 1 else f"{count} lanes"
