"""Ids that rise with time, so that "newest first" is simply the primary key backwards.

An id is 26 characters of Crockford's base 32 (the ULID layout): 48 bits of milliseconds, 80 bits of chance.
Two made in the same millisecond, or after the clock was set back, still rise: the later is the earlier plus one.
What was made before a restart is told by `rise_above`, for a clock may be set back while nothing runs.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

Clock = Callable[[], datetime]

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_CHANCE_BITS: Final = 80


class Ids:
    """Makes rising ids. Pass a seeded `rng` for a run that can be repeated."""

    def __init__(self, clock: Clock, rng: random.Random | None = None) -> None:
        self._clock = clock
        # No secret, only chance: a generator seeded by the system once is as good, and twenty times as quick.
        self._rng = rng or random.Random(random.SystemRandom().getrandbits(256))
        self._last = 0

    def new(self) -> str:
        fresh = _milliseconds(self._clock()) << _CHANCE_BITS | self._rng.getrandbits(_CHANCE_BITS)
        same_moment = fresh >> _CHANCE_BITS <= self._last >> _CHANCE_BITS
        self._last = self._last + 1 if same_moment else fresh
        return _text(self._last)

    def rise_above(self, made: str) -> None:
        """No id from now on is smaller than `made`, whatever the clock says. One of another make says nothing."""
        if len(made) == 26 and set(made) <= set(_ALPHABET):
            self._last = max(self._last, _number(made))


def floor(at: datetime) -> str:
    """The smallest id made at `at` or later: ids compare with it as their moments do."""
    return _text(_milliseconds(at) << _CHANCE_BITS)


def _milliseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MILLISECOND


def _number(text: str) -> int:
    number = 0
    for letter in text:
        number = number << 5 | _ALPHABET.index(letter)
    return number


def _text(number: int) -> str:
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])
