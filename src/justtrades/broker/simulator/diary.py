"""What has struck: one line each, kept for who asks and told to who listens."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Final

_KEPT: Final = 1_000


class Diary:
    def __init__(self, clock: Callable[[], datetime], tell: Callable[[str], None] | None = None) -> None:
        self._clock = clock
        self._tell = tell
        self._lines: deque[dict[str, str]] = deque(maxlen=_KEPT)

    def note(self, text: str) -> None:
        self._lines.append({"at": f"{self._clock():%Y-%m-%dT%H:%M:%SZ}", "what": text})
        if self._tell is not None:
            self._tell(f"fault: {text}")

    @property
    def lines(self) -> list[dict[str, str]]:
        return list(self._lines)
