"""Faults that wait for their moment: which call is hit, and how. Pure; others carry the faults out.

A fault is armed with a short text (`lose_answer`, `status:500`, `failure:MaxPosLimitReached:Too many` …), an
endpoint, and which of its next calls it hits: the `nth`, `times` in a row. A manner (`visibility_lag:2`,
`delay_events:1` …) is no single call's fault: it holds until the faults are cleared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final


class Kind(StrEnum):
    """What happens to a call."""

    LOSE_REQUEST = "lose_request"
    """Dropped before anything is done."""
    LOSE_ANSWER = "lose_answer"
    """Done, then the connection is cut (after so many seconds)."""
    STALL = "stall"
    """Answered so many seconds late; done at once or, `when: before`, at the end."""
    STATUS = "status"
    """An HTTP status, before or after it is done."""
    EMPTY = "empty"
    """`{}`, before or after it is done."""
    HTML = "html"
    FAILURE = "failure"
    """A failureReason and failureText; nothing is done."""
    LATE_REJECT = "late_reject"
    """An orderId, then RiskRejected."""
    EXCHANGE_CANCEL = "exchange_cancel"
    """An orderId, then Canceled by the exchange."""
    PENALTY = "penalty"
    """p-ticket, p-time and maybe p-captcha, until the request comes with its ticket."""
    ERROR_TEXT = "error_text"
    """`errorText` with `ok` false; nothing is done."""
    VIOLATIONS = "violations"
    """A list of violations; nothing is done."""
    HAND_CLOSE = "hand_close"
    """A person closes every position by hand just before it is done."""


class Manner(StrEnum):
    """How reads and sockets behave until told otherwise."""

    VISIBILITY_LAG = "visibility_lag"
    DELAY_EVENTS = "delay_events"
    DUPLICATE_EVENTS = "duplicate_events"
    SHUFFLE_EVENTS = "shuffle_events"
    EVENTS_FIRST = "events_first"
    OMIT_EMPTY = "omit_empty"
    """Empty arrays are left out of the sync message."""
    BARE_SYNC = "bare_sync"
    """The sync message shows nothing of accounts and orders unless `entityTypes` asks for it."""
    LOSE_EVENTS = "lose_events"
    """Heartbeats and answers go on, events do not come: a healthy socket that tells nothing."""
    BATCH_EVENTS = "batch_events"
    """All events of a change in one frame."""
    ENTITY_ARRAYS = "entity_arrays"
    """The events of one kind in a frame are one event with an array of entities."""
    LATE_LEGS = "late_legs"
    """Events about the legs of an OSO come so many seconds late, at first without their link ids."""
    EXTRA_FIELDS = "extra_fields"
    """Entities carry a field nobody published."""
    PARTIAL_ENTITIES = "partial_entities"
    """An updated order or command comes with nothing but its id and status, and without eventType."""


class Blow(StrEnum):
    """What happens now: to every open socket, to the logins, or to the accounts."""

    SILENT_SOCKET = "silent_socket"
    """Open, and nothing is said any more. What the client sends is still carried out."""
    HALF_OPEN_SOCKET = "half_open_socket"
    """Open, and nothing is said nor read any more: the other end is gone without a word."""
    DROP_SOCKET = "drop_socket"
    SHUTDOWN = "shutdown"
    MAINTENANCE = "maintenance"
    """Nobody is at home for so many seconds."""
    EXPIRE_TOKENS = "expire_tokens"
    """Every token is over, as if its time had come."""
    KICK_OUT = "kick_out"
    """Another program logs in twice: the sessions of now are closed and their tokens revoked."""
    CLOSE_BY_HAND = "close_by_hand"
    """A person closes every position at the market; the orders go on working."""
    CANCEL_BY_HAND = "cancel_by_hand"
    """A person cancels every order."""
    LIQUIDATE = "liquidate"
    """The broker's risk desk cancels and closes everything, and sets the accounts to liquidation only."""
    LIQUIDATION_ONLY = "liquidation_only"
    LOCK = "lock"
    RESTORE = "restore"
    """The accounts may trade again."""
    ROLL = "roll"
    """The session ends: Day orders expire, positions are carried."""


ANY: Final = "*"
_NEVER_DONE: Final = (Kind.FAILURE, Kind.ERROR_TEXT, Kind.VIOLATIONS)


@dataclass(frozen=True, slots=True)
class Fault:
    kind: Kind
    endpoint: str = ANY
    nth: int = 1
    times: int = 1
    after: bool = True
    """For `status`, `empty` and `stall`: the request is carried out (else not, or only at the end)."""
    seconds: float = 0.0  # a wait for the event loop, no money
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        before = "" if self.after or self.kind in _NEVER_DONE else "!before"
        return ":".join((self.kind, *self.words)) + before

    def word(self, index: int, default: str = "") -> str:
        return self.words[index] if index < len(self.words) else default

    def hits(self, endpoint: str) -> bool:
        """`order/place*` means every endpoint that begins so."""
        if self.endpoint.endswith(ANY):
            return endpoint.startswith(self.endpoint.removesuffix(ANY))
        return self.endpoint == endpoint


def parse_fault(body: Mapping[str, Any]) -> Fault:
    """`{fault, endpoint, nth, times, when}`; ValueError for a fault that does not exist."""
    name, *words = str(body["fault"]).split(":", 2)
    if name.isdigit():
        name, words = Kind.STATUS, [name]
    kind = Kind(name)
    usual = "before" if _turns_away(kind, words) else "after"
    seconds = words[0] if kind in (Kind.STALL, Kind.LOSE_ANSWER, Kind.PENALTY) and words else "0"
    return Fault(
        kind=kind,
        endpoint=str(body.get("endpoint", ANY)).lower(),
        nth=int(body.get("nth", 1)),
        times=int(body.get("times", 1)),
        after=(body.get("when") or usual) != "before" and kind not in _NEVER_DONE,
        seconds=float(seconds),
        words=tuple(words),
    )


def _turns_away(kind: Kind, words: list[str]) -> bool:
    """A 4xx says that the request was not handled (section 1), but for 408, which says nothing."""
    return kind is Kind.STATUS and bool(words) and words[0].startswith("4") and words[0] != "408"


@dataclass(frozen=True, slots=True)
class Ticket:
    """A penalty that is being served. With a captcha nothing helps."""

    ticket: str
    seconds: float  # p-time on the wire
    until: datetime
    captcha: bool
    message: str = ""

    @property
    def answer(self) -> dict[str, Any]:
        whole = int(self.seconds)
        body: dict[str, Any] = {"p-ticket": self.ticket, "p-time": whole if whole == self.seconds else self.seconds}
        body |= {"p-captcha": True} if self.captcha else {}
        return body | ({"p-message": self.message} if self.message else {})

    def serves(self, shown: object, now: datetime) -> bool:
        """Whether a request that shows this ticket may pass now."""
        return not self.captcha and shown == self.ticket and now >= self.until


class Faults:
    """The armed faults, in the order they were armed, and the penalties being served."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []
        self._tickets: dict[str, Ticket] = {}
        self._issued = 0

    def arm(self, fault: Fault) -> None:
        self._armed.append(fault)

    def clear(self) -> None:
        self._armed.clear()
        self._tickets.clear()

    @property
    def armed(self) -> tuple[Fault, ...]:
        return tuple(self._armed)

    def take(self, endpoint: str) -> Fault | None:
        """The fault that hits this call, if any; every fault that waits for such a call counts it."""
        hit: Fault | None = None
        waiting: list[Fault] = []
        for fault in self._armed:
            if not fault.hits(endpoint) or (hit is not None and fault.nth <= 1):
                waiting.append(fault)
            elif fault.nth > 1:
                waiting.append(replace(fault, nth=fault.nth - 1))
            else:
                hit = fault
                waiting += [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
        self._armed = waiting
        return hit

    def punish(self, endpoint: str, fault: Fault, now: datetime) -> Ticket:
        """Begin a penalty on an endpoint."""
        self._issued += 1
        until = now + timedelta(seconds=fault.seconds)
        captcha = fault.word(1) == "captcha"
        message = "" if captcha else fault.word(1)
        ticket = Ticket(f"paper-{self._issued}", fault.seconds, until, captcha, message)
        self._tickets[endpoint] = ticket
        return ticket

    def penalty(self, endpoint: str, shown: str | None, now: datetime) -> Ticket | None:
        """The penalty still standing in the way of a call that shows this ticket."""
        ticket = self._tickets.get(endpoint)
        if ticket is None or not ticket.serves(shown, now):
            return ticket
        del self._tickets[endpoint]
        return None
