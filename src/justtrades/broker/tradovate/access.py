"""The access token: one per login for the whole process, renewed in time, and never asked for in a loop.

Each token request opens a session and may close an older one, and five an hour from one address, failures
included, end in a captcha that no program can clear (protocol.md sections 2 and 3). So: requests are claimed from
a ration before they are sent, a token and a refusal outlive a restart in the `TokenBox`, all callers share one
attempt, which goes on to its answer when they leave, and a refusal stops the login for a long rest.

Renewal prolongs the same session at two thirds of the token's life. A renewed token is a candidate until one read
with it was let in; until then the old one is used. A 401 is taken for a dead token only as long as that is likely:
a token that worked is renewed once; for one that never did, `auth/me` tells a dead token from a key that may not
do what we ask, since asking for more tokens would not help the second.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from math import isinf
from typing import TypeVar

from justtrades.broker.port import BrokerError, NotHandled, NotSent
from justtrades.broker.tradovate import causes, wire
from justtrades.broker.tradovate.answers import Denied, Heard, No, Payload, Slowed, Ticket, Unclear, complaint
from justtrades.broker.tradovate.auth import HOUR, REQUESTS_PER_HOUR, SHORTLY, Auth, Ration
from justtrades.broker.tradovate.calls import Calls
from justtrades.broker.tradovate.settings import Credentials, OAuthLogin
from justtrades.broker.tradovate.token import NOBODY, MemoryTokenBox, NotKept, Refusal, Token, TokenBox

__all__ = ["HOUR", "REQUESTS_PER_HOUR", "Access", "MemoryTokenBox", "Token", "TokenBox"]

log = logging.getLogger(__name__)

T = TypeVar("T")

RENEW_AGAIN = 60.0
BEFORE_THE_END = 120.0
"""A renewal that the broker made wait is tried once more so many seconds before the token ends."""
DENIALS_PER_HOUR = 4
"""How often a 401 is answered by a renewal; the other renewals of the hour belong to the token's age."""
FIRST_BACK_OFF, LONGEST_BACK_OFF = 15.0, 900.0
LONGEST_WITHOUT_LINE = 30.0
KEEP_AGAIN = 30.0


class Access:
    def __init__(
        self,
        calls: Calls,
        credentials: Credentials,
        box: TokenBox,
        clock: Callable[[], datetime],
        rest: float,
        count: Callable[[], None] = lambda: None,
        hold: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """`rest` is the pause after a refusal in seconds; `count` is told of every request (the budget); `hold`
        says for how many seconds the broker wants to hear nothing that can wait (a penalty)."""
        self._calls = calls
        self._credentials = credentials
        self._box = box
        self._clock = clock
        self._rest = timedelta(seconds=rest)
        self._hold = hold
        self._auth = Auth(calls, credentials, box, clock, count)
        self._denials = Ration(DENIALS_PER_HOUR, "renewals after a denial")
        self._lock = asyncio.Lock()
        self._flights: set[asyncio.Task[object]] = set()
        self._changed = asyncio.Event()
        self._current: Token | None = None
        self._candidate: Token | None = None
        self._worked = self._gone = self._asked_now = self._may_not = self._unsaved = False
        self._loaded = False
        self._renewed_at: datetime | None = None
        self._failures = 0
        self._not_before: datetime | None = None
        self._demands = ""
        self.refused: str | None = None
        """Why the broker does not let us in, or denies what we ask, for people."""
        self.trouble: str | None = None
        """What went wrong last, while it may still come right by itself."""

    @property
    def current(self) -> Token | None:
        return self._current

    async def token(self) -> Token:
        """A token that has not expired. Raises `NotHandled` when there is none to be had now."""
        if usable := self._usable():
            return usable
        return await self._alone(self._obtained)

    def worked(self, token: Token) -> None:
        """A call with `token` was let in."""
        if token is self._current and not self._worked:
            self._worked, self._failures = True, 0
            self._not_before = self.refused = self.trouble = None

    async def after_denied(self, token: Token) -> Token | None:
        """Another token after a 401 with `token`; None when the token is not what was denied.

        Whoever comes second finds the token changed. Raises `NotHandled`.
        """
        return await self._alone(partial(self._after_denied, token))

    async def renew(self) -> Token:
        """A renewed token that works, now; a new one when the old cannot be renewed. Raises `NotHandled`."""
        return await self._alone(self._another)

    async def keep_fresh(self) -> None:
        """Renews at two thirds of each token's life, for ever."""
        while True:
            self._changed.clear()
            if await self._waited(self._next_look()):
                continue
            if self._unsaved:
                await self._keep(self._current)
            if self._due():
                await self._waited(await self._alone(self._renew_quietly))

    async def close(self, within: float) -> None:
        """An answer under way is still taken, and kept: a token thrown away costs another token request."""
        if self._flights:
            await asyncio.wait(self._flights, timeout=within)
        for flight in tuple(self._flights):
            flight.cancel()
        await asyncio.gather(*self._flights, return_exceptions=True)

    # ── one at a time ────────────────────────────────────────────────────────────────────────────────────

    async def _alone(self, work: Callable[[], Awaitable[T]]) -> T:
        async def locked() -> T:
            async with self._lock:
                return await work()

        flight = asyncio.create_task(locked())
        self._flights.add(flight)
        flight.add_done_callback(self._landed)
        return await asyncio.shield(flight)

    def _landed(self, flight: asyncio.Task[T]) -> None:
        self._flights.discard(flight)
        if not flight.cancelled():
            flight.exception()  # whoever asked may have gone

    # ── which token ──────────────────────────────────────────────────────────────────────────────────────

    def _usable(self) -> Token | None:
        for found in (self._current, self._candidate):
            if found and found.expires_at > self._clock():
                return found if found is self._current else self._adopt(found)
        return None

    async def _obtained(self) -> Token:
        return self._usable() or await self._from_box() or await self._log_in()

    async def _from_box(self) -> Token | None:
        if self._loaded:
            return None
        try:
            found, refusal = await self._box.load(), await self._box.refusal()
        except NotKept as error:
            raise self._waits("login", f"the kept token cannot be read: {error}", SHORTLY) from error
        self._loaded = True
        if refusal is not None and refusal.until > self._clock():
            self.refused, self._not_before = refusal.why, refusal.until
        if found is None or found.expires_at <= self._clock():
            return None
        named = await self._named(found)
        return self._adopt(named) if named else None

    async def _named(self, token: Token) -> Token | None:
        """With the id of its user, which an OAuth answer does not tell: `auth/me` does, and a renewal too. None
        when the token is dead."""
        if token.user_id != NOBODY:
            return token
        match await self._heard(self._auth.who(token)):
            case Payload(dict() as row) if user_id := wire.number(row, "userId"):
                named: Token | None = replace(token, user_id=user_id)
            case Denied():
                return None
            case _:
                named = await self._named_by_renewal(token)
        if named is None:
            self._loaded = False
            raise self._waits("login", "the broker does not tell whose token this is", timedelta(seconds=RENEW_AGAIN))
        await self._keep(named)
        return named

    async def _named_by_renewal(self, token: Token) -> Token | None:
        answer = await self._heard(self._auth.renew(token))
        return self._auth.read(answer.value) if isinstance(answer, Payload) else None

    def _adopt(self, token: Token) -> Token:
        self._current, self._candidate = token, None
        self._worked = self._gone = self._asked_now = self._may_not = False
        self._changed.set()
        return token

    async def _keep(self, token: Token | None) -> None:
        """Into the box. What the box does not take is used all the same, and offered again."""
        try:
            await self._box.save(token)
        except NotKept as error:
            log.error("the token could not be kept: %s", error)
        else:
            self._unsaved = False
            return
        self._unsaved = True

    # ── in time ──────────────────────────────────────────────────────────────────────────────────────────

    def _next_look(self) -> float | None:
        """Seconds until the token is due; None while there is none, or it cannot be renewed any more."""
        if self._current is None:
            return None
        left = None if self._gone else max(self._left(self._current.renew_at), 0.0)
        return min((one for one in (left, KEEP_AGAIN if self._unsaved else None) if one is not None), default=None)

    def _due(self) -> bool:
        return self._current is not None and not self._gone and self._left(self._current.renew_at) <= 0

    async def _renew_quietly(self) -> float:
        """Seconds until it is tried again, unless the token changed."""
        if (hold := self._hold()) > 0 and (wait := self._until_last_chance(hold)) > 0:
            return wait
        if isinf(hold):
            return RENEW_AGAIN
        try:
            await self._renewed()
        except NotHandled as error:
            asked = error.wait.total_seconds() if error.wait else 0.0
            return max(self._until_last_chance(asked), RENEW_AGAIN)
        except BrokerError as error:
            log.info("the token was not renewed: %s", error)
        return RENEW_AGAIN

    def _until_last_chance(self, seconds: float) -> float:
        """`seconds`, but no longer than until shortly before the token ends."""
        left = self._left(self._current.expires_at) if self._current else 0.0
        return min(seconds, left - BEFORE_THE_END)

    def _left(self, until: datetime) -> float:
        return (until - self._clock()).total_seconds()

    async def _waited(self, seconds: float | None) -> bool:
        """True when the token changed within `seconds` (None: wait for that)."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    # ── renewing ─────────────────────────────────────────────────────────────────────────────────────────

    async def _another(self) -> Token:
        if renewed := await self._renewed():
            return renewed
        token = await self._log_in()
        if await self._proved(token) is None:
            raise self._waits("login", "a new token was denied at once", SHORTLY)
        self.worked(token)
        return token

    async def _renewed(self) -> Token | None:
        """The prolonged token, proved and adopted; None when the session is gone or the new token does not work."""
        if self._candidate is None:
            self._candidate = await self._prolonged()
        candidate = self._candidate
        if candidate is None or await self._proved(candidate) is None:
            return None
        if candidate is not self._current:
            self._adopt(candidate)
        self._renewed_at = self._clock()
        self.worked(candidate)
        await self._keep(candidate)
        return candidate

    async def _prolonged(self) -> Token | None:
        token = self._usable()
        if token is None or self._gone:
            return None
        answer = await self._heard(self._auth.renew(token))
        match answer:
            case Payload(value) if fresh := self._auth.read(value, token.user_id):
                return fresh
            case Payload(value) if complaint(value) is not None:
                self._gone = True
            case Denied():
                self._gone = True
            case Ticket(captcha=True):
                self.refused = causes.CAPTCHA
                raise NotHandled("p-captcha", causes.CAPTCHA, wait=self._rest)
            case _:
                raise self._unclear(answer)
        return None

    async def _proved(self, token: Token) -> Token | None:
        answer = await self._heard(self._auth.prove(token))
        match answer:
            case Payload():
                return token
            case Denied():
                if token is self._candidate:
                    self._candidate = None
                return None
            case _:
                raise self._unclear(answer)

    def _unclear(self, answer: Heard) -> NotHandled:
        if isinstance(answer, Slowed):
            return NotHandled(str(answer.status), "the broker asks to wait", wait=self._rest)
        return NotHandled("renewal", "the token could not be renewed", wait=SHORTLY)

    async def _heard(self, call: Awaitable[Heard]) -> Heard:
        """An answer, whatever it says; silence is told as `NotHandled`, since nothing was ordered with it."""
        try:
            return await call
        except NotHandled:
            raise
        except BrokerError as error:
            raise self._waits(error.reason, "the broker did not answer about the token", SHORTLY) from error

    # ── denied ───────────────────────────────────────────────────────────────────────────────────────────

    async def _after_denied(self, token: Token) -> Token | None:
        if token is not self._current and (usable := self._usable()):
            return usable
        if self._candidate is not None:
            return self._adopt(self._candidate)  # the renewal has ended the old one before the new one was proved
        if not self._worked:
            return await self._never_worked(token)
        if self._renewed_at and self._left(self._renewed_at) > -RENEW_AGAIN:
            return None
        if not self._gone and not self._denials.taken(self._clock()):
            return None
        return await self._renewed() or await self._log_in()

    async def _never_worked(self, token: Token) -> Token | None:
        """A token that was never let in: dead, or alive and not permitted? Only the first is worth a new log-in."""
        if self._may_not:
            return None
        alive = await self._alive(token)
        if alive is False and self._asked_now:
            raise self._back_off("the broker denied a token that it had just given; does another program log in?")
        if not alive and not self._asked_now:
            return await self._log_in()
        if renewed := await self._renewed():
            return renewed
        self._may_not = True
        self.refused = self._calls.struck(causes.NO_PERMISSION + self._demands)
        return None

    async def _alive(self, token: Token) -> bool | None:
        """None when the broker does not say."""
        try:
            answer = await self._auth.who(token)
        except BrokerError:
            return None
        match answer:
            case Slowed() | Ticket():
                raise self._unclear(answer)
            case Payload(value) if complaint(value) is not None:
                return False
            case Payload(value):
                return True if isinstance(value, Mapping) and wire.number(value, "userId") else None
            case Denied():
                return False
            case _:
                return None

    # ── logging in ───────────────────────────────────────────────────────────────────────────────────────

    async def _log_in(self) -> Token:
        """A new session. The answer of a failed request counts in the ration like any other."""
        if isinstance(self._credentials, OAuthLogin):
            self.refused = self._credentials.how
            raise NotHandled("oauth", self.refused)
        now = self._clock()
        if self._not_before and now < self._not_before:
            reason = self.refused or self.trouble or "logging in failed a moment ago"
            raise NotHandled("login", reason, wait=self._not_before - now)
        token = await self._let_in(await self._requested())
        self._not_before = self.refused = self.trouble = None
        self._adopt(token)
        self._asked_now = True
        await self._keep(token)
        return token

    async def _requested(self) -> Heard:
        try:
            return await self._auth.request()
        except NotHandled as error:
            raise self._waits(error.reason, error.text, error.wait or SHORTLY) from error
        except NotSent as error:
            raise self._back_off("no connection to the broker", longest=LONGEST_WITHOUT_LINE) from error
        except BrokerError as error:
            raise self._back_off(f"the broker did not answer the log-in ({error.reason})") from error

    async def _let_in(self, answer: Heard) -> Token:
        match answer:
            case Payload(value):
                if token := self._auth.read(value):
                    self._demands = causes.open_demands(value)
                    return token
                raise await self._stop(causes.of_answer(value))
            case Ticket(captcha=True):
                raise await self._stop(causes.CAPTCHA)
            case Ticket(seconds=seconds):
                raise self._back_off("the broker asks to wait before the log-in", seconds)
            case Denied(text) | No(text=text):
                raise await self._stop(causes.of_denial(text))
            case Slowed(status):
                raise self._back_off(f"the broker asks to wait (HTTP {status})", self._rest.total_seconds())
            case Unclear(status):
                raise self._back_off(f"the broker answered the log-in with HTTP {status}")

    async def _stop(self, why: str) -> NotHandled:
        """The broker said no: no further request before a long rest, also after a restart."""
        self.refused = self._calls.struck(why)
        self._not_before = self._clock() + self._rest
        try:
            await self._box.refuse(Refusal(self.refused, self._not_before))
        except NotKept as error:
            log.error("a refusal could not be kept: %s", error)
        return NotHandled("login", self.refused)

    def _back_off(self, why: str, seconds: float = 0.0, longest: float = LONGEST_BACK_OFF) -> NotHandled:
        self._failures += 1
        first = FIRST_BACK_OFF if longest is LONGEST_BACK_OFF else 1.0
        wait = timedelta(seconds=max(seconds, min(first * 2.0 ** min(self._failures - 1, 20), longest)))
        self._not_before = self._clock() + wait
        return self._waits("login", why, wait)

    def _waits(self, reason: str, why: str, wait: timedelta) -> NotHandled:
        self.trouble = self._calls.struck(why)
        return NotHandled(reason, self.trouble, wait=wait)
