"""Engines over one database, opened the only way this program trusts.

A signal that was answered with 202 must survive a power cut, so what a database promises is asserted, never
assumed. SQLite: write-ahead log, `synchronous=FULL`, foreign keys, a busy timeout; `BEGIN IMMEDIATE` for the
one writer, so that it never finds itself a reader who cannot be promoted. PostgreSQL: `fsync` and
`synchronous_commit` on.

SQLite runs on the plain driver in a thread of ours: one hop per group of commits costs far less than one per
statement. The `+aiosqlite` in the address is therefore only a name there.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool, StaticPool

BUSY_TIMEOUT_MS: Final = 5_000
WAL_PAGES: Final = 1_000
"""The log is folded back every so many pages (4 MB): a log left to grow to 600 MB costs 1.5 s at start."""
WAL_BYTES_KEPT: Final = 16 * 1024 * 1024
READERS: Final = 4


class NotTrustworthy(Exception):
    """The database does not keep what it commits, or cannot be opened as required; says which and why."""


def parse(url: str) -> URL:
    """The address with the driver this program uses; ValueError for a database it does not know."""
    parsed = make_url(url)
    match parsed.get_backend_name():
        case "sqlite":
            return parsed.set(drivername="sqlite+pysqlite")
        case "postgresql":
            return parsed.set(drivername="postgresql+asyncpg")
        case other:
            raise ValueError(f"{other} is not a database this program knows: use sqlite or postgresql")


def is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def in_memory(url: URL) -> bool:
    """Nowhere on the disk: `:memory:`, or a named one (`file:name?mode=memory`) that a second connection keeps."""
    return is_sqlite(url) and (url.database in (None, "", ":memory:") or url.query.get("mode") == "memory")


def sqlite_writer(url: URL) -> Engine:
    """One connection that may write; its transactions begin immediately."""
    # A database in memory *is* its connection: everyone shares the one.
    pool = StaticPool if in_memory(url) else QueuePool
    engine = create_engine(url, poolclass=pool, connect_args=_sqlite_arguments(), query_cache_size=1_000)
    event.listen(engine, "connect", _prepare_writer)
    _begins_with(engine, "BEGIN IMMEDIATE")
    return engine


def sqlite_readers(url: URL) -> Engine:
    """A few connections that cannot write; each transaction is one snapshot."""
    engine = create_engine(
        url, poolclass=QueuePool, pool_size=READERS, max_overflow=0, connect_args=_sqlite_arguments()
    )
    event.listen(engine, "connect", _prepare_reader)
    _begins_with(engine, "BEGIN")
    return engine


def postgres(url: URL) -> AsyncEngine:
    """One connection for the writer and a few for readers."""
    settings = {"synchronous_commit": "on", "timezone": "UTC", "application_name": "justtrades"}
    return create_async_engine(
        url,
        pool_size=READERS + 1,
        max_overflow=0,
        pool_pre_ping=True,
        connect_args={"server_settings": settings},
    )


def assert_sqlite(connection: Connection, *, memory: bool) -> None:
    """NotTrustworthy unless what was asked for is what SQLite does."""
    wanted = {"synchronous": 2, "foreign_keys": 1, "busy_timeout": BUSY_TIMEOUT_MS}
    for name, value in wanted.items():
        _assert_pragma(connection, name, value)
    if not memory:
        _assert_pragma(connection, "journal_mode", "wal")


def assert_postgres(connection: Connection) -> None:
    """NotTrustworthy unless a commit that returned is on disk."""
    for name in ("fsync", "synchronous_commit"):
        found = connection.execute(text(f"SHOW {name}")).scalar_one()
        if found != "on":
            raise NotTrustworthy(f"PostgreSQL runs with {name}={found}; it must be on to keep what it commits")


def truncate_wal(connection: Connection) -> None:
    """Fold the log back into the database and empty it (as far as readers elsewhere let it)."""
    driver: Any = connection.connection.driver_connection  # past SQLAlchemy: no transaction may be open
    driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()


def _assert_pragma(connection: Connection, name: str, wanted: object) -> None:
    found = connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
    if found != wanted:
        raise NotTrustworthy(f"SQLite runs with {name}={found}; it must be {wanted} to keep what it commits")


def _sqlite_arguments() -> dict[str, Any]:
    # isolation_level None: transactions are begun by `_begins_with`, not by the driver's guesses.
    return {"check_same_thread": False, "isolation_level": None, "timeout": BUSY_TIMEOUT_MS / 1000}


def _prepare_writer(connection: Any, _record: object) -> None:
    # journal_mode first: it is the one that needs the file to itself for a moment.
    _run(connection, "journal_mode=WAL", "synchronous=FULL", f"wal_autocheckpoint={WAL_PAGES}")
    _run(connection, f"journal_size_limit={WAL_BYTES_KEPT}", "cache_size=-4000")
    _prepare_common(connection)


def _prepare_reader(connection: Any, _record: object) -> None:
    _prepare_common(connection)
    _run(connection, "query_only=ON")


def _prepare_common(connection: Any) -> None:
    _run(connection, "foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT_MS}", "temp_store=MEMORY")


def _run(connection: Any, *pragmas: str) -> None:
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}").close()


def _begins_with(engine: Engine, statement: str) -> None:
    """How each transaction begins. A listener for it would make SQLAlchemy look for listeners at every statement."""

    def begin(connection: Any) -> None:
        connection.execute(statement).close()

    engine.dialect.do_begin = begin  # type: ignore[method-assign,assignment]  # the one way without a listener
