"""What twenty accounts under one login cost on a day with drops, penalties and maintenance, and who waits for whom."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from justtrades.positions.urgency import Urgency
from tests.simulation import loop
from tests.simulation.trading_day import ACCOUNTS, MINUTE, OPENS, PER_HOUR, PER_MINUTE, Day, Seen, end, play


@dataclass(frozen=True)
class Played:
    day: Day
    differences: list[str]
    outcomes: dict[tuple[str, str | None], int]
    unfinished: list[str]

    def window(self, seconds: float) -> Iterator[tuple[Seen, int]]:
        """Each call, and how many there were within so many seconds, itself included."""
        times = [call.at for call in self.day.calls]
        for number, call in enumerate(self.day.calls):
            yield call, number + 1 - bisect_right(times, call.at - seconds)


@pytest.fixture(scope="module")
def played() -> Played:
    async def whole() -> Played:
        day = await play()
        unfinished = [
            f"{view.account_id} {view.contract}"
            for view in day.engine.desk.lanes()
            if view.quantity or view.in_doubt or view.halted
        ]
        found = Played(day, day.differences(), day.outcomes(), unfinished)
        await end(day)
        return found

    return loop.run(whole())


def test_the_day_really_traded_and_ends_flat_with_books_that_match(played: Played) -> None:
    assert played.outcomes["buy", "filled"] >= 5
    assert played.outcomes["close", "filled"] >= 3
    assert None not in {outcome for _, outcome in played.outcomes}
    assert played.differences == []
    assert played.unfinished == []
    assert len(played.day.rows("select distinct account_id from fills")) == ACCOUNTS


def test_the_budget_of_a_minute_is_exceeded_by_exits_only(played: Played) -> None:
    others = [(call, count) for call, count in played.window(60.0) if call.asker and not call.asker.protects]
    assert [one for one in others if one[1] > PER_MINUTE] == []
    assert max(count for call, count in played.window(60.0) if call.asker and call.asker.protects) > PER_MINUTE
    assert max(count for _, count in played.window(3600.0)) <= PER_HOUR


def test_no_exit_waited_a_second_behind_entries_though_others_waited(played: Played) -> None:
    waits = [(turn.given - turn.asked, turn.urgency) for turn in played.day.budget.turns]
    assert max(wait for wait, urgency in waits if urgency.protects) <= 1.0
    assert max(wait for wait, urgency in waits if not urgency.protects) > 1.0


def test_inside_a_penalty_nothing_is_called_but_what_the_table_allows(played: Played) -> None:
    inside = [call for call in played.day.calls if call.penalty]
    assert {call.penalty for call in inside} == {423, 429}
    assert [call for call in inside if call.asker is not None and not call.asker.protects] == []
    by_itself = Counter((call.penalty, call.endpoint) for call in inside if call.asker is None)
    assert by_itself.keys() <= {(429, "auth/renewaccesstoken"), (429, "account/list")}
    assert max(by_itself.values(), default=0) <= 1
    assert [at for at, penalty in played.day.dials if penalty] == []


def test_exits_feel_their_way_through_the_lock_and_go_when_it_is_lifted(played: Played) -> None:
    lock = [call.at - OPENS for call in played.day.calls if 30 * MINUTE < call.at - OPENS < 33 * MINUTE]
    first = [at for at in lock if at <= 30 * MINUTE + 1]
    assert len(lock) - len(first) <= 30
    closes = [call for call in played.day.calls if call.penalty == 429 and call.asker is Urgency.CLOSE]
    assert any(call.endpoint == "order/placeorder" and call.at - OPENS > 33 * MINUTE for call in closes)


def test_tokens_drops_and_the_maintenance_hour_are_in_the_day(played: Played) -> None:
    calls = played.day.calls
    renewed = [call for call in calls if call.endpoint == "auth/renewaccesstoken"]
    assert len(renewed) >= 3
    assert len([call for call in calls if call.endpoint == "auth/accesstokenrequest"]) == 1
    assert len(played.day.dials) >= 6
    shut = [call for call in calls if 120 * MINUTE < call.at - OPENS < 180 * MINUTE]
    assert len(shut) <= PER_HOUR / 4
