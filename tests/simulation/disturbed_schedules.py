"""Schedules of one lane among other hands: the trader closes, opens and cancels, the exchange undoes executions, and
a person lets the lane go on.

On top of `hard_schedules`. What is foreign and what was asked of a person is left as it is, so at rest less is asked:
every signal has its end, books and broker make the same, and no exit rests that would open a position.
"""

from __future__ import annotations

from dataclasses import dataclass

from justtrades.positions import book
from justtrades.positions.events import FillBusted, LaneResumed
from justtrades.positions.model import Action, OrderType, SignalDone
from tests.simulation.hard_schedules import KINDS, HardSchedule


@dataclass
class DisturbedSchedule(HardSchedule):
    def _act(self) -> None:
        kinds = ["usual", "close", "open", "bust", "cancel", "resume"]
        match self.rng.choices(kinds, [60, 12, 4, 10, 6, 8])[0]:
            case "close" if self.world.net:
                self._by_hand(Action.of(-self.world.net), self.rng.choice([1, abs(self.world.net)]))
            case "open":
                self._by_hand(self.rng.choice(list(Action)), 1)
            case "bust":
                self._bust()
            case "cancel" if self.world.working():
                order = self.rng.choice(self.world.working())
                self._tell(f"by hand: cancel {order.id}")
                self.world.cancel(order)
            case "resume":
                self._tell("resume")
                self.world.queue.append(LaneResumed(adopt=False))
            case _:
                super()._act()
        self._remember()

    def _tell(self, text: str) -> None:
        self.story.append(f"{self.clock:7.2f}  * {text}")

    def _by_hand(self, action: Action, quantity: int) -> None:
        self._tell(f"by hand: {action} {quantity}")
        self.world.by_hand(action, quantity)

    def _bust(self) -> None:
        """The exchange undoes one of the newest executions of orders that have ended."""
        world = self.world
        ended = [f for f in world.fills if world.orders[int(f.broker_order_id)].status.ended]
        if ended:
            fill = self.rng.choice(ended[-4:])
            self._tell(f"the exchange undoes fill {fill.id}")
            world.fills.remove(fill)
            world.net -= fill.signed
            world.queue.append(FillBusted(fill.id, fill))

    def check_at_rest(self) -> None:
        world, lane = self.world, self.world.lane
        done = [n.signal_id for n in world.news if isinstance(n, SignalDone)]
        assert sorted(done) == sorted(self.signals), (sorted(done), self.signals)
        assert lane.call is None
        assert lane.divergence is None
        assert not book.in_doubt(lane)
        ours, foreign = book.held(lane), book.foreign_quantity(lane)
        assert ours + foreign == world.net, (ours, foreign, world.net)
        for kind in (OrderType.LIMIT, OrderType.STOP):
            for side in Action:
                resting = sum(o.quantity - o.filled for o in world.working() if (o.type, o.action) == (kind, side))
                assert resting <= max(-side.sign * world.net, 0), (kind, side, resting, world.net)


def run_disturbed(seed: int) -> str | None:
    """None when everything held; else what did not, with the last of the story."""
    kind = list(KINDS)[seed % len(KINDS)]
    schedule = DisturbedSchedule(seed, **KINDS[kind])  # type: ignore[arg-type]  # fields by name
    try:
        schedule.play().check_at_rest()
    except Exception as error:  # noqa: BLE001,RUF100 - whatever breaks is the finding
        tail = "\n".join(schedule.story[-25:])
        return f"other hands, {kind}, seed {seed}: {type(error).__name__} {error}\n{tail}"
    return None
