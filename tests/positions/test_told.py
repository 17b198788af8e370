"""Sentences of the smaller parts, word for word: adoption, withdrawal, prices, symbols, rolls, rehearsals."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from justtrades.positions import book
from justtrades.positions.adoption import Adoption, adopt, give_up
from justtrades.positions.commands import (
    CancelOrder,
    Liquidate,
    ModifyOrder,
    Mutation,
    PlaceOrder,
)
from justtrades.positions.contracts import ROOTS, Days, RollRule, UnknownSymbol, parse_symbol
from justtrades.positions.events import SignalReceived
from justtrades.positions.known_prices import KnownPrice, KnownPrices, expiry_check, price_check
from justtrades.positions.machine import fold_in
from justtrades.positions.model import (
    AccountId,
    Action,
    BrokerOrderId,
    Call,
    CallKind,
    ClientOrderId,
    ConnectionId,
    ContractName,
    Divergence,
    Doubt,
    Fill,
    FillId,
    Follow,
    Lane,
    Noted,
    OnGap,
    OnOpposite,
    OnSameSide,
    Order,
    OrderType,
    Outcome,
    Purpose,
    RecorderId,
    Signal,
    SignalDone,
    SignalId,
    Status,
    TargetUpdate,
    Verb,
)
from justtrades.positions.outlook import behind
from justtrades.positions.recorder import (
    Blocked,
    QuantityFrom,
    Reading,
    Recorder,
    Route,
    StrategyPosition,
    signal_for,
)
from justtrades.positions.rehearsal import priced, rehearse
from justtrades.positions.rolls import parse_rolls
from justtrades.positions.withdraw import withdrawn
from tests.positions.lane_world import START, World, holding, started, terms

SECOND = timedelta(seconds=1)
TODAY = date(2026, 11, 25)


# ── what a person takes over, and what is given up ───────────────────────────────────────────────────────────


def fill(fill_id: str, signed: int, price: str = "98", by: str | None = None) -> Fill:
    broker_id = BrokerOrderId(by or f"{fill_id}0")
    return Fill(FillId(fill_id), broker_id, Action.of(signed), abs(signed), Decimal(price), START)


def wish(quantity: int, *fills: Fill, average: str | None = None, recorder: str = "r") -> Adoption:
    price = Decimal(average) if average else None
    return Adoption(SignalId("act"), RecorderId(recorder), terms(1), quantity, fills, price)


def ended(lane: Lane) -> tuple[Outcome, str]:
    (done,) = (n for n in lane.news if isinstance(n, SignalDone))
    assert done.signal_id == "act"
    return done.outcome, done.reason


def beside(world: World, foreign: int, left: int = 0) -> Lane:
    return replace(world.lane, foreign=foreign, left=left, news=())


@pytest.mark.parametrize(
    ("held", "foreign", "asked", "reason"),
    [
        (0, 2, wish(1, average="99"), "+2 contracts are not ours now, and +1 were to be taken over"),
        (0, 0, wish(0, average="99"), "+0 contracts are not ours now, and +0 were to be taken over"),
        (2, -1, wish(-1, average="99"), "the broker holds less than the books: there is nothing to take over"),
        (2, 1, wish(1, average="99", recorder="other"), "lane in use by recorder r"),
        (0, 1, wish(1), "no fill and no average of the broker says what these contracts cost"),
        (0, 2, wish(2, fill("2001", 1)), "no fill and no average of the broker says what these contracts cost"),
        (0, 2, wish(2, fill("2001", 3)), "no fill and no average of the broker says what these contracts cost"),
        (
            0,
            2,
            wish(2, fill("2001", 2), fill("2002", -1)),
            "no fill and no average of the broker says what these contracts cost",
        ),
    ],
)
def test_what_cannot_be_taken_over_says_why(held: int, foreign: int, asked: Adoption, reason: str) -> None:
    world = holding(held) if held else started()
    lane = adopt(beside(world, foreign), asked, START)
    assert ended(lane) == (Outcome.BLOCKED, reason)
    assert (book.held(lane), lane.foreign, lane.orders) == (held, foreign, world.lane.orders)


def test_what_is_taken_over_with_its_fills_becomes_an_entry_for_each_order() -> None:
    fills = (fill("2001", 1, by="77"), fill("2002", 2, "99", by="78"), fill("2003", 1, by="77"))
    asked = wish(4, *fills)
    lane = adopt(beside(started(), 4, left=4), asked, START)
    assert ended(lane) == (Outcome.FILLED, "took over +4 MNQZ6; now +4 held")
    assert (lane.foreign, lane.left, lane.fills, lane.serial) == (0, 0, fills, 2)
    first = Order(
        ClientOrderId("jttag-1"),
        Purpose.ENTRY,
        Action.BUY,
        2,
        OrderType.MARKET,
        START,
        signal_id=asked.signal_id,
        recorder_id=asked.recorder_id,
        terms=asked.terms,
        status=Status.FILLED,
        broker_id=BrokerOrderId("77"),
        claimed=2,
        ended_at=START,
    )
    second = replace(first, id=ClientOrderId("jttag-2"), broker_id=BrokerOrderId("78"))
    assert lane.orders == (first, second)


def test_fills_that_are_here_already_are_taken_over_from_here() -> None:
    world = started()
    world.by_hand(Action.SELL, 2)
    world.wait(5)
    lane = adopt(replace(world.lane, news=()), wish(-2, *world.fills), START)
    assert ended(lane) == (Outcome.FILLED, "took over -2 MNQZ6; now -2 held")
    assert (lane.foreign, lane.fills) == (0, tuple(world.fills))


@pytest.mark.parametrize(
    ("held", "quantity", "average", "price"),
    [(0, -3, "101.5", "101.5"), (1, 2, "102", "103"), (1, 1, "49", "49"), (2, 1, "101", "103")],
)
def test_what_has_no_fill_comes_in_behind_all_others_at_the_brokers_average_without_ours(
    held: int, quantity: int, average: str, price: str
) -> None:
    world = holding(held) if held else started()
    older = fill("5000", 1)
    gone = replace(world.lane.fills[-1], id=older.id) if world.lane.fills else older
    lane = adopt(
        beside(world, quantity), wish(quantity, replace(gone, action=Action.of(-quantity)), average=average), START
    )
    made = lane.fills[-1]
    assert made == Fill(
        FillId("A5000"), BrokerOrderId("A5000"), Action.of(quantity), abs(quantity), Decimal(price), START
    )
    assert (book.held(lane), lane.foreign, lane.serial) == (held + quantity, 0, world.lane.serial + 1)
    assert ended(lane)[1] == f"took over {quantity:+d} MNQZ6; now {held + quantity:+d} held"


def test_what_is_given_up_leaves_at_the_average_and_is_told() -> None:
    world = holding(3)
    assert world.lane.trade is not None
    lane = give_up(beside(world, -2), 2, START)
    assert (book.held(lane), lane.foreign, lane.serial) == (1, 0, world.lane.serial + 1)
    last = lane.fills[-2]
    made = lane.fills[-1]
    assert (made.id, made.price, made.signed) == (f"A{last.id}" if len(lane.fills) > 2 else made.id, Decimal(100), -2)
    order = lane.orders[-1]
    assert (order.purpose, order.action, order.quantity, order.status) == (Purpose.CLOSE, Action.SELL, 2, Status.FILLED)
    text = "the books follow the broker: +2 MNQZ6 left without a fill, counted as no gain"
    assert lane.news == (Noted(world.lane.trade.signal_id, text, alarm=True),)
    assert give_up(world.lane, 0, START) is world.lane
    flat = started().lane
    assert give_up(flat, 1, START) is flat


# ── what waited and should not leave any more ────────────────────────────────────────────────────────────────


def waiting(world: World, which: type[Mutation], purpose: Purpose | None = None) -> Mutation:
    """The lane just sent a command of this kind, and has heard nothing since."""
    while world.queue:
        world.tell(world.queue.pop(0))
        last = world.commands[-1] if world.commands else None
        if isinstance(last, which) and purpose in (None, last.purpose):
            world.queue.clear()
            return last
    raise AssertionError("no such command was sent")


def heard(world: World, verb: Verb, recorder: str | None = "r") -> Lane:
    world.alert(verb, recorder=recorder)
    return fold_in(world.lane, world.queue.pop(), world.now, world.limits)


def test_an_entry_is_withdrawn_for_a_later_close_and_for_exits_that_go_first() -> None:
    world = started()
    world.alert(Verb.BUY)
    entry = waiting(world, PlaceOrder)
    assert withdrawn(world.lane, entry) is None
    assert withdrawn(heard(world, Verb.CLOSE), entry) == "a later close overtook it"
    assert withdrawn(heard(world, Verb.CLOSE, "other"), entry) is None
    assert withdrawn(replace(world.lane, jobs=()), entry) == "a later close overtook it"


def test_a_close_is_withdrawn_when_the_position_has_changed() -> None:
    world = holding(2)
    world.alert(Verb.CLOSE)
    close = waiting(world, PlaceOrder, Purpose.CLOSE)
    assert isinstance(close, PlaceOrder)
    agreed = replace(world.lane, broker_quantity=2)
    assert withdrawn(agreed, close) is None
    assert withdrawn(replace(agreed, broker_quantity=1), close) == "the position has changed"
    assert withdrawn(replace(agreed, foreign=1, broker_quantity=3), close) is None
    assert withdrawn(replace(agreed, fills=()), close) == "the position has changed"
    more = replace(close, order=replace(close.order, quantity=3))
    assert withdrawn(agreed, more) == "the position has changed"
    wrong = replace(close, order=replace(close.order, action=Action.BUY))
    assert withdrawn(agreed, wrong) == "the position has changed"
    liquidate = Liquidate(close.id, close.order)
    assert withdrawn(replace(agreed, broker_quantity=1), liquidate) is None
    assert withdrawn(replace(agreed, fills=()), liquidate) == "the position has changed"


def test_an_exit_is_withdrawn_for_a_close_of_its_recorder_or_a_person() -> None:
    world = holding(1)
    world.alert(Verb.BUY)
    move = waiting(world, ModifyOrder)
    for recorder, said in (("r", "a close came meanwhile"), (None, "a close came meanwhile"), ("other", None)):
        assert withdrawn(heard(world, Verb.CLOSE, recorder), move) == said
    assert withdrawn(world.lane, move) is None
    assert withdrawn(heard(world, Verb.BUY), move) is None
    job = replace(heard(world, Verb.BUY).jobs[-1], exiting=True)
    assert withdrawn(replace(world.lane, jobs=(job,)), move) == "a close came meanwhile"


def test_a_cancel_is_withdrawn_when_its_order_has_ended() -> None:
    world = holding(1)
    target = world.lane.orders[-1]
    assert target.broker_id is not None
    cancel = CancelOrder(ClientOrderId("c"), target.id, target.broker_id, target.purpose)
    assert withdrawn(world.lane, cancel) is None
    over = tuple(replace(o, status=Status.FILLED) for o in world.lane.orders)
    assert withdrawn(replace(world.lane, orders=over), cancel) == "the order has ended"
    assert withdrawn(replace(world.lane, orders=()), cancel) == "the order has ended"


# ── prices ───────────────────────────────────────────────────────────────────────────────────────────────────

NOON = datetime(2026, 11, 25, 15, 4, 5, tzinfo=UTC)
MNQ = ContractName("MNQZ6")


@pytest.mark.parametrize(
    ("alert", "known", "passed", "said"),
    [
        (None, "25000", True, "the alert carries no price to compare"),
        ("25", None, True, "warning: no price of MNQZ6 is known today to compare the alert's 25 with"),
        ("25", "0", True, "warning: no price of MNQZ6 is known today to compare the alert's 25 with"),
        ("0.6", "0.5", True, "the alert's 0.6 is 20.00 % from 0.5, the last fill at 15:04:05 UTC"),
        ("25250", "25000", True, "the alert's 25250 is 1.00 % from 25000, the last fill at 15:04:05 UTC"),
        (
            "32500.5",
            "25000",
            False,
            "the alert's price 32500.5 is 30.00 % from 25000, the last fill at 15:04:05 UTC, at most 20 % are allowed:"
            " is the symbol the chart's? (JUSTTRADES_PRICE_TOLERANCE_PERCENT)",
        ),
        (
            "1.23456789012",
            None,
            True,
            "warning: no price of MNQZ6 is known today to compare the alert's 1.2345679 with",
        ),
        (
            "1.2345678901",
            None,
            True,
            "warning: no price of MNQZ6 is known today to compare the alert's 1.2345678901 with",
        ),
    ],
)
def test_an_alerts_price_is_compared_in_words(alert: str | None, known: str | None, passed: bool, said: str) -> None:
    newest = KnownPrice(Decimal(known), NOON, "the last fill") if known else None
    check = price_check(MNQ, Decimal(alert) if alert else None, newest, Decimal(20))
    assert (check.rule, check.passed, check.detail) == ("price", passed, said)


def test_a_price_is_known_by_contract_and_connection_until_newer_news() -> None:
    prices, here = KnownPrices(), ConnectionId("demo")
    first = KnownPrice(Decimal(1), NOON, "a")
    same = replace(first, price=Decimal(2))
    prices.heard(here, MNQ, first)
    prices.heard(here, MNQ, same)
    prices.heard(here, MNQ, replace(first, at=NOON - SECOND))
    assert prices.today(here, MNQ, NOON) == same
    assert prices.today(ConnectionId("paper"), MNQ, NOON) is None
    assert prices.today(here, ContractName("ESZ6"), NOON) is None
    assert prices.today(here, MNQ, NOON + timedelta(days=1)) is None


@pytest.mark.parametrize(
    ("contract", "expires", "now", "passed", "said"),
    [
        ("MNQZ6", NOON, NOON - SECOND, True, "MNQZ6 trades until 2026-11-25 15:04 UTC"),
        ("MNQZ6", NOON, NOON, False, "MNQZ6 has expired: 2026-11-25 15:04 UTC"),
        ("MNQZ6", None, datetime(2026, 12, 17, 15, tzinfo=UTC), True, "MNQZ6 trades until 2026-12-18 by the calendar"),
        ("MNQZ6", None, datetime(2026, 12, 21, 15, tzinfo=UTC), False, "MNQZ6 has expired: 2026-12-18 by the calendar"),
    ],
)
def test_an_expired_contract_is_told_with_its_day(
    contract: str, expires: datetime | None, now: datetime, passed: bool, said: str
) -> None:
    check = expiry_check(ContractName(contract), expires, now)
    assert check is not None
    assert (check.rule, check.passed, check.detail) == ("expiry", passed, said)
    assert expiry_check(ContractName("MNQZ6"), None, datetime(2026, 12, 18, 15, tzinfo=UTC)) is None


# ── symbols and rolls ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("APPLE", "the symbol is not a futures contract known here"),
        ("M" * 33, "the symbol is not a futures contract known here"),
        ("MNQÉ", "the symbol is not a futures contract known here"),
        ("NYSE:ES", "the symbol names an exchange that is none of CME Group's"),
        ("QQQ1!", "the symbol is not of a futures product known here"),
        ("MNQ 13-26", "the symbol's month is none of the twelve"),
        ("MNQ 00-26", "the symbol's month is none of the twelve"),
        ("MNQZ2046", "the symbol's year is too far from today to name a contract"),
        ("MNQF6", "the product has no contract in the symbol's month"),
    ],
)
def test_a_symbol_that_names_nothing_says_why(text: str, said: str) -> None:
    with pytest.raises(UnknownSymbol) as refused:
        parse_symbol(text, TODAY)
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("text", "shown"),
    [("nyse:es", "NYSE:ES"), ("<b>QQQ</b>", "BQQQB"), ("abcdefghijklmnop", "ABCDEFGHIJKL"), (" a_b.c-d! ", "A_B.C-D!")],
)
def test_a_symbol_that_names_nothing_is_shown_short_and_harmless(text: str, shown: str) -> None:
    with pytest.raises(UnknownSymbol) as refused:
        parse_symbol(text, TODAY)
    assert refused.value.shown == shown


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("MNQ 12-26", "MNQZ2026"),
        ("CL 01-2027", "CLF2027"),
        ("CL DEC 26", "CLZ2026"),
        ("CL JAN2027", "CLF2027"),
        ("CME_MINI_DL: MNQZ26", "MNQZ2026"),
        ("MNQH5", "MNQH2025"),
        ("MNQH4", "MNQH2034"),
        ("MNQ2!", "MNQ2!"),
        ("MNQ", "MNQ1!"),
    ],
)
def test_the_usual_spellings(text: str, name: str) -> None:
    assert str(parse_symbol(text, TODAY)) == name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ZN", "must be a comma list such as GC=3b,ES=5 (b: business days)"),
        ("XX=3", "names a root that is not known here: `justtrades contracts` lists them"),
        ("GC=3,GC=4", "names a root twice"),
        ("GC=61", "rolls a root more than 60 days ahead"),
    ],
)
def test_a_list_of_roll_days_that_is_none_says_why(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"^(must|names|rolls)") as refused:
        parse_rolls(text)
    assert str(refused.value) == said
    assert parse_rolls("GC=60b")["GC"].days == 60


def test_a_position_behind_its_roll_is_told_with_every_day_that_matters() -> None:
    stays = "It stays until it is closed; the next entry takes"
    assert behind(ContractName("MNQZ6"), date(2026, 12, 10)) == (
        f"roll day 2026-12-10, expiry 2026-12-18. {stays} MNQH7."
    )
    assert behind(ContractName("MNQZ6"), date(2026, 12, 9)) is None
    gold = behind(ContractName("GCZ6"), date(2026, 11, 27))
    assert gold is not None
    assert gold.startswith("roll day 2026-11-2")
    assert f", first notice 2026-11-30, expiry 2026-12-29. {stays} GCG7." in gold
    own = {"MNQ": RollRule(30, Days.CALENDAR, ROOTS["MNQ"].roll.months)}
    assert behind(ContractName("MNQZ6"), date(2026, 11, 18), own) is not None
    assert behind(ContractName("MNQZ6"), date(2026, 11, 17), own) is None


# ── recorder and alert ───────────────────────────────────────────────────────────────────────────────────────


def made(recorder: Recorder, reading: Reading, multiplier: str = "1") -> Signal | Blocked:
    route = Route(AccountId("a"), Decimal(multiplier))
    return signal_for(recorder, route, reading, SignalId("s"), START, START + 30 * SECOND)


def test_the_signal_of_an_alert_that_names_a_position() -> None:
    rules = Recorder(
        RecorderId("r"),
        "mine",
        quantity_from=QuantityFrom.ALERT,
        max_quantity=9,
        target_update=TargetUpdate.REPLACE,
        on_gap=OnGap.HOLD,
    )
    at = StrategyPosition(Decimal("2.5"), Decimal(1))
    signal = made(rules, Reading("x", Verb.BUY, position=at, alert_time=START), "2")
    assert isinstance(signal, Signal)
    assert (signal.id, signal.verb, signal.received_at, signal.expires_at) == (
        "s",
        Verb.BUY,
        START,
        START + 30 * SECOND,
    )
    assert (signal.recorder_id, signal.recorder_name) == ("r", "mine")
    assert signal.follow == Follow(Decimal("2.5"), Decimal(1), 5, 2, OnGap.HOLD, START)
    assert signal.terms is not None
    assert (signal.terms.quantity, signal.terms.up_to, signal.terms.max_quantity) == (5, 5, 9)
    assert signal.terms.target_update is TargetUpdate.REPLACE
    short = made(rules, Reading("x", Verb.BUY, position=replace(at, after=Decimal("0.5"))), "1")
    assert short == Blocked("0.5 × 1 is less than one whole contract")
    for verb, after in ((Verb.SELL, "2.5"), (Verb.BUY, "0"), (Verb.BUY, "-1")):
        away = made(rules, Reading("x", verb, position=replace(at, after=Decimal(after)), quantity=Decimal(1)))
        assert isinstance(away, Signal)
        assert away.follow is None
    close = made(rules, Reading("x", Verb.CLOSE_LONG, position=replace(at, before=None)))
    assert isinstance(close, Signal)
    assert close.follow == Follow(Decimal("2.5"), None, 2, None, OnGap.HOLD, None)
    assert close.terms is None or close.terms.up_to is None


@pytest.mark.parametrize(
    ("own", "wanted", "same"),
    [
        (OnSameSide.ADD, None, OnSameSide.ADD),
        (OnSameSide.ADD, OnSameSide.REENTER, OnSameSide.REENTER),
        (OnSameSide.IGNORE, OnSameSide.ADD, OnSameSide.IGNORE),
        (OnSameSide.REENTER, OnSameSide.ADD, OnSameSide.ADD),
    ],
)
def test_the_alerts_wish_for_its_own_side(own: OnSameSide, wanted: OnSameSide | None, same: OnSameSide) -> None:
    signal = made(Recorder(RecorderId("r"), "m", on_same_side=own), Reading("x", Verb.BUY, on_same_side=wanted))
    assert isinstance(signal, Signal)
    assert signal.terms is not None
    assert signal.terms.on_same_side is same


@pytest.mark.parametrize(
    ("own", "wanted", "position", "opposite"),
    [
        (OnOpposite.REVERSE, OnOpposite.NET, False, OnOpposite.NET),
        (OnOpposite.REVERSE, OnOpposite.NET, True, OnOpposite.REVERSE),
        (OnOpposite.REVERSE, OnOpposite.CLOSE, True, OnOpposite.CLOSE),
        (OnOpposite.NET, None, False, OnOpposite.NET),
        (OnOpposite.CLOSE, OnOpposite.REVERSE, False, OnOpposite.CLOSE),
        (OnOpposite.IGNORE, OnOpposite.REVERSE, False, OnOpposite.IGNORE),
    ],
)
def test_the_alerts_wish_for_the_other_side(
    own: OnOpposite, wanted: OnOpposite | None, position: bool, opposite: OnOpposite
) -> None:
    at = StrategyPosition(Decimal(1)) if position else None
    signal = made(
        Recorder(RecorderId("r"), "m", on_opposite=own), Reading("x", Verb.BUY, on_opposite=wanted, position=at)
    )
    assert isinstance(signal, Signal)
    assert signal.terms is not None
    assert signal.terms.on_opposite is opposite


# ── rehearsals ───────────────────────────────────────────────────────────────────────────────────────────────


def asked(world: World, verb: Verb, quantity: int = 1, **rules: object) -> Signal:
    world.alert(verb, terms(quantity, **rules))  # type: ignore[arg-type]  # rules by name
    event = world.queue.pop()
    assert isinstance(event, SignalReceived)
    return event.signal


def test_a_rehearsal_says_what_would_be_sent_and_leaves_the_lane_alone() -> None:
    world = holding(2, stop=40)
    world.now += 60 * SECOND
    before = world.lane
    seen = rehearse(before, asked(world, Verb.SELL, 1), world.now, world.limits, Decimal(103))
    assert world.lane == before
    assert seen.done is not None
    assert (seen.done.outcome, seen.done.reason, seen.waits) == (Outcome.FILLED, "sold 1 MNQZ6 at 103", None)
    assert [(type(m), m.purpose) for m in seen.mutations] == [
        (CancelOrder, Purpose.STOP),
        (CancelOrder, Purpose.TARGET),
        (PlaceOrder, Purpose.CLOSE),
        (PlaceOrder, Purpose.ENTRY),
        (PlaceOrder, Purpose.TARGET),
    ]
    assert (book.held(seen.lane), book.average_price(seen.lane)) == (-1, Decimal(103))
    assert [(t.pnl, t.exit_reason) for t in seen.closed] == [(Decimal(12), "reverse")]
    assert [o.purpose for o in seen.orders].count(Purpose.ENTRY) == 2
    assert [rule.rule for rule in seen.rules][-2:] == ["side", "quantity"]


def test_a_rehearsed_add_moves_the_target_by_a_change_of_the_order() -> None:
    world = holding(1)
    seen = rehearse(world.lane, asked(world, Verb.BUY), world.now, world.limits, Decimal(102))
    assert [type(m) for m in seen.mutations] == [PlaceOrder, ModifyOrder]
    target = seen.lane.orders[1]
    assert (target.quantity, target.price, target.version) == (2, Decimal(106), 2)


@pytest.mark.parametrize(("seconds", "outcome"), [(2, Outcome.FILLED), (4, None)])
def test_a_rehearsal_lets_three_seconds_pass(seconds: int, outcome: Outcome | None) -> None:
    world = started()
    lane = replace(world.lane, entries_again_at=world.now + seconds * SECOND)
    seen = rehearse(lane, asked(world, Verb.BUY), world.now, world.limits, Decimal(100))
    assert (seen.done.outcome if seen.done else None) is outcome


@pytest.mark.parametrize(
    ("price", "held", "reason"), [("104.75", 2, None), ("105", 0, "target"), ("90.25", 2, None), ("90", 0, "stop")]
)
def test_what_rests_fills_when_the_market_has_been_there(price: str, held: int, reason: str | None) -> None:
    world = holding(2, stop=40)
    lane = priced(world.lane, Decimal(price), world.now, world.limits)
    assert book.held(lane) == held
    if reason is None:
        assert lane == world.lane
    else:
        assert (lane.trade, [o for o in lane.orders if o.live]) == (None, [])


@pytest.mark.parametrize(
    ("over", "waits"),
    [
        ("doubt", "the outcome of an earlier order is not known yet"),
        ("call", "an earlier order is on its way"),
        ("divergence", "books and broker differ, and are being compared"),
        ("gap", "an alert before this one is missing, and it waits a moment for it"),
        ("sight", "the lane is not at rest"),
        ("halt", None),
    ],
)
def test_a_rehearsal_of_a_signal_that_would_wait_says_for_what(over: str, waits: str | None) -> None:
    world = holding(1)
    lane, signal = world.lane, asked(world, Verb.BUY)
    if over == "doubt":
        lost = replace(lane.orders[-1], id=ClientOrderId("c"), broker_id=None, doubt=Doubt(world.now))
        lane = replace(lane, orders=(*lane.orders, replace(lost, status=Status.SENDING)))
    if over == "call":
        lane = replace(lane, call=Call(ClientOrderId("c"), CallKind.CANCEL, (lane.orders[-1].id,), world.now))
    if over == "divergence":
        lane = replace(lane, divergence=Divergence(1, world.now), broker_quantity=2)
    if over == "gap":
        signal = replace(signal, follow=Follow(Decimal(9), Decimal(7), 9, 7, OnGap.HOLD))
    if over == "sight":
        lane = replace(lane, synced=False, picture_wanted=True, read_again_at=world.now + 3600 * SECOND)
    seen = rehearse(lane, signal, world.now, world.limits, Decimal(100))
    assert seen.waits == waits
    assert (seen.done is None) is (waits is not None)
