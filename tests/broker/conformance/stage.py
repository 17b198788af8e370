"""One login on the stage: the real adapter, everything it says and audits, and short words for trading."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import count
from random import Random
from typing import TypeVar

from justtrades.broker.port import (
    Account,
    AuditId,
    ContractRecord,
    Exchange,
    FillReport,
    LanePicture,
    OrderReport,
    PositionReport,
    Refused,
    Report,
    Request,
    Sent,
    Synced,
    Unreachable,
)
from justtrades.broker.tradovate import MemoryTokenBox, TradovateBroker
from justtrades.positions.commands import CancelOrder, Liquidate, ModifyOrder, Mutation, PlaceOrder
from justtrades.positions.model import (
    Action,
    BrokerOrderId,
    ClientOrderId,
    ContractName,
    Order,
    OrderType,
    Purpose,
    Status,
)
from justtrades.positions.urgency import Urgency
from tests.broker.conformance.houses import CannotRun, House

R = TypeVar("R")
FAR = Decimal("0.02")
"""An order this share of the price away rests: nothing trades there while the suite runs."""
CLOSED = ("SessionClosed", "NoQuote")


def always() -> str | None:
    return None


class Notebook:
    """The audit, kept in memory."""

    def __init__(self) -> None:
        self.rows: dict[AuditId, Exchange] = {}
        self._numbers = count(1)

    def new_id(self) -> AuditId:
        return AuditId(str(next(self._numbers)))

    async def before(self, exchange: Exchange) -> None:
        self.rows[exchange.id] = exchange

    def after(self, exchange: Exchange) -> None:
        self.rows[exchange.id] = exchange

    def calls(self, ending: str) -> list[Exchange]:
        return [row for row in self.rows.values() if row.method != "EVENT" and row.endpoint.endswith(ending)]

    def events(self, beginning: str) -> list[Exchange]:
        return [row for row in self.rows.values() if row.method == "EVENT" and row.endpoint.startswith(beginning)]


@dataclass
class Stage:
    """`contract` is the one that is traded; at most one contract of it is ever held."""

    house: House
    box: MemoryTokenBox
    account: Account = field(init=False)
    contract: ContractRecord = field(init=False)
    audit: Notebook = field(default_factory=Notebook)
    heard: list[Report] = field(default_factory=list)
    placed: dict[ClientOrderId, BrokerOrderId] = field(default_factory=dict)
    broker: TradovateBroker = field(init=False)
    _word: str = field(default_factory=lambda: "".join(Random().choices("abcdefghjkmnpqrstuvwxyz", k=8)))
    _numbers: count[int] = field(default_factory=lambda: count(1))
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)
    _listening: asyncio.Task[None] | None = None
    _price: Decimal | None = None

    # ── life ──

    async def start(self, symbol: ContractName | None = None) -> None:
        self.broker = TradovateBroker(self.house.settings, self.audit, self.box)
        await self.broker.start()
        self._listening = asyncio.create_task(self._listen())
        await self.until(Synced)
        self.account = await self._pick()
        if symbol is not None:
            self.contract = await self.broker.contract(symbol)

    async def stop(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        await self.broker.close()

    async def _pick(self) -> Account:
        found = await self.broker.accounts()
        fits = [a for a in found if a.active and self.house.account in (None, a.name)]
        if not fits:
            raise CannotRun(f"no account that can trade among: {', '.join(a.name for a in found) or 'none at all'}")
        return fits[0]

    async def _listen(self) -> None:
        async for report in self.broker.reports():
            async with self._news:
                self.heard.append(report)
                self._news.notify_all()

    @asynccontextmanager
    async def another(self) -> AsyncIterator[Stage]:
        """A second program on the same login and token, as after a restart."""
        one = Stage(self.house, self.box)
        await one.start(self.contract.name)
        try:
            yield one
        finally:
            await one.stop()

    # ── hearing ──

    def said(self, kind: type[R], fits: Callable[[R], bool] = lambda _: True) -> list[R]:
        return [report for report in self.heard if isinstance(report, kind) and fits(report)]

    async def until(self, kind: type[R], fits: Callable[[R], bool] = lambda _: True) -> R:
        """The newest report of a kind that fits, heard or to come. `TimeoutError` when it does not come."""
        async with asyncio.timeout(self.house.patience), self._news:
            while not (found := self.said(kind, fits)):
                await self._news.wait()
            return found[-1]

    async def status(self, order: ClientOrderId, *wanted: Status) -> OrderReport:
        return await self.until(OrderReport, lambda r: r.order.client_id == order and r.order.status in wanted)

    async def until_price(self, order: Order, price: Decimal) -> OrderReport:
        return await self.until(OrderReport, lambda r: r.order.client_id == order.id and r.order.price == price)

    async def until_quantity(self, order: Order, quantity: int) -> OrderReport:
        return await self.until(OrderReport, lambda r: r.order.client_id == order.id and r.order.quantity == quantity)

    async def fills(self, order: ClientOrderId) -> list[FillReport]:
        """The fills of an order of ours that has filled."""
        done = await self.status(order, Status.FILLED)
        await self.until(FillReport, lambda r: r.fill.broker_order_id == done.order.broker_id)
        return self.said(FillReport, lambda r: r.fill.broker_order_id == done.order.broker_id)

    async def holds(self, quantity: int) -> None:
        """Until the broker's newest word on the position is `quantity`."""
        async with asyncio.timeout(self.house.patience), self._news:
            while self.quantity != quantity:
                await self._news.wait()

    @property
    def quantity(self) -> int:
        """Net position by the newest report; flat when none was told."""
        told = self.said(PositionReport, lambda r: r.contract == self.contract.name and r.account == self.account.id)
        return told[-1].quantity if told else 0

    # ── trading ──

    def new_id(self) -> ClientOrderId:
        return ClientOrderId(f"jt{self._word}-{next(self._numbers)}")

    def order(
        self, purpose: Purpose, action: Action, kind: OrderType, price: Decimal | None = None, quantity: int = 1
    ) -> Order:
        return Order(self.new_id(), purpose, action, quantity, kind, datetime.now(UTC), price)

    def entry(self, action: Action = Action.BUY) -> Order:
        return self.order(Purpose.ENTRY, action, OrderType.MARKET)

    def target(self, price: Decimal, action: Action = Action.SELL, quantity: int = 1) -> Order:
        return self.order(Purpose.TARGET, action, OrderType.LIMIT, price, quantity)

    def loss(self, price: Decimal, action: Action = Action.SELL) -> Order:
        return self.order(Purpose.STOP, action, OrderType.STOP, price)

    async def send(self, command: Mutation, gate: Callable[[], str | None] = always) -> Sent:
        sent = await self.broker.send(self.request(command), gate)
        if isinstance(command, PlaceOrder | Liquidate):
            other = command.other if isinstance(command, PlaceOrder) else None
            ids = [command.order.id, *([other.id] if other else [])]
            self.placed |= dict(zip(ids, sent.broker_ids, strict=False))
        return sent

    def request(self, command: Mutation) -> Request:
        return self.broker.prepare(command, self.account.id, self.contract.name)

    async def place(self, order: Order, other: Order | None = None) -> Sent:
        return await self.send(PlaceOrder(order.id, order, other))

    async def rest(self, order: Order, other: Order | None = None) -> Order:
        """Place what rests, and wait until the broker shows it working."""
        await self.place(order, other)
        for one in (order, other):
            if one is not None:
                await self.status(one.id, Status.WORKING)
        return order

    async def cancel(self, order: Order) -> Sent:
        return await self.send(CancelOrder(self.new_id(), order.id, self.placed[order.id], order.purpose))

    async def modify(self, order: Order, price: Decimal, quantity: int = 1) -> Sent:
        command = ModifyOrder(
            self.new_id(), order.id, self.placed[order.id], order.purpose, quantity, order.order_type, price
        )
        return await self.send(command)

    async def liquidate(self) -> Sent:
        order = self.order(Purpose.CLOSE, Action.SELL, OrderType.MARKET)
        return await self.send(Liquidate(order.id, order))

    async def enter(self, action: Action = Action.BUY) -> Order:
        """Buy or sell one at market and wait for the fill and the position."""
        order = self.entry(action)
        await self.place(order)
        await self.fills(order.id)
        await self.holds(action.sign)
        return order

    async def leave(self) -> Order:
        """Close at market what is held."""
        order = self.order(Purpose.CLOSE, Action.of(-self.quantity), OrderType.MARKET)
        await self.place(order)
        await self.fills(order.id)
        await self.holds(0)
        return order

    async def refused(self, order: Order) -> str:
        """The broker's reason when an order ends refused, at once or by an event; `AssertionError` when not."""
        try:
            await self.place(order)
        except (Refused, Unreachable) as error:
            return error.reason
        told = await self.status(order.id, Status.REJECTED)
        return told.order.reason or "rejected"

    # ── prices ──

    async def price(self) -> Decimal:
        """Where it trades: the fill of a first order, since order routing needs no market data."""
        if self._price is None:
            try:
                order = await self.enter()
            except Refused as error:
                if error.reason in CLOSED:
                    raise CannotRun(f"the market of {self.contract.name} is closed") from None
                raise
            self._price = (await self.fills(order.id))[-1].fill.price
            await self.leave()
        return self._price

    async def far(self, sign: int, further: int = 0) -> Decimal:
        """A price far above (1) or below (-1), on tick; `further` ticks more."""
        tick = self.contract.tick_size
        away = await self.price() * (1 + sign * FAR)
        return (away / tick).quantize(Decimal(1), ROUND_HALF_EVEN) * tick + sign * further * tick

    # ── order in the house ──

    async def picture(self) -> LanePicture:
        """What the broker shows of our contract."""
        picture = await self.broker.picture(Urgency.LOOK)
        assert self.account.id in picture.accounts
        mine = (p for p in picture.lanes if (p.account, p.contract) == (self.account.id, self.contract.name))
        return next(mine, LanePicture(self.account.id, self.contract.name))

    @property
    def live(self) -> list[ClientOrderId]:
        """Our orders that the broker took and has not ended, by its newest words."""
        ended = {r.order.client_id for r in self.said(OrderReport) if r.order.status.ended}
        return [order for order in self.placed if order not in ended]

    async def tidy(self) -> None:
        """Flat and nothing working, whatever a test left behind."""
        for order in self.live:
            command = CancelOrder(self.new_id(), order, self.placed[order], Purpose.TARGET)
            try:
                await self.send(command)
            except Refused:
                continue
            await self.status(order, Status.CANCELED, Status.FILLED, Status.REJECTED, Status.EXPIRED)
        if self.quantity:
            await self.liquidate()
            await self.holds(0)

    async def breathe(self) -> None:
        """On a broker that others share: stay below half of the minute's requests."""
        while self.house.paced and self.broker.health.budget.minute_used > 30:  # noqa: ASYNC110 - a minute at a
            await asyncio.sleep(1)  # real broker passes by itself, and nothing tells of it


__all__ = ["Notebook", "Stage", "always"]
