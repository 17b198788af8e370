"""How the events of one change reach a socket: whole and in order, or as the real thing sometimes does it.

Pure: frames of events in, texts with their delays out. Everything here has been seen or reported (protocol.md
sections 4 and 6): several events in a frame, an array of entities in one event, events twice, late or in another
order, bracket legs a third of a second after their parent and without their link ids, entities with fields that
nobody published, updates with few fields and without an eventType.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from random import Random
from typing import Any, Final

from justtrades.broker.simulator.documents import Entity, dumps
from justtrades.broker.simulator.tape import Event, Frame

_LINKS: Final = ("parentId", "ocoId", "linkedId")
_PARTIAL: Final = {"order": ("id", "ordStatus"), "command": ("id", "commandStatus")}


@dataclass(slots=True)
class Manners:
    """How events reach the sockets, until told otherwise. Seconds are for the event loop."""

    delay: float = 0.0
    duplicate: bool = False
    shuffle: bool = False
    lose: bool = False
    batch: bool = False
    arrays: bool = False
    late_legs: float = 0.0
    extra_fields: bool = False
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Parcel:
    """The array of one `a` frame, and after how many seconds it is sent."""

    text: str
    delay: float = 0.0


def parcels(frames: Sequence[Frame], manners: Manners, rng: Random) -> list[Parcel]:
    if manners.lose:
        return []
    prompt, late = _split(frames) if manners.late_legs else (frames, ())
    found = [Parcel(text, manners.delay) for text in _texts(prompt, manners)]
    found += [Parcel(text, manners.delay + manners.late_legs) for text in _texts(late, manners)]
    found = [parcel for parcel in found for _ in range(2 if manners.duplicate else 1)]
    if manners.shuffle:
        rng.shuffle(found)
    return found


def _texts(frames: Sequence[Frame], manners: Manners) -> Iterator[str]:
    if manners.batch and frames:
        frames = [tuple(chain.from_iterable(frames))]
    for frame in frames:
        yield dumps(list(_messages(frame, manners)))


def _messages(frame: Frame, manners: Manners) -> Iterator[Entity]:
    if not manners.arrays:
        yield from (_message(event, event.entity, manners) for event in frame)
        return
    kinds: dict[tuple[str, str], list[Event]] = {}
    for event in frame:
        kinds.setdefault((event.entity_type, event.event_type), []).append(event)
    for events in kinds.values():
        entities = [_shown(event, manners) for event in events]
        yield _message(events[0], entities if len(entities) > 1 else events[0].entity, manners)


def _message(event: Event, entity: Any, manners: Manners) -> Entity:
    told: Entity = {"entityType": event.entity_type}
    if not (manners.partial and _is_partial(event)):
        told["eventType"] = event.event_type
    return {"e": "props", "d": told | {"entity": entity if isinstance(entity, list) else _shown(event, manners)}}


def _shown(event: Event, manners: Manners) -> Entity:
    entity = event.entity
    if manners.partial and _is_partial(event):
        entity = {name: entity[name] for name in _PARTIAL[event.entity_type]}
    return entity | {"unpublished": {"since": 2026}} if manners.extra_fields else entity


def _is_partial(event: Event) -> bool:
    return event.event_type == "Updated" and event.entity_type in _PARTIAL


# ── legs that come late ──────────────────────────────────────────────────────────────────────────────────


def _split(frames: Sequence[Frame]) -> tuple[list[Frame], list[Frame]]:
    """The events about bracket legs apart from the others, each in its order."""
    orders = (event.entity for frame in frames for event in frame if event.entity_type == "order")
    legs = {order["id"] for order in orders if "parentId" in order}
    prompt = [tuple(event for event in frame if not _about(event, legs)) for frame in frames]
    late = [tuple(_unlinked(event) for event in frame if _about(event, legs)) for frame in frames]
    return _not_empty(prompt), _not_empty(late)


def _about(event: Event, legs: set[int]) -> bool:
    entity = event.entity
    keys = (entity["id"],) if event.entity_type == "order" else (entity.get("orderId"), entity.get("commandId"))
    return any(key in legs for key in keys)


def _unlinked(event: Event) -> Event:
    if event.entity_type != "order" or event.event_type != "Created":
        return event
    kept = {name: value for name, value in event.entity.items() if name not in _LINKS}
    return Event(event.entity_type, event.event_type, kept)


def _not_empty(frames: Iterable[Frame]) -> list[Frame]:
    return [frame for frame in frames if frame]
