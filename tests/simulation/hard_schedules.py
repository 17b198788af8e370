"""Schedules with a broker that is harder to know: lists that lag, fills in parts, outages of cancels.

On top of `lane_schedules`: each list of a picture (orders, fills, position) may lag on its own, cancels may not
get through for a while, and market orders fill in parts. What must hold at rest is the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from justtrades.positions.commands import CancelOrder, Command, LookForOrders
from justtrades.positions.events import CallNotSent, Event, Looked, PictureTaken
from justtrades.positions.model import Fill
from tests.positions.lane_world import AtBroker
from tests.simulation.lane_schedules import Schedule


@dataclass(frozen=True, slots=True)
class Past:
    """What the broker's lists showed at one moment."""

    at: float
    orders: tuple[AtBroker, ...]
    fills: tuple[Fill, ...]
    net: int


@dataclass
class HardSchedule(Schedule):
    """`lag`: most seconds a list is behind; `parts`: market orders fill one contract at a time; `outages`."""

    lag: float = 0.0
    parts: bool = False
    outages: bool = False
    history: list[Past] = field(default_factory=list)
    cancels_from: float = 0.0
    """Until then no cancel gets through."""

    def __post_init__(self) -> None:
        super().__post_init__()
        world = self.world
        self._carry: Callable[[Command], Event] = world.carry_out
        self._fill: Callable[[AtBroker, int], None] = world.fill
        world.carry_out = self._carried  # type: ignore[method-assign]  # the same broker, seen through a haze
        world.picture = self._picture  # type: ignore[method-assign]  # as above
        if self.parts:
            world.fill = self._in_parts  # type: ignore[method-assign]  # as above
        self._remember()

    def _remember(self) -> None:
        world = self.world
        orders = tuple(dataclasses.replace(o) for o in world.orders.values())
        self.history.append(Past(self.clock, orders, tuple(world.fills), world.net))

    def _seen(self) -> Past:
        self._remember()
        behind = self.clock - (self.rng.uniform(0, self.lag) if self.faulty else 0.0)
        return next((past for past in reversed(self.history) if past.at <= behind), self.history[0])

    def _picture(self) -> PictureTaken:
        orders, fills, position = self._seen(), self._seen(), self._seen()
        return PictureTaken(self.world.now, tuple(o.report() for o in orders.orders), fills.fills, position.net)

    def _carried(self, command: Command) -> Event:
        if isinstance(command, LookForOrders):
            return self._looked(command)
        if isinstance(command, CancelOrder) and self.faulty and self.clock < self.cancels_from:
            return CallNotSent(command.id, "no cancel gets through", self.world.now + timedelta(seconds=0.3))
        event = self._carry(command)
        self._remember()
        return event

    def _looked(self, command: LookForOrders) -> Looked:
        past = self._seen()
        known = tuple(o.report() for o in past.orders if o.client_id in command.ids)
        ids = {o.broker_id for o in known}
        return Looked(self.world.now, known, tuple(f for f in past.fills if f.broker_order_id in ids))

    def _in_parts(self, order: AtBroker, quantity: int) -> None:
        for _ in range(quantity):
            self._fill(order, 1)

    def _act(self) -> None:
        if self.outages and self.rng.random() < 0.2:
            self.cancels_from = self.clock + self.rng.uniform(1, 20)
        super()._act()
        self._remember()


KINDS: dict[str, dict[str, float | bool]] = {
    "lists lag 3 s": {"lag": 3.0},
    "lists lag 10 s": {"lag": 10.0},
    "fills in parts": {"parts": True},
    "cancels fail for a while": {"outages": True},
    "all of it": {"lag": 3.0, "parts": True, "outages": True},
}


def run_hard(seed: int, kind: str) -> str | None:
    """None when everything held; else what did not, with the last of the story."""
    schedule = HardSchedule(seed, **KINDS[kind])  # type: ignore[arg-type]  # fields by name
    try:
        schedule.play().check_at_rest()
    except Exception as error:  # noqa: BLE001,RUF100 - whatever breaks is the finding
        tail = "\n".join(schedule.story[-25:])
        return f"{kind}, seed {seed}: {type(error).__name__} {error}\n{tail}"
    return None
