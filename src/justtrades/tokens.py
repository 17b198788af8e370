"""Where a login's access token and the count of token requests outlive the process.

Token requests are rationed (protocol.md section 3: five an hour per address, official), so a restart reuses the
token it has. The token is sealed with the secret key and bound to its connection; the count is kept per host,
because the ration is the address's and not the login's.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from justtrades.broker.tradovate import Token
from justtrades.positions.model import ConnectionId
from justtrades.store import connections, ration
from justtrades.store.secrets import Box, NotOpened
from justtrades.store.session import Database

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SealedTokens:
    """A `TokenBox` on the database. A token got at another address of the broker is not used."""

    database: Database
    box: Box
    connection_id: ConnectionId
    base_url: str

    async def load(self) -> Token | None:
        try:
            kept = await self.database.read(lambda c: connections.load_token(c, self.box, self.connection_id))
        except NotOpened as error:
            log.warning("the kept token of %s cannot be used: %s", self.connection_id, error)
            return None
        return self._token(kept) if kept is not None else None

    def _token(self, kept: connections.Token) -> Token | None:
        told = json.loads(kept.value)
        if told["base_url"] != self.base_url:
            return None
        return Token(told["access"], told["user_id"], datetime.fromisoformat(told["received_at"]), kept.expires_at)

    async def save(self, token: Token | None) -> None:
        if token is None:
            await self.database.write(lambda c: connections.forget_token(c, self.connection_id))
            return
        told = {
            "access": token.access,
            "user_id": token.user_id,
            "received_at": token.received_at.isoformat(),
            "base_url": self.base_url,
        }
        kept = connections.Token(json.dumps(told), token.expires_at)
        await self.database.write(lambda c: connections.save_token(c, self.box, self.connection_id, kept))

    async def claim(self, now: datetime, *, limit: int, window: timedelta) -> datetime | None:
        host = urlsplit(self.base_url).netloc
        return await self.database.write(lambda c: ration.claim(c, host, now, limit, window))
