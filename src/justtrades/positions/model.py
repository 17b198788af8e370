"""What one lane knows: frozen values, nothing that acts.

A lane is one broker account and one contract. Everything the engine believes about it stands in a single
`Lane` value, so the part that can lose money is a function from one `Lane` to the next. Two ideas carry it:

* *Derive, don't store.* Quantity held, average price and what was filled are properties of the fills; whose
  fill it is follows from the order it names. Nothing here can disagree with itself.
* *Knowledge only grows.* An order's `Status` is a rank and merges by `max`; fills are a set by id. Reports may
  come in any order and any number of times.

Prices and money are `Decimal` (US dollars for money, points for prices), quantities are whole contracts and
positions are signed (long positive), times are aware UTC.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import NewType

from justtrades.positions.prices import Distance
from justtrades.positions.urgency import Urgency

AccountId = NewType("AccountId", str)
"""Our id of a broker account (`accounts.id`)."""
BrokerAccountId = NewType("BrokerAccountId", str)
ConnectionId = NewType("ConnectionId", str)
ContractName = NewType("ContractName", str)
"""A concrete contract in Tradovate's spelling, such as `MNQZ6`."""
RecorderId = NewType("RecorderId", str)
SignalId = NewType("SignalId", str)
TradeId = NewType("TradeId", str)
ClientOrderId = NewType("ClientOrderId", str)
"""Our id of an order, sent as `clOrdId`; at most 36 ASCII characters."""
BrokerOrderId = NewType("BrokerOrderId", str)
FillId = NewType("FillId", str)


ADOPTED = "A"
"""Before the id of a fill that the broker does not have: contracts taken over from an earlier session."""
UNEXPLAINED = "unknown"
"""Why a trade was closed whose contracts the broker no longer had, without a fill that says how."""


class Action(StrEnum):
    """The side of an order, in Tradovate's words."""

    BUY = "Buy"
    SELL = "Sell"

    @property
    def sign(self) -> int:
        return 1 if self is Action.BUY else -1

    @staticmethod
    def of(signed: int) -> Action:
        """The action that moves a position in the direction of `signed`."""
        return Action.BUY if signed > 0 else Action.SELL


class Side(StrEnum):
    LONG = "LONG"
    SHORT = "SHORT"

    @property
    def sign(self) -> int:
        return 1 if self is Side.LONG else -1


class Purpose(StrEnum):
    ENTRY = "entry"
    TARGET = "target"
    STOP = "stop"
    CLOSE = "close"

    @property
    def rests(self) -> bool:
        return self in (Purpose.TARGET, Purpose.STOP)


class OrderType(StrEnum):
    MARKET = "Market"
    LIMIT = "Limit"
    STOP = "Stop"


class Status(IntEnum):
    """How much is known of an order. A higher rank is later knowledge, so reports merge by `max`.

    `ABSENT` is our own conclusion (asked long enough, the broker does not have it) and stands below every word
    of the broker's, so that an order found late is simply known better.
    """

    SENDING = 0
    ABSENT = 1
    SENT = 2
    WORKING = 3
    CANCELED = 10
    EXPIRED = 11
    REJECTED = 12
    FILLED = 13

    @property
    def ended(self) -> bool:
        return self >= Status.CANCELED or self is Status.ABSENT

    @property
    def at_broker(self) -> bool:
        return self in (Status.SENT, Status.WORKING)


class Outcome(StrEnum):
    """How a signal ended, best first: a signal over several accounts takes the best of its routes."""

    FILLED = "filled"
    PARTIALLY_FILLED = "partially_filled"
    NO_ACTION = "no_action"
    BLOCKED = "blocked"
    REJECTED = "rejected"
    NOT_PLACED = "not_placed"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    KILLED = "killed"
    NEEDS_ATTENTION = "needs_attention"

    @staticmethod
    def best(outcomes: Iterable[Outcome]) -> Outcome:
        return min(outcomes, key=list(Outcome).index)


class Verb(StrEnum):
    """What a signal asks of a lane. BUY and SELL open, add or reverse by the recorder's rules."""

    BUY = "buy"
    SELL = "sell"
    CLOSE = "close"
    CLOSE_LONG = "close_long"
    CLOSE_SHORT = "close_short"
    ADOPT = "adopt"
    """A person's: what is not ours becomes a recorder's trade. Never an alert's."""

    @property
    def enters(self) -> bool:
        return self in (Verb.BUY, Verb.SELL)


class OnSameSide(StrEnum):
    """An entry of the side that is held: add to it, ignore it, or close what is held and enter anew."""

    ADD = "add"
    IGNORE = "ignore"
    REENTER = "reenter"


class OnOpposite(StrEnum):
    """An entry against what is held.

    REVERSE closes all of it and enters the whole quantity. NET is what an exchange does with the bare order: it
    closes as much as the order has contracts, and only what is left of the order opens the other side.
    """

    REVERSE = "reverse"
    CLOSE = "close"
    IGNORE = "ignore"
    NET = "net"


class Held(StrEnum):
    """What is held, in the words of TradingView's `strategy.market_position`."""

    FLAT = "flat"
    LONG = "long"
    SHORT = "short"

    @staticmethod
    def of(signed: int) -> Held:
        return Held.FLAT if signed == 0 else Held.LONG if signed > 0 else Held.SHORT


class OnGap(StrEnum):
    """What becomes of an alert when the one before it is missing (see `follow`)."""

    HOLD = "hold"
    RESYNC = "resync"
    BLOCK = "block"


class TargetUpdate(StrEnum):
    MODIFY = "modify"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class Target:
    """One profit order: a distance from the average fill or an absolute price, for `percent` of the position."""

    distance: Distance | None = None
    price: Decimal | None = None
    percent: Decimal = Decimal(100)


@dataclass(frozen=True, slots=True)
class Stop:
    """One loss order for the whole position: a distance from the average fill or an absolute price."""

    distance: Distance | None = None
    price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """A recorder's rules as they stood when the signal was accepted; quantities in contracts, already sized."""

    quantity: int
    add_quantity: int
    max_quantity: int | None = None
    on_same_side: OnSameSide = OnSameSide.ADD
    on_opposite: OnOpposite = OnOpposite.REVERSE
    targets: tuple[Target, ...] = ()
    stop: Stop | None = None
    target_update: TargetUpdate = TargetUpdate.MODIFY
    up_to: int | None = None
    """An add is what is missing to this many contracts, whatever `add_quantity` says."""
    only_when: tuple[Held, ...] = ()
    """The entry is made only while one of these is held; empty: whatever is held."""


@dataclass(frozen=True, slots=True)
class Follow:
    """Where the strategy is after this alert's order and where it was before, signed, in its own contracts.

    `contracts` and `contracts_before` are the same here, multiplied and rounded down; None when only the
    strategy's side counts. `told_at` is the alert's own clock.
    """

    after: Decimal
    before: Decimal | None = None
    contracts: int | None = None
    contracts_before: int | None = None
    on_gap: OnGap = OnGap.BLOCK
    told_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """Where a recorder's last alert left its strategy, and the alert's own clock."""

    recorder_id: RecorderId
    position: Decimal
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One rule that was asked before the signal reached its lane: its name, its answer, the numbers it saw."""

    rule: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Signal:
    """What one alert (or one person) asks of this lane.

    `expires_at` bounds entries only: an exit never expires. `recorder_id` is None for a person's own act,
    which may close whatever of ours the lane holds. `quantity` of a close is the part to close (None: all).
    """

    id: SignalId
    verb: Verb
    received_at: datetime
    expires_at: datetime
    recorder_id: RecorderId | None = None
    recorder_name: str = ""
    terms: Terms | None = None
    quantity: int | None = None
    follow: Follow | None = None
    """Given when the alert says where to be, not what to do."""
    checks: tuple[Check, ...] = ()

    @property
    def refusal(self) -> str | None:
        """Why no entry may come of it, if a check said no; what it closes, it closes all the same."""
        return next((check.detail for check in self.checks if not check.passed), None)


@dataclass(frozen=True, slots=True)
class Contract:
    """The contract of a lane: tick and point value from the broker's product record when it has one."""

    name: ContractName
    tick_size: Decimal
    point_value: Decimal


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution, as the broker reported it. Whose it is follows from `broker_order_id`."""

    id: FillId
    broker_order_id: BrokerOrderId
    action: Action
    quantity: int
    price: Decimal
    at: datetime

    @property
    def signed(self) -> int:
        return self.action.sign * self.quantity

    @property
    def order_key(self) -> tuple[int, str]:
        """Tradovate's ids rise, so they order fills in time; shorter strings of digits are smaller numbers.

        What was taken over without a fill of its own (`adoption`) stands right behind what was there before it.
        """
        digits = self.id.removeprefix(ADOPTED)
        return (len(digits), digits)


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """One order as the broker shows it, joined from whatever entities are known so far.

    None means "not said yet", never "none". `claimed` is the filled quantity the broker claims so far.
    """

    broker_id: BrokerOrderId
    client_id: ClientOrderId | None
    status: Status
    action: Action | None = None
    quantity: int | None = None
    order_type: OrderType | None = None
    price: Decimal | None = None
    claimed: int = 0
    reason: str | None = None
    text: str | None = None
    at: datetime | None = None
    version: int = 0
    """Grows with each replacement the broker accepted; a smaller one is older news."""
    admin: bool = False
    """Made by the broker itself, as in an automatic liquidation (protocol.md appendix A, official)."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """An order whose answer never came: since when, how often looked, how many clean looks did not find it.

    `last_look` is when the last one began, `clean` whether it was; `reads` are the requests all of them took.
    """

    since: datetime
    looks: int = 0
    negatives: int = 0
    last_look: datetime | None = None
    why: str = ""
    clean: bool = True
    reads: int = 0


@dataclass(frozen=True, slots=True)
class Order:
    """One order of ours. `price` is the limit of a target, the trigger of a stop, None for a market order."""

    id: ClientOrderId
    purpose: Purpose
    action: Action
    quantity: int
    order_type: OrderType
    sent_at: datetime
    price: Decimal | None = None
    leg: int = 0
    signal_id: SignalId | None = None
    oco: ClientOrderId | None = None
    status: Status = Status.SENDING
    broker_id: BrokerOrderId | None = None
    claimed: int = 0
    version: int = 0
    reason: str | None = None
    text: str | None = None
    doubt: Doubt | None = None
    recorder_id: RecorderId | None = None
    terms: Terms | None = None
    """The rules an entry came with: what it fills is protected by them, even when it is found late."""
    unsent: bool = False
    """An entry that never left and may be sent again under the same id."""
    barred: str | None = None
    """The rule of ours that kept it from leaving when it was last tried."""
    cancel_asked: int = 0
    """How often a cancel was sent; -1 when somebody else ended the order and that was told."""
    modify_refused: int = 0
    written_off: bool = False
    """It claims fills that the broker never showed, and a person let the lane go on without them."""
    named: bool = False
    """The answer left us in doubt but named a reason: not found means refused, not lost."""
    changed_at: datetime | None = None
    """When the broker last took a change of ours that no report has confirmed yet."""
    ended_at: datetime | None = None
    unlisted_since: datetime | None = None
    """Since when the broker's lists do not show this order although it should be alive."""
    twin_of: ClientOrderId | None = None
    """The broker shows a second order under this id of ours: it is cancelled, or protected when it has filled."""

    @property
    def unbound(self) -> bool:
        """True while the broker's id of this order is unknown and it may exist there."""
        return self.broker_id is None and self.status is Status.SENDING and not self.unsent

    @property
    def live(self) -> bool:
        return not self.status.ended


class CallKind(StrEnum):
    PLACE = "place"
    MODIFY = "modify"
    CANCEL = "cancel"
    LIQUIDATE = "liquidate"


@dataclass(frozen=True, slots=True)
class Call:
    """The one mutation in flight on this lane."""

    id: ClientOrderId
    kind: CallKind
    orders: tuple[ClientOrderId, ...]
    at: datetime
    quantity: int | None = None
    price: Decimal | None = None


class ReadKind(StrEnum):
    LOOK = "look"
    PICTURE = "picture"


@dataclass(frozen=True, slots=True)
class Read:
    """The one read this lane waits for, and how urgent it was when it was asked for."""

    kind: ReadKind
    at: datetime
    urgency: Urgency = Urgency.LOOK


@dataclass(frozen=True, slots=True)
class Job:
    """One signal being worked on this lane, with the orders it led to."""

    signal: Signal
    begun: bool = False
    exiting: bool = False
    """The position is being closed for this signal (a close, or the first step of a reversal)."""
    exited: bool = False
    exit_from: int = 0
    """Signed quantity held when the exit began."""
    exit_to: int = 0
    """Signed quantity that shall remain when the exit is done."""
    exit_tries: int = 0
    """Closing orders sent for this job; a market order may be accepted and yet not fill."""
    exit_refusal: str | None = None
    entry: ClientOrderId | None = None
    notes: tuple[str, ...] = ()
    gap: str | None = None
    """Why an alert must be missing before this one, as it was judged."""


@dataclass(frozen=True, slots=True)
class Trade:
    """Flat to flat: who opened it and the exit rules it runs under. Its numbers are derived from the fills."""

    id: TradeId
    signal_id: SignalId
    recorder_id: RecorderId
    side: Side
    terms: Terms
    opened_at: datetime
    exit_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Short:
    """The broker holds less than our books: `quantity` signed contracts of ours are not there, as was first seen at
    `since`; of `sure` of them it is certain enough that no exit is kept for them."""

    quantity: int
    since: datetime
    sure: int = 0


@dataclass(frozen=True, slots=True)
class Divergence:
    """The broker's position and ours differ by `quantity`; believed only when seen again and again.

    `since` is when it was first seen, or when the broker says that its position changed.
    """

    quantity: int
    since: datetime
    seen: int = 1


# ── what a step has to tell besides the lane itself ──────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class SignalDone:
    signal_id: SignalId
    outcome: Outcome
    reason: str
    notes: tuple[str, ...] = ()
    gap: str | None = None


@dataclass(frozen=True, slots=True)
class TradeClosed:
    trade: Trade
    fills: tuple[Fill, ...]
    closed_at: datetime
    entry_quantity: int
    entry_price: Decimal
    exit_price: Decimal | None
    pnl: Decimal
    pnl_ticks: Decimal
    exit_reason: str
    target_price: Decimal | None
    stop_price: Decimal | None
    entry_broker_id: BrokerOrderId | None


@dataclass(frozen=True, slots=True)
class Noted:
    """A late or remarkable fact for a signal's receipt."""

    signal_id: SignalId | None
    text: str
    alarm: bool = False


@dataclass(frozen=True, slots=True)
class LetGo:
    """Orders and fills that leave the lane with this step, as they were last known."""

    orders: tuple[Order, ...]
    fills: tuple[Fill, ...]
    trade_id: TradeId | None = None


News = SignalDone | TradeClosed | Noted | LetGo


@dataclass(frozen=True, slots=True)
class Lane:
    """All that is known of one account × contract; `news` holds only what the last step has to tell."""

    account_id: AccountId
    contract: Contract
    tag: str
    """Short random word of this lane; with `serial` it makes client order ids no other database repeats."""
    orders: tuple[Order, ...] = ()
    fills: tuple[Fill, ...] = ()
    """Every fill on this contract since the lane was last flat and quiet, ours and others'."""
    busted: tuple[FillId, ...] = ()
    undone: tuple[Fill, ...] = ()
    """Executions of the orders here that the exchange undid: the order does not get their contracts back."""
    jobs: tuple[Job, ...] = ()
    trade: Trade | None = None
    heard: tuple[Heard, ...] = ()
    """Where the strategies that trade here were, by their last alert."""
    call: Call | None = None
    read: Read | None = None
    serial: int = 0
    """Counts the orders and commands of this lane; makes their ids, so that a replay makes the same ones."""
    foreign: int = 0
    """Signed contracts at the broker that are not ours and that no fill here explains: shown, never traded against."""
    left: int = 0
    """Signed foreign contracts a person decided to leave: entries on their side go on beside them."""
    liquidators: tuple[BrokerOrderId, ...] = ()
    """Orders of the broker itself on this contract, the newest last."""
    filled_at: datetime | None = None
    """When the newest fill ever heard of here was made, by the broker's clock; kept when its trade is over."""
    broker_quantity: int | None = None
    checked_at: datetime | None = None
    divergence: Divergence | None = None
    short: Short | None = None
    synced: bool = False
    """False from start or a lost connection until a picture has been merged: no entry leaves meanwhile."""
    picture_wanted: bool = True
    stale_since: datetime | None = None
    """A cancel, modify or liquidate whose answer was lost: nothing is sent until a later picture."""
    stale_order: ClientOrderId | None = None
    """The order that one was about."""
    retry_at: datetime | None = None
    retries: int = 0
    stuck_since: datetime | None = None
    """Since when the first signal waits though the broker is seen and nothing under way could end it."""
    protect_again_at: datetime | None = None
    """A target or stop was refused or taken away: the next is placed no sooner. Closing does not wait for it."""
    entries_again_at: datetime | None = None
    """The broker asked entries to wait this long; exits go on."""
    read_again_at: datetime | None = None
    reads_failed: int = 0
    exits_refused: int = 0
    """How often in a row the broker refused a target or stop of the position held now."""
    exits_lost: int = 0
    """How often a target or stop of the position held now was cancelled by somebody else."""
    unprotected_since: datetime | None = None
    unprotected_told: bool = False
    killed: bool = False
    blocked: str | None = None
    """Entries are blocked while something stands here that is not ours, until it is gone or a person resumes."""
    stopped: str | None = None
    """Entries are stopped until a person resumes: the broker liquidated, or an order was found twice."""
    halted: str | None = None
    news: tuple[News, ...] = field(default=())

    def order(self, client_id: ClientOrderId) -> Order:
        return next(o for o in self.orders if o.id == client_id)

    def ours(self, broker_id: BrokerOrderId) -> Order | None:
        return next((o for o in self.orders if o.broker_id == broker_id), None)
