"""The schema: up, down and up again on both databases, the same as the models, checked and copied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from justtrades.store import migrate
from justtrades.store.session import Database
from justtrades.store.tables import Base
from tests.store.conftest import Clock


async def test_up_down_and_up_again(url: str) -> None:
    await migrate.upgrade(url)
    head = await migrate.revision(url)
    await migrate.downgrade(url, "base")
    left = await migrate.on_connection(url, lambda c: inspect(c).get_table_names())
    assert left == ["alembic_version"]
    await migrate.upgrade(url)
    assert await migrate.revision(url) == head is not None


def test_the_head_is_the_newest_script() -> None:
    scripts = ScriptDirectory(str(migrate.scripts()))
    assert scripts.get_current_head() == migrate.HEAD


async def test_upgrading_what_is_newest_changes_nothing(url: str) -> None:
    await migrate.upgrade(url)
    await migrate.upgrade(url)
    assert await migrate.check(url) == []


async def test_the_migrations_make_exactly_the_models(url: str) -> None:
    def difference(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, Base.metadata))

    await migrate.upgrade(url)
    assert await migrate.on_connection(url, difference) == []


async def test_partial_indexes_are_the_same_in_models_and_migrations(sqlite_url: str, tmp_path: Path) -> None:
    """What alembic does not compare: the conditions, and everything else SQLite keeps as text."""

    def indexes(connection: Connection) -> set[str]:
        found = connection.execute(text("SELECT sql FROM sqlite_master WHERE type='index' AND sql IS NOT NULL"))
        return set(found.scalars())

    await migrate.upgrade(sqlite_url)
    models = f"sqlite:///{(tmp_path / 'models.db').as_posix()}"
    await migrate.on_connection(models, Base.metadata.create_all)
    assert await migrate.on_connection(sqlite_url, indexes) == await migrate.on_connection(models, indexes)


async def test_a_database_of_a_newer_version_is_left_alone(url: str) -> None:
    await migrate.upgrade(url)
    await migrate.on_connection(
        url, lambda c: c.execute(text("UPDATE alembic_version SET version_num='9999'")).rowcount
    )
    with pytest.raises(migrate.NewerSchema, match="9999"):
        await migrate.upgrade(url)


async def test_a_migration_that_fails_leaves_nothing_behind(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(connection: Connection, revision: str) -> None:
        original(connection, revision)
        raise RuntimeError("the power is gone")

    original = migrate._upgrade
    monkeypatch.setattr(migrate, "_upgrade", broken)
    with pytest.raises(RuntimeError, match="power"):
        await migrate.upgrade(url)
    assert await migrate.on_connection(url, lambda c: inspect(c).get_table_names()) == []


async def test_check_tells_a_missing_schema_and_a_row_without_its_parent(sqlite_url: str) -> None:
    (missing,) = await migrate.check(sqlite_url)
    assert "db upgrade" in missing
    await migrate.upgrade(sqlite_url)

    def orphan(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        driver: Any = connection.connection.driver_connection
        driver.execute("COMMIT")
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("BEGIN")
        columns = "(signal_id, account_id, contract, status)"
        connection.exec_driver_sql(f"INSERT INTO signal_routes {columns} VALUES ('none', 'a', '', 'done')")

    await migrate.on_connection(sqlite_url, orphan)
    (problem,) = await migrate.check(sqlite_url)
    assert "signal_routes" in problem


async def test_a_backup_is_a_whole_copy_taken_while_the_engine_writes(
    lite: Database, sqlite_url: str, tmp_path: Path
) -> None:
    target = tmp_path / "copy.db"
    insert = text("INSERT INTO switches (name, is_on, at) VALUES ('x', 1, '2026-01-01T00:00:00.000000Z')")
    await lite.write(lambda c: c.execute(insert).rowcount)
    await migrate.backup(sqlite_url, target)
    copy = f"sqlite:///{target.as_posix()}"
    assert await migrate.check(copy) == []
    names = await migrate.on_connection(copy, lambda c: c.execute(text("SELECT name FROM switches")).scalars().all())
    assert names == ["x"]
    with pytest.raises(FileExistsError):
        await migrate.backup(sqlite_url, target)


async def test_only_sqlite_files_are_copied_here(tmp_path: Path) -> None:
    for url in ("postgresql+asyncpg://localhost/x", "sqlite+aiosqlite://"):
        with pytest.raises(ValueError, match="pg_dump"):
            await migrate.backup(url, tmp_path / "copy.db")


async def test_a_database_in_memory_gets_the_schema_too(clock: Clock) -> None:
    db = Database("sqlite+aiosqlite://", clock=clock, inline=True)
    await db.open()
    await db.write(migrate.create)
    assert "signals" in await db.read(lambda c: inspect(c).get_table_names())
    await db.close()
