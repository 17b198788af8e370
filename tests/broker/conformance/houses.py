"""The two brokers the suite runs against: our simulator, or a real Tradovate demo account.

`make test` takes the simulator. `make conformance` sets JUSTTRADES_CONFORMANCE and takes what the CONFORMANCE_…
variables name. A live host is never taken: real money is no place for a test suite.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from justtrades.broker.simulator import Paper, serve_paper
from justtrades.broker.tradovate import Credentials, TradovateSettings

DEMO = "https://demo.tradovateapi.com/v1"
SWITCH = "JUSTTRADES_CONFORMANCE"
NEEDED = ("CONFORMANCE_USERNAME", "CONFORMANCE_PASSWORD")
PRICES = {"MNQ": Decimal(25_000), "MES": Decimal(6_500)}


class CannotRun(Exception):
    """The suite was asked for, and cannot run; one sentence says why."""


@dataclass(frozen=True, slots=True)
class House:
    """Where the suite trades. `account` names the account to use (None: the first that can trade)."""

    name: str
    settings: TradovateSettings
    account: str | None = None
    patience: float = 5.0
    """Seconds after which news has failed to come."""
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def paced(self) -> bool:
        """Others share this broker: keep well below its limits."""
        return self.name == "demo"


def demo(environ: Mapping[str, str] = os.environ) -> House:
    """The house of the CONFORMANCE_… variables; raises `CannotRun`."""
    absent = [name for name in NEEDED if not environ.get(name)]
    if absent:
        raise CannotRun(f"set {' and '.join(absent)} to the log-in of a Tradovate demo account")
    url = environ.get("CONFORMANCE_URL", DEMO)
    if "live" in (urlsplit(url).hostname or ""):
        raise CannotRun("CONFORMANCE_URL names a live host: this suite trades, and never with real money")
    credentials = Credentials(
        name=environ["CONFORMANCE_USERNAME"],
        password=environ["CONFORMANCE_PASSWORD"],
        app_id=environ.get("CONFORMANCE_APP_ID", "justtrades"),
        app_version=environ.get("CONFORMANCE_APP_VERSION", "1.0"),
        device_id=environ.get("CONFORMANCE_DEVICE_ID", "justtrades-conformance"),
        cid=environ.get("CONFORMANCE_CID", ""),
        sec=environ.get("CONFORMANCE_SEC", ""),
    )
    settings = TradovateSettings(base_url=url, credentials=credentials)
    return House("demo", settings, environ.get("CONFORMANCE_ACCOUNT"), patience=20.0, secrets=credentials.secrets)


@asynccontextmanager
async def simulator(folder: Path, symbols: Mapping[str, str]) -> AsyncIterator[House]:
    """Our simulator with a still market; `symbols`: the contract of each root that trades there."""
    credentials = Credentials(name="conformance", password="a-long-password", sec="a-long-secret", cid="8")
    async with serve_paper(Paper(folder / "ledger.db", market="still", accounts=2)) as url:
        async with httpx.AsyncClient(trust_env=False) as http:
            for root, symbol in symbols.items():
                told = {"symbol": symbol, "price": str(PRICES[root])}
                (await http.post(f"{url.removesuffix('/v1')}/control/price", json=told)).raise_for_status()
        settings = TradovateSettings(
            base_url=url, credentials=credentials, budget_per_minute=4_000, budget_per_hour=4_000
        )
        yield House("simulator", settings, secrets=credentials.secrets)
