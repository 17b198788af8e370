"""Runs migrations on the connection it is given, or, for developers, on the address in alembic.ini.

`justtrades.store.migrate` passes its own connection in `config.attributes`, inside a transaction of its own: on
both databases a migration that fails leaves nothing behind.
"""

from __future__ import annotations

import asyncio

from sqlalchemy import Connection

from alembic import context
from justtrades.store import migrate
from justtrades.store.tables import Base


def run(connection: Connection) -> None:
    # batch: SQLite alters a table by copying it.
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


def main() -> None:
    given = context.config.attributes.get("connection")
    if given is not None:
        run(given)
    elif context.is_offline_mode():
        raise SystemExit("migrations run on a database, not as a script")
    else:
        url = context.get_x_argument(as_dictionary=True).get("url") or context.config.get_main_option("sqlalchemy.url")
        asyncio.run(migrate.on_connection(str(url), run))


main()
