"""What a lane would do with a signal: the real core, played against a broker that obeys at once.

Nothing here decides anything. `step` does, as it does when trading, so that an explanation cannot drift from what
is then sent; this only answers its commands: orders at market fill at the price given, targets and stops rest,
pictures show what is believed already. What the core would have to wait for is not invented: a lane in doubt stays
in doubt, and the rehearsal says that the signal would wait.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, assert_never

from justtrades.positions import book
from justtrades.positions.commands import (
    CancelOrder,
    Command,
    Liquidate,
    LookForOrders,
    ModifyOrder,
    Mutation,
    PlaceOrder,
    TakePicture,
)
from justtrades.positions.events import (
    CallAccepted,
    Event,
    OrderFilled,
    OrderReported,
    PictureTaken,
    PositionReported,
    SignalReceived,
    TimePassed,
)
from justtrades.positions.limits import Limits
from justtrades.positions.machine import Step, step
from justtrades.positions.model import (
    BrokerOrder,
    BrokerOrderId,
    Fill,
    FillId,
    Job,
    Lane,
    Order,
    OrderType,
    Signal,
    SignalDone,
    Status,
    TradeClosed,
)
from justtrades.positions.rules import Rule, rules

MOST_STEPS: Final = 500
FIRST_ID: Final = 10**30
PATIENCE: Final = timedelta(seconds=3)
"""How far ahead the clock may go before the signal is said to wait."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """`done` None: the signal would wait, for `waits`. `mutations` in the order they would be sent; `lane` is what
    would be known then."""

    rules: tuple[Rule, ...]
    mutations: tuple[Mutation, ...]
    done: SignalDone | None
    waits: str | None
    lane: Lane
    orders: tuple[Order, ...] = ()
    """Every order that was known at any time of it, as it was first known."""
    closed: tuple[TradeClosed, ...] = ()


def rehearse(lane: Lane, signal: Signal, now: datetime, limits: Limits, price: Decimal) -> Rehearsal:
    """`price` is what market orders fill at, in points."""
    told = rules(lane, Job(signal), now)
    played = _Play(lane, now, limits, price)
    played.run([SignalReceived(signal)])
    done = played.done.get(signal.id)
    waits = None if done is not None else _waits(played.lane)
    return Rehearsal(
        told, tuple(played.sent), done, waits, played.lane, tuple(played.orders.values()), tuple(played.closed)
    )


def priced(lane: Lane, price: Decimal, now: datetime, limits: Limits) -> Lane:
    """The lane once the market has been at `price`, in points: what rests and was reached has filled."""
    played = _Play(lane, now, limits, price)
    for order in book.resting(lane):
        still = next((o for o in played.lane.orders if o.id == order.id and o.live), None)
        if still is not None and still.broker_id is not None and _reached(still, price):
            played.run(played.filled(still, still.broker_id))
    return played.lane


@dataclass(slots=True)
class _Play:
    lane: Lane
    now: datetime
    limits: Limits
    price: Decimal
    sent: list[Mutation] = field(default_factory=list)
    done: dict[str, SignalDone] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    closed: list[TradeClosed] = field(default_factory=list)
    made: int = 0

    def run(self, first: list[Event]) -> None:
        until, queue = self.now + PATIENCE, deque(first)
        for _ in range(MOST_STEPS):
            self.orders = {order.id: order for order in self.lane.orders} | self.orders
            done = step(self.lane, queue.popleft(), self.now, self.limits)
            self.lane = done.lane
            self.done |= {told.signal_id: told for told in done.lane.news if isinstance(told, SignalDone)}
            self.closed += [told for told in done.lane.news if isinstance(told, TradeClosed)]
            for command in done.commands:
                queue += self._carry_out(command)
            if not queue and not self._goes_on(done, until):
                return
            queue = queue or deque([TimePassed()])

    def _goes_on(self, done: Step, until: datetime) -> bool:
        """Time moves on while something is unfinished that only waits for it."""
        if not self.lane.jobs or done.wake_at is None or done.wake_at > until:
            return False
        self.now = max(done.wake_at, self.now + timedelta(milliseconds=1))
        return True

    # ── the broker ──

    def _carry_out(self, command: Command) -> list[Event]:
        match command:
            case LookForOrders():
                return []
            case TakePicture():
                return [self._picture()]
            case PlaceOrder():
                self.sent.append(command)
                return self._place(command)
            case ModifyOrder():
                self.sent.append(command)
                return [CallAccepted(command.id, ()), OrderReported(self._changed(command))]
            case CancelOrder():
                self.sent.append(command)
                return [CallAccepted(command.id, ()), *self._cancel(self.lane.order(command.order_id))]
            case Liquidate():
                self.sent.append(command)
                return self._liquidate(command)
            case _:
                assert_never(command)

    def _place(self, command: PlaceOrder) -> list[Event]:
        orders = [command.order] if command.other is None else [command.order, command.other]
        ids = tuple(self._id() for _ in orders)
        pairs = zip(orders, ids, strict=True)
        return [CallAccepted(command.id, ids), *(e for order, made in pairs for e in self._taken(order, made))]

    def _taken(self, order: Order, broker_id: BrokerOrderId) -> list[Event]:
        if order.order_type is not OrderType.MARKET:
            return [OrderReported(_shown(order, broker_id, Status.WORKING))]
        fill = Fill(FillId(self._id()), broker_id, order.action, order.quantity, self.price, self.now)
        done = OrderReported(_shown(order, broker_id, Status.FILLED, order.quantity))
        return [done, OrderFilled(fill), self._position_after(fill)]

    def filled(self, order: Order, broker_id: BrokerOrderId) -> list[Event]:
        """A resting order at its own price, and the other of its pair gone."""
        price = order.price if order.price is not None else self.price
        fill = Fill(FillId(self._id()), broker_id, order.action, order.quantity, price, self.now)
        done = OrderReported(_shown(order, broker_id, Status.FILLED, order.quantity))
        pair = [o for o in self.lane.orders if o.live and o.id == order.oco and o.broker_id is not None]
        gone = [OrderReported(_shown(o, o.broker_id, Status.CANCELED)) for o in pair if o.broker_id is not None]
        return [done, OrderFilled(fill), *gone, self._position_after(fill)]

    def _position_after(self, fill: Fill) -> PositionReported:
        standing = book.standing(self.lane)
        return PositionReported(standing.held + standing.foreign + fill.signed, self.now)

    def _changed(self, command: ModifyOrder) -> BrokerOrder:
        order = self.lane.order(command.order_id)
        version = order.version + 1
        return BrokerOrder(
            command.broker_id,
            order.id,
            Status.WORKING,
            order.action,
            command.quantity,
            command.order_type,
            command.price,
            order.claimed,
            version=version,
        )

    def _cancel(self, order: Order) -> list[Event]:
        pair = [o for o in self.lane.orders if o.live and o.id in (order.id, order.oco)]
        return [OrderReported(_shown(o, o.broker_id, Status.CANCELED)) for o in pair if o.broker_id is not None]

    def _liquidate(self, command: Liquidate) -> list[Event]:
        made = self._id()
        gone = [e for order in book.resting(self.lane) for e in self._cancel(order)]
        return [*gone, CallAccepted(command.id, (made,)), *self._taken(command.order, made)]

    def _picture(self) -> PictureTaken:
        """What is believed; only where books and broker differ already, what the broker said."""
        standing = book.standing(self.lane)
        believed = standing.held + standing.foreign
        said = self.lane.broker_quantity if self.lane.divergence is not None else None
        orders = [(o, o.broker_id) for o in self.lane.orders if o.broker_id is not None]
        shown = tuple(_shown(o, broker_id, o.status, o.claimed) for o, broker_id in orders)
        return PictureTaken(self.now, shown, self.lane.fills, believed if said is None else said)

    def _id(self) -> BrokerOrderId:
        """Longer than any broker's, so that what is made here comes last, and after what was made here before."""
        self.made = max(self.made, *(int(i) for i in self._made_before()), FIRST_ID) + 1
        return BrokerOrderId(str(self.made))

    def _made_before(self) -> list[str]:
        known = [*(fill.id for fill in self.lane.fills), *(o.broker_id for o in self.lane.orders if o.broker_id)]
        return [one for one in known if one.isdigit() and len(one) > 30] or ["0"]


def _shown(order: Order, broker_id: BrokerOrderId, status: Status, claimed: int = 0) -> BrokerOrder:
    return BrokerOrder(
        broker_id,
        order.id,
        status,
        order.action,
        order.quantity,
        order.order_type,
        order.price,
        max(claimed, order.claimed),
        version=order.version,
    )


def _reached(order: Order, price: Decimal) -> bool:
    if order.price is None:
        return False
    gap = (price - order.price) * order.action.sign
    return gap <= 0 if order.order_type is OrderType.LIMIT else gap >= 0


def _waits(lane: Lane) -> str:
    """What keeps the first signal of the lane from its end."""
    if book.in_doubt(lane):
        return "the outcome of an earlier order is not known yet"
    if lane.call is not None:
        return "an earlier order is on its way"
    if lane.divergence is not None:
        return "books and broker differ, and are being compared"
    if lane.jobs and lane.jobs[0].signal.follow is not None:
        return "an alert before this one is missing, and it waits a moment for it"
    return "the lane is not at rest"


__all__ = ["Rehearsal", "priced", "rehearse"]
