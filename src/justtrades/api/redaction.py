"""Secrets taken out of a text before it is kept: values of telling names, and the recorder's own secret.

Works on text that is no valid JSON too, since what was refused is kept as well.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

KEPT: Final = 4096
REMOVED: Final = "[removed]"

_NAMES: Final = (
    r"secret|pass(?:word|phrase|wd)?|pwd|token|key|api[_-]?key|auth(?:orization)?|[a-z_]*(?:secret|token|password)"
)
_IN_JSON: Final = re.compile(rf'("(?:{_NAMES})"\s*:\s*)("(?:[^"\\]|\\.)*"?|[^\s,}}\]]+)', re.IGNORECASE)
_IN_TEXT: Final = re.compile(rf"\b((?:{_NAMES})\s*=\s*)[^\s;,&]+", re.IGNORECASE)
_OF_ACTS: Final = re.compile(_NAMES, re.IGNORECASE)
_KNOWN: Final = {
    "connections": frozenset({"name", "environment", "auth", "username", "app_id", "app_version", "enabled"}),
    "notifications": frozenset({"name", "kinds"}),
}
_TELLING: Final = re.compile(rb"secret|pass|pwd|token|key|auth", re.IGNORECASE)


def redacted(body: bytes, secret: str | None) -> bytes:
    """The body as it may be stored. An alert without any telling word comes back as it is."""
    if secret is None and not _TELLING.search(body):
        return body
    return redacted_text(body.decode("utf-8", "replace"), secret).encode()


def redacted_text(text: str, secret: str | None) -> str:
    cleaned = _IN_TEXT.sub(rf"\1{REMOVED}", _IN_JSON.sub(rf'\1"{REMOVED}"', text))
    return cleaned.replace(secret, REMOVED) if secret else cleaned


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
