"""OpenAlgo alerts: JSON with an `apikey`, of the placing and the "smart" kind.

`position_size`, where given, is the signed position the strategy is left with. 0 closes, and never opens anything:
what a strategy sends with 0 is its exit.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from justtrades.api.alerts import marks, strategy, values
from justtrades.api.alerts.just_trades import folded, staying
from justtrades.api.alerts.model import Alert, Dialect, Example, Fields, NotAnOrder
from justtrades.positions.model import Held, Verb
from justtrades.positions.recorder import Reading

_SIDES: Final = {"buy": Verb.BUY, "sell": Verb.SELL}
KNOWN: Final = frozenset(
    {
        *("apikey", "strategy", "symbol", "exchange", "action", "product", "pricetype", "quantity", "position_size"),
        *("price", "trigger_price", "disclosed_quantity", "id", "time", "date", "timestamp", "secret", "key", "token"),
    }
)


def recognises(alert: Alert) -> bool:
    fields = alert.fields
    return ("apikey" in fields or "pricetype" in fields) and "symbol" in fields and "action" in fields


def read(alert: Alert) -> Reading:
    """The alert as an order; `NotAnOrder` when it is none, or one that cannot be done as asked."""
    fields = folded(alert.fields)
    said, side = _said(fields), _left_with(values.number("position_size", fields.get("position_size")))
    verb = _verb(fields, said, side)
    contracts = (values.carried if verb is Verb.CLOSE else values.quantity)("quantity", fields.get("quantity"))
    position, unclear = strategy.position(fields, side, said=said, contracts=contracts)
    key = marks.repeat_key(alert.fields)
    return Reading(
        dialect="openalgo",
        verb=verb,
        ticker=values.ticker(fields, ("symbol",)),
        quantity=None if verb is Verb.CLOSE else contracts,
        position=position,
        alert_time=marks.alert_time(alert.fields),
        repeat_key=key,
        notes=values.unknown(fields, KNOWN),
        warnings=(*unclear, *marks.warnings(alert.fields, key)),
    )


def _said(fields: Fields) -> Verb:
    said = _SIDES.get(values.word("action", fields.get("action")))
    if said is None:
        raise NotAnOrder("the action must be BUY or SELL")
    return said


def _verb(fields: Fields, said: Verb, side: str) -> Verb:
    verb = staying(said, side)
    if verb.enters and values.word("pricetype", fields.get("pricetype")) not in ("", "market"):
        raise NotAnOrder("only market orders are placed: set pricetype to MARKET")
    return verb


def _left_with(size: Decimal | None) -> str:
    """The side of a signed size; "" when it is not given."""
    return "" if size is None else Held.of((size > 0) - (size < 0))


DIALECT: Final = Dialect(
    "openalgo",
    recognises,
    read,
    (
        Example(
            "openalgo",
            "OpenAlgo: a strategy's entry",
            {
                "apikey": "[not needed]",
                "strategy": "mine",
                "symbol": "MNQ1!",
                "exchange": "CME",
                "action": "BUY",
                "product": "NRML",
                "pricetype": "MARKET",
                "quantity": "1",
                "position_size": "1",
            },
        ),
        Example(
            "openalgo_exit",
            "OpenAlgo: a strategy's exit",
            {"apikey": "[not needed]", "symbol": "MNQ1!", "action": "SELL", "quantity": "1", "position_size": "0"},
        ),
    ),
)
