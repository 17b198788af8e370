"""What one fact makes of a lane: what is believed, what is left as it was, and what a person is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from justtrades.positions import book
from justtrades.positions.events import (
    Event,
    FillBusted,
    LaneResumed,
    Looked,
    OrderFilled,
    OrderReported,
    PictureTaken,
    PositionReported,
    ReadFailed,
    Restarted,
    TimePassed,
)
from justtrades.positions.machine import fold_in
from justtrades.positions.model import (
    Action,
    BrokerOrder,
    BrokerOrderId,
    Call,
    CallKind,
    ClientOrderId,
    Divergence,
    Doubt,
    Fill,
    FillId,
    Lane,
    Noted,
    Order,
    OrderType,
    Purpose,
    Read,
    ReadKind,
    Short,
    SignalId,
    Status,
)
from tests.positions.lane_world import START, World, holding, started

NOW = START + timedelta(hours=1)
SECOND = timedelta(seconds=1)


def told(lane: Lane, *events: Event, world: World, later: float = 0.0) -> Lane:
    """The lane after these facts, nothing decided; its news are of the last."""
    for event in events:
        lane = fold_in(lane, event, NOW + later * SECOND, world.limits)
    return lane


def order(lane: Lane, purpose: Purpose = Purpose.TARGET) -> Order:
    return [o for o in lane.orders if o.purpose is purpose][-1]


def alarms(lane: Lane) -> list[Noted]:
    return [n for n in lane.news if isinstance(n, Noted) and n.alarm]


def picture(world: World, began: float = 0.0, quantity: int | None = None, *, streaming: bool = True) -> PictureTaken:
    seen = world.picture()
    return replace(
        seen,
        began_at=NOW + began * SECOND,
        quantity=seen.quantity if quantity is None else quantity,
        streaming=streaming,
    )


# ── a person resumes, the engine starts again ────────────────────────────────────────────────────────────────


def test_a_resume_lifts_everything_that_kept_the_lane() -> None:
    world = holding(2)
    kept = replace(
        world.lane,
        blocked="foreign",
        stopped="liquidated",
        halted="an error",
        exits_refused=3,
        exits_lost=2,
        protect_again_at=NOW + SECOND,
        divergence=Divergence(1, NOW),
        retry_at=NOW + SECOND,
        retries=4,
    )
    lane = told(kept, LaneResumed(adopt=False), world=world)
    assert (lane.blocked, lane.stopped, lane.halted, lane.divergence) == (None, None, None, None)
    assert (lane.exits_refused, lane.exits_lost, lane.retries) == (0, 0, 0)
    assert (lane.protect_again_at, lane.retry_at, lane.picture_wanted) == (None, None, True)


@pytest.mark.parametrize(
    ("foreign", "left", "shown", "held"),
    [
        (-1, 0, 1, 1),
        (-2, 0, 0, 0),
        (-3, 0, -1, 0),
        (-2, -1, 0, 1),
        (-1, -1, 1, 2),
        (-1, 0, 2, 2),
        (1, 0, 3, 2),
        (1, 0, 2, 2),
    ],
)
def test_a_resume_gives_up_exactly_what_the_broker_does_not_hold(
    foreign: int, left: int, shown: int, held: int
) -> None:
    world = holding(2)
    lane = replace(world.lane, foreign=foreign, left=left, broker_quantity=shown)
    lane = told(lane, LaneResumed(adopt=False), world=world)
    assert book.held(lane) == held
    assert lane.trade is not None
    assert lane.trade.exit_reason == ("unknown" if held == 0 else None)


def test_a_start_forgets_what_went_on_and_looks_before_it_acts() -> None:
    world = holding(2)
    before = replace(
        world.lane, read=Read(ReadKind.PICTURE, NOW), retry_at=NOW + SECOND, read_again_at=NOW + SECOND, synced=True
    )
    lane = told(before, Restarted(), world=world)
    assert (lane.read, lane.retry_at, lane.read_again_at) == (None, None, None)
    assert (lane.synced, lane.picture_wanted) == (False, True)


def test_a_call_that_was_under_way_when_the_engine_stopped_is_in_doubt_and_says_why() -> None:
    world = holding(2)
    sent = replace(order(world.lane), id=ClientOrderId("new"), broker_id=None, status=Status.SENDING)
    lane = replace(world.lane, orders=(*world.lane.orders, sent), call=Call(sent.id, CallKind.PLACE, (sent.id,), NOW))
    lane = told(lane, Restarted(), world=world)
    assert lane.call is None
    assert lane.order(sent.id).doubt == Doubt(NOW, why="the engine stopped before the answer came")


# ── reports of our orders ────────────────────────────────────────────────────────────────────────────────────


def reported(world: World, **said: object) -> OrderReported:
    """Nothing but the broker's id and what is named here."""
    broker_id = order(world.lane).broker_id
    assert broker_id is not None
    return OrderReported(replace(BrokerOrder(broker_id, None, Status.WORKING), **said))  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize(
    ("version", "quantity", "price", "expected"),
    [
        (2, 7, "90", (2, "105.00", 3)),
        (3, 1, "106", (1, "106", 3)),
        (4, 1, "106", (1, "106", 4)),
        (4, None, None, (2, "105.00", 4)),
    ],
)
def test_price_and_quantity_follow_the_newest_version(
    version: int, quantity: int | None, price: str | None, expected: tuple[int, str, int]
) -> None:
    world = holding(2)
    world.lane = replace(
        world.lane, orders=tuple(replace(o, version=3) if o.purpose.rests else o for o in world.lane.orders)
    )
    said = reported(world, version=version, quantity=quantity, price=Decimal(price) if price else None)
    target = order(told(world.lane, said, world=world))
    assert (target.quantity, str(target.price), target.version) == expected


@pytest.mark.parametrize(("version", "price"), [(3, "105.00"), (4, "90")])
def test_while_a_change_of_ours_is_unconfirmed_only_a_newer_version_counts(version: int, price: str) -> None:
    world = holding(2)
    changed = tuple(replace(o, version=3, changed_at=NOW) if o.purpose.rests else o for o in world.lane.orders)
    said = reported(world, version=version, price=Decimal("90"))
    target = order(told(replace(world.lane, orders=changed), said, world=world))
    assert str(target.price) == price
    assert target.changed_at == (NOW if version == 3 else None)


def test_a_market_order_has_no_price_whatever_a_report_says() -> None:
    world = holding(2)
    entry = order(world.lane, Purpose.ENTRY)
    assert entry.broker_id is not None
    said = BrokerOrder(entry.broker_id, None, Status.FILLED, price=Decimal(100), claimed=2, version=9)
    assert order(told(world.lane, OrderReported(said), world=world), Purpose.ENTRY).price is None


def test_a_report_only_adds_to_what_is_known() -> None:
    world = holding(2)
    world.answer = lambda _, event: [event]
    first = reported(world, status=Status.REJECTED, reason="NoQuote", text="closed", claimed=1)
    later = reported(world, status=Status.WORKING)
    lane = told(world.lane, first, world=world)
    lane = told(lane, later, world=world, later=5)
    target = order(lane)
    assert (target.status, target.reason, target.text, target.claimed, target.ended_at) == (
        Status.REJECTED,
        "NoQuote",
        "closed",
        1,
        NOW,
    )


def test_an_order_shown_after_it_counted_as_not_placed_is_named_in_the_alarm() -> None:
    world = holding(2)
    lost = replace(order(world.lane), id=ClientOrderId("lost"), broker_id=None, status=Status.ABSENT, ended_at=NOW)
    lane = replace(world.lane, orders=(*world.lane.orders, lost))
    said = BrokerOrder(BrokerOrderId("77"), lost.id, Status.WORKING)
    lane = told(lane, OrderReported(said), world=world)
    assert alarms(lane) == [
        Noted(lost.signal_id, "the broker showed target lost after it counted as not placed", alarm=True)
    ]
    assert (lane.order(lost.id).status, lane.order(lost.id).broker_id) == (Status.WORKING, "77")
    assert alarms(told(lane, OrderReported(said), world=world)) == []


# ── orders that are not ours ─────────────────────────────────────────────────────────────────────────────────

LIQUIDATOR = BrokerOrder(BrokerOrderId("500"), None, Status.WORKING, admin=True)


def sold(quantity: int, fill_id: str = "50001", by: str = "500") -> OrderFilled:
    return OrderFilled(Fill(FillId(fill_id), BrokerOrderId(by), Action.SELL, quantity, Decimal(99), NOW))


@pytest.mark.parametrize("events", [(OrderReported(LIQUIDATOR), sold(2)), (sold(2), OrderReported(LIQUIDATOR))])
def test_a_liquidation_is_told_with_its_contracts_whatever_is_heard_first(events: tuple[Event, ...]) -> None:
    world = holding(2)
    assert world.lane.trade is not None
    lane = told(world.lane, *events, world=world)
    text = "the broker itself liquidated 2 MNQZ6: entries stop until a person resumes the lane"
    assert (lane.stopped, lane.liquidators) == (text, ("500",))
    assert alarms(lane) == [Noted(world.lane.trade.signal_id, text, alarm=True)]


def test_what_stopped_the_lane_first_stays_the_reason() -> None:
    world = holding(2)
    lane = told(replace(world.lane, stopped="before"), OrderReported(LIQUIDATOR), sold(1), world=world)
    assert lane.stopped == "before"


def test_an_order_of_the_broker_that_has_filled_nothing_stops_nothing() -> None:
    world = holding(2)
    lane = told(world.lane, OrderReported(LIQUIDATOR), world=world)
    assert (lane.stopped, alarms(lane)) == (None, [])


def test_a_second_order_under_one_id_begins_its_own_life() -> None:
    world = holding(2)
    first = replace(
        order(world.lane), claimed=1, version=5, oco=ClientOrderId("x"), cancel_asked=2, changed_at=NOW, ended_at=NOW
    )
    orders = tuple(first if o.id == first.id else o for o in world.lane.orders)
    said = BrokerOrder(BrokerOrderId("900"), first.id, Status.WORKING, version=1)
    lane = told(replace(world.lane, orders=orders), OrderReported(said), world=world)
    twin = lane.ours(BrokerOrderId("900"))
    assert twin is not None
    assert (twin.id, twin.twin_of, twin.status) == (f"{first.id}/900", first.id, Status.WORKING)
    assert (twin.quantity, twin.price, twin.claimed, twin.version) == (2, Decimal("105.00"), 0, 1)
    assert (twin.oco, twin.doubt, twin.ended_at, twin.cancel_asked, twin.changed_at) == (None, None, None, 0, None)
    text = f"found twice: the broker shows {first.broker_id} and 900 for one target of ours"
    assert lane.stopped == text
    assert alarms(lane) == [Noted(first.signal_id, text, alarm=True)]
    stopped = told(replace(world.lane, orders=orders, stopped="before"), OrderReported(said), world=world)
    assert stopped.stopped == "before"


# ── fills and positions ──────────────────────────────────────────────────────────────────────────────────────


def test_a_fill_the_exchange_undid_is_told_once_and_never_comes_back() -> None:
    world = holding(2)
    assert world.lane.trade is not None
    (fill,) = world.lane.fills
    lane = told(world.lane, FillBusted(fill.id), world=world)
    assert alarms(lane) == [Noted(world.lane.trade.signal_id, f"the exchange undid fill {fill.id}", alarm=True)]
    assert (lane.fills, lane.picture_wanted) == ((), True)
    again = told(lane, FillBusted(fill.id), OrderFilled(fill), world=world)
    assert (again.fills, again.busted, alarms(again)) == ((), (fill.id,), [])


@pytest.mark.parametrize(("quantity", "foreign", "wanted"), [(2, 0, False), (1, 0, True), (3, 1, False), (1, 1, True)])
def test_a_position_that_is_not_ours_and_the_foreign_one_asks_for_a_picture(
    quantity: int, foreign: int, wanted: bool
) -> None:
    world = holding(2)
    lane = told(replace(world.lane, foreign=foreign), PositionReported(quantity, NOW), world=world)
    assert (lane.broker_quantity, lane.picture_wanted) == (quantity, wanted)


def test_a_position_told_while_an_order_is_on_its_way_asks_for_nothing() -> None:
    world = holding(2)
    call = Call(ClientOrderId("c"), CallKind.CANCEL, (order(world.lane).id,), NOW)
    lane = told(replace(world.lane, call=call), PositionReported(0, NOW), world=world)
    assert lane.picture_wanted is False


# ── reads ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("kind", "wanted"), [(ReadKind.PICTURE, True), (ReadKind.LOOK, False)])
def test_a_picture_that_failed_is_wanted_still_and_a_look_keeps_to_its_own_times(kind: ReadKind, wanted: bool) -> None:
    world = holding(2)
    lane = told(replace(world.lane, read=Read(kind, NOW)), ReadFailed("no connection"), world=world)
    assert (lane.read, lane.picture_wanted, lane.reads_failed) == (None, wanted, int(wanted))


@pytest.mark.parametrize("read", ["look", "picture"])
def test_a_read_that_came_ends_the_waits_for_reads(read: str) -> None:
    world = holding(2)
    waits = replace(world.lane, read=Read(ReadKind.LOOK, NOW), reads_failed=3, read_again_at=NOW + SECOND)
    lane = told(waits, Looked(NOW, ()) if read == "look" else picture(world), world=world)
    assert (lane.read, lane.reads_failed, lane.read_again_at) == (None, 0, None)


def doubted(world: World, *ids: str, since: float = 0.0) -> Lane:
    lost = tuple(
        replace(
            order(world.lane),
            id=ClientOrderId(i),
            broker_id=None,
            status=Status.SENDING,
            doubt=Doubt(NOW + since * SECOND),
        )
        for i in ids
    )
    return replace(world.lane, orders=(*world.lane.orders, *lost))


@pytest.mark.parametrize(
    ("looks", "ended"),
    [
        ((1, 8, 15), True),
        ((1, 15), False),
        ((-1, 1, 15), False),
        ((1, 2, 3, 4), False),
        ((1, 2, 14.9), True),
        ((1, 2, 14.8), False),
        ((0, 8, 15), True),
    ],
)
def test_three_clean_looks_over_the_settle_window_end_a_doubt(looks: tuple[float, ...], ended: bool) -> None:
    world = holding(2)
    lane = doubted(world, "a", "b")
    for at in looks:
        lane = told(lane, Looked(NOW + at * SECOND, ()), world=world, later=max(at, 0))
    for name in ("a", "b"):
        found = lane.order(ClientOrderId(name))
        assert (found.status, found.reason) == (
            (Status.ABSENT, "not found at the broker") if ended else (Status.SENDING, None)
        )
        assert found.ended_at == (NOW + looks[-1] * SECOND if ended else None)


def test_a_look_is_counted_for_each_order_that_is_still_in_doubt() -> None:
    world = holding(2)
    lane = told(doubted(world, "a", "b"), Looked(NOW + SECOND, ()), world=world, later=2)
    for name in ("a", "b"):
        assert lane.order(ClientOrderId(name)).doubt == Doubt(NOW, looks=1, negatives=1, last_look=NOW + SECOND)


def test_a_broker_that_is_back_lets_go_at_once_what_waited_for_it() -> None:
    world = holding(2)
    waits = replace(world.lane, retry_at=NOW + SECOND, protect_again_at=NOW + SECOND)
    lane = told(replace(waits, synced=False), picture(world), world=world)
    assert (lane.synced, lane.retry_at, lane.protect_again_at) == (True, None, None)
    lane = told(waits, picture(world), world=world)
    assert (lane.retry_at, lane.protect_again_at) == (NOW + SECOND, NOW + SECOND)
    lane = told(replace(waits, synced=False), picture(world, streaming=False), world=world)
    assert (lane.synced, lane.retry_at, lane.protect_again_at) == (False, NOW + SECOND, NOW + SECOND)


@pytest.mark.parametrize(("began", "stale"), [(-1, True), (0, False), (1, False)])
def test_a_lost_cancel_is_settled_by_a_picture_begun_after_it(began: float, stale: bool) -> None:
    world = holding(2)
    lane = told(replace(world.lane, stale_since=NOW), picture(world, began), world=world)
    assert (lane.stale_since is not None) is stale
    assert (lane.checked_at, lane.broker_quantity) == (NOW + began * SECOND, 2)
    assert lane.picture_wanted is False


# ── an order that lists do not show ──────────────────────────────────────────────────────────────────────────


def without_target(world: World, began: float) -> PictureTaken:
    seen = picture(world, began)
    return replace(seen, orders=tuple(o for o in seen.orders if o.order_type is not OrderType.LIMIT))


def test_an_order_is_missing_from_the_first_picture_that_lacks_it_until_one_shows_it() -> None:
    world = holding(2)
    lane = told(world.lane, without_target(world, 1), world=world, later=1)
    assert order(lane).unlisted_since == NOW + SECOND
    lane = told(lane, without_target(world, 5), world=world, later=5)
    assert (order(lane).unlisted_since, order(lane).status) == (NOW + SECOND, Status.WORKING)
    assert order(told(lane, picture(world, 9), world=world, later=9)).unlisted_since is None


def test_a_picture_begun_right_after_the_order_says_nothing_of_it() -> None:
    world = holding(2)
    for began, missing in ((1.9, False), (2.0, True)):
        sent = tuple(replace(o, sent_at=NOW) for o in world.lane.orders)
        lane = told(replace(world.lane, orders=sent), without_target(world, began), world=world)
        assert (order(lane).unlisted_since is not None) is missing


@pytest.mark.parametrize(("cancels", "began", "ended"), [(4, 20, False), (5, 20, True), (5, 14, False), (6, 15, True)])
def test_an_order_missing_for_the_settle_window_has_ended_when_cancel_after_cancel_changed_nothing(
    cancels: int, began: float, ended: bool
) -> None:
    world = holding(2)
    gone = tuple(
        replace(o, unlisted_since=NOW, cancel_asked=cancels) if o.purpose.rests else o for o in world.lane.orders
    )
    lane = replace(world.lane, orders=gone)
    lane = told(lane, without_target(world, began), world=world)
    assert order(lane).status is (Status.EXPIRED if ended else Status.WORKING)
    assert order(lane).reason == ("the broker does not list it any more" if ended else None)


# ── books and broker differ ──────────────────────────────────────────────────────────────────────────────────


def test_a_difference_is_believed_when_three_pictures_over_eleven_seconds_show_it() -> None:
    for moments, believed in (((0, 6, 11), True), ((0, 11), False), ((0, 4, 8, 10.9), False), ((0, 4, 8, 11), True)):
        world = holding(2)
        lane = world.lane
        for at in moments:
            lane = told(lane, picture(world, at, quantity=3), world=world, later=at)
        assert lane.foreign == (1 if believed else 0)
        assert lane.divergence == (None if believed else Divergence(1, NOW, seen=len(moments)))


def test_another_difference_begins_anew() -> None:
    world = holding(2)
    lane = world.lane
    for at, quantity in ((0, 3), (6, 3), (11, 4)):
        lane = told(lane, picture(world, at, quantity=quantity), world=world, later=at)
    assert lane.divergence == Divergence(2, NOW + 11 * SECOND)


def test_what_is_believed_is_told_and_stops_entries_once() -> None:
    world = holding(2)
    assert world.lane.trade is not None
    lane = replace(world.lane, divergence=Divergence(-1, NOW - 11 * SECOND, seen=2))
    lane = told(lane, picture(world, quantity=1), world=world)
    blocked = (
        "the broker holds {} MNQZ6 less than our books, and no fill says why: entries wait until a person resumes the "
        "lane, and then the books follow the broker"
    )
    assert (lane.foreign, lane.blocked, lane.divergence) == (-1, blocked.format(1), None)
    assert alarms(lane) == [Noted(world.lane.trade.signal_id, blocked.format(1), alarm=True)]
    more = replace(lane, divergence=Divergence(-1, NOW - 11 * SECOND, seen=2))
    more = told(more, picture(world, quantity=0), world=world)
    assert (more.foreign, more.blocked) == (-2, blocked.format(2))


def test_a_difference_that_comes_to_what_was_left_is_no_alarm() -> None:
    world = holding(2)
    lane = replace(world.lane, foreign=3, left=2, divergence=Divergence(-1, NOW - 11 * SECOND, seen=2))
    lane = told(lane, picture(world, quantity=4), world=world)
    assert (lane.foreign, lane.left, lane.blocked, alarms(lane)) == (2, 2, None, [])


@pytest.mark.parametrize("picture_quantity", [2, 5])
def test_nothing_is_compared_while_an_order_is_on_its_way(picture_quantity: int) -> None:
    world = holding(2)
    call = Call(ClientOrderId("c"), CallKind.CANCEL, (order(world.lane).id,), NOW)
    lane = replace(world.lane, call=call, divergence=Divergence(3, NOW))
    assert told(lane, picture(world, quantity=picture_quantity), world=world).divergence is None


@pytest.mark.parametrize(("began", "price"), [(4.9, "105.00"), (5.0, "90")])
def test_a_picture_well_after_an_accepted_change_shows_what_came_of_it(began: float, price: str) -> None:
    world = holding(2)
    changed = tuple(replace(o, changed_at=NOW) if o.purpose.rests else o for o in world.lane.orders)
    seen = picture(world, began)
    shown = tuple(replace(o, price=Decimal(90)) if o.order_type is OrderType.LIMIT else o for o in seen.orders)
    lane = told(replace(world.lane, orders=changed), replace(seen, orders=shown), world=world)
    assert str(order(lane).price) == price


def test_the_signal_of_the_trade_hears_of_what_stands_beside_it() -> None:
    world = started()
    world.by_hand(Action.BUY, 1)
    world.wait(5)
    (said,) = (n for n in world.news if isinstance(n, Noted))
    text = (
        "a position of +1 on MNQZ6 is not ours: it is left alone, and entries wait until it is gone or a person "
        "resumes the lane, to adopt it or to leave it"
    )
    assert said == Noted(None, text, alarm=True)
    world = holding(2)
    world.by_hand(Action.BUY, 1)
    world.wait(5)
    assert [n.signal_id for n in world.news if isinstance(n, Noted) and n.alarm] == [SignalId("s1")]


@pytest.mark.parametrize(("seen", "shown", "sure"), [(29.9, 1, 0), (30.0, 1, 1), (30.0, 2, 0)])
def test_what_the_broker_lacks_is_sure_when_pictures_agree_half_a_minute_after_it_was_told(
    seen: float, shown: int, sure: int
) -> None:
    world = holding(2)
    lane = replace(
        world.lane,
        foreign=-1,
        short=Short(1, NOW),
        checked_at=NOW + seen * SECOND,
        broker_quantity=shown,
    )
    assert told(lane, TimePassed(), world=world, later=seen).short == Short(1, NOW, sure)
