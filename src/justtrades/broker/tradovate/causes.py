"""Why a log-in failed, in a sentence that says what to do about it.

The broker tells it in free text, in a user status or in flags beside them (protocol.md section 2, official and
recorded); its texts are not documented, so they are matched by their telling words and always shown as well.
Nothing is decided by the sentence: any answer without a token is a refusal (section 5: never branch on texts).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from justtrades.broker.tradovate.answers import complaint

WRONG_PASSWORD = "wrong user name or password"
WRONG_KEY = "wrong API key: check cid, sec and the key's name (app_id)"
NO_PERMISSION = (
    "the log-in works, but the broker denies what it is asked for: allow the API key to read accounts, positions "
    "and orders and to trade; on a live login a device that is not known is denied too"
)
KEY_OR_DEVICE = "the broker denies this API key or this device: check the key's permissions, and confirm the device"
DEVICE = "the broker does not know this device: confirm it in the e-mail it sent, and keep device_id as it is"
LOCKED = "the login is locked by the broker for a while"
TERMS = "the broker's terms or policies have changed: log in on its web site once and accept them"
EXPIRED = "the password has expired: set a new one on the broker's web site"
CAPTCHA = "the broker asks for a captcha: log in on its web site once, then try the connection again"
NO_TOKEN = "the answer holds no token"

STATUS = {
    "TemporaryLocked": LOCKED,
    "Closed": "the login is closed",
    "Initiated": "the login's registration is not finished",
    "UnconfirmedEmail": "the login's e-mail address is not confirmed",
}
FLAGS = {
    "outdatedTaC": TERMS,
    "outdatedLiquidationPolicy": TERMS,
    "outdatedSentimentPolicy": TERMS,
    "requiredNonProCertification": "the broker asks for the non-professional certification on its web site",
}
TEXTS = (
    (("captcha",), CAPTCHA),
    (("locked", "too many"), LOCKED),
    (("password", "expired"), EXPIRED),
    (("api key", "apikey", "api_key", "cid", "client id", "secret", "not registered", "appid", "app id"), WRONG_KEY),
    (("device",), DEVICE),
    (("terms", "agreement", "policy"), TERMS),
    (("access is denied", "permission", "not authorized"), KEY_OR_DEVICE),
    (("password", "username", "user name", "credential"), WRONG_PASSWORD),
)
"""In this order: the first whose words are in the text. Of `EXPIRED` both must be."""


def of_answer(value: object) -> str:
    """Why an answer of the token request holds no token."""
    row: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
    text, status = complaint(row), row.get("userStatus")
    told = [_said(text)] if text else []
    if isinstance(status, str) and status != "Active":
        told.append(f"{STATUS.get(status, 'the login cannot be used')} (user status {status})")
    told += [] if text else sorted({sentence for flag, sentence in FLAGS.items() if row.get(flag) is True})
    return "; ".join(told) or NO_TOKEN


def of_denial(text: str) -> str:
    """Why the token request itself was answered 401, 403 or the like."""
    return _said(text) if text else KEY_OR_DEVICE


def open_demands(value: object) -> str:
    """What the broker still wants of a login that it let in, behind a sentence; empty when nothing."""
    row: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
    return "".join(f"; {sentence}" for sentence in sorted({s for flag, s in FLAGS.items() if row.get(flag) is True}))


def _said(text: str) -> str:
    known = _known(text.lower())
    return f"{known} (the broker says: {text})" if known else text


def _known(text: str) -> str | None:
    for words, sentence in TEXTS:
        if (all if sentence is EXPIRED else any)(word in text for word in words):
            return sentence
    return None
