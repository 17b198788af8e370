"""The core is asked in two threads: the event loop decides, the database's writer makes rows of the same lanes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from types import FrameType
from typing import Any

from justtrades.positions import book
from justtrades.positions.model import (
    AccountId,
    Action,
    BrokerOrderId,
    Contract,
    ContractName,
    Fill,
    FillId,
    Lane,
)

NOW = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
MNQ = Contract(ContractName("MNQH6"), Decimal("0.25"), Decimal(2))


def test_what_a_lane_holds_is_its_own_whatever_another_thread_asks_meanwhile() -> None:
    """The other thread gets its turn between any two instructions, which is as bad as turns can fall."""
    mine, flat = lane("mine", 1), lane("other", 0)
    for repeated in (False, True):
        if repeated:
            book.standing(mine)
        found = interrupted(book.standing, mine, lambda: book.standing(flat))
        assert [standing.foreign for standing in found] == [1] * len(found)


def lane(account: str, foreign: int) -> Lane:
    fills = tuple(
        Fill(FillId(str(n)), BrokerOrderId(str(n)), Action.BUY, 1, Decimal(18000), NOW) for n in range(foreign)
    )
    return Lane(AccountId(account), MNQ, "t", fills=fills)


def interrupted(ask: Callable[[Lane], book.Standing], of: Lane, other: Callable[[], Any]) -> list[book.Standing]:
    """The answers when `other` runs before the first, the second, … instruction of `ask`."""
    return [_interrupted_at(at, ask, of, other) for at in range(instructions(ask, of))]


def instructions(ask: Callable[[Lane], book.Standing], of: Lane) -> int:
    count = 0

    def passed() -> None:
        nonlocal count
        count += 1

    _traced(ask, of, passed)
    return count


def _interrupted_at(at: int, ask: Callable[[Lane], book.Standing], of: Lane, other: Callable[[], Any]) -> book.Standing:
    left = at

    def passed() -> None:
        nonlocal left
        if left == 0:
            sys.settrace(None)
            other()
        left -= 1

    return _traced(ask, of, passed)


def _traced(ask: Callable[[Lane], book.Standing], of: Lane, passed: Callable[[], None]) -> book.Standing:
    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code is not ask.__code__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            passed()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return ask(of)
    finally:
        sys.settrace(before)
