"""The JSON texts that stand in `*_json` columns: lanes, events, commands, readings, recorders.

Pydantic reads and writes the frozen dataclasses of `positions` as they are: decimals as strings, moments as
RFC 3339 in UTC, and only the fields that differ from their default, so that a text stays short and a field
added later has its default in old rows. Events and commands are written as `{"TypeName": {…}}`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final, get_args

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from justtrades.positions.commands import Command
from justtrades.positions.events import Event
from justtrades.positions.model import Lane
from justtrades.positions.recorder import Reading, Recorder

_lane: Final = TypeAdapter(Lane)
_reading: Final = TypeAdapter(Reading)
_recorder: Final = TypeAdapter(Recorder)
_events: Final[dict[str, TypeAdapter[Any]]] = {t.__name__: TypeAdapter(t) for t in get_args(Event)}
_commands: Final[dict[str, TypeAdapter[Any]]] = {t.__name__: TypeAdapter(t) for t in get_args(Command)}
_news: Final = {"news"}


def lane_text(lane: Lane) -> str:
    """Everything but `news`, which is told once and never stored here."""
    return _lane.dump_json(lane, exclude=_news, exclude_defaults=True).decode()


def lane_from(text: str) -> Lane:
    return _lane.validate_json(text)


def event_text(event: Event) -> str:
    return _tagged(_events, event)


def event_from(text: str) -> Event:
    event: Event = _untagged(_events, from_json(text))
    return event


def commands_text(commands: Iterable[Command]) -> str:
    return f"[{','.join(_tagged(_commands, command) for command in commands)}]"


def commands_from(text: str) -> tuple[Command, ...]:
    return tuple(_untagged(_commands, tagged) for tagged in from_json(text))


def reading_text(reading: Reading) -> str:
    return _reading.dump_json(reading, exclude_defaults=True).decode()


def reading_from(text: str) -> Reading:
    return _reading.validate_json(text)


def recorder_text(recorder: Recorder) -> str:
    """The rules without the secret an alert must carry: that one is sealed in a column of its own."""
    return _recorder.dump_json(replace(recorder, secret=None), exclude_defaults=True).decode()


def recorder_from(text: str) -> Recorder:
    return _recorder.validate_json(text)


def _tagged(adapters: dict[str, TypeAdapter[Any]], value: object) -> str:
    name = type(value).__name__
    return f'{{"{name}":{adapters[name].dump_json(value, exclude_defaults=True).decode()}}}'


def _untagged(adapters: dict[str, TypeAdapter[Any]], tagged: dict[str, Any]) -> Any:
    ((name, fields),) = tagged.items()
    return adapters[name].validate_json(to_json(fields))
