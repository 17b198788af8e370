"""One signal's receipt: its rows as they are, and one line per thing that happened, in order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from justtrades.api.phases import PhaseOut, ReconciliationOut, phases, reconciliations
from justtrades.api.records import AuditOut, FillOut, OrderOut, SignalOut, SignalRouteOut, TradeOut
from justtrades.api.schemas import Given, Moment
from justtrades.positions.rules import Rule
from justtrades.store.reads import Receipt, Row
from justtrades.store.signals import content_hash

_SHOWN = ("order_id", "action", "quantity", "order_type", "price", "purpose", "reason", "text", "why", "on")


class NoteOut(Given):
    at: Moment
    account_id: str
    contract: str
    text: str
    alarm: bool


class StepOut(Given):
    """What a lane was told and what it decided."""

    at: Moment
    account_id: str
    contract: str
    event: dict[str, Any]
    commands: list[dict[str, Any]]


class LineOut(Given):
    at: Moment
    kind: str
    account_id: str | None = None
    contract: str | None = None
    text: str


class RuleMet(Given):
    """One rule this signal met, with its numbers; no account where it was asked before any."""

    account_id: str | None = None
    contract: str | None = None
    rule: str
    passed: bool
    detail: str


class ReceiptOut(SignalOut):
    """`alert` is the body as it came, secrets removed; `reading` how it was read; `recorder` the rules it met.

    `content_hash` is the SHA-256 of the bytes as they came; `alert_is_whole` says that `alert` is exactly those.
    """

    alert: str
    content_hash: str
    alert_is_whole: bool
    reading: dict[str, Any] | None = None
    recorder: dict[str, Any] | None = None
    routes: list[SignalRouteOut]
    rules: list[RuleMet]
    phases: list[PhaseOut]
    reconciliations: list[ReconciliationOut]
    notes: list[NoteOut]
    timeline: list[LineOut]
    steps: list[StepOut]
    orders: list[OrderOut]
    fills: list[FillOut]
    trades: list[TradeOut]
    audit: list[AuditOut]


def receipt(found: Receipt, lanes: Iterable[Row]) -> ReceiptOut:
    """`lanes` as they are now: their newest comparison with the broker."""
    signal = found.signal
    steps = [_step(row) for row in found.steps]
    return ReceiptOut.model_validate(
        {
            **signal,
            "alert": bytes(signal["raw"]).decode("utf-8", "replace"),
            "reading": _object(signal["reading_json"]),
            "recorder": _object(signal["recorder_json"]),
            "alert_is_whole": content_hash(bytes(signal["raw"])) == signal["content_hash"],
            "routes": found.routes,
            "rules": [*_rules(found)],
            "phases": phases(found, steps),
            "reconciliations": reconciliations(found, lanes),
            "notes": found.notes,
            "timeline": timeline(found, steps),
            "steps": steps,
            "orders": found.orders,
            "fills": found.fills,
            "trades": found.trades,
            "audit": found.audit,
        }
    )


def _rules(found: Receipt) -> Iterator[Row]:
    for note in found.notes:
        if (rule := Rule.read(note["text"])) is not None:
            yield {**_where(note), "rule": rule.rule, "passed": rule.passed, "detail": rule.detail}


def timeline(found: Receipt, steps: list[Row]) -> list[Row]:
    """Everything with a moment, oldest first; equal moments stay in the order cause before effect."""
    lines = [*_arrival(found.signal), *_notes(found), *_steps(steps), *_calls(found), *_fills(found), *_ends(found)]
    return sorted(lines, key=lambda line: line["at"])


def _arrival(signal: Row) -> Iterator[Row]:
    how = " ".join(filter(None, (signal["dialect"], signal["verb"], signal["ticker"])))
    yield {"at": signal["received_at"], "kind": "received", "text": f"from {signal['source']}, read as: {how or '—'}"}
    if signal["status"] == "refused":
        yield {"at": signal["received_at"], "kind": "refused", "text": signal["reason"] or ""}


def _notes(found: Receipt) -> Iterator[Row]:
    for note in found.notes:
        yield {**_where(note), "kind": "alarm" if note["alarm"] else "note", "text": note["text"]}


def _steps(steps: list[Row]) -> Iterator[Row]:
    for step in steps:
        yield {**_where(step), "kind": "event", "text": _said(step["event"])}
        for command in step["commands"]:
            yield {**_where(step), "kind": "command", "text": _said(command)}


def _calls(found: Receipt) -> Iterator[Row]:
    for call in found.audit:
        answer = "no answer" if call["status"] is None else f"answer {call['status']}"
        took = "" if call["duration_ms"] is None else f" after {call['duration_ms']:.0f} ms"
        yield {"at": call["at"], "kind": "broker", "text": f"{call['method']} {call['endpoint']}: {answer}{took}"}


def _fills(found: Receipt) -> Iterator[Row]:
    for fill in found.fills:
        text = f"{fill['action']} {fill['quantity']} at {fill['price']}"
        yield {**_where(fill, "filled_at"), "kind": "fill", "text": text}


def _ends(found: Receipt) -> Iterator[Row]:
    for route in found.routes:
        if route["finished_at"] is not None:
            yield {**_where(route, "finished_at"), "kind": "outcome", "text": _outcome(route)}
    if found.signal["finished_at"] is not None:
        yield {"at": found.signal["finished_at"], "kind": "outcome", "text": _outcome(found.signal)}


def _outcome(row: Row) -> str:
    return f"{row['outcome']}: {row['reason']}" if row["reason"] else str(row["outcome"])


def _where(row: Row, at: str = "at") -> Row:
    return {"at": row[at], "account_id": row["account_id"] or None, "contract": row["contract"] or None}


def _step(row: Row) -> Row:
    event = _object(row["event_json"]) or {}
    return {**_where(row), "event": event, "commands": json.loads(row["commands_json"])}


def _said(tagged: dict[str, Any]) -> str:
    """`{"OrderFilled": {…}}` in words, with the fields that matter to people."""
    (name, fields) = next(iter(tagged.items()), ("", {}))
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    flat = {key: value for part in (fields, *fields.values()) if isinstance(part, dict) for key, value in part.items()}
    told = [f"{key} {flat[key]}" for key in _SHOWN if key in flat and not isinstance(flat[key], dict)]
    return f"{words} ({', '.join(told)})" if told else words


def _object(text: str | None) -> dict[str, Any] | None:
    value = json.loads(text) if text else None
    return value if isinstance(value, dict) else None
