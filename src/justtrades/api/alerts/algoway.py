"""AlgoWay alerts: JSON with `order_action`, which is an order or the position the strategy is in.

`sl_price` and `tp_price` are prices and win over `stop_loss` and `take_profit`, which count points in the sense of
MetaTrader: the smallest step of the price, a tick.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from justtrades.api.alerts import exits, marks, values
from justtrades.api.alerts.just_trades import folded
from justtrades.api.alerts.model import Alert, Dialect, Example, Fields, NotAnOrder
from justtrades.positions.model import OnOpposite, Verb
from justtrades.positions.prices import Unit
from justtrades.positions.recorder import Reading

ACTIONS: Final = {
    **dict.fromkeys(("buy", "long"), Verb.BUY),
    **dict.fromkeys(("sell", "short"), Verb.SELL),
    **dict.fromkeys(("flat", "close", "closeall", "exit"), Verb.CLOSE),
}
_SIDES: Final = {
    **dict.fromkeys(("long", "buy"), Verb.CLOSE_LONG),
    **dict.fromkeys(("short", "sell"), Verb.CLOSE_SHORT),
    "": Verb.CLOSE,
}
_TP: Final = (("tp_price", None), ("take_profit", Unit.TICKS))
_SL: Final = (("sl_price", None), ("stop_loss", Unit.TICKS))
_TRAILS: Final = frozenset(("trailing_pips", "trailing_step"))
KNOWN: Final = frozenset(
    {
        *("platform_name", "ticker", "order_action", "order_contracts", "price", "close_side", "comment", "order_type"),
        *("trade_type", "id", "time", "date", "timestamp", "secret", "key", "token", *_TRAILS),
        *(name for name, _ in (*_TP, *_SL)),
    }
)


def recognises(alert: Alert) -> bool:
    return "order_action" in alert.fields


def read(alert: Alert) -> Reading:
    """The alert as an order; `NotAnOrder` when it is none, or one that cannot be done as asked."""
    fields = folded(alert.fields)
    verb = _verb(fields)
    price = values.price(fields, ("price",))
    target, stop = (exits.first(fields, _TP), exits.first(fields, _SL)) if verb.enters else (None, None)
    targets, fixed = (target.target,) if target else (), stop.stop if stop else None
    exits.refuse_impossible(verb, price, targets, fixed)
    trails = verb.enters and any(values.asks(fields.get(name)) for name in _TRAILS)
    key = marks.repeat_key(alert.fields)
    return Reading(
        dialect="algoway",
        verb=verb,
        ticker=values.ticker(fields, ("ticker",)),
        quantity=_contracts(fields, verb),
        price=price,
        targets=targets,
        stop=fixed,
        on_opposite=_opposite(fields) if verb.enters else None,
        alert_time=marks.alert_time(alert.fields),
        repeat_key=key,
        notes=values.unknown(fields, KNOWN),
        warnings=(*exits.trail_warnings(trails=trails, stop=fixed), *marks.warnings(alert.fields, key)),
    )


def _verb(fields: Fields) -> Verb:
    said = values.word("order_action", fields.get("order_action"))
    if said in ("breakeven", "modify"):
        raise NotAnOrder("the target or stop of what is held is not moved by an alert: use buy, sell or flat")
    if said not in ACTIONS:
        raise NotAnOrder("the field order_action must be buy, sell or flat")
    if ACTIONS[said].enters:
        if values.word("order_type", fields.get("order_type")) not in ("", "market"):
            raise NotAnOrder("only market orders are placed: set order_type to market or leave it out")
        return ACTIONS[said]
    side = values.word("close_side", fields.get("close_side"))
    if side not in _SIDES:
        raise NotAnOrder("the field close_side must be long or short")
    return _SIDES[side]


def _contracts(fields: Fields, verb: Verb) -> Decimal | None:
    """Of an entry. Its template carries them along with every flat, which is all of the position."""
    return values.quantity("order_contracts", fields.get("order_contracts")) if verb.enters else None


def _opposite(fields: Fields) -> OnOpposite | None:
    said = values.word("trade_type", fields.get("trade_type"))
    if said not in ("", "netting"):
        raise NotAnOrder("a trade_type other than netting would trade another position than asked: leave it out")
    return OnOpposite.NET if said else None


DIALECT: Final = Dialect(
    "algoway",
    recognises,
    read,
    (
        Example(
            "algoway",
            "AlgoWay: an entry with target and stop",
            {
                "platform_name": "tradovate",
                "ticker": "MNQ1!",
                "order_action": "buy",
                "order_contracts": "1",
                "take_profit": 20,
                "stop_loss": 40,
            },
        ),
        Example("algoway_flat", "AlgoWay: flat", {"ticker": "MNQ1!", "order_action": "flat", "order_contracts": "1"}),
    ),
)
