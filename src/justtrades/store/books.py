"""The engine's own pages: what it reads at start, and the few facts it keeps besides the steps of lanes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from justtrades.positions.model import (
    AccountId,
    ConnectionId,
    ContractName,
    Lane,
    Outcome,
    SignalId,
    Verb,
)
from justtrades.positions.recorder import Reading, Recorder
from justtrades.store import accounts, codec, connections, outcomes, signals, switches
from justtrades.store.accounts import AccountRow
from justtrades.store.connections import ConnectionRow
from justtrades.store.lanes import known_ids, load_lanes
from justtrades.store.outcomes import Finished
from justtrades.store.switches import Kill

__all__ = [
    "AccountRow",
    "ConnectionRow",
    "Kill",
    "State",
    "Waiting",
    "WaitingAct",
    "WaitingAlert",
    "end_route",
    "first_connection",
    "keep_account",
    "keep_accounts",
    "keep_act",
    "keep_kill",
    "known_ids",
    "load",
    "unfinished",
]


@dataclass(frozen=True, slots=True)
class State:
    """Where the engine stopped. `connections` are the enabled ones."""

    kill: Kill
    connections: tuple[ConnectionRow, ...]
    accounts: tuple[AccountRow, ...]
    lanes: tuple[Lane, ...]


@dataclass(frozen=True, slots=True)
class WaitingAct:
    """What a person asked of one lane and has no outcome yet."""

    signal_id: SignalId
    account_id: AccountId
    contract: ContractName
    verb: Verb
    received_at: datetime


@dataclass(frozen=True, slots=True)
class WaitingAlert:
    """An alert without an outcome: the rules it was accepted under, and the accounts still open."""

    signal_id: SignalId
    received_at: datetime
    expires_at: datetime
    recorder: Recorder
    reading: Reading
    accounts: frozenset[AccountId]


Waiting = WaitingAct | WaitingAlert


def load(connection: Connection) -> State:
    return State(
        kill=switches.get_kill(connection),
        connections=tuple(row for row in connections.every(connection) if row.enabled),
        accounts=tuple(accounts.every(connection)),
        lanes=tuple(load_lanes(connection)),
    )


def unfinished(connection: Connection) -> list[Waiting]:
    """Everything accepted and not over, in the order it was accepted."""
    return [waiting for one in signals.unfinished(connection) for waiting in _waiting(one)]


def first_connection(connection: Connection, at: datetime) -> ConnectionRow | None:
    """With no connection at all, `paper` is made; None when there are some."""
    if connections.every(connection):
        return None
    paper = ConnectionRow(ConnectionId("paper"), "paper", "paper", "password", None, True, at, at)
    connections.insert(connection, paper)
    return paper


def keep_accounts(
    connection: Connection, connection_id: ConnectionId, found: Iterable[accounts.AccountLike], at: datetime
) -> list[AccountRow]:
    """The broker's whole list; the rows of the connection's accounts after it."""
    return accounts.keep_only(connection, connection_id, found, at)


def keep_account(
    connection: Connection, connection_id: ConnectionId, account: accounts.AccountLike, at: datetime
) -> None:
    """One account changed."""
    accounts.keep(connection, connection_id, (account,), at)


def keep_act(
    connection: Connection,
    signal_id: SignalId,
    account_id: AccountId,
    contract: ContractName,
    verb: Verb,
    by: str,
    at: datetime,
) -> None:
    """What a person asks of one lane is a signal like any other, with a receipt of its own."""
    route = signals.NewRoute(account_id, contract)
    act = signals.NewSignal(signal_id, at, by, content_hash="", verb=verb, ticker=contract, routes=(route,))
    signals.accept(connection, act)


def keep_kill(connection: Connection, on: bool, reason: str, at: datetime) -> None:
    switches.set_kill(connection, on, reason, at)


def end_route(
    connection: Connection,
    signal_id: SignalId,
    account_id: AccountId,
    outcome: Outcome,
    reason: str,
    at: datetime,
) -> Finished | None:
    """An outcome decided before any lane was asked; tells if the signal is over with it."""
    return outcomes.finish_account(connection, signal_id, account_id, outcome, reason, at)


def _waiting(one: signals.Unfinished) -> list[Waiting]:
    if one.recorder_json is not None and one.reading_json is not None:
        return [
            WaitingAlert(
                one.signal_id,
                one.received_at,
                one.expires_at or one.received_at,
                codec.recorder_from(one.recorder_json),
                codec.reading_from(one.reading_json),
                frozenset(route.account_id for route in one.routes),
            )
        ]
    verb = Verb(one.verb or Verb.CLOSE)
    return [
        WaitingAct(one.signal_id, route.account_id, ContractName(route.contract), verb, one.received_at)
        for route in one.routes
    ]
