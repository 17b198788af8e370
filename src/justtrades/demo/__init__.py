"""`justtrades demo`: the real engine, the paper broker and seven short scenes, all on this machine.

Nothing here plays the engine's part. A real `serve` runs in this process, on free ports and in a temporary
folder, with a SQLite database and the embedded Tradovate simulator. The demo is a client: it sends alerts to the
webhook as TradingView does, moves the simulator's prices, and tells what the engine's own API says. At the end
it compares the engine's books with the broker's ledger, and each scene with what it promised; only if all of
that is true the exit code is 0.

Of the user's settings nothing is read: no `.env`, no `JUSTTRADES_…`, no proxy.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Final, TypeVar

from pydantic import SecretStr

from justtrades.app import Cannot, Engine, engine, run_loop
from justtrades.demo.client import Client, Failed, connected
from justtrades.demo.keep import first_recorder, stay
from justtrades.demo.show import Show, make_console
from justtrades.demo.story import tell
from justtrades.settings import GivenSettings, Settings
from justtrades.store.secrets import new_key

__all__ = ["run"]

T = TypeVar("T")

PREFERRED_PORT: Final = 8000
LOG: Final = "engine.log"
STOPPED: Final = "stopped before the end."


@dataclass(slots=True)
class Demo:
    """One run. `matched` once the story was told to its end and everything in it was true."""

    folder: Path
    show: Show
    keep: bool
    pace: float  # for the event loop
    matched: bool = False
    stays: bool = field(default=False, init=False)

    async def run(self) -> None:
        settings = _settings(self.folder, keep=self.keep)
        by_hand = await first_recorder(settings) if self.keep else None
        async with engine(settings, demo_token=by_hand.token if by_hand else None) as running:
            paper_url = running.paper_url
            if paper_url is None:
                raise Failed("the paper broker did not start")
            async with connected(running.url, running.local_key, paper_url) as client:
                self.matched = await _while_it_runs(running, lambda: self._tell(running, client))
                if by_hand is not None:
                    self.stays = True
                    await _while_it_runs(running, lambda: stay(self.show, client, running, by_hand, self.folder))

    async def _tell(self, running: Engine, client: Client) -> bool:
        self.show.say("justtrades: TradingView alerts become protected, closed, recorded trades.", "bold")
        self.show.say(f"The engine listens on {running.url}, for alerts at /webhook/{{token}};", "dim")
        self.show.say(f"its broker is a simulated Tradovate on {running.paper_url}.", "dim")
        return await tell(client, self.show, self.pace)


def run(keep: bool = False, *, pace: float = 1.0) -> int:
    """Tells the story; the exit code of the process: 0 only when the books match and every scene kept its word.

    `keep` leaves the engine up until Ctrl-C, and its files in place. `pace` stretches the pauses for reading.
    """
    began = perf_counter()
    show = Show(make_console(), lambda: perf_counter() - began)
    folder = Path(tempfile.mkdtemp(prefix="justtrades-demo-"))
    try:
        return _run(Demo(folder, show, keep, pace))
    except SystemExit:  # nobody reads any more: the pipe was closed
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _run(demo: Demo) -> int:
    with _logged(demo.folder / LOG):
        problem = _played(demo)
    if problem is not None:
        demo.show.say(f"justtrades demo: {problem}", "bold red")
    _leave(demo, problem)
    return 0 if demo.matched and problem is None else 1


def _played(demo: Demo) -> str | None:
    """What went wrong, in one sentence; None when nothing did."""
    try:
        run_loop(demo.run())
    except KeyboardInterrupt:
        return None if demo.stays else STOPPED
    except (Failed, Cannot) as error:
        return f"{error}."
    # The door of the program: whatever it was, a person gets one sentence and the log has the rest.
    except Exception as error:
        logging.getLogger(__name__).exception("the demo failed")
        return f"{type(error).__name__}: {error}. The log has the details."
    return None


def _leave(demo: Demo, problem: str | None) -> None:
    """Nothing stays behind, unless it was asked for or may explain what went wrong."""
    if demo.keep or not (demo.matched or problem == STOPPED):
        demo.show.copied(f"Files of this run (database, broker's ledger, {LOG}): {demo.folder}")
    else:
        shutil.rmtree(demo.folder, ignore_errors=True)


async def _while_it_runs(running: Engine, work: Callable[[], Awaitable[T]]) -> T:
    """The work's result; `Failed` when the engine ends before it does."""
    task = asyncio.ensure_future(work())
    ends: set[asyncio.Future[Any]] = {task, running.ended}
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        error = running.ended.exception()
        raise Failed(f"the engine has ended: {error}" if error else "the engine has ended")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# ── surroundings ─────────────────────────────────────────────────────────────────────────────────────────


def _settings(folder: Path, *, keep: bool) -> Settings:
    return GivenSettings(
        host="127.0.0.1",
        port=PREFERRED_PORT if keep and _is_free(PREFERRED_PORT) else 0,
        database_url=f"sqlite+aiosqlite:///{(folder / 'justtrades.db').as_posix()}",
        secret_key=SecretStr(new_key()),
        paper_market="alerts",
        budget_per_minute=1_000,  # seven scenes in half a minute are busier than a trading day
    )


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@contextmanager
def _logged(file: Path) -> Iterator[None]:
    """The engine's log goes to a file: the console belongs to the story."""
    root, writes = logging.getLogger(), logging.FileHandler(file, encoding="utf-8")
    writes.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    before, root.handlers, level = root.handlers, [writes], root.level
    root.setLevel(logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        yield
    finally:
        root.handlers = before
        root.setLevel(level)
        writes.close()
