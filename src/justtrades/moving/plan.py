"""What of an old database is taken, and what is not, with a reason for each kind of it. Pure.

A recorder is taken with its webhook token, so that the alerts people have at TradingView go on working; with no
account, so that nothing is traded before somebody says where. A closed trade is taken as history. An open one is
never written: what is really held, only the broker knows, so it is shown for a person to adopt.

Ids are made from the old ones: taken again, everything is found to be there already.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from justtrades.moving.old import Old, Row
from justtrades.positions.symbols import UnknownSymbol, parse_symbol

ACCOUNT: Final = "imported"
"""Stands where a trade's account would: the old one is none of ours."""
UNKNOWN_MOMENT: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TOKENS: Final = ("webhook_token", "token")
_SYMBOLS: Final = ("symbol", "ticker")
_ENABLED: Final = ("enabled", "is_enabled", "active", "is_active", "recording_enabled")
_OPENED: Final = ("opened_at", "entry_time", "created_at")
_CLOSED: Final = ("closed_at", "exit_time")
_TAKEN: Final[Mapping[str, frozenset[str]]] = {
    "recorders": frozenset({"id", "name", *_TOKENS, *_SYMBOLS, *_ENABLED, "created_at"}),
    "recorded_trades": frozenset(
        {"id", "recorder_id", "signal_id", "ticker", "action", "side", "entry_price", "exit_price", "quantity"}
        | {"tp_price", "sl_price", "status", "pnl", "pnl_ticks", "exit_reason", "broker_order_id"}
        | {"broker_strategy_id", "broker_fill_price", "broker_managed_tp_sl", *_OPENED, *_CLOSED}
    ),
    "recorder_positions": frozenset(
        {"id", "recorder_id", "account_id", "ticker", "side", "total_quantity", "avg_entry_price", "status"}
    ),
}
_SHORT_TOKEN: Final = 16


@dataclass(frozen=True, slots=True)
class OpenPosition:
    """What the old system believed it held when the file was written."""

    recorder: str
    account: str
    ticker: str
    side: str
    quantity: int
    average_price: Decimal | None


@dataclass(slots=True)
class Plan:
    """`recorders` and `trades` as `POST /import` takes them; `notes` are for people, one sentence each."""

    recorders: list[dict[str, Any]] = field(default_factory=list)
    trades: list[dict[str, Any]] = field(default_factory=list)
    open: list[OpenPosition] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    """Rows that were not taken, counted by reason."""


class NotTaken(Exception):
    """This row is not taken; the text is the reason."""


def plan(old: Old, today: datetime) -> Plan:
    made = Plan(notes=[*_about_tables(old)])
    by_old_id = _recorders(old, made, today)
    _trades(old, made, by_old_id)
    _positions(old, made, by_old_id)
    return made


# ── recorders ────────────────────────────────────────────────────────────────────────────────────────────────


def _recorders(old: Old, made: Plan, today: datetime) -> dict[str, dict[str, Any]]:
    """The recorders that are taken, by their old ids."""
    found: dict[str, dict[str, Any]] = {}
    tokens: set[str] = set()
    for row in old.tables.get("recorders", ()):
        try:
            one = _recorder(row, made, today)
            if one["token"] is not None and one["token"] in tokens:
                raise NotTaken("recorder: its webhook token is another recorder's too")
        except NotTaken as reason:
            made.refused[str(reason)] += 1
            continue
        tokens.add(one["token"])
        found[_text(row.get("id")) or ""] = one
    made.recorders = list(found.values())
    return found


def _recorder(row: Row, made: Plan, today: datetime) -> dict[str, Any]:
    name = (_text(row.get("name")) or "")[:100]
    if not name:
        raise NotTaken("recorder: it has no name")
    token = _first(row, _TOKENS, _text)
    if token is not None and not re.fullmatch(r"[!-~]{1,200}", token):
        raise NotTaken("recorder: its webhook token cannot stand in an address")
    if token is None:
        made.notes.append(f"{name}: it has no webhook token; rotate-token makes one")
    elif len(token) < _SHORT_TOKEN:
        made.notes.append(f"{name}: its webhook token is short enough to be guessed; rotate it soon")
    return {
        "id": f"old-{_word(token or _both(row.get('id'), name))}",
        "name": name,
        "token": token,
        "symbol": _symbol(row, name, made, today),
        "enabled": _first(row, _ENABLED, _flag) is not False,
    }


def _symbol(row: Row, name: str, made: Plan, today: datetime) -> str | None:
    text: str | None = _first(row, _SYMBOLS, _text)
    if text is None:
        return None
    try:
        parse_symbol(text, today.date())
    except UnknownSymbol:
        made.notes.append(f"{name}: its symbol is not known here, so the alert's ticker counts")
        return None
    return text


# ── trades ───────────────────────────────────────────────────────────────────────────────────────────────────


def _trades(old: Old, made: Plan, recorders: Mapping[str, Mapping[str, Any]]) -> None:
    for row in old.tables.get("recorded_trades", ()):
        status = (_text(row.get("status")) or "").lower()
        if status == "open":
            if "recorder_positions" in old.missing:
                _open(row, "quantity", "entry_price", made, recorders)
            continue
        try:
            if status != "closed":
                raise NotTaken("trade: its status is neither open nor closed")
            made.trades.append(_trade(row, recorders))
        except NotTaken as reason:
            made.refused[str(reason)] += 1
    made.trades.sort(key=lambda trade: (trade["opened_at"], trade["id"]))
    undated = sum(trade["opened_at"] == UNKNOWN_MOMENT.isoformat() for trade in made.trades)
    if undated:
        made.notes.append(f"{undated} closed trades have no date that can be read; they are shown as of 1970")


def _trade(row: Row, recorders: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    ticker = _text(row.get("ticker"))
    quantity = _whole(row.get("quantity"))
    side = _side(row.get("side")) or _side(row.get("action"))
    if not ticker:
        raise NotTaken("trade: it names no ticker")
    if not quantity:
        raise NotTaken("trade: its quantity is not a whole number above 0")
    if side is None:
        raise NotTaken("trade: its side is neither long nor short")
    owner = _owner(row, recorders)
    opened = _first(row, _OPENED, _moment) or UNKNOWN_MOMENT
    closed = _first(row, _CLOSED, _moment)
    return {
        "id": f"old-{_word(_both(owner, row.get('id')))}",
        "recorder_id": owner,
        "signal_id": (_text(row.get("signal_id")) or "")[:100],
        "ticker": ticker[:40],
        "action": "BUY" if side == "LONG" else "SELL",
        "side": side,
        "quantity": quantity,
        **{name: _price(row, name) for name in ("entry_price", "exit_price", "tp_price", "sl_price")},
        **{name: _price(row, name) for name in ("pnl", "pnl_ticks", "broker_fill_price")},
        "exit_reason": (_text(row.get("exit_reason")) or None) and str(row["exit_reason"])[:200],
        "broker_order_id": _text(row.get("broker_order_id")),
        "broker_strategy_id": _text(row.get("broker_strategy_id")),
        "broker_managed_tp_sl": _flag(row.get("broker_managed_tp_sl")) is True,
        "opened_at": opened.isoformat(),
        "closed_at": closed.isoformat() if closed else None,
    }


def _price(row: Row, name: str) -> str | None:
    """An amount as text; what is there and is no number ends the row: half a trade would be a wrong trade."""
    value = row.get(name)
    if value is None or value == "":
        return None
    number = _decimal(value)
    if number is None:
        raise NotTaken(f"trade: its {name} is not a number")
    return format(number, "f")


# ── positions ────────────────────────────────────────────────────────────────────────────────────────────────


def _positions(old: Old, made: Plan, recorders: Mapping[str, Mapping[str, Any]]) -> None:
    for row in old.tables.get("recorder_positions", ()):
        if (_text(row.get("status")) or "open").lower() == "open":
            _open(row, "total_quantity", "avg_entry_price", made, recorders)


def _open(row: Row, quantity: str, average: str, made: Plan, recorders: Mapping[str, Mapping[str, Any]]) -> None:
    held, side, ticker = _whole(row.get(quantity)), _side(row.get("side")), _text(row.get("ticker"))
    if held == 0:
        return
    if held is None or side is None or not ticker:
        made.refused["open position: its ticker, side or quantity cannot be read"] += 1
        return
    old_id = _text(row.get("recorder_id")) or ""
    name = recorders[old_id]["name"] if old_id in recorders else f"recorder {old_id}"
    account = _text(row.get("account_id")) or ""
    made.open.append(OpenPosition(name, account, ticker[:40], side, held, _decimal(row.get(average))))


# ── leaves ───────────────────────────────────────────────────────────────────────────────────────────────────


def _about_tables(old: Old) -> Iterable[str]:
    for name in old.missing:
        yield f"there is no table {name}"
    for name in old.cut:
        yield f"{name} has more rows than are read; the rest was left out"
    for name, columns in old.columns.items():
        rest = [column for column in columns if column not in _TAKEN[name]]
        if rest:
            yield f"not taken from {name}: {', '.join(sorted(rest))}"
    if old.others:
        yield f"other tables, not read: {', '.join(old.others)}"


def _owner(row: Row, recorders: Mapping[str, Mapping[str, Any]]) -> str:
    old_id = _text(row.get("recorder_id")) or ""
    return str(recorders[old_id]["id"]) if old_id in recorders else f"old-recorder-{old_id[:40]}"


def _word(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def _both(one: Any, other: Any) -> str:
    return f"{one}:{other}"


def _first(row: Row, names: Iterable[str], read: Callable[[Any], Any]) -> Any:
    """The first of these columns that says something."""
    return next((value for name in names if (value := read(row.get(name))) is not None), None)


def _text(value: Any) -> str | None:
    if isinstance(value, bytes) or value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = "".join(character for character in str(value).strip() if character.isprintable())
    return text[:500] or None


def _decimal(value: Any) -> Decimal | None:
    """Exactly what is written there: a REAL by the shortest text that means it."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number) < 10**12 and number.adjusted() > -20 else None


def _whole(value: Any) -> int | None:
    number = _decimal(value)
    if number is None or number != number.to_integral_value() or not 0 <= abs(number) <= 100_000:
        return None
    return abs(int(number))


def _flag(value: Any) -> bool | None:
    match value:
        case bool() | int() | float():
            return bool(value)
        case str():
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}.get(value.lower())
        case _:
            return None


def _side(value: Any) -> str | None:
    text = (_text(value) or "").upper()
    return {"LONG": "LONG", "BUY": "LONG", "SHORT": "SHORT", "SELL": "SHORT"}.get(text)


def _moment(value: Any) -> datetime | None:
    """A text date (one without a zone counts as UTC), or seconds or milliseconds since 1970."""
    number = _decimal(value)
    try:
        if number is not None and number > 10**8:
            return datetime.fromtimestamp(float(number / 1000 if number > 10**11 else number), UTC)
        found = datetime.fromisoformat(str(value).strip())
    except (ValueError, OverflowError, OSError):
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
