"""Alerts written for other services, each with the traps of its format."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from justtrades.api import alerts
from justtrades.api.alerts import (
    AlertError,
    Heartbeat,
    NotAnOrder,
    Unreadable,
    algoway,
    just_trades,
    openalgo,
    pickmytrade,
    three_commas,
    traderspost,
    tv_hub,
)
from justtrades.positions.model import Held, OnOpposite, OnSameSide, Stop, Target, Verb
from justtrades.positions.prices import Distance, Unit
from justtrades.positions.recorder import Reading, StrategyPosition

ROOT = Path(__file__).parents[2]


def read(body: Any, pinned: str = "auto") -> Reading:
    text = body if isinstance(body, str) else json.dumps(body)
    reading = alerts.read(alerts.parse(text.encode()), pinned)
    assert isinstance(reading, Reading)
    return reading


def at(value: str, unit: Unit | None) -> Target:
    number = Decimal(value)
    return Target(price=number) if unit is None else Target(distance=Distance(number, unit))


def stop_at(value: str, unit: Unit | None) -> Stop:
    found = at(value, unit)
    return Stop(distance=found.distance, price=found.price)


TICKS, POINTS, PERCENT, DOLLARS = Unit.TICKS, Unit.POINTS, Unit.PERCENT, Unit.DOLLARS

# ── PickMyTrade ──────────────────────────────────────────────────────────────────────────────────────────────

STRATEGY = {
    "symbol": "MNQ1!",
    "date": "2026-11-24T15:00:00Z",
    "data": "buy",
    "quantity": "2",
    "risk_percentage": "0",
    "price": "25000",
    "tp": "0",
    "percentage_tp": "0",
    "dollar_tp": "0",
    "sl": "0",
    "dollar_sl": "0",
    "percentage_sl": "0",
    "trail": "0",
    "trail_stop": "0",
    "trail_trigger": "0",
    "trail_freq": "0",
    "update_tp": "false",
    "update_sl": "false",
    "breakeven": 0,
    "token": "none",
    "duplicate_position_allow": "true",
    "reverse_order_close": "true",
    "multiple_accounts": [{"token": "none", "account_id": "2", "risk_percentage": 0, "quantity_multiplier": 1}],
}


def pmt(**fields: Any) -> Reading:
    return read({**STRATEGY, **fields})


def test_a_generated_pickmytrade_alert_is_read_whole() -> None:
    reading = pmt()
    assert (reading.dialect, reading.verb, reading.ticker) == ("pickmytrade", Verb.BUY, "MNQ1!")
    assert (reading.quantity, reading.price) == (Decimal(2), Decimal(25000))
    assert (reading.targets, reading.stop, reading.warnings) == ((), None, ())
    assert reading.alert_time == datetime(2026, 11, 24, 15, tzinfo=UTC)
    assert any("multiple_accounts" in note for note in reading.notes)


@pytest.mark.parametrize(
    ("fields", "target"),
    [
        ({"tp": 25010, "dollar_tp": 5, "percentage_tp": 1}, at("25010", None)),
        ({"tp": 0, "dollar_tp": "5", "percentage_tp": 1}, at("5", DOLLARS)),
        ({"tp": "0", "dollar_tp": 0, "percentage_tp": "1.5"}, at("1.5", PERCENT)),
    ],
)
def test_a_price_wins_over_dollars_over_percent(fields: dict[str, Any], target: Target) -> None:
    assert pmt(**fields).targets == (target,)
    stops = {name.replace("tp", "sl"): value for name, value in fields.items()}
    below = {**stops, "sl": 24990} if stops["sl"] == 25010 else stops
    expected = stop_at("24990", None) if below["sl"] == 24990 else Stop(distance=target.distance)
    assert pmt(**below).stop == expected


@pytest.mark.parametrize(
    ("reverse", "pyramid", "same_side", "opposite"),
    [
        (True, False, OnSameSide.REENTER, OnOpposite.REVERSE),
        ("true", "false", OnSameSide.REENTER, OnOpposite.REVERSE),
        (True, True, OnSameSide.ADD, OnOpposite.REVERSE),
        (False, False, OnSameSide.ADD, OnOpposite.NET),
        ("false", "true", OnSameSide.ADD, OnOpposite.NET),
        (None, True, None, None),
    ],
)
def test_the_matrix_of_reverse_and_pyramid(reverse: Any, pyramid: Any, same_side: Any, opposite: Any) -> None:
    reading = pmt(reverse_order_close=reverse, pyramid=pyramid)
    assert (reading.on_same_side, reading.on_opposite) == (same_side, opposite)


def test_duplicates_are_allowed_unless_the_alert_says_no() -> None:
    assert not pmt().ignore_same_side
    assert pmt(duplicate_position_allow="false").ignore_same_side
    assert pmt(same_direction_ignore=True).ignore_same_side


def test_several_targets_share_the_position_by_their_quantities() -> None:
    legs = [
        {"quantity": 1, "tp": 25010, "sl": 24990},
        {"quantity": "3", "tp": 25020, "sl": 24990},
    ]
    reading = pmt(advance_tp_sl=legs)
    assert [(t.price, t.percent) for t in reading.targets] == [
        (Decimal(25010), Decimal(25)),
        (Decimal(25020), Decimal(75)),
    ]
    assert reading.stop == Stop(price=Decimal(24990))


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"data": "reverse"}, "data"),
        ({"data": 1}, "data"),
        ({"order_type": "LMT"}, "market"),
        ({"risk_percentage": 1.5}, "risk_percentage"),
        ({"inst_type": "OPT"}, "futures"),
        ({"option_type": "call"}, "futures"),
        ({"trail": 1, "trail_stop": 10}, "trailing"),
        ({"quantity": 0, "update_sl": True, "sl": 24990}, "moving"),
        ({"tp": 20}, "dollar_tp"),
        ({"sl": 25010}, "dollar_sl"),
        ({"data": "sell", "tp": 25010}, "losing side"),
        ({"data": "sell", "tp": 20}, "dollar_tp"),
        ({"sl": 20}, "dollar_sl"),
        ({"advance_tp_sl": [{"quantity": 1, "tp": 25010, "sl": 20}]}, "dollar_sl"),
        ({"price": "", "tp": 25010}, "close"),
        ({"price": "", "tp": 20}, "close"),
        ({"price": 0, "sl": 20}, "close"),
        ({"advance_tp_sl": [{"quantity": 1, "tp": 25010, "sl": 1}, {"quantity": 1, "tp": 25020}]}, "different stops"),
        ({"advance_tp_sl": [{"tp": 25010}]}, "quantity"),
        ({"advance_tp_sl": [{"quantity": 1}]}, "needs a tp"),
        ({"advance_tp_sl": {"quantity": 1}}, "list"),
        ({"reverse_order_close": "perhaps"}, "true or false"),
    ],
)
def test_a_pickmytrade_alert_that_cannot_be_done_as_asked_is_refused(fields: dict[str, Any], word: str) -> None:
    with pytest.raises(NotAnOrder, match=word):
        pmt(**fields)


def test_what_only_refines_a_pickmytrade_alert_is_a_warning() -> None:
    reading = pmt(trail=1, sl=24990, breakeven=5)
    assert reading.stop is not None
    assert any("trailing" in warning for warning in reading.warnings)
    assert any("break-even" in warning for warning in reading.warnings)
    sized = pmt(multiple_accounts=[{"risk_percentage": 2, "quantity_multiplier": 0}])
    assert any("routes" in warning for warning in sized.warnings)


def test_a_close_is_all_of_it_and_nothing_in_it_is_a_reason_to_refuse() -> None:
    reading = pmt(data="close", quantity=1, order_type="LMT", tp="x", risk_percentage=3)
    assert (reading.verb, reading.quantity) == (Verb.CLOSE, None)


# ── CrossTrade ───────────────────────────────────────────────────────────────────────────────────────────────


def cross(text: str = "", command: str = "PLACE") -> Reading:
    entry = "" if "action" in text else "action=BUY; qty=1; order_type=MARKET; "
    return read(f"key=none; command={command}; account=sim101; instrument=ES1!; {entry}tif=DAY; {text}")


def test_a_crosstrade_alert_leaves_the_position_to_the_recorder_unless_it_says_more() -> None:
    reading = cross()
    assert (reading.dialect, reading.verb, reading.ticker, reading.quantity) == (
        "crosstrade",
        Verb.BUY,
        "ES1!",
        Decimal(1),
    )
    assert (reading.on_same_side, reading.on_opposite, reading.only_when) == (None, None, ())
    assert reading.notes == ()


@pytest.mark.parametrize("spelled", ["ES 09-26", "ESU6", "es1!"])
def test_its_instruments_are_names_and_its_lines_may_be_broken(spelled: str) -> None:
    text = f"key=none;\ncommand=place;\ninstrument={spelled};\naction=sell;\nqty=2;\norder_type=market;"
    reading = read(text)
    assert (reading.ticker, reading.verb, reading.quantity) == (spelled, Verb.SELL, Decimal(2))


@pytest.mark.parametrize(
    ("command", "text", "same_side", "only_when"),
    [
        ("PLACE", "flatten_first=true;", OnSameSide.REENTER, ()),
        ("FLATPLACE", "", OnSameSide.REENTER, ()),
        ("FLAT_PLACE", "require_market_position=long;", OnSameSide.REENTER, (Held.LONG,)),
        ("ReversePosition", "", OnSameSide.REENTER, (Held.LONG, Held.SHORT)),
        ("REVERSEPOSITION", "require_market_position=short;", OnSameSide.REENTER, (Held.SHORT,)),
        ("REVERSE", "", OnSameSide.IGNORE, (Held.FLAT, Held.SHORT)),
        ("REVERSE", "action=sell; qty=1;", OnSameSide.IGNORE, (Held.FLAT, Held.LONG)),
    ],
)
def test_what_its_commands_do_to_a_position(
    command: str, text: str, same_side: OnSameSide, only_when: tuple[Held, ...]
) -> None:
    reading = cross(text, command)
    assert (reading.on_same_side, reading.on_opposite) == (same_side, OnOpposite.REVERSE)
    assert reading.only_when == only_when


@pytest.mark.parametrize("said", ["flat/short", "flat,short", "FLAT / SHORT", "flat/short/flat"])
def test_a_required_position_may_be_one_of_several(said: str) -> None:
    assert cross(f"require_market_position={said};").only_when == (Held.FLAT, Held.SHORT)


@pytest.mark.parametrize("name", ["max_positions", "max_position"])
def test_the_open_positions_of_the_account_may_be_bounded(name: str) -> None:
    assert cross(f"{name}=2;").max_positions == 2


@pytest.mark.parametrize(
    ("said", "value", "unit"),
    [
        ("25", "25", None),
        ("25 ticks", "25", TICKS),
        ("+25ticks", "25", TICKS),
        ("1 tick", "1", TICKS),
        ("5.25%", "5.25", PERCENT),
        ("3 %", "3", PERCENT),
        ("15 points", "15", POINTS),
        ("250 dollars", "250", DOLLARS),
        ("$250", None, None),
    ],
)
def test_its_prices_are_levels_or_distances(said: str, value: str | None, unit: Unit | None) -> None:
    if value is None:
        with pytest.raises(NotAnOrder, match="take_profit"):
            cross(f"take_profit={said};")
        return
    assert cross(f"take_profit={said};").targets == (at(value, unit),)
    below = said if unit is None else f"-{said.lstrip('+')}"
    assert cross(f"stop_loss={below};").stop == stop_at(value, unit)


@pytest.mark.parametrize(
    ("command", "text", "verb", "quantity"),
    [
        ("CLOSEPOSITION", "action=sell; qty=2;", Verb.CLOSE, 2),
        ("CLOSEPOSITION", "action=none;", Verb.CLOSE, None),
        ("CLOSEPOSITION", "action=sell; require_market_position=long;", Verb.CLOSE_LONG, None),
        ("closeposition", "action=sell; require_market_position=long/short;", Verb.CLOSE, None),
        ("FLATTEN", "action=sell; qty=1;", Verb.CLOSE, None),
        ("PLACE", "action=sell; qty=3; order_type=market; market_position=flat;", Verb.CLOSE, None),
        ("PLACE", "action=sell; qty=1; order_type=market; market_position=long;", Verb.CLOSE_LONG, 1),
    ],
)
def test_its_exits(command: str, text: str, verb: Verb, quantity: int | None) -> None:
    reading = cross(text, command)
    assert (reading.verb, reading.quantity) == (verb, quantity)


@pytest.mark.parametrize(
    ("command", "text", "word"),
    [
        ("CANCELALLORDERS", "", "CLOSEPOSITION"),
        ("CHANGE", "", "CLOSEPOSITION"),
        ("CLOSESTRATEGY", "", "CLOSEPOSITION"),
        ("HOLD", "", "command"),
        ("PLACE", "action=hold;", "action"),
        ("REVERSE", "action=;", "REVERSE"),
        ("PLACE", "action=buy; order_type=limit; limit_price=1;", "order_type"),
        ("PLACE", "action=buy; limit_price=6000;", "order_type"),
        ("PLACE", "rate_limit=1/28800;", "rate_limit"),
        ("PLACE", "stop_loss_limit=5990;", "stop_loss"),
        ("PLACE", "require_market_position=sideways;", "require_market_position"),
        ("CLOSEPOSITION", "require_market_position=flat;", "long or short"),
        ("REVERSEPOSITION", "require_market_position=flat;", "never trade"),
        ("PLACE", "max_positions=1.5;", "whole"),
        ("PLACE", "flatten_first=perhaps;", "flatten_first"),
    ],
)
def test_a_crosstrade_alert_that_cannot_be_done_as_asked_is_refused(command: str, text: str, word: str) -> None:
    with pytest.raises(NotAnOrder, match=word):
        cross(text, command)


def test_crosstrade_lines_without_semicolons_are_told_so_and_with_them_are_read() -> None:
    with pytest.raises(Unreadable, match="semicolon"):
        read("command=PLACE\ninstrument=MNQ1!\naction=BUY")
    assert read("command=PLACE;\r\ninstrument=MNQ1!;\r\naction=BUY;\r\n").verb is Verb.BUY


def test_an_unknown_field_within_an_alerts_exits_is_listed_too() -> None:
    posted = read(
        {"ticker": "MNQ1!", "action": "buy", "takeProfit": {"price": 1}, "stopLoss": {"stop": 2, "amount": 5}}
    )
    assert [note.rpartition(" ")[2] for note in posted.notes] == ["takeProfit.price", "stopLoss.stop"]
    legs = [{"quantity": 1, "dollar_tp": 5, "ptc": 1}]
    assert any("advance_tp_sl.ptc" in note for note in pmt(advance_tp_sl=legs).notes)


def test_what_only_refines_a_crosstrade_alert_is_a_warning() -> None:
    assert any("ATM" in warning for warning in cross("strategy=MyAtm;").warnings)
    assert any("delay" in warning for warning in cross("delay=5;").warnings)
    assert any("justtrades flatten" in warning for warning in cross("", "FLATTENEVERYTHING").warnings)
    assert cross("colour=red;").notes == ("ignored, because this format has no such field: colour",)


def test_an_alert_that_asks_to_be_kept_in_step_says_where_its_strategy_is() -> None:
    where = "market_position=long; target_quantity=2; prev_market_position=flat;"
    assert cross(f"{where} sync_strategy=true;").position == StrategyPosition(Decimal(2), Decimal(0))
    assert cross(where).position is None


@pytest.mark.parametrize("text", ["command=PLACE; command=CLOSEPOSITION;", "command=PLACE; nonsense; action=buy;"])
def test_a_crosstrade_alert_that_two_readers_could_understand_differently_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable):
        read(text)


# ── 3Commas ──────────────────────────────────────────────────────────────────────────────────────────────────


def commas(action: str = "buy", position: str = "long", **fields: Any) -> Reading:
    return read(
        {
            "secret": "none",
            "max_lag": "300",
            "timestamp": "2026-11-24T15:00:00Z",
            "trigger_price": "25000.25",
            "tv_exchange": "CME_MINI",
            "tv_instrument": "MNQ1!",
            "action": action,
            "bot_uuid": "a-bot",
            "strategy_info": {
                "market_position": position,
                "market_position_size": "2",
                "prev_market_position": "flat",
                "prev_market_position_size": "0",
            },
            "order": {"amount": "2", "currency_type": "base"},
            **fields,
        }
    )


def test_a_3commas_strategy_alert() -> None:
    reading = commas()
    assert (reading.dialect, reading.verb, reading.quantity) == ("three_commas", Verb.BUY, Decimal(2))
    assert (reading.ticker, reading.price) == ("MNQ1!", Decimal("25000.25"))
    assert commas(tv_exchange="CME_MINI_DL").ticker == "MNQ1!"
    assert commas(tv_exchange="BINANCE", tv_instrument="ETH").ticker == "BINANCE:ETH"
    assert (reading.max_age_seconds, reading.alert_time) == (300, datetime(2026, 11, 24, 15, tzinfo=UTC))
    assert (reading.notes, reading.warnings) == ((), ())
    assert reading.position == StrategyPosition(Decimal(2), Decimal(0))


@pytest.mark.parametrize(
    ("action", "position", "verb", "quantity"),
    [
        ("sell", "flat", Verb.CLOSE, None),
        ("sell", "long", Verb.CLOSE_LONG, 2),
        ("buy", "short", Verb.CLOSE_SHORT, 2),
        ("sell", "short", Verb.SELL, 2),
        ("enter_long", "", Verb.BUY, 2),
        ("exit_short", "", Verb.CLOSE_SHORT, None),
    ],
)
def test_its_position_decides_what_its_order_means(
    action: str, position: str, verb: Verb, quantity: int | None
) -> None:
    reading = commas(action, position)
    assert (reading.verb, reading.quantity) == (verb, quantity)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"order": {"amount": "100", "currency_type": "quote"}}, "currency_type"),
        ({"order": {"amount": "1", "order_type": "limit"}}, "order_type"),
        ({"order": "all"}, "order"),
        ({"strategy_info": []}, "strategy_info"),
        ({"action": "dance"}, "action"),
        ({"max_lag": "soon"}, "max_lag"),
    ],
)
def test_a_3commas_alert_that_cannot_be_done_as_asked_is_refused(fields: dict[str, Any], word: str) -> None:
    with pytest.raises(NotAnOrder, match=word):
        commas(**fields)


def test_a_lag_without_a_time_is_said_to_have_no_effect() -> None:
    assert any("max_lag" in warning for warning in commas(timestamp="").warnings)


# ── AlgoWay, OpenAlgo, Tickerly, TV-Hub ──────────────────────────────────────────────────────────────────────


def to_algoway(**fields: Any) -> Reading:
    return read({"platform_name": "tradovate", "ticker": "MNQ1!", "order_contracts": "1", **fields})


def test_algoway_prices_win_over_its_distances() -> None:
    both = to_algoway(order_action="buy", price=100, tp_price=110, take_profit=20, sl_price=90, stop_loss=40)
    assert (both.targets, both.stop) == ((at("110", None),), stop_at("90", None))
    far = to_algoway(order_action="short", take_profit="20", stop_loss=40)
    assert (far.verb, far.targets, far.stop) == (Verb.SELL, (at("20", TICKS),), stop_at("40", TICKS))


@pytest.mark.parametrize(
    ("fields", "verb"),
    [
        ({"order_action": "flat"}, Verb.CLOSE),
        ({"order_action": "close", "close_side": "long"}, Verb.CLOSE_LONG),
        ({"order_action": "closeall"}, Verb.CLOSE),
        ({"order_action": "flat", "close_side": "sell"}, Verb.CLOSE_SHORT),
    ],
)
def test_algoway_exits_are_whole(fields: dict[str, Any], verb: Verb) -> None:
    reading = to_algoway(**fields)
    assert (reading.verb, reading.quantity) == (verb, None)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"order_action": "breakeven"}, "moved"),
        ({"order_action": "modify", "sl_price": 5}, "moved"),
        ({"order_action": "flat", "close_side": "up"}, "close_side"),
        ({"order_action": "buy", "order_type": "limit"}, "order_type"),
        ({"order_action": "buy", "trade_type": "inverse"}, "trade_type"),
        ({"order_action": "buy", "trailing_pips": 20}, "trailing"),
        ({"order_action": "buy", "price": 100, "tp_price": 90}, "losing side"),
        ({"order_action": "buy", "price": 100, "sl_price": 5}, "half"),
        ({"order_action": "buy", "price": 100, "tp_price": 210}, "twice"),
    ],
)
def test_an_algoway_alert_that_cannot_be_done_as_asked_is_refused(fields: dict[str, Any], word: str) -> None:
    with pytest.raises(NotAnOrder, match=word):
        to_algoway(**fields)


@pytest.mark.parametrize(
    ("action", "size", "verb"),
    [("BUY", None, Verb.BUY), ("BUY", "1", Verb.BUY), ("SELL", "0", Verb.CLOSE), ("SELL", "2", Verb.CLOSE_LONG)],
)
def test_openalgo_reads_the_position_it_is_left_with(action: str, size: str | None, verb: Verb) -> None:
    body = {"apikey": "none", "symbol": "MNQ1!", "action": action, "quantity": "1", "pricetype": "MARKET"}
    assert read({**body, "position_size": size}).verb is verb
    with pytest.raises(NotAnOrder, match="pricetype"):
        read({**body, "action": "BUY", "pricetype": "SL-M"})


def test_a_tickerly_order_nets_because_it_means_exactly_its_contracts() -> None:
    body = {"ticker": "MNQ1!", "action": "sell", "prev_position": "long", "quantity": "2", "pointer": "none"}
    reading = read(body)
    assert (reading.dialect, reading.verb, reading.quantity) == ("tickerly", Verb.SELL, Decimal(2))
    assert reading.on_opposite is OnOpposite.NET


def to_tv_hub(**fields: Any) -> Reading:
    return read({"exchange": "any", "pair": "MNQ1!", "token": "none", "apiKey": "none", **fields})


def test_tv_hub_switches() -> None:
    assert to_tv_hub(isBuy=True, isMarket=True, units=2).quantity == 2
    assert to_tv_hub(isSell="true").verb is Verb.SELL
    assert to_tv_hub(isClose=True, closeShort=True).verb is Verb.CLOSE_SHORT
    assert to_tv_hub(isBuy=True, alertTimestamp="MNQ1!-2026-11-24T15:00:00Z").repeat_key is not None


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"isBuy": True, "isSell": True}, "exactly one"),
        ({"isBuy": False}, "exactly one"),
        ({"isBuy": True, "isLimit": True}, "market orders"),
        ({"isBuy": True, "units": 5, "unitsType": "percentBalance"}, "unitsType"),
        ({"isBuy": True, "stopLossPercent": 2}, "targets and stops"),
    ],
)
def test_a_tv_hub_alert_that_cannot_be_done_as_asked_is_refused(fields: dict[str, Any], word: str) -> None:
    with pytest.raises(NotAnOrder, match=word):
        to_tv_hub(**fields)


# ── a few words ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "verb", "ticker", "quantity"),
    [
        ("BUY 1 MNQ1!", Verb.BUY, "MNQ1!", 1),
        ("sell MNQ1! 2", Verb.SELL, "MNQ1!", 2),
        ("BUY 2x ES at market", Verb.BUY, "ES", 2),
        ("long MNQZ6", Verb.BUY, "MNQZ6", None),
        ("Short 1 contract MNQ 12-26", Verb.SELL, "MNQ 12-26", 1),
        ("buy", Verb.BUY, None, None),
        ("close MNQ1!", Verb.CLOSE, "MNQ1!", None),
        ("close long MNQ1!", Verb.CLOSE_LONG, "MNQ1!", None),
        ("exit_short CME_MINI:MNQ1!", Verb.CLOSE_SHORT, "CME_MINI:MNQ1!", None),
        ("flat", Verb.CLOSE, None, None),
        ("action=buy symbol=MNQ1! qty=3", Verb.BUY, "MNQ1!", 3),
        ("action = buy, symbol = MNQ1!, qty = 3", Verb.BUY, "MNQ1!", 3),
        ("a=demo e=tradovate s=MNQ1! b=long q=1 t=market", Verb.BUY, "MNQ1!", 1),
        ("s=MNQ1! b=long c=position", Verb.CLOSE_LONG, "MNQ1!", None),
        ("s=MNQ1! c=position", Verb.CLOSE, "MNQ1!", None),
        ("s=MNQ1! b=sell q=1 ro=1", Verb.CLOSE_LONG, "MNQ1!", 1),
        ("Keys(MNQ1!) { market(side=buy, amount=1); } #bot", Verb.BUY, "MNQ1!", 1),
        ("MyKeys(MNQ1!){\n  market(side=sell, amount=2)\n}\n#bot", Verb.SELL, "MNQ1!", 2),
        ("Keys(MNQ1!) { market(position=0); } #bot", Verb.CLOSE, "MNQ1!", None),
        ("Keys(MNQ1!) { market(side=sell, amount=100%p, reduceOnly=true); }", Verb.CLOSE_LONG, "MNQ1!", None),
    ],
)
def test_terse_alerts(text: str, verb: Verb, ticker: str | None, quantity: int | None) -> None:
    reading = read(text)
    assert (reading.dialect, reading.verb, reading.ticker, reading.quantity) == ("terse", verb, ticker, quantity)


@pytest.mark.parametrize("text", ["BUY MNQ1! @ 24500.25", "buy MNQ1! at 24500.25", "BUY @24500.25 MNQ1!"])
def test_a_terse_price_is_no_quantity(text: str) -> None:
    assert (read(text).quantity, read(text).price) == (None, Decimal("24500.25"))
    assert read(text.replace("MNQ1!", "MNQ1! 2")).quantity == 2


@pytest.mark.parametrize("text", ["BUY MNQ1! 24500", "BUY MNQ1! 24500.25", "SELL CL1! 70.25", "sell ES 5000x"])
def test_a_number_after_the_symbol_that_may_be_a_price_is_not_taken_for_contracts(text: str) -> None:
    with pytest.raises(NotAnOrder, match="not understood"):
        read(text)


def test_terse_exits_count_ticks_or_carry_their_unit() -> None:
    reading = read("long MNQ1! q=1 sl=40 tp=20")
    assert (reading.targets, reading.stop) == ((at("20", TICKS),), stop_at("40", TICKS))
    reading = read("long MNQ1! q=1 sl=1% tp=250$")
    assert (reading.targets, reading.stop) == ((at("250", DOLLARS),), stop_at("1", PERCENT))
    reading = read("long MNQ1! @25000 q=1 slp=24990 tpp=25010")
    assert (reading.targets, reading.stop) == ((at("25010", None),), stop_at("24990", None))


def test_a_password_may_stand_alone_on_the_first_line() -> None:
    alert = alerts.parse(b"a-secret\nlong MNQ1! q=1")
    assert alert.fields["secret"] == "a-secret"


def test_a_terse_alert_may_carry_its_time() -> None:
    reading = read("BUY 1 MNQ1! 2026-11-24T15:00:00Z")
    assert reading.alert_time == datetime(2026, 11, 24, 15, tzinfo=UTC)
    assert reading.repeat_key is not None
    assert read("BUY 1 MNQ1!").repeat_key is None


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("buy the dip", "not understood"),
        ("BUY NOW", "not understood"),
        ("buy 1 2 MNQ1!", "not understood"),
        ("buy MNQ1! ES1!", "not understood"),
        ("buy 1 MNQ1! limit", "not understood"),
        ("b=buy s=MNQ1! t=limit p=1", "market"),
        ("b=buy s=MNQ1! fp=25000", "market"),
        ("b=buy s=MNQ1! q=5%", "quantity"),
        ("b=buy s=MNQ1! q=5 qt=percent", "qt"),
        ("b=buy s=MNQ1! d=1", "disabled"),
        ("b=buy s=MNQ1! ts=20", "trailing"),
        ("s=MNQ1! c=order", "cancelled"),
        ("side=up s=MNQ1!", "action"),
        ("long MNQ1! sl=near", "sl"),
        ("long MNQ1! sl=4 parsecs", "not understood"),
        ("Keys(MNQ1!) { market(position=2); } #bot", "position"),
        ("Keys(MNQ1!) { cancel(which=all); market(side=buy, amount=1); } #bot", "one command"),
        ("Keys(MNQ1!) { limit(side=buy, amount=1, offset=1); } #bot", "one command"),
    ],
)
def test_a_terse_alert_is_never_guessed_at(text: str, word: str) -> None:
    with pytest.raises(NotAnOrder, match=word):
        read(text)


@pytest.mark.parametrize("text", ["MNQ1! Crossing 25000", "hello", "a=b", "500", "null", "🚀", "command", "x" * 3000])
def test_text_of_no_format_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable):
        read(text)


def test_a_heartbeat_may_be_a_word() -> None:
    assert alerts.read(alerts.parse(b"heartbeat")) == Heartbeat()


# ── all of them ──────────────────────────────────────────────────────────────────────────────────────────────


def test_every_dialect_has_its_name_and_examples_that_only_it_reads() -> None:
    names = [dialect.name for dialect in alerts.DIALECTS]
    assert len(names) == len(set(names))
    for dialect in alerts.DIALECTS:
        assert re.fullmatch(r"[a-z_]+", dialect.name)
        assert dialect.examples
        for example in dialect.examples:
            assert read(example.body, dialect.name) == read(example.body)
            assert read(example.body).dialect == dialect.name


EXITS: dict[str, tuple[dict[str, Any], frozenset[str], frozenset[str]]] = {
    "just_trades": ({"action": "close", "ticker": "MNQ1!"}, just_trades.KNOWN, frozenset(("symbol", "instrument"))),
    "traderspost": ({"ticker": "MNQ1!", "action": "exit", "sentiment": "flat"}, traderspost.KNOWN, frozenset()),
    "pickmytrade": ({"symbol": "MNQ1!", "data": "close"}, pickmytrade.KNOWN, frozenset()),
    "three_commas": (
        {"tv_instrument": "MNQ1!", "action": "sell", "strategy_info": {"market_position": "flat"}},
        three_commas.KNOWN,
        frozenset(),
    ),
    "algoway": ({"ticker": "MNQ1!", "order_action": "flat"}, algoway.KNOWN, frozenset(("close_side",))),
    "openalgo": (
        {"apikey": "none", "symbol": "MNQ1!", "action": "SELL", "position_size": "0"},
        openalgo.KNOWN,
        frozenset(),
    ),
    "tv_hub": (
        {"pair": "MNQ1!", "isClose": True},
        tv_hub.KNOWN,
        frozenset(("isBuy", "isSell", "closeLong", "closeShort")),
    ),
}
"""An exit, every field of its format, and those that say what is closed."""


@pytest.mark.parametrize("name", EXITS)
@pytest.mark.parametrize("garbage", ["garbage", -1, [], {"a": 1}, "{[", "limit"])
def test_no_field_of_an_entry_is_a_reason_to_refuse_an_exit(name: str, garbage: Any) -> None:
    body, known, meaningful = EXITS[name]
    for other in known - body.keys() - meaningful:
        assert not read({**body, other: garbage}, name).verb.enters, other


def test_every_dialect_stands_in_the_readme() -> None:
    table = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [d.name for d in alerts.DIALECTS if f"| `{d.name}` |" not in table] == []


def test_a_pinned_dialect_takes_no_alert_of_another_form() -> None:
    with pytest.raises(NotAnOrder, match="plain text"):
        read({"action": "buy", "ticker": "MNQ1!"}, "terse")
    with pytest.raises(NotAnOrder, match="JSON"):
        read("BUY 1 MNQ1!", "just_trades")
    with pytest.raises(NotAnOrder, match="crosstrade"):
        read("BUY 1 MNQ1!", "crosstrade")


def test_an_unknown_field_is_listed_and_nothing_in_its_name_is_trusted() -> None:
    names = {f"x{n}": 1 for n in range(12)}
    (note,) = read({"action": "buy", "ticker": "MNQ1!", "qty": 1, "colour<b>": "red", **names}).notes
    assert note.startswith("ignored, because this format has no such field: colour?b?, x0,")
    assert note.endswith("and 3 more")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ('{"action": "buy", "comment": "the "big" one", "ticker": "MNQ1!"}', "strategy.order.comment"),
        ('{"action": "buy", "comment": ""big" one", "ticker": "MNQ1!"}', "strategy.order.comment"),
        ('{"action": "buy", "comment": "one\ntwo", "ticker": "MNQ1!"}', "line break"),
        ('{"action": "buy", "quantity": , "ticker": "MNQ1!"}', "came out empty"),
        ('{"action": buy, "ticker": "MNQ1!"}', "put quotes around"),
        ('{"action": "buy", "ticker": "MNQ1!",}', "comma stands before"),
        ("{'action': 'buy'}", "plain double quote"),
        ('{"action": “buy”}', "plain double quote"),
        ('{"action": "buy", "ticker": "MNQ1!"', "missing at the end"),
        ('{"action": "buy", "ticker": "MNQ1!', "missing at the end"),
        ('{"action": "buy"} {"action": "sell"}', "after the closing brace"),
        ('{"action": "a\\b\\uzz"}', "backslash"),
        ('{action: "buy"}', "name of a field"),
        ('{"action": "buy" "ticker": "MNQ1!"}', "missing quote or comma"),
    ],
)
def test_broken_json_says_what_to_change(body: str, sentence: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read(body)
    assert sentence in refused.value.sentence


@pytest.mark.parametrize(
    ("placeholder", "sentence"),
    [
        ("{{plot_9}}", "no plot of that number"),
        ('{{plot("Long Entry")}}', "no plot of that number"),
        ("{{strategy.order.action}}", "alert of a strategy"),
        ("{{tickr}}", "spelling"),
    ],
)
def test_an_unresolved_placeholder_says_what_to_change(placeholder: str, sentence: str) -> None:
    for text in (f'{{"action": "buy", "ticker": "MNQ1!", "tp": {placeholder}}}', f"buy {placeholder}"):
        with pytest.raises(NotAnOrder) as refused:
            read(text)
        assert sentence in refused.value.sentence


@pytest.mark.parametrize(
    "body",
    [
        {"action": "close", "ticker": "MNQ1!", "tp": "{{plot_9}}", "comment": "{{strategy.order.comment}}"},
        {"action": "sell", "ticker": "MNQ1!", "market_position": "flat", "sl": "{{plot_9}}"},
        {"ticker": "MNQ1!", "action": "exit", "sentiment": "flat", "takeProfit": {"limitPrice": "{{plot_9}}"}},
        {"symbol": "MNQ1!", "data": "close", "advance_tp_sl": [{"tp": "{{plot_9}}"}], "date": "{{timenw}}"},
        "command=CLOSEPOSITION; instrument=MNQ1!; take_profit={{plot_9}};",
        "close MNQ1! tp={{plot_9}}",
    ],
)
def test_an_exit_is_not_refused_for_a_placeholder_it_does_not_need(body: Any) -> None:
    reading = read(body)
    assert not reading.verb.enters
    assert any("did not fill in" in warning for warning in reading.warnings)
    assert (reading.ticker, reading.quantity, reading.repeat_key) == ("MNQ1!", None, None)


@pytest.mark.parametrize(
    "body",
    [
        {"action": "close", "ticker": "{{tickr}}"},
        {"action": "{{strategy.order.action}}", "ticker": "MNQ1!", "market_position": "flat"},
        {"action": "sell", "ticker": "MNQ1!", "market_position": "{{strategy.market_position}}"},
        {"ticker": "MNQ1!", "action": "exit", "sentiment": "long", "quantity": "{{strategy.order.contracts}}"},
        {"tv_instrument": "MNQ1!", "action": "exit_long", "strategy_info": "{{x}}"},
        {"heartbeat": "{{interval}}"},
        "close {{ticker}}",
    ],
)
def test_an_exit_is_refused_for_a_placeholder_that_says_what_to_close(body: Any) -> None:
    with pytest.raises(NotAnOrder, match="did not fill in"):
        read(body)


def test_no_sentence_of_any_dialect_repeats_what_came_in() -> None:
    canary = "zq9canary"
    for dialect in alerts.DIALECTS:
        for example in dialect.examples:
            for body in mutations(example.body, canary):
                assert canary not in sentence_of(body).lower()


def sentence_of(body: Any) -> str:
    """What a refusal says; nothing when the alert is taken."""
    try:
        read(body)
    except AlertError as refused:
        return refused.sentence
    return ""


def mutations(body: Any, canary: str) -> list[Any]:
    if isinstance(body, str):
        words = body.split(" ")
        return [" ".join([*words[:i], canary, *words[i + 1 :]]) for i in range(len(words))] + [f"{body} {canary}=1"]
    return [{**body, name: canary} for name in body] + [{**body, canary: canary}]
