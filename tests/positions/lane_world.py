"""A lane and a broker small enough to read, in virtual time: what the core's tests play on.

The broker knows market, limit and stop orders, OCO pairs, one price. What it tells is queued as events, which a
test may deliver in any order; what it answers can be lost. It shares nothing with the engine's simulator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from justtrades.past import Past
from justtrades.positions import book
from justtrades.positions.commands import (
    CancelOrder,
    Command,
    Liquidate,
    LookForOrders,
    ModifyOrder,
    PlaceOrder,
    TakePicture,
)
from justtrades.positions.events import (
    AnswerLost,
    CallAccepted,
    CallNotSent,
    CallRefused,
    Event,
    KillSwitched,
    Looked,
    OrderFilled,
    OrderReported,
    PictureTaken,
    ReadFailed,
    SignalReceived,
    TimePassed,
)
from justtrades.positions.limits import Limits
from justtrades.positions.machine import Step, step
from justtrades.positions.model import (
    AccountId,
    Action,
    BrokerOrder,
    BrokerOrderId,
    ClientOrderId,
    Contract,
    ContractName,
    Fill,
    FillId,
    Lane,
    News,
    Order,
    OrderType,
    Purpose,
    RecorderId,
    Signal,
    SignalDone,
    SignalId,
    Status,
    Stop,
    Target,
    Terms,
    TradeClosed,
    Verb,
)
from justtrades.positions.prices import Distance, Unit

START = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
MNQ = Contract(ContractName("MNQZ6"), Decimal("0.25"), Decimal(2))


def ticks(value: int) -> Distance:
    return Distance(Decimal(value), Unit.TICKS)


def terms(quantity: int = 1, target: int | None = 20, stop: int | None = None, **rules: object) -> Terms:
    base = Terms(quantity=quantity, add_quantity=quantity)
    targets = (Target(distance=ticks(target)),) if target is not None else ()
    return replace(base, targets=targets, stop=Stop(distance=ticks(stop)) if stop else None, **rules)  # type: ignore[arg-type]  # test rules by name


@dataclass
class AtBroker:
    id: int
    client_id: ClientOrderId | None
    action: Action
    quantity: int
    type: OrderType
    price: Decimal | None
    status: Status = Status.WORKING
    filled: int = 0
    sibling: int | None = None
    version: int = 1

    def report(self) -> BrokerOrder:
        return BrokerOrder(
            broker_id=BrokerOrderId(str(self.id)),
            client_id=self.client_id,
            status=self.status,
            action=self.action,
            quantity=self.quantity,
            order_type=self.type,
            price=self.price,
            claimed=self.filled,
            version=self.version,
        )


@dataclass
class World:
    """`deliver` plays events until nothing is left; a hook may change what an answer or event becomes."""

    lane: Lane = field(default_factory=lambda: Lane(AccountId("a"), MNQ, "tag"))
    limits: Limits = field(default_factory=Limits)
    now: datetime = START
    price: Decimal = Decimal(100)
    orders: dict[int, AtBroker] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    queue: list[Event] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    news: list[News] = field(default_factory=list)
    next_id: int = 1000
    net: int = 0
    signals: int = 0
    answer: Callable[[Command, Event], list[Event]] = field(default=lambda _, event: [event])
    reach: Callable[[Command], bool] = field(default=lambda _: True)
    wake: datetime | None = None
    refuses: str | None = None
    refuses_exits: bool = False
    carries_flat: bool = False
    """The position list wrongly shows flat, until the broker itself closed something."""
    entries_wait_until: datetime | None = None
    hides: bool = False
    """Orders do arrive at the broker, but later than anybody can see."""
    hidden: list[PlaceOrder] = field(default_factory=list)
    past: Past = field(default_factory=Past)
    each_step: Callable[[World], None] = field(default=lambda _: None)

    # ── playing ──

    def tell(self, event: Event) -> Step | None:
        if self.past.is_old(event, self.lane):
            return None
        event = self.past.news_in(event, self.lane)
        done = step(self.lane, event, self.now, self.limits)
        self.lane, self.wake = done.lane, done.wake_at
        self.news += done.lane.news
        self.past.let_go(done.lane.news, self.now)
        for command in done.commands:
            self.commands.append(command)
            self.queue += self.answer(command, self.carry_out(command)) if self.reach(command) else self.lose(command)
        self.each_step(self)
        return done

    def lose(self, command: Command) -> list[Event]:
        if isinstance(command, LookForOrders | TakePicture):
            return [ReadFailed("no connection")]
        return [AnswerLost(command.id, "timed out")]

    def run(self, *, until_flat: bool = False) -> World:
        while self.queue:
            self.tell(self.queue.pop(0))
        return self

    def wait(self, seconds: float) -> World:
        """Let time pass, waking the lane whenever it asked to be."""
        end = self.now + timedelta(seconds=seconds)
        self.run()
        while self.wake is not None and self.wake <= end:
            self.now = max(self.wake, self.now + timedelta(milliseconds=1))
            self.tell(TimePassed())
            self.run()
        self.now = max(end, self.now)
        return self

    def alert(
        self, verb: Verb, rules: Terms | None = None, recorder: str | None = "r", quantity: int | None = None
    ) -> SignalId:
        self.signals += 1
        signal = Signal(
            id=SignalId(f"s{self.signals}"),
            verb=verb,
            received_at=self.now,
            expires_at=self.now + timedelta(seconds=30),
            recorder_id=RecorderId(recorder) if recorder else None,
            terms=rules if rules is not None else terms(),
            quantity=quantity,
        )
        self.queue.append(SignalReceived(signal))
        return signal.id

    def kill(self) -> None:
        self.queue.append(KillSwitched(on=True))

    # ── what a test asks ──

    def outcome(self, signal_id: SignalId) -> SignalDone:
        found = [n for n in self.news if isinstance(n, SignalDone) and n.signal_id == signal_id]
        assert len(found) == 1, f"{signal_id} has {len(found)} outcomes"
        return found[0]

    def trades(self) -> list[TradeClosed]:
        return [n for n in self.news if isinstance(n, TradeClosed)]

    def working(self) -> list[AtBroker]:
        return [o for o in self.orders.values() if o.status is Status.WORKING]

    @property
    def held(self) -> int:
        return book.held(self.lane)

    # ── the broker ──

    def make(self) -> int:
        self.next_id += 10
        return self.next_id

    def carry_out(self, command: Command) -> Event:
        match command:
            case PlaceOrder():
                return self._place(command)
            case ModifyOrder():
                return self._modify(command)
            case CancelOrder():
                order = self.orders.get(int(command.broker_id))
                if order is None:
                    return CallRefused(command.id, "HTTP 404")
                if order.status.ended:
                    return CallRefused(command.id, "TooLate")
                self.cancel(order)
                return CallAccepted(command.id, ())
            case Liquidate():
                for order in self.working():
                    self.cancel(order)
                if self.net == 0:
                    return CallAccepted(command.id, ())
                made = self._accept(command.order, None)
                made.action, made.quantity = Action.of(-self.net), abs(self.net)
                self.trade(made)
                return CallAccepted(command.id, (BrokerOrderId(str(made.id)),))
            case LookForOrders(ids):
                known = tuple(o.report() for o in self.orders.values() if o.client_id in ids)
                fills = tuple(f for f in self.fills if f.broker_order_id in {o.broker_id for o in known})
                return Looked(self.now, known, fills)
            case TakePicture():
                return self.picture()

    def picture(self) -> PictureTaken:
        orders = tuple(o.report() for o in self.orders.values())
        shown = (
            0
            if self.carries_flat
            and not any(o.type is OrderType.MARKET and o.client_id is None for o in self.orders.values())
            else self.net
        )
        return PictureTaken(self.now, orders, tuple(self.fills), shown)

    def show_hidden(self) -> None:
        """What was slow to arrive arrives now."""
        self.hides = False
        for command in self.hidden:
            self._place(command)

    def _place(self, command: PlaceOrder) -> Event:
        if self.entries_wait_until is not None and command.purpose is Purpose.ENTRY:
            return CallNotSent(command.id, "HTTP 429", self.entries_wait_until)
        if self.refuses_exits and command.purpose.rests:
            return CallRefused(command.id, "InvalidPrice")
        if self.refuses is not None:
            return CallRefused(command.id, self.refuses, "the broker said no")
        if self.hides:
            self.hidden.append(command)
            return AnswerLost(command.id, "timed out")
        made = [self._accept(command.order, command.order.id)]
        if command.other is not None:
            made.append(self._accept(command.other, command.other.id))
            made[0].sibling, made[1].sibling = made[1].id, made[0].id
        for order in made:
            self.trade(order)
        return CallAccepted(command.id, tuple(BrokerOrderId(str(o.id)) for o in made))

    def _modify(self, command: ModifyOrder) -> Event:
        order = self.orders[int(command.broker_id)]
        if order.status.ended:
            return CallRefused(command.id, "TooLate")
        order.quantity, order.price, order.version = command.quantity, command.price, order.version + 1
        self.queue.append(OrderReported(order.report()))
        self.trade(order)
        return CallAccepted(command.id, ())

    def _accept(self, order: Order, client_id: ClientOrderId | None) -> AtBroker:
        made = AtBroker(self.make(), client_id, order.action, order.quantity, order.order_type, order.price)
        self.orders[made.id] = made
        self.queue.append(OrderReported(made.report()))
        return made

    def cancel(self, order: AtBroker) -> None:
        order.status = Status.CANCELED
        self.queue.append(OrderReported(order.report()))
        sibling = self.orders.get(order.sibling or 0)
        if sibling is not None and not sibling.status.ended:
            self.cancel(sibling)

    def move(self, price: str) -> World:
        """The market trades at `price`."""
        self.price = Decimal(price)
        for order in list(self.orders.values()):
            self.trade(order)
        return self

    def trade(self, order: AtBroker) -> None:
        if not order.status.ended and self._reached(order):
            self.fill(order, order.quantity - order.filled)

    def _reached(self, order: AtBroker) -> bool:
        if order.price is None:
            return True
        gap = (self.price - order.price) * order.action.sign
        return gap <= 0 if order.type is OrderType.LIMIT else gap >= 0

    def fill(self, order: AtBroker, quantity: int) -> None:
        price = order.price if order.type is OrderType.LIMIT and order.price is not None else self.price
        fill = Fill(FillId(str(self.make())), BrokerOrderId(str(order.id)), order.action, quantity, price, self.now)
        self.fills.append(fill)
        self.net += fill.signed
        order.filled += quantity
        self.queue.append(OrderFilled(fill))
        if order.filled >= order.quantity:
            order.status = Status.FILLED
            sibling = self.orders.get(order.sibling or 0)
            if sibling is not None and not sibling.status.ended:
                self.cancel(sibling)
        self.queue.append(OrderReported(order.report()))

    def by_hand(self, action: Action, quantity: int) -> None:
        made = AtBroker(self.make(), None, action, quantity, OrderType.MARKET, None)
        self.orders[made.id] = made
        self.trade(made)


def started(**over: object) -> World:
    """A world whose lane has seen the broker."""
    world = World(**over)  # type: ignore[arg-type]  # fields by name
    world.queue.append(world.picture())
    return world.run()


def holding(contracts: int = 1, **rules: Any) -> World:
    """So many signed contracts are held by one trade; `rules` as for `terms`."""
    world = started()
    if contracts:
        world.alert(Verb.BUY if contracts > 0 else Verb.SELL, terms(abs(contracts), **rules))
        world.wait(5)
    return world
