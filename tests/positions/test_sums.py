"""What a trade made is the sum over its fills, and what protects it follows from them: over plays of every sort.

A play adds, takes parts off, closes by hand and by signal, takes over what a hand opened or an earlier session left,
and loses fills to busts. The sums are worked out here from the broker's fills alone, in fractions.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from justtrades.positions import book, exits
from justtrades.positions.adoption import Adoption
from justtrades.positions.events import FillBusted, LaneResumed
from justtrades.positions.model import (
    AccountId,
    Action,
    BrokerOrderId,
    ClientOrderId,
    Contract,
    ContractName,
    Fill,
    FillId,
    Lane,
    OnOpposite,
    OnSameSide,
    Order,
    OrderType,
    Purpose,
    RecorderId,
    Side,
    SignalId,
    Status,
    Stop,
    Target,
    Terms,
    Trade,
    TradeId,
    Verb,
)
from justtrades.positions.prices import Distance, Unit, is_on_tick
from justtrades.positions.roots import ROOTS, Root
from tests.positions.lane_world import START, World, started, terms

PLAYS = 160 * (10 if os.environ.get("HYPOTHESIS_PROFILE") == "search" else 1)
MOST = 6
D = Decimal


@dataclass
class Play:
    """One play from its seed; `worth` gathers what the fills come to, in points."""

    seed: int
    rng: Random = field(init=False)
    world: World = field(init=False)
    earlier: Fraction = Fraction(0)
    """What was paid for contracts of an earlier session, which have no fill: quantity by average."""
    done: set[str] = field(default_factory=set)

    def run(self) -> Play:
        self.rng, self.world = Random(self.seed), started()
        if self.rng.random() < 0.3:
            self._of_an_earlier_session()
        for _ in range(10):
            self._act()
            self.world.wait(15)
            self._check()
        self._close_all()
        return self

    def _act(self) -> None:
        world, rng = self.world, self.rng
        act = rng.choice(["enter", "enter", "add", "close", "part", "reduce", "open", "bust", "move", "move"])
        before = (len(world.fills), len(world.news))
        match act:
            case "enter":
                world.alert(rng.choice([Verb.BUY, Verb.SELL]), self._rules())
            case "add" if world.net:
                world.alert(Verb.BUY if world.net > 0 else Verb.SELL, self._rules())
            case "close":
                world.alert(Verb.CLOSE, quantity=rng.choice([None, 1]))
            case "part" if resting := [o for o in world.working() if o.quantity - o.filled > 1]:
                world.fill(resting[0], 1)
            case "reduce" if world.net:
                world.by_hand(Action.of(-world.net), rng.randint(1, abs(world.net)))
            case "open":
                self._by_hand_and_taken_over()
            case "bust":
                self._bust()
            case _:
                world.move(str(world.price + rng.randint(-24, 24) * D("0.25")))
        if world.queue or before != (len(world.fills), len(world.news)):
            self.done.add(act)

    def _rules(self) -> Terms:
        rng = self.rng
        return terms(
            rng.choice([1, 2, 3]),
            target=rng.choice([8, 20]),
            stop=rng.choice([None, 40]),
            on_same_side=rng.choice([OnSameSide.ADD, OnSameSide.ADD, OnSameSide.REENTER]),
            on_opposite=rng.choice(list(OnOpposite)),
            max_quantity=MOST,
        )

    def _by_hand_and_taken_over(self) -> None:
        """A hand adds on the side that is held, or opens from flat; a person takes it over for the recorder."""
        world = self.world
        action = Action.of(world.net or self.rng.choice([1, -1]))
        quantity = self.rng.randint(1, 2)
        if abs(world.net) + quantity > MOST:
            return
        world.by_hand(action, quantity)
        world.wait(5)
        self._take_over(action.sign * quantity, None, world.fills)
        self.done.add("open")

    def _of_an_earlier_session(self) -> None:
        world, quantity, average = self.world, self.rng.choice([-2, -1, 1, 2]), D("99.875")
        world.net = quantity
        world.queue.append(world.picture())
        world.wait(40)
        self._take_over(quantity, average, [])
        self.earlier = Fraction(average) * quantity
        self.done.add("earlier")

    def _take_over(self, signed: int, average: Decimal | None, fills: list[Fill]) -> None:
        world = self.world
        world.signals += 1
        act = SignalId(f"act{world.signals}")
        adoption = Adoption(act, RecorderId("r"), self._rules(), signed, tuple(fills), average)
        world.queue.append(LaneResumed(adopt=True, adoption=adoption))
        world.wait(15)

    def _bust(self) -> None:
        """The exchange undoes a fill of the open trade; its contracts are gone from the broker's position too.

        Of an order that has ended: what becomes of one that still works, no source of ours says. And not beneath a
        reduction by hand: whose contracts that then took is for a person to say, and the lane asks one.
        """
        world = self.world
        ended = {o.id for o in world.orders.values() if o.status.ended}
        known = [f for f in world.lane.fills if f in world.fills and int(f.broker_order_id) in ended]
        by_hand = any(part.order is None for part in book.standing(world.lane).parts)
        if not known or not world.lane.trade or by_hand:
            return
        fill = self.rng.choice(known)
        world.fills.remove(fill)
        world.net -= fill.signed
        world.queue.append(FillBusted(fill.id))
        self.done.add("bust")

    def _close_all(self) -> None:
        world = self.world
        world.alert(Verb.CLOSE, recorder=None)
        world.wait(60)

    def _check(self) -> None:
        """Between the acts: books equal the broker, and what rests makes exactly what is held."""
        world, lane = self.world, self.world.lane
        assert world.held + book.foreign_quantity(lane) == world.net, self.seed
        assert exits.protected(lane), (self.seed, lane)
        targets = [o for o in world.working() if o.type is OrderType.LIMIT]
        assert sum(o.quantity - o.filled for o in targets) in (0, abs(world.held)), self.seed
        assert all(is_on_tick(o.price, lane.contract.tick_size) for o in world.working() if o.price), self.seed

    def check_sums(self) -> None:
        world = self.world
        assert (world.net, world.held, world.working()) == (0, 0, []), self.seed
        paid = self.earlier + sum((Fraction(f.price) * f.signed for f in world.fills), start=Fraction(0))
        made = sum((Fraction(t.pnl) for t in world.trades()), start=Fraction(0))
        assert made == -paid * Fraction(world.lane.contract.point_value), self.seed


@pytest.mark.parametrize("first", range(0, PLAYS, PLAYS // 4))
def test_what_trades_made_is_the_sum_over_the_fills(first: int) -> None:
    done: set[str] = set()
    for seed in range(first, first + PLAYS // 4):
        play = Play(seed).run()
        play.check_sums()
        done |= play.done
    assert done >= {"enter", "add", "close", "part", "reduce", "open", "bust", "earlier"}


# ── where the exits stand ────────────────────────────────────────────────────────────────────────────────

distances = st.builds(Distance, st.decimals("0.01", "500", places=2), st.sampled_from(Unit))
entries = st.lists(st.tuples(st.integers(1, 7), st.integers(1, 40_000)), min_size=1, max_size=6)


def _holding(root: Root, side: Side, parts: list[tuple[int, int]], rules: Terms) -> Lane:
    """A lane that holds what these entries filled: (contracts, price in ticks) each."""
    action, orders, fills = Action.of(side.sign), [], []
    for number, (quantity, price) in enumerate(parts, 1):
        client_id, broker_id = ClientOrderId(f"jt-{number}"), BrokerOrderId(str(number * 10))
        order = Order(client_id, Purpose.ENTRY, action, quantity, OrderType.MARKET, START)
        orders.append(replace(order, status=Status.FILLED, broker_id=broker_id, claimed=quantity, ended_at=START))
        fills.append(Fill(FillId(str(100 + number)), broker_id, action, quantity, price * root.tick_size, START))
    trade = Trade(TradeId("t"), SignalId("s"), RecorderId("r"), side, rules, START)
    contract = Contract(ContractName(f"{root.symbol}Z6"), root.tick_size, root.point_value)
    return Lane(AccountId("a"), contract, "tag", tuple(orders), tuple(fills), trade=trade)


@given(
    st.sampled_from(tuple(ROOTS.values())),
    st.sampled_from(list(Side)),
    entries,
    st.lists(st.tuples(distances, st.decimals("1", "100", places=0)), min_size=1, max_size=4),
    st.none() | distances,
)
def test_exits_of_any_root_and_average_are_on_tick_keep_their_promise_and_make_what_is_held(
    root: Root,
    side: Side,
    parts: list[tuple[int, int]],
    targets: list[tuple[Distance, Decimal]],
    stop: Distance | None,
) -> None:
    rules = Terms(1, 1, targets=tuple(Target(d, percent=p) for d, p in targets), stop=Stop(stop) if stop else None)
    lane = _holding(root, side, parts, rules)
    held = sum(quantity for quantity, _ in parts)
    average = Fraction(root.tick_size) * sum(quantity * price for quantity, price in parts) / held
    tick, legs = Fraction(root.tick_size), exits.wanted(lane)
    assert sum(leg.quantity for leg in legs) == held == side.sign * book.held(lane)
    assert all(leg.quantity > 0 for leg in legs)
    for leg in legs:
        assert leg.target is not None
        assert is_on_tick(leg.target, root.tick_size)
        over = side.sign * (Fraction(leg.target) - average) - _promised(average, targets[leg.index][0], root)
        assert -NOTHING <= over < tick, (leg, average)
        assert (leg.stop is None) == (stop is None)
        if leg.stop is not None and stop is not None:
            loss = side.sign * (average - Fraction(leg.stop))
            assert is_on_tick(leg.stop, root.tick_size)
            assert 0 < loss <= max(_promised(average, stop, root), tick) + NOTHING


NOTHING = Fraction(1, 10**12)
"""An endless average is kept to 28 digits; nearer than this to a tick counts as on it (`prices`)."""


def _promised(average: Fraction, distance: Distance, root: Root) -> Fraction:
    """The distance in points, exactly, from the exact average."""
    value = Fraction(distance.value)
    match distance.unit:
        case Unit.TICKS:
            return value * Fraction(root.tick_size)
        case Unit.POINTS:
            return value
        case Unit.PERCENT:
            return abs(average) * value / 100
        case Unit.DOLLARS:
            return value / Fraction(root.point_value)


@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(1, 9), st.integers(1, 12))
def test_entries_and_adds_never_hold_more_than_the_most(seed: int, first: int, add: int, most: int) -> None:
    """From flat the first quantity, then the add's, each trimmed to what is left; both sides."""
    rng, world = Random(seed), started()
    verb = rng.choice([Verb.BUY, Verb.SELL])
    rules = replace(terms(first, max_quantity=most), add_quantity=add)
    expected = 0
    for _ in range(3):
        world.alert(verb, rules)
        world.wait(5)
        expected = min(most, expected + (add if expected else first))
        assert world.net == world.held == expected * (1 if verb is Verb.BUY else -1)
