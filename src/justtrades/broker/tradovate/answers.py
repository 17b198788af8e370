"""What a response says, and how sure it is.

HTTP 200 is not success at Tradovate (protocol.md section 8, pitfall 1): a penalty ticket, an error text, a
failure reason and violations all come with it. `heard` reads the transport's part of the answer, the functions
below it the business part. The dividing line is doubt.md's: a definite no is `Refused`, whatever leaves room
for an order at the exchange is `Unreachable`, and only a clear yes is a yes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from justtrades.broker.port import Refused, Sent, Unreachable
from justtrades.broker.tradovate import exact
from justtrades.positions.model import BrokerOrderId

DEFINITE = frozenset(
    {
        "AccountClosed",
        "AdvancedTrailingStopUnsupported",
        "BackMonthProhibited",
        "ExecutionProviderNotConfigured",
        "InvalidContract",
        "InvalidPrice",
        "KeyInformationDocumentRequired",
        "LiquidationOnly",
        "LiquidationOnlyBeforeExpiration",
        "MaxOrderQtyIsNotSpecified",
        "MaxOrderQtyLimitReached",
        "MaxPosLimitMisconfigured",
        "MaxPosLimitReached",
        "MaxTotalPosLimitReached",
        "MultipleAccountPlanRequired",
        "NoQuote",
        "NotEnoughLiquidity",
        "ParentRejected",
        "SSFRiskDisclosureAcknowledgmentRequired",
        "SessionClosed",
        "TooLate",
        "TradingLocked",
        "TrailingStopNonOrderQtyModify",
        "Unauthorized",
        "Unsupported",
    }
)
"""Failure reasons after which nothing can be at the exchange. All others, also ones not known yet, leave doubt."""

REFUSING = frozenset({400, 403, 404, 422})
LONGEST_TEXT = 300


@dataclass(frozen=True, slots=True)
class Payload:
    """A readable 2xx without a ticket; what it means is for the caller to say."""

    value: Any


@dataclass(frozen=True, slots=True)
class Ticket:
    """Not handled: send the identical request with `p-ticket` after `seconds`, or never (`captcha`)."""

    ticket: str = field(repr=False)
    seconds: float
    captcha: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class Denied:
    """401: not handled; the token is dead or has no permission."""

    text: str


@dataclass(frozen=True, slots=True)
class Slowed:
    """423 (about to be locked) or 429 (locked): not handled."""

    status: int


@dataclass(frozen=True, slots=True)
class No:
    """400, 403, 404, 422: refused."""

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Unclear:
    """408, 5xx, a redirect, an unreadable body: nobody knows."""

    status: int
    text: str


Heard = Payload | Ticket | Denied | Slowed | No | Unclear


def heard(status: int, text: str) -> Heard:
    """Sort a response by its status and the shape of its body; the same rules serve REST and socket."""
    if status == 401:
        return Denied(said(text) or "Access is denied")
    if status in (423, 429):
        return Slowed(status)
    if status in REFUSING:
        return No(status, said(text))
    if not 200 <= status < 300:
        return Unclear(status, said(text))
    return _body(status, text)


def _body(status: int, text: str) -> Heard:
    try:
        value = exact.loads(text)
    except exact.Unreadable:
        return Unclear(status, "unreadable body")
    return of_value(value)


def of_value(value: Any) -> Payload | Ticket:
    """A 2xx value: a penalty when it carries a ticket (`p-captcha` alone is one too)."""
    if isinstance(value, Mapping) and ("p-ticket" in value or value.get("p-captcha") is True):
        return Ticket(
            ticket=str(value.get("p-ticket", "")),
            seconds=_seconds(value.get("p-time")),
            captcha=value.get("p-captcha") is True,
            message=str(value.get("p-message", "")),
        )
    return Payload(value)


def _seconds(value: object) -> float:
    """Waiting time in seconds; an absent or odd one counts as one second."""
    usable = isinstance(value, int | Decimal) and not isinstance(value, bool) and 0 <= value <= 86_400
    return float(value) if usable else 1.0  # type: ignore[arg-type]  # `usable` says it is a number


def said(text: str) -> str:
    """One short line of a body, for people; markup and JSON quotes are left to the audit."""
    line = " ".join(text.split())
    if line.startswith("<"):
        return "an HTML page"
    return line.strip('"')[:LONGEST_TEXT]


def complaint(value: object) -> str | None:
    """The text of an `errorText`, `ok: false` or `violations` body; None when it has none."""
    if not isinstance(value, Mapping):
        return None
    if text := value.get("errorText"):
        return str(text)[:LONGEST_TEXT]
    if violations := value.get("violations"):
        return _violations(violations)
    return "not ok" if value.get("ok") is False else None


def _violations(found: object) -> str:
    rows = found if isinstance(found, list) else [found]
    texts = [str(row.get("description") or row.get("constraint")) for row in rows if isinstance(row, Mapping)]
    return ("; ".join(texts) or "violations")[:LONGEST_TEXT]


def placed(value: object) -> Sent:
    """The answer to placeorder: one order id."""
    return Sent((_id(_agreed(value), "orderId"),))


def paired(value: object) -> Sent:
    """The answer to placeoco: both ids, or somebody has to look."""
    agreed = _agreed(value)
    return Sent((_id(agreed, "orderId"), _id(agreed, "ocoId")))


def commanded(value: object) -> Sent:
    """The answer to cancelorder and modifyorder: a command was made, which promises nothing more."""
    _id(_agreed(value, too_late=True), "commandId")
    return Sent()


def liquidated(value: object) -> Sent:
    """The answer to liquidateposition. On a flat position nobody knows what comes (protocol.md section 5): a
    yes without an order counts, an empty body does not."""
    agreed = _agreed(value)
    yes = agreed.get("ok") is True or agreed.get("failureReason") == "Success"
    if yes and "orderId" not in agreed:
        return Sent()
    return Sent((_id(agreed, "orderId"),))


def _agreed(value: object, *, too_late: bool = False) -> Mapping[str, Any]:
    """`value`, when it holds no word against the request."""
    if not isinstance(value, Mapping):
        raise Unreachable("UnknownAnswer", "a body that is no object")
    reason, text = value.get("failureReason"), str(value.get("failureText") or "")[:LONGEST_TEXT]
    if reason and reason != "Success":
        raise _failure(str(reason), text, too_late=too_late, made="orderId" in value or "commandId" in value)
    if against := complaint(value):
        raise Refused("Violations" if value.get("violations") else "Error", against)
    return value


def _failure(reason: str, text: str, *, too_late: bool, made: bool) -> Refused | Unreachable:
    if too_late and "too late" in text.lower():
        return Refused("TooLate", text)
    if reason in DEFINITE and not made:
        return Refused(reason, text)
    return Unreachable(reason, text, named=True)


def _id(agreed: Mapping[str, Any], name: str) -> BrokerOrderId:
    number = agreed.get(name)
    if isinstance(number, int) and not isinstance(number, bool) and number > 0:
        return BrokerOrderId(str(number))
    raise Unreachable("UnknownAnswer", f"an answer without {name}")
