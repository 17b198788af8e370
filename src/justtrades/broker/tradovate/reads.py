"""Questions to the broker and their clean answers: accounts, contracts, the whole picture, what memory lacks.

A read either covers what it claims or raises; it is never half an answer (protocol.md section 8, pitfall 3: an
empty list can be a configuration error). It is also never older than what the socket told already: a list that
lacks an order heard of within the last minute is stale, and says nothing. What is read is merged into `Memory`
like any event. Callers at the same time share a read, but nobody gets one that began before they asked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, assert_never

from justtrades.broker.port import (
    Account,
    Asker,
    BrokerError,
    ContractRecord,
    LanePicture,
    NotHandled,
    Picture,
    Refused,
    Unreachable,
)
from justtrades.broker.tradovate import wire
from justtrades.broker.tradovate.entities import Lack, Memory
from justtrades.broker.tradovate.lists import IDS_PER_CALL, STALE, Lists, by, fills_in, together
from justtrades.broker.tradovate.looks import Looks
from justtrades.broker.tradovate.rest import Rest
from justtrades.broker.tradovate.shared import Askers, Shared, doubting, noticed
from justtrades.broker.tradovate.wire import Place, Row
from justtrades.positions.model import BrokerAccountId, ContractName
from justtrades.positions.urgency import Urgency

log = logging.getLogger(__name__)

CLOCKS_AGREE = timedelta(seconds=2)
FIRST_BREATH, LONGEST_BREATH = 0.125, 15.0
"""Between two pictures after the first failed, in seconds; doubled with each failure in a row."""
OF_OURS = ("stale", "budget")
"""Failures that say nothing of the broker: we knew more than it showed, or had no request left for it."""


class Reads:
    def __init__(
        self,
        rest: Rest,
        memory: Memory,
        clock: Callable[[], datetime],
        longest_breath: Callable[[], float] = lambda: LONGEST_BREATH,
        ahead: Callable[[], timedelta] = timedelta,
    ) -> None:
        """`ahead` says how far the broker's clock is ahead of ours."""
        self._rest = rest
        self._memory = memory
        self._clock = clock
        self._lists = Lists(rest, memory)
        self.looks = Looks(rest, memory, clock)
        self._contracts: dict[ContractName, ContractRecord] = {}
        self._finding: dict[ContractName, asyncio.Task[ContractRecord]] = {}
        self._pictures = {u: Shared(partial(self._tried_picture, u), self._breath) for u in Urgency}
        self._longest_breath = longest_breath
        self._ahead = ahead
        self._failed = 0
        self._again_at = 0.0

    async def close(self) -> None:
        """No read is left running, and none begins."""
        ending: list[asyncio.Future[Any]] = [*self._finding.values(), *self.looks.cancel()]
        for task in self._finding.values():
            task.cancel()
        for picture in self._pictures.values():
            ending += picture.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    # ── accounts and contracts ───────────────────────────────────────────────────────────────────────────

    async def accounts(self, urgency: Urgency) -> tuple[Account, ...]:
        rows, risks = await together(self._rest.rows("/account/list", urgency=urgency), self._risks(urgency))
        self._learn("accountRiskStatus", risks)
        self._covered(rows)
        found = (self._memory.account(wire.number(row, "id") or 0) for row in rows)
        return tuple(account for account in found if account)

    async def _risks(self, urgency: Urgency) -> list[Row]:
        """Risk statuses where the key may read them. A key without that permission (protocol.md section 2,
        recorded) still trades: then a lock shows by its events and by refusals."""
        try:
            return await self._rest.rows("/accountRiskStatus/list", urgency=urgency)
        except (Refused, Unreachable) as error:
            log.info("risk statuses cannot be read: %s", error)
            return []

    def _covered(self, rows: Sequence[Row]) -> frozenset[BrokerAccountId]:
        """The accounts of an account/list; one that we knew and that is not there may not trade any more."""
        ids = {i for row in rows if (i := wire.number(row, "id"))}
        self._learn("account", rows)
        self._learn("account", self._memory.not_listed(ids))
        return frozenset(BrokerAccountId(str(i)) for i in ids)

    def known_contract(self, name: ContractName) -> ContractRecord | None:
        return self._contracts.get(name)

    async def contract(self, name: ContractName) -> ContractRecord:
        """A contract with its product's facts. `Refused` when the broker does not know the name.

        Asked for once, however many lanes wait for it: one alert may open it on twenty accounts.
        """
        if name not in self._contracts:
            if name not in self._finding:
                self._finding[name] = asyncio.create_task(self._found(name))
                self._finding[name].add_done_callback(partial(self._found_out, name))
            self._contracts[name] = await asyncio.shield(self._finding[name])
        return self._contracts[name]

    def _found_out(self, name: ContractName, task: asyncio.Task[ContractRecord]) -> None:
        del self._finding[name]
        noticed(task)

    async def _found(self, name: ContractName) -> ContractRecord:
        row = _object(await self._rest.read("/contract/find", {"name": name}) or {}, "contract")
        contract_id, maturity_id = wire.number(row, "id"), wire.number(row, "contractMaturityId")
        if not contract_id or wire.word(row, "name") != name:
            raise Refused("UnknownContract", f"the broker does not know {name}")
        maturity = await self._item("contractMaturity", maturity_id)
        product = await self._item("product", wire.number(maturity, "productId"))
        tick, value = wire.price(product, "tickSize"), wire.price(product, "valuePerPoint")
        if not tick or not value or min(tick, value) <= Decimal(0):
            raise Unreachable("UnknownAnswer", f"the product of {name} has no tick size or point value")
        self._learn("contract", [row])
        return ContractRecord(contract_id, name, tick, value, wire.moment(maturity, "expirationDate"))

    async def _item(self, kind: str, row_id: int | None) -> Row:
        if not row_id:
            raise Unreachable("UnknownAnswer", f"no {kind} id")
        return _object(await self._rest.read(f"/{kind}/item", {"id": str(row_id)}), kind)

    # ── the picture ──────────────────────────────────────────────────────────────────────────────────────

    async def picture(self, urgency: Urgency, asker: Asker | None = None) -> Picture:
        """Shared with all who ask now, also with those to whom it is more urgent."""
        coming = (other for other in Urgency if other <= urgency and self._pictures[other].coming)
        return await self._pictures[next(coming, urgency)].get(asker)

    async def _breath(self) -> None:
        """After pictures that failed: forty lanes that ask again and again are no more calls than one."""
        await asyncio.sleep(max(self._again_at - _loop_time(), 0.0))

    async def _tried_picture(self, urgency: Urgency, asking: Askers) -> Picture:
        try:
            picture = await self._picture(urgency, asking)
        except BrokerError as error:
            if error.reason not in OF_OURS and not isinstance(error, NotHandled):  # a wait that was asked for is kept
                self._failed += 1
                self._again_at = _loop_time() + min(FIRST_BREATH * 2.0 ** min(self._failed, 20), self._longest_breath())
            raise
        self._failed, self._again_at = 0, 0.0
        return picture

    async def _picture(self, urgency: Urgency, asking: Askers) -> Picture:
        askers, began_at, recent = doubting(asking), self._clock(), self._lists.recent()
        rows = partial(self._rest.rows, urgency=urgency, askers=askers)
        orders = await self._useful_orders(asking, recent, urgency) if askers else None
        accounts, fills, positions, *last = await together(
            rows("/account/list"),
            rows("/fill/list"),
            rows("/position/list"),
            *([rows("/order/list")] if orders is None else []),
        )
        orders = last[0] if orders is None else orders
        covered = self._covered(accounts)
        listed, stale = self._lists.merged(orders, recent, covered)
        covered -= stale
        if stale and not covered:
            raise Unreachable("stale", STALE)
        self._learn("fill", fills)
        await self._details(listed, urgency=urgency, askers=askers)
        await self._names([*orders, *positions], urgency=urgency, askers=askers)
        return Picture(began_at, covered, self._lanes(covered, orders, fills, positions))

    async def _useful_orders(
        self, asking: Askers, recent: Mapping[int, BrokerAccountId], urgency: Urgency
    ) -> list[Row]:
        """For what is in doubt the list of orders comes first: as long as it is behind for all who ask, that one read
        is enough to know that a picture would be of no use to them."""
        askers = doubting(asking)
        orders = await self._rest.rows("/order/list", urgency=urgency, askers=askers)
        doubted = frozenset(asker.account for asker in askers)
        _, stale = self._lists.merged(orders, recent, doubted)
        if stale == doubted and None not in asking:
            raise Unreachable("stale", STALE)
        return orders

    async def _details(self, listed: list[int], *, urgency: Urgency, askers: tuple[Asker, ...]) -> None:
        """Commands and versions of orders that live or are not fully known; ended and known ones stay."""
        asked = [o for o in listed if self._unsettled(o)]
        await together(
            self._lists.children("command", asked, urgency=urgency, askers=askers),
            self._lists.children("orderVersion", asked, urgency=urgency, askers=askers),
        )

    def _unsettled(self, order_id: int) -> bool:
        order = self._memory.order(order_id)
        known = wire.new_command(self._memory.parts(order_id)) is not None
        return order is None or not order.status.ended or order.quantity is None or not known

    async def _names(self, rows: Iterable[Row], *, urgency: Urgency, askers: tuple[Asker, ...]) -> None:
        """Names of contracts that only their ids are known of."""
        ids = {i for row in rows if (i := wire.number(row, "contractId"))}
        unknown = sorted(i for i in ids if self._memory.contract_name(i) is None)
        for start in range(0, len(unknown), IDS_PER_CALL):
            asked = ",".join(str(i) for i in unknown[start : start + IDS_PER_CALL])
            named = await self._rest.rows("/contract/items", {"ids": asked}, urgency=urgency, askers=askers)
            self._learn("contract", named)

    def _lanes(
        self,
        covered: frozenset[BrokerAccountId],
        orders: Sequence[Row],
        fills: Sequence[Row],
        positions: Sequence[Row],
    ) -> tuple[LanePicture, ...]:
        by_order = by(fills, lambda row: wire.number(row, "orderId"))
        by_place = by(orders, lambda row: _covered(wire.place(row), covered))
        held = _positions(positions, covered)
        places = dict.fromkeys([*by_place, *(where for where, row in held.items() if wire.number(row, "netPos"))])
        return tuple(
            LanePicture(
                where.account,
                self._memory.contract_name(where.contract) or ContractName(f"#{where.contract}"),
                tuple(o for r in by_place.get(where, ()) if (o := self._memory.order(r["id"]))),
                fills_in([f for r in by_place.get(where, ()) for f in by_order.get(r["id"], ())]),
                wire.number(held.get(where, {}), "netPos") or 0,
                wire.average(held.get(where, {})),
                self._moved_at(held.get(where, {})),
            )
            for where in sorted(places, key=lambda where: (where.account, where.contract))
        )

    def _moved_at(self, position: Row) -> datetime | None:
        """Not told when the broker's clock and ours differ."""
        return wire.moment(position, "timestamp") if abs(self._ahead()) <= CLOCKS_AGREE else None

    # ── what memory wants ────────────────────────────────────────────────────────────────────────────────

    async def supply(self, lack: Lack, ids: Sequence[int]) -> None:
        """Look up what reports wait for, all of a kind in one call."""
        match lack:
            case Lack.ORDER | Lack.CONTRACT:
                asked = ",".join(str(i) for i in ids)
                self._learn(lack, await self._rest.rows(f"/{lack}/items", {"ids": asked}, urgency=Urgency.LOOK))
            case Lack.COMMAND:
                await self._lists.children("command", ids, urgency=Urgency.LOOK)
            case Lack.REASON:
                await self._lists.reasons(ids)
            case _:
                assert_never(lack)

    def _learn(self, kind: str, rows: Iterable[Row]) -> None:
        self._memory.merge_all(kind, rows)


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Unreachable("UnknownAnswer", f"a {what} that is no object")
    return value


def _covered(where: Place | None, covered: frozenset[BrokerAccountId]) -> Place | None:
    return where if where and where.account in covered else None


def _positions(rows: Sequence[Row], covered: frozenset[BrokerAccountId]) -> dict[Place, Row]:
    """Positions by place. Of several rows (one per trade date) the newest tells."""
    found: dict[Place, Row] = {}
    for row in sorted(rows, key=wire.position_order):
        where = _covered(wire.place(row), covered)
        if where is not None and wire.number(row, "netPos") is not None:
            found[where] = row
    return found
