"""Trading accounts, as the brokers list them. An account that a broker no longer lists becomes inactive."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from sqlalchemy import Connection, bindparam, select

from justtrades.positions.model import AccountId, BrokerAccountId, ConnectionId
from justtrades.store.dialects import insert_or_update
from justtrades.store.tables import accounts, switches

GONE: Final = "the broker does not list it any more"
NONE_LISTED: Final = "the broker lists no account for this login here: is the environment (live or demo) the right one?"


@dataclass(frozen=True, slots=True)
class AccountRow:
    id: AccountId
    connection_id: ConnectionId
    broker_account_id: BrokerAccountId
    name: str
    active: bool
    why: str | None
    halted: bool
    halt_reason: str | None


class AccountLike(Protocol):
    """The shape of `broker.port.Account`."""

    @property
    def id(self) -> BrokerAccountId: ...
    @property
    def name(self) -> str: ...
    @property
    def active(self) -> bool: ...
    @property
    def why(self) -> str | None: ...


_A = accounts.c
_LIQUIDATED: Final = "liquidations of "
_write_marks: Final = insert_or_update(switches, ["name"])
_seen: Final = select(*(_A[name] for name in AccountRow.__slots__))
_write: Final = insert_or_update(accounts, ["id"], keep=["halted", "halt_reason"])
_halt: Final = accounts.update().where(_A.id == bindparam("b_id"))


def account_id(connection_id: ConnectionId, broker_account_id: BrokerAccountId) -> AccountId:
    """Our id of an account: the same whenever and however often the broker lists it."""
    return AccountId(f"{connection_id}-{broker_account_id}")


def keep(
    connection: Connection, connection_id: ConnectionId, found: Iterable[AccountLike], at: datetime
) -> list[AccountRow]:
    """What the broker says of these accounts; the connection's rows after it."""
    rows = [
        {
            "id": account_id(connection_id, account.id),
            "connection_id": connection_id,
            "broker_account_id": account.id,
            "name": account.name,
            "active": account.active,
            "why": account.why,
            "halted": False,
            "halt_reason": None,
            "updated_at": at,
        }
        for account in found
    ]
    _write.run_all(connection, rows)
    return of_connection(connection, connection_id)


def keep_only(
    connection: Connection, connection_id: ConnectionId, found: Iterable[AccountLike], at: datetime
) -> list[AccountRow]:
    """The broker's whole list: accounts of ours that are not in it become inactive."""
    listed = tuple(found)
    gone = (_A.connection_id == connection_id) & _A.broker_account_id.not_in([a.id for a in listed])
    words = {"active": False, "why": GONE if listed else NONE_LISTED, "updated_at": at}
    connection.execute(accounts.update().where(gone).values(**words))
    return keep(connection, connection_id, listed, at)


def every(connection: Connection) -> list[AccountRow]:
    return [AccountRow(**row._mapping) for row in connection.execute(_seen.order_by(_A.id))]


def of_connection(connection: Connection, connection_id: ConnectionId) -> list[AccountRow]:
    found = _seen.where(_A.connection_id == connection_id).order_by(_A.id)
    return [AccountRow(**row._mapping) for row in connection.execute(found)]


def halt(connection: Connection, account: AccountId, reason: str | None, at: datetime) -> None:
    """Stops entries on the account for this reason; None lets it go on."""
    values = {"halted": reason is not None, "halt_reason": reason, "updated_at": at}
    connection.execute(_halt.values(**values), {"b_id": account})


def halt_for(
    connection: Connection, account: AccountId, marks: tuple[str, ...], reason: str | None, at: datetime
) -> None:
    """Halts the account (None lets it go on), and keeps the broker's marks of what halted it so far."""
    row = {"name": f"{_LIQUIDATED}{account}", "is_on": True, "reason": json.dumps(marks), "at": at}
    _write_marks.run(connection, row)
    halt(connection, account, reason, at)


def liquidations(connection: Connection) -> dict[AccountId, tuple[str, ...]]:
    """The marks of all liquidations that halted an account."""
    found = select(switches.c.name, switches.c.reason).where(switches.c.name.startswith(_LIQUIDATED))
    rows = connection.execute(found)
    return {AccountId(row.name.removeprefix(_LIQUIDATED)): tuple(json.loads(row.reason or "[]")) for row in rows}
