"""PickMyTrade alerts: JSON, quantities and switches quoted or not.

`tp` and `sl` are prices, `dollar_…` dollars per contract, `percentage_…` percent of the average; the first of them
that is not 0 counts. Distances in `tp` and `sl` are a common mistake, so both are taken only beside the alert's own
price, which shows it. `reverse_order_close` and `pyramid` decide what happens to what is held:

    reverse_order_close  pyramid   same signal       opposite signal
    true                 false     closes, enters    closes, enters
    true                 true      adds              closes, enters
    false                any       adds              nothing is closed for it: the order nets

Without `reverse_order_close` the recorder's own rules stand. Accounts and their multipliers are the recorder's
routes, so `multiple_accounts` and `account_id` name nobody here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from justtrades.api.alerts import exits, marks, values
from justtrades.api.alerts.just_trades import folded
from justtrades.api.alerts.model import Alert, Dialect, Example, Fields, NotAnOrder
from justtrades.positions.model import OnOpposite, OnSameSide, Stop, Target, Verb
from justtrades.positions.prices import Unit
from justtrades.positions.recorder import Reading

ACTIONS: Final = {
    **dict.fromkeys(("buy", "long"), Verb.BUY),
    **dict.fromkeys(("sell", "short"), Verb.SELL),
    **dict.fromkeys(("close", "flat", "exit"), Verb.CLOSE),
}
_TP: Final = (("tp", None), ("dollar_tp", Unit.DOLLARS), ("percentage_tp", Unit.PERCENT))
_SL: Final = (("sl", None), ("dollar_sl", Unit.DOLLARS), ("percentage_sl", Unit.PERCENT))
_TRAILS: Final = ("trail", "trail_stop", "trail_trigger", "trail_freq")
_OF_A_LEG: Final = frozenset(("quantity", "breakeven", *_TRAILS, *(name for name, _ in (*_TP, *_SL))))
_IGNORE: Final = ("same_direction_ignore", "ignore_same_direction", "no_duplicate")
_OPTIONS: Final = frozenset(("option_type", "expiry_date", "order_strike"))
_ELSEWHERE: Final = ("multiple_accounts", "account_id", "connection_name")
KNOWN: Final = frozenset(
    {
        *("symbol", "date", "data", "quantity", "risk_percentage", "price", "order_type", "token", "platform"),
        *("inst_type", "breakeven", "update_tp", "update_sl", "duplicate_position_allow", "pyramid", "id", "time"),
        *("reverse_order_close", "advance_tp_sl", "timestamp", "secret", "key"),
        *(name for name, _ in (*_TP, *_SL)),
        *(*_TRAILS, *_IGNORE, *_OPTIONS, *_ELSEWHERE),
    }
)
_HINT: Final = (
    ": tp and sl are prices in this format; for a distance use dollar_tp, dollar_sl or percentage_tp, percentage_sl"
)


@dataclass(frozen=True, slots=True)
class Exits:
    targets: tuple[Target, ...] = ()
    stop: Stop | None = None


def recognises(alert: Alert) -> bool:
    fields = alert.fields
    return "data" in fields and "action" not in fields and ("symbol" in fields or "token" in fields)


def read(alert: Alert) -> Reading:
    """The alert as an order; `NotAnOrder` when it is none, or one that cannot be done as asked."""
    fields = folded(alert.fields)
    verb = _verb(fields)
    price = values.price(fields, ("price",))
    key = marks.repeat_key(alert.fields)
    found, warned = _entry(fields, verb, price) if verb.enters else (Exits(), ())
    same_side, opposite = _matrix(fields) if verb.enters else (None, None)
    return Reading(
        dialect="pickmytrade",
        verb=verb,
        ticker=values.ticker(fields, ("symbol",)),
        quantity=values.quantity("quantity", fields.get("quantity")) if verb.enters else None,
        price=price,
        targets=found.targets,
        stop=found.stop,
        ignore_same_side=verb.enters and _no_duplicates(fields),
        on_same_side=same_side,
        on_opposite=opposite,
        alert_time=marks.alert_time(alert.fields),
        repeat_key=key,
        notes=(*_elsewhere(fields), *values.unknown(fields, KNOWN), *(_unknown_in_legs(fields) if verb.enters else ())),
        warnings=(*warned, *marks.warnings(alert.fields, key)),
    )


def _verb(fields: Fields) -> Verb:
    said = values.word("data", fields.get("data"))
    if said not in ACTIONS:
        raise NotAnOrder("the field data must be buy, sell, long, short, close or flat")
    return ACTIONS[said]


def _entry(fields: Fields, verb: Verb, price: Decimal | None) -> tuple[Exits, tuple[str, ...]]:
    """What only counts for an order that enters, checked for what cannot be done."""
    _refuse(fields)
    found = _legs(fields) or _single(fields)
    prices = [*(target.price for target in found.targets), found.stop.price if found.stop else None]
    if not price and any(prices):
        raise NotAnOrder(f'an alert with tp or sl needs "price": "{{{{close}}}}"{_HINT}')
    exits.refuse_impossible(verb, price, found.targets, found.stop, _HINT)
    trails = values.flag("trail", fields.get("trail")) is True
    return found, (*exits.trail_warnings(trails=trails, stop=found.stop), *_warnings(fields))


def _refuse(fields: Fields) -> None:
    if values.word("order_type", fields.get("order_type")) not in ("", "mkt", "market"):
        raise NotAnOrder("only market orders are placed: set order_type to MKT or leave it out")
    if values.asks(fields.get("risk_percentage")):
        raise NotAnOrder("sizing by risk is not supported: set risk_percentage to 0 and quantity to contracts")
    if values.word("inst_type", fields.get("inst_type")) not in ("", "fut") or values.any_given(fields, _OPTIONS):
        raise NotAnOrder("only futures are traded here: set inst_type to FUT or leave it out")
    updates = any(values.truthy(fields.get(name)) for name in ("update_tp", "update_sl"))
    if updates and not values.positive("quantity", fields.get("quantity")):
        raise NotAnOrder("moving the target or stop of what is held is not done by an alert: no quantity, no order")


def _single(fields: Fields) -> Exits:
    target, stop = exits.first(fields, _TP), exits.first(fields, _SL)
    return Exits((target.target,) if target else (), stop.stop if stop else None)


def _legs(fields: Fields) -> Exits | None:
    """`advance_tp_sl`: several targets with their shares, and one stop that all of them must agree on."""
    legs = fields.get("advance_tp_sl")
    if not values.given(legs) or legs == []:
        return None
    if not isinstance(legs, list) or len(legs) > 10 or not all(isinstance(leg, dict) for leg in legs):
        raise NotAnOrder("the field advance_tp_sl must be a list of at most 10 objects")
    targets = tuple(_target(leg, index) for index, leg in enumerate(legs))
    return Exits(_shares(legs, targets), _one_stop(legs))


def _unknown_in_legs(fields: Fields) -> tuple[str, ...]:
    legs = fields.get("advance_tp_sl")
    names = {name: None for leg in legs for name in leg} if isinstance(legs, list) else {}
    return values.unknown(names, _OF_A_LEG, "advance_tp_sl.")


def _target(leg: Fields, index: int) -> Target:
    found = exits.first(leg, _TP, f"advance_tp_sl.{index}.")
    if found is None:
        raise NotAnOrder("each part of advance_tp_sl needs a tp, dollar_tp or percentage_tp")
    if values.flag("trail", leg.get("trail")) or values.asks(leg.get("breakeven")):
        raise NotAnOrder("trailing and break-even stops of single parts of advance_tp_sl are not supported")
    return found.target


def _shares(legs: list[Any], targets: Iterable[Target]) -> tuple[Target, ...]:
    counts = [values.positive("advance_tp_sl.quantity", leg.get("quantity")) for leg in legs]
    total = sum((count for count in counts if count), Decimal(0))
    if not all(counts) or not total:
        raise NotAnOrder("each part of advance_tp_sl needs a quantity")
    percents = (100 * count / total for count in counts if count)
    return tuple(Target(t.distance, t.price, percent) for t, percent in zip(targets, percents, strict=True))


def _one_stop(legs: list[Any]) -> Stop | None:
    found = {exits.first(leg, _SL, "advance_tp_sl.") for leg in legs}
    if len(found) > 1:
        raise NotAnOrder("the parts of advance_tp_sl have different stops: one stop protects the whole position here")
    (only,) = found
    return only.stop if only else None


def _matrix(fields: Fields) -> tuple[OnSameSide | None, OnOpposite | None]:
    reverse = values.flag("reverse_order_close", fields.get("reverse_order_close"))
    pyramid = values.flag("pyramid", fields.get("pyramid")) is True
    match reverse:
        case None:
            return None, None
        case True:
            return OnSameSide.ADD if pyramid else OnSameSide.REENTER, OnOpposite.REVERSE
        case False:
            return OnSameSide.ADD, OnOpposite.NET


def _no_duplicates(fields: Fields) -> bool:
    allowed = values.flag("duplicate_position_allow", fields.get("duplicate_position_allow"))
    return allowed is False or any(values.truthy(fields.get(name)) for name in _IGNORE)


def _warnings(fields: Fields) -> tuple[str, ...]:
    said = {
        "break-even was asked for and is not supported yet: that part of the alert has no effect": values.asks(
            fields.get("breakeven")
        ),
        "multiple_accounts sizes its accounts by risk or a multiplier: here the recorder's routes do": _sizes(fields),
    }
    return tuple(sentence for sentence, true in said.items() if true)


def _sizes(fields: Fields) -> bool:
    """Some account would be traded in another size than the alert's quantity."""
    accounts = fields.get("multiple_accounts")
    listed = [one for one in accounts if isinstance(one, dict)] if isinstance(accounts, list) else []
    plain = ("", "0", "1", "1.0", "0.0")
    return any(
        values.asks(one.get("risk_percentage")) or str(one.get("quantity_multiplier", "")).strip() not in plain
        for one in listed
    )


def _elsewhere(fields: Fields) -> tuple[str, ...]:
    named = [name for name in _ELSEWHERE if values.given(fields.get(name))]
    return (f"the accounts are the recorder's routes; not used: {', '.join(named)}",) if named else ()


DIALECT: Final = Dialect(
    "pickmytrade",
    recognises,
    read,
    (
        Example(
            "pickmytrade",
            "PickMyTrade: an entry that first closes whatever is held",
            {
                "symbol": "MNQ1!",
                "data": "buy",
                "quantity": "1",
                "price": "24500.25",
                "tp": 0,
                "dollar_tp": 10,
                "sl": 0,
                "dollar_sl": 20,
                "reverse_order_close": True,
                "pyramid": False,
            },
        ),
        Example("pickmytrade_close", "PickMyTrade: close", {"symbol": "MNQ1!", "data": "close", "quantity": 0}),
    ),
)
