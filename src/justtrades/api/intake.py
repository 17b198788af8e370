"""What an alert of a known token comes to: an order read by the recorder's rules, or the reason why not.

No database and no HTTP here: bytes and a recorder in, a `NewSignal` out, or `Refused` with what to answer.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from justtrades.api import alerts
from justtrades.api.alerts import Alert, AlertError, Heartbeat, NotAnOrder, Unreadable
from justtrades.api.known import Known
from justtrades.api.lateness import lateness, repeat
from justtrades.api.rates import Bucket
from justtrades.api.redaction import redacted
from justtrades.positions.model import OnOpposite, Outcome, SignalId
from justtrades.positions.recorder import QuantityFrom, Reading, Recorder
from justtrades.positions.symbols import UnknownSymbol, parse_symbol
from justtrades.store.codec import reading_text
from justtrades.store.signals import NewRoute, NewSignal

SOURCE: Final = "webhook"


@dataclass(frozen=True, slots=True)
class Arrived:
    """An alert of a known token, as far as it was read. All moments are aware UTC."""

    known: Known
    at: datetime
    body: bytes = b""

    @property
    def recorder(self) -> Recorder:
        return self.known.recorder


class Refused(Exception):
    """An alert of a known token that becomes no signal: what is answered and what is kept."""

    def __init__(self, status: int, sentence: str, wait: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.wait = wait


def read(arrived: Arrived) -> Reading | Heartbeat:
    """The order in the alert; `Refused` when there is none, or too many came."""
    pace, recorder = arrived.known.pace, arrived.recorder
    try:
        alert = alerts.parse(arrived.body)
        _check_secret(recorder, alert)
        reading = alerts.read(alert, recorder.dialect)
        _check_ticker(recorder, reading)
    except AlertError as error:
        _take(pace.entries, arrived)
        raise Refused(400 if isinstance(error, Unreadable) else 422, error.sentence) from None
    exits = isinstance(reading, Reading) and not reading.verb.enters
    _take(pace.exits if exits else pace.entries, arrived)
    return reading


def new_signal(
    arrived: Arrived,
    reading: Reading,
    *,
    signal_id: SignalId,
    content_hash: str,
    expires_at: datetime,
    duplicate_seconds: int,
) -> NewSignal:
    """What is stored of it, with its recorder's rules as they stand now."""
    recorder = arrived.recorder
    return NewSignal(
        id=signal_id,
        received_at=arrived.at,
        source=SOURCE,
        content_hash=content_hash,
        raw=redacted(arrived.body, recorder.secret),
        recorder_id=recorder.id,
        repeat_key=reading.repeat_key,
        duplicate_seconds=duplicate_seconds,
        expires_at=expires_at,
        dialect=reading.dialect,
        verb=reading.verb,
        ticker=reading.ticker,
        reading_json=reading_text(reading),
        recorder_json=arrived.known.rules_json,
        routes=_routes(recorder, reading, arrived.at),
        notes=(
            *(rule.text for rule in (repeat(reading, duplicate_seconds), lateness(recorder, reading, arrived.at))),
            *(*reading.notes, *reading.warnings, *about(recorder, reading, arrived.at)),
        ),
    )


# ── leaves ───────────────────────────────────────────────────────────────────────────────────────────────────


def _take(bucket: Bucket, arrived: Arrived) -> None:
    if not bucket.take(arrived.at.timestamp()):
        raise Refused(429, "too many alerts", bucket.wait)


def _check_secret(recorder: Recorder, alert: Alert) -> None:
    if recorder.secret is None:
        return
    sent = (alert.fields.get(name) for name in ("secret", "key", "token"))
    told = [str(value) for value in sent if isinstance(value, str | int | Decimal) and not isinstance(value, bool)]
    wanted = recorder.secret.encode()
    if not any(hmac.compare_digest(value.encode("utf-8", "replace"), wanted) for value in told):
        raise NotAnOrder("the alert does not carry this recorder's secret in its field secret, key or token")


def _check_ticker(recorder: Recorder, reading: Reading | Heartbeat) -> None:
    if isinstance(reading, Reading) and recorder.symbol is None and reading.ticker is None:
        raise NotAnOrder('the alert needs a ticker, such as "ticker": "MNQ1!", because its recorder names no symbol')


def _routes(recorder: Recorder, reading: Reading, at: datetime) -> tuple[NewRoute, ...]:
    """The accounts this signal is for. A rule that needs no lane to say no says it here."""
    outcome, reason = _over_at_once(recorder, reading, at)
    return tuple(NewRoute(route.account_id, "", outcome, reason) for route in recorder.routes if route.enabled)


def _over_at_once(recorder: Recorder, reading: Reading, at: datetime) -> tuple[Outcome | None, str | None]:
    late = lateness(recorder, reading, at)
    return (None, None) if late.passed else (Outcome.BLOCKED, late.detail)


def about(recorder: Recorder, reading: Reading, at: datetime) -> tuple[str, ...]:
    """What alert and recorder come to together, where that may surprise."""
    return (*_about_symbol(recorder, reading, at), *_about_size(recorder, reading))


def _about_size(recorder: Recorder, reading: Reading) -> tuple[str, ...]:
    """An order that nets closes what its author means only with its author's number of contracts."""
    nets = reading.verb.enters and reading.on_opposite is OnOpposite.NET and reading.quantity is not None
    if not nets or recorder.quantity_from is QuantityFrom.ALERT:
        return ()
    return ("the alert's order nets, here with the recorder's quantity: set quantity_from to alert to use its own",)


def _about_symbol(recorder: Recorder, reading: Reading, at: datetime) -> tuple[str, ...]:
    """A recorder with a symbol of its own trades that, whatever the alert says; a difference is worth a note."""
    if recorder.symbol is None or reading.ticker is None or recorder.symbol == reading.ticker:
        return ()
    try:
        same = parse_symbol(recorder.symbol, at.date()) == parse_symbol(reading.ticker, at.date())
    except UnknownSymbol:
        return ("the alert's ticker is not known here; the recorder's own symbol is what is traded",)
    return () if same else ("the alert's ticker is another than the recorder's symbol, which is what is traded",)
