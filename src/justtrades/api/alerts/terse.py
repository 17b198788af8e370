"""Alerts in a few words: `BUY 1 MNQ1!`, `long MNQ1! q=1 sl=20 tp=40`, Autoview's `s=MNQ1! b=long q=1`, and
Alertatron's `Keys(MNQ1!) { market(side=buy, amount=1); } #bot`.

All of them become the same few fields, by short and long names. `tp` and `sl` count ticks, or carry a unit (`1%`,
`20 ticks` as `20t`, `15pt`, `250$`); `tpp` and `slp` are prices. Whatever is left over is not guessed at: a word that
means nothing here may have meant a limit price to its author, and `buy the dip` is no order at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from justtrades.api.alerts import exits, marks, values
from justtrades.api.alerts.just_trades import ACTIONS
from justtrades.api.alerts.model import Alert, Dialect, Example, Fields, NotAnOrder, Unreadable
from justtrades.positions.model import Stop, Target, Verb
from justtrades.positions.prices import Unit
from justtrades.positions.recorder import Reading
from justtrades.positions.roots import MONTH_LETTERS, ROOTS

_NAMES: Final = {
    **dict.fromkeys(("action", "side", "b", "book", "direction"), "action"),
    **dict.fromkeys(("symbol", "s", "sym", "ticker", "instrument"), "symbol"),
    **dict.fromkeys(("quantity", "q", "qty", "amount", "contracts", "size"), "quantity"),
    **dict.fromkeys(("type", "t", "order_type", "ordertype"), "type"),
    **dict.fromkeys(("tp", "take_profit", "takeprofit"), "tp"),
    **dict.fromkeys(("sl", "stop_loss", "stoploss"), "sl"),
    **dict.fromkeys(("c", "close"), "close"),
    **dict.fromkeys(("ts", "trail", "trailing_stop", "trailingstop"), "trail"),
    **dict.fromkeys(("ro", "reduceonly", "reduce_only"), "reduce"),
    **dict.fromkeys(("d", "disabled"), "disabled"),
    **dict.fromkeys(("qt", "quantity_type"), "quantity_type"),
    **dict.fromkeys(("a", "account"), "account"),
    **dict.fromkeys(("e", "exchange"), "exchange"),
    **dict.fromkeys(("l", "leverage"), "leverage"),
    "p": "limit",
    "fp": "limit",
}
KNOWN: Final = frozenset(
    {
        *_NAMES.values(),
        *("price", "tpp", "slp", "position", "delay", "commands"),
        *("id", "time", "date", "timestamp", "secret", "key", "token"),
    }
)
_REDUCES: Final = {Verb.BUY: Verb.CLOSE_SHORT, Verb.SELL: Verb.CLOSE_LONG}
_HELD: Final = {Verb.BUY: Verb.CLOSE_LONG, Verb.SELL: Verb.CLOSE_SHORT}

_TOKEN: Final = re.compile(r"[^\s,;]+")
_EQUALS: Final = re.compile(r"\s*=\s*")
_COUNT: Final = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6})?x?|x[0-9]{1,6}")
_COUNT_AFTER: Final = re.compile(r"[0-9]{1,3}(?:\.0{1,6})?x?|x[0-9]{1,3}")
"""After the symbol, a number with a fraction or of four digits is more likely a price than a count of contracts."""
_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{5,18}Z?")
_MONTH: Final = re.compile(r"[0-9]{1,2}-[0-9]{2}(?:[0-9]{2})?")
_SCRIPT: Final = re.compile(r"([\w .-]{1,64})\(([^(){}]{1,64})\)\s*\{([^{}]{0,2000})\}[\s;]*(?:#[\w-]+\s*){0,5}")
_CALL: Final = re.compile(r"(\w{1,40})\(([^()]{0,500})\)")
_SEEN_AT: Final = frozenset(("at", "@"))
"""The number after it is a price."""
_IDLE: Final = frozenset(("market", "mkt", "contract", "contracts", *_SEEN_AT))
_SYMBOL: Final = re.compile(rf"(?:[A-Z_]+:)?([A-Z0-9]+?)(?:[1-9]!|[{MONTH_LETTERS}](?:[0-9]{{4}}|[0-9]{{1,2}}))?")
_MOST_WORDS: Final = 40
_LONGEST: Final = 2_000
"""Characters; what is longer was not written in a few words, and looking for them takes time."""

NOT_UNDERSTOOD: Final = "a word of the alert is not understood: write ACTION QUANTITY SYMBOL, such as BUY 1 MNQ1!"


def fields_of(text: str) -> Fields | None:
    """The alert's words by name; None when it neither begins with an action nor names one."""
    if len(text) > _LONGEST:
        return None
    if (script := _SCRIPT.fullmatch(text)) is not None:
        return _script(script[1], script[2], script[3])
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    secret = _secret(lines)
    words = _TOKEN.findall(_EQUALS.sub("=", " ".join(lines[1:] if secret else lines)))
    bare = [word for word in words if "=" not in word]
    named = _named([word for word in words if "=" in word])
    if len(words) > _MOST_WORDS or not (_begins(bare) or (not bare and named.keys() & {"action", "close"})):
        return None
    return {**_bare(bare, named), **({"secret": secret} if secret else {})}


def secret_of(text: str) -> str:
    """The word that stands as a secret on the first line of a text, whatever follows; "" when there is none."""
    lines = [line.strip() for line in text[:_LONGEST].splitlines() if line.strip()]
    follows = len(lines) > 1 and ("=" in lines[1] or _action(lines[1].split()[0]) is not None)
    return _secret(lines) if follows and lines[0][0] not in '{["' else ""


def recognises(alert: Alert) -> bool:
    """By its text alone: see `fields_of`."""
    return alert.wording == "terse"


def read(alert: Alert) -> Reading:
    """The alert as an order; `NotAnOrder` when it is none, or one that cannot be done as asked."""
    fields = alert.fields
    verb = _verb(fields)
    price = values.price(fields, ("price",))
    targets, stop = _exits(fields, verb)
    exits.refuse_impossible(verb, price, targets, stop)
    trails = verb.enters and values.asks(fields.get("trail"))
    key = marks.repeat_key(fields)
    return Reading(
        dialect="terse",
        verb=verb,
        ticker=values.ticker(fields, ("symbol",)),
        quantity=_quantity(fields, verb),
        price=price,
        targets=targets,
        stop=stop,
        alert_time=marks.alert_time(fields),
        repeat_key=key,
        notes=values.unknown(fields, KNOWN),
        warnings=(
            *exits.trail_warnings(trails=trails, stop=stop),
            *_warnings(fields, verb),
            *marks.warnings(fields, key),
        ),
    )


# ── words to fields ──────────────────────────────────────────────────────────────────────────────────────────


def _action(word: str) -> Verb | None:
    return ACTIONS.get(word.lower().replace("_", "").replace("-", ""))


def _begins(bare: list[str]) -> bool:
    return bool(bare) and (_action(bare[0]) is not None or bare[0].lower() == "heartbeat")


def _secret(lines: list[str]) -> str:
    """A word alone on the first of several lines, when it is no action: a password of its own."""
    alone = len(lines) > 1 and " " not in lines[0] and "=" not in lines[0] and _action(lines[0]) is None
    return lines[0] if alone else ""


def _named(pairs: list[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        name = _NAMES.get(name.lower(), name.lower())
        if name in fields:
            raise Unreadable("the same field stands twice in the alert")
        fields[name] = value
    return fields


def _bare(words: list[str], fields: dict[str, str]) -> dict[str, str]:
    """Words without a name: the action first (`close long` is one), then quantity and symbol in any order."""
    rest = list(words)
    if rest:
        _keep(fields, "action", _two(rest))
    for index, word in enumerate(rest):
        if word.lower() in _IDLE:
            continue
        if word.startswith("@") and len(word) > 1:
            _keep(fields, "price", word[1:])
        elif index and rest[index - 1].lower() in _SEEN_AT:
            _keep(fields, "price", word)
        elif _MOMENT.fullmatch(word):
            _keep(fields, "time", word)
        elif (_COUNT_AFTER if "symbol" in fields else _COUNT).fullmatch(word.lower()):
            _keep(fields, "quantity", word.lower().strip("x"))
        elif _MONTH.fullmatch(word) and index and fields.get("symbol") == rest[index - 1]:
            fields["symbol"] += f" {word}"
        elif _is_symbol(word):
            _keep(fields, "symbol", word)
        else:
            raise NotAnOrder(NOT_UNDERSTOOD)
    return fields


def _is_symbol(word: str) -> bool:
    found = _SYMBOL.fullmatch(word.upper())
    return found is not None and found[1] in ROOTS


def _two(rest: list[str]) -> str:
    first = rest.pop(0)
    if rest and _action(first + rest[0]) is not None and _action(rest[0]) is not None:
        return f"{first}_{rest.pop(0)}"
    return first


def _keep(fields: dict[str, str], name: str, value: str) -> None:
    if name in fields:
        raise NotAnOrder(NOT_UNDERSTOOD)
    fields[name] = value


def _script(keys: str, symbol: str, commands: str) -> Fields:
    """Alertatron: exactly one `market(…)`; what it does besides (cancel, limit, wait …) would be lost."""
    parts = [part.strip() for part in commands.split(";") if part.strip()]
    call = _CALL.fullmatch(parts[0]) if len(parts) == 1 else None
    if call is None or call[1].lower() != "market":
        raise NotAnOrder("only one command market(side=…, amount=…) between the braces can be done")
    words = _TOKEN.findall(_EQUALS.sub("=", call[2]))
    if not all("=" in word for word in words):
        raise Unreadable("a part of the command market(…) is not name=value")
    return {**_named(words), "symbol": symbol.strip(), "account": keys.strip()}


# ── fields to an order ───────────────────────────────────────────────────────────────────────────────────────


def _verb(fields: Fields) -> Verb:
    if values.truthy(fields.get("disabled")):
        raise NotAnOrder("the alert says of itself that it is disabled: take d=1 out")
    verb = _side(fields)
    if verb.enters:
        _refuse(fields)
    return verb


def _side(fields: Fields) -> Verb:
    said = _action(values.word("action", fields.get("action")))
    if said is None and values.given(fields.get("action")):
        raise NotAnOrder("the action is not known: use buy, sell, long, short, close, closelong, closeshort or flat")
    if values.given(fields.get("position")):
        return _left_with(fields)
    if values.given(fields.get("close")):
        return _closes(fields, said)
    if said is None:
        raise NotAnOrder("the alert needs an action, such as BUY 1 MNQ1!")
    return _REDUCES.get(said, said) if values.truthy(fields.get("reduce")) else said


def _closes(fields: Fields, said: Verb | None) -> Verb:
    if values.word("c", fields.get("close")) != "position":
        raise NotAnOrder("orders are not cancelled by an alert: no entry rests at the broker; c=position closes")
    return Verb.CLOSE if said is None else _HELD.get(said, Verb.CLOSE)


def _left_with(fields: Fields) -> Verb:
    if values.number("position", fields.get("position")) != 0:
        raise NotAnOrder("a position other than 0 cannot be asked for in this format: use side and amount")
    return Verb.CLOSE


def _refuse(fields: Fields) -> None:
    if values.word("type", fields.get("type")) not in ("", "market", "mkt") or values.given(fields.get("limit")):
        raise NotAnOrder("only market orders are placed: take the limit price out and set the type to market")
    if values.given(fields.get("quantity_type")):
        raise NotAnOrder("only a number of contracts can be traded: take qt out")


def _quantity(fields: Fields, verb: Verb) -> Decimal | None:
    """Contracts; `100%` of what is held is all of it."""
    said = fields.get("quantity")
    whole = isinstance(said, str) and said.strip().lower() in ("100%", "100%p", "all")
    return None if whole and not verb.enters else values.quantity("quantity", said)


def _exits(fields: Mapping[str, str], verb: Verb) -> tuple[tuple[Target, ...], Stop | None]:
    if not verb.enters:
        return (), None
    target = exits.first(fields, (("tpp", None),)) or exits.with_unit("tp", fields.get("tp"), Unit.TICKS)
    stop = exits.first(fields, (("slp", None),)) or exits.with_unit("sl", fields.get("sl"), Unit.TICKS)
    return (target.target,) if target else (), stop.stop if stop else None


def _warnings(fields: Fields, verb: Verb) -> tuple[str, ...]:
    delayed = verb.enters and values.asks(fields.get("delay"))
    return ("a delay was asked for and has no effect: the order leaves at once",) if delayed else ()


DIALECT: Final = Dialect(
    "terse",
    recognises,
    read,
    (
        Example("terse", "Terse: action, quantity, symbol", "BUY 1 MNQ1!"),
        Example("terse_exits", "Terse: with target and stop in ticks", "long MNQ1! q=1 sl=40 tp=20"),
        Example("terse_pairs", "Terse: pairs, as Autoview writes them", "s=MNQ1! b=short q=1 t=market"),
        Example("terse_script", "Terse: as Alertatron writes it", "Keys(MNQ1!) { market(side=buy, amount=1); } #bot"),
        Example("terse_close", "Terse: close", "close MNQ1!"),
    ),
    fields_of,
)
