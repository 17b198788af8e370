"""3Commas alerts, of the strategy type and the custom one.

`strategy_info.market_position` is what the strategy holds once the order is done, so it decides what the order
means, as `market_position` does in Just-Trades alerts. `max_lag` bounds how old the alert may be by its own
`timestamp`. `order.amount` counts contracts, which is `currency_type: base`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from justtrades.api.alerts import marks, strategy, values
from justtrades.api.alerts.just_trades import staying, verb_of
from justtrades.api.alerts.model import Alert, Dialect, Example, Fields, NotAnOrder
from justtrades.positions.model import Verb
from justtrades.positions.recorder import Reading
from justtrades.positions.symbols import of_cme_group

KNOWN: Final = frozenset(
    {
        *("secret", "key", "token", "max_lag", "timestamp", "trigger_price", "tv_exchange", "tv_instrument", "action"),
        *("bot_uuid", "strategy_info", "order", "id", "time", "date"),
    }
)
_ORDER: Final = frozenset(("amount", "currency_type", "order_type", "price"))
_CONTRACTS: Final = ("", "base", "contracts")


def recognises(alert: Alert) -> bool:
    return "bot_uuid" in alert.fields or "strategy_info" in alert.fields or "tv_instrument" in alert.fields


def read(alert: Alert) -> Reading:
    """The alert as an order; `NotAnOrder` when it is none, or one that cannot be done as asked."""
    fields = alert.fields
    info, said = _part(fields, "strategy_info"), verb_of(fields.get("action"))
    position = values.word("strategy_info.market_position", info.get("market_position"))
    verb = staying(said, position)
    order = _part(fields, "order") if verb is not Verb.CLOSE else {}
    key = marks.repeat_key(fields)
    amount = values.carried("order.amount", order.get("amount")) if said.enters else None
    where, unclear = strategy.position(info, position, said=said, contracts=amount)
    return Reading(
        dialect="three_commas",
        verb=verb,
        ticker=_ticker(fields),
        quantity=_amount(order, said, verb),
        price=values.price(fields, ("trigger_price",)),
        position=where,
        max_age_seconds=values.seconds("max_lag", fields.get("max_lag")) if verb.enters else None,
        alert_time=marks.alert_time(fields),
        repeat_key=key,
        notes=(*_notes(said, verb), *values.unknown(fields, KNOWN), *values.unknown(order, _ORDER, "order.")),
        warnings=(*_warnings(fields), *unclear, *marks.warnings(fields, key)),
    )


def _part(fields: Fields, name: str) -> Fields:
    part: Any = fields.get(name)
    if not values.given(part):
        return {}
    if not isinstance(part, dict):
        raise NotAnOrder(f"the field {name} must be an object")
    return part


def _ticker(fields: Fields) -> str | None:
    """With its exchange when that is none of CME Group's: there the name alone means something else."""
    instrument = values.ticker(fields, ("tv_instrument",))
    exchange = fields.get("tv_exchange")
    if (
        instrument is None
        or not values.given(exchange)
        or not isinstance(exchange, str)
        or ":" in instrument
        or of_cme_group(exchange)
    ):
        return instrument
    return f"{exchange}:{instrument}"


def _amount(order: Fields, said: Verb, verb: Verb) -> Decimal | None:
    """Contracts of an entry, or of the part that a strategy which stays in takes off."""
    if verb.enters and values.word("order.order_type", order.get("order_type")) not in ("", "market"):
        raise NotAnOrder("only market orders are placed: set order_type to market or leave it out")
    if verb is Verb.CLOSE or not (verb.enters or said.enters) or not values.given(order.get("amount")):
        return None
    if values.word("order.currency_type", order.get("currency_type")) not in _CONTRACTS:
        raise NotAnOrder("only a number of contracts can be traded: set currency_type to base")
    return values.quantity("order.amount", order.get("amount"))


def _notes(said: Verb, verb: Verb) -> tuple[str, ...]:
    if said.enters and verb in (Verb.CLOSE_LONG, Verb.CLOSE_SHORT):
        return ("the strategy stays on its side after this order, so it takes a part off and never reverses",)
    return ()


def _warnings(fields: Fields) -> tuple[str, ...]:
    if values.given(fields.get("max_lag")) and marks.alert_time(fields) is None:
        return ('max_lag has no effect without the alert\'s own time: add "timestamp": "{{timenow}}"',)
    return ()


DIALECT: Final = Dialect(
    "three_commas",
    recognises,
    read,
    (
        Example(
            "three_commas",
            "3Commas: a strategy's entry",
            {
                "trigger_price": "24500.25",
                "tv_exchange": "CME_MINI",
                "tv_instrument": "MNQ1!",
                "action": "buy",
                "bot_uuid": "a-bot",
                "strategy_info": {
                    "market_position": "long",
                    "market_position_size": "1",
                    "prev_market_position": "flat",
                    "prev_market_position_size": "0",
                },
                "order": {"amount": "1", "currency_type": "base"},
            },
        ),
        Example(
            "three_commas_exit",
            "3Commas: exit",
            {"tv_instrument": "MNQ1!", "action": "exit_long", "bot_uuid": "a-bot"},
        ),
    ),
)
