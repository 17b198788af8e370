"""Recorders and their webhook tokens.

The rules are one JSON text. The secret an alert must carry is sealed apart; a token is kept as its hash only,
so nobody who reads the database can send an alert. Rotation leaves the old token valid for a while, because the
alert in TradingView has to be edited by hand.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, select

from justtrades.positions.model import RecorderId
from justtrades.positions.recorder import Recorder
from justtrades.store import codec
from justtrades.store.secrets import Box, NotOpened, hashed, new_token
from justtrades.store.tables import recorder_tokens, recorders

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RecorderRow:
    recorder: Recorder
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ValidToken:
    """Whose token a hash is; `expires_at` is None unless it was rotated out."""

    hash: str
    recorder_id: RecorderId
    expires_at: datetime | None


_R = recorders.c
_T = recorder_tokens.c
_seen: Final = select(recorders)
_rules: Final = recorders.update().where(_R.id == bindparam("b_id"))
_valid: Final = (_T.expires_at.is_(None)) | (_T.expires_at > bindparam("now"))
_tokens: Final = select(recorder_tokens).join(recorders, _R.id == _T.recorder_id).where(_valid & _R.enabled.is_(True))


def add(connection: Connection, box: Box, recorder: Recorder, token: str | None, at: datetime) -> None:
    """A new recorder with its first token (made by `secrets.new_token`), or without one until it is rotated."""
    values = {**_values(box, recorder), "id": recorder.id, "created_at": at, "updated_at": at}
    connection.execute(recorders.insert(), values)
    if token is not None:
        _add_token(connection, recorder.id, token, at)


def edit(connection: Connection, box: Box, recorder: Recorder, at: datetime) -> bool:
    """Replace its rules; False when there is no such recorder. Signals under way keep the rules they have."""
    changed = _rules.values(**_values(box, recorder), updated_at=at)
    return connection.execute(changed, {"b_id": recorder.id}).rowcount > 0


def get(connection: Connection, box: Box, recorder_id: RecorderId) -> RecorderRow | None:
    row = connection.execute(_seen.where(_R.id == recorder_id)).one_or_none()
    return _row(box, row) if row is not None else None


def every(connection: Connection, box: Box) -> list[RecorderRow]:
    """All of them, disabled ones included, the newest first."""
    return [_row(box, row) for row in connection.execute(_seen.order_by(_R.id.desc()))]


def rules(connection: Connection) -> list[Recorder]:
    """The rules of all recorders, without the secrets their alerts must carry."""
    return [codec.recorder_from(text) for text in connection.execute(select(_R.rules_json)).scalars()]


def rotate(connection: Connection, recorder_id: RecorderId, token: str, overlap: timedelta, at: datetime) -> datetime:
    """Make `token` the recorder's; the old one stays valid until the moment returned (no overlap: not at all)."""
    until = at + overlap
    of_recorder = _T.recorder_id == recorder_id
    if overlap > timedelta(0):
        older = recorder_tokens.update().where(of_recorder & _T.expires_at.is_(None)).values(expires_at=until)
        connection.execute(older)
    else:
        connection.execute(recorder_tokens.delete().where(of_recorder))
    _add_token(connection, recorder_id, token, at)
    return until


def valid_tokens(connection: Connection, now: datetime) -> list[ValidToken]:
    """Every token that opens an enabled recorder now."""
    found = connection.execute(_tokens, {"now": now})
    return [ValidToken(row.hash, row.recorder_id, row.expires_at) for row in found]


def _add_token(connection: Connection, recorder_id: RecorderId, token: str, at: datetime) -> None:
    row = {"hash": hashed(token), "recorder_id": recorder_id, "created_at": at, "expires_at": None}
    connection.execute(recorder_tokens.insert(), row)


def _values(box: Box, recorder: Recorder) -> dict[str, Any]:
    secret = recorder.secret
    return {
        "name": recorder.name,
        "rules_json": codec.recorder_text(recorder),
        "secret": box.seal(secret, about(recorder.id)) if secret is not None else None,
        "enabled": recorder.enabled,
    }


def _row(box: Box, row: Row[Any]) -> RecorderRow:
    recorder = codec.recorder_from(row.rules_json)
    if row.secret is not None:
        recorder = replace(recorder, secret=_opened(box, row))
    return RecorderRow(recorder, row.created_at, row.updated_at)


def _opened(box: Box, row: Row[Any]) -> str:
    """The secret, or one that nobody knows: a recorder whose secret does not open takes no alert, the others go on."""
    try:
        return box.open(row.secret, about(row.id))
    except NotOpened as error:
        log.error("recorder %s takes no alert until it is given a new secret: %s", row.name, error)
        return new_token()


def about(recorder_id: str) -> str:
    """What a recorder's secret is bound to."""
    return f"recorders:{recorder_id}:secret"
