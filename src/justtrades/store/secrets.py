"""Secrets at rest: sealed with the key of `SECRET_KEY`, or kept as a hash only.

What must be used again (a password, an access token) is sealed with AES-256-GCM and bound to the row it belongs
to: moved to another row or column it does not open. What only has to be recognised (webhook tokens, admin keys)
is kept as its SHA-256; both are 256 bits of chance, so nothing slower is needed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32


class NotOpened(Exception):
    """Sealed with another key, for another row, or damaged."""


class Box:
    """Seals and opens with one key. `about` names the row and column, such as `connection:01J…:secrets`."""

    def __init__(self, key: str) -> None:
        """`key` as `new_key` made it; ValueError when it is not 32 bytes in base 64."""
        self._cipher = AESGCM(_decoded(key))

    def __repr__(self) -> str:
        return "Box(…)"

    def seal(self, plain: str, about: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, plain.encode(), about.encode())

    def open(self, sealed: bytes, about: str) -> str:
        """Raises `NotOpened`."""
        nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if sealed[:1] != _VERSION:
            raise NotOpened("a stored secret has an unknown form")
        try:
            return self._cipher.decrypt(nonce, body, about.encode()).decode()
        except (InvalidTag, ValueError):
            raise NotOpened("a stored secret does not open: is SECRET_KEY the one it was sealed with?") from None


def new_key() -> str:
    """A key for `Box`: 256 bits in URL-safe base 64."""
    return base64.urlsafe_b64encode(os.urandom(_KEY_BYTES)).decode()


def new_token() -> str:
    """A webhook token or admin key: 256 bits, safe in a URL."""
    return secrets.token_urlsafe(_KEY_BYTES)


def hashed(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _decoded(key: str) -> bytes:
    try:
        decoded = base64.b64decode(key.strip().replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) != _KEY_BYTES:
        raise ValueError("the secret key must be 32 bytes in base 64")
    return decoded
