"""TradersPost alerts: case-sensitive JSON, unknown fields ignored.

`sentiment` is the position the strategy wants to be left with, so it decides what the action means: flat exits
everything whatever the quantity, and `sell` with a bullish sentiment only takes a part off. `percent` and
`amount` of an exit are distances in price. An exit without a quantity is all of it.

`price` is what the alert saw, as `signalPrice` is. (Older pages of theirs used it as a limit price.) A trailing stop
rests as a fixed one where it would begin.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from justtrades.api.alerts import exits, marks, strategy, values
from justtrades.api.alerts.just_trades import staying
from justtrades.api.alerts.model import Alert, Dialect, Example, Fields, NotAnOrder
from justtrades.positions.model import Stop, Target, Verb
from justtrades.positions.prices import Distance, Unit
from justtrades.positions.recorder import Reading

MARKED_BY: Final = frozenset(
    {
        *("sentiment", "signalPrice", "quantityType", "orderType", "limitPrice", "stopPrice", "trailAmount"),
        *("trailPercent", "timeInForce", "extendedHours", "cancelOrderType", "ignoreTradingWindows"),
        *("takeProfit", "stopLoss", "extras", "optionType", "cancel"),
    }
)
ACTIONS: Final = {"buy": Verb.BUY, "sell": Verb.SELL, "exit": Verb.CLOSE}
SENTIMENTS: Final = {"bullish": "long", "long": "long", "bearish": "short", "short": "short", "flat": "flat"}
_OTHERS: Final = frozenset(("tp", "sl", "tp_ticks", "sl_ticks", "tp_percent", "sl_percent", "tp_dollar", "sl_dollar"))
_OPTIONS: Final = frozenset(("optionType", "strikePrice", "strikesAway", "expiration", "intrinsicValue", "strikeCount"))
_PRICED: Final = frozenset(("limitPrice", "stopPrice", "trailAmount", "trailPercent"))
KNOWN: Final = frozenset(
    {
        *("ticker", "action", "price", "quantity", "time", "interval", "delay", "id", "date", "timestamp"),
        *(*strategy.SIZES, *strategy.SIDES_BEFORE, *strategy.SIZES_BEFORE),
        *("secret", "key", "token", *MARKED_BY, *_OPTIONS, *_OTHERS),
    }
)


_PROFIT: Final = frozenset(("limitPrice", "percent", "amount"))
_LOSS: Final = frozenset(("type", "percent", "amount", "stopPrice", "limitPrice", "trailAmount", "trailPercent"))


def recognises(alert: Alert) -> bool:
    return not MARKED_BY.isdisjoint(alert.fields) or alert.fields.get("action") in ("add", "cancel")


def read(alert: Alert) -> Reading:
    """The alert as an order; `NotAnOrder` when it is none, or one that cannot be done as asked."""
    fields = alert.fields
    sentiment = _sentiment(fields)
    verb = _verb(fields, sentiment)
    if verb.enters:
        _refuse_other_orders(fields)
    quantity = _quantity(fields, sentiment, verb)
    price = values.price(fields, ("signalPrice", "price"))
    targets, stop = (_targets(fields), _stop(fields)) if verb.enters else ((), None)
    exits.refuse_impossible(verb, price, targets, stop)
    key = marks.repeat_key(fields)
    said = ACTIONS.get(values.word("action", fields.get("action")), verb)
    position, unclear = strategy.position(strategy.lowered(fields), sentiment, said=said, contracts=quantity)
    return Reading(
        dialect="traderspost",
        verb=verb,
        ticker=values.ticker(fields, ("ticker",)),
        quantity=quantity,
        price=price,
        targets=targets,
        stop=stop,
        position=position,
        alert_time=marks.alert_time(fields),
        repeat_key=key,
        notes=(*values.unknown(fields, KNOWN), *(_unknown_in_exits(fields) if verb.enters else ())),
        warnings=(*(_warnings(fields, stop) if verb.enters else ()), *unclear, *marks.warnings(fields, key)),
    )


def _sentiment(fields: Fields) -> str:
    said = values.word("sentiment", fields.get("sentiment"))
    if said and said not in SENTIMENTS:
        raise NotAnOrder("the sentiment is not known: use bullish, long, bearish, short or flat")
    return SENTIMENTS.get(said, "")


def _verb(fields: Fields, sentiment: str) -> Verb:
    action = values.word("action", fields.get("action"))
    if not action:
        raise NotAnOrder('the alert needs an action, such as "action": "buy"')
    if action == "cancel":
        raise NotAnOrder("cancel is not done: no entry rests at the broker; to leave a position send the action exit")
    if action == "add":
        return _add(sentiment)
    if action not in ACTIONS:
        raise NotAnOrder("the action is not known: use buy, sell, exit or add")
    return staying(ACTIONS[action], sentiment)


def _add(sentiment: str) -> Verb:
    match sentiment:
        case "long":
            return Verb.BUY
        case "short":
            return Verb.SELL
        case "flat":
            return Verb.CLOSE
        case _:
            raise NotAnOrder('the action add needs a sentiment that says which side, such as "sentiment": "long"')


def _refuse_other_orders(fields: Fields) -> None:
    if values.word("orderType", fields.get("orderType")) not in ("", "market"):
        raise NotAnOrder("only market orders are placed: set orderType to market or leave it out")
    if values.any_given(fields, _OPTIONS):
        raise NotAnOrder("options are not traded here, only futures")
    if values.word("timeInForce", fields.get("timeInForce")) in ("opg", "cls"):
        raise NotAnOrder("orders for the open or the close are not placed: leave timeInForce out")


def _quantity(fields: Fields, sentiment: str, verb: Verb) -> Decimal | None:
    if sentiment == "flat" or not values.given(fields.get("quantity")):
        return None
    kind = values.word("quantityType", fields.get("quantityType"))
    found = values.quantity("quantity", fields.get("quantity"))
    if kind == "percent_of_position" and not verb.enters and found is not None and found >= 100:
        return None
    if kind not in ("", "fixed_quantity"):
        raise NotAnOrder("only a number of contracts can be traded: set quantityType to fixed_quantity")
    return found


def _targets(fields: Fields) -> tuple[Target, ...]:
    exit_ = _part(fields, "takeProfit")
    if price := values.positive("takeProfit.limitPrice", exit_.get("limitPrice")):
        return (Target(price=price),)
    distance = _distance("takeProfit", exit_)
    return (Target(distance=distance),) if distance else ()


def _stop(fields: Fields) -> Stop | None:
    exit_ = _part(fields, "stopLoss")
    if price := values.positive("stopLoss.stopPrice", exit_.get("stopPrice")):
        return Stop(price=price)
    distance = _distance("stopLoss", exit_) or _trailing(exit_)
    return Stop(distance=distance) if distance else None


def _trailing(exit_: Mapping[str, Any]) -> Distance | None:
    """Where a trailing stop begins."""
    if amount := values.positive("stopLoss.trailAmount", exit_.get("trailAmount")):
        return Distance(amount, Unit.POINTS)
    if percent := values.positive("stopLoss.trailPercent", exit_.get("trailPercent")):
        return Distance(percent, Unit.PERCENT)
    return None


def _distance(name: str, exit_: Mapping[str, Any]) -> Distance | None:
    if percent := values.positive(f"{name}.percent", exit_.get("percent")):
        return Distance(percent, Unit.PERCENT)
    if amount := values.positive(f"{name}.amount", exit_.get("amount")):
        return Distance(amount, Unit.POINTS)
    return None


def _part(fields: Fields, name: str) -> Mapping[str, Any]:
    part = fields.get(name)
    if not values.given(part):
        return {}
    if not isinstance(part, dict):
        raise NotAnOrder(f'the field {name} must be an object, such as {{"percent": 1}}')
    return part


def _unknown_in_exits(fields: Fields) -> tuple[str, ...]:
    profit, loss = _part(fields, "takeProfit"), _part(fields, "stopLoss")
    return (
        *values.unknown(profit, _PROFIT, "takeProfit."),
        *values.unknown(loss, _LOSS, "stopLoss."),
    )


def _warnings(fields: Fields, stop: Stop | None) -> tuple[str, ...]:
    asked = _part(fields, "stopLoss")
    said = {
        "add opens a position when none is held": fields.get("action") == "add",
        "limitPrice and stopPrice have no effect on a market order": values.any_given(fields, _PRICED),
        "the stop rests as a stop order: it becomes a market order at its price": asked.get("type") == "stop_limit",
        "delay was asked for and has no effect: the order leaves at once": values.truthy(fields.get("delay")),
        "tp and sl are not TradersPost fields and were ignored: use takeProfit and stopLoss": values.any_given(
            fields, _OTHERS
        ),
    }
    trailing = exits.trail_warnings(trails=_trails(asked), stop=stop)
    return (*trailing, *(sentence for sentence, true in said.items() if true))


def _trails(stop: Mapping[str, Any]) -> bool:
    return stop.get("type") == "trailing_stop" or any(
        values.given(stop.get(name)) for name in ("trailAmount", "trailPercent")
    )


DIALECT: Final = Dialect(
    "traderspost",
    recognises,
    read,
    (
        Example(
            "traderspost",
            "TradersPost: a strategy's entry",
            {"ticker": "MNQ1!", "action": "buy", "sentiment": "bullish", "quantity": "1", "price": "24500.25"},
        ),
        Example(
            "traderspost_exits",
            "TradersPost: an entry with its own target and stop",
            {
                "ticker": "MNQ1!",
                "action": "sell",
                "sentiment": "short",
                "quantity": 1,
                "signalPrice": 24500.25,
                "takeProfit": {"amount": 5},
                "stopLoss": {"type": "stop", "amount": 10},
            },
        ),
        Example(
            "traderspost_exit",
            "TradersPost: exit",
            {"ticker": "MNQ1!", "action": "exit", "sentiment": "flat"},
        ),
    ),
)
