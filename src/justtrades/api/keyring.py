"""The keys that open `/api/v1`, held in memory: what was presented is hashed and compared with each in constant time.

One process serves one database, so what the API changes it also refreshes here, before it answers: a revoked key
stops at once. When a key was last used is kept at most once a minute.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from justtrades.api.parts import Parts
from justtrades.store import keys
from justtrades.store.keys import FIRST, Key, Scope
from justtrades.store.secrets import hashed
from justtrades.store.session import NotDurable

_NOTED_EVERY: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who presents a key: `by` is what the audit calls them."""

    by: str
    scope: Scope


@dataclass(slots=True)
class Keyring:
    last_used: dict[str, datetime] = field(default_factory=dict)
    """By the key's id, since the start."""
    _noted: dict[str, datetime] = field(default_factory=dict)
    _keys: tuple[Key, ...] | None = None
    _refreshing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def refresh(self, parts: Parts) -> None:
        """What is stored now. A key of the settings replaces the one that was made at the first start."""
        async with self._refreshing:  # one after the other: an older reading never replaces a newer one
            found = await parts.database.read(keys.every)
            self._keys = tuple(key for key in found if in_force(parts, key))

    async def find(self, parts: Parts, presented: str) -> Holder | None:
        """None for a key that is not good from anywhere."""
        if self._keys is None:
            await self.refresh(parts)
        given = hashed(presented)
        own = [hmac.compare_digest(given, known) for known in parts.admin_hashes]
        stored = [key for key in self._keys or () if hmac.compare_digest(given, key.hash)]
        if any(own):
            return Holder("admin key", Scope.ADMIN)
        if not stored:
            return None
        self._note(parts, stored[0])
        return Holder("admin key" if stored[0].id == FIRST else f"key {stored[0].name}", stored[0].scope)

    def _note(self, parts: Parts, key: Key) -> None:
        now = parts.clock()
        self.last_used[key.id] = now
        before = self._noted.get(key.id)
        if before is not None and now - before < _NOTED_EVERY:
            return
        self._noted[key.id] = now
        with contextlib.suppress(NotDurable):  # it is told again with the next use
            parts.database.post(partial(keys.note_used, used={key.id: now}))


def in_force(parts: Parts, key: Key) -> bool:
    return key.id != FIRST or parts.settings.admin_key is None
