"""The embedded paper broker: started when the first connection needs it, its market led by alert prices."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import httpx

from justtrades.positions.model import ContractName
from justtrades.settings import Settings, key_file, paper_address_file

log = logging.getLogger(__name__)


class PaperHouse:
    """The paper broker, started when the first connection needs it; `PAPER_URL` names one that runs elsewhere."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._wanted = asyncio.Event()
        self._url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        if settings.paper_url is not None:
            self._url.set_result(settings.paper_url.rstrip("/"))

    @property
    def known_url(self) -> str | None:
        return self._url.result() if self._url.done() and self._url.exception() is None else None

    async def url(self) -> str:
        self._wanted.set()
        return await asyncio.shield(self._url)

    async def run(self) -> None:
        """As long as the engine; raises what the simulator raises."""
        await self._wanted.wait()
        if self._url.done():
            await asyncio.Event().wait()
        from justtrades.broker.simulator.paper import embedded  # a start without paper connections needs none of it

        try:
            market, tell = self._settings.paper_market, _told
            async with embedded(_ledger(self._settings), market=market, tell=tell) as url:
                with _address_left(self._settings, url):
                    self._url.set_result(url)
                    await asyncio.Event().wait()
        except Exception as error:
            if not self._url.done():
                self._url.set_exception(error)
                self._url.exception()  # those who wait hear it too; nobody may be waiting
            raise


def _told(line: str) -> None:
    log.warning("the paper broker: %s", line)


@contextmanager
def _address_left(settings: Settings, url: str) -> Iterator[None]:
    """The address lies beside the database while it is good, so that `justtrades rehearse` finds it."""
    file = paper_address_file(settings)
    try:
        file.write_text(f"{url}\n", encoding="ascii")
    except OSError as error:
        log.warning("the paper broker's address could not be written: %s", error)
    log.info("paper broker at %s; `justtrades rehearse` lists what can be tried on it", url)
    try:
        yield
    finally:
        with suppress(OSError):
            file.unlink(missing_ok=True)


def _ledger(settings: Settings) -> Path:
    """The simulator's own file beside the database: it outlives the engine as a real broker would."""
    beside = key_file(settings)
    return beside.with_name(f"{beside.stem}-paper.db")


@dataclass(frozen=True, slots=True)
class Tape:
    """The simulator's market: it follows the prices alerts saw, or says where it is when it moves by itself."""

    client: httpx.AsyncClient
    base: str

    async def hear(self, contract: ContractName, price: Decimal) -> None:
        url = f"{self.base.removesuffix('/v1')}/control/price"
        try:
            await self.client.post(url, json={"symbol": contract, "price": str(price)})
        except httpx.HTTPError as error:
            log.warning("the paper market did not hear a price: %s", error)

    async def last(self, contract: ContractName) -> Decimal | None:
        """Where the contract trades there now; None when it never did, or nothing answers."""
        try:
            answer = await self.client.get(f"{self.base.removesuffix('/v1')}/control/prices")
            price = json.loads(answer.text, parse_float=Decimal, parse_int=Decimal).get(contract)
            return Decimal(price) if price is not None else None
        except (httpx.HTTPError, ValueError, ArithmeticError, AttributeError) as error:
            log.warning("the paper market did not tell a price: %s", error)
            return None
