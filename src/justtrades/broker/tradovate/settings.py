"""What one login needs to be told. Read once, never changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit


@dataclass(frozen=True, slots=True)
class Credentials:
    """Body of `auth/accesstokenrequest` (protocol.md section 2). Secrets are left out of `repr`."""

    name: str
    password: str = field(repr=False)
    app_id: str = "justtrades"
    app_version: str = "1.0"
    device_id: str = ""
    """Stable per machine; a live account may refuse an unknown one."""
    cid: str = ""
    sec: str = field(default="", repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(secret for secret in (self.password, self.sec) if secret)


@dataclass(frozen=True, slots=True)
class OAuthLogin(Credentials):
    """A login whose tokens come from a person's visit to the broker's OAuth page; `how` tells the person where.

    It has no name and no password, and cannot ask for a token by itself.
    """

    name: str = ""
    password: str = field(default="", repr=False)
    how: str = "a person has to log in on the broker's OAuth page"


@dataclass(frozen=True, slots=True)
class TradovateSettings:
    """`base_url` is the REST base of one environment, such as `https://demo.tradovateapi.com/v1`.

    Everything of a login stays on that host: live and demo are separate worlds. Times are seconds.
    """

    base_url: str
    credentials: Credentials
    request_timeout: float = 5.0
    penalty_rest: float = 3600.0
    budget_per_minute: int = 60
    budget_per_hour: int = 4000
    exchange_hours: bool = False
    """The broker keeps the exchange's hours: when they are closed it may be silent, and is not hammered."""

    @property
    def ws_url(self) -> str:
        """The user socket: the same base with ws(s) and `/websocket`."""
        parts = urlsplit(self.base_url.rstrip("/"))
        scheme = "wss" if parts.scheme == "https" else "ws"
        return urlunsplit((scheme, parts.netloc, f"{parts.path}/websocket", "", ""))
