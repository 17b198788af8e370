"""The recorders behind the webhook's tokens, held in memory: finding one costs a hash and a look-up.

One process serves one database, so what the API changes it also refreshes here. A token that was rotated out
stays good until it expires. Unknown, expired and of a disabled recorder look the same from outside.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from justtrades.api.parts import Parts
from justtrades.api.rates import Pace
from justtrades.api.watch import Watch
from justtrades.positions.recorder import Recorder
from justtrades.store import recorders
from justtrades.store.codec import recorder_text
from justtrades.store.recorders import ValidToken
from justtrades.store.secrets import hashed

_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Known:
    """A token that may send alerts, its recorder's rules ready to be stored with a signal, and its pace."""

    recorder: Recorder
    rules_json: str
    expires_at: datetime | None
    pace: Pace


@dataclass(slots=True)
class Tokens:
    per_minute: int
    heard_at: dict[str, datetime] = field(default_factory=dict)
    """When each recorder's alerts were last heard of, heartbeats included."""
    watch: Watch | None = None
    """Learns of every recorder whenever they are read."""
    _known: dict[str, Known] = field(default_factory=dict)
    _refreshing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def refresh(self, parts: Parts) -> None:
        """What is stored now. A token keeps its pace."""
        async with self._refreshing:  # one after the other: an older reading never replaces a newer one
            await self._read(parts)

    async def _read(self, parts: Parts) -> None:
        now = parts.clock()
        rows, valid = await parts.database.read(
            lambda c: (recorders.every(c, parts.box), recorders.valid_tokens(c, now))
        )
        if self.watch is not None:
            await self.watch.load()
            self.watch.know(row.recorder for row in rows)
        by_id = {row.recorder.id: row.recorder for row in rows}
        self._known = {token.hash: self._entry(token, by_id[token.recorder_id]) for token in valid}

    def find(self, token: str, now: datetime) -> Known | None:
        """None for a token that is unknown or expired, or whose recorder is disabled."""
        if len(token) > _LONGEST:
            return None
        found = self._known.get(hashed(token))
        if found is None or (found.expires_at is not None and found.expires_at <= now):
            return None
        return found

    def _entry(self, token: ValidToken, recorder: Recorder) -> Known:
        before = self._known.get(token.hash)
        pace = before.pace if before else Pace(self.per_minute)
        return Known(recorder, recorder_text(recorder), token.expires_at, pace)
