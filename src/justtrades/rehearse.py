"""What an alert would come to at each of its accounts, by the very functions that trade.

`judge` says whether a signal reaches a lane, and which; the dispatch asks it before it delivers, and an explanation
asks it and then plays the signal on a copy of that lane (`positions.rehearsal`). Nothing is saved or sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from justtrades.positions import contracts
from justtrades.positions.choice import choose, reason
from justtrades.positions.contracts import ROOTS, RollRule
from justtrades.positions.limits import Limits
from justtrades.positions.model import (
    AccountId,
    Check,
    Contract,
    ContractName,
    Lane,
    Outcome,
    Signal,
    SignalId,
)
from justtrades.positions.recorder import Blocked, Reading, Recorder, Route, signal_for
from justtrades.positions.rehearsal import Rehearsal, rehearse
from justtrades.positions.rules import Rule, positions_say_no
from justtrades.store.accounts import AccountRow

NO_ROLLS: Final[Mapping[str, RollRule]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Arrival:
    """An accepted signal on its way to the lanes."""

    signal_id: SignalId
    received_at: datetime
    expires_at: datetime
    recorder: Recorder
    reading: Reading


@dataclass(frozen=True, slots=True)
class Ended:
    """It reaches no lane: why. `contract` is empty when none was chosen."""

    outcome: Outcome
    reason: str
    contract: str = ""


@dataclass(frozen=True, slots=True)
class Bound:
    """It goes to this contract's lane, which may not exist yet."""

    signal: Signal
    contract: ContractName


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """One account's part. `played` None: it ended before any lane, with this outcome."""

    account_id: AccountId
    account_name: str
    contract: str
    outcome: Outcome | None
    reason: str
    rules: tuple[Rule, ...] = ()
    played: Rehearsal | None = None
    price_known: bool = True


def judge(
    arrival: Arrival,
    route: Route,
    account: AccountRow | None,
    lanes: Iterable[Lane],
    now: datetime,
    rolls: Mapping[str, RollRule] = NO_ROLLS,
) -> Bound | Ended:
    """Whether this account's part of a signal reaches a lane. `lanes` are all of the account."""
    here = [*lanes]
    signal = _signal(arrival, route, account)
    if isinstance(signal, Blocked):
        return Ended(Outcome.BLOCKED, signal.reason)
    name = contract_name(arrival, here, now, rolls)
    if isinstance(name, Blocked):
        return Ended(Outcome.BLOCKED, name.reason)
    most = arrival.reading.max_positions
    if most is not None and signal.verb.enters and (full := positions_say_no(here, name, most)) is not None:
        return Ended(Outcome.BLOCKED, full, name)
    if not signal.verb.enters and all(lane.contract.name != name for lane in here):
        return Ended(Outcome.NO_ACTION, "flat: nothing was ever traded here", name)
    if signal.verb.enters:
        why = reason(_symbol(arrival), name, contracts.trade_date(now), rolls)
        signal = replace(signal, checks=(Check("contract", True, why),))
    return Bound(signal, name)


def contract_name(
    arrival: Arrival, lanes: Iterable[Lane], now: datetime, rolls: Mapping[str, RollRule] = NO_ROLLS
) -> ContractName | Blocked:
    return choose(_symbol(arrival), contracts.trade_date(now), lanes, arrival.recorder.id, rolls)


def _symbol(arrival: Arrival) -> str | None:
    return arrival.recorder.symbol or arrival.reading.ticker


@dataclass(frozen=True, slots=True)
class Books:
    """What the engine knows, as a rehearsal needs it."""

    accounts: Mapping[AccountId, AccountRow]
    lanes: tuple[Lane, ...]
    killed: bool
    limits: Limits
    rolls: Mapping[str, RollRule] = field(default_factory=dict)
    checks: Mapping[AccountId, tuple[Check, ...]] = field(default_factory=dict)


def rehearsed(books: Books, arrival: Arrival, now: datetime) -> tuple[Rehearsed, ...]:
    """Every enabled route, in order."""
    return tuple(_route(books, arrival, route, now) for route in arrival.recorder.routes if route.enabled)


# ── leaves ───────────────────────────────────────────────────────────────────────────────────────────────────


def _route(books: Books, arrival: Arrival, route: Route, now: datetime) -> Rehearsed:
    account = books.accounts.get(route.account_id)
    name = account.name if account is not None else route.account_id
    lanes = [lane for lane in books.lanes if lane.account_id == route.account_id]
    judged = judge(arrival, route, account, lanes, now, books.rolls)
    if isinstance(judged, Ended):
        rule = Rule("account", judged.outcome is Outcome.NO_ACTION, judged.reason)
        return Rehearsed(route.account_id, name, judged.contract, judged.outcome, judged.reason, (rule,))
    lane = next((lane for lane in lanes if lane.contract.name == judged.contract), None)
    if lane is None:
        lane = _new_lane(route.account_id, judged.contract, killed=books.killed)
    price = arrival.reading.price
    signal = replace(judged.signal, checks=(*judged.signal.checks, *books.checks.get(route.account_id, ())))
    played = rehearse(lane, signal, now, books.limits, price if price is not None else _nominal(lane))
    done = played.done
    return Rehearsed(
        route.account_id,
        name,
        judged.contract,
        done.outcome if done is not None else None,
        done.reason if done is not None else played.waits or "",
        played.rules,
        played,
        price_known=price is not None,
    )


def _signal(arrival: Arrival, route: Route, account: AccountRow | None) -> Signal | Blocked:
    if account is None:
        return Blocked("the account of this route does not exist")
    if arrival.reading.verb.enters and not account.active:
        return Blocked(account.why or "the account cannot trade")
    if arrival.reading.verb.enters and account.halted:
        return Blocked(account.halt_reason or "the account is halted until a person resumes it")
    received, expires = arrival.received_at, arrival.expires_at
    return signal_for(arrival.recorder, route, arrival.reading, arrival.signal_id, received, expires)


def _new_lane(account_id: AccountId, name: ContractName, *, killed: bool) -> Lane:
    """As it would be made; tick and point value from the table, since the broker is not asked."""
    root = ROOTS[name[:-2]]
    contract = Contract(name, root.tick_size, root.point_value)
    return replace(Lane(account_id, contract, tag="rehearsal"), killed=killed)


def _nominal(lane: Lane) -> Decimal:
    """Some price on tick, where the alert brings none: whatever is derived from it is not shown."""
    return lane.contract.tick_size * 100_000


__all__ = ["Arrival", "Books", "Bound", "Ended", "Rehearsed", "contract_name", "judge", "rehearsed"]
