"""The secret key: where it comes from, and how it is exchanged for another without a moment in which it could be lost.

    write the new key beside the old one (`justtrades.key.new`) ▸ seal everything anew, one commit ▸ rename over the old

The commit decides. A crash before it leaves a new key that opens nothing: it is put away. A crash after it leaves an
old key that opens nothing: the new one takes its place. Which of the two it was, the database itself says when it is
opened next.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from justtrades.settings import Settings, secret_file
from justtrades.store import migrate
from justtrades.store.resealing import Resealed, opens, reseal
from justtrades.store.secrets import Box, new_key

NEW: Final = ".new"


class Unfit(Exception):
    """No key, or one that does not fit; the text is one sentence."""


async def settled(settings: Settings) -> str:
    """The key to use, from the settings or from its file, made on first start; an exchange that a crash broke off is
    brought to its end. ValueError or OSError for a key that cannot be used."""
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value()
    path = secret_file(settings)
    coming = _coming(path)
    if coming.exists() and path.exists():
        _put_in_place(coming, path) if await _fits(settings, coming) else coming.unlink()
    if not path.exists():
        write_private(path, new_key())
    return _read(path)


async def at_hand(settings: Settings) -> str | None:
    """The key to read with, while nobody has the lock: nothing is made and nothing moved. None when there is none."""
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value()
    path = secret_file(settings)
    coming = _coming(path)
    if coming.exists() and await _fits(settings, coming):
        return _read(coming)
    return _read(path) if path.exists() else None


async def _fits(settings: Settings, path: Path) -> bool:
    """Whether the database is sealed with the key of this file."""
    return bool(await migrate.on_connection(settings.database_url, lambda c: opens(c, Box(_read(path)))))


async def exchange(settings: Settings, key: str | None = None) -> Resealed:
    """Seal everything with a new key, made here unless given. Under the engine's lock. Raises `NotOpened`, `Unfit`."""
    old = await settled(settings)
    if settings.secret_key is not None:
        if key is None:
            raise Unfit("the key is in JUSTTRADES_SECRET_KEY: give the new one, and put it there afterwards")
        return await _reseal(settings, old, key)
    path = secret_file(settings)
    coming = _coming(path)
    write_private(coming, key or new_key())
    try:
        done = await _reseal(settings, old, _read(coming))
    except Exception:
        if not await _fits(settings, coming):
            coming.unlink()
        raise
    _put_in_place(coming, path)
    return done


async def _reseal(settings: Settings, old: str, new: str) -> Resealed:
    return await migrate.on_connection(settings.database_url, lambda c: reseal(c, Box(old), Box(new)))


def write_private(path: Path, text_: str) -> None:
    """Readable by its owner only, from the first byte on; on the disk when it returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # a file that is there already would keep its mode
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text_ + "\n")
        file.flush()
        os.fsync(file.fileno())
    _sync(path.parent)


def _put_in_place(coming: Path, path: Path) -> None:
    coming.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """A name is on the disk when its folder is; Windows knows no such thing."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _coming(path: Path) -> Path:
    return path.with_name(path.name + NEW)


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()
