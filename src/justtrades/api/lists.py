"""Lists: newest first, a page at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import Path, Query

from justtrades.api.problems import Problem
from justtrades.store import reads

Limit = Annotated[int, Query(ge=1, le=reads.MOST, description="How many at most.")]
Cursor = Annotated[
    str | None, Query(pattern=r"^[!-~]{1,128}$", description="The `next` of the page before; newer rows are left out.")
]
Filter = Annotated[str | None, Query(pattern=r"^[ -~]{1,128}$")]
Id = Annotated[str, Path(pattern=r"^[!-~]{1,128}$")]
IdOrName = Annotated[
    str, Path(pattern=r"^[^\x00-\x1f\x7f]{1,128}$", description="Its id, or its name if no other has it.")
]

USUAL = reads.USUAL


def cut(rows: Sequence[Any], key: Callable[[Any], str], limit: int, before: str | None) -> dict[str, Any]:
    """A page of a short list that is read whole, in its order. `Problem` when the cursor names none of it."""
    start = 0
    if before is not None:
        keys = [key(row) for row in rows]
        if before not in keys:
            raise Problem(422, "before: the cursor is not one of this list")
        start = keys.index(before) + 1
    items = list(rows[start : start + limit])
    more = start + limit < len(rows)
    return {"items": items, "next": key(items[-1]) if more else None}


def page(found: reads.Page) -> dict[str, Any]:
    return {"items": found.items, "next": found.next}
