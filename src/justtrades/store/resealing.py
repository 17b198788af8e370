"""A new secret key: everything sealed with the old one is sealed anew, all of it or nothing.

Every sealed column is named here, with how its values are bound to their rows; a test fails when a column of bytes
is in neither list. What neither key opens stops the change and leaves everything as it was.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, Connection, select

from justtrades.store import notifications, ration
from justtrades.store.connections import about as about_connection
from justtrades.store.recorders import about as about_recorder
from justtrades.store.secrets import Box, NotOpened
from justtrades.store.tables import connections, notification_targets, recorders, switches


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed column; `about` names the row it is bound to, by the row's key. `text`: kept in base 64."""

    column: Column[Any]
    key: Column[Any]
    about: Callable[[str], str]
    text: bool = False


SEALED: Final = (
    Sealed(connections.c.secrets, connections.c.id, lambda key: about_connection(key, "secrets")),
    Sealed(connections.c.token, connections.c.id, lambda key: about_connection(key, "token")),
    Sealed(recorders.c.secret, recorders.c.id, about_recorder),
    Sealed(notification_targets.c.url, notification_targets.c.id, notifications.about),
    Sealed(switches.c.reason, switches.c.name, ration.about_name, text=True),
)


@dataclass(frozen=True, slots=True)
class Resealed:
    """How many values were sealed anew, and how many the new key opened already."""

    changed: int
    already: int


def reseal(connection: Connection, old: Box, new: Box) -> Resealed:
    """Raises `NotOpened`, and then nothing may be committed."""
    changed = already = 0
    for sealed in SEALED:
        for key, value in list(_values(connection, sealed)):
            about = sealed.about(key)
            if _opens(new, value, about):
                already += 1
                continue
            try:
                again = new.seal(old.open(value, about), about)
            except NotOpened:
                if sealed.text:  # a count that does not open starts anew (see `ration`): no reason to stop
                    continue
                raise
            kept = base64.b64encode(again).decode() if sealed.text else again
            statement = sealed.column.table.update().where(sealed.key == key).values({sealed.column: kept})
            connection.execute(statement)
            changed += 1
    return Resealed(changed, already)


def opens(connection: Connection, box: Box) -> bool | None:
    """Whether this key opens anything that is sealed here; None when nothing is sealed."""
    found = [_opens(box, value, sealed.about(key)) for sealed in SEALED for key, value in _values(connection, sealed)]
    return any(found) if found else None


def _values(connection: Connection, sealed: Sealed) -> Iterator[tuple[str, bytes]]:
    for key, value in connection.execute(select(sealed.key, sealed.column).where(sealed.column.is_not(None))):
        if not sealed.text:
            yield key, value
        elif key.startswith(ration.NAMES):
            try:
                yield key, base64.b64decode(value, validate=True)
            except (binascii.Error, ValueError):
                continue


def _opens(box: Box, value: bytes, about: str) -> bool:
    try:
        box.open(value, about)
    except NotOpened:
        return False
    return True
