"""What is said before is what is sent: explanations against the executor, situation by situation."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from justtrades.positions.commands import CancelOrder, Liquidate, ModifyOrder, Mutation, PlaceOrder
from justtrades.positions.model import OnOpposite, OnSameSide, Outcome, Purpose, Stop, TargetUpdate, Verb
from justtrades.positions.prices import Distance, Unit
from justtrades.positions.recorder import QuantityFrom, Recorder, StrategyPosition
from justtrades.rehearse import Rehearsed
from tests.desk.fakes import ACCOUNT, MNQ, World, played, recorder, ticks

BUY, SELL, CLOSE = Verb.BUY, Verb.SELL, Verb.CLOSE
STOP = Stop(Distance(Decimal(40), Unit.TICKS))


@dataclass(frozen=True, slots=True)
class Situation:
    """Signals one after the other under the same rules; the last column of each is what else its reading says."""

    name: str
    rules: dict[str, Any]
    says: Sequence[tuple[Verb, dict[str, Any]]]
    ends: Sequence[Outcome] = field(default=())


def plain(*verbs: Verb) -> list[tuple[Verb, dict[str, Any]]]:
    return [(verb, {}) for verb in verbs]


def at(verb: Verb, before: int, after: int) -> tuple[Verb, dict[str, Any]]:
    return verb, {"position": StrategyPosition(Decimal(after), Decimal(before))}


FILLED, NOTHING, BLOCKED = Outcome.FILLED, Outcome.NO_ACTION, Outcome.BLOCKED
SITUATIONS = [
    Situation("entry and close", {}, plain(BUY, CLOSE), [FILLED, FILLED]),
    Situation("entry with exits, closed", {"targets": ticks(20), "stop": STOP}, plain(SELL, CLOSE), [FILLED, FILLED]),
    Situation("an add moves the target", {"targets": ticks(20), "add_quantity": 2}, plain(BUY, BUY, BUY)),
    Situation(
        "an add replaces the target", {"targets": ticks(20), "target_update": TargetUpdate.REPLACE}, plain(BUY, BUY)
    ),
    Situation("a reversal with exits", {"targets": ticks(20), "stop": STOP}, plain(BUY, SELL, BUY)),
    Situation(
        "an opposite only closes", {"on_opposite": OnOpposite.CLOSE, "targets": ticks(8)}, plain(BUY, SELL, SELL)
    ),
    Situation(
        "an opposite nets", {"on_opposite": OnOpposite.NET, "add_quantity": 1, "quantity": 2}, plain(BUY, BUY, SELL)
    ),
    Situation("closed and entered anew", {"on_same_side": OnSameSide.REENTER, "targets": ticks(8)}, plain(BUY, BUY)),
    Situation("the same side ignored", {"on_same_side": OnSameSide.IGNORE}, plain(BUY, BUY), [FILLED, NOTHING]),
    Situation(
        "over the largest quantity", {"quantity": 2, "max_quantity": 3}, plain(BUY, BUY, BUY), [FILLED, FILLED, BLOCKED]
    ),
    Situation("a close while flat", {}, plain(CLOSE, BUY, CLOSE, CLOSE), [NOTHING, FILLED, FILLED, NOTHING]),
    Situation("a part, then the rest", {"quantity": 3}, [(BUY, {}), (CLOSE, {"quantity": Decimal(1)}), (CLOSE, {})]),
    Situation(
        "a position to be at",
        {"quantity_from": QuantityFrom.ALERT, "targets": ticks(20)},
        [at(BUY, 0, 2), at(BUY, 0, 2), at(BUY, 2, 5), at(Verb.CLOSE_LONG, 5, 1), at(BUY, 7, 8), at(SELL, 1, -2)],
        [FILLED, NOTHING, FILLED, FILLED, BLOCKED, FILLED],
    ),
]


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda s: s.name)
def test_an_explanation_names_the_orders_rules_and_end_that_follow(situation: Situation, tmp_path: Any) -> None:
    @played()
    async def play(here: World) -> None:
        rules = recorder(**situation.rules)
        ends = [await one(here, rules, verb, said) for verb, said in situation.says]
        assert not situation.ends or ends == list(situation.ends)

    play(tmp_path)


async def one(here: World, rules: Recorder, verb: Verb, said: dict[str, Any]) -> Outcome:
    arrival = await here.accept(verb, rules, price="100", **said)
    (would,) = await here.desk.rehearsed(arrival)
    before = len(here.broker.sent)
    here.desk.dispatch(arrival)
    outcome, reason = await here.outcome(arrival.signal_id)
    await at_rest(here)
    assert described(sent(would)) == described(here.broker.sent[before:])
    assert (would.outcome, would.reason) == (outcome, reason)
    notes = [text for (text,) in here.saved("select text from signal_notes where signal_id = ?", arrival.signal_id)]
    met = [rule.text for rule in would.rules if rule.rule not in ("age", "position", "account")]
    assert [
        text for text in notes if text.startswith("rule ") and not text.startswith(("rule age", "rule position"))
    ] == met
    return outcome


async def at_rest(here: World) -> None:
    """Until the lane, if there is one, has done all it wants."""
    await asyncio.sleep(0.5)
    await here.until(lambda: all(lane.idle and not lane.lane.jobs for lane in here.desk._lanes.values()))


def sent(would: Rehearsed) -> tuple[Mutation, ...]:
    return would.played.mutations if would.played is not None else ()


def described(mutations: Sequence[Mutation]) -> list[tuple[object, ...]]:
    return [part for mutation in mutations for part in _described(mutation)]


def _described(mutation: Mutation) -> list[tuple[object, ...]]:
    match mutation:
        case PlaceOrder(_, order, other):
            return [(o.purpose, o.action, o.quantity, o.order_type, o.price) for o in (order, other) if o is not None]
        case Liquidate(_, order):
            return [("liquidate", order.action, order.quantity)]
        case ModifyOrder():
            return [("modify", mutation.purpose, mutation.quantity, mutation.price)]
        case CancelOrder():
            return [("cancel", mutation.purpose)]


@played()
async def test_a_rehearsal_changes_nothing(here: World) -> None:
    await here.trade(Verb.BUY)
    lane, sent_so_far = here.lane().lane, len(here.broker.sent)
    for verb in (Verb.BUY, Verb.SELL, Verb.CLOSE):
        await here.desk.rehearsed(await here.accept(verb, price="100"))
    await asyncio.sleep(5)
    assert len(here.broker.sent) == sent_so_far
    assert (here.lane().lane.orders, here.lane().lane.jobs) == (lane.orders, ())


@played()
async def test_the_kill_switch_and_a_halted_account_are_told(here: World) -> None:
    await here.desk.kill(on=True, reason="test", by="test")
    (would,) = await here.desk.rehearsed(await here.accept(Verb.BUY))
    assert (would.outcome, sent(would)) == (Outcome.KILLED, ())
    assert [rule.rule for rule in would.rules if not rule.passed] == ["kill_switch"]
    (would,) = await here.desk.rehearsed(await here.accept(Verb.BUY, recorder(symbol="NONSENSE")))
    assert (would.outcome, would.played) == (Outcome.BLOCKED, None)


@played()
async def test_a_lane_in_doubt_is_not_said_to_send(here: World) -> None:
    async def never(_: object) -> None:
        await asyncio.sleep(3600)

    await here.trade(Verb.BUY)
    here.broker.before = never
    await here.alert(Verb.CLOSE)
    await here.until(lambda: here.lane().lane.call is not None)
    (would,) = await here.desk.rehearsed(await here.accept(Verb.BUY))
    assert (would.account_id, would.contract, would.outcome) == (ACCOUNT, MNQ, None)
    assert sent(would) == ()
    assert "on its way" in would.reason


@played()
async def test_without_a_price_the_sizes_are_known_and_the_prices_are_not(here: World) -> None:
    (would,) = await here.desk.rehearsed(await here.accept(Verb.BUY, recorder(targets=ticks(20))))
    assert [order[:3] for order in described(sent(would))] == [(Purpose.ENTRY, "Buy", 1), (Purpose.TARGET, "Sell", 1)]
    assert not would.price_known
