"""What a change at the venue leaves behind: an answer for the caller and the events for everyone.

Events are grouped in frames, as the real server groups them: a new order, its command and its version come in
one frame, most later events in frames of their own (protocol.md section 6, recorded).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from justtrades.broker.simulator.documents import Entity

PRIVATE: Final = "_"
"""Entity types beginning so are the venue's own memory: kept in the ledger, never shown to a client."""


@dataclass(frozen=True, slots=True)
class Event:
    """`entity_type` was Created or Updated (`event_type`); `entity` is the whole document."""

    entity_type: str
    event_type: str
    entity: Entity

    @property
    def message(self) -> Entity:
        return {
            "e": "props",
            "d": {"entityType": self.entity_type, "eventType": self.event_type, "entity": self.entity},
        }


Frame = tuple[Event, ...]


@dataclass(slots=True)
class Tape:
    """Collects the events of one change, in order."""

    frames: list[Frame] = field(default_factory=list)
    _open: list[Event] = field(default_factory=list)

    def created(self, entity_type: str, entity: Entity) -> None:
        self._open.append(Event(entity_type, "Created", entity))

    def updated(self, entity_type: str, entity: Entity) -> None:
        self._open.append(Event(entity_type, "Updated", entity))

    def cut(self) -> None:
        """End the frame here."""
        if self._open:
            self.frames.append(tuple(self._open))
            self._open.clear()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer of an operation (HTTP 200) and what it changed."""

    answer: Entity
    frames: tuple[Frame, ...] = ()

    @property
    def events(self) -> Iterator[Event]:
        return (event for frame in self.frames for event in frame)
