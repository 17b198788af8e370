"""Trading accounts, as the brokers list them. An account that a broker no longer lists becomes inactive."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from sqlalchemy import Connection, bindparam, select

from justtrades.positions.model import AccountId, BrokerAccountId, ConnectionId
from justtrades.store.dialects import insert_or_update
from justtrades.store.tables import accounts


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
    if rows:
        connection.execute(_write.on(connection), rows)
    return of_connection(connection, connection_id)


def keep_only(
    connection: Connection, connection_id: ConnectionId, found: Iterable[AccountLike], at: datetime
) -> list[AccountRow]:
    """The broker's whole list: accounts of ours that are not in it become inactive."""
    listed = tuple(found)
    gone = (_A.connection_id == connection_id) & _A.broker_account_id.not_in([a.id for a in listed])
    words = {"active": False, "why": "the broker does not list it any more", "updated_at": at}
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
