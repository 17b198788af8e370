"""TV-Hub alerts: JSON with `pair` and the switches `isBuy`, `isSell`, `isClose`; only its market orders.

Most of its 84 fields are about other markets. What would place another order than a market one, or size it otherwise
than in contracts, is refused; its own targets and stops are not read, and the receipt lists what was ignored.
"""

from __future__ import annotations

from typing import Final

from justtrades.api.alerts import marks, values
from justtrades.api.alerts.model import Alert, Dialect, Example, Fields, NotAnOrder
from justtrades.positions.model import Verb
from justtrades.positions.recorder import Reading

SWITCHES: Final = {"isBuy": Verb.BUY, "isSell": Verb.SELL, "isClose": Verb.CLOSE}
_ONLY: Final = {"closeLong": Verb.CLOSE_LONG, "closeShort": Verb.CLOSE_SHORT}
_REFUSED: Final = ("isLimit", "isStop", "useDca", "hedgeMode")
_PROTECTS: Final = ("stop", "takeprofit", "target", "trail")
KNOWN: Final = frozenset(
    {
        *("exchange", "pair", "token", "apiKey", "isMarket", "units", "unitsType", "price", "alertTimestamp", "delay"),
        *("retries", "id", "time", "date", "timestamp", "secret", "key", *SWITCHES, *_ONLY, *_REFUSED),
    }
)


def recognises(alert: Alert) -> bool:
    return "pair" in alert.fields and not SWITCHES.keys().isdisjoint(alert.fields)


def read(alert: Alert) -> Reading:
    """The alert as an order; `NotAnOrder` when it is none, or one that cannot be done as asked."""
    fields = alert.fields
    verb = _verb(fields)
    if verb.enters:
        _refuse(fields)
    key = marks.repeat_key(fields)
    return Reading(
        dialect="tv_hub",
        verb=verb,
        ticker=values.ticker(fields, ("pair",)),
        quantity=values.quantity("units", fields.get("units")) if verb.enters else None,
        price=values.price(fields, ("price",)),
        alert_time=marks.alert_time(fields),
        repeat_key=key,
        notes=values.unknown(fields, KNOWN),
        warnings=(*_warnings(fields, verb), *marks.warnings(fields, key)),
    )


def _verb(fields: Fields) -> Verb:
    on = [verb for name, verb in SWITCHES.items() if values.flag(name, fields.get(name))]
    if len(on) != 1:
        raise NotAnOrder("exactly one of isBuy, isSell and isClose must be true")
    only = [verb for name, verb in _ONLY.items() if values.flag(name, fields.get(name))]
    return only[0] if on[0] is Verb.CLOSE and len(only) == 1 else on[0]


def _refuse(fields: Fields) -> None:
    if any(values.truthy(fields.get(name)) for name in _REFUSED):
        raise NotAnOrder("only plain market orders are placed: isLimit, isStop, useDca and hedgeMode are not supported")
    if values.given(fields.get("units")) and values.word("unitsType", fields.get("unitsType")) not in ("", "absolute"):
        raise NotAnOrder("only a number of contracts can be traded: set unitsType to absolute")
    protects = [name for name in fields if name not in KNOWN and any(word in name.lower() for word in _PROTECTS)]
    if any(values.asks(fields[name]) for name in protects):
        raise NotAnOrder("targets and stops of this format are not read: take them out and set them on the recorder")


def _warnings(fields: Fields, verb: Verb) -> tuple[str, ...]:
    delayed = verb.enters and values.asks(fields.get("delay"))
    return ("a delay was asked for and has no effect: the order leaves at once",) if delayed else ()


DIALECT: Final = Dialect(
    "tv_hub",
    recognises,
    read,
    (
        Example(
            "tv_hub",
            "TV-Hub: a market order",
            {"pair": "MNQ1!", "isBuy": True, "isMarket": True, "units": "1", "unitsType": "absolute"},
        ),
        Example("tv_hub_close", "TV-Hub: close", {"pair": "MNQ1!", "isClose": True}),
    ),
)
