"""Secrets taken out of a text before it is kept: values of telling names, and the recorder's own secret.

Works on text that is no valid JSON too, since what was refused is kept as well.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from justtrades.api.alerts import terse

KEPT: Final = 4096
REMOVED: Final = "[removed]"

_NAMES: Final = (
    r"pass(?:wd)?|pwd|key|pointer|auth(?:orization)?|[a-z0-9_.-]{0,30}(?:secret|password|passphrase|token|api[_-]?key)"
    r"(?:[_-]?(?:id|key|value))?|[a-z0-9_.-]{0,30}[_-]key"
)
_KEYS: Final = r"(?:access|private|secret|license|bot|user|app|client|auth|webhook|account)Key"
"""Written in one word; not every name that ends with `key` is one (`monkey`)."""
_LISTED: Final = r"\[[^\]]*\]?|\{[^}]*\}?"
_IN_JSON: Final = re.compile(
    rf"""((["'])\s*(?:{_NAMES}|{_KEYS})\s*\2\s*:\s*)("(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|{_LISTED}|[^\s,}}\]]+)""",
    re.IGNORECASE,
)
_IN_TEXT: Final = re.compile(rf"\b((?:{_NAMES}|{_KEYS})\s*[=:]\s*(?:bearer\s+)?)[^\s;,&\"']+", re.IGNORECASE)
_BEARER: Final = re.compile(r"\b(bearer\s+)[^\s;,&\"']+", re.IGNORECASE)
_OF_ACTS: Final = re.compile(rf"{_NAMES}|{_KEYS}", re.IGNORECASE)
_KNOWN: Final = {
    "connections": frozenset({"name", "environment", "auth", "username", "app_id", "app_version", "enabled"}),
    "notifications": frozenset({"name", "kinds"}),
    "recorders": frozenset(
        {
            *(
                "name",
                "symbol",
                "quantity",
                "quantity_from",
                "add_quantity",
                "max_quantity",
                "on_same_side",
                "on_opposite",
            ),
            *("targets", "stop", "exits_from", "target_update", "dialect", "mode", "on_gap", "max_alert_age_seconds"),
            *("heartbeat_seconds", "routes", "enabled", "overlap_seconds"),
            *("distance", "unit", "percent", "account_id", "multiplier"),
        }
    ),
}
_TELLING: Final = re.compile(
    rb"secret|pass|pwd|token|key|auth|bearer|pointer|\\u00|\A\s*[^\s{\[]+[ \t]*[\r\n]", re.IGNORECASE
)
_ESCAPED: Final = re.compile(r"\\u00([2-7][0-9a-f])", re.IGNORECASE)
"""A plain letter, digit or mark written as an escape."""


def redacted(body: bytes, secret: str | None) -> bytes:
    """The body as it may be stored. An alert without any telling word comes back as it is."""
    if secret is None and not _TELLING.search(body):
        return body
    return redacted_text(body.decode("utf-8", "replace"), secret).encode()


def redacted_text(text: str, secret: str | None) -> str:
    cleaned = _IN_JSON.sub(rf'\1"{REMOVED}"', _plain(text))
    for pattern in (_IN_TEXT, _BEARER):
        cleaned = pattern.sub(rf"\1{REMOVED}", cleaned)
    if alone := terse.secret_of(cleaned):
        cleaned = cleaned.replace(alone, REMOVED, 1)
    for written in _as_written(secret) if secret else ():
        cleaned = cleaned.replace(written, REMOVED)
    return cleaned


def _plain(text: str) -> str:
    """Letters that need no escape without it, so that a name reads as a name; quotes and backslashes stay."""
    return _ESCAPED.sub(
        lambda found: chr(int(found[1], 16)) if found[1].lower() not in ("22", "5c") else found[0], text
    )


def _as_written(secret: str) -> tuple[str, ...]:
    """The secret itself, and as JSON may write it."""
    return (secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])


def kept(body: bytes, secret: str | None) -> str:
    """A refused alert's text, cut to a sensible length and without characters a database cannot hold."""
    text = redacted_text(body.decode("utf-8", "replace"), secret).replace("\0", "\ufffd")
    return text if len(text) <= KEPT else f"{text[:KEPT]}… [{len(body)} bytes in all]"


def kept_act(body: bytes, path: str) -> str:
    """What a person sent to this path of the API, as the audit keeps it. Where secrets are entered, only what is
    known to be none is kept: one under a misspelt name is a secret too."""
    known = next((names for part, names in _KNOWN.items() if f"/{part}" in path), None)
    try:
        sent = json.loads(body)
    except ValueError:
        sent = body.decode("utf-8", "replace")
    if known is not None and body and not isinstance(sent, dict):
        return REMOVED
    text = sent if isinstance(sent, str) else json.dumps(_without_secrets(sent, known), ensure_ascii=False)
    return kept(text.encode("utf-8", "replace"), None)


def _without_secrets(value: Any, known: frozenset[str] | None) -> Any:
    match value:
        case dict():
            return {
                name: _without_secrets(one, known) if one is None or _may_stay(name, known) else REMOVED
                for name, one in value.items()
            }
        case list():
            return [_without_secrets(one, known) for one in value]
        case _:
            return value


def _may_stay(name: str, known: frozenset[str] | None) -> bool:
    return not _OF_ACTS.fullmatch(name) if known is None else name in known
