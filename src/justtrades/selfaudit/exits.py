"""Exits: what is held has them whole (I5), what is flat has none (I6), and no two that can both fill are too many (I7).

Judged only where a lane is at ease: nothing under way, nothing doubted or waited for, no person's word missing, and
all of that for a while. Anything else is the lane's own to mend, and it tells when it cannot.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from justtrades.positions import book
from justtrades.positions.model import Action, Lane
from justtrades.selfaudit.rows import Place, Row, Rows

EASE: Final = timedelta(seconds=10)
"""An order may be about to change so long after the last step."""


def what_is_held_has_its_exits(rows: Rows) -> Iterator[str]:
    """A lane that misses no exit has orders for all it holds, of each kind its rules ask for."""
    for where, state in _at_ease(rows):
        if state.trade is None or state.unprotected_since is not None or state.exits_lost or state.short is not None:
            continue
        held, terms = rows.lanes[where].quantity, state.trade.terms
        wants = {"target": bool(terms.targets), "stop": terms.stop is not None}
        for purpose in [purpose for purpose, wanted in wants.items() if wanted and held]:
            resting = sum(_left(rows, order) for order in rows.live_at.get(where, ()) if order.purpose == purpose)
            if resting != abs(held):
                yield f"{_shown(where)}: {held:+d} held, {purpose} orders for {resting} rest"


def flat_has_no_exit(rows: Rows) -> Iterator[str]:
    for where, _ in _at_ease(rows):
        for order in _exits(rows, where) if not rows.lanes[where].quantity else ():
            yield f"{_shown(where)} is flat, and {order.purpose} {order.id} still works"


def exits_are_not_too_many(rows: Rows) -> Iterator[str]:
    """Of a pair only one can fill."""
    for where, state in _at_ease(rows):
        held, exits = rows.lanes[where].quantity, _exits(rows, where)
        if not held:
            continue
        for order in exits:
            if Action(order.action).sign * held > 0:
                yield f"{_shown(where)}: {held:+d} held, and the {order.purpose} {order.id} would add to it"
        other = {order.id: order.oco for order in state.orders}
        counted, total = set[str](), 0
        for order in exits:
            if order.id not in counted:
                counted |= {order.id, other.get(order.id) or order.id}
                total += _left(rows, order)
        if total > abs(held):
            yield f"{_shown(where)}: {held:+d} held, and exits for {total} can fill"


def _at_ease(rows: Rows) -> Iterator[tuple[Place, Lane]]:
    for where, state in rows.states.items():
        waits = (state.halted, state.blocked, state.stopped, state.retry_at, state.divergence, state.call)
        quiet = book.quiet(state) and state.synced and not state.jobs and not any(waits)
        resumes = state.protect_again_at is not None and state.protect_again_at > rows.now - EASE
        if quiet and not resumes and rows.now - rows.lanes[where].updated_at > EASE:
            yield where, state


def _exits(rows: Rows, where: Place) -> list[Row]:
    return [order for order in rows.live_at.get(where, ()) if order.purpose in ("target", "stop")]


def _left(rows: Rows, order: Row) -> int:
    return int(order.quantity) - int(order.filled_quantity)


def _shown(where: Place) -> str:
    return " ".join(where)
