"""Child processes: started until they say where they listen, weighed, and ended again.

Memory is PSS where the system tells it (Linux), else RSS; CPU is user and system time of the whole process.
"""

from __future__ import annotations

import os
import platform
import queue
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped]  # it ships no types

START_WITHIN: Final = 120.0
_URL: Final = re.compile(r"https?://[\w.]+:\d+")


class Ended(Exception):
    """A child ended, or did not get ready in time; carries the end of what it said."""


@dataclass(slots=True)
class Child:
    """A Python process of this environment that prints a line with its address once it is ready."""

    arguments: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    keeps: int = 200
    """Lines of what it prints."""
    url: str = ""
    _process: subprocess.Popen[str] | None = None
    _said: list[str] = field(default_factory=list)

    def __enter__(self) -> Child:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when the address was printed."""
        root = str(Path(__file__).resolve().parents[1])
        # Settings of this machine's owner never reach a measurement.
        kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("JUSTTRADES_")}
        self._process = subprocess.Popen(
            [sys.executable, *self.arguments],
            cwd=self.directory,
            env={**kept, "PYTHONPATH": root, "PYTHONUNBUFFERED": "1", **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._hear, args=(lines,), daemon=True).start()
        self.url = self._address(lines)

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def said(self) -> list[str]:
        """The last lines it printed."""
        return list(self._said)

    @property
    def cpu_seconds(self) -> float:
        times = self._weighed().cpu_times()
        return float(times.user + times.system)

    @property
    def memory(self) -> int:
        """Bytes."""
        info = self._weighed().memory_full_info()
        return int(getattr(info, "pss", 0) or info.rss)

    def pin(self, cores: list[int]) -> None:
        """Only where the system offers it."""
        if hasattr(psutil.Process, "cpu_affinity"):
            self._weighed().cpu_affinity(cores)

    def _weighed(self) -> psutil.Process:
        assert self._process is not None
        return psutil.Process(self._process.pid)

    def _hear(self, lines: queue.SimpleQueue[str | None]) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            for line in stream:
                self._said.append(line.rstrip())
                del self._said[: -self.keeps]
                lines.put(line)
        lines.put(None)

    def _address(self, lines: queue.SimpleQueue[str | None]) -> str:
        while True:
            try:
                line = lines.get(timeout=START_WITHIN)
            except queue.Empty:
                line = None
            if line is None:
                self.stop()
                raise Ended(f"{' '.join(self.arguments)} did not get ready:\n" + "\n".join(self.said))
            if ("ready" in line or "listens on" in line) and (found := _URL.search(line)):
                return found[0]


def module(name: str, *arguments: str, directory: Path) -> Child:
    return Child(("-m", name, *arguments), directory)


def machine() -> str:
    """One line: what the figures were taken on."""
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GB, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, load {_load()}"
    )


def _load() -> str:
    return f"{psutil.getloadavg()[0]:.1f} before"
