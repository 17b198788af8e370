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
_OF_ACTS: Final = re.compile(rf"{_NAMES}|sec|cid|code|device_id|url", re.IGNORECASE)
"""What people send to the API besides: an API key's id and secret, a place to tell with its token."""
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


def kept_act(body: bytes) -> str:
    """What a person sent to the API, as the audit keeps it."""
    try:
        return kept(json.dumps(_without_secrets(json.loads(body)), ensure_ascii=False).encode(), None)
    except ValueError:
        return kept(body, None)


def _without_secrets(value: Any) -> Any:
    match value:
        case dict():
            return {
                name: REMOVED if one is not None and _OF_ACTS.fullmatch(name) else _without_secrets(one)
                for name, one in value.items()
            }
        case list():
            return [_without_secrets(one) for one in value]
        case _:
            return value
