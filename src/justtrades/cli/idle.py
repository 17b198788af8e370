"""The desk of an engine that does not run: it knows of nothing, and nothing can be asked of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from justtrades.api.parts import LaneView
from justtrades.broker.port import Health
from justtrades.cli.errors import Failed
from justtrades.positions.model import ConnectionId
from justtrades.rehearse import Arrival, Books, Rehearsed, rehearsed
from justtrades.store.switches import Kill


@dataclass(frozen=True, slots=True)
class IdleDesk:
    """What is stored of the kill switch; every act ends with `Failed`."""

    kill_stored: Kill
    books: Books

    async def rehearsed(self, arrival: Arrival) -> tuple[Rehearsed, ...]:
        """On what was known when the engine stopped."""
        return rehearsed(self.books, arrival, arrival.received_at)

    def kill_state(self) -> Kill:
        return self.kill_stored

    def lanes(self) -> tuple[LaneView, ...]:
        return ()

    def health(self, connection_id: ConnectionId) -> Health | None:
        return None

    def not_ready(self) -> tuple[str, ...]:
        return ("no engine is running",)

    def dispatch(self, arrival: object) -> NoReturn:
        raise Failed("no engine is running")

    async def close(self, *_: object, **__: object) -> NoReturn:
        raise Failed("no engine is running")

    flatten = kill = reconcile = compare = resume = resume_account = connections_changed = test_connection = close
