"""Questions to the broker and their clean answers: accounts, contracts, a look for orders, the whole picture.

A read either covers what it claims or raises; it is never half an answer (protocol.md section 8, pitfall 3: an
empty list can be a configuration error). It is also never older than what the socket told already: a list that
lacks an order heard of within the last minute is stale, and says nothing. What is read is merged into `Memory`
like any event. Callers at the same time share a read, but nobody gets one that began before they asked.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, Generic, TypeVar, assert_never

from justtrades.broker.port import (
    Account,
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
from justtrades.broker.tradovate.rest import Rest
from justtrades.broker.tradovate.wire import Place, Row
from justtrades.positions.commands import Urgency
from justtrades.positions.model import (
    BrokerAccountId,
    BrokerOrder,
    ClientOrderId,
    ContractName,
    Fill,
)

log = logging.getLogger(__name__)

T = TypeVar("T")
IDS_PER_CALL = 100
YOUNG_SECONDS = 60.0
FIRST_BREATH, LONGEST_BREATH = 0.125, 15.0
"""Between two pictures after the first failed, in seconds; doubled with each failure in a row."""


async def at_once() -> None:
    """No pause."""


class Shared(Generic[T]):
    """One read for all who ask before it begins; whoever asks later shares the next one. `pause` comes before it."""

    def __init__(self, read: Callable[[], Awaitable[T]], pause: Callable[[], Awaitable[None]] = at_once) -> None:
        self._read = read
        self._pause = pause
        self._running: asyncio.Task[T] | None = None
        self._next: asyncio.Task[T] | None = None
        self._over = False

    @property
    def coming(self) -> bool:
        """Somebody waits for a read that has not begun yet."""
        return self._next is not None

    async def get(self) -> T:
        """Raises what the read raises, and `Unreachable` once this was cancelled: nothing begins after the end."""
        if self._over:
            raise Unreachable("offline", "the connection was closed")
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._running))
            self._next.add_done_callback(_noticed)
        return await asyncio.shield(self._next)

    async def _after(self, running: asyncio.Task[T] | None) -> T:
        if running is not None:
            await asyncio.wait({running})
        await self._pause()
        self._running, self._next = self._next, None
        return await self._read()

    def cancel(self) -> list[asyncio.Task[T]]:
        """What was under way, and is about to end."""
        self._over = True
        under_way = [task for task in (self._running, self._next) if task is not None]
        for task in under_way:
            task.cancel()
        return under_way


def _noticed(task: asyncio.Task[Any]) -> None:
    """All who asked may have been cancelled; the failure was theirs to hear, nobody else's."""
    if not task.cancelled():
        task.exception()


class Reads:
    def __init__(
        self,
        rest: Rest,
        memory: Memory,
        clock: Callable[[], datetime],
        longest_breath: Callable[[], float] = lambda: LONGEST_BREATH,
    ) -> None:
        self._rest = rest
        self._memory = memory
        self._clock = clock
        self._contracts: dict[ContractName, ContractRecord] = {}
        self._finding: dict[ContractName, asyncio.Task[ContractRecord]] = {}
        self._pictures = {u: Shared(partial(self._tried_picture, u), self._breath) for u in Urgency}
        self._longest_breath = longest_breath
        self._failed = 0
        self._again_at = 0.0
        self._ledgers: dict[BrokerAccountId, Shared[list[int]]] = {}

    async def close(self) -> None:
        """No read is left running, and none begins."""
        ending: list[asyncio.Future[Any]] = [*self._finding.values()]
        for task in self._finding.values():
            task.cancel()
        for picture in self._pictures.values():
            ending += picture.cancel()
        for ledger in self._ledgers.values():
            ending += ledger.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    # ── accounts and contracts ───────────────────────────────────────────────────────────────────────────

    async def accounts(self, urgency: Urgency) -> tuple[Account, ...]:
        rows, risks = await _together(self._rest.rows("/account/list", urgency=urgency), self._risks(urgency))
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
        _noticed(task)

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

    # ── looking for orders ───────────────────────────────────────────────────────────────────────────────

    async def look(
        self, account: BrokerAccountId, ids: tuple[ClientOrderId, ...]
    ) -> tuple[tuple[BrokerOrder, ...], tuple[Fill, ...]]:
        """Orders of the account with one of these client ids; two reads when there is none."""
        if account not in self._ledgers:
            self._ledgers[account] = Shared(lambda: self._ledger(account))
        listed = await self._ledgers[account].get()
        ours = [o for o in listed if wire.client_id(self._memory.parts(o)) in ids]
        if not ours:
            return (), ()
        fills = await self._complete(ours)
        orders = (self._memory.order(order_id) for order_id in ours)
        return tuple(o for o in orders if o), _fills(fills)

    async def _ledger(self, account: BrokerAccountId) -> list[int]:
        """Ids of all orders the broker lists for the account, with their commands in memory."""
        recent = self._recent()
        rows = await self._rest.rows("/order/deps", {"masterid": account}, urgency=Urgency.LOOK)
        listed = self._listed(rows, recent, frozenset({account}))
        unknown = [o for o in listed if wire.new_command(self._memory.parts(o)) is None]
        await self._children("command", unknown, urgency=Urgency.LOOK)
        young = [row for row in rows if self._young(row) and not self._memory.commands_of(row["id"])]
        if young:
            raise Unreachable("stale", "an order is listed whose command is not yet")
        return listed

    def _young(self, row: Row) -> bool:
        at = wire.moment(row, "timestamp")
        return at is None or abs((self._clock() - at).total_seconds()) < YOUNG_SECONDS

    async def _complete(self, orders: list[int]) -> list[Row]:
        """Read all that belongs to these orders; their fills are returned."""
        commands = [wire.number(c, "id") or 0 for o in orders for c in self._memory.commands_of(o)]
        found = await _together(
            self._children("fill", orders, urgency=Urgency.LOOK),
            self._children("orderVersion", orders, urgency=Urgency.LOOK),
            self._children("commandReport", commands, urgency=Urgency.LOOK),
            self._children("executionReport", commands, urgency=Urgency.LOOK),
        )
        fills: list[Row] = found[0]
        return fills

    async def _children(self, kind: str, masters: Sequence[int], *, urgency: Urgency) -> list[Row]:
        """All rows of a kind below these masters, merged."""
        found: list[Row] = []
        for start in range(0, len(masters), IDS_PER_CALL):
            ids = ",".join(str(master) for master in masters[start : start + IDS_PER_CALL])
            found += await self._rest.rows(f"/{kind}/ldeps", {"masterids": ids}, urgency=urgency)
        self._learn(kind, found)
        return found

    def _recent(self) -> Mapping[int, BrokerAccountId]:
        """Orders heard of lately, to be taken before a read begins: the read must know them."""
        return self._memory.recent_orders(_loop_time())

    def _listed(
        self,
        rows: Sequence[Row],
        recent: Mapping[int, BrokerAccountId],
        covered: frozenset[BrokerAccountId],
    ) -> list[int]:
        """Ids of the rows, merged; raises when the list is older than what we knew before it."""
        listed, stale = self._merged(rows, recent, covered)
        if stale:
            raise Unreachable("stale", "the list lacks an order that we heard of")
        return listed

    def _merged(
        self,
        rows: Sequence[Row],
        recent: Mapping[int, BrokerAccountId],
        covered: frozenset[BrokerAccountId],
    ) -> tuple[list[int], frozenset[BrokerAccountId]]:
        """Ids of the rows, merged, and the accounts for which the list is older than what we knew before it."""
        self._learn("order", rows)
        listed = [order_id for row in rows if (order_id := wire.number(row, "id"))]
        missing = [account for order_id, account in recent.items() if order_id not in set(listed)]
        return listed, frozenset(missing) & covered

    # ── the picture ──────────────────────────────────────────────────────────────────────────────────────

    async def picture(self, urgency: Urgency) -> Picture:
        """Shared with all who ask now, also with those to whom it is more urgent."""
        coming = (other for other in Urgency if other <= urgency and self._pictures[other].coming)
        return await self._pictures[next(coming, urgency)].get()

    async def _breath(self) -> None:
        """After pictures that failed: forty lanes that ask again and again are no more calls than one."""
        await asyncio.sleep(max(self._again_at - _loop_time(), 0.0))

    async def _tried_picture(self, urgency: Urgency) -> Picture:
        try:
            picture = await self._picture(urgency)
        except BrokerError as error:
            if error.reason != "stale" and not isinstance(error, NotHandled):  # a wait that was asked for is kept
                self._failed += 1
                self._again_at = _loop_time() + min(FIRST_BREATH * 2.0 ** min(self._failed, 20), self._longest_breath())
            raise
        self._failed, self._again_at = 0, 0.0
        return picture

    async def _picture(self, urgency: Urgency) -> Picture:
        began_at, recent = self._clock(), self._recent()
        accounts, orders, fills, positions = await _together(
            self._rest.rows("/account/list", urgency=urgency),
            self._rest.rows("/order/list", urgency=urgency),
            self._rest.rows("/fill/list", urgency=urgency),
            self._rest.rows("/position/list", urgency=urgency),
        )
        covered = self._covered(accounts)
        listed, stale = self._merged(orders, recent, covered)
        covered -= stale
        if stale and not covered:
            raise Unreachable("stale", "the list of orders lacks one that we heard of")
        self._learn("fill", fills)
        await self._details(listed, urgency=urgency)
        await self._names([*orders, *positions], urgency=urgency)
        return Picture(began_at, covered, self._lanes(covered, orders, fills, positions))

    async def _details(self, listed: list[int], *, urgency: Urgency) -> None:
        """Commands and versions of orders that live or are not fully known; ended and known ones stay."""
        asked = [o for o in listed if self._unsettled(o)]
        await _together(
            self._children("command", asked, urgency=urgency),
            self._children("orderVersion", asked, urgency=urgency),
        )

    def _unsettled(self, order_id: int) -> bool:
        order = self._memory.order(order_id)
        known = wire.new_command(self._memory.parts(order_id)) is not None
        return order is None or not order.status.ended or order.quantity is None or not known

    async def _names(self, rows: Iterable[Row], *, urgency: Urgency) -> None:
        """Names of contracts that only their ids are known of."""
        ids = {i for row in rows if (i := wire.number(row, "contractId"))}
        unknown = sorted(i for i in ids if self._memory.contract_name(i) is None)
        for start in range(0, len(unknown), IDS_PER_CALL):
            asked = ",".join(str(i) for i in unknown[start : start + IDS_PER_CALL])
            self._learn("contract", await self._rest.rows("/contract/items", {"ids": asked}, urgency=urgency))

    def _lanes(
        self,
        covered: frozenset[BrokerAccountId],
        orders: Sequence[Row],
        fills: Sequence[Row],
        positions: Sequence[Row],
    ) -> tuple[LanePicture, ...]:
        by_order = _by(fills, lambda row: wire.number(row, "orderId"))
        by_place = _by(orders, lambda row: _covered(wire.place(row), covered))
        held = _positions(positions, covered)
        places = dict.fromkeys([*by_place, *(where for where, row in held.items() if wire.number(row, "netPos"))])
        return tuple(
            LanePicture(
                where.account,
                self._memory.contract_name(where.contract) or ContractName(f"#{where.contract}"),
                tuple(o for r in by_place.get(where, ()) if (o := self._memory.order(r["id"]))),
                _fills([f for r in by_place.get(where, ()) for f in by_order.get(r["id"], ())]),
                wire.number(held.get(where, {}), "netPos") or 0,
                wire.average(held.get(where, {})),
            )
            for where in sorted(places, key=lambda where: (where.account, where.contract))
        )

    # ── what memory wants ────────────────────────────────────────────────────────────────────────────────

    async def supply(self, lack: Lack, ids: Sequence[int]) -> None:
        """Look up what reports wait for, all of a kind in one call."""
        match lack:
            case Lack.ORDER | Lack.CONTRACT:
                asked = ",".join(str(i) for i in ids)
                self._learn(lack, await self._rest.rows(f"/{lack}/items", {"ids": asked}, urgency=Urgency.LOOK))
            case Lack.COMMAND:
                await self._children("command", ids, urgency=Urgency.LOOK)
            case Lack.REASON:
                await self._reasons(ids)
            case _:
                assert_never(lack)

    async def _reasons(self, orders: Sequence[int]) -> None:
        """Why orders were rejected: risk tells it in command reports, the exchange in execution reports."""
        commands = [wire.number(wire.new_command(self._memory.parts(o)) or {}, "id") or o for o in orders]
        await self._children("commandReport", commands, urgency=Urgency.LOOK)
        untold = [o for o in orders if (known := self._memory.order(o)) is None or known.reason is None]
        if untold:
            await self._children("executionReport", commands, urgency=Urgency.LOOK)

    def _learn(self, kind: str, rows: Iterable[Row]) -> None:
        self._memory.merge_all(kind, rows)


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


async def _together(*reads: Awaitable[Any]) -> list[Any]:
    """All of them at once; the first failure fails them all, and none is left running."""
    tasks = [asyncio.ensure_future(read) for read in reads]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Unreachable("UnknownAnswer", f"a {what} that is no object")
    return value


def _by(rows: Sequence[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        if (where := key(row)) is not None and wire.number(row, "id"):
            found[where].append(row)
    return found


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


def _fills(rows: Iterable[Row]) -> tuple[Fill, ...]:
    return tuple(fill for row in rows if not wire.busted(row) and (fill := wire.fill(row)))
