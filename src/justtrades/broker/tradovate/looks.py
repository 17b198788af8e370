"""Looking for orders whose answer never came: by their client ids, in as few reads as tell it.

    order/deps?masterid=<account>  →  command/ldeps of the orders not known yet  →  what belongs to the one found

A look is clean or raises. Looks of the same moment are one read, whatever their accounts (`order/ldeps`), and each
account is judged by itself: a list that is behind for one says nothing about the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from justtrades.broker.port import Asker, Unreachable
from justtrades.broker.tradovate import wire
from justtrades.broker.tradovate.entities import Memory
from justtrades.broker.tradovate.lists import STALE, Lists, by, fills_in, together
from justtrades.broker.tradovate.rest import Rest
from justtrades.broker.tradovate.shared import Askers, Shared, doubting
from justtrades.broker.tradovate.wire import Row
from justtrades.positions.model import BrokerAccountId, BrokerOrder, ClientOrderId, Fill, Status
from justtrades.positions.urgency import Urgency

YOUNG_SECONDS = 60.0
UNTOLD = "an order is listed whose command is not yet"
ENDED_EARLY = frozenset({Status.CANCELED, Status.EXPIRED, Status.REJECTED})

Listed = Mapping[BrokerAccountId, list[int] | str]
"""Ids of the orders of each account, their commands in memory; or why its list cannot be taken at its word."""


class Looks:
    def __init__(self, rest: Rest, memory: Memory, clock: Callable[[], datetime]) -> None:
        self._rest = rest
        self._memory = memory
        self._lists = Lists(rest, memory)
        self._clock = clock
        self._ledgers = Shared(self._ledger)

    def cancel(self) -> list[asyncio.Task[Listed]]:
        """What was under way, and is about to end."""
        return self._ledgers.cancel()

    async def look(
        self, account: BrokerAccountId, ids: tuple[ClientOrderId, ...], asker: Asker | None = None
    ) -> tuple[tuple[BrokerOrder, ...], tuple[Fill, ...]]:
        """Orders of the account with one of these client ids; two reads at most when there is none, else two more."""
        asker = asker or Asker(account, ids[0])
        listed = (await self._ledgers.get(asker))[account]
        if isinstance(listed, str):
            raise Unreachable("stale", listed)
        ours = [o for o in listed if wire.client_id(self._memory.parts(o)) in ids]
        if not ours:
            return (), ()
        fills = await self._complete(ours, (asker,))
        orders = (self._memory.order(order_id) for order_id in ours)
        return tuple(o for o in orders if o), fills_in(fills)

    async def _ledger(self, asking: Askers) -> Listed:
        askers, recent = doubting(asking), self._lists.recent()
        accounts = sorted({asker.account for asker in askers})
        rows = by(await self._rows(accounts, askers), lambda row: str(wire.number(row, "accountId") or ""))
        found = {account: self._as_listed(account, rows.get(account, []), recent) for account in accounts}
        listed = [o for one in found.values() if not isinstance(one, str) for o in one]
        unknown = [o for o in listed if wire.new_command(self._memory.parts(o)) is None]
        await self._lists.children("command", unknown, urgency=Urgency.LOOK, askers=askers)
        return {account: one if self._told_whole(rows.get(account, [])) else UNTOLD for account, one in found.items()}

    async def _rows(self, accounts: Sequence[BrokerAccountId], askers: tuple[Asker, ...]) -> list[Row]:
        if len(accounts) == 1:
            endpoint, masters = "/order/deps", {"masterid": str(accounts[0])}
        else:
            endpoint, masters = "/order/ldeps", {"masterids": ",".join(accounts)}
        return await self._rest.rows(endpoint, masters, urgency=Urgency.LOOK, askers=askers)

    def _as_listed(
        self, account: BrokerAccountId, rows: Sequence[Row], recent: Mapping[int, BrokerAccountId]
    ) -> list[int] | str:
        listed, stale = self._lists.merged(rows, recent, frozenset({account}))
        return STALE if stale else listed

    def _told_whole(self, rows: Sequence[Row]) -> bool:
        """Each young order's command is here: only that says whose the order is."""
        return not any(self._young(row) and not self._memory.commands_of(row["id"]) for row in rows)

    def _young(self, row: Row) -> bool:
        at = wire.moment(row, "timestamp")
        return at is None or abs((self._clock() - at).total_seconds()) < YOUNG_SECONDS

    async def _complete(self, orders: list[int], askers: tuple[Asker, ...]) -> list[Row]:
        """Read what these orders are known by, in two reads at most; their fills are returned.

        Of one that was rejected that is why, of one that ended early what it claims to have filled, of any other its
        version. What a pair that ended in two ways lacks then is looked up like that of any order heard of.
        """
        ends = {order.status for o in orders if (order := self._memory.order(o)) is not None}
        if ends == {Status.REJECTED}:
            await self._lists.reasons(orders, askers)
            return []
        commands = [wire.number(c, "id") or 0 for o in orders for c in self._memory.commands_of(o)]
        kind, masters = ("executionReport", commands) if ends <= ENDED_EARLY else ("orderVersion", orders)
        fills, _ = await together(
            self._lists.children("fill", orders, urgency=Urgency.LOOK, askers=askers),
            self._lists.children(kind, masters, urgency=Urgency.LOOK, askers=askers),
        )
        found: list[Row] = fills
        return found
