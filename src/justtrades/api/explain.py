"""`POST /api/v1/explain`: what an alert would do, said before it does.

It is read as the webhook reads it and judged and played as the engine trades it; only the sending is missing. It
counts against no limit, keeps nothing, and an alert that the webhook would refuse is refused here with the same
sentence.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import Field
from sqlalchemy import Connection

from justtrades.api import alerts, intake
from justtrades.api.alerts import Heartbeat
from justtrades.api.intake import Arrived, Refused
from justtrades.api.known import Known
from justtrades.api.lateness import lateness, repeat
from justtrades.api.parts import Parts
from justtrades.api.problems import Problem
from justtrades.api.rates import Pace
from justtrades.api.recorders import find
from justtrades.api.schemas import DecimalText, Given, Name, Taken
from justtrades.api.security import PartsOf
from justtrades.desk import Arrival
from justtrades.positions.model import Outcome, SignalId
from justtrades.positions.recorder import Mode, Reading, Recorder
from justtrades.positions.rules import Rule
from justtrades.rehearse import Rehearsed
from justtrades.sentences import account_sentence, alert_sentence, order_rows
from justtrades.store import signals
from justtrades.store.codec import reading_text, recorder_text

router = APIRouter(tags=["explain"])

EXAMPLES: dict[str, Any] = {
    one.name: {"summary": one.summary, "value": {"recorder_id": "your recorder's name or id", "alert": one.body}}
    for one in alerts.examples()
}


class ExplainIn(Taken):
    """`recorder_id`: its id or name. `alert`: the message as TradingView would send it, an object or a text."""

    recorder_id: Name
    alert: dict[str, Any] | str


class RuleOut(Given):
    rule: str
    passed: bool
    detail: str


class OrderWould(Given):
    """One order, change or cancel. `price` is null where it follows from a fill that is not known yet."""

    deed: str
    contract: str
    purpose: str
    action: str
    quantity: int
    order_type: str
    price: DecimalText | None = None


class RouteWould(Given):
    account_id: str
    sentence: str
    contract: str | None = None
    outcome: str | None = None
    reason: str | None = None
    rules: list[RuleOut]
    orders: list[OrderWould]


class Explained(Given):
    dialect: str | None = None
    reading: dict[str, Any] | None = None
    sentence: str
    warnings: list[str]
    notes: list[str] = Field(default_factory=list)
    routes: list[RouteWould]


@router.post("/explain")
async def explain(parts: PartsOf, body: Annotated[ExplainIn, Body(openapi_examples=EXAMPLES)]) -> Explained:
    """What this alert would do now: one sentence for each account, the rules it meets, the orders. Sends nothing."""
    recorder = await parts.database.read(lambda c: _recorder(c, parts, body.recorder_id))
    arrived = _arrived(parts, recorder, body.alert)
    try:
        reading = intake.read(arrived)
    except Refused as refused:
        raise Problem(refused.status, refused.sentence) from None
    if isinstance(reading, Heartbeat):
        return Explained(sentence=f"{recorder.name}: a heartbeat, which trades nothing.", warnings=[], routes=[])
    contents = [signals.content_hash(written) for written in _as_sent(body.alert, arrived.body)]
    return await _explained(parts, arrived, reading, contents)


# ── leaves ───────────────────────────────────────────────────────────────────────────────────────────────────


def _recorder(connection: Connection, parts: Parts, id_or_name: str) -> Recorder:
    return find(connection, parts, id_or_name).recorder


def _arrived(parts: Parts, recorder: Recorder, alert: dict[str, Any] | str) -> Arrived:
    text = alert if isinstance(alert, str) else json.dumps(alert, ensure_ascii=False)
    known = Known(recorder, recorder_text(recorder), None, Pace(parts.settings.webhook_rate_per_minute))
    return Arrived(known, parts.clock(), text.encode("utf-8", "surrogatepass"))


def _as_sent(alert: dict[str, Any] | str, text: bytes) -> tuple[bytes, ...]:
    """The bytes this alert may have come in before: as written, or an object without blanks."""
    if isinstance(alert, str):
        return (text,)
    tight = json.dumps(alert, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return (text, tight, json.dumps(alert).encode())


async def _repeat(parts: Parts, recorder: Recorder, reading: Reading, contents: list[str]) -> Rule:
    """Whether it would be told as a repeat of a signal that is there already, by its own id or time."""
    key = reading.repeat_key
    if key is None:
        return repeat(reading, parts.settings.duplicate_seconds)
    first = await parts.database.read(lambda c: signals.earlier(c, recorder.id, contents, key))
    if first is None:
        return repeat(reading, parts.settings.duplicate_seconds)
    return Rule("repeat", False, f"the same alert, with its id or time, is signal {first} already")


async def _explained(parts: Parts, arrived: Arrived, reading: Reading, contents: list[str]) -> Explained:
    recorder, at = arrived.recorder, arrived.at
    until = at + timedelta(seconds=parts.settings.entry_max_age_seconds)
    routes = await parts.desk.rehearsed(Arrival(SignalId("explain"), at, until, recorder, reading))
    asked = [await _repeat(parts, recorder, reading, contents), lateness(recorder, reading, at)]
    return Explained(
        dialect=reading.dialect,
        reading=json.loads(reading_text(reading)),
        sentence=alert_sentence(recorder, reading, len(routes)),
        warnings=[*reading.warnings, *_about(recorder)],
        notes=[*reading.notes, *intake.about(recorder, reading, at)],
        routes=[would(route, recorder, asked) for route in routes],
    )


def would(one: Rehearsed, recorder: Recorder, asked: list[Rule]) -> RouteWould:
    """One account's part; a rule asked before any lane may have ended it."""
    said_no = next((rule for rule in asked if not rule.passed), None)
    if said_no is not None:
        outcome = Outcome.NO_ACTION if said_no.rule == "repeat" else Outcome.BLOCKED
        one = Rehearsed(one.account_id, one.account_name, one.contract, outcome, said_no.detail)
    sentence = account_sentence(one)
    if recorder.mode is Mode.SHADOW:
        sentence = f"{sentence.rstrip('.')}; shadow mode, so nothing is sent."
    return RouteWould(
        account_id=one.account_id,
        sentence=sentence,
        contract=one.contract or None,
        outcome=one.outcome,
        reason=one.reason,
        rules=[RuleOut.model_validate(rule) for rule in (*asked, *one.rules)],
        orders=[OrderWould.model_validate(row) for row in order_rows(one)],
    )


def _about(recorder: Recorder) -> tuple[str, ...]:
    return () if recorder.enabled else ("the recorder is disabled: its webhook answers 404",)
