"""CrossTrade alerts: text of `key=value;` pairs, as `command=PLACE;instrument=ES1!;action=buy;qty=1;`.

FLATPLACE, and PLACE with `flatten_first`, close what is held before they enter. REVERSEPOSITION does so only when
something is held. REVERSE names the new side by its `action`; without one only the broker's position would say it,
and an alert is read before anything is asked there, so it is refused. A price may be absolute or `25 ticks`, `1.5%`,
`15 points`, `250 dollars` away from the entry.

`account` and `destination` name nobody here: the accounts are the recorder's routes.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from justtrades.api.alerts import exits, marks, strategy, values
from justtrades.api.alerts.just_trades import staying
from justtrades.api.alerts.model import Alert, Dialect, Example, Fields, NotAnOrder, Unreadable
from justtrades.positions.model import Held, OnOpposite, OnSameSide, Stop, Target, Verb
from justtrades.positions.recorder import Reading, StrategyPosition

ENTRIES: Final = frozenset(("place", "flatplace", "reverse", "reverseposition"))
EXITS: Final = frozenset(("closeposition", "flatten", "flatteneverything"))
_SIDES: Final = {"buy": Verb.BUY, "long": Verb.BUY, "sell": Verb.SELL, "short": Verb.SELL, "sellshort": Verb.SELL}
_HELD: Final = {"long": Verb.CLOSE_LONG, "short": Verb.CLOSE_SHORT}
_REFUSED: Final = {
    **dict.fromkeys(
        ("cancel", "cancelorders", "cancelallorders", "cancelreplace", "change", "cancelandbracket"),
        "orders are not cancelled or changed by an alert: no entry rests at the broker, and targets and stops move by "
        "themselves; to leave a position use command=CLOSEPOSITION",
    ),
    "closestrategy": "ATM strategies of NinjaTrader are not known here: to leave a position use command=CLOSEPOSITION",
}
_NO_EFFECT: Final = {
    "strategy": "ATM strategies of NinjaTrader are not known here: target and stop are the alert's and the recorder's",
    "strategy_exit_block": "strategy_exit_block was asked for and has no effect",
    "delay": "a delay was asked for and has no effect: the order leaves at once",
}
_PRICED: Final = frozenset(("limit_price", "stop_price", "trail_offset", "peg_difference"))
KNOWN: Final = frozenset(
    {
        *("key", "secret", "token", "command", "account", "instrument", "action", "qty", "order_type", "tif"),
        *("take_profit", "stop_loss", "stop_loss_limit", *_PRICED),
        *("stop_loss_stop", "oco_id", "order_id", "strategy_id", "destination", "flatten_first", "max_positions"),
        *("max_position", "require_market_position", "rate_limit", "sync_strategy", "market_position"),
        *("target_quantity", *strategy.SIZES, *strategy.SIDES_BEFORE, *strategy.SIZES_BEFORE),
        *("id", "time", "date", "timestamp", *_NO_EFFECT),
    }
)
_PAIR: Final = re.compile(r"([A-Za-z][A-Za-z0-9_ ]{0,40}?)\s*=\s*(.{0,500})", re.DOTALL)
_LONGEST: Final = 8_000
_LINES: Final = re.compile(r"=[^;=\n]{0,500}\n\s*[A-Za-z][A-Za-z0-9_ ]{0,40}=")
_COMMAND: Final = re.compile(r"(?:^|;)\s*command\s*=", re.IGNORECASE)


def fields_of(text: str) -> Fields | None:
    """Lower-case names, underscores for spaces; None when the text names no command."""
    if not _COMMAND.search(text[:_LONGEST]):
        return None
    if len(text) > _LONGEST:
        raise Unreadable(f"an alert in this format has at most {_LONGEST} characters")
    if _LINES.search(text):
        raise Unreadable("two fields of the alert have no semicolon between them: end each name=value with one")
    fields: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        found = _PAIR.fullmatch(part)
        if found is None:
            raise Unreadable("a part of the alert between two semicolons is not name=value")
        name = found[1].strip().lower().replace(" ", "_")
        if name in fields:
            raise Unreadable("the same field stands twice in the alert: one alert is one command")
        fields[name] = found[2].strip()
    return fields


def recognises(alert: Alert) -> bool:
    """By its text alone: see `fields_of`."""
    return alert.wording == "crosstrade"


def read(alert: Alert) -> Reading:
    """The alert as an order; `NotAnOrder` when it is none, or one that cannot be done as asked."""
    fields = alert.fields
    command = _word(fields, "command")
    verb = _verb(fields, command)
    same_side, opposite, only_when = _against(fields, command, verb) if verb.enters else (None, None, ())
    targets, stop = _exits(fields, verb)
    position, unclear = _position(fields, verb)
    key = marks.repeat_key(fields)
    return Reading(
        dialect="crosstrade",
        verb=verb,
        ticker=values.ticker(fields, ("instrument",)),
        quantity=_quantity(fields, command, verb),
        targets=targets,
        stop=stop,
        on_same_side=same_side,
        on_opposite=opposite,
        only_when=only_when,
        max_positions=_most(fields) if verb.enters else None,
        position=position,
        alert_time=marks.alert_time(fields),
        repeat_key=key,
        notes=values.unknown(fields, KNOWN),
        warnings=(*_warnings(fields, command, verb), *unclear, *marks.warnings(fields, key)),
    )


def _word(fields: Fields, name: str) -> str:
    return values.word(name, fields.get(name)).replace("_", "").replace(" ", "")


def _verb(fields: Fields, command: str) -> Verb:
    if command in _REFUSED:
        raise NotAnOrder(_REFUSED[command])
    if command in EXITS:
        return _exit(fields)
    if command not in ENTRIES:
        raise NotAnOrder("the command is not known: use PLACE, FLATPLACE, REVERSEPOSITION, CLOSEPOSITION or FLATTEN")
    side = _SIDES.get(_word(fields, "action"))
    if side is None and command == "reverse":
        raise NotAnOrder("REVERSE without an action does not say to which side: add action=buy or action=sell, and qty")
    if side is None:
        raise NotAnOrder("the command needs action=buy or action=sell")
    _refuse(fields)
    return staying(side, _word(fields, "market_position"))


def _exit(fields: Fields) -> Verb:
    wanted = _required(fields)
    if not wanted or {Held.LONG, Held.SHORT} <= set(wanted):
        return Verb.CLOSE
    sides = [_HELD[one] for one in wanted if one in _HELD]
    if not sides:
        raise NotAnOrder("a close that requires to be flat never does anything: require long or short")
    return sides[0]


def _refuse(fields: Fields) -> None:
    if _word(fields, "order_type") not in ("", "market"):
        raise NotAnOrder("only market orders are placed: set order_type to market")
    if not _word(fields, "order_type") and values.any_given(fields, _PRICED):
        raise NotAnOrder("only market orders are placed: set order_type to market, and take its prices out")
    if values.given(fields.get("rate_limit")):
        raise NotAnOrder("rate_limit is not kept here, and without it more would be traded than asked: take it out")
    if values.given(fields.get("stop_loss_limit")):
        raise NotAnOrder("a stop rests as a stop order, never as a stop limit: use stop_loss")


def _against(fields: Fields, command: str, verb: Verb) -> tuple[OnSameSide | None, OnOpposite | None, tuple[Held, ...]]:
    """What the command does to a position that stands already; None leaves it to the recorder."""
    wanted = _required(fields)
    if command == "reverse":  # flips what is held, and enters when flat; its own side is where it wants to be
        other = Held.SHORT if verb is Verb.BUY else Held.LONG
        return OnSameSide.IGNORE, OnOpposite.REVERSE, _both(wanted, (Held.FLAT, other))
    if command == "reverseposition":
        return OnSameSide.REENTER, OnOpposite.REVERSE, _both(wanted, (Held.LONG, Held.SHORT))
    if command == "flatplace" or values.flag("flatten_first", fields.get("flatten_first")):
        return OnSameSide.REENTER, OnOpposite.REVERSE, wanted
    return None, None, wanted


def _both(wanted: tuple[Held, ...], allowed: tuple[Held, ...]) -> tuple[Held, ...]:
    found = tuple(one for one in allowed if one in wanted) if wanted else allowed
    if not found:
        raise NotAnOrder("the command and its require_market_position exclude each other: it would never trade")
    return found


def _required(fields: Fields) -> tuple[Held, ...]:
    """`flat/short`, `flat,short` or one word."""
    said = values.word("require_market_position", fields.get("require_market_position"))
    found = tuple(dict.fromkeys(word.strip() for word in re.split(r"[/,|]", said) if word.strip()))
    if any(word not in (*Held,) for word in found):
        raise NotAnOrder("require_market_position must be flat, long, short or several of them, such as flat/short")
    return tuple(Held(word) for word in found)


def _quantity(fields: Fields, command: str, verb: Verb) -> Decimal | None:
    """A flatten is all of it, and so is a strategy's order that leaves it flat."""
    if command in ("flatten", "flatteneverything") or (verb is Verb.CLOSE and command in ENTRIES):
        return None
    return values.quantity("qty", fields.get("qty"))


def _position(fields: Fields, verb: Verb) -> tuple[StrategyPosition | None, tuple[str, ...]]:
    """Where the strategy is, for an alert that asks to be kept in step with it; `target_quantity` is its size."""
    asked = fields.get("sync_strategy")
    if not (values.flag("sync_strategy", asked) if verb.enters else values.truthy(asked)):
        return None, ()
    named = {"position_size": fields.get("target_quantity"), **fields}
    said = _SIDES.get(_word(fields, "action"), verb)
    contracts = values.carried("qty", fields.get("qty"))
    return strategy.position(named, _word(fields, "market_position"), said=said, contracts=contracts)


def _most(fields: Fields) -> int | None:
    name, value = values.first(fields, ("max_positions", "max_position"))
    found = values.positive(name, value)
    if found is not None and found != int(found):
        raise NotAnOrder("max_positions must be a whole number")
    return None if found is None else int(found)


def _exits(fields: Fields, verb: Verb) -> tuple[tuple[Target, ...], Stop | None]:
    if not verb.enters:
        return (), None
    target = exits.with_unit("take_profit", fields.get("take_profit"), None)
    stop = exits.with_unit("stop_loss", fields.get("stop_loss"), None)
    return (target.target,) if target else (), stop.stop if stop else None


def _warnings(fields: Fields, command: str, verb: Verb) -> tuple[str, ...]:
    found = [said for name, said in _NO_EFFECT.items() if values.asks(fields.get(name))] if verb.enters else []
    if command == "flatteneverything":
        found.append("only what this recorder trades is flattened: for all accounts use `justtrades flatten`")
    return tuple(found)


DIALECT: Final = Dialect(
    "crosstrade",
    recognises,
    read,
    (
        Example(
            "crosstrade",
            "CrossTrade: flatten, then enter with target and stop",
            "command=PLACE; instrument=MNQ1!; action=BUY; qty=1; order_type=MARKET; tif=DAY; flatten_first=true; "
            "take_profit=20 ticks; stop_loss=40 ticks;",
        ),
        Example(
            "crosstrade_only_flat",
            "CrossTrade: enter only while flat",
            "command=PLACE; instrument=MNQ1!; action=SELL; qty=1; order_type=MARKET; tif=DAY; "
            "require_market_position=flat;",
        ),
        Example("crosstrade_close", "CrossTrade: close", "command=CLOSEPOSITION; instrument=MNQ1!;"),
    ),
    fields_of,
)
