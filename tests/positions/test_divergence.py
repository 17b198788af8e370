"""What happens beside the engine: positions opened, closed and cancelled by other hands, and the broker's own acts."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from justtrades.lane_view import view
from justtrades.positions import book, exits
from justtrades.positions.adoption import Adoption
from justtrades.positions.commands import Liquidate
from justtrades.positions.differences import differences
from justtrades.positions.events import FillBusted, LaneResumed, OrderReported, PositionReported
from justtrades.positions.model import (
    Action,
    BrokerOrderId,
    Noted,
    OnOpposite,
    OrderType,
    Outcome,
    Purpose,
    RecorderId,
    SignalDone,
    SignalId,
    Status,
    Verb,
)
from tests.positions.lane_world import AtBroker, World, started, terms


def with_foreign(contracts: int, price: str = "100") -> World:
    world = started()
    world.move(price)
    world.by_hand(Action.of(contracts), abs(contracts))
    return world.wait(5)


def adoption(world: World, contracts: int, average: str | None = None, *, fills: bool = True) -> Adoption:
    seen = tuple(world.fills) if fills else ()
    price = Decimal(average) if average else None
    return Adoption(SignalId("act"), RecorderId("r"), terms(1, target=20), contracts, seen, price)


def resume(world: World, adopting: Adoption | None = None) -> World:
    world.queue.append(LaneResumed(adopt=adopting is not None, adoption=adopting))
    return world.wait(20)


def alarms(world: World) -> str:
    return "\n".join(n.text for n in world.news if isinstance(n, Noted) and n.alarm)


# ── left alone ───────────────────────────────────────────────────────────────────────────────────────────


def test_entries_beside_a_foreign_position_wait_for_a_person() -> None:
    world = with_foreign(2)
    first = world.alert(Verb.BUY)
    world.wait(5)
    resume(world)
    second = world.alert(Verb.BUY)
    world.wait(5)
    assert (world.outcome(first).outcome, world.outcome(second).outcome) == (Outcome.BLOCKED, Outcome.FILLED)
    assert (world.held, book.foreign_quantity(world.lane), world.net) == (1, 2, 3)
    assert [o.quantity for o in world.working()] == [1], "the exit is for ours alone"


def test_a_close_beside_what_is_not_ours_does_not_say_that_the_broker_is_flat() -> None:
    world = with_foreign(-3)
    close = world.alert(Verb.CLOSE)
    world.wait(5)
    said = world.outcome(close)
    assert (said.outcome, said.reason) == (
        Outcome.NO_ACTION,
        "nothing of ours is held; -3 MNQZ6 at the broker is not ours",
    )


def test_a_close_says_nothing_of_flat_while_the_broker_shows_contracts_that_nothing_explains() -> None:
    world = started().wait(1)
    world.net = 2
    close = world.alert(Verb.CLOSE)
    world.wait(10)
    assert not [n for n in world.news if isinstance(n, SignalDone)]
    world.wait(5)
    assert world.outcome(close).reason == "nothing of ours is held; +2 MNQZ6 at the broker is not ours"


def test_books_that_hold_more_than_the_broker_are_not_called_somebody_elses_position() -> None:
    world = started()
    world.alert(Verb.BUY, terms(2))
    world.wait(5)
    world.net = 1
    world.queue.append(PositionReported(1, world.now))
    world.wait(15)
    text = "the broker holds 1 MNQZ6 less than our books, and no fill says why"
    assert world.lane.blocked is not None
    assert world.lane.blocked.startswith(text)
    assert text in alarms(world)
    assert "not ours" not in alarms(world)
    picture = world.picture()
    told = differences(world.lane, picture.orders, picture.fills, picture.quantity)
    assert told == ("position: books +2, broker +1, and no fill says why",)


def test_ours_is_closed_beside_what_was_left_and_the_rest_stays() -> None:
    world = resume(with_foreign(2))
    world.alert(Verb.BUY)
    world.wait(5)
    close = world.alert(Verb.CLOSE)
    world.wait(10)
    assert world.outcome(close).outcome is Outcome.FILLED
    assert (world.held, world.net, world.working()) == (0, 2, [])


def test_an_entry_never_trades_against_what_was_left() -> None:
    world = resume(with_foreign(2))
    signal = world.alert(Verb.SELL)
    world.wait(5)
    assert world.outcome(signal).outcome is Outcome.BLOCKED
    assert "would trade against +2" in world.outcome(signal).reason
    assert world.net == 2


def test_a_reversal_closes_ours_and_stops_before_what_was_left() -> None:
    world = resume(with_foreign(2))
    world.alert(Verb.BUY)
    world.wait(5)
    signal = world.alert(Verb.SELL, terms(on_opposite=OnOpposite.REVERSE))
    world.wait(10)
    assert (world.outcome(signal).outcome, world.held, world.net) == (Outcome.PARTIALLY_FILLED, 0, 2)


def test_what_was_left_and_grows_stops_entries_again() -> None:
    world = resume(with_foreign(2))
    world.by_hand(Action.BUY, 1)
    world.wait(5)
    signal = world.alert(Verb.BUY)
    world.wait(5)
    assert world.outcome(signal).outcome is Outcome.BLOCKED


def test_what_was_left_and_shrinks_stops_nothing() -> None:
    world = resume(with_foreign(2))
    world.by_hand(Action.SELL, 1)
    world.wait(5)
    signal = world.alert(Verb.BUY)
    world.wait(5)
    assert (world.outcome(signal).outcome, world.lane.left) == (Outcome.FILLED, 1)


def test_what_is_gone_was_never_left() -> None:
    world = resume(with_foreign(2))
    world.by_hand(Action.SELL, 2)
    world.wait(5)
    world.by_hand(Action.BUY, 2)
    world.wait(5)
    signal = world.alert(Verb.BUY)
    world.wait(5)
    assert world.outcome(signal).outcome is Outcome.BLOCKED


def test_a_lost_close_beside_what_was_left_is_never_finished_by_liquidation() -> None:
    world = resume(with_foreign(2))
    world.alert(Verb.BUY)
    world.wait(5)
    world.reach = lambda command: getattr(command, "purpose", None) is not Purpose.CLOSE
    world.alert(Verb.CLOSE)
    world.wait(40)
    world.reach = lambda _: True
    world.wait(60)
    assert "Liquidate" not in {type(c).__name__ for c in world.commands}
    assert (world.held, world.net) == (0, 2)


# ── taken over ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_position_opened_by_hand_is_taken_over_with_its_fills_and_gets_its_target() -> None:
    world = with_foreign(2, "98")
    resume(world, adoption(world, 2))
    assert world.outcome(SignalId("act")).outcome is Outcome.FILLED
    assert (world.held, book.foreign_quantity(world.lane), book.average_price(world.lane)) == (2, 0, Decimal(98))
    assert [(o.action, o.quantity, o.price) for o in world.working()] == [(Action.SELL, 2, Decimal("103.00"))]
    assert {f.id for f in world.lane.fills} == {f.id for f in world.fills}
    world.move("103").wait(5)
    (trade,) = world.trades()
    assert (trade.pnl, trade.exit_reason, trade.trade.recorder_id) == (Decimal(20), "target", "r")


def test_an_increase_by_hand_joins_the_open_trade_at_the_average_of_both() -> None:
    world = started()
    world.alert(Verb.BUY)
    world.run()
    world.move("104")
    world.by_hand(Action.BUY, 1)
    world.wait(5)
    resume(world, adoption(world, 1))
    assert (world.held, book.average_price(world.lane)) == (2, Decimal(102))
    assert [(o.quantity, o.price) for o in world.working()] == [(2, Decimal("107.00"))]


def test_a_position_of_an_earlier_session_comes_in_at_the_brokers_average() -> None:
    world = with_foreign(-3)
    resume(world, adoption(world, -3, "101.5", fills=False))
    assert (world.held, book.average_price(world.lane)) == (-3, Decimal("101.5"))
    assert [(o.action, o.quantity, o.price) for o in world.working()] == [(Action.BUY, 3, Decimal("96.50"))]
    world.move("96.50").wait(5)
    assert (world.trades()[-1].pnl, world.net) == (Decimal(30), 0)


def test_ours_is_taken_out_of_the_brokers_average() -> None:
    world = started()
    world.alert(Verb.BUY)
    world.run()
    world.move("104")
    world.by_hand(Action.BUY, 3)
    world.by_hand(Action.SELL, 1)
    world.wait(5)
    resume(world, adoption(world, 2, "102"))  # three at 102: ours at 100, so two at 103
    assert (world.held, book.average_price(world.lane)) == (3, Decimal(102))


def test_without_a_fill_and_an_average_nothing_is_taken_over() -> None:
    world = with_foreign(2)
    resume(world, adoption(world, 2, fills=False))
    assert world.outcome(SignalId("act")).outcome is Outcome.BLOCKED
    assert (world.held, book.foreign_quantity(world.lane)) == (0, 2)


def test_what_changed_since_the_person_looked_is_not_taken_over() -> None:
    world = with_foreign(2)
    asked = adoption(world, 2)
    world.by_hand(Action.BUY, 1)
    world.wait(5)
    resume(world, asked)
    assert world.outcome(SignalId("act")).outcome is Outcome.BLOCKED
    assert world.held == 0


def test_what_was_taken_over_is_told_once_more_and_changes_nothing() -> None:
    world = with_foreign(2)
    resume(world, adoption(world, 2))
    lane = world.lane
    world.queue.append(world.picture())
    world.wait(30)
    assert (world.held, world.lane.trade, world.lane.blocked) == (2, lane.trade, None)


# ── the books follow the broker ──────────────────────────────────────────────────────────────────────────


def lost(world: World, contracts: int) -> None:
    """The broker holds so many contracts less, and no fill ever tells why."""
    world.net -= contracts
    for _ in range(25):
        world.queue.append(world.picture())
        world.wait(1)


def test_a_position_lost_without_a_fill_makes_no_gain_and_no_loss() -> None:
    world = started()
    world.alert(Verb.BUY, terms(2))
    world.run()
    lost(world, 2)
    assert world.lane.blocked is not None
    resume(world)
    (trade,) = world.trades()
    assert (trade.exit_reason, trade.pnl, world.held, world.working()) == ("unknown", Decimal(0), 0, [])


def test_a_part_lost_without_a_fill_shrinks_the_exit_when_a_person_resumes() -> None:
    world = started()
    world.alert(Verb.BUY, terms(3))
    world.run()
    lost(world, 1)
    resume(world)
    assert (world.held, [o.quantity for o in world.working()], world.lane.blocked) == (2, [2], None)
    world.move("105").wait(5)
    assert (world.trades()[-1].pnl, world.net) == (Decimal(20), 0)


def test_a_close_of_what_the_broker_no_longer_holds_ends_though_liquidation_is_answered_with_nothing() -> None:
    """An empty body is no answer (it reads as lost), and says the same however often it is asked for."""
    world = started()
    world.alert(Verb.BUY)
    world.run()
    lost(world, 1)
    world.reach = lambda command: not isinstance(command, Liquidate)
    close = world.alert(Verb.CLOSE)
    world.wait(40)
    assert world.outcome(close).outcome is Outcome.NEEDS_ATTENTION
    assert "the broker is flat, our books are not" in world.outcome(close).reason
    sent = len([c for c in world.commands if isinstance(c, Liquidate)])
    world.wait(60)
    assert len([c for c in world.commands if isinstance(c, Liquidate)]) == sent


# ── exits taken away ─────────────────────────────────────────────────────────────────────────────────────


def test_a_target_taken_away_is_put_back_once_and_then_a_person_is_asked() -> None:
    world = started()
    world.alert(Verb.BUY)
    world.run()
    for _ in range(2):
        world.cancel(world.working()[0])
        world.wait(20)
    assert world.working() == []
    assert "it is not put back, and entries stop, until a person resumes" in alarms(world)
    resume(world)
    assert len(world.working()) == 1


def taken_away_twice() -> World:
    world = started()
    world.alert(Verb.BUY)
    world.run()
    for _ in range(2):
        world.cancel(world.working()[0])
        world.wait(20)
    return world


def test_a_lane_that_asks_about_its_exit_is_halted_for_entries_until_a_person_resumes() -> None:
    world = taken_away_twice()
    shown = view(world.lane, (), world.now, None, 0.0)
    assert (shown.protected, shown.blocked) == (False, exits.entries_stopped(world.lane))
    assert "until a person resumes" in (shown.blocked or "")
    add = world.alert(Verb.BUY)
    world.wait(5)
    assert (world.outcome(add).outcome, world.held) == (Outcome.BLOCKED, 1)
    resume(world)
    assert exits.entries_stopped(world.lane) is None
    add = world.alert(Verb.BUY)
    world.wait(5)
    assert (world.outcome(add).outcome, [o.quantity for o in world.working()]) == (Outcome.FILLED, [2])


def test_the_question_about_an_exit_ends_with_its_position() -> None:
    world = taken_away_twice()
    signal = world.alert(Verb.SELL, terms(on_opposite=OnOpposite.REVERSE))
    world.wait(10)
    assert (world.outcome(signal).outcome, world.held) == (Outcome.FILLED, -1)
    assert (len(world.working()), exits.entries_stopped(world.lane)) == (1, None)


def take_away(world: World, order_type: OrderType) -> None:
    """A hand cancels one half of the pair, and the broker leaves the other."""
    order = next(o for o in world.working() if o.type is order_type)
    order.sibling = None
    world.cancel(order)


@pytest.mark.parametrize(("gone", "stays"), [(OrderType.LIMIT, OrderType.STOP), (OrderType.STOP, OrderType.LIMIT)])
def test_half_a_pair_taken_away_for_good_leaves_the_other_half_at_the_broker(gone: OrderType, stays: OrderType) -> None:
    world = started()
    world.alert(Verb.BUY, terms(2, stop=40))
    world.run()
    for _ in range(2):
        take_away(world, gone)
        world.wait(20)
    world.by_hand(Action.SELL, 1)
    world.wait(20)
    assert [(o.type, o.quantity) for o in world.working()] == [(stays, 1)]
    resume(world)
    world.wait(5)
    assert {o.type for o in world.working()} == {gone, stays}


def test_the_half_that_stayed_rests_until_the_pair_may_be_placed_anew() -> None:
    world = started()
    world.alert(Verb.BUY, terms(1, stop=40))
    world.run()
    take_away(world, OrderType.LIMIT)
    world.run()
    assert [o.type for o in world.working()] == [OrderType.STOP]
    world.wait(5)
    assert {o.type for o in world.working()} == {OrderType.LIMIT, OrderType.STOP}


def test_all_exits_cancelled_in_one_go_are_all_put_back_once() -> None:
    world = started()
    halves = tuple(replace(part, percent=Decimal(50)) for part in terms().targets * 2)
    world.alert(Verb.BUY, replace(terms(2, stop=40), targets=halves))
    world.run()
    for _ in range(2):
        assert len(world.working()) == 4
        for order in world.working():
            if not order.status.ended:
                world.cancel(order)
        world.wait(20)
    assert world.working() == []


def pictures(world: World, *, orders: bool = True) -> int:
    """Two minutes of pictures on time, perhaps with an order list that is empty; the most orders that worked."""
    most = 0
    for _ in range(6):
        world.queue.append(world.picture() if orders else replace(world.picture(), orders=()))
        world.wait(20)
        most = max(most, len(world.working()))
    return most


def test_an_order_list_that_lacks_what_rests_never_makes_a_second_pair_beside_it() -> None:
    world = started()
    world.alert(Verb.BUY, terms(1, stop=40))
    world.run()
    assert pictures(world, orders=False) == 2
    assert pictures(world) == 2
    assert {o.type for o in world.working()} == {OrderType.LIMIT, OrderType.STOP}


def test_exits_that_are_gone_without_a_word_are_placed_anew() -> None:
    world = started()
    world.alert(Verb.BUY, terms(1, stop=40))
    world.run()
    gone = world.working()
    for order in gone:
        del world.orders[order.id]
    pictures(world)
    assert {o.type for o in world.working()} == {OrderType.LIMIT, OrderType.STOP}
    assert not {o.id for o in gone} & {o.id for o in world.working()}


# ── the broker's own acts ────────────────────────────────────────────────────────────────────────────────


def liquidate(world: World, contracts: int) -> None:
    made = AtBroker(world.make(), None, Action.of(-contracts), abs(contracts), OrderType.MARKET, None)
    world.orders[made.id] = made
    world.queue.append(OrderReported(replace(made.report(), admin=True)))
    for order in world.working():
        if order.client_id is not None:
            world.cancel(order)
    world.trade(made)
    world.wait(5)


def test_a_liquidation_by_the_broker_closes_the_trade_and_stops_entries_until_a_person_resumes() -> None:
    world = started()
    world.alert(Verb.BUY, terms(2))
    world.run()
    liquidate(world, 2)
    (trade,) = world.trades()
    assert (trade.exit_reason, world.held, world.working()) == ("liquidated", 0, [])
    blocked = world.alert(Verb.BUY)
    world.wait(5)
    resume(world)
    filled = world.alert(Verb.BUY)
    world.wait(5)
    assert (world.outcome(blocked).outcome, world.outcome(filled).outcome) == (Outcome.BLOCKED, Outcome.FILLED)
    assert "liquidated 2" in world.outcome(blocked).reason


def test_a_liquidation_told_again_after_the_resume_stops_nothing() -> None:
    world = started()
    world.alert(Verb.BUY)
    world.run()
    liquidate(world, 1)
    resume(world)
    admin = next(o for o in world.orders.values() if o.client_id is None)
    world.queue.append(OrderReported(replace(admin.report(), admin=True)))
    world.wait(30)
    assert world.lane.stopped is None


# ── found twice ──────────────────────────────────────────────────────────────────────────────────────────


def doubled(world: World, purpose: Purpose, status: Status) -> AtBroker:
    """The broker shows a second order under the id of the first one of this purpose."""
    first = next(o for o in world.lane.orders if o.purpose is purpose)
    made = AtBroker(world.make(), first.id, first.action, first.quantity, first.order_type, first.price, status)
    world.orders[made.id] = made
    world.queue.insert(1, OrderReported(made.report()))
    return made


def test_a_second_target_under_one_id_is_cancelled_and_told() -> None:
    world = started()
    world.alert(Verb.BUY)
    world.run()
    twin = doubled(world, Purpose.TARGET, Status.WORKING)
    world.wait(15)
    assert (twin.status, len(world.working())) == (Status.CANCELED, 1)
    assert "found twice" in alarms(world)


def test_a_second_close_under_one_id_is_cancelled_before_it_can_turn_the_position() -> None:
    world = started()
    world.alert(Verb.BUY)
    world.run()
    world.alert(Verb.CLOSE)
    while not any(o.purpose is Purpose.CLOSE for o in world.lane.orders):
        world.tell(world.queue.pop(0))
    twin = doubled(world, Purpose.CLOSE, Status.WORKING)
    world.wait(10)
    assert (twin.status, world.held, world.net) == (Status.CANCELED, 0, 0)


def test_a_second_entry_that_has_filled_is_ours_protected_and_needs_a_person() -> None:
    world = started()
    signal = world.alert(Verb.BUY)
    world.tell(world.queue.pop(0))
    twin = doubled(world, Purpose.ENTRY, Status.WORKING)
    world.fill(twin, 1)
    world.wait(10)
    assert world.outcome(signal).outcome is Outcome.NEEDS_ATTENTION
    assert (world.held, world.net, [o.quantity for o in world.working()]) == (2, 2, [2])
    late = world.alert(Verb.BUY)
    world.wait(5)
    assert world.outcome(late).outcome is Outcome.BLOCKED


@pytest.mark.parametrize("bust", [0, 1])
def test_a_busted_fill_leaves_the_position_and_the_exit_follows(bust: int) -> None:
    world = started()
    world.alert(Verb.BUY)
    world.run()
    world.alert(Verb.BUY)
    world.run()
    fill = world.fills.pop(bust)
    world.net -= fill.signed
    world.queue.append(FillBusted(fill.id))
    world.wait(30)
    assert (world.held, [o.quantity for o in world.working()]) == (1, [1])


def test_broker_orders_of_the_broker_are_remembered_by_id_only_once() -> None:
    world = started()
    order = AtBroker(1, None, Action.SELL, 1, OrderType.MARKET, None).report()
    for _ in range(3):
        world.queue.append(OrderReported(replace(order, admin=True)))
    world.run()
    assert world.lane.liquidators == (BrokerOrderId("1"),)
