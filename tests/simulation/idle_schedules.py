"""Schedules of one lane beside a broker that answers everything and does not do what it says, for as long as it lasts.

Which of its duties it neglects follows from the seed. Only one thing is asked: every signal has its end, two minutes
after the last of them at the latest. (Without `positions.patience` one seed in five breaks it.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from justtrades.positions.commands import CancelOrder, Command, Liquidate, PlaceOrder
from justtrades.positions.events import CallAccepted, CallRefused, Event, OrderReported, PictureTaken
from justtrades.positions.model import OrderType, Purpose, SignalDone, Status
from tests.positions.lane_world import AtBroker
from tests.simulation.disturbed_schedules import DisturbedSchedule
from tests.simulation.hard_schedules import KINDS

NEGLECTS = ("cancels", "liquidations", "closes", "market orders", "fills", "positions")


@dataclass
class IdleSchedule(DisturbedSchedule):
    neglects: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.neglects = {duty for duty in NEGLECTS if self.rng.random() < 0.3}
        world = self.world
        self._obeyed, self._traded, self._filled = world.carry_out, world.trade, world.fill
        self._shown: Callable[[], PictureTaken] = world.picture
        self._off = self.rng.randint(-2, 2)
        world.carry_out = self._obeys  # type: ignore[method-assign]  # the same broker, idle
        world.trade = self._trades  # type: ignore[method-assign]  # as above
        world.fill = self._fills  # type: ignore[method-assign]  # as above
        world.picture = self._shows  # type: ignore[method-assign]  # as above

    def _obeys(self, command: Command) -> Event:
        match command:
            case CancelOrder() if "cancels" in self.neglects:
                return CallAccepted(command.id, ())
            case Liquidate() if "liquidations" in self.neglects:
                return CallAccepted(command.id, ())
            case PlaceOrder(purpose=Purpose.CLOSE) if "closes" in self.neglects:
                return CallRefused(command.id, "LiquidationOnly")
            case _:
                return self._obeyed(command)

    def _trades(self, order: AtBroker) -> None:
        market = order.type is OrderType.MARKET and order.client_id is not None
        if not market or "market orders" not in self.neglects or self.rng.random() < 0.5:
            self._traded(order)

    def _fills(self, order: AtBroker, quantity: int) -> None:
        if "fills" not in self.neglects or order.client_id is None or self.rng.random() < 0.7:
            self._filled(order, quantity)
            return
        order.filled += quantity
        order.status = Status.FILLED if order.filled >= order.quantity else order.status
        self.world.queue.append(OrderReported(order.report()))

    def _shows(self) -> PictureTaken:
        seen = self._shown()
        return replace(seen, quantity=seen.quantity + self._off) if "positions" in self.neglects else seen

    def check_at_rest(self) -> None:
        done = [n.signal_id for n in self.world.news if isinstance(n, SignalDone)]
        assert sorted(done) == sorted(self.signals), (sorted(done), self.signals)


def run_idle(seed: int) -> str | None:
    """None when every signal ended; else which did not, with the last of the story."""
    schedule = IdleSchedule(seed, **KINDS[list(KINDS)[seed % len(KINDS)]])  # type: ignore[arg-type]  # fields by name
    try:
        schedule.play().check_at_rest()
    except Exception as error:  # noqa: BLE001,RUF100 - whatever breaks is the finding
        tail = "\n".join(schedule.story[-25:])
        return f"neglects {sorted(schedule.neglects)}, seed {seed}: {type(error).__name__} {error}\n{tail}"
    return None
