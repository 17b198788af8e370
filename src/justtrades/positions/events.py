"""Facts a lane is told, in the past tense. `apply` folds each into the lane; none of them acts.

"No" and "nobody knows" are different events: `CallRefused` is the broker's no, `AnswerLost` decides nothing,
`CallNotSent` says that no byte left. The `key` of an event makes a repeat recognisable across restarts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from justtrades.positions.adoption import Adoption
from justtrades.positions.model import (
    BrokerOrder,
    BrokerOrderId,
    ClientOrderId,
    Contract,
    Fill,
    FillId,
    Signal,
)


@dataclass(frozen=True, slots=True)
class SignalReceived:
    signal: Signal


@dataclass(frozen=True, slots=True)
class CallAccepted:
    """The broker took the call; `broker_ids` pair up with the call's orders (one, or two for an OCO)."""

    call_id: ClientOrderId
    broker_ids: tuple[BrokerOrderId, ...]


@dataclass(frozen=True, slots=True)
class CallRefused:
    """The broker said no, definitely."""

    call_id: ClientOrderId
    reason: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class CallNotSent:
    """It never left (no connection, our own gate, a broker's request to wait). `again_at`: when to try again.

    `final` says that only a person can help; `barred`, that a rule of ours forbids it as long as its reason lasts.
    """

    call_id: ClientOrderId
    why: str
    again_at: datetime | None = None
    final: bool = False
    barred: str | None = None


@dataclass(frozen=True, slots=True)
class AnswerLost:
    """Nobody knows: the request may or may not have been handled."""

    call_id: ClientOrderId
    why: str
    broker_reason: str | None = None
    """A reason the broker did name (`UnknownReason` …): if looking finds nothing, it was a refusal."""


@dataclass(frozen=True, slots=True)
class OrderReported:
    order: BrokerOrder


@dataclass(frozen=True, slots=True)
class OrderFilled:
    fill: Fill


@dataclass(frozen=True, slots=True)
class FillBusted:
    """The exchange undid an execution. `fill` is what it was, as far as the broker says; `counted`, that these books
    knew it once and let go of it when its trade was over."""

    fill_id: FillId
    fill: Fill | None = None
    counted: bool = False


@dataclass(frozen=True, slots=True)
class PositionReported:
    """`snapshot`: told at the beginning of a stream, in one piece with all of the session's orders and fills."""

    quantity: int
    at: datetime
    snapshot: bool = False


@dataclass(frozen=True, slots=True)
class Looked:
    """A clean read of this account's orders and commands, begun at `began_at`: what has a client id of ours.

    `requests` is how many it took.
    """

    began_at: datetime
    orders: tuple[BrokerOrder, ...]
    fills: tuple[Fill, ...] = ()
    requests: int = 0


@dataclass(frozen=True, slots=True)
class PictureTaken:
    """Everything the broker says of this lane at once: a clean read, begun at `began_at`."""

    began_at: datetime
    orders: tuple[BrokerOrder, ...]
    fills: tuple[Fill, ...]
    quantity: int
    streaming: bool = True
    """The stream of reports was up and synced when the reads began."""
    position_at: datetime | None = None
    """When the position last changed, as the broker tells it."""


@dataclass(frozen=True, slots=True)
class ReadFailed:
    """The read did not succeed. Says nothing about orders or position."""

    why: str
    requests: int = 0


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """The stream of reports broke: what we know may be old until the next picture."""


@dataclass(frozen=True, slots=True)
class Restarted:
    """The engine started again: a call in flight was lost with the process."""


@dataclass(frozen=True, slots=True)
class KillSwitched:
    on: bool


@dataclass(frozen=True, slots=True)
class ContractLearned:
    contract: Contract


@dataclass(frozen=True, slots=True)
class PictureWanted:
    """A person or a timer asks for books and broker to be compared."""


@dataclass(frozen=True, slots=True)
class LaneResumed:
    """A person lets the lane go on. What is not ours stays shown and untouched (`leave`), but for an `adoption`."""

    adopt: bool
    adoption: Adoption | None = None


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Nothing but the clock moved."""


Event = (
    SignalReceived
    | CallAccepted
    | CallRefused
    | CallNotSent
    | AnswerLost
    | OrderReported
    | OrderFilled
    | FillBusted
    | PositionReported
    | Looked
    | PictureTaken
    | ReadFailed
    | ConnectionLost
    | Restarted
    | KillSwitched
    | ContractLearned
    | PictureWanted
    | LaneResumed
    | TimePassed
)
