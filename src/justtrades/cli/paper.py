"""`justtrades paper`: the Tradovate simulator alone; `justtrades rehearse`: what happens if …, on paper.

Rehearsals go to the simulator's own control routes, which only this machine may use. Which simulator: `--url`,
else `JUSTTRADES_PAPER_URL`, else the one inside the engine, whose address the engine leaves beside its database.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from justtrades import settings
from justtrades.cli.common import Json
from justtrades.cli.errors import Failed

_WHERE = "no paper broker is known here: start `justtrades serve` in this folder, or give --url"


def paper(
    host: Annotated[str, typer.Option()] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535)] = 8010,
    ledger: Annotated[Path, typer.Option(help="Its own file: orders, fills, positions, cash.")] = Path("paper.db"),
    market: Annotated[str, typer.Option(help="alerts, walk, still or csv:FILE.")] = "alerts",
    seed: Annotated[int, typer.Option(help="The same prices and the same faults again.")] = 1,
    accounts: Annotated[int, typer.Option(min=1, max=100)] = 1,
    faults: Annotated[str, typer.Option(help="rough, storm, a rate, or FAULT[@ENDPOINT][=RATE|#N], comma list.")] = "",
    exchange_hours: Annotated[
        bool, typer.Option("--exchange-hours", help="Market hours, maintenance, sessions.")
    ] = False,
    limits: Annotated[bool, typer.Option(help="The broker's published request limits.")] = True,
    socket_expiry: Annotated[bool, typer.Option(help="A socket ends with its token.")] = True,
    token_minutes: Annotated[float, typer.Option(min=0.1, max=1_440, help="How long a token lives.")] = 80,
) -> None:
    """Run only the Tradovate simulator, as a server."""
    from justtrades.broker.simulator.limits import Limits
    from justtrades.broker.simulator.paper import run_paper
    from justtrades.broker.simulator.server import Options
    from justtrades.broker.simulator.sockets import Timing

    options = Options(
        limits=Limits() if limits else None,
        exchange_hours=exchange_hours,
        timing=Timing(close_at_expiry=socket_expiry),
        token_lifetime=timedelta(minutes=token_minutes),
        tell=lambda line: print(line, flush=True),
    )
    try:
        run_paper(host, port, ledger, market, seed, accounts, faults=faults, options=options)
    except (OSError, ValueError) as error:
        raise Failed(str(error)) from None


def rehearse(
    fault: Annotated[str | None, typer.Argument(help="Which; none: the list. `calm` takes everything back.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="The calls it waits for, such as order/cancelorder.")] = None,
    nth: Annotated[int, typer.Option(min=1, help="Which of them it strikes first.")] = 1,
    times: Annotated[int, typer.Option(min=1, help="How many in a row.")] = 1,
    before: Annotated[bool, typer.Option("--before", help="It strikes before the call is carried out.")] = False,
    struck: Annotated[bool, typer.Option("--struck", help="What has struck so far.")] = False,
    url: Annotated[str | None, typer.Option(help="Of the paper broker.")] = None,
    as_json: Json = False,
) -> None:
    """What happens if my connection dies now? Try it on the paper broker."""
    base = (url or _known_url()).rstrip("/").removesuffix("/v1")
    if struck:
        lines = _ask(base, "GET", "struck")
        return _show(lines, as_json, [f"{line['at']}  {line['what']}" for line in lines] or ["nothing has struck"])
    if fault is None:
        listed = _ask(base, "GET", "rehearsals")
        return _show(listed, as_json, [f"{one['fault']:<44}{one['question']}" for one in listed])
    if fault == "calm":
        return _show(_ask(base, "DELETE", "faults"), as_json, ["everything behaves again"])
    if _is_plan(fault):
        return _show(_ask(base, "POST", "mixture", {"faults": fault}), as_json, [f"{fault}, until `calm`"])
    wanted = {"fault": fault, "nth": nth, "times": times, **({"when": "before"} if before else {})}
    known = {one["fault"].partition(":")[0]: one for one in _ask(base, "GET", "rehearsals")}
    usual = known.get(fault.partition(":")[0], {})
    waits = endpoint or usual.get("endpoint") or "*"
    answer = _ask(base, "POST", "faults", {**wanted, "endpoint": waits})
    return _show(answer, as_json, [_said(fault, usual, waits)])


def _is_plan(text: str) -> bool:
    """A mixture, a rate or a fault with a chance, rather than one fault."""
    number = text.replace(".", "", 1)
    return text in ("rough", "storm") or bool(set("=#,") & set(text)) or (number.isdecimal() and float(text) <= 1)


def _said(fault: str, usual: Mapping[str, Any], waits: str) -> str:
    """What was armed: the question it answers, or the calls it waits for where those were chosen."""
    if usual and usual["endpoint"] in ("", waits):
        return f"{fault}: {usual['question']}"
    return f"{fault} waits for {waits}"


def _show(answer: object, as_json: bool, lines: list[str]) -> None:
    typer.echo(json.dumps(answer, indent=2) if as_json else "\n".join(lines))


def _known_url() -> str:
    loaded = settings.load()
    if loaded.paper_url is not None:
        return loaded.paper_url
    try:
        return settings.paper_address_file(loaded).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise Failed(_WHERE) from None


def _ask(base: str, method: str, path: str, body: object = None) -> Any:
    # trust_env False: the simulator is on this machine, no proxy stands between.
    try:
        with httpx.Client(timeout=10, trust_env=False) as http:
            answer = http.request(method, f"{base}/control/{path}", json=body)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Failed(f"the paper broker at {base} did not answer: {type(error).__name__}") from None
    if answer.status_code == 400:
        raise Failed(f"{answer.text}; `justtrades rehearse` lists what there is")
    if not answer.is_success:
        raise Failed(f"the paper broker answered {answer.status_code}: {answer.text[:200]}")
    return answer.json()
