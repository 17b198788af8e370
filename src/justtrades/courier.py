"""Carries one message to one service, in a process of its own that ends with it.

The library that speaks a hundred services (apprise) is large, waits while it works, and writes addresses with their
tokens into its log. In a child process it costs the engine neither memory nor a moment, can be ended when it
hangs, and has no log to write to. The child gets the address over its standard input (a command line can be read by
everybody on the machine) and none of our settings; it says one word.

    python -m justtrades.courier < {"url", "title", "body"}   →   sent | refused | unknown
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

WITHIN: Final = 20.0
"""Seconds one message may take."""
_OURS: Final = "JUSTTRADES_"


class Delivery(StrEnum):
    SENT = "sent"
    REFUSED = "refused"
    """The service did not take it, or was not reached."""
    UNKNOWN = "unknown"
    """No service is known by such an address."""
    LATE = "late"


class Courier(Protocol):
    async def deliver(self, url: str, title: str, body: str) -> Delivery:
        """Carries it once. Without title and body: only tells whether such a service is known."""


@dataclass(frozen=True, slots=True)
class ChildCourier:
    within: float = WITHIN

    async def deliver(self, url: str, title: str, body: str) -> Delivery:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "justtrades.courier"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={name: value for name, value in os.environ.items() if not name.startswith(_OURS)},
        )
        try:
            async with asyncio.timeout(self.within):
                said, _ = await child.communicate(json.dumps({"url": url, "title": title, "body": body}).encode())
        except TimeoutError:
            return Delivery.LATE
        finally:
            await _end(child)
        words = said.decode("utf-8", "replace").split()
        return Delivery(words[-1]) if words and words[-1] in set(Delivery) else Delivery.REFUSED


async def _end(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


def carry(told: dict[str, str]) -> Delivery:
    """In the child: one message by apprise."""
    import apprise

    place = apprise.Apprise()
    if not place.add(told["url"]):
        return Delivery.UNKNOWN
    if not told["title"] and not told["body"]:
        return Delivery.SENT
    taken = place.notify(title=told["title"], body=told["body"], body_format=apprise.NotifyFormat.TEXT)
    return Delivery.SENT if taken else Delivery.REFUSED


if __name__ == "__main__":
    print(carry(json.load(sys.stdin)).value)
