"""The calls of `auth/*`, and the one read that proves a token: asked within their rations, tickets served.

Rations (protocol.md section 3, official): five token requests an hour from one address, counted by the box;
about fifteen renewals and ten `auth/me` an hour, of which we use fewer. What a ration stops is `NotHandled`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from justtrades.broker.port import NotHandled, NotSent
from justtrades.broker.tradovate import wire
from justtrades.broker.tradovate.answers import Heard, Ticket, complaint
from justtrades.broker.tradovate.calls import Call, Calls
from justtrades.broker.tradovate.settings import Credentials
from justtrades.broker.tradovate.token import NotKept, Token, TokenBox

REQUESTS_PER_HOUR = 5
RENEWALS_PER_HOUR = 12
QUESTIONS_PER_HOUR = 8
HOUR = timedelta(hours=1)
LONGEST_TICKET_WAIT = 60.0
MOST_TICKETS = 2
SHORTLY = timedelta(seconds=5)
UNKNOWN_LIFE = timedelta(minutes=60)
"""When the expiry lies in our past the clocks disagree; the shortest published life is 80 minutes."""
TRUSTED_AHEAD = timedelta(hours=24)
SAME_CLOCK = timedelta(seconds=5)

PROOF = Call("GET", "/account/list")


class Ration:
    """At most so many in an hour, in memory: these calls never come at a start."""

    def __init__(self, limit: int, what: str) -> None:
        self._limit, self._what = limit, what
        self._taken: list[datetime] = []

    def taken(self, now: datetime) -> bool:
        """Takes one where there is one."""
        self._taken = [at for at in self._taken if at > now - HOUR]
        if len(self._taken) >= self._limit:
            return False
        self._taken.append(now)
        return True

    def take(self, now: datetime) -> None:
        if not self.taken(now):
            raise NotHandled("login", f"this hour's {self._what} are used up", wait=self._taken[0] + HOUR - now)


class Auth:
    """`count` is told of every call (the budget). All raise `BrokerError` when nothing clear was heard."""

    def __init__(
        self,
        calls: Calls,
        credentials: Credentials,
        box: TokenBox,
        clock: Callable[[], datetime],
        count: Callable[[], None],
    ) -> None:
        self._calls, self._credentials, self._box = calls, credentials, box
        self._clock, self._count = clock, count
        self._renewals = Ration(RENEWALS_PER_HOUR, "renewals")
        self._questions = Ration(QUESTIONS_PER_HOUR, "questions who this is")

    async def request(self) -> Heard:
        """A new session. Each request, failed or not, counts in the address's ration; one that never left does not."""
        call = Call("POST", "/auth/accesstokenrequest", body=_body(self._credentials))
        return await self._served(call, self._counted)

    async def renew(self, token: Token) -> Heard:
        return await self._served(Call("GET", "/auth/renewaccesstoken"), self._renewing, token)

    async def who(self, token: Token) -> Heard:
        self._questions.take(self._clock())
        return await self._attempt(Call("GET", "/auth/me"), token)

    async def prove(self, token: Token) -> Heard:
        """Is it let in?"""
        return await self._attempt(PROOF, token)

    def read(self, value: Any, user_id: int | None = None) -> Token | None:
        """The token of an answer; None when it holds none."""
        row: wire.Row = value if isinstance(value, dict) else {}
        access, user = wire.word(row, "accessToken"), wire.number(row, "userId") or user_id
        if not access or not user or complaint(row):
            return None
        now = self._clock()
        return Token(access, user, now, self._expiry(wire.moment(row, "expirationTime"), now))

    def _expiry(self, told: datetime | None, now: datetime) -> datetime:
        """The broker's time of expiry on our clock: his `Date` header tells how far the clocks are apart."""
        if told is None:
            return now + UNKNOWN_LIFE
        ahead = self._calls.ahead
        if abs(ahead) > SAME_CLOCK and timedelta() < told - ahead - now < TRUSTED_AHEAD:
            return told - ahead
        return told if told > now else now + UNKNOWN_LIFE

    # ── one call with its tickets ────────────────────────────────────────────────────────────────────────

    async def _served(self, call: Call, ask: Any, token: Token | None = None) -> Heard:
        """A ticket is served: the identical request again, after its wait, with it."""
        answer: Heard = await ask(call, token)
        for _ in range(MOST_TICKETS):
            if not isinstance(answer, Ticket) or answer.captcha or answer.seconds > LONGEST_TICKET_WAIT:
                break
            await asyncio.sleep(answer.seconds)
            answer = await ask(call.with_ticket(answer.ticket), token)
        return answer

    async def _renewing(self, call: Call, token: Token | None) -> Heard:
        self._renewals.take(self._clock())
        return await self._attempt(call, token)

    async def _counted(self, call: Call, _token: Token | None) -> Heard:
        now = self._clock()
        await self._claim(now)
        try:
            return await self._attempt(call)
        except NotSent:
            await self._give_back(now)
            raise

    async def _attempt(self, call: Call, token: Token | None = None) -> Heard:
        self._count()
        return await self._calls.attempt(call, token.access if token else None)

    async def _claim(self, now: datetime) -> None:
        try:
            again = await self._box.claim(now, limit=REQUESTS_PER_HOUR, window=HOUR)
        except NotKept as error:
            raise NotHandled("login", f"the count of log-ins cannot be kept: {error}", wait=SHORTLY) from error
        if again is not None:
            text = f"this hour's five token requests are used up; the next may go at {again:%H:%M} UTC"
            raise NotHandled("ration", text, wait=again - now)

    async def _give_back(self, claimed_at: datetime) -> None:
        try:
            await self._box.give_back(claimed_at)
        except NotKept:
            return  # it stays counted, which errs on the right side


def _body(mine: Credentials) -> dict[str, str]:
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
