"""The broker as the engine sees it: the smallest sentence that tells the story.

A mutation goes out in two strokes, `prepare` (pure: which request would this be) and `send`. Between the two
the engine commits one transaction with the intent and the audit row of exactly that request, so that nothing
leaves before the row that explains it is durable, and the audit costs no commit of its own.

`send` returning means "the broker took it", nothing more; truth arrives as reports or in a picture. It raises

    BrokerError
    ├── Refused       it said no, definitely
    ├── NotSent       it never left: no byte was written
    ├── NotHandled    the broker asks us to come back after a wait; the request was not handled
    └── Unreachable   nobody knows; says nothing about what happened

All methods may be called from many lanes at once; `prepare` never waits and never fails.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, NewType, Protocol

from justtrades.positions.commands import Mutation
from justtrades.positions.model import (
    BrokerAccountId,
    BrokerOrder,
    BrokerOrderId,
    ClientOrderId,
    ContractName,
    Fill,
    FillId,
    SignalId,
)
from justtrades.positions.urgency import Urgency

AuditId = NewType("AuditId", str)


class BrokerError(Exception):
    """Something other than a yes. `reason` is one word of the broker's or ours, `text` a sentence for people."""

    def __init__(self, reason: str, text: str = "") -> None:
        super().__init__(f"{reason}: {text}" if text else reason)
        self.reason = reason
        self.text = text


class Refused(BrokerError):
    """The broker said no, definitely."""


class NotSent(BrokerError):
    """No byte was written. `final`: a gate of ours stopped it and it must not be tried again."""

    def __init__(self, reason: str, text: str = "", *, final: bool = False) -> None:
        super().__init__(reason, text)
        self.final = final


class NotHandled(BrokerError):
    """The broker did not handle it and asks to come back after `wait` (None: only a person can help)."""

    def __init__(self, reason: str, text: str = "", *, wait: timedelta | None = None) -> None:
        super().__init__(reason, text)
        self.wait = wait


class Unreachable(BrokerError):
    """Nobody knows. `named` is true when `reason` is a word of the broker's (`UnknownReason` …)."""

    def __init__(self, reason: str, text: str = "", *, named: bool = False) -> None:
        super().__init__(reason, text)
        self.named = named


class ConnectionState(StrEnum):
    CONNECTING = "connecting"
    SYNCED = "synced"
    PENALTY = "penalty"
    REFUSED = "refused"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Account:
    """A trading account as the broker lists it. `active` is false when it cannot trade, `why` says why.

    `liquidation` is set while the broker liquidates it: when that began, as the broker tells it, or `now`.
    """

    id: BrokerAccountId
    name: str
    active: bool = True
    why: str | None = None
    liquidation: str | None = None


@dataclass(frozen=True, slots=True)
class ContractRecord:
    """A contract with its product's facts: tick size in points, dollars per point, when it ends."""

    id: int
    name: ContractName
    tick_size: Decimal
    point_value: Decimal
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP call (or frame on the socket) to a broker, complete but for the token."""

    audit_id: AuditId
    method: str
    endpoint: str
    body: Mapping[str, Any]
    account: BrokerAccountId
    signal_id: SignalId | None = None
    order_id: ClientOrderId | None = None
    urgency: Urgency = Urgency.ENTER
    """Who goes first when the requests of a login have to wait for each other."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The broker's yes: ids of the orders made (two for an OCO), empty for a cancel or modify."""

    broker_ids: tuple[BrokerOrderId, ...] = ()


@dataclass(slots=True)
class Asker:
    """On whose behalf something is read: an order in doubt. Its id and its signal's stand in the audit of each read.

    `requests` counts what was sent for it, also when others share the answer or none comes.
    """

    account: BrokerAccountId
    order_id: ClientOrderId
    signal_id: SignalId | None = None
    requests: int = 0


@dataclass(frozen=True, slots=True)
class LanePicture:
    account: BrokerAccountId
    contract: ContractName
    orders: tuple[BrokerOrder, ...] = ()
    fills: tuple[Fill, ...] = ()
    quantity: int = 0
    average: Decimal | None = None
    """The broker's average price of all it holds here, in points; None when flat or not said."""
    moved_at: datetime | None = None
    """When the position last changed, as the broker tells it; None while its clock and ours differ."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything a login's accounts hold, from clean reads begun at `began_at`.

    `accounts` are the accounts the reads truly cover: a lane of one of them that is missing from `lanes` is
    flat and has no orders; a lane of any other account is unknown, never flat.
    """

    began_at: datetime
    accounts: frozenset[BrokerAccountId]
    lanes: tuple[LanePicture, ...]


# ── reports: what the broker tells unasked ───────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class OrderReport:
    account: BrokerAccountId
    contract: ContractName
    order: BrokerOrder


@dataclass(frozen=True, slots=True)
class FillReport:
    account: BrokerAccountId
    contract: ContractName
    fill: Fill


@dataclass(frozen=True, slots=True)
class BustReport:
    account: BrokerAccountId
    contract: ContractName
    fill_id: FillId
    fill: Fill | None = None
    """What it was, as far as the broker still says."""


@dataclass(frozen=True, slots=True)
class FeeReport:
    """What a fill cost: USD, every kind of fee together. Said again when the broker changes it."""

    account: BrokerAccountId
    contract: ContractName
    fill_id: FillId
    amount: Decimal


@dataclass(frozen=True, slots=True)
class PositionReport:
    """`snapshot`: told at the beginning of a stream, in one piece with all orders and fills of the session."""

    account: BrokerAccountId
    contract: ContractName
    quantity: int
    at: datetime
    snapshot: bool = False


@dataclass(frozen=True, slots=True)
class AccountReport:
    """An account changed: locked, liquidation-only, closed, or free again."""

    account: Account


@dataclass(frozen=True, slots=True)
class Synced:
    """The socket is authorized and synced: from here on nothing is missed until `Lost`. Take a picture now."""


@dataclass(frozen=True, slots=True)
class Lost:
    why: str


Report = OrderReport | FillReport | BustReport | FeeReport | PositionReport | AccountReport | Synced | Lost


# ── audit ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Exchange:
    """A call or an event for the audit, already redacted. `status` None while the answer is awaited."""

    id: AuditId
    at: datetime
    method: str
    endpoint: str
    request: str | None = None
    status: int | None = None
    duration_ms: float | None = None
    response: str | None = None
    signal_id: SignalId | None = None
    order_id: ClientOrderId | None = None


class Auditor(Protocol):
    """Where every broker call, answer and event is written down."""

    def new_id(self) -> AuditId: ...

    async def before(self, exchange: Exchange) -> None:
        """Durable when it returns. Needed only for a mutation whose row the engine has not written itself
        (a second attempt inside `send`)."""

    def after(self, exchange: Exchange) -> None:
        """The answer to a row written before (same id), or a whole read or event. Never waits."""


@dataclass(frozen=True, slots=True)
class Budget:
    minute_used: int = 0
    minute_limit: int = 0
    hour_used: int = 0
    hour_limit: int = 0
    waiting: int = 0
    """Requests that wait for room."""


@dataclass(frozen=True, slots=True)
class Health:
    """How a connection is, for people and `/readyz`; holds no secret."""

    state: ConnectionState
    reason: str | None = None
    token_expires_at: datetime | None = None
    last_event_at: datetime | None = None
    budget: Budget = field(default_factory=Budget)


Gate = Callable[[], str | None]
"""Asked immediately before the write; a sentence means "do not send"."""


class Broker(Protocol):
    """One login at a broker with all of its accounts."""

    async def start(self) -> None:
        """Log in and begin to stream reports; returns once started, connected or not."""

    async def close(self) -> None: ...

    async def accounts(self, urgency: Urgency = Urgency.RECONCILE) -> tuple[Account, ...]: ...

    async def contract(self, name: ContractName) -> ContractRecord:
        """Raises `Refused` when the broker does not know the name."""

    def prepare(self, command: Mutation, account: BrokerAccountId, contract: ContractName) -> Request:
        """The request that `command` is. `contract` was looked up through this broker before."""

    async def send(self, request: Request, gate: Gate) -> Sent: ...

    async def look(
        self, account: BrokerAccountId, ids: tuple[ClientOrderId, ...], asker: Asker | None = None
    ) -> tuple[tuple[BrokerOrder, ...], tuple[Fill, ...]]:
        """The orders of ours with one of these client ids that the broker shows, with their fills.

        One read or two, and two more when there is one; those of the same moment are shared by all accounts.
        Raises a `BrokerError` when a read fails: a failed read is not "not found".
        """

    async def picture(self, urgency: Urgency = Urgency.RECONCILE, asker: Asker | None = None) -> Picture:
        """Reads asked for at the same time are shared. `urgency` says what they are needed for."""

    def reports(self) -> AsyncIterator[Report]: ...

    @property
    def health(self) -> Health: ...
