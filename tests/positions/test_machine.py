"""What the core promises, played against a small broker in virtual time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from justtrades.positions.commands import CancelOrder, Command, Liquidate, ModifyOrder, PlaceOrder
from justtrades.positions.events import AnswerLost, Event, LaneResumed, OrderFilled, OrderReported, Restarted
from justtrades.positions.model import (
    Action,
    Noted,
    OnOpposite,
    OnSameSide,
    Outcome,
    Purpose,
    Status,
    TargetUpdate,
    Verb,
)
from tests.positions.lane_world import World, started, terms


def sent(world: World, purpose: Purpose) -> list[PlaceOrder]:
    return [c for c in world.commands if isinstance(c, PlaceOrder) and c.purpose is purpose]


def test_a_long_enters_rests_its_target_and_closes_by_selling() -> None:
    world = started()
    signal = world.alert(Verb.BUY)
    world.run()
    assert world.outcome(signal).outcome is Outcome.FILLED
    (target,) = world.working()
    assert (target.action, target.price, target.quantity) == (Action.SELL, Decimal("105.00"), 1)
    world.move("105").run()
    (trade,) = world.trades()
    assert (trade.pnl, trade.pnl_ticks, trade.exit_reason) == (Decimal(10), Decimal(20), "target")
    assert (world.net, world.working(), world.lane.trade, world.lane.fills) == (0, [], None, ())


def test_a_short_closes_by_buying_and_never_sells_again() -> None:
    world = started()
    world.alert(Verb.SELL, terms(3))
    world.run()
    (target,) = world.working()
    assert (target.action, target.price) == (Action.BUY, Decimal("95.00"))
    world.move("95").run()
    assert [f.action for f in world.fills] == [Action.SELL, Action.BUY]
    assert world.net == 0


@pytest.mark.parametrize("update", list(TargetUpdate))
def test_an_add_leaves_one_target_for_all_at_the_new_average(update: TargetUpdate) -> None:
    world = started()
    rules = terms(1, target_update=update)
    for price in ("100", "99", "98"):
        world.move(price)
        world.alert(Verb.BUY, rules)
        world.wait(5)
    (target,) = world.working()
    assert (target.quantity, target.price) == (3, Decimal("104.00"))
    kinds = {type(c) for c in world.commands}
    assert (ModifyOrder in kinds, CancelOrder in kinds) == (
        update is TargetUpdate.MODIFY,
        update is TargetUpdate.REPLACE,
    )


def test_a_stop_rests_beside_the_target_as_a_pair_that_cancels_each_other() -> None:
    world = started()
    world.alert(Verb.BUY, terms(2, stop=40))
    world.run()
    assert [(o.type.value, o.price, o.quantity) for o in world.working()] == [
        ("Limit", Decimal("105.00"), 2),
        ("Stop", Decimal("90.00"), 2),
    ]
    world.move("90").wait(5)
    (trade,) = world.trades()
    assert (trade.exit_reason, trade.pnl, world.working()) == ("stop", Decimal(-40), [])


def test_a_partly_filled_target_shrinks_its_stop_to_what_is_left() -> None:
    world = started()
    world.alert(Verb.BUY, terms(3, stop=40))
    world.run()
    target = world.working()[0]
    world.fill(target, 1)
    world.run()
    assert [o.quantity - o.filled for o in world.working()] == [2, 2]
    world.move("105").wait(5)
    assert (world.net, world.working(), len(world.trades())) == (0, [], 1)


def test_a_reversal_closes_first_and_opens_second() -> None:
    world = started()
    world.alert(Verb.BUY)
    world.run()
    signal = world.alert(Verb.SELL)
    world.run()
    assert world.outcome(signal).outcome is Outcome.FILLED
    assert [(c.purpose, c.order.quantity) for c in world.commands if isinstance(c, PlaceOrder)] == [
        (Purpose.ENTRY, 1),
        (Purpose.TARGET, 1),
        (Purpose.CLOSE, 1),
        (Purpose.ENTRY, 1),
        (Purpose.TARGET, 1),
    ]
    assert (world.net, len(world.trades()), world.trades()[0].exit_reason) == (-1, 1, "reverse")


def test_a_close_that_meets_the_targets_fill_does_not_flip() -> None:
    world = started()
    world.alert(Verb.BUY)
    world.run()
    world.move("105")
    signal = world.alert(Verb.CLOSE)
    world.run()
    assert (world.net, world.outcome(signal).outcome) == (0, Outcome.NO_ACTION)
    assert not sent(world, Purpose.CLOSE)


def test_a_target_that_fills_while_it_is_being_cancelled_ends_the_close() -> None:
    world = started()
    world.alert(Verb.BUY)
    world.run()

    def fills_first(command: Command) -> bool:
        if isinstance(command, CancelOrder):
            world.move("105")
        return True

    world.reach = fills_first
    signal = world.alert(Verb.CLOSE)
    world.run()
    assert (world.net, world.outcome(signal).outcome) == (0, Outcome.FILLED)
    assert not sent(world, Purpose.CLOSE)
    assert world.trades()[0].exit_reason == "target"


def test_a_close_when_flat_does_nothing() -> None:
    world = started()
    signal = world.alert(Verb.CLOSE)
    world.run()
    assert world.outcome(signal).outcome is Outcome.NO_ACTION


def test_a_part_is_closed_and_the_rest_keeps_its_target() -> None:
    world = started()
    world.alert(Verb.BUY, terms(3))
    world.run()
    signal = world.alert(Verb.CLOSE, quantity=1)
    world.wait(3)
    assert world.outcome(signal).outcome is Outcome.FILLED
    (target,) = world.working()
    assert (world.net, target.quantity) == (2, 2)


def test_rules_say_no_before_anything_is_sent() -> None:
    world = started()
    world.alert(Verb.BUY, terms(2, max_quantity=3, on_same_side=OnSameSide.ADD))
    world.run()
    trimmed = world.alert(Verb.BUY, terms(2, max_quantity=3))
    world.run()
    full = world.alert(Verb.BUY, terms(2, max_quantity=3))
    same = world.alert(Verb.BUY, terms(2, on_same_side=OnSameSide.IGNORE))
    opposite = world.alert(Verb.SELL, terms(2, on_opposite=OnOpposite.IGNORE))
    other = world.alert(Verb.BUY, recorder="another")
    stranger = world.alert(Verb.CLOSE, recorder="another")
    world.run()
    assert world.net == 3
    assert [world.outcome(s).outcome for s in (trimmed, full, same, opposite, other, stranger)] == [
        Outcome.FILLED,
        Outcome.BLOCKED,
        Outcome.NO_ACTION,
        Outcome.NO_ACTION,
        Outcome.BLOCKED,
        Outcome.NO_ACTION,
    ]


def test_a_refused_entry_is_not_a_trade_and_says_why() -> None:
    world = started()
    world.refuses = "LiquidationOnly"
    signal = world.alert(Verb.BUY)
    world.run()
    done = world.outcome(signal)
    assert (done.outcome, "LiquidationOnly" in done.reason) == (Outcome.REJECTED, True)
    assert (world.lane.trade, world.lane.orders) == (None, ())


def lost_answers(world: World, purpose: Purpose, times: int = 1) -> None:
    """The order arrives, its answer and its events do not."""
    left = [times]

    def lose(command: Command, event: Event) -> list[Event]:
        if isinstance(command, PlaceOrder | Liquidate) and command.purpose is purpose and left[0]:
            left[0] -= 1
            world.queue.clear()
            return [AnswerLost(command.id, "timed out")]
        return [event]

    world.answer = lose


def test_a_lost_answer_is_looked_for_and_the_order_is_never_sent_twice() -> None:
    world = started()
    lost_answers(world, Purpose.ENTRY)
    signal = world.alert(Verb.BUY)
    world.wait(5)
    assert world.outcome(signal).outcome is Outcome.FILLED
    assert (world.net, len(sent(world, Purpose.ENTRY))) == (1, 1)
    assert [o.type.value for o in world.working()] == ["Limit"]


def test_an_order_that_never_arrived_is_not_placed_and_never_sent_again() -> None:
    world = started()
    world.reach = lambda c: not isinstance(c, PlaceOrder)
    signal = world.alert(Verb.BUY)
    world.wait(14)
    assert not [n for n in world.news if getattr(n, "signal_id", None) == signal]
    world.wait(3)
    assert world.outcome(signal).outcome is Outcome.NOT_PLACED
    world.wait(60)
    assert (world.net, len(sent(world, Purpose.ENTRY))) == (0, 1)


def test_the_receipt_tells_how_the_search_for_an_order_ended() -> None:
    def told(world: World, signal: str) -> list[str]:
        return [n.text for n in world.news if isinstance(n, Noted) and n.signal_id == signal]

    absent = started()
    absent.reach = lambda c: not isinstance(c, PlaceOrder)
    signal = absent.alert(Verb.BUY)
    absent.wait(20)
    (said,) = told(absent, signal)
    assert said == "the entry without an answer is not at the broker: 6 clean looks in 15.0 s did not show it"
    late = started()
    late.hides = True
    signal = late.alert(Verb.BUY)
    late.wait(2)
    late.show_hidden()
    late.queue.clear()  # no event tells of it
    late.wait(5)
    (said,) = told(late, signal)
    assert said == "the entry without an answer was found at the broker as 1010, after 2 looks that did not show it"


def test_an_entry_found_late_and_filled_is_adopted_and_protected() -> None:
    world = started()
    world.hides = True
    signal = world.alert(Verb.BUY)
    world.wait(20)
    assert world.outcome(signal).outcome is Outcome.NOT_PLACED
    world.show_hidden()
    world.wait(5)
    (target,) = world.working()
    assert (world.net, world.held, target.price) == (1, 1, Decimal("105.00"))


def test_a_close_during_doubt_waits_and_closes_what_is_found() -> None:
    world = started()
    lost_answers(world, Purpose.ENTRY)
    entry = world.alert(Verb.BUY)
    world.tell(world.queue.pop(0))
    close = world.alert(Verb.CLOSE)
    world.wait(20)
    assert world.outcome(entry).outcome is Outcome.FILLED
    assert (world.outcome(close).outcome, world.net, world.working()) == (Outcome.FILLED, 0, [])


def test_a_lost_close_is_looked_for_before_another_is_sent() -> None:
    world = started()
    world.alert(Verb.BUY)
    world.run()
    lost_answers(world, Purpose.CLOSE)
    signal = world.alert(Verb.CLOSE)
    world.wait(20)
    assert (world.outcome(signal).outcome, world.net) == (Outcome.FILLED, 0)
    assert len(sent(world, Purpose.CLOSE)) == 1


def test_a_close_that_never_arrived_is_finished_by_liquidation() -> None:
    world = started()
    world.alert(Verb.BUY)
    world.run()
    world.reach = lambda c: not (isinstance(c, PlaceOrder) and c.purpose is Purpose.CLOSE)
    signal = world.alert(Verb.CLOSE)
    world.wait(25)
    assert (world.outcome(signal).outcome, world.net) == (Outcome.FILLED, 0)
    assert [type(c) for c in world.commands].count(Liquidate) == 1


def test_a_restart_in_the_middle_of_a_call_ends_the_same() -> None:
    world = started()
    lost_answers(world, Purpose.ENTRY)
    world.answer = lambda c, e: [] if isinstance(c, PlaceOrder) else [e]
    signal = world.alert(Verb.BUY)
    world.run()
    world.answer = lambda c, e: [e]
    world.queue[:] = [Restarted()]
    world.wait(5)
    assert world.outcome(signal).outcome is Outcome.FILLED
    assert (world.net, len(world.working())) == (1, 1)


def test_closes_overtake_entries_that_wait() -> None:
    world = started()
    world.answer = lambda c, e: [] if isinstance(c, PlaceOrder) else [e]
    first = world.alert(Verb.BUY)
    world.tell(world.queue.pop(0))
    held_back = list(world.queue)
    world.queue.clear()
    waiting = world.alert(Verb.BUY)
    close = world.alert(Verb.CLOSE)
    world.run()
    assert world.outcome(waiting).outcome is Outcome.SUPERSEDED
    world.answer = lambda c, e: [e]
    world.queue += held_back
    place = sent(world, Purpose.ENTRY)[0]
    from justtrades.positions.events import CallAccepted
    from justtrades.positions.model import BrokerOrderId

    world.queue.insert(0, CallAccepted(place.id, (BrokerOrderId(str(next(iter(world.orders)))),)))
    world.wait(5)
    assert (world.outcome(first).outcome, world.outcome(close).outcome) == (Outcome.FILLED, Outcome.FILLED)
    assert world.net == 0


def test_a_position_closed_by_hand_closes_the_trade_from_the_real_fills() -> None:
    world = started()
    world.alert(Verb.BUY, terms(2))
    world.run()
    world.move("101")
    world.by_hand(Action.SELL, 2)
    world.wait(5)
    (trade,) = world.trades()
    assert (trade.exit_reason, trade.pnl, world.working(), world.net) == ("manual", Decimal(4), [], 0)


def test_a_position_reduced_by_hand_resizes_the_target() -> None:
    world = started()
    world.alert(Verb.BUY, terms(3))
    world.run()
    world.by_hand(Action.SELL, 1)
    world.wait(5)
    assert [(o.quantity, o.status) for o in world.working()] == [(2, Status.WORKING)]


def test_a_position_opened_by_hand_is_left_alone_and_blocks_entries() -> None:
    world = started()
    world.by_hand(Action.BUY, 2)
    world.wait(5)
    signal = world.alert(Verb.SELL)
    world.run()
    assert (world.outcome(signal).outcome, world.net, world.held) == (Outcome.BLOCKED, 2, 0)


def test_a_killed_lane_opens_nothing_and_still_closes() -> None:
    world = started()
    world.alert(Verb.BUY)
    world.run()
    world.kill()
    entry, close = world.alert(Verb.BUY), world.alert(Verb.CLOSE)
    world.run()
    assert [world.outcome(s).outcome for s in (entry, close)] == [Outcome.KILLED, Outcome.FILLED]
    late = world.alert(Verb.BUY)
    world.run()
    assert (world.outcome(late).outcome, world.net) == (Outcome.KILLED, 0)


def test_events_repeated_and_late_change_nothing() -> None:
    world = started()
    world.alert(Verb.BUY)
    world.run()
    before = world.lane
    picture = world.picture()
    for event in [picture, picture]:
        world.queue.append(event)
    world.run()
    assert world.lane.fills == before.fills
    assert [(o.id, o.status, o.price) for o in world.lane.orders] == [(o.id, o.status, o.price) for o in before.orders]


def test_the_receipt_names_each_rule_with_its_numbers() -> None:
    world = started()
    first = world.alert(Verb.BUY, terms(2, max_quantity=3))
    trimmed = world.alert(Verb.BUY, terms(2, max_quantity=3))
    full = world.alert(Verb.BUY, terms(2, max_quantity=3))
    world.wait(5)
    assert "rule quantity: passed (2, at most 3)" in world.outcome(first).notes
    assert "rule quantity: passed (trimmed from 2 to 1: max quantity 3, 2 held)" in world.outcome(trimmed).notes
    assert "rule quantity: said no (max quantity 3 is reached: 3 held)" in world.outcome(full).notes


def test_a_position_without_its_exit_is_told_once() -> None:
    world = started()
    world.refuses_exits = True
    world.alert(Verb.BUY)
    world.wait(30)
    told = [n.text for n in world.news if isinstance(n, Noted) and "without its exit" in n.text]
    assert told == ["+1 MNQZ6 is without its exit for 10 s"]


def test_entries_rest_when_the_broker_asks_and_exits_go_on() -> None:
    world = started()
    world.alert(Verb.BUY)
    world.run()
    world.entries_wait_until = world.now + timedelta(hours=1)
    add = world.alert(Verb.BUY)
    world.run()
    assert world.lane.entries_again_at == world.entries_wait_until
    close = world.alert(Verb.CLOSE)
    world.wait(5)
    assert (world.outcome(add).outcome, world.outcome(close).outcome) == (Outcome.SUPERSEDED, Outcome.FILLED)


def lost_reports(world: World) -> None:
    """What the broker told so far never arrives."""
    world.queue[:] = [e for e in world.queue if not isinstance(e, OrderReported | OrderFilled)]


def test_a_change_that_crosses_the_fill_is_settled_by_the_brokers_position() -> None:
    world = started()
    world.alert(Verb.BUY)
    world.run()
    target = world.working()[0]

    def fills_at_the_old_quantity(command: Command, event: Event) -> list[Event]:
        if isinstance(command, ModifyOrder):
            target.quantity = 1
            world.fill(target, 1)
            lost = [e for e in world.queue if isinstance(e, OrderReported) and e.order.broker_id == str(target.id)]
            world.queue[:] = [e for e in world.queue if e not in lost]
            world.queue.append(OrderReported(replace(target.report(), quantity=2, version=9)))
        return [event]

    world.answer = fills_at_the_old_quantity
    world.alert(Verb.BUY)
    world.wait(10)
    (again,) = world.working()
    assert (world.held, world.net, again.quantity) == (1, 1, 1)
    close = world.alert(Verb.CLOSE)
    world.wait(10)
    assert (world.outcome(close).outcome, world.net) == (Outcome.FILLED, 0)


def test_no_entry_leaves_while_a_targets_fill_is_still_on_its_way() -> None:
    world = started()
    world.alert(Verb.BUY)
    world.run()
    world.move("105")
    held_back = [e for e in world.queue if isinstance(e, OrderFilled)]
    world.queue[:] = [e for e in world.queue if not isinstance(e, OrderFilled)]
    other = world.alert(Verb.SELL, recorder="another")
    while world.queue:
        world.tell(world.queue.pop(0))
    assert len(sent(world, Purpose.ENTRY)) == 1
    world.queue += held_back
    world.wait(5)
    assert (world.outcome(other).outcome, world.net) == (Outcome.FILLED, -1)


def test_a_close_outlasts_an_outage_of_cancels() -> None:
    world = started()
    world.alert(Verb.BUY)
    world.run()
    world.reach = lambda c: not isinstance(c, CancelOrder | Liquidate)
    close = world.alert(Verb.CLOSE)
    world.wait(40)
    assert world.net == 1
    world.reach = lambda c: True
    world.wait(20)
    assert (world.outcome(close).outcome, world.net, world.working()) == (Outcome.FILLED, 0, [])


def test_a_target_rejected_by_event_is_tried_again_ever_more_slowly() -> None:
    world = started()

    def rejected_later(command: Command, event: Event) -> list[Event]:
        if isinstance(command, PlaceOrder) and command.purpose is Purpose.TARGET:
            order = world.working()[-1]
            order.status = Status.REJECTED
            world.queue.append(OrderReported(order.report()))
        return [event]

    world.answer = rejected_later
    world.alert(Verb.BUY)
    world.wait(30)
    assert 4 <= len(sent(world, Purpose.TARGET)) <= 9
    close = world.alert(Verb.CLOSE)
    world.wait(3)
    assert (world.outcome(close).outcome, world.net) == (Outcome.FILLED, 0)


def test_a_position_list_that_lags_ten_seconds_takes_no_exit_away() -> None:
    world = started()
    world.alert(Verb.BUY)
    world.run()
    flat = replace(world.picture(), quantity=0)
    for _ in range(9):
        world.now += timedelta(seconds=1)
        world.queue.append(replace(flat, began_at=world.now))
        world.run()
    assert (len(world.working()), world.lane.blocked) == (1, None)


def test_a_close_under_a_flat_looking_broker_liquidates_and_never_flips() -> None:
    world = started()
    world.alert(Verb.BUY)
    world.run()
    world.carries_flat = True
    close = world.alert(Verb.CLOSE)
    world.wait(30)
    assert world.net == 0
    assert world.outcome(close).outcome is Outcome.FILLED
    assert not sent(world, Purpose.CLOSE)


def test_a_lost_position_is_written_off_only_when_a_person_resumes() -> None:
    world = started()
    world.alert(Verb.BUY)
    world.run()
    world.net, world.fills = 0, []
    for order in world.orders.values():
        order.status = Status.CANCELED
    world.orders.clear()
    for _ in range(30):
        world.now += timedelta(seconds=1)
        world.queue.append(world.picture())
        world.run()
    assert world.lane.blocked is not None
    world.queue.append(LaneResumed(adopt=False))
    world.wait(60)
    lane = world.lane
    assert world.held == 0
    assert lane.trade is None
    assert lane.blocked is None
    assert world.trades()[-1].exit_reason == "unknown"


def test_a_fill_of_somebody_elses_close_heard_before_ours_blocks_nothing() -> None:
    world = started()
    signal = world.alert(Verb.BUY)
    world.tell(world.queue.pop(0))
    world.by_hand(Action.SELL, 1)
    ours: list[Event] = [e for e in world.queue if isinstance(e, OrderFilled) and e.fill.action is Action.BUY]
    world.queue[:] = [e for e in world.queue if e not in ours] + ours
    world.wait(5)
    assert (world.outcome(signal).outcome, world.held, world.lane.blocked) == (Outcome.FILLED, 0, None)


def test_a_target_taken_away_is_not_put_back_into_a_flatten_by_hand() -> None:
    world = started()
    world.alert(Verb.BUY)
    world.run()
    world.cancel(world.working()[0])
    world.run()
    world.now += timedelta(milliseconds=300)
    world.by_hand(Action.SELL, 1)
    world.wait(5)
    assert (world.net, world.working(), len(sent(world, Purpose.TARGET))) == (0, [], 1)


def test_an_entry_ended_unfilled_waits_for_a_picture_before_its_outcome() -> None:
    world = started()

    def ended_before_its_fill(command: Command, event: Event) -> list[Event]:
        if isinstance(command, PlaceOrder) and command.purpose is Purpose.ENTRY:
            order = next(iter(world.orders.values()))
            lost_reports(world)
            order.status = Status.CANCELED
            world.queue.append(OrderReported(replace(order.report(), claimed=0)))
        return [event]

    world.answer = ended_before_its_fill
    signal = world.alert(Verb.BUY)
    world.wait(5)
    assert world.outcome(signal).outcome is Outcome.FILLED
    assert len(world.working()) == 1


def test_an_entry_that_expires_says_what_held_it_up() -> None:
    world = started()
    world.entries_wait_until = world.now + timedelta(hours=1)
    signal = world.alert(Verb.BUY)
    world.wait(40)
    done = world.outcome(signal)
    assert (done.outcome, "it waited because of HTTP 429" in done.reason) == (Outcome.EXPIRED, True)
