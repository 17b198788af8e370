"""When the broker says wait (contract.md): who may still call, and when again.

A 429 rests everything but what protects a position for the penalty time, and lets that through one call at a
time with full-jitter backoff; a 423 is the warning before it; a captcha stops the login until a person helps.
Times are the event loop's seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from math import inf
from random import Random

from tenacity import RetryCallState
from tenacity.wait import wait_base

from justtrades.broker.port import NotHandled
from justtrades.positions.urgency import Urgency

SHORTEST = 0.05
"""No wait is told that clocks could round to nothing: whoever comes back a moment too early comes in vain."""

CAPTCHA = "the broker asks for a captcha: log in at Tradovate once, then save the connection again"


class FullJitter(wait_base):
    """tenacity's exponential full jitter with our own dice: uniform in 0 … min(longest, first·2ⁿ⁻¹)."""

    def __init__(self, rng: Random, first: float = 1.0, longest: float = 60.0) -> None:
        self._rng, self._first, self._longest = rng, first, longest

    def __call__(self, retry_state: RetryCallState) -> float:
        return self.after(retry_state.attempt_number)

    def after(self, attempt: int, longest: float | None = None) -> float:
        return self._rng.uniform(0.0, min(longest or self._longest, self._first * 2.0 ** min(attempt - 1, 30)))


class Penalty:
    def __init__(self, rest: float, rng: Random, changed: Callable[[], None] = lambda: None) -> None:
        """`changed` is told when a penalty begins, goes on or is over before its time: it is kept over restarts."""
        self._rest = rest
        self._jitter = FullJitter(rng)
        self._changed = changed
        self._status = 0
        self._until = 0.0
        self._exit_at = 0.0
        self._exit_tries = 0
        self._exits_go = False
        self.stopped: str | None = None
        """Why only a person can help (captcha)."""

    def admit(self, urgency: Urgency, now: float) -> None:
        """Raises `NotHandled` with the wait when `urgency` has to rest now."""
        if self.stopped:
            raise NotHandled("p-captcha", self.stopped)
        if not self.active(now) or (self._status == 423 and urgency.protects):
            return
        if not urgency.protects:
            raise self._come_back(self._until - now)
        if now < self._exit_at and not self._exits_go:
            raise self._come_back(self._exit_at - now)

    def begin(self, status: int, now: float) -> NotHandled:
        """The broker answered `status`; the wait in the returned error is for what protects a position."""
        if status == 429 or not self.active(now):
            self._status = status
        if status == 429:
            self._exits_go = False
        self._until = max(self._until, now + self._rest)
        if self._exit_at <= now:
            self.space_exits(now)
        self._changed()
        return self._come_back(self._exit_at - now)

    def exit_worked(self, now: float) -> None:
        """A protecting call was answered: the others need not be spaced. Entries rest their time all the same."""
        self._exit_tries, self._exit_at, self._exits_go = 0, now, True

    def lift(self) -> None:
        """It was no penalty after all."""
        self._status, self._until = 0, 0.0
        self._exit_tries, self._exit_at, self._exits_go = 0, 0.0, False
        self._changed()

    def resume(self, status: int, seconds: float, now: float) -> None:
        """What the process before was asked to do: wait so much longer. Status 0 is a captcha."""
        if status == 0:
            self.stopped = CAPTCHA
        self._status, self._until = status, now + min(seconds, self._rest)

    def feels_its_way(self, now: float) -> bool:
        """A lock that has not let a protecting call through yet: they go one by one."""
        return self.active(now) and self._status == 429 and not self._exits_go

    def active(self, now: float) -> bool:
        return now < self._until

    def left(self, now: float) -> float:
        """Seconds until entries and reads may go again; infinite after a captcha."""
        return inf if self.stopped else max(self._until - now, 0.0)

    def captcha(self) -> NotHandled:
        """Only a person can go on from here."""
        self.stopped = CAPTCHA
        self._changed()
        return NotHandled("p-captcha", self.stopped)

    @property
    def status(self) -> int:
        return self._status

    def space_exits(self, now: float) -> None:
        """A protecting call goes out into the lock: the next one is due later and later."""
        self._exit_tries += 1
        self._exit_at = now + self._jitter.after(self._exit_tries)

    def _come_back(self, seconds: float) -> NotHandled:
        return NotHandled(str(self._status), "the broker asks to wait", wait=timedelta(seconds=max(seconds, SHORTEST)))
