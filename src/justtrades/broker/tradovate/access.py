"""The access token: one per login for the whole process, renewed in time, and never asked for in a loop.

Each token request opens a session and may close an older one, and five an hour from one address, failures
included, end in a captcha that no program can clear (protocol.md sections 2 and 3). So: requests are claimed
from a ration before they are sent, a token outlives a restart in the `TokenBox`, all callers share one attempt,
and a refusal stops the login for a long rest instead of trying again. Renewal prolongs the same session at two
thirds of the token's life; the token before it stays usable until the new one has worked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from justtrades.broker.port import BrokerError, NotHandled
from justtrades.broker.tradovate import wire
from justtrades.broker.tradovate.answers import Denied, Heard, No, Payload, Slowed, Ticket, Unclear, complaint
from justtrades.broker.tradovate.calls import Call, Calls
from justtrades.broker.tradovate.settings import Credentials

REQUESTS_PER_HOUR = 5
RENEWALS_PER_HOUR = 12
"""The broker's limit is about 15 (official)."""
HOUR = timedelta(hours=1)
RENEW_AT = 2 / 3
RENEW_AGAIN = 60.0
UNKNOWN_LIFE = timedelta(minutes=60)
"""When the expiry lies in our past the clocks disagree; the shortest published life is 80 minutes."""
FIRST_BACK_OFF, LONGEST_BACK_OFF = 15.0, 900.0
LONGEST_TICKET_WAIT = 60.0


@dataclass(frozen=True, slots=True)
class Token:
    access: str = field(repr=False)
    user_id: int
    received_at: datetime
    expires_at: datetime

    @property
    def renew_at(self) -> datetime:
        return self.received_at + (self.expires_at - self.received_at) * RENEW_AT


class TokenBox(Protocol):
    """Where a token and the count of token requests outlive the process; given from outside."""

    async def load(self) -> Token | None: ...

    async def save(self, token: Token | None) -> None: ...

    async def claim(self, now: datetime, *, limit: int, window: timedelta) -> datetime | None:
        """Count one token request from this address, durably and before it is sent.

        When `limit` were counted within `window` already: counts nothing and returns when to come again.
        """


class MemoryTokenBox:
    """A token box for a single run."""

    def __init__(self) -> None:
        self.token: Token | None = None
        self.claimed: list[datetime] = []

    async def load(self) -> Token | None:
        return self.token

    async def save(self, token: Token | None) -> None:
        self.token = token

    async def claim(self, now: datetime, *, limit: int, window: timedelta) -> datetime | None:
        self.claimed = [at for at in self.claimed if at > now - window]
        if len(self.claimed) >= limit:
            return self.claimed[0] + window
        self.claimed.append(now)
        return None


class Access:
    def __init__(
        self,
        calls: Calls,
        credentials: Credentials,
        box: TokenBox,
        clock: Callable[[], datetime],
        rest: float,
        count: Callable[[], None] = lambda: None,
    ) -> None:
        """`rest` is the pause after a refusal in seconds; `count` is told of every request (the budget)."""
        self._calls = calls
        self._credentials = credentials
        self._box = box
        self._clock = clock
        self._rest = timedelta(seconds=rest)
        self._count = count
        self._lock = asyncio.Lock()
        self._current: Token | None = None
        self._previous: Token | None = None
        self._proved = False
        self._loaded = False
        self._failures = 0
        self._not_before: datetime | None = None
        self._renewals: list[datetime] = []
        self._changed = asyncio.Event()
        self.refused: str | None = None
        """Why the broker does not let us in, for people."""

    @property
    def current(self) -> Token | None:
        return self._current

    async def token(self) -> Token:
        """A token that has not expired. Raises `NotHandled` when there is none to be had now."""
        if usable := self._usable():
            return usable
        async with self._lock:
            return self._usable() or await self._from_box() or await self._log_in()

    def worked(self, token: Token) -> None:
        """A call with `token` was let in: the one before it is not needed any more."""
        if token is self._current and not self._proved:
            self._proved, self._previous = True, None

    async def after_denied(self, token: Token) -> Token | None:
        """Another token after a 401 with `token`; None when the token is not what was denied.

        Single flight: whoever comes second finds the token changed. Raises `NotHandled`.
        """
        async with self._lock:
            if token is not self._current and (usable := self._usable()):
                return usable
            if fallback := self._step_back():
                return fallback
            if self._renewed_within(RENEW_AGAIN):
                return await self._just_renewed()
            return await self._renewed() or await self._log_in()

    async def renew(self) -> Token:
        """A renewed token, now; a new one when the old cannot be renewed. Raises `NotHandled`."""
        async with self._lock:
            return await self._renewed() or await self._log_in()

    async def keep_fresh(self) -> None:
        """Renews at two thirds of each token's life, for ever. A failed renewal is tried again a minute later."""
        while True:
            self._changed.clear()
            if await self._waited(self._renewal_in()):
                continue
            await self._renew_quietly()

    async def _renew_quietly(self) -> None:
        async with self._lock:
            try:
                fresh = await self._renewed()
            except BrokerError:
                fresh = None
        if fresh is None:
            await self._waited(RENEW_AGAIN)

    async def _waited(self, seconds: float | None) -> bool:
        """True when the token changed within `seconds` (None: wait for that)."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _renewal_in(self) -> float | None:
        if self._current is None:
            return None
        return max((self._current.renew_at - self._clock()).total_seconds(), 0.0)

    # ── which token ──────────────────────────────────────────────────────────────────────────────────────

    def _usable(self) -> Token | None:
        found = self._current
        return found if found and found.expires_at > self._clock() else None

    async def _from_box(self) -> Token | None:
        if self._loaded:
            return None
        self._loaded = True
        found = await self._box.load()
        if found and found.expires_at > self._clock():
            self._adopt(found)
        return self._usable()

    def _adopt(self, token: Token) -> Token:
        self._previous, self._current, self._proved = self._current, token, False
        self._changed.set()
        return token

    def _step_back(self) -> Token | None:
        """The token before an unproved one that was denied, while it lives."""
        before, self._previous = self._previous, None
        if self._proved or before is None or before.expires_at <= self._clock():
            return None
        self._current, self._proved = before, True
        return before

    def _renewed_within(self, seconds: float) -> bool:
        now = self._clock()
        return bool(self._renewals) and self._renewals[-1] > now - timedelta(seconds=seconds)

    async def _just_renewed(self) -> Token | None:
        """Renewed a moment ago and denied again: not the token's fault, unless it never worked at all."""
        return None if self._proved else await self._log_in()

    # ── asking the broker ────────────────────────────────────────────────────────────────────────────────

    async def _renewed(self) -> Token | None:
        """The prolonged token; None when the session is gone."""
        token = self._usable()
        now = self._clock()
        self._renewals = [at for at in self._renewals if at > now - HOUR]
        if token is None:
            return None
        if len(self._renewals) >= RENEWALS_PER_HOUR:
            raise NotHandled("login", "this hour's renewals are used up", wait=self._renewals[0] + HOUR - now)
        self._renewals.append(now)
        call = Call("GET", "/auth/renewaccesstoken")
        self._count()
        try:
            answer = await self._calls.attempt(call, token.access)
        except BrokerError as error:
            raise NotHandled(error.reason, "the token could not be renewed", wait=_seconds(5)) from error
        return await self._prolonged(answer, token)

    async def _prolonged(self, answer: Heard, token: Token) -> Token | None:
        match answer:
            case Payload(value) if complaint(value) is None and (fresh := self._read(value, token.user_id)):
                await self._box.save(fresh)
                return self._adopt(fresh)
            case Denied() | Payload():
                return None
            case Ticket(captcha=True):
                raise self._stop("the broker asks for a captcha; a person has to log in once")
            case Slowed(status):
                raise NotHandled(str(status), "the broker asks to wait", wait=self._rest)
            case _:
                raise NotHandled("renewal", "the token could not be renewed", wait=_seconds(5))

    async def _log_in(self) -> Token:
        """A new session. The answer of a failed request counts in the ration like any other."""
        self._may_log_in()
        call = Call("POST", "/auth/accesstokenrequest", body=self._body())
        answer = await self._asked(call)
        if isinstance(answer, Ticket) and not answer.captcha and answer.seconds <= LONGEST_TICKET_WAIT:
            await asyncio.sleep(answer.seconds)
            answer = await self._asked(call.with_ticket(answer.ticket))
        token = self._let_in(answer)
        await self._box.save(token)
        self._failures, self._not_before, self.refused = 0, None, None
        return self._adopt(token)

    def _may_log_in(self) -> None:
        now = self._clock()
        if self._not_before and now < self._not_before:
            reason = self.refused or "logging in failed a moment ago"
            raise NotHandled("login", reason, wait=self._not_before - now)

    async def _asked(self, call: Call) -> Heard:
        now = self._clock()
        again = await self._box.claim(now, limit=REQUESTS_PER_HOUR, window=HOUR)
        if again is not None:
            raise NotHandled("login", "five token requests this hour are used up", wait=again - now)
        self._count()
        try:
            return await self._calls.attempt(call)
        except BrokerError as error:
            raise self._back_off(error.reason) from error

    def _let_in(self, answer: Heard) -> Token:
        match answer:
            case Payload(value):
                return self._read(value, None) or self._raise(self._rejected(value))
            case Ticket(captcha=True):
                raise self._stop("the broker asks for a captcha; a person has to log in once")
            case Ticket(seconds=seconds):
                raise self._back_off("the broker asks to wait", seconds)
            case Denied(text) | No(text=text):
                raise self._stop(text or "the broker denied the log-in")
            case Slowed(status):
                raise self._back_off(f"HTTP {status}", self._rest.total_seconds())
            case Unclear(status):
                raise self._back_off(f"HTTP {status}")

    def _raise(self, error: NotHandled) -> Token:
        raise error

    def _read(self, value: Any, user_id: int | None) -> Token | None:
        """The token of an answer; None when it holds none."""
        row: wire.Row = value if isinstance(value, dict) else {}
        access, user = wire.word(row, "accessToken"), wire.number(row, "userId") or user_id
        expires = wire.moment(row, "expirationTime")
        if not access or not user or complaint(row):
            return None
        now = self._clock()
        if expires is None or expires <= now:
            expires = now + UNKNOWN_LIFE
        return Token(access, user, now, expires)

    def _rejected(self, value: Any) -> NotHandled:
        row: wire.Row = value if isinstance(value, dict) else {}
        status = wire.word(row, "userStatus")
        extra = f" (user status {status})" if status and status != "Active" else ""
        return self._stop((complaint(row) or "the answer holds no token") + extra)

    def _stop(self, why: str) -> NotHandled:
        """The broker said no: no further request before a long rest."""
        self.refused = self._calls.struck(why)
        self._not_before = self._clock() + self._rest
        return NotHandled("login", self.refused)

    def _back_off(self, why: str, seconds: float = 0.0) -> NotHandled:
        self._failures += 1
        wait = max(seconds, min(FIRST_BACK_OFF * 2.0 ** (self._failures - 1), LONGEST_BACK_OFF))
        self._not_before = self._clock() + _seconds(wait)
        return NotHandled("login", why, wait=_seconds(wait))

    def _body(self) -> dict[str, str]:
        mine = self._credentials
        body = {
            "name": mine.name,
            "password": mine.password,
            "appId": mine.app_id,
            "appVersion": mine.app_version,
            "deviceId": mine.device_id,
            "cid": mine.cid,
            "sec": mine.sec,
        }
        return {name: value for name, value in body.items() if value}


def _seconds(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)
