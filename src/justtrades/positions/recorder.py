"""A recorder's rules, an alert as it was read, and the signal that both make for one account.

A recorder is one strategy with its webhook. Its routes name the accounts it trades, each with a multiplier.
What an alert says is a `Reading`, whatever dialect it came in; `signal_for` turns reading and rules into the
`Signal` one lane receives, so that the rules are frozen with the signal and a later edit changes nothing that
is already under way.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from justtrades.positions.model import (
    AccountId,
    Follow,
    Held,
    OnGap,
    OnOpposite,
    OnSameSide,
    RecorderId,
    Signal,
    SignalId,
    Stop,
    Target,
    TargetUpdate,
    Terms,
    Verb,
)
from justtrades.positions.sizing import Sized, size, whole
from justtrades.positions.values import replace


class QuantityFrom(StrEnum):
    RECORDER = "recorder"
    ALERT = "alert"


class ExitsFrom(StrEnum):
    RECORDER = "recorder"
    ALERT = "alert"


class Mode(StrEnum):
    TRADE = "trade"
    SHADOW = "shadow"


@dataclass(frozen=True, slots=True)
class Route:
    """One account a recorder trades. Quantities are multiplied by `multiplier` and rounded down."""

    account_id: AccountId
    multiplier: Decimal = Decimal(1)
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Recorder:
    """The rules of one strategy. Quantities are whole contracts; `symbol` None takes the alert's ticker."""

    id: RecorderId
    name: str
    symbol: str | None = None
    quantity: int = 1
    quantity_from: QuantityFrom = QuantityFrom.RECORDER
    add_quantity: int | None = None
    max_quantity: int | None = None
    on_same_side: OnSameSide = OnSameSide.ADD
    on_opposite: OnOpposite = OnOpposite.REVERSE
    targets: tuple[Target, ...] = ()
    stop: Stop | None = None
    exits_from: ExitsFrom = ExitsFrom.RECORDER
    target_update: TargetUpdate = TargetUpdate.MODIFY
    dialect: str = "auto"
    mode: Mode = Mode.TRADE
    on_gap: OnGap = OnGap.BLOCK
    max_alert_age_seconds: int | None = None
    secret: str | None = None
    heartbeat_seconds: int | None = None
    routes: tuple[Route, ...] = ()
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class StrategyPosition:
    """Where the strategy says it is once its order is done, and where it was before: signed, in its own contracts.

    `before` None: the alert does not say, so nothing can be found missing.
    """

    after: Decimal
    before: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What an alert says, whatever its dialect.

    `repeat_key` holds the alert's own id or time fields; None when it carries none. `price` is the price the
    alert saw, in points. `notes` list what was ignored, `warnings` what a person should change.
    `on_same_side`, `on_opposite` and `only_when` are the alert's own wishes for this one order; None and empty leave
    it to the recorder. `max_positions` counts open contracts of the account, `max_age_seconds` from `alert_time`.
    """

    dialect: str
    verb: Verb
    ticker: str | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    targets: tuple[Target, ...] = ()
    stop: Stop | None = None
    ignore_same_side: bool = False
    on_same_side: OnSameSide | None = None
    on_opposite: OnOpposite | None = None
    only_when: tuple[Held, ...] = ()
    max_positions: int | None = None
    max_age_seconds: int | None = None
    position: StrategyPosition | None = None
    """Only when the alert carries both the side and the size: then it says where to be, not what to do."""
    alert_time: datetime | None = None
    repeat_key: str | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Blocked:
    """A rule of ours says no before any lane is asked; `reason` is one sentence."""

    reason: str


def signal_for(
    recorder: Recorder,
    route: Route,
    reading: Reading,
    signal_id: SignalId,
    received_at: datetime,
    expires_at: datetime,
) -> Signal | Blocked:
    """The signal this route's lane receives. Exits need no size: they close what is held."""
    base = _base_quantity(recorder, reading)
    entry = size(base, route.multiplier, 0, None)
    if (up_to := _up_to(recorder, reading, route.multiplier)) is not None:
        entry = Sized(up_to, reason=f"{_size(reading)} × {route.multiplier:f} is less than one whole contract")
    add = size(_add_quantity(recorder, reading, base), route.multiplier, 0, None)
    if reading.verb.enters and entry.quantity < 1:
        return Blocked(entry.reason or "the quantity comes to less than one contract")
    return Signal(
        id=signal_id,
        verb=reading.verb,
        received_at=received_at,
        expires_at=expires_at,
        recorder_id=recorder.id,
        recorder_name=recorder.name,
        terms=replace(_terms(recorder, reading, entry.quantity, max(add.quantity, 1)), up_to=up_to),
        quantity=_exit_quantity(reading, route.multiplier),
        follow=_follow(recorder, reading, route.multiplier),
    )


def _terms(recorder: Recorder, reading: Reading, quantity: int, add_quantity: int) -> Terms:
    targets, stop = _exits(recorder, reading)
    return Terms(
        quantity=quantity,
        add_quantity=add_quantity,
        max_quantity=recorder.max_quantity,
        on_same_side=_on_same_side(recorder, reading),
        on_opposite=_on_opposite(recorder, reading),
        targets=targets,
        stop=stop,
        target_update=recorder.target_update,
        only_when=reading.only_when,
    )


def _follow(recorder: Recorder, reading: Reading, multiplier: Decimal) -> Follow | None:
    position = _position(reading)
    if position is None:
        return None
    sized = recorder.quantity_from is QuantityFrom.ALERT
    before = position.before
    return Follow(
        after=position.after,
        before=before,
        contracts=_contracts(position.after, multiplier) if sized else None,
        contracts_before=_contracts(before, multiplier) if sized and before is not None else None,
        on_gap=recorder.on_gap,
        told_at=reading.alert_time,
    )


def _position(reading: Reading) -> StrategyPosition | None:
    """None too when an entry would lead away from it: then the action is all there is."""
    position, sign = reading.position, {Verb.BUY: 1, Verb.SELL: -1}.get(reading.verb, 0)
    return None if position is None or (sign and position.after * sign <= 0) else position


def _up_to(recorder: Recorder, reading: Reading, multiplier: Decimal) -> int | None:
    position = _position(reading)
    if position is None or recorder.quantity_from is QuantityFrom.RECORDER or not reading.verb.enters:
        return None
    return abs(_contracts(position.after, multiplier))


def _contracts(position: Decimal, multiplier: Decimal) -> int:
    """The strategy's contracts as ours: multiplied and rounded down, towards flat."""
    return int(position * multiplier)


def _size(reading: Reading) -> str:
    return "0" if reading.position is None else f"{abs(reading.position.after):f}"


def _on_same_side(recorder: Recorder, reading: Reading) -> OnSameSide:
    """The alert's wish wins, but no alert makes a recorder add that ignores its own side."""
    if reading.ignore_same_side or recorder.on_same_side is OnSameSide.IGNORE:
        return OnSameSide.IGNORE
    return reading.on_same_side or recorder.on_same_side


def _on_opposite(recorder: Recorder, reading: Reading) -> OnOpposite:
    """The alert's wish wins, but no alert makes a recorder open the other side that only closes or ignores."""
    if recorder.on_opposite in (OnOpposite.CLOSE, OnOpposite.IGNORE):
        return recorder.on_opposite
    wanted = reading.on_opposite or recorder.on_opposite
    # A bare order nets; a position that is named is gone to.
    return OnOpposite.REVERSE if wanted is OnOpposite.NET and _position(reading) is not None else wanted


def _exits(recorder: Recorder, reading: Reading) -> tuple[tuple[Target, ...], Stop | None]:
    """With `exits_from: alert` what the alert carries wins and the recorder fills the rest."""
    if recorder.exits_from is ExitsFrom.RECORDER:
        return recorder.targets, recorder.stop
    return reading.targets or recorder.targets, reading.stop or recorder.stop


def _add_quantity(recorder: Recorder, reading: Reading, base: int) -> int:
    if _from_alert(recorder, reading) or recorder.add_quantity is None:
        return base
    return recorder.add_quantity


def _from_alert(recorder: Recorder, reading: Reading) -> bool:
    return recorder.quantity_from is QuantityFrom.ALERT and reading.quantity is not None


def _base_quantity(recorder: Recorder, reading: Reading) -> int:
    if recorder.quantity_from is QuantityFrom.ALERT and reading.quantity is not None:
        return int(reading.quantity)
    return recorder.quantity


def _exit_quantity(reading: Reading, multiplier: Decimal) -> int | None:
    """A close asks for a part only when the alert names a quantity; more than held means all.

    The part is the account's own, multiplied like an entry, and never less than one contract.
    """
    if reading.verb.enters or reading.quantity is None or reading.quantity < 1:
        return None
    return max(whole(int(reading.quantity), multiplier), 1)
