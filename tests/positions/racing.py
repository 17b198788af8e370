"""A close that races everything else: the broker's half of it takes time, and news comes in any order.

A command is on its way until the race lets it arrive; what the broker tells lies about until the race lets it be
heard, in any order, sometimes twice. Meanwhile the market reaches target or stop, fills come in parts, and somebody
closes by hand. Everything follows from the seed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from functools import cache
from random import Random

from justtrades.positions import book
from justtrades.positions.commands import Command, Liquidate, LookForOrders, PlaceOrder, TakePicture
from justtrades.positions.events import Event, OrderFilled, OrderReported, TimePassed
from justtrades.positions.machine import Step, step
from justtrades.positions.model import Action, Outcome, Purpose, Side, SignalDone, Verb
from tests.positions.lane_world import AtBroker, World, started, terms

KINDS = ("target", "stop", "parts", "hand", "late", "all of it")
"""What the close meets; `late`: the target fills while the cancel is under way, so the cancel comes too late."""


@dataclass
class Racing(World):
    """Commands wait in `under_way` until they are carried out."""

    under_way: list[Command] = field(default_factory=list)
    met: set[str] = field(default_factory=set)
    """What really happened while the close was under way."""
    broken: list[str] = field(default_factory=list)
    hand_at_work: bool = False
    """A hand took away what an exit of ours, resting or on the wire, was there to close."""
    hands: set[int] = field(default_factory=set)
    """The broker's numbers of orders made by hand."""

    def tell(self, event: Event) -> Step | None:
        if self.past.is_old(event, self.lane):
            return None
        done = step(self.lane, self.past.news_in(event, self.lane), self.now, self.limits)
        self.lane, self.wake = done.lane, done.wake_at
        self.news += done.lane.news
        self.past.let_go(done.lane.news, self.now)
        self.commands += done.commands
        self.under_way += done.commands
        if self.closes_under_way and self._hand_unheard:
            self.hand_at_work = True
        return done

    def arrive(self, command: Command) -> None:
        self.under_way.remove(command)
        if not isinstance(command, LookForOrders | TakePicture):
            self.judge_order(command)
        answer = self.carry_out(command)
        if type(answer).__name__ == "CallRefused":
            self.met.add("too late")
        self.queue.append(answer)

    def fill(self, order: AtBroker, quantity: int) -> None:
        before = self.net
        super().fill(order, quantity)
        if order.id in self.hands:
            return
        if before * self.net < 0 or abs(self.net) > abs(before):
            self._breaks(f"order {order.id} of ours turned {before:+d} into {self.net:+d}")

    def judge_order(self, command: Command) -> None:
        """A closing order finds nothing of ours that could fill beside it."""
        if isinstance(command, PlaceOrder) and command.purpose is Purpose.CLOSE:
            rests = [o.id for o in self.working() if o.client_id is not None]
            if rests:
                self.broken.append(f"a close was sent beside {rests}")
            if command.order.quantity > abs(self.net) or self.net * command.order.action.sign >= 0:
                self._breaks(f"a close of {command.order.quantity} was sent beside {self.net:+d}")

    def _breaks(self, text: str) -> None:
        """Unless nobody could know: a hand has just acted, and no news of it has come."""
        if self._hand_unheard:
            self.hand_at_work = True
        else:
            self.broken.append(text)

    @property
    def _hand_unheard(self) -> bool:
        told = {f.id for f in self.lane.fills} | self.past.fills.keys()
        return any(int(f.broker_order_id) in self.hands and f.id not in told for f in self.fills)

    def by_hand(self, action: Action, quantity: int) -> None:
        self.hands.add(self.next_id + 10)
        super().by_hand(action, quantity)

    @property
    def closes_under_way(self) -> bool:
        return any(isinstance(c, PlaceOrder | Liquidate) and c.purpose is Purpose.CLOSE for c in self.under_way)


@cache
def _opened(side: Side, quantity: int, stop: int | None) -> World:
    """A position with its exits at rest; copied for each race."""
    world = started()
    world.alert(Verb.BUY if side is Side.LONG else Verb.SELL, terms(quantity, target=20, stop=stop))
    return world.wait(2)


def _racing(world: World) -> Racing:
    copy = Racing(lane=world.lane, now=world.now, price=world.price, next_id=world.next_id, net=world.net)
    copy.orders = {number: replace(order) for number, order in world.orders.items()}
    copy.fills, copy.news, copy.signals, copy.wake = [*world.fills], [*world.news], world.signals, world.wake
    return copy


@dataclass
class Race:
    seed: int
    rng: Random = field(init=False)
    world: Racing = field(init=False)
    kind: str = field(init=False)
    side: Side = field(init=False)
    story: list[str] = field(default_factory=list)

    def run(self) -> Race:
        rng = self.rng = Random(self.seed)
        self.kind = KINDS[self.seed % len(KINDS)]
        self.side, quantity = rng.choice(list(Side)), rng.randint(1, 3)
        self.world = _racing(_opened(self.side, quantity, rng.choice([None, 40])))
        acts = self._acts(quantity)
        while acts or self.world.queue or self.world.under_way:
            self._move(acts)
        self._rest()
        return self

    def _acts(self, quantity: int) -> list[str]:
        """The close and what meets it, in a random order."""
        acts = ["close"] * self.rng.choice([1, 1, 2])
        everything = self.kind == "all of it"
        if self.kind in ("target", "late") or everything:
            acts.append("target")
        if self.kind == "stop" or everything:
            acts.append("stop")
        if self.kind == "parts" or everything:
            acts += ["part"] * self.rng.randint(1, quantity)
        if self.kind == "hand" or everything:
            acts.append("hand")
        self.rng.shuffle(acts)
        if self.kind == "late":
            acts.sort(key=["close", "target"].index)
        return acts

    def _move(self, acts: list[str]) -> None:
        """One of: an act, a command arrives, news is heard; a moment passes."""
        world, rng = self.world, self.rng
        world.now += timedelta(milliseconds=rng.randint(1, 40))
        choices = ["act"] * bool(acts) + ["arrive"] * bool(world.under_way) + ["hear"] * 2 * bool(world.queue)
        match rng.choice(choices):
            case "act":
                self._act(acts.pop(0))
            case "arrive":
                command = rng.choice(world.under_way)
                self._tell(f"> {type(command).__name__}")
                world.arrive(command)
            case _:
                event = world.queue.pop(rng.randrange(len(world.queue)))
                if isinstance(event, OrderReported | OrderFilled) and rng.random() < 0.15:
                    world.queue.append(event)
                self._tell(f"< {type(event).__name__}")
                world.tell(event)

    def _act(self, act: str) -> None:
        world, sign = self.world, self.side.sign
        self._tell(f"* {act}")
        match act:
            case "close":
                world.alert(Verb.CLOSE)
            case "stop" if any(o.filled for o in world.working()):
                pass  # a market does not leap from target to stop within the moment the stop takes to follow
            case "target" | "stop":
                before = world.net
                world.move(str(world.price + Decimal(sign * (6 if act == "target" else -11))))
                world.price = Decimal(100)
                self._meets(act, before)
            case "part":
                resting = [o for o in world.working() if o.type.value == "Limit"]
                if resting:
                    before = world.net
                    world.fill(resting[0], 1)
                    self._meets("part", before)
            case _:
                self._by_hand()

    def _meets(self, what: str, before: int) -> None:
        if before != self.world.net and any(j.signal.verb is Verb.CLOSE for j in self.world.lane.jobs):
            self.world.met.add(what)

    def _by_hand(self) -> None:
        """All of it or a part. A market close on the wire could not be called back: then the hand comes after it."""
        world = self.world
        while world.closes_under_way:
            world.arrive(next(c for c in world.under_way if isinstance(c, PlaceOrder | Liquidate)))
        if world.net:
            before = world.net
            quantity = self.rng.randint(1, abs(world.net))
            world.by_hand(Action.of(-world.net), quantity)
            if abs(world.net) < sum(o.quantity - o.filled for o in world.working() if o.type.value == "Limit"):
                world.hand_at_work = True
            self._meets("hand", before)

    def _rest(self) -> None:
        """Nothing disturbs any more; time passes until nothing is left to do."""
        world = self.world
        for _ in range(400):
            while world.under_way or world.queue:
                if world.under_way:
                    world.arrive(world.under_way[0])
                else:
                    world.tell(world.queue.pop(0))
            if world.wake is None or (not world.lane.jobs and not world.net and world.lane.trade is None):
                break
            world.now = max(world.wake, world.now + timedelta(milliseconds=1))
            world.tell(TimePassed())

    def _tell(self, text: str) -> None:
        self.story.append(f"{text}  (net {self.world.net:+d})")

    def wrong(self) -> str | None:
        """What did not hold, with the story; None when all did.

        A hand that closes what our exits are just closing makes one exit too many, which nobody can prevent: then
        the broker may cross zero, and what is left is closed by us or, when the trade was over before the hand's
        fill was heard, shown as foreign and told.
        """
        world = self.world
        found = [] if world.hand_at_work else [*world.broken]
        shown = book.foreign_quantity(world.lane) if world.hand_at_work and world.lane.blocked else 0
        if world.held or world.net != shown:
            found.append(f"closed, and yet the broker holds {world.net:+d}, the books {world.held:+d}")
        if world.working():
            found.append(f"orders still work: {[o.id for o in world.working()]}")
        done = [n for n in world.news if isinstance(n, SignalDone)]
        if len(done) != world.signals or any(n.outcome is Outcome.NEEDS_ATTENTION for n in done):
            found.append(f"outcomes: {[(n.signal_id, str(n.outcome)) for n in done]}")
        made = -sum((f.signed * f.price for f in world.fills), start=Decimal(0)) * world.lane.contract.point_value
        if not shown and sum((t.pnl for t in world.trades()), start=Decimal(0)) != made:
            found.append("the trades do not come to the sum of the fills")
        if not found:
            return None
        return "\n".join([f"seed {self.seed}, {self.kind}: {'; '.join(found)}", *self.story])


__all__ = ["KINDS", "Race", "Racing"]
