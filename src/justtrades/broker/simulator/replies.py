"""What comes back from an operation: a status, a text, and events that are told once it has been answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from justtrades.broker.simulator.documents import dumps
from justtrades.broker.simulator.tape import Frame

JSON: Final = "application/json"
TEXT: Final = "text/plain"
HTML: Final = "text/html"


@dataclass(frozen=True, slots=True)
class Reply:
    """`cut`: there is no answer, the connection is closed instead."""

    status: int
    text: str
    kind: str = JSON
    frames: Sequence[Frame] = ()
    cut: bool = False


def ok(value: object, frames: Sequence[Frame] = ()) -> Reply:
    return Reply(200, dumps(value), frames=frames)


def array(texts: Sequence[str]) -> Reply:
    return Reply(200, f"[{','.join(texts)}]")


def plain(status: int, text: str) -> Reply:
    return Reply(status, text, TEXT)


DENIED: Final = plain(401, "Access is denied")
NOT_FOUND: Final = plain(404, "")
