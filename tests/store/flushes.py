"""Hears what SQLite flushes of its write-ahead logs: a step between the library and its files.

`PRAGMA synchronous` says what was asked for; here is seen what is done. The step stands in the library's own table
of file calls (sqlite3_vfs and sqlite3_io_methods of its C interface), so the driver and the engine notice nothing.
"""

from __future__ import annotations

import _sqlite3
import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_void_p
from pathlib import Path
from typing import Any, Final

_OK: Final = 0
_IS_A_LOG: Final = 0x00080000
_AFTER_SYNC: Final = (
    *("size", "lock", "unlock", "reserved", "control", "sector", "device"),
    *("shm_map", "shm_lock", "shm_barrier", "shm_unmap", "fetch", "unfetch"),
)
# The name is passed on as the address it came at: the library keeps it as long as the file is open.
_OPEN: Final = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_SYNC: Final = CFUNCTYPE(c_int, c_void_p, c_int)


class _Methods(Structure):
    _fields_ = (
        ("version", c_int),
        *((name, c_void_p) for name in ("close", "read", "write", "truncate", "sync", *_AFTER_SYNC)),
    )


class _File(Structure):
    _fields_ = (("methods", POINTER(_Methods)),)


class _Files(Structure):
    """The beginning of sqlite3_vfs, as far as the call that opens."""

    _fields_ = (
        *((name, c_int) for name in ("version", "file_size", "longest_name")),
        *(("next", c_void_p), ("name", c_char_p), ("data", c_void_p), ("open", c_void_p)),
    )


class Hidden(Exception):
    """This Python's driver does not show the library it is built on."""


@contextmanager
def heard() -> Iterator[dict[Path, int]]:
    """How long each log opened from now on was at its last flush. All of them must be closed again within."""
    files = _files()
    lengths: dict[Path, int] = {}
    alive: list[Any] = []  # what the library points to
    open_before = ctypes.cast(files.open, _OPEN)

    def opened(where: int, name: int, file: int, flags: int, out: int) -> int:
        code: int = open_before(where, name, file, flags, out)
        if code == _OK and flags & _IS_A_LOG:
            _listen(_File.from_address(file), Path(ctypes.string_at(name).decode()), lengths, alive)
        return code

    step, original = _OPEN(opened), files.open
    files.open = ctypes.cast(step, c_void_p).value
    try:
        yield lengths
    finally:
        files.open = original


def _files() -> _Files:
    try:
        find = ctypes.CDLL(_sqlite3.__file__).sqlite3_vfs_find
    except (AttributeError, OSError) as error:
        raise Hidden from error
    find.argtypes, find.restype = [c_char_p], POINTER(_Files)
    found: _Files = find(None).contents
    return found


def _listen(file: _File, log: Path, lengths: dict[Path, int], alive: list[Any]) -> None:
    methods = _Methods.from_buffer_copy(file.methods.contents)
    sync_before = ctypes.cast(methods.sync, _SYNC)

    def synced(at: int, flags: int) -> int:
        length = log.stat().st_size  # before: what was written meanwhile may not be on the disk
        code: int = sync_before(at, flags)
        if code == _OK:
            lengths[log] = length
        return code

    step = _SYNC(synced)
    methods.sync = ctypes.cast(step, c_void_p).value
    file.methods = ctypes.pointer(methods)
    alive += [step, methods]
