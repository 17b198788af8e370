"""When a lane looks, how urgently, what it sends, for whose receipt, and what a trade's record holds at its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from justtrades.positions import exits
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
    Event,
    FillBusted,
    OrderFilled,
    OrderReported,
    PictureWanted,
    Restarted,
    SignalReceived,
)
from justtrades.positions.machine import fold_in, record
from justtrades.positions.model import (
    Action,
    BrokerOrderId,
    Call,
    CallKind,
    ClientOrderId,
    Fill,
    FillId,
    Lane,
    LetGo,
    OnOpposite,
    Order,
    OrderType,
    Outcome,
    Purpose,
    Read,
    ReadKind,
    Signal,
    Status,
    Stop,
    Target,
    TargetUpdate,
    TradeClosed,
    Verb,
)
from justtrades.positions.plan import plan, wake_at
from justtrades.positions.settle import go_flat, is_flat, still_of_use
from justtrades.positions.urgency import Urgency
from tests.positions.lane_world import START, AtBroker, World, holding, started, terms, ticks

SECOND = timedelta(seconds=1)


def sent(world: World, which: Callable[[Command], bool]) -> list[float]:
    """Seconds at which commands of this kind leave from now on."""
    begun, found, answer = world.now, [], world.answer

    def noted(command: Command, event: Event) -> list[Event]:
        if which(command):
            found.append(round((world.now - begun).total_seconds(), 1))
        return answer(command, event)

    world.answer = noted
    return found


def pictures(command: Command) -> bool:
    return isinstance(command, TakePicture)


def order(world: World, purpose: Purpose) -> Order:
    return [o for o in world.lane.orders if o.purpose is purpose][-1]


def deaf(world: World) -> None:
    """No report and no fill comes any more; answers and pictures do."""
    tell = world.tell

    def heard(event: Event) -> Any:
        return None if isinstance(event, OrderReported | OrderFilled) else tell(event)

    world.tell = heard  # type: ignore[method-assign]  # a socket that is silent


# ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_order_whose_answer_was_lost_is_looked_for_six_times_in_fifteen_seconds() -> None:
    world = started()
    looks = sent(world, lambda c: isinstance(c, LookForOrders))
    world.reach = lambda command: not isinstance(command, PlaceOrder)
    world.alert(Verb.BUY)
    world.wait(14.9)
    assert looks == [0.5, 1.5, 3.0, 6.0, 10.0]
    world.wait(5)
    assert looks == [0.5, 1.5, 3.0, 6.0, 10.0, 15.0]


@pytest.mark.parametrize(
    ("held", "verb", "urgency"),
    [(0, None, Urgency.RECONCILE), (1, None, Urgency.LOOK), (1, Verb.CLOSE, Urgency.CLOSE), (0, Verb.BUY, None)],
)
def test_a_picture_is_as_urgent_as_what_depends_on_it(held: int, verb: Verb | None, urgency: Urgency | None) -> None:
    world = holding() if held else started()
    if verb is not None:
        world.alert(verb)
        world.lane = fold_in(world.lane, world.queue.pop(), world.now, world.limits)
    world.tell(PictureWanted())
    asked = next((c for c in world.commands[::-1] if isinstance(c, TakePicture)), None)
    assert asked is not None
    assert asked.urgency is (urgency or Urgency.RECONCILE)


def test_what_is_in_doubt_is_looked_at_as_urgently_as_what_is_held() -> None:
    world = started()
    world.reach = lambda command: not isinstance(command, PlaceOrder)
    world.alert(Verb.BUY)
    world.run()
    world.tell(PictureWanted())
    assert world.commands[-1] == TakePicture(Urgency.LOOK)


def test_a_market_order_nothing_is_heard_of_is_looked_at_after_two_seconds_and_ever_more_seldom() -> None:
    world = started()
    world.trade = lambda order: None  # type: ignore[method-assign]  # nobody is there
    deaf(world)
    looks = sent(world, pictures)
    world.alert(Verb.BUY)
    world.wait(14)
    assert looks == [2.0, 4.0, 6.0, 9.0, 14.0]


def test_a_cancel_nothing_is_heard_of_is_looked_at_after_two_seconds() -> None:
    world = holding()
    deaf(world)
    looks = sent(world, pictures)
    world.alert(Verb.CLOSE)
    world.wait(2.1)
    assert looks[0] == 2.0


def test_what_rests_is_not_looked_at_for_its_own_sake() -> None:
    world = holding()
    looks = sent(world, pictures)
    world.wait(600)
    assert (looks, world.wake) == ([], None)


def test_after_a_start_nothing_is_sent_before_the_broker_was_seen() -> None:
    world = holding()
    kept: list[Event] = []

    def answer(command: Command, event: Event) -> list[Event]:
        kept.append(event)
        return [] if isinstance(command, TakePicture) else [event]

    world.answer = answer
    world.tell(Restarted())
    count = len(world.commands)
    world.alert(Verb.CLOSE)
    world.wait(5)
    assert {type(c) for c in world.commands[count - 1 :]} == {TakePicture}
    world.queue.append(kept[0])
    world.answer = lambda _, event: [event]
    world.wait(5)
    assert world.net == 0


def test_no_exit_is_placed_before_the_broker_was_seen_again() -> None:
    world = holding()
    world.lane = replace(world.lane, orders=tuple(o for o in world.lane.orders if not o.purpose.rests))
    world.answer = lambda command, event: [] if isinstance(command, TakePicture) else [event]
    count = len(world.commands)
    world.tell(Restarted())
    world.wait(5)
    assert {type(c) for c in world.commands[count:]} == {TakePicture}


def test_an_entry_that_ended_unfilled_is_kept_until_a_picture_says_that_it_stayed_so() -> None:
    world = started()
    world.trade = lambda order: None  # type: ignore[method-assign]  # nobody is there
    signal = world.alert(Verb.BUY)
    world.wait(1)
    world.answer = lambda command, event: [] if isinstance(command, TakePicture) else [event]
    world.cancel(world.working()[0])
    world.wait(3)
    assert [job.signal.id for job in world.lane.jobs] == [signal]
    assert len(world.lane.orders) == 1
    world.queue.append(world.picture())
    world.wait(3)
    assert (world.lane.jobs, world.outcome(signal).reason) == ((), "the broker ended it unfilled (canceled)")


def test_what_protects_goes_on_when_entries_rest() -> None:
    protects = [urgency for urgency in Urgency if urgency.protects]
    assert protects == [u for u in Urgency if u not in (Urgency.RECONCILE, Urgency.ENTER, Urgency.SHOW)]


# ── entries ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_entry_carries_its_rules_its_owner_and_the_moment_after_which_it_is_not_sent() -> None:
    world = started()
    rules = terms(2, target=8)
    signal = world.alert(Verb.SELL, rules)
    world.run()
    placed = next(c for c in world.commands if isinstance(c, PlaceOrder))
    assert placed == PlaceOrder(
        placed.id,
        Order(
            placed.id,
            Purpose.ENTRY,
            Action.SELL,
            2,
            OrderType.MARKET,
            START,
            signal_id=signal,
            recorder_id=world.lane.orders[0].recorder_id,
            terms=rules,
        ),
        not_after=START + 30 * SECOND,
    )


def test_an_entry_that_waited_is_sent_again_under_its_id_when_the_broker_said() -> None:
    world = started(entries_wait_until=START + 7 * SECOND)
    entries = sent(world, lambda c: isinstance(c, PlaceOrder) and c.purpose is Purpose.ENTRY)
    world.alert(Verb.BUY)
    world.wait(6)
    world.entries_wait_until = None
    world.wait(6)
    assert entries == [0.0, 7.0]
    first, second = (c for c in world.commands if isinstance(c, PlaceOrder) and c.purpose is Purpose.ENTRY)
    assert (first.id, first.not_after) == (second.id, second.not_after)
    assert (second.not_after, order(world, Purpose.ENTRY).sent_at) == (START + 30 * SECOND, START + 7 * SECOND)


def thin(world: World, *parts: int) -> None:
    """Market orders fill only in these parts, one when it is placed, the next at each call of `trade`."""
    left = list(parts)

    def trade(order: AtBroker) -> None:
        if order.type is OrderType.MARKET and left:
            world.fill(order, left.pop(0))

    world.trade = trade  # type: ignore[method-assign]  # a market with few contracts


def test_what_an_entry_filled_so_far_has_its_target_after_a_second_and_the_rest_is_cancelled_after_fifteen() -> None:
    world = started()
    thin(world, 1)
    targets = sent(world, lambda c: isinstance(c, PlaceOrder) and c.purpose.rests)
    cancels = sent(world, lambda c: isinstance(c, CancelOrder))
    signal = world.alert(Verb.BUY, terms(3))
    world.wait(20)
    assert (targets, cancels) == ([1.0], [15.0])
    assert next(c.signal_id for c in world.commands if isinstance(c, CancelOrder)) == signal
    assert [o.quantity for o in world.working()] == [1]


# ── whose receipt ────────────────────────────────────────────────────────────────────────────────────────────


def test_an_exit_moves_for_the_last_entry_and_goes_for_the_signal_that_closes() -> None:
    world = holding()
    add = world.alert(Verb.BUY, terms(1))
    world.wait(5)
    close = world.alert(Verb.CLOSE)
    world.wait(5)
    moved = next(c for c in world.commands if isinstance(c, ModifyOrder))
    gone = next(c for c in world.commands if isinstance(c, CancelOrder))
    shut = next(c for c in world.commands if isinstance(c, PlaceOrder) and c.purpose is Purpose.CLOSE)
    assert (moved.signal_id, gone.signal_id, shut.signal_id) == (add, close, close)
    assert (moved.quantity, moved.price, moved.order_type) == (2, Decimal(105), OrderType.LIMIT)
    assert (moved.purpose, gone.purpose) == (Purpose.TARGET, Purpose.TARGET)


def test_an_exit_that_moves_for_somebody_elses_fill_is_told_to_the_last_entry() -> None:
    world = started()
    first = world.alert(Verb.BUY, terms(4))
    world.wait(5)
    world.alert(Verb.CLOSE, quantity=1)
    world.wait(5)
    world.by_hand(Action.SELL, 1)
    world.wait(5)
    moved = [c for c in world.commands if isinstance(c, ModifyOrder)]
    assert [(c.quantity, c.signal_id) for c in moved] == [(2, first)]


def test_a_new_entry_forgets_what_was_taken_away_before_it() -> None:
    world = holding()
    world.lane = replace(world.lane, exits_lost=1)
    world.alert(Verb.BUY)
    world.wait(5)
    assert world.lane.exits_lost == 0


# ── closing ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_close_begins_at_once_whatever_waited_before_it() -> None:
    world = holding()
    world.lane = replace(world.lane, retry_at=world.now + 60 * SECOND, retries=5)
    world.alert(Verb.CLOSE)
    world.run()
    assert (world.net, world.lane.retries) == (0, 0)


def test_cancels_in_vain_come_ever_more_slowly_and_after_five_the_broker_closes() -> None:
    world = holding()
    cancels = sent(world, lambda c: isinstance(c, CancelOrder))
    liquidated = sent(world, lambda c: isinstance(c, Liquidate))
    carry = world.carry_out

    def carried(command: Command) -> Event:
        return CallAccepted(command.id, ()) if isinstance(command, CancelOrder) else carry(command)

    world.carry_out = carried  # type: ignore[method-assign]  # cancels do nothing
    world.alert(Verb.CLOSE)
    world.wait(40)
    assert cancels == [0.0, 2.0, 6.0, 12.0, 18.0]
    assert (liquidated, world.net) == ([18.0], 0)


def test_a_part_is_closed_at_market_and_never_by_liquidation() -> None:
    world = holding(3)
    world.alert(Verb.CLOSE, quantity=2)
    world.wait(5)
    (shut,) = (c for c in world.commands if isinstance(c, PlaceOrder) and c.purpose is Purpose.CLOSE)
    assert (shut.order.action, shut.order.quantity, shut.order.order_type) == (Action.SELL, 2, OrderType.MARKET)
    assert (shut.not_after, shut.other, shut.order.sent_at) == (None, None, shut.order.sent_at)


def test_a_reversed_position_of_two_exits_at_once_is_closed_by_itself() -> None:
    world = holding(1)
    target = world.working()[0]
    fills = len(world.fills)
    world.fill(target, 2)
    world.wait(10)
    assert len(world.fills) == fills + 2
    assert (world.net, world.held, world.lane.trade) == (0, 0, None)


# ── legs ─────────────────────────────────────────────────────────────────────────────────────────────────────


def legs(world: World) -> list[tuple[str, int]]:
    return [(str(o.price), o.quantity) for o in world.working()]


def test_each_target_of_a_position_has_its_share_and_its_stop() -> None:
    two = tuple(Target(distance=ticks(n), percent=Decimal(50)) for n in (20, 40))
    world = started()
    world.alert(Verb.BUY, replace(terms(3, stop=8), targets=two))
    world.wait(5)
    assert sorted(legs(world)) == [("105.00", 2), ("110.00", 1), ("98.00", 1), ("98.00", 2)]
    pairs = [c for c in world.commands if isinstance(c, PlaceOrder) and c.other is not None]
    assert {o.signal_id for c in pairs for o in (c.order, c.other) if o} == {"s1"}
    assert [(c.order.leg, c.other.leg) for c in pairs if c.other] == [(0, 0), (1, 1)]
    assert [(c.order.oco, c.order.status) for c in pairs] == [(None, Status.SENDING)] * 2
    world.move("105")
    world.wait(5)
    assert sorted(legs(world)) == [("110.00", 1), ("98.00", 1)]


@pytest.mark.parametrize(
    ("verb", "target", "stop", "expected"),
    [
        (Verb.BUY, "105.1", "98.1", ["105.25", "98.25"]),
        (Verb.SELL, "94.9", "102.1", ["94.75", "102.00"]),
    ],
)
def test_prices_of_ones_own_are_rounded_towards_the_promise(
    verb: Verb, target: str, stop: str, expected: list[str]
) -> None:
    world = started()
    own = replace(terms(1), targets=(Target(price=Decimal(target)),), stop=Stop(price=Decimal(stop)))
    world.alert(verb, own)
    world.wait(5)
    assert [price for price, _ in legs(world)] == expected


def test_a_stop_alone_rests_for_the_whole_position() -> None:
    world = started()
    world.alert(Verb.BUY, terms(2, target=None, stop=8))
    world.wait(5)
    assert legs(world) == [("98.00", 2)]
    assert exits.protected(world.lane)


def test_a_position_without_rules_of_exit_needs_none() -> None:
    world = started()
    world.alert(Verb.BUY, terms(2, target=None))
    world.wait(5)
    assert (legs(world), exits.protected(world.lane), exits.wanted(world.lane)) == ([], True, ())


def test_a_target_is_replaced_by_cancelling_first_where_the_recorder_says_so() -> None:
    world = holding(target_update=TargetUpdate.REPLACE)
    count = len(world.commands)
    world.alert(Verb.BUY, terms(1, target_update=TargetUpdate.REPLACE))
    world.wait(5)
    acts = [c for c in world.commands[count:] if not isinstance(c, TakePicture)]
    assert [type(c) for c in acts] == [PlaceOrder, CancelOrder, PlaceOrder]
    assert legs(world) == [("105.00", 2)]


def test_the_rest_of_a_partly_filled_target_keeps_what_is_filled_in_its_size() -> None:
    world = holding(2)
    world.fill(world.working()[0], 1)
    world.run()
    world.alert(Verb.BUY, terms(1))
    world.wait(5)
    moved = [c for c in world.commands if isinstance(c, ModifyOrder)]
    assert (moved[-1].quantity, world.held) == (3, 2)
    assert [o.quantity - o.filled for o in world.working()] == [2]


def test_the_other_half_of_a_pair_has_a_second_to_leave_by_itself() -> None:
    world = holding(stop=20)
    for resting in world.working():
        resting.sibling = None
    cancels = sent(world, lambda c: isinstance(c, CancelOrder))
    world.move("105")
    world.wait(5)
    assert (cancels, world.working(), world.lane.trade) == ([1.0], [], None)


# ── a trade's record ─────────────────────────────────────────────────────────────────────────────────────────


def test_the_record_of_a_trade() -> None:
    world = started()
    first = world.alert(Verb.SELL, terms(2, target=20, stop=40))
    world.wait(5)
    entry = world.lane.orders[0]
    world.move("99")
    world.alert(Verb.SELL, terms(2, target=20, stop=40))
    world.wait(5)
    world.move("94.5")
    world.wait(5)
    (closed,) = world.trades()
    trade = closed.trade
    assert (str(trade.id), trade.signal_id, str(trade.recorder_id)) == (entry.id, first, "r")
    assert (trade.side.value, trade.opened_at) == ("SHORT", START)
    assert closed == TradeClosed(
        trade=trade,
        fills=tuple(world.fills),
        closed_at=START + 10 * SECOND,
        entry_quantity=4,
        entry_price=Decimal("99.5"),
        exit_price=Decimal("94.5"),
        pnl=Decimal(40),
        pnl_ticks=Decimal(80),
        exit_reason="target",
        target_price=Decimal("94.50"),
        stop_price=Decimal("109.50"),
        entry_broker_id=entry.broker_id,
    )
    (gone,) = (n for n in world.news if isinstance(n, LetGo) and n.trade_id)
    assert (gone.trade_id, gone.fills, [o.purpose for o in gone.orders if o.purpose.rests]) == (
        trade.id,
        tuple(world.fills),
        [Purpose.TARGET],
    )
    assert (world.lane.trade, world.lane.fills) == (None, ())


@pytest.mark.parametrize(
    ("how", "reason"),
    [("target", "target"), ("stop", "stop"), ("close", "close"), ("hand", "manual"), ("opposite", "opposite")],
)
def test_a_trade_says_what_closed_it(how: str, reason: str) -> None:
    world = started()
    world.alert(Verb.BUY, terms(1, stop=20))
    world.wait(5)
    if how in ("target", "stop"):
        world.move("105" if how == "target" else "95")
    elif how == "hand":
        world.by_hand(Action.SELL, 1)
    else:
        rules = terms(1, on_opposite=OnOpposite.CLOSE)
        world.alert(Verb.CLOSE if how == "close" else Verb.SELL, rules)
    world.wait(5)
    assert [t.exit_reason for t in world.trades()] == [reason]


def test_what_a_hand_closes_after_a_close_of_ours_came_to_nothing_was_closed_by_hand() -> None:
    world = holding(1)
    world.refuses = "TradingLocked"
    close = world.alert(Verb.CLOSE)
    world.wait(60)
    assert world.outcome(close).outcome is Outcome.REJECTED
    world.by_hand(Action.SELL, 1)
    world.wait(20)
    assert [t.exit_reason for t in world.trades()] == ["manual"]


def test_what_a_liquidation_without_an_answer_closed_was_closed_by_the_signal_that_asked() -> None:
    """The broker's order has no id of ours, and its fill looks like a hand's."""
    world = holding(1)
    world.reach = lambda command: not (isinstance(command, PlaceOrder) and command.purpose is Purpose.CLOSE)
    world.answer = lambda command, event: (
        [AnswerLost(command.id, "timed out")] if isinstance(command, Liquidate) else [event]
    )
    close = world.alert(Verb.CLOSE)
    world.wait(60)
    assert world.outcome(close).outcome is Outcome.FILLED
    assert [t.exit_reason for t in world.trades()] == ["close"]


def test_a_trade_whose_every_fill_the_exchange_undid_was_undone() -> None:
    world = holding()
    entry = world.fills.pop()
    world.net = 0
    world.queue.append(FillBusted(entry.id, entry))
    world.wait(10)
    (closed,) = world.trades()
    assert (closed.exit_reason, closed.entry_quantity, closed.entry_price, closed.pnl) == (
        "undone",
        0,
        Decimal(0),
        Decimal(0),
    )
    assert (closed.exit_price, world.working()) == (None, [])


def test_a_part_that_was_closed_does_not_name_the_end_of_the_trade() -> None:
    world = holding(2)
    world.alert(Verb.CLOSE, quantity=1)
    world.wait(5)
    world.move("105")
    world.wait(5)
    assert [t.exit_reason for t in world.trades()] == ["target"]


def test_a_new_trade_starts_with_no_refused_and_no_lost_exit() -> None:
    world = started()
    world.lane = replace(
        world.lane, exits_refused=3, exits_lost=1, protect_again_at=world.now + 60 * SECOND, entries_again_at=None
    )
    world.alert(Verb.BUY)
    world.wait(1)
    assert (world.lane.exits_refused, world.lane.exits_lost, world.lane.protect_again_at) == (0, 0, None)
    assert len(world.working()) == 1


# ── what is kept on a flat lane ──────────────────────────────────────────────────────────────────────────────

OLD = Order(ClientOrderId("o"), Purpose.ENTRY, Action.BUY, 1, OrderType.MARKET, START)


@pytest.mark.parametrize(
    ("over", "later", "kept"),
    [
        ({"unsent": True}, 0, True),
        ({}, 0, False),
        ({"status": Status.ABSENT}, 86_399, True),
        ({"status": Status.ABSENT}, 86_400, False),
        ({"status": Status.ABSENT, "purpose": Purpose.CLOSE}, 0, False),
        ({"status": Status.CANCELED}, 59, True),
        ({"status": Status.CANCELED}, 60, False),
        ({"status": Status.EXPIRED}, 59, True),
        ({"status": Status.REJECTED}, 0, False),
        ({"status": Status.FILLED}, 0, False),
        ({"status": Status.CANCELED, "claimed": 1}, 0, False),
    ],
)
def test_a_flat_lane_keeps_only_ids_that_may_yet_come_to_something(
    over: dict[str, Any], later: int, kept: bool
) -> None:
    world = started()
    one = replace(OLD, ended_at=START if "status" in over else None, **over)
    assert still_of_use(world.lane, one, START + later * SECOND, world.limits) is kept


def test_an_absent_close_is_kept_for_the_exit_that_sent_it_and_a_filled_cancel_is_not() -> None:
    world = started()
    world.alert(Verb.CLOSE)
    lane = fold_in(world.lane, world.queue[0], START, world.limits)
    job = replace(lane.jobs[0], exiting=True)
    close = replace(OLD, purpose=Purpose.CLOSE, status=Status.ABSENT, ended_at=START, signal_id=job.signal.id)
    assert still_of_use(replace(lane, jobs=(job,)), close, START, world.limits) is True
    assert still_of_use(lane, close, START, world.limits) is False
    filled = replace(OLD, status=Status.CANCELED, ended_at=START, broker_id=BrokerOrderId("7"))
    fill = Fill(FillId("8"), BrokerOrderId("7"), Action.BUY, 1, Decimal(1), START)
    assert still_of_use(replace(lane, fills=(fill,)), filled, START, world.limits) is False


def test_a_lane_is_flat_only_when_nothing_is_held_open_or_on_its_way() -> None:
    world = started()
    flat, long = world.lane, holding().lane
    assert (is_flat(flat), is_flat(long)) == (True, False)
    assert not is_flat(replace(flat, call=Call(ClientOrderId("c"), CallKind.CANCEL, (), START)))
    assert not is_flat(replace(flat, orders=(OLD,)))
    gone = go_flat(replace(flat, orders=(replace(OLD, status=Status.REJECTED, ended_at=START),)), START, world.limits)
    assert (gone.orders, [type(n) for n in gone.news]) == ((), [LetGo])


# ── what is written down before it is sent ───────────────────────────────────────────────────────────────────


def test_a_lane_knows_of_each_command_before_it_leaves() -> None:
    world = holding()
    lane, now = replace(world.lane, read=None), world.now
    target = order(world, Purpose.TARGET)
    assert target.broker_id is not None

    def after(command: Command) -> Lane:
        return record(lane, command, now, world.limits)

    assert after(LookForOrders((target.id,))).read == Read(ReadKind.LOOK, now)
    assert after(TakePicture(Urgency.CLOSE)).read == Read(ReadKind.PICTURE, now, Urgency.CLOSE)
    new, serial = ClientOrderId("new"), lane.serial + 1
    move = after(ModifyOrder(new, target.id, target.broker_id, Purpose.TARGET, 3, OrderType.LIMIT, Decimal(9)))
    assert (move.call, move.serial) == (Call(new, CallKind.MODIFY, (target.id,), now, 3, Decimal(9)), serial)
    gone = after(CancelOrder(new, target.id, target.broker_id, Purpose.TARGET))
    assert (gone.call, gone.serial) == (Call(new, CallKind.CANCEL, (target.id,), now), serial)
    assert (gone.order(target.id).cancel_asked, gone.order(target.id).changed_at) == (1, now)
    close = replace(OLD, id=new, purpose=Purpose.CLOSE)
    shut = after(Liquidate(new, close))
    assert (shut.call, shut.serial, shut.order(new)) == (Call(new, CallKind.LIQUIDATE, (new,), now), serial, close)
    pair = after(PlaceOrder(new, close, replace(close, id=ClientOrderId("other"))))
    assert (pair.call, pair.serial) == (Call(new, CallKind.PLACE, (new, ClientOrderId("other")), now), serial + 1)
    assert (pair.order(new).oco, pair.order(ClientOrderId("other")).oco) == ("other", new)


# ── waking ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_lane_wakes_for_the_next_moment_that_may_change_anything() -> None:
    world = started()
    quiet, limits = world.lane, world.limits
    now = START + 3600 * SECOND

    def wakes(**over: Any) -> float | None:
        moment = wake_at(replace(quiet, **over), now, limits)
        return None if moment is None else round((moment - now).total_seconds(), 3)

    assert wakes() is None
    for name in ("retry_at", "read_again_at", "entries_again_at", "protect_again_at"):
        assert wakes(**{name: now + 7 * SECOND}) == 7
        assert wakes(**{name: now}) is None
    assert wakes(read=Read(ReadKind.LOOK, now)) == 1
    rests = replace(OLD, purpose=Purpose.TARGET, status=Status.WORKING, broker_id=BrokerOrderId("7"), sent_at=now)
    assert wakes(orders=(rests,)) == 1
    assert wakes(orders=(replace(rests, sent_at=now - SECOND),)) == 1
    assert wakes(orders=(replace(rests, sent_at=now - 2 * SECOND),)) == 13
    assert wakes(orders=(replace(rests, sent_at=now - 15 * SECOND),)) is None
    assert wakes(orders=(replace(rests, sent_at=START, changed_at=now - 2 * SECOND),)) == 13
    assert wakes(orders=(replace(rests, sent_at=START, cancel_asked=1),)) == 1
    assert wakes(unprotected_since=now - 9.5 * SECOND) == 0.5


def test_nothing_is_decided_on_a_lane_at_rest() -> None:
    for world in (started(), holding(), holding(-2)):
        assert plan(world.lane, world.now, world.limits) is None


def test_a_signal_that_waits_wakes_its_lane_when_it_expires() -> None:
    world = started()
    world.answer = lambda command, event: [] if isinstance(command, TakePicture) else [event]
    world.tell(Restarted())
    signal = Signal(
        id=world.alert(Verb.BUY), verb=Verb.BUY, received_at=START, expires_at=START + 0.4 * SECOND, terms=terms()
    )
    world.queue.clear()
    lane = fold_in(world.lane, SignalReceived(signal), world.now, world.limits)
    assert wake_at(lane, world.now, world.limits) == START + 0.4 * SECOND
