"""Random schedules for one lane: alerts, prices, lost and late answers, shuffled events, restarts.

Everything follows from the seed. After the faults stop, the books must equal the broker, every signal must have
exactly one outcome, and no order may have been sent twice.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from justtrades.positions import book, exits
from justtrades.positions.commands import Command, PlaceOrder
from justtrades.positions.events import (
    AnswerLost,
    Event,
    OrderFilled,
    OrderReported,
    PictureWanted,
    ReadFailed,
    Restarted,
    TimePassed,
)
from justtrades.positions.model import ClientOrderId, OnOpposite, OnSameSide, SignalDone, SignalId, TargetUpdate, Verb
from tests.positions.lane_world import START, World, started, terms

TRUTH_POLL = 20.0
"""Seconds between two comparisons with REST truth, as the desk makes them: the only cure for a lost last event."""


@dataclass
class Schedule:
    seed: int
    faults: float = 0.15
    world: World = field(init=False)
    rng: random.Random = field(init=False)
    later: list[tuple[float, int, Event]] = field(default_factory=list)
    signals: list[SignalId] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    clock: float = 0.0
    sent: dict[ClientOrderId, int] = field(default_factory=dict)
    faulty: bool = True
    next_truth: float = 20.0

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.world = started()
        self.world.answer = self._answer
        self.world.reach = self._reach
        self.world.each_step = self._check

    # ── faults ──

    def _chance(self, probability: float) -> bool:
        return self.faulty and self.rng.random() < probability

    def _reach(self, command: Command) -> bool:
        if isinstance(command, PlaceOrder):
            self.sent[command.id] = self.sent.get(command.id, 0) + 1
        name = f"{type(command).__name__} {getattr(command, 'purpose', '')} {getattr(command, 'id', '')}"
        self.story.append(f"{self.clock:7.2f}  > {name}")
        return not self._chance(self.faults)

    def _answer(self, command: Command, event: Event) -> list[Event]:
        call_id = getattr(command, "id", None)
        if self._chance(self.faults):
            event = AnswerLost(ClientOrderId(call_id), "lost") if call_id is not None else ReadFailed("lost")
            self.story.append(f"{self.clock:7.2f}  < answer lost")
        self._post(event, self.rng.uniform(0.02, 0.3) if self.rng.random() < 0.8 else self.rng.uniform(0.3, 4))
        return []

    def _post(self, event: Event, delay: float) -> None:
        self.later.append((self.clock + delay, len(self.later) + self.rng.randrange(10**6), event))

    def _drain(self) -> None:
        """What the broker told goes out shuffled, sometimes late, sometimes twice, sometimes never."""
        for event in self.world.queue:
            if isinstance(event, OrderReported | OrderFilled):
                if self._chance(self.faults / 2):
                    continue
                for _ in range(2 if self._chance(0.1) else 1):
                    self._post(event, self.rng.uniform(0.0, 0.4))
            else:
                self._post(event, 0.0)
        self.world.queue.clear()

    # ── time ──

    def advance(self, seconds: float) -> None:
        end = self.clock + seconds
        while True:
            self._drain()
            wake = (self.world.wake - START).total_seconds() if self.world.wake else None
            if self.next_truth <= end:
                self.later.append((self.next_truth, 0, PictureWanted()))
                self.next_truth += TRUTH_POLL
            first = min(self.later, default=None)
            moments = [m for m in (wake, first[0] if first else None) if m is not None and m <= end]
            if not moments:
                break
            self.clock = max(min(moments), self.clock)
            self.world.now = START + timedelta(seconds=self.clock, milliseconds=1)
            self.clock += 0.001
            if first is not None and first[0] <= self.clock:
                self.later.remove(first)
                self.story.append(f"{self.clock:7.2f}  < {_short(first[2])}")
                self.world.tell(first[2])
            else:
                self.world.tell(TimePassed())
        self.clock = end
        self.world.now = START + timedelta(seconds=self.clock)

    # ── the play ──

    def play(self, acts: int = 14) -> Schedule:
        for _ in range(acts):
            self._act()
            self.advance(self.rng.choice([0.0, 0.05, 0.3, 1.0, 5.0, 20.0]))
        self.faulty = False
        self.advance(120)
        self.next_truth = float("inf")
        self.advance(10)  # the last comparison comes to its end
        return self

    def _act(self) -> None:
        rng, world = self.rng, self.world
        kind = rng.choices(["buy", "sell", "close", "move", "restart"], [5, 4, 3, 5, 1])[0]
        self.story.append(f"{self.clock:7.2f}  * {kind}")
        match kind:
            case "buy" | "sell":
                rules = terms(
                    rng.choice([1, 1, 2, 3]),
                    target=rng.choice([8, 20]),
                    stop=rng.choice([None, 40]),
                    on_same_side=rng.choice([OnSameSide.ADD, OnSameSide.ADD, OnSameSide.REENTER]),
                    on_opposite=rng.choice(list(OnOpposite)),
                    target_update=rng.choice(list(TargetUpdate)),
                    max_quantity=6,
                )
                self.signals.append(world.alert(Verb(kind), rules))
            case "close":
                self.signals.append(world.alert(Verb.CLOSE, quantity=rng.choice([None, None, 1])))
            case "move":
                world.move(str(world.price + Decimal(rng.randint(-24, 24)) * Decimal("0.25")))
            case _:
                self._restart()

    def _restart(self) -> None:
        """The process dies: what was on its way to it is lost, the broker goes on."""
        self.later = [entry for entry in self.later if type(entry[2]).__name__ == "SignalReceived"]
        self.world.queue[:] = [e for e in self.world.queue if type(e).__name__ == "SignalReceived"]
        self._post(Restarted(), 0.5)

    # ── what must hold ──

    def _check(self, world: World) -> None:
        """After every step: no client order id was sent twice."""
        doubled = [i for i, n in self.sent.items() if n > 1]
        assert not doubled, f"sent twice: {doubled}"

    def check_at_rest(self) -> None:
        world, lane = self.world, self.world.lane
        done = [n.signal_id for n in world.news if isinstance(n, SignalDone)]
        assert sorted(done) == sorted(self.signals), (sorted(done), self.signals)
        assert lane.call is None
        assert lane.read is None
        assert not book.in_doubt(lane)
        assert (lane.foreign, lane.blocked) == (0, None)
        assert world.held == world.net, (world.held, world.net)
        assert exits.protected(lane), lane
        resting = {(o.action, o.price, o.quantity - o.filled) for o in world.working()}
        ours = {(o.action, o.price, o.quantity - book.filled(lane, o)) for o in book.resting(lane)}
        assert resting == ours, (resting, ours)
        if world.net == 0:
            assert not world.working()
            assert lane.trade is None
        total = sum((f.signed * f.price for f in world.fills), start=Decimal(0))
        if world.net == 0:
            assert sum((t.pnl for t in world.trades()), start=Decimal(0)) == -total * lane.contract.point_value
        ids = [o.client_id for o in world.orders.values() if o.client_id]
        assert len(ids) == len(set(ids))


def run(seed: int) -> str | None:
    """None when everything held; else what did not, with the last of the story."""
    schedule = Schedule(seed)
    try:
        schedule.play().check_at_rest()
    except Exception as error:
        tail = "\n".join(schedule.story[-25:])
        return f"seed {seed}: {type(error).__name__} {error}\n{tail}"
    return None


def _short(event: Event) -> str:
    return f"{type(event).__name__} {event}"[:200]
