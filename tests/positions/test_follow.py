"""Following a strategy's position: the same alert twice is once, and a chain of alerts shows what is missing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from justtrades.positions.events import SignalReceived
from justtrades.positions.follow import heard
from justtrades.positions.model import (
    AccountId,
    Action,
    OnGap,
    OnOpposite,
    OnSameSide,
    Outcome,
    RecorderId,
    Signal,
    SignalDone,
    SignalId,
    Verb,
)
from justtrades.positions.recorder import (
    Blocked,
    QuantityFrom,
    Reading,
    Recorder,
    Route,
    StrategyPosition,
    signal_for,
)

from .lane_world import START, World, started

RULES = Recorder(RecorderId("r"), "rules", quantity=1, quantity_from=QuantityFrom.ALERT)
SIDES = RULES.__class__(RecorderId("r"), "sides", quantity=2, add_quantity=1)


def verb(before: int, after: int) -> Verb:
    """What TradingView's order of this change is read as (see `just_trades.staying`)."""
    if after == 0:
        return Verb.CLOSE
    if after > before:
        return Verb.BUY if after > 0 else Verb.CLOSE_SHORT
    return Verb.SELL if after < 0 else Verb.CLOSE_LONG


@dataclass
class Strategy:
    """Sends alerts that say where it is, to one lane."""

    rules: Recorder = RULES
    world: World = field(default_factory=started)
    multiplier: str = "1"
    sent: int = 0

    def make(self, before: int | None, after: int, at: float | None = None) -> Signal:
        self.sent += 1
        told = Decimal(before) if before is not None else None
        reading = Reading(
            "test",
            verb(before if before is not None else 0, after),
            position=StrategyPosition(Decimal(after), told),
            alert_time=START + timedelta(seconds=at) if at is not None else None,
        )
        now = self.world.now
        route = Route(AccountId("a"), Decimal(self.multiplier))
        made = signal_for(self.rules, route, reading, SignalId(f"s{self.sent}"), now, now + timedelta(seconds=30))
        assert not isinstance(made, Blocked)
        return made

    def say(self, before: int | None, after: int, at: float | None = None, wait: float = 0.5) -> SignalId:
        signal = self.make(before, after, at)
        self.world.queue.append(SignalReceived(signal))
        self.world.run().wait(wait)
        return signal.id

    def outcome(self, signal_id: SignalId) -> Outcome:
        return self.world.outcome(signal_id).outcome

    def gaps(self) -> list[SignalId]:
        return [n.signal_id for n in self.world.news if isinstance(n, SignalDone) and n.gap]


def told(on_gap: OnGap, rules: Recorder = RULES) -> Strategy:
    return Strategy(replace(rules, on_gap=on_gap))


# ── level, not edge ──────────────────────────────────────────────────────────────────────────────────────────


def test_an_alert_says_where_to_be_and_what_is_missing_to_that_is_ordered() -> None:
    one = Strategy()
    for before, after in ((0, 2), (2, 5), (5, 1), (1, -3), (-3, 0)):
        one.say(before, after)
        assert one.world.held == one.world.net == after
    assert one.gaps() == []


def test_the_same_alert_again_finds_its_position_held() -> None:
    one = Strategy()
    assert one.outcome(one.say(0, 2)) is Outcome.FILLED
    again = one.say(0, 2)
    assert one.world.outcome(again).reason == "already long 2: the strategy's position is held"
    assert (one.outcome(again), one.world.net) == (Outcome.NO_ACTION, 2)


def test_the_multiplier_counts_the_position_and_not_each_order_so_rounding_never_adds_up() -> None:
    one = Strategy(multiplier="0.5")
    for before, after, held in ((0, 3, 1), (3, 4, 2), (4, 5, 2), (5, 7, 3), (7, 2, 1), (2, 0, 0)):
        one.say(before, after)
        assert one.world.net == held
    assert one.gaps() == []


def test_more_than_the_strategys_position_goes_down_to_it_and_a_reducing_alert_never_opens() -> None:
    one = told(OnGap.RESYNC)
    one.say(0, 4)
    assert one.outcome(one.say(1, 2)) is Outcome.FILLED  # a buy, but more is held
    assert one.world.net == 2
    other = told(OnGap.RESYNC)
    assert other.outcome(other.say(3, 2)) is Outcome.NO_ACTION
    assert other.world.net == 0


def test_the_recorders_own_rules_still_say_no() -> None:
    one = Strategy(replace(RULES, on_same_side=OnSameSide.IGNORE, on_opposite=OnOpposite.CLOSE, max_quantity=3))
    one.say(0, 2)
    assert one.outcome(one.say(2, 3)) is Outcome.NO_ACTION
    one.say(3, -2)
    assert one.world.net == 0
    two = Strategy(replace(RULES, max_quantity=3))
    two.say(0, 5)
    assert two.world.net == 3
    assert two.outcome(two.say(5, 6)) is Outcome.BLOCKED


# ── the recorder's own sizes ─────────────────────────────────────────────────────────────────────────────────


def test_with_the_recorders_sizes_only_side_and_growth_count() -> None:
    one = Strategy(SIDES)
    held = []
    for before, after in ((0, 10), (10, 25), (25, 31), (31, -7), (-7, 0)):
        one.say(before, after)
        held.append(one.world.net)
    assert held == [2, 3, 4, -2, 0]


def test_a_quick_add_counts_and_the_same_add_again_does_not() -> None:
    one = Strategy(SIDES)
    one.say(0, 1, wait=0)
    one.say(1, 2, wait=0)
    assert one.world.net == 3
    assert one.outcome(one.say(1, 2)) is Outcome.NO_ACTION
    assert one.world.net == 3


def test_a_missing_add_is_seen_with_the_recorders_sizes_too() -> None:
    one = Strategy(SIDES)
    one.say(0, 1)
    lost = one.say(2, 3)
    assert one.outcome(lost) is Outcome.BLOCKED
    assert one.gaps() == [lost]


def test_an_alert_without_its_earlier_position_is_checked_against_nothing() -> None:
    one = Strategy(SIDES)
    one.say(None, 1)
    one.say(None, 2)
    assert (one.world.net, one.gaps()) == (3, [])


# ── gaps ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_missing_alert_blocks_entries_until_one_fits_again() -> None:
    one = Strategy()
    one.say(0, 1)
    lost = [one.say(2, 3), one.say(3, 4)]
    assert [one.outcome(s) for s in lost] == [Outcome.BLOCKED] * 2
    assert "an alert is missing or out of order: the strategy comes from +2" in one.world.outcome(lost[0]).reason
    assert (one.world.net, one.gaps()) == (1, lost)
    one.say(4, 0)
    one.say(0, 2)
    assert one.world.net == 2


@pytest.mark.parametrize("on_gap", [OnGap.BLOCK, OnGap.HOLD])
def test_a_reversal_after_a_gap_is_no_more_done_than_any_entry(on_gap: OnGap) -> None:
    one = told(on_gap)
    one.say(0, 1)
    lost = one.say(3, -2, wait=6)
    assert (one.outcome(lost), one.world.net, one.gaps()) == (Outcome.BLOCKED, 1, [lost])


def test_the_same_alert_again_is_no_gap() -> None:
    for at in (None, 1.0):
        one = Strategy()
        for _ in range(3):
            one.say(0, 1, at=at)
        assert one.gaps() == []
    one = Strategy()
    one.say(0, 1, at=1)
    assert one.gaps() == []
    again = one.say(0, 1, at=60)  # newer: the strategy was flat in between, and nobody said so
    assert (one.outcome(again), one.gaps()) == (Outcome.NO_ACTION, [again])


def test_a_close_is_never_held_up_by_a_gap() -> None:
    for on_gap in OnGap:
        one = told(on_gap)
        one.say(0, 1)
        gone = one.say(3, 0, wait=0.2)
        assert (one.outcome(gone), one.world.net, one.gaps()) == (Outcome.FILLED, 0, [gone])


def test_our_own_target_leaves_no_gap_behind() -> None:
    one = Strategy()
    one.say(0, 1)
    one.world.by_hand(Action.SELL, 1)
    one.world.run().wait(30)
    assert one.world.held == 0
    assert one.outcome(one.say(1, -1)) is Outcome.FILLED
    assert (one.world.net, one.gaps()) == (-1, [])


def test_an_alert_that_was_killed_was_heard_all_the_same() -> None:
    one = Strategy()
    one.world.kill()
    one.say(0, 1)
    one.world.lane = replace(one.world.lane, killed=False)
    assert one.outcome(one.say(1, -1)) is Outcome.FILLED
    assert one.gaps() == []


def test_the_first_alert_in_the_middle_of_a_strategys_trade_is_blocked_and_begins_the_chain() -> None:
    one = Strategy()
    first = one.say(1, -1)
    assert (one.outcome(first), one.gaps()) == (Outcome.BLOCKED, [first])
    assert one.outcome(one.say(-1, 1)) is Outcome.FILLED


def test_resync_goes_to_the_position_and_shows_the_gap() -> None:
    one = told(OnGap.RESYNC)
    one.say(0, 1)
    lost = one.say(2, 3)
    assert (one.outcome(lost), one.world.net, one.gaps()) == (Outcome.FILLED, 3, [lost])
    assert any("an alert is missing" in note for note in one.world.outcome(lost).notes)


def test_hold_waits_for_the_missing_alert_which_then_goes_first() -> None:
    one = told(OnGap.HOLD)
    one.say(0, 1)
    second = one.say(2, 3, wait=2)
    assert one.world.net == 1
    first = one.say(1, 2, wait=2)
    assert [one.outcome(s) for s in (first, second)] == [Outcome.FILLED] * 2
    assert one.world.net == 3


def test_hold_gives_up_after_a_moment() -> None:
    one = told(OnGap.HOLD)
    one.say(0, 1)
    lost = one.say(2, 3, wait=4.9)
    assert [n for n in one.world.news if getattr(n, "signal_id", None) == lost] == []
    one.world.wait(0.2)
    assert (one.outcome(lost), one.world.net) == (Outcome.BLOCKED, 1)


def test_an_entry_that_comes_after_its_own_close_does_not_open_a_position() -> None:
    one = told(OnGap.HOLD)
    close = one.say(1, 0, wait=1)
    entry = one.say(0, 1, wait=1)
    assert (one.outcome(entry), one.outcome(close)) == (Outcome.SUPERSEDED, Outcome.NO_ACTION)
    assert one.world.net == 0


@pytest.mark.parametrize("on_gap", list(OnGap))
def test_a_late_alert_of_an_older_time_changes_nothing(on_gap: OnGap) -> None:
    one = told(on_gap)
    one.say(0, 1, at=1)
    one.say(1, 0, at=3)
    late = one.say(0, 1, at=2)
    assert (one.outcome(late), one.world.net) == (Outcome.NO_ACTION, 0)
    assert "late: a newer alert" in one.world.outcome(late).reason


# ── for every way of a strategy ──────────────────────────────────────────────────────────────────────────────

positions = some.lists(some.integers(-4, 4), min_size=1, max_size=6).map(
    lambda way: [a for i, a in enumerate(way) if a != (way[i - 1] if i else 0)]
)


def links(way: Iterable[int]) -> list[tuple[int, int]]:
    way = [*way]
    return [*zip([0, *way], way, strict=False)]


@settings(max_examples=60, deadline=None)
@given(positions, some.sampled_from(OnGap), some.lists(some.integers(1, 3), min_size=6, max_size=6), some.booleans())
def test_each_alert_any_number_of_times_in_a_row_is_once(
    way: list[int], on_gap: OnGap, times: list[int], own_sizes: bool
) -> None:
    rules = SIDES if own_sizes else RULES
    once, often = told(on_gap, rules), told(on_gap, rules)
    for (before, after), copies in zip(links(way), times, strict=False):
        once.say(before, after)
        for _ in range(copies):
            often.say(before, after)
        assert often.world.net == once.world.net
        if not own_sizes:
            assert often.world.net == after


@settings(max_examples=60, deadline=None)
@given(positions.filter(lambda way: len(way) > 1), some.data(), some.sampled_from((OnGap.HOLD, OnGap.RESYNC)))
def test_a_swapped_pair_ends_where_the_strategy_is(way: list[int], data: some.DataObject, on_gap: OnGap) -> None:
    """With the alerts' own times; a gap at the end that only reduces may leave less, never more and never the
    other side."""
    one = told(on_gap)
    alerts = [(before, after, i) for i, (before, after) in enumerate(links(way))]
    swap = data.draw(some.integers(0, len(alerts) - 2))
    alerts[swap], alerts[swap + 1] = alerts[swap + 1], alerts[swap]
    for before, after, at in alerts:
        one.say(before, after, at=at, wait=1)
    one.world.wait(10)
    assert one.world.net == way[-1] or (on_gap is OnGap.RESYNC and 0 <= one.world.net * way[-1] < way[-1] ** 2)


@settings(max_examples=60, deadline=None)
@given(positions, some.sets(some.integers(0, 5)), some.sampled_from(OnGap))
def test_whatever_is_missing_no_more_is_held_than_the_strategy_says_and_flat_is_flat(
    way: list[int], missing: set[int], on_gap: OnGap
) -> None:
    one = told(on_gap)
    for i, (before, after) in enumerate(links(way)):
        if i in missing:
            continue
        one.say(before, after, at=i, wait=6)
        if after == 0:
            assert one.world.net == 0
        if on_gap is OnGap.RESYNC:
            assert abs(one.world.net) <= abs(after)
    assert abs(one.world.net) <= max((abs(a) for a in way), default=0)


# ── what the receipt says ────────────────────────────────────────────────────────────────────────────────────


def chain(one: Strategy, signal_id: SignalId) -> str:
    """What the receipt says of the strategy's position."""
    (note,) = (n for n in one.world.outcome(signal_id).notes if n.startswith("rule strategy_position: "))
    return note.removeprefix("rule strategy_position: ")


def test_the_receipt_says_where_the_strategy_came_from_what_was_heard_and_what_is_held() -> None:
    one = Strategy()
    assert chain(one, one.say(0, 2)) == "passed (strategy from flat to +2, +2 here; nothing heard before, +0 held)"
    assert chain(one, one.say(2, 5)) == "passed (strategy from +2 to +5, +5 here; last heard +2, +2 held)"
    assert chain(one, one.say(None, 6)) == "passed (strategy from ? to +6, +6 here; last heard +5, +5 held)"
    assert chain(one, one.say(6, 0)) == "passed (strategy from +6 to flat, +0 here; last heard +6, +6 held)"
    two = Strategy(SIDES)
    assert chain(two, two.say(0, -1)) == "passed (strategy from flat to -1; nothing heard before, +0 held)"


def test_a_gap_says_where_the_strategy_comes_from_and_where_it_was_heard_last() -> None:
    one = told(OnGap.BLOCK)
    begins = "an alert is missing or out of order: the strategy comes from"
    assert one.world.outcome(one.say(3, 5)).reason == f"{begins} +3, but none was heard before, and +0 is held"
    one.say(0, 2)
    assert one.world.outcome(one.say(4, 6)).reason == f"{begins} +4, but the last one left it +2, and +2 is held"
    one.say(2, 0)
    assert one.world.outcome(one.say(3, 5)).reason == f"{begins} +3, but the last one left it flat, and +0 is held"


@pytest.mark.parametrize(("after", "held"), [(1, "long 1"), (-1, "short 1"), (-2, "short 2")])
def test_the_same_position_again_is_named_by_side_and_size(after: int, held: str) -> None:
    one = Strategy()
    one.say(0, after)
    assert one.world.outcome(one.say(0, after)).reason == f"already {held}: the strategy's position is held"


def plain(one: Strategy, recorder: str = "r") -> SignalId:
    """A buy that names no position."""
    one.world.signals = 100
    return one.world.alert(Verb.BUY, recorder=recorder)


def test_another_recorders_trade_is_not_what_this_strategy_holds() -> None:
    one = Strategy()
    plain(one, "other")
    one.world.run().wait(1)
    blocked = one.say(0, 2)
    assert one.world.outcome(blocked).reason == "lane in use by recorder other"
    assert chain(one, blocked) == "passed (strategy from flat to +2, +2 here; nothing heard before, +0 held)"


# ── less is wanted, and little is held ───────────────────────────────────────────────────────────────────────


def test_a_strategy_that_shrinks_to_what_is_held_changes_nothing() -> None:
    one = told(OnGap.RESYNC)
    one.say(0, 1)
    same = one.world.outcome(one.say(3, 1))
    assert (same.outcome, same.reason) == (Outcome.NO_ACTION, "long 1: no more than the strategy's position is held")


def test_a_strategy_that_shrinks_finds_a_flat_lane_flat() -> None:
    one = told(OnGap.RESYNC)
    assert one.world.outcome(one.say(3, 1)).reason == "already flat at the broker"


def test_with_the_recorders_sizes_a_close_of_a_part_needs_a_strategy_that_shrank() -> None:
    one = Strategy(SIDES)
    one.say(0, 1)
    for before, after in ((2, 1), (3, 2)):
        kept = one.world.outcome(one.say(before, after))
        assert kept.reason == "long 2: the strategy's position has not shrunk"


def test_with_the_recorders_sizes_one_contract_again_is_once() -> None:
    one = Strategy(replace(SIDES, quantity=1))
    one.say(0, 1)
    assert one.world.outcome(one.say(0, 1)).reason == "already long 1: the strategy's position has not grown"
    assert one.world.net == 1


def test_a_strategy_that_counts_in_parts_of_a_contract_grows_too() -> None:
    one = Strategy(SIDES)
    first = replace(one.make(0, 1), id=SignalId("half"))
    assert first.follow is not None
    one.world.queue.append(SignalReceived(replace(first, follow=replace(first.follow, after=Decimal("0.5")))))
    one.world.run().wait(0.5)
    second = one.make(0, 1)
    assert second.follow is not None
    one.world.queue.append(SignalReceived(replace(second, follow=replace(second.follow, before=Decimal("0.5")))))
    one.world.run().wait(0.5)
    assert one.world.net == 3


# ── a chain that begins beside a position, or beside other chains ────────────────────────────────────────────


def bought_plainly(rules: Recorder) -> Strategy:
    """The recorder holds a contract from an alert that named no position."""
    one = Strategy(replace(rules, on_gap=OnGap.BLOCK))
    plain(one)
    one.world.run().wait(1)
    return one


def test_what_a_plain_alert_opened_is_the_strategys_first_position() -> None:
    one = bought_plainly(replace(SIDES, quantity=1))
    assert one.world.outcome(one.say(0, 1)).reason == "already long 1: the strategy's position has not grown"


def test_what_a_plain_alert_opened_fits_a_strategy_that_was_on_that_side() -> None:
    one = bought_plainly(replace(SIDES, quantity=1))
    assert one.outcome(one.say(1, 2)) is Outcome.FILLED
    assert one.world.net == 2


def test_with_the_recorders_sizes_the_first_alert_in_the_middle_of_a_trade_is_blocked_too() -> None:
    one = told(OnGap.BLOCK, SIDES)
    assert one.outcome(one.say(1, 2)) is Outcome.BLOCKED


def test_two_alerts_of_one_second_are_both_followed() -> None:
    one = Strategy()
    one.say(0, 2, at=5)
    assert one.outcome(one.say(2, 4, at=5)) is Outcome.FILLED


def test_a_plain_alert_does_not_go_before_the_one_that_waits_for_a_missing_one() -> None:
    one = told(OnGap.HOLD)
    one.say(0, 2)
    waits = one.say(5, 7, wait=0.1)
    second = plain(one)
    one.world.run()
    assert [job.signal.id for job in one.world.lane.jobs] == [waits, second]


def test_a_lane_remembers_the_chains_of_twenty_recorders() -> None:
    one = Strategy()
    signal, lane = one.make(0, 2), one.world.lane
    for number in range(21):
        lane = heard(lane, replace(signal, recorder_id=RecorderId(str(number))))
    assert [h.recorder_id for h in lane.heard] == [str(number) for number in range(1, 21)]
