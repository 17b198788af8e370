"""The newest schema without its migrations: they run once a process, and take longer than most tests.

`tests/store/test_migrate.py` is where the migrations themselves are tried.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import Connection

from justtrades.store import engines, migrate


def create(connection: Connection) -> None:
    """What `migrate.create` leaves in an empty SQLite database."""
    for statement in _statements():
        connection.exec_driver_sql(statement)


@cache
def _statements() -> tuple[str, ...]:
    engine = engines.sqlite_writer(engines.parse("sqlite+aiosqlite://"))
    with engine.begin() as connection:
        migrate.create(connection)
        driver = connection.connection.driver_connection
        assert driver is not None
        made = tuple(line for line in driver.iterdump() if line not in ("BEGIN TRANSACTION;", "COMMIT;"))
    engine.dispose()
    return made
