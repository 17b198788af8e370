"""`--keep`: the engine stays up, and a person may send signals by hand.

The recorder for that is put into the database before the engine starts, because the page of examples shows its
token and is made with the engine. Its route comes later, over the API: accounts are found at the broker.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from justtrades.app import Engine, utc_now
from justtrades.demo.client import Client, Failed
from justtrades.demo.show import Show
from justtrades.positions.model import RecorderId, Target
from justtrades.positions.prices import Distance, Unit
from justtrades.positions.recorder import ExitsFrom, QuantityFrom, Recorder
from justtrades.settings import Settings
from justtrades.store import migrate, recorders
from justtrades.store.secrets import Box, new_token
from justtrades.store.session import Database


@dataclass(frozen=True, slots=True)
class ByHand:
    """The recorder a person plays with."""

    id: RecorderId
    token: str = field(repr=False)


async def first_recorder(settings: Settings) -> ByHand:
    """Makes the database and, in it, the recorder."""
    if settings.secret_key is None:
        raise Failed("the demo has no secret key")
    await migrate.upgrade(settings.database_url)
    database, box = Database(settings.database_url, clock=utc_now), Box(settings.secret_key.get_secret_value())
    await database.open()
    try:
        made = ByHand(RecorderId(database.new_id()), new_token())
        await database.write(lambda c: recorders.add(c, box, _rules(made.id), made.token, utc_now()))
    finally:
        await database.close()
    return made


def _rules(recorder_id: RecorderId) -> Recorder:
    """What the alert says wins; a target 20 ticks away when it says nothing."""
    return Recorder(
        recorder_id,
        "by-hand",
        quantity_from=QuantityFrom.ALERT,
        exits_from=ExitsFrom.ALERT,
        targets=(Target(Distance(Decimal(20), Unit.TICKS)),),
        max_quantity=10,
    )


async def stay(show: Show, client: Client, running: Engine, by_hand: ByHand, folder: Path) -> None:
    """Until the process is stopped."""
    accounts = await client.items("accounts")
    await client.edit_recorder(by_hand.id, routes=[{"account_id": row["id"]} for row in accounts])
    for text in welcome(running.url, by_hand.token, running.admin_key or running.local_key, folder):
        show.copied(text)
    await asyncio.Event().wait()


def welcome(url: str, token: str, admin_key: str, folder: Path) -> list[str]:
    """Where everything is, one thing a line."""
    return [
        "",
        "The engine stays up. Ctrl-C stops it.",
        "",
        f"  try it     {url}/docs  (one ready example per alert format)",
        f"  webhook    {url}/webhook/{token}",
        f"  admin key  {admin_key}  (behind Authorize on that page)",
        f"  files      {folder}",
        "",
        "Send a signal by hand, then look at GET /api/v1/signals and /api/v1/positions:",
        "",
        f"  {_curl(url, token)}",
        "",
    ]


def _curl(url: str, token: str) -> str:
    """For the shell of this system: cmd knows no single quotes, and bash takes ! inside double ones."""
    body = '{"action": "buy", "ticker": "MNQ1!"}'
    quoted = '"' + body.replace('"', '\\"') + '"' if os.name == "nt" else f"'{body}'"
    return f"curl -d {quoted} {url}/webhook/{token}"
