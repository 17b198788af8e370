"""Logins and tokens: each token request opens a session, a renewal prolongs one.

At most two sessions per user: a third closes the oldest, whose tokens then fail (protocol.md section 2,
official). A renewal returns another token; the old one stays good until its own end [guess]. With a file to keep
them in, sessions outlive a restart as a real broker's do; without one clients log in again, as after maintenance.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zlib import crc32

LIFETIME: Final = timedelta(minutes=80)
"""What tokens live today (recorded: 4800 s)."""
SESSIONS_PER_USER: Final = 2
_FIRST_USER: Final = 2_150_000
_FIRST_SESSION: Final = 3_050_000_000


@dataclass(eq=False, slots=True)
class Session:
    """One login. `on_close` hears why it was closed (its sockets do)."""

    id: int
    user: str
    expires: datetime
    tokens: dict[str, datetime] = field(default_factory=dict)
    on_close: set[Callable[[str], None]] = field(default_factory=set)

    @property
    def user_id(self) -> int:
        return user_id(self.user)


def user_id(name: str) -> int:
    return _FIRST_USER + crc32(name.encode()) % 800_000


class Sessions:
    def __init__(
        self, users: Mapping[str, str] | None = None, lifetime: timedelta = LIFETIME, file: Path | None = None
    ) -> None:
        """`users`: passwords by name; None lets anybody in. `file`: where sessions are kept over a restart."""
        self._users = users
        self._lifetime = lifetime
        self._file = file
        self._open: list[Session] = _kept(file) if file is not None else []
        self._opened = max((session.id for session in self._open), default=_FIRST_SESSION) - _FIRST_SESSION
        self._used_codes: set[str] = set()

    def may_enter(self, name: str, password: str) -> bool:
        return bool(name) if self._users is None else self._users.get(name) == password != ""

    def open(self, user: str, now: datetime) -> tuple[Session, str]:
        """A new session and its token; the user's oldest one goes if there are too many."""
        self._opened += 1
        session = Session(_FIRST_SESSION + self._opened, user, now)
        own = [other for other in self._open if other.user == user]
        if len(own) >= SESSIONS_PER_USER:
            self.close(own[0], "ConnectionQuotaReached")
        self._open.append(session)
        return session, self.renew(session, now)

    def renew(self, session: Session, now: datetime) -> str:
        """Another token of the same session."""
        token = secrets.token_urlsafe(48)
        session.expires = now + self._lifetime
        session.tokens = {old: end for old, end in session.tokens.items() if end > now}
        session.tokens[token] = session.expires
        self._keep()
        return token

    def of(self, token: str, now: datetime) -> Session | None:
        """The open session of a token that has not expired."""
        return next((one for one in self._open if one.tokens.get(token, now) > now), None)

    def use_code(self, code: str) -> bool:
        """An authorization code works once."""
        if not code or code in self._used_codes:
            return False
        self._used_codes.add(code)
        return True

    def close(self, session: Session, reason: str) -> None:
        if session in self._open:
            self._open.remove(session)
            self._keep()
        for listener in tuple(session.on_close):
            listener(reason)

    def expire_all(self) -> None:
        """Every token's time is over; the sessions stay, without a good token."""
        for session in self._open:
            session.tokens.clear()
        self._keep()

    def close_all(self, reason: str) -> None:
        for session in tuple(self._open):
            self.close(session, reason)

    def _keep(self) -> None:
        """Whole or not at all, and nobody else's to read. On a full disk clients log in again after a restart."""
        if self._file is None:
            return
        rows = [
            {"id": one.id, "user": one.user, "tokens": {token: str(end) for token, end in one.tokens.items()}}
            for one in self._open
        ]
        fresh = self._file.with_name(f"{self._file.name}.new")
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
            with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as out:
                json.dump(rows, out)
            fresh.replace(self._file)


def _kept(file: Path) -> list[Session]:
    """What a file says that this module wrote; none when it is not there or was cut short."""
    try:
        return [_session(row) for row in json.loads(file.read_text(encoding="ascii"))]
    except (OSError, ValueError, KeyError):
        return []


def _session(row: dict[str, Any]) -> Session:
    tokens = {token: datetime.fromisoformat(end) for token, end in row["tokens"].items()}
    return Session(row["id"], row["user"], max(tokens.values(), default=datetime.min.replace(tzinfo=UTC)), tokens)
