"""The dialects, with alerts as people have them."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from justtrades.api import alerts
from justtrades.api.alerts import AlertError, Heartbeat, NotAnOrder, Unreadable
from justtrades.positions.model import Stop, Target, Verb
from justtrades.positions.prices import Distance, Unit
from justtrades.positions.recorder import Reading


def read(body: Any, pinned: str = "auto") -> Reading:
    text = body if isinstance(body, str) else json.dumps(body)
    reading = alerts.read(alerts.parse(text.encode()), pinned)
    assert isinstance(reading, Reading)
    return reading


def just(**fields: Any) -> Reading:
    return read({"action": "buy", "ticker": "MNQ1!", "qty": 1, **fields})


def posted(**fields: Any) -> Reading:
    return read({"ticker": "MNQ1!", "action": "buy", "sentiment": "bullish", **fields})


def ticks(value: str) -> Distance:
    return Distance(Decimal(value), Unit.TICKS)


# ── which dialect ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"action": "buy", "ticker": "MNQ1!"}, "plain"),
        ({"action": "buy", "ticker": "MNQ1!", "time": "2026-09-01T14:30:00Z"}, "plain"),
        ({"action": "buy", "ticker": "MNQ1!", "quantity": 2}, "just_trades"),
        ({"action": "buy", "symbol": "MNQ1!"}, "just_trades"),
        ({"action": "buy", "ticker": "MNQ1!", "market_position": "long"}, "just_trades"),
        ({"action": "buy", "ticker": "MNQ1!", "sentiment": "bullish"}, "traderspost"),
        ({"action": "buy", "ticker": "MNQ1!", "takeProfit": {"percent": 1}}, "traderspost"),
        ({"action": "add", "ticker": "MNQ1!", "sentiment": "long"}, "traderspost"),
    ],
)
def test_an_alert_is_read_by_the_dialect_that_knows_its_marks(body: dict[str, Any], name: str) -> None:
    assert read(body).dialect == name


def test_a_recorder_may_pin_a_dialect() -> None:
    body = {"action": "buy", "ticker": "MNQ1!", "takeProfit": {"amount": 5}}
    assert read(body, "just_trades").targets == ()
    assert read(body, "traderspost").targets != ()


def test_every_example_is_read_by_the_dialect_it_stands_for() -> None:
    for dialect in alerts.DIALECTS:
        assert dialect.examples
        for example in dialect.examples:
            assert read(example.body).dialect == dialect.name


def test_no_example_carries_a_time_so_a_second_click_is_a_second_signal() -> None:
    assert [one.name for one in alerts.examples() if read(one.body).repeat_key is not None] == []


def test_a_heartbeat_is_recognised_whatever_the_dialect() -> None:
    assert alerts.read(alerts.parse(b'{"action": "Heartbeat"}'), "traderspost") == Heartbeat()


@pytest.mark.parametrize(
    "order",
    [
        {"Action": "close"},
        {"DATA": "close", "symbol": "MNQ1!"},
        {"pair": "MNQ1!", "isClose": True},
        {"ticker": "MNQ1!", "Order_Action": "flat"},
    ],
)
def test_an_order_that_carries_a_heartbeat_is_an_order_however_it_is_spelled(order: dict[str, object]) -> None:
    alert = alerts.parse(json.dumps({"heartbeat": "5m", **order}).encode())
    with suppress(AlertError):  # refused is told; a heartbeat would have swallowed it
        assert not isinstance(alerts.read(alert), Heartbeat)


# ── Just-Trades ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("word", "verb"),
    [
        ("buy", Verb.BUY),
        ("BUY", Verb.BUY),
        (" long ", Verb.BUY),
        ("sell", Verb.SELL),
        ("Short", Verb.SELL),
        ("closelong", Verb.CLOSE_LONG),
        ("close_long", Verb.CLOSE_LONG),
        ("exit long", Verb.CLOSE_LONG),
        ("closeShort", Verb.CLOSE_SHORT),
        ("exit", Verb.CLOSE),
        ("flatten", Verb.CLOSE),
        ("flat", Verb.CLOSE),
        ("close", Verb.CLOSE),
        ("close_position", Verb.CLOSE),
    ],
)
def test_action_words(word: str, verb: Verb) -> None:
    assert just(action=word).verb is verb


@pytest.mark.parametrize("name", ["ticker", "symbol", "instrument", "Ticker"])
def test_ticker_aliases(name: str) -> None:
    assert read({"action": "buy", name: "MNQ1!", "qty": 1}).ticker == "MNQ1!"


@pytest.mark.parametrize("name", ["quantity", "qty", "contracts", "size"])
@pytest.mark.parametrize("value", [2, "2", "2.0", 2.0])
def test_quantities_come_quoted_and_numeric(name: str, value: Any) -> None:
    assert read({"action": "buy", "ticker": "MNQ1!", name: value}).quantity == 2


@pytest.mark.parametrize("name", ["price", "close", "last"])
def test_prices_are_exact(name: str) -> None:
    assert read(f'{{"action": "buy", "ticker": "MNQ1!", "{name}": 24500.10}}').price == Decimal("24500.10")


@pytest.mark.parametrize("value", ["NaN", "24,500.25", "", None, True, {}])
def test_a_price_that_cannot_be_read_is_not_known_and_no_reason_to_refuse(value: Any) -> None:
    assert just(price=value).price is None


@pytest.mark.parametrize(
    ("fields", "unit"),
    [
        ({"tp": 20}, Unit.TICKS),
        ({"tp_ticks": "20"}, Unit.TICKS),
        ({"take_profit": "20"}, Unit.TICKS),
        ({"tp_dollar": 20}, Unit.DOLLARS),
        ({"dollar_tp": 20}, Unit.DOLLARS),
        ({"tp_percent": "20"}, Unit.PERCENT),
        ({"tp_percentage": 20}, Unit.PERCENT),
        ({"percentage_tp": 20}, Unit.PERCENT),
        ({"tp_percent": 1, "tp_dollar": 20}, Unit.DOLLARS),
        ({"tp_percent": 1, "tp_dollar": 5, "tp": 20}, Unit.TICKS),
        ({"tp": 0, "tp_percent": 20}, Unit.PERCENT),
    ],
)
def test_targets_in_ticks_win_over_dollars_over_percent(fields: dict[str, Any], unit: Unit) -> None:
    assert just(**fields).targets == (Target(distance=Distance(Decimal(20), unit)),)


def test_stops_have_the_same_aliases() -> None:
    assert just(sl="40").stop == just(sl_ticks=40).stop == just(stop_loss=40).stop == Stop(distance=ticks("40"))
    assert just(dollar_sl=40).stop == Stop(distance=Distance(Decimal(40), Unit.DOLLARS))
    assert just(percentage_sl="0.5").stop == Stop(distance=Distance(Decimal("0.5"), Unit.PERCENT))


@pytest.mark.parametrize("nothing", [0, "0", "", None, "NaN", "na", "null"])
def test_a_distance_that_is_not_given_is_none(nothing: Any) -> None:
    reading = just(tp=nothing, sl=nothing)
    assert (reading.targets, reading.stop) == ((), None)


@pytest.mark.parametrize("fields", [{"sl": -40}, {"tp": "20 ticks"}, {"tp": [20]}, {"sl": "1_0"}, {"tp": "٢٠"}])
def test_a_distance_that_is_no_number_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(NotAnOrder):
        just(**fields)


def test_a_price_in_a_field_that_counts_ticks_is_remarked_upon() -> None:
    assert any("looks like a price" in warning for warning in just(price=24500, sl="24480.25").warnings)
    assert not any("looks like a price" in warning for warning in just(price="70.05", sl="70").warnings)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"trail": 1, "trail_trigger": 10}, "trailing"),
        ({"trailing_stop": "true"}, "trailing"),
        ({"breakeven": "10"}, "break-even"),
        ({"risk_percent": 1.5}, "risk"),
    ],
)
def test_what_cannot_be_honoured_yet_is_said_and_not_dropped(fields: dict[str, Any], what: str) -> None:
    assert any(what in warning for warning in just(**fields).warnings)


@pytest.mark.parametrize("name", ["trail", "trailing_stop"])
def test_a_trailing_stop_that_is_the_only_one_rests_where_it_begins(name: str) -> None:
    alone = just(**{name: "30"})
    assert alone.stop == Stop(distance=ticks("30"))
    assert any("does not follow" in warning for warning in alone.warnings)
    assert just(**{name: 30}, sl=10).stop == Stop(distance=ticks("10"))
    assert just(**{name: "true"}).stop is None
    assert just(**{name: 1}).stop is None


@pytest.mark.parametrize("off", [0, "0", False, "false", "", None])
def test_what_is_switched_off_is_not_warned_about(off: Any) -> None:
    assert not any("not supported" in warning for warning in just(trail=off, breakeven=off, risk=off).warnings)


@pytest.mark.parametrize("name", ["same_direction_ignore", "ignore_same_direction", "no_duplicate"])
def test_adding_may_be_forbidden_by_the_alert(name: str) -> None:
    assert just(**{name: "true"}).ignore_same_side
    assert not just(**{name: "false"}).ignore_same_side


@pytest.mark.parametrize("action", ["buy", "sell"])
@pytest.mark.parametrize("name", ["position", "market_position"])
def test_an_order_that_leaves_the_strategy_flat_is_a_close_whatever_its_size(action: str, name: str) -> None:
    reading = just(action=action, quantity=3, **{name: "flat"})
    assert (reading.verb, reading.quantity) == (Verb.CLOSE, None)


def test_an_order_against_the_position_the_strategy_keeps_takes_a_part_off_and_never_reverses() -> None:
    part = read({"action": "sell", "ticker": "MNQ1!", "quantity": "1", "market_position": "long"})
    assert (part.verb, part.quantity) == (Verb.CLOSE_LONG, Decimal(1))
    assert read({"action": "buy", "ticker": "MNQ1!", "market_position": "short"}).verb is Verb.CLOSE_SHORT


def test_a_reversal_of_the_strategy_stays_an_order() -> None:
    body = {"action": "sell", "ticker": "MNQ1!", "market_position": "short", "prev_market_position": "long"}
    assert read(body).verb is Verb.SELL


def test_a_position_that_is_a_number_says_nothing_about_the_side() -> None:
    assert just(position=2).verb is Verb.BUY


def test_a_close_means_all_of_it_though_the_template_carries_a_quantity() -> None:
    reading = just(action="close", quantity=1)
    assert reading.quantity is None
    assert any("whole position" in note for note in reading.notes)


def test_an_exit_is_not_refused_for_the_exits_it_carries() -> None:
    assert just(action="close", tp="garbage", sl=-1).verb is Verb.CLOSE


# ── TradersPost ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_standard_strategy_alert() -> None:
    reading = read(
        '{"ticker":"MNQ1!","action":"buy","sentiment":"long","quantity":"2","price":"24500.25",'
        '"time":"2026-09-01T14:30:05Z","interval":"5"}'
    )
    assert (reading.dialect, reading.verb, reading.quantity) == ("traderspost", Verb.BUY, Decimal(2))
    assert reading.price == Decimal("24500.25")
    assert reading.alert_time == datetime(2026, 9, 1, 14, 30, 5, tzinfo=UTC)
    assert reading.warnings == ()


@pytest.mark.parametrize("action", ["buy", "sell", "exit"])
def test_a_flat_sentiment_exits_everything_whatever_the_quantity(action: str) -> None:
    reading = posted(action=action, sentiment="flat", quantity=3, quantityType="percent_of_equity")
    assert (reading.verb, reading.quantity) == (Verb.CLOSE, None)


def test_an_exit_may_name_a_part_and_without_one_is_all() -> None:
    assert read({"ticker": "MNQ1!", "action": "exit", "quantity": 1, "extras": {}}, "traderspost").quantity == 1
    assert read({"ticker": "MNQ1!", "action": "exit"}, "traderspost").quantity is None


def test_a_sell_of_a_strategy_that_stays_long_takes_a_part_off() -> None:
    reading = posted(action="sell", quantity=1)
    assert (reading.verb, reading.quantity) == (Verb.CLOSE_LONG, Decimal(1))


def test_its_exits_are_prices_percents_and_points() -> None:
    assert posted(takeProfit={"limitPrice": "24600"}).targets == (Target(price=Decimal(24600)),)
    assert posted(takeProfit={"percent": 1}).targets == (Target(distance=Distance(Decimal(1), Unit.PERCENT)),)
    assert posted(takeProfit={"amount": "5.5"}).targets == (Target(distance=Distance(Decimal("5.5"), Unit.POINTS)),)
    assert posted(stopLoss={"type": "stop", "stopPrice": 24400}).stop == Stop(price=Decimal(24400))
    assert posted(stopLoss={"percent": "0.5"}).stop == Stop(distance=Distance(Decimal("0.5"), Unit.PERCENT))
    assert posted(stopLoss={"amount": 10}).stop == Stop(distance=Distance(Decimal(10), Unit.POINTS))


def test_add_follows_the_sentiment() -> None:
    assert posted(action="add").verb is Verb.BUY
    assert posted(action="add", sentiment="bearish").verb is Verb.SELL
    with pytest.raises(NotAnOrder, match="sentiment"):
        read({"ticker": "MNQ1!", "action": "add"})


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"action": "cancel"}, "cancel"),
        ({"action": "close_everything"}, "action"),
        ({"sentiment": "sideways"}, "sentiment"),
        ({"orderType": "limit", "limitPrice": 24000}, "market"),
        ({"orderType": "trailing_stop"}, "market"),
        ({"quantity": 5, "quantityType": "percent_of_equity"}, "fixed_quantity"),
        ({"quantity": 500, "quantityType": "dollar_amount"}, "fixed_quantity"),
        ({"takeProfit": 5}, "takeProfit"),
        ({"stopLoss": {"percent": -1}}, "stopLoss.percent"),
        ({"optionType": "call", "strikePrice": 24000}, "options"),
    ],
)
def test_what_cannot_be_done_as_asked_is_refused_with_a_sentence(fields: dict[str, Any], word: str) -> None:
    with pytest.raises(NotAnOrder, match=word):
        posted(**fields)


def test_a_trailing_stop_and_foreign_fields_are_said_and_not_dropped() -> None:
    assert any("trailing" in w for w in posted(stopLoss={"type": "trailing_stop", "trailPercent": 1}).warnings)
    assert any("takeProfit" in w for w in posted(tp_ticks=20).warnings)


def test_its_field_names_are_case_sensitive() -> None:
    with pytest.raises(NotAnOrder, match="action"):
        read({"ticker": "MNQ1!", "Action": "buy", "sentiment": "long"})


# ── placeholders, marks, strictness ──────────────────────────────────────────────────────────────────────────


def test_a_placeholder_of_a_strategy_says_where_it_works() -> None:
    with pytest.raises(NotAnOrder, match="alert of a strategy"):
        read({"action": "{{strategy.order.action}}", "ticker": "MNQ1!"})


def test_any_other_placeholder_is_refused_too() -> None:
    with pytest.raises(NotAnOrder, match="placeholder"):
        read({"action": "buy", "ticker": "MNQ1!", "price": '{{plot("entry")}}'.replace('"', "'")})


def test_braces_of_nested_objects_are_no_placeholder() -> None:
    assert read('{"action":"buy","ticker":"MNQ1!","extras":{"a":{"b":{}}}}').verb is Verb.BUY


@pytest.mark.parametrize("field", ["id", "time", "date", "timestamp", "alertTimestamp"])
def test_each_of_its_own_marks_makes_a_repeat_key(field: str) -> None:
    assert just(**{field: "2026-09-01T14:30:00Z"}).repeat_key is not None
    assert just(**{field: 1788273000123}).repeat_key is not None


@pytest.mark.parametrize("field", ["time", "sent"])
def test_a_moment_within_an_object_of_the_alert_is_a_mark_too(field: str) -> None:
    assert posted(extras={field: "2026-09-01T14:30:00Z"}).repeat_key is not None
    assert posted(extras={field: "soon, or a little later"}).repeat_key is None


def test_an_id_that_looks_like_a_name_is_remarked_upon() -> None:
    assert any("looks like a name" in warning for warning in just(id="Long").warnings)
    assert not any("looks like a name" in warning for warning in just(id="Long 17").warnings)


@pytest.mark.parametrize(
    "value", ["2026-09-01T14:30:00Z", "2026-09-01T14:30:00", 1788273000, 1788273000000, "1788273000"]
)
def test_the_alerts_own_clock_is_read_in_utc(value: Any) -> None:
    assert just(time=value).alert_time == datetime(2026, 9, 1, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize("value", ["yesterday", "99999999999999", -1, "2026-13-45T00:00:00Z", {}, "9" * 13])
def test_a_clock_that_cannot_be_read_is_none(value: Any) -> None:
    reading = just(time=value)
    assert reading.alert_time is None or reading.alert_time.year > 2200


@pytest.mark.parametrize(
    "body",
    [b'{"a": 1, "a": 1}', b'{"a": {"b": 1, "b": 2}}', b'{"a": NaN}', b'{"a": "\\udc00"}', b"{'a': 1}", b'{"a": 01}'],
)
def test_json_that_two_readers_could_understand_differently_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        alerts.parse(body)


def test_numbers_stay_exact() -> None:
    alert = alerts.parse(b'{"a": 0.1, "b": 12345678901234567890.123456789}')
    assert alert.fields == {"a": Decimal("0.1"), "b": Decimal("12345678901234567890.123456789")}


def test_no_sentence_repeats_what_came_in() -> None:
    canary = "zq9canary"
    bodies = [
        {"action": canary, "ticker": "MNQ1!"},
        {"action": "buy", "ticker": canary + "\u00e9"},
        {"action": "buy", "ticker": "MNQ1!", "quantity": canary},
        {"action": "buy", "ticker": "MNQ1!", "sentiment": canary},
        {"action": "buy", "ticker": "MNQ1!", "price": "{{" + canary + "}}"},
        [canary],
    ]
    for body in bodies:
        with pytest.raises(AlertError) as refused:
            read(body)
        assert canary not in refused.value.sentence
