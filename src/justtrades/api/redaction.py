"""Secrets taken out of an alert's text before it is kept: values of telling names, and the recorder's own secret.

Works on text that is no valid JSON too, since what was refused is kept as well.
"""

from __future__ import annotations

import re
from typing import Final

KEPT: Final = 4096
REMOVED: Final = "[removed]"

_NAMES: Final = (
    r"secret|pass(?:word|phrase|wd)?|pwd|token|key|api[_-]?key|auth(?:orization)?|[a-z_]*(?:secret|token|password)"
)
_IN_JSON: Final = re.compile(rf'("(?:{_NAMES})"\s*:\s*)("(?:[^"\\]|\\.)*"?|[^\s,}}\]]+)', re.IGNORECASE)
_IN_TEXT: Final = re.compile(rf"\b((?:{_NAMES})\s*=\s*)[^\s;,&]+", re.IGNORECASE)
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
