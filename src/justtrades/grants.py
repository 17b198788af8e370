"""OAuth log-ins put together: the client of a connection, the exchange, and the token sealed where its login finds it.

A connection's own `cid` and `sec` are its OAuth client; without them the client of the settings is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import httpx
from sqlalchemy import Connection

from justtrades.broker.port import Auditor, NotHandled, Refused
from justtrades.broker.tradovate import NotKept
from justtrades.broker.tradovate.auth import HOUR, REQUESTS_PER_HOUR
from justtrades.broker.tradovate.oauth import TOKEN_PATH, Exchange, Grant, OAuthClient
from justtrades.positions.model import ConnectionId
from justtrades.settings import PREFIX, Settings
from justtrades.store import connections
from justtrades.store.connections import ConnectionRow
from justtrades.store.secrets import Box, NotOpened
from justtrades.store.session import Database
from justtrades.tokens import SealedTokens, house_of

NO_CLIENT = (
    f"no OAuth client: set {PREFIX}TRADOVATE_OAUTH_CLIENT_ID and {PREFIX}TRADOVATE_OAUTH_CLIENT_SECRET, "
    "or give the connection cid and sec"
)


@dataclass(frozen=True, slots=True)
class Grants:
    """`auditor` gives each connection's own. `transport` is the seam for tests."""

    settings: Settings
    database: Database
    box: Box
    clock: Callable[[], datetime]
    auditor: Callable[[ConnectionId], Auditor]
    transport: httpx.AsyncBaseTransport | None = None

    async def page(self, row: ConnectionRow, redirect_uri: str, state: str) -> str:
        """The broker's page for this log-in. Raises `Refused` when there is no OAuth client."""
        return (await self._client(row)).page(redirect_uri, state)

    async def exchange(self, row: ConnectionRow, code: str, redirect_uri: str) -> str | None:
        """Turns a code into the connection's token; the login's name, where the broker told it.

        Counts as a token request of this address. Raises a `BrokerError`.
        """
        client, settings = await self._client(row), self.settings
        await self._claim(row)
        way = Exchange(client, self.auditor(row.id), self.clock, settings.request_timeout_seconds, self.transport)
        grant = await way.take(code, redirect_uri)
        await self._keep(row, grant)
        return grant.name

    async def _client(self, row: ConnectionRow) -> OAuthClient:
        try:
            kept = await self.database.read(lambda c: connections.load_secrets(c, self.box, row.id))
        except NotOpened as error:
            raise Refused("SecretKey", str(error)) from None
        ours = self.settings
        secret = ours.tradovate_oauth_client_secret
        client_id = kept.get("cid") or ours.tradovate_oauth_client_id
        client_secret = kept.get("sec") if kept.get("cid") else secret.get_secret_value() if secret else None
        if not client_id or not client_secret:
            raise Refused("oauth", NO_CLIENT)
        token_url = ours.tradovate_oauth_token_url or ours.tradovate_live_url + TOKEN_PATH
        return OAuthClient(ours.tradovate_oauth_url, token_url, client_id, client_secret)

    async def _claim(self, row: ConnectionRow) -> None:
        now = self.clock()
        try:
            again = await self._tokens(row).claim(now, limit=REQUESTS_PER_HOUR, window=HOUR)
        except NotKept as error:
            raise Refused("database", f"the database did not keep the count of log-ins: {error}") from error
        if again is not None:
            text = f"this hour's five token requests are used up; the next may go at {again:%H:%M} UTC"
            raise NotHandled("ration", text, wait=again - now)

    async def _keep(self, row: ConnectionRow, grant: Grant) -> None:
        """The row changes first, so that a login which still runs keeps nothing of its own over this token."""
        at = self.clock()
        name = grant.name or row.username
        edited = await self.database.write(lambda c: _renamed(c, self.box, row, name, at))
        try:
            await self._tokens(edited).save(grant.token)
        except NotKept as error:
            raise Refused("database", f"the database did not keep the token: {error}") from error

    def _tokens(self, row: ConnectionRow) -> SealedTokens:
        base = self.settings.tradovate_live_url if row.environment == "live" else self.settings.tradovate_demo_url
        return SealedTokens(self.database, self.box, row.id, base, house_of(row.environment), row.updated_at)


def _renamed(connection: Connection, box: Box, row: ConnectionRow, name: str | None, at: datetime) -> ConnectionRow:
    """The connection under its login's name. Raises `Refused` when another connection uses that login already."""
    for other in connections.every(connection):
        same = (other.environment, other.username) == (row.environment, name)
        if other.id != row.id and other.enabled and name and same:
            raise Refused("oauth", f"the connection {other.id} uses this {row.environment} login already")
    edited = connections.edit(connection, box, row.id, at=at, username=name)
    if edited is None:
        raise Refused("oauth", "there is no such connection any more")
    return edited
