"""Where a login's access token, its refusal, its penalty and the count of token requests outlive the process.

Token requests are rationed (protocol.md section 3: five an hour per address, official), so a restart reuses the
token it has, and remembers that it was refused. Both are sealed with the secret key and bound to the connection
and to the address they came from. The count is one for all connections of a house, demo and live together: the
ration is our address's and not the login's.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from justtrades.broker.tradovate import Lull, NotKept, Refusal, Token
from justtrades.positions.model import ConnectionId
from justtrades.store import connections, lulls, ration
from justtrades.store.secrets import Box, NotOpened
from justtrades.store.session import Database, NotDurable

log = logging.getLogger(__name__)

T = TypeVar("T")

TRADOVATE: Final = "Tradovate"
PAPER: Final = "paper"
NEVER: Final = datetime.min.replace(tzinfo=UTC)


def house_of(environment: str) -> str:
    """Whose ration a token request of this environment is."""
    return PAPER if environment == "paper" else TRADOVATE


@dataclass(frozen=True, slots=True)
class SealedTokens:
    """A `TokenBox` on the database. What came from another address of the broker is not used.

    `as_of`: when the connection was last edited, as its login knows it. An older login that still has a token
    under way when credentials change keeps nothing any more.
    """

    database: Database
    box: Box
    connection_id: ConnectionId
    base_url: str
    house: str = TRADOVATE
    as_of: datetime | None = None

    async def load(self) -> Token | None:
        told, until = await self._told()
        if "access" not in told:
            return None
        return Token(told["access"], told["user_id"], datetime.fromisoformat(told["received_at"]), until)

    async def refusal(self) -> Refusal | None:
        told, until = await self._told()
        return Refusal(told["refused"], until) if "refused" in told else None

    async def _told(self) -> tuple[dict[str, Any], datetime]:
        """What is kept, and until when it counts; empty for what came from elsewhere or does not open."""
        try:
            kept = await self._read(lambda c: connections.load_token(c, self.box, self.connection_id))
        except NotOpened as error:
            log.warning("the kept token of %s cannot be used: %s", self.connection_id, error)
            kept = None
        told = json.loads(kept.value) if kept else {}
        until = kept.expires_at if kept else NEVER
        return (told, until) if told.get("base_url") == self.base_url else ({}, until)

    async def save(self, token: Token | None) -> None:
        if token is None:
            await self._write(lambda c: connections.forget_token(c, self.connection_id))
            return
        told = {"access": token.access, "user_id": token.user_id, "received_at": token.received_at.isoformat()}
        await self._seal(told, token.expires_at)

    async def refuse(self, refusal: Refusal) -> None:
        await self._seal({"refused": refusal.why}, refusal.until)

    async def _seal(self, told: dict[str, Any], until: datetime) -> None:
        kept = connections.Token(json.dumps({**told, "base_url": self.base_url}), until)
        await self._write(lambda c: connections.save_token(c, self.box, self.connection_id, kept, as_of=self.as_of))

    async def lull(self) -> Lull | None:
        """That of another address is not ours; a captcha is over when the connection was edited since."""
        kept = await self._read(lambda c: lulls.load(c, self.connection_id))
        if kept is None or kept.base_url != self.base_url or (kept.status == 0 and kept.as_of != self._as_of()):
            return None
        return Lull(kept.status, kept.until)

    async def rest(self, lull: Lull | None) -> None:
        if lull is None:
            await self._write(lambda c: lulls.forget(c, self.connection_id))
            return
        kept = lulls.Kept(lull.status, lull.until, self.base_url, self._as_of())
        await self._write(lambda c: lulls.keep(c, self.connection_id, kept))

    def _as_of(self) -> str | None:
        return self.as_of.isoformat() if self.as_of else None

    async def claim(self, now: datetime, *, limit: int, window: timedelta) -> datetime | None:
        return await self._write(lambda c: ration.claim(c, self.box, self.house, now, limit, window))

    async def give_back(self, claimed_at: datetime) -> None:
        await self._write(lambda c: ration.give_back(c, self.box, self.house, claimed_at))

    async def _write(self, work: Callable[[Connection], T]) -> T:
        return await _kept(self.database.write(work))

    async def _read(self, work: Callable[[Connection], T]) -> T:
        return await _kept(self.database.read(work))


async def _kept(call: Awaitable[T]) -> T:
    try:
        return await call
    except NotDurable as error:
        raise NotKept(str(error)) from error
    except SQLAlchemyError as error:
        raise NotKept(type(error).__name__) from error
