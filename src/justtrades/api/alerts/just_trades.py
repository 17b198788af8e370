"""Just-Trades alerts, with all the names its users' alerts carry.

Field names are read whatever their case. `tp`, `sl` and their aliases count ticks, `…percent` percent of the
average, `…dollar` dollars per contract; a distance in ticks wins over dollars, dollars over percent. A trailing stop
that is the only one rests as a fixed one where it would begin, so that no trade is left without.

What the strategy says of its own position decides what an order of the strategy means. `sell` while it is then
`flat` is an exit, whatever its size. `sell` while it stays `long` (or `buy` while it stays `short`) takes a part
off. Without such a field `sell` is an order to sell, by the recorder's rules.

The words for "close" mean all of it: templates carry the entry's quantity along, and a position that was added
to would else stay open in part after its author had closed it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from justtrades.api.alerts import exits, marks, strategy, values
from justtrades.api.alerts.model import Alert, Dialect, Example, Fields, NotAnOrder
from justtrades.positions.model import Held, Stop, Target, Verb
from justtrades.positions.prices import Distance, Unit
from justtrades.positions.recorder import Reading

ACTIONS: Final = {
    **dict.fromkeys(("buy", "long", "buylong", "enterlong", "entrylong", "longentry", "openlong"), Verb.BUY),
    **dict.fromkeys(("sell", "short", "sellshort", "entershort", "entryshort", "shortentry", "openshort"), Verb.SELL),
    **dict.fromkeys(("closelong", "exitlong", "longexit", "longclose"), Verb.CLOSE_LONG),
    **dict.fromkeys(("closeshort", "exitshort", "shortexit", "shortclose"), Verb.CLOSE_SHORT),
    **dict.fromkeys(("close", "exit", "flat", "flatten", "closeposition", "closeall", "exitall"), Verb.CLOSE),
}
TICKERS: Final = ("ticker", "symbol", "instrument")
PRICES: Final = ("price", "close", "last")
QUANTITIES: Final = ("quantity", "qty", "contracts", "size")
POSITIONS: Final = ("position", "market_position")
IGNORE: Final = ("same_direction_ignore", "ignore_same_direction", "no_duplicate")

_TICKS: Final = (("tp", "tp_ticks", "take_profit"), ("sl", "sl_ticks", "stop_loss"))
_DOLLARS: Final = (("tp_dollar", "dollar_tp"), ("sl_dollar", "dollar_sl"))
_PERCENT: Final = (
    ("tp_percent", "tp_percentage", "percentage_tp"),
    ("sl_percent", "sl_percentage", "percentage_sl"),
)
_TRAIL: Final = ("trail", "trailing_stop")
_A_TRAIL: Final = "a trailing stop"
_NOT_YET: Final = {
    _A_TRAIL: (
        *(*_TRAIL, "trail_trigger", "trail_start"),
        *("trail_freq", "trail_frequency", "trail_interval"),
    ),
    "break-even": ("breakeven", "break_even_offset", "breakeven_offset"),
    "sizing by risk": (
        *("risk", "risk_percent", "risk_percentage"),
        *("risk_dollar", "risk_dollars", "risk_amount"),
    ),
}
_ANY_NOT_YET: Final = frozenset(name for names in _NOT_YET.values() for name in names)
KNOWN: Final = frozenset(
    {
        *(
            "action",
            "id",
            "secret",
            "key",
            "token",
            "position_size",
            *TICKERS,
            *PRICES,
            *QUANTITIES,
            *POSITIONS,
            *IGNORE,
        ),
        *(*strategy.SIZES, *strategy.SIDES_BEFORE, *strategy.SIZES_BEFORE),
        *(name.lower() for name in marks.TIMES),
        *(name for names in (*_TICKS, *_DOLLARS, *_PERCENT) for name in names),
        *_ANY_NOT_YET,
    }
)
_LIKE_A_PRICE: Final = (Decimal("0.8"), Decimal("1.25"))


@dataclass(frozen=True, slots=True)
class Asked:
    """What the action comes to once the strategy's own position is considered; `said` and `contracts` as written."""

    verb: Verb
    quantity: Decimal | None
    said: Verb
    contracts: Decimal | None
    notes: tuple[str, ...] = ()


def read(alert: Alert) -> Reading:
    """The alert as an order; `NotAnOrder` when it is none."""
    fields = folded(alert.fields)
    asked = _asked(fields)
    price = values.price(fields, PRICES)
    targets, stop, warned = _exits(fields, price) if asked.verb.enters else ((), None, ())
    key = marks.repeat_key(alert.fields)
    position, unclear = strategy.position(fields, _position(fields), said=asked.said, contracts=asked.contracts)
    return Reading(
        dialect="just_trades",
        verb=asked.verb,
        ticker=values.ticker(fields, TICKERS),
        quantity=asked.quantity,
        price=price,
        targets=targets,
        stop=stop,
        ignore_same_side=any(values.truthy(fields.get(name)) for name in IGNORE),
        position=position,
        alert_time=marks.alert_time(alert.fields),
        repeat_key=key,
        notes=(*asked.notes, *values.unknown(fields, KNOWN)),
        warnings=(*warned, *unclear, *marks.warnings(alert.fields, key)),
    )


def folded(fields: Fields) -> Fields:
    """Field names in lower case; `NotAnOrder` when two of them differ only in case."""
    lower = {name.strip().lower(): value for name, value in fields.items()}
    if len(lower) != len(fields):
        raise NotAnOrder("two fields of the alert differ only in upper and lower case")
    return lower


def verb_of(action: Any) -> Verb:
    """What an action word means; `NotAnOrder` when it means nothing known."""
    if not values.given(action):
        raise NotAnOrder('the alert needs an action, such as "action": "buy"')
    spelled = values.word("action", action)
    verb = ACTIONS.get(spelled.replace("_", "").replace("-", "").replace(" ", ""))
    if verb is None:
        raise NotAnOrder("the action is not known: use buy, sell, long, short, close, closelong, closeshort or flat")
    return verb


def staying(verb: Verb, position: str) -> Verb:
    """The verb once the strategy's position after the order is known: "" when it does not say."""
    if position == "flat" and verb.enters:
        return Verb.CLOSE
    if verb is Verb.SELL and position == "long":
        return Verb.CLOSE_LONG
    if verb is Verb.BUY and position == "short":
        return Verb.CLOSE_SHORT
    return verb


def _asked(fields: Fields) -> Asked:
    said = verb_of(fields.get("action"))
    position = _position(fields)
    verb = staying(said, position)
    whole = not verb.enters and (not said.enters or position == "flat")
    quantity = (values.carried if whole else values.quantity)(*values.first(fields, QUANTITIES))
    if verb.enters:
        return Asked(verb, quantity, said, quantity)
    if said.enters and position != "flat":
        note = f"the strategy stays {position} after this order, so it takes a part off and never reverses"
        return Asked(verb, quantity, said, quantity, (note,))
    if quantity:
        note = "a close means the whole position; the alert's quantity is not used"
        return Asked(verb, None, said, quantity, (note,))
    return Asked(verb, None, said, None)


def _position(fields: Fields) -> str:
    """`long`, `short` or `flat` once the order is done. Without such a word a size of 0 is flat and one below 0 short;
    one above 0 may be without its sign, and says nothing here."""
    _, value = values.first(fields, POSITIONS)
    if isinstance(value, str) and value.strip().lower() in (*Held,):
        return value.strip().lower()
    size = strategy.size_of(fields, (*strategy.SIZES, *POSITIONS))
    return "" if size is None or size > 0 else Held.of((size > 0) - (size < 0))


def _exits(fields: Fields, price: Decimal | None) -> tuple[tuple[Target, ...], Stop | None, tuple[str, ...]]:
    profit, loss = _distance(fields, 0), _distance(fields, 1)
    targets = (Target(distance=profit),) if profit else ()
    stop = Stop(distance=found) if (found := loss or _trailing(fields)) else None
    warned = (_like_a_price(name, found, price) for name, found in (("tp", profit), ("sl", loss)))
    return targets, stop, (*filter(None, warned), *_cannot_yet(fields, stop))


def _trailing(fields: Fields) -> Distance | None:
    """Where a trailing stop begins, in ticks, when it is the only one; 1 and true only switch it on."""
    _, value = values.first(fields, _TRAIL)
    ticks = values.carried("trail", value)
    return Distance(ticks, Unit.TICKS) if ticks is not None and ticks > 1 else None


def _distance(fields: Fields, side: int) -> Distance | None:
    """Ticks, else dollars, else percent; 0 is the profit's side, 1 the loss's."""
    for names, unit in ((_TICKS, Unit.TICKS), (_DOLLARS, Unit.DOLLARS), (_PERCENT, Unit.PERCENT)):
        for name in names[side]:
            if value := values.positive(name, fields.get(name)):
                return Distance(value, unit)
    return None


def _like_a_price(name: str, found: Distance | None, price: Decimal | None) -> str:
    if found is None or found.unit is not Unit.TICKS or found.value < 1000 or not price or price < 0:
        return ""
    low, high = _LIKE_A_PRICE
    close = low * price <= found.value <= high * price
    return f"{name} counts ticks, but its value looks like a price" if close else ""


def _cannot_yet(fields: Fields, stop: Stop | None) -> tuple[str, ...]:
    if _ANY_NOT_YET.isdisjoint(fields):
        return ()
    asked = [what for what, names in _NOT_YET.items() if any(values.asks(fields.get(name)) for name in names)]
    return tuple(
        exits.NO_TRAIL
        if what == _A_TRAIL and stop is not None
        else f"{what} was asked for and is not supported yet: that part of the alert has no effect"
        for what in asked
    )


def _recognises(alert: Alert) -> bool:
    """The dialect that takes the rest."""
    return alert.wording is None


DIALECT: Final = Dialect(
    "just_trades",
    _recognises,
    read,
    (
        Example(
            "just_trades",
            "Just-Trades: buy with a target and a stop in ticks",
            {
                "action": "buy",
                "ticker": "MNQ1!",
                "price": "24500.25",
                "quantity": "1",
                "tp_ticks": "20",
                "sl_ticks": "40",
            },
        ),
        Example(
            "just_trades_strategy_exit",
            "Just-Trades: a strategy's exit",
            {"action": "sell", "ticker": "MNQ1!", "price": "24510.25", "quantity": "1", "market_position": "flat"},
        ),
    ),
)
