"""A power cut, as SQLite would see it: the write-ahead log ends somewhere, and everything answered is still there.

Killing a process cannot show this, because the system keeps what was written. So the log is cut off where SQLite had
flushed it when each write was acknowledged, and in the middle of what came after, and the database is opened on what
is left.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from justtrades.positions.model import SignalId
from justtrades.store import engines, migrate, signals
from justtrades.store.session import Database
from tests.store import flushes
from tests.store.conftest import Clock

ALERTS = 40


@dataclass(frozen=True)
class Flushed:
    """How long the log on the disk was when so many alerts had been acknowledged."""

    acknowledged: int
    length: int


@pytest.fixture
async def written(tmp_path: Path, clock: Clock) -> tuple[Path, list[Flushed]]:
    """A database with its log as they stand on the disk while the engine runs, and where each write ended."""
    cut = tmp_path / "cut"
    cut.mkdir()
    try:
        with flushes.heard() as lengths:
            return await _write(tmp_path / "live.db", cut, clock, lengths)
    except flushes.Hidden:
        pytest.skip("the driver of this Python hides SQLite, so nobody hears what it flushes")


async def _write(live: Path, cut: Path, clock: Clock, lengths: dict[Path, int]) -> tuple[Path, list[Flushed]]:
    await migrate.upgrade(f"sqlite+aiosqlite:///{live}")
    database = Database(f"sqlite+aiosqlite:///{live}", clock=clock)
    await database.open()
    log = Path(f"{live}-wal")
    flushed = []
    try:
        for number in range(ALERTS):
            new = signals.NewSignal(SignalId(f"s{number:03}"), clock(), "webhook", content_hash=f"h{number}")
            await database.write(lambda c, n=new: signals.accept(c, n))  # type: ignore[misc]  # bound now
            flushed.append(Flushed(number + 1, lengths.get(log, 0)))
        shutil.copy(live, cut / "engine.db")
        shutil.copy(log, cut / "engine.db-wal")
    finally:
        await database.close()
    return cut / "engine.db", flushed


def opened(database: Path, log: bytes, folder: Path) -> list[str]:
    """The alerts a database shows when its log ends like this, after a check of its integrity."""
    folder.mkdir()
    shutil.copy(database, folder / "engine.db")
    (folder / "engine.db-wal").write_bytes(log)
    engine = engines.sqlite_writer(engines.parse(f"sqlite+aiosqlite:///{folder / 'engine.db'}"))
    try:
        with engine.begin() as connection:
            assert connection.exec_driver_sql("pragma integrity_check").scalar_one() == "ok"
            return list(connection.exec_driver_sql("select id from signals order by id").scalars())
    finally:
        engine.dispose()


def test_a_log_cut_at_any_flush_holds_every_alert_acknowledged_until_then(
    written: tuple[Path, list[Flushed]], tmp_path: Path
) -> None:
    database, flushed = written
    log = Path(f"{database}-wal").read_bytes()
    assert flushed[-1].length <= len(log), "the log was checkpointed: the test cut nothing"
    for point in flushed:
        found = opened(database, log[: point.length], tmp_path / f"at-{point.acknowledged}")
        assert found == [f"s{n:03}" for n in range(point.acknowledged)]


def test_a_log_torn_in_the_middle_of_a_write_holds_all_before_it(
    written: tuple[Path, list[Flushed]], tmp_path: Path
) -> None:
    """What was not acknowledged may be there or not, but never in part, and nothing older is lost."""
    database, flushed = written
    log = Path(f"{database}-wal").read_bytes()
    for before, after in zip(flushed[::4], flushed[1::4], strict=False):
        for length in (before.length + 1, (before.length + after.length) // 2, after.length - 1):
            found = opened(database, log[:length], tmp_path / f"torn-{length}")
            assert found[: before.acknowledged] == [f"s{n:03}" for n in range(before.acknowledged)]
            assert len(found) <= after.acknowledged


def test_garbage_after_the_last_flush_is_not_read(written: tuple[Path, list[Flushed]], tmp_path: Path) -> None:
    """A disk may have put anything behind the last flush."""
    database, flushed = written
    log, half = Path(f"{database}-wal").read_bytes(), flushed[ALERTS // 2]
    torn = log[: half.length] + bytes(255 - b for b in log[half.length :])
    assert len(opened(database, torn, tmp_path / "garbage")) == half.acknowledged
