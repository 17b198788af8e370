"""The broker's lists, merged into `Memory`, and whether they are as new as what we know.

A read is never older than what the socket told already: a list that lacks an order heard of within the last minute
is stale, and says nothing of that order's account.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from justtrades.broker.port import Asker
from justtrades.broker.tradovate import wire
from justtrades.broker.tradovate.entities import Memory
from justtrades.broker.tradovate.rest import Rest
from justtrades.broker.tradovate.wire import Row
from justtrades.positions.model import BrokerAccountId, Fill
from justtrades.positions.urgency import Urgency

IDS_PER_CALL = 100
STALE = "the list of orders lacks one that we heard of"


class Lists:
    def __init__(self, rest: Rest, memory: Memory) -> None:
        self._rest = rest
        self._memory = memory

    async def children(
        self, kind: str, masters: Sequence[int], *, urgency: Urgency, askers: tuple[Asker, ...] = ()
    ) -> list[Row]:
        """All rows of a kind below these masters, merged."""
        found: list[Row] = []
        for start in range(0, len(masters), IDS_PER_CALL):
            ids = ",".join(str(master) for master in masters[start : start + IDS_PER_CALL])
            found += await self._rest.rows(f"/{kind}/ldeps", {"masterids": ids}, urgency=urgency, askers=askers)
        self._memory.merge_all(kind, found)
        return found

    async def reasons(self, orders: Sequence[int], askers: tuple[Asker, ...] = ()) -> None:
        """Why orders were rejected: risk tells it in command reports, the exchange in execution reports."""
        commands = [wire.number(wire.new_command(self._memory.parts(o)) or {}, "id") or o for o in orders]
        await self.children("commandReport", commands, urgency=Urgency.LOOK, askers=askers)
        untold = [o for o in orders if (known := self._memory.order(o)) is None or known.reason is None]
        if untold:
            await self.children("executionReport", commands, urgency=Urgency.LOOK, askers=askers)

    def recent(self) -> Mapping[int, BrokerAccountId]:
        """Orders heard of lately, to be taken before a read begins: the read must know them."""
        return self._memory.recent_orders(asyncio.get_running_loop().time())

    def merged(
        self,
        rows: Sequence[Row],
        recent: Mapping[int, BrokerAccountId],
        covered: frozenset[BrokerAccountId],
    ) -> tuple[list[int], frozenset[BrokerAccountId]]:
        """Ids of the rows of orders, merged, and the accounts for which the list is older than what we knew before."""
        self._memory.merge_all("order", rows)
        listed = [order_id for row in rows if (order_id := wire.number(row, "id"))]
        missing = [account for order_id, account in recent.items() if order_id not in set(listed)]
        return listed, frozenset(missing) & covered


async def together(*reads: Awaitable[Any]) -> list[Any]:
    """All of them at once; the first failure fails them all, and none is left running."""
    tasks = [asyncio.ensure_future(read) for read in reads]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def by(rows: Sequence[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        if (where := key(row)) is not None and wire.number(row, "id"):
            found[where].append(row)
    return found


def fills_in(rows: Iterable[Row]) -> tuple[Fill, ...]:
    return tuple(fill for row in rows if not wire.busted(row) and (fill := wire.fill(row)))
