"""Log-in by OAuth: the page a person is sent to, and the code he comes back with, exchanged for a token.

The exchange goes to the live host, also for a demo login: the demo host answered 429 for days (protocol.md section
2, client code). It is the only thing besides `auth/me`, which tells whose token it is, that is ever asked there on
behalf of a demo login, and `exchange` can send nothing else. Errors come with HTTP 200 too (official).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import httpx

from justtrades.broker.port import Auditor, BrokerError, NotHandled, Refused, Unreachable
from justtrades.broker.tradovate import wire
from justtrades.broker.tradovate.answers import Denied, Heard, No, Payload, Slowed, Ticket, Unclear, complaint
from justtrades.broker.tradovate.auth import UNKNOWN_LIFE
from justtrades.broker.tradovate.calls import Call, Calls
from justtrades.broker.tradovate.line import Line
from justtrades.broker.tradovate.token import NOBODY, Token

TOKEN_PATH = "/auth/oauthtoken"
REASONS = {
    "invalid_grant": "the code is wrong, too old or was used already: start the log-in again",
    "invalid_client": "client id or client secret is wrong",
    "unauthorized_client": "this OAuth client may not log anybody in",
    "invalid_request": "the broker does not understand the request; is the redirect address the registered one?",
    "redirect_uri_mismatch": "the redirect address is not the one registered for this OAuth client",
    "access_denied": "the log-in was declined on the broker's page",
}


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """A registered OAuth application. `token_url` ends with `/auth/oauthtoken`."""

    authorize_url: str
    token_url: str
    client_id: str
    client_secret: str = field(repr=False)

    def page(self, redirect_uri: str, state: str) -> str:
        """Where the person's browser goes."""
        parts = urlsplit(self.authorize_url)
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": redirect_uri,
            "state": state,
        }
        return urlunsplit(parts._replace(query=urlencode({**dict(parse_qsl(parts.query)), **asked})))


@dataclass(frozen=True, slots=True)
class Grant:
    """A token and the name of the login it belongs to, where the broker told it."""

    token: Token
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """The way to the token endpoint. `transport` is the seam for tests; times are seconds."""

    client: OAuthClient
    auditor: Auditor
    clock: Callable[[], datetime]
    time_limit: float
    transport: httpx.AsyncBaseTransport | None = None

    async def take(self, code: str, redirect_uri: str) -> Grant:
        """The token for a code. Raises `Refused` with the reason, or another `BrokerError`; never tries again, since
        a code works once."""
        line = Line(self.client.token_url.removesuffix(TOKEN_PATH), self.time_limit, self.transport)
        calls = Calls(line, self.auditor, self.clock, (self.client.client_secret, code))
        try:
            token = self._token(
                calls, await calls.attempt(Call("POST", TOKEN_PATH, body=self._body(code, redirect_uri)))
            )
            return await _named(calls, token)
        finally:
            await line.close()

    def _body(self, code: str, redirect_uri: str) -> dict[str, str]:
        return {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "client_id": self.client.client_id,
            "client_secret": self.client.client_secret,
        }

    def _token(self, calls: Calls, answer: Heard) -> Token:
        match answer:
            case Payload(dict() as row) if (access := wire.word(row, "access_token")) and not row.get("error"):
                now = self.clock()
                return Token(access, NOBODY, now, now + _life(row))
            case Payload(value):
                raise Refused("oauth", calls.struck(declined(value)))
            case Ticket(captcha=True):
                raise NotHandled("p-captcha", "the broker asks for a captcha")
            case Ticket(seconds=seconds):
                raise NotHandled("p-ticket", "the broker asks to wait", wait=timedelta(seconds=seconds))
            case Slowed(status):
                raise NotHandled(str(status), "the broker asks to wait before the next log-in")
            case Denied(text) | No(text=text):
                raise Refused("oauth", calls.struck(text or "the broker denied the exchange"))
            case Unclear(status, text):
                raise Unreachable(f"HTTP {status}", calls.struck(text))


def declined(value: object) -> str:
    """An OAuth error (`error` and `error_description`) as a sentence."""
    row: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
    error, told = row.get("error"), row.get("error_description") or complaint(row)
    known = REASONS.get(error) if isinstance(error, str) else None
    said = ": ".join(str(part)[:200] for part in (error, told) if part)
    if known:
        return f"{known} (the broker says: {said})"
    return said or "the answer holds no token"


def _life(row: wire.Row) -> timedelta:
    seconds = wire.number(row, "expires_in")
    return timedelta(seconds=seconds) if seconds and seconds > 0 else UNKNOWN_LIFE


async def _named(calls: Calls, token: Token) -> Grant:
    """Whose token it is. Left open when the broker does not say now: the login asks again when it starts."""
    try:
        answer = await calls.attempt(Call("GET", "/auth/me"), token.access)
    except BrokerError:
        return Grant(token)
    row = answer.value if isinstance(answer, Payload) and isinstance(answer.value, dict) else {}
    user_id, name = wire.number(row, "userId"), wire.word(row, "name")
    if not user_id or complaint(row):
        return Grant(token)
    return Grant(Token(token.access, user_id, token.received_at, token.expires_at), name)
