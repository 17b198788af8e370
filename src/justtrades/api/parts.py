"""What the API is made of: ready objects, handed in. It starts nothing and ends nothing.

`Desk` is the engine as the API sees it, and `LaneView` one of its lanes: protocols, so that a test's desk is a
few lines and the engine never learns of HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from justtrades.broker.port import Account, Health
from justtrades.courier import ChildCourier, Courier
from justtrades.desk import Arrival
from justtrades.notices import Notices, Silent
from justtrades.positions.model import AccountId, ConnectionId, ContractName, RecorderId, SignalId
from justtrades.rehearse import Rehearsed
from justtrades.selfaudit.auditor import SelfAudit
from justtrades.settings import Settings
from justtrades.store.connections import ConnectionRow
from justtrades.store.secrets import Box
from justtrades.store.session import Database


class ExitView(Protocol):
    """A resting target or stop."""

    @property
    def price(self) -> Decimal: ...
    @property
    def quantity(self) -> int: ...
    @property
    def broker_order_id(self) -> str | None: ...


class OtherOrder(Protocol):
    """A working order that is not ours; quantities are contracts still open."""

    @property
    def broker_order_id(self) -> str: ...
    @property
    def action(self) -> str | None: ...
    @property
    def quantity(self) -> int | None: ...
    @property
    def order_type(self) -> str | None: ...
    @property
    def price(self) -> Decimal | None: ...


class LaneView(Protocol):
    """A lane at this moment; quantities are signed contracts."""

    @property
    def account_id(self) -> AccountId: ...
    @property
    def contract(self) -> ContractName: ...
    @property
    def quantity(self) -> int: ...
    @property
    def broker_quantity(self) -> int | None: ...
    @property
    def foreign(self) -> int: ...
    @property
    def foreign_orders(self) -> Sequence[OtherOrder]: ...
    @property
    def in_doubt(self) -> bool: ...
    @property
    def doubt_seconds(self) -> float: ...
    @property
    def halted(self) -> bool: ...
    @property
    def halt_reason(self) -> str | None: ...
    @property
    def blocked(self) -> str | None: ...
    @property
    def owner_recorder_id(self) -> RecorderId | None: ...
    @property
    def unprotected_seconds_today_max(self) -> float: ...
    @property
    def checked_at(self) -> datetime | None: ...
    @property
    def protected(self) -> bool: ...
    @property
    def promise(self) -> str: ...
    @property
    def average_price(self) -> Decimal | None: ...
    @property
    def targets(self) -> Sequence[ExitView]: ...
    @property
    def stop(self) -> ExitView | None: ...
    @property
    def signals_waiting(self) -> int: ...


class Comparison(Protocol):
    @property
    def account_id(self) -> AccountId: ...
    @property
    def contract(self) -> ContractName: ...
    @property
    def quantity(self) -> int: ...
    @property
    def foreign_quantity(self) -> int: ...
    @property
    def broker_quantity(self) -> int | None: ...
    @property
    def differences(self) -> Sequence[str]: ...


class KillState(Protocol):
    @property
    def on(self) -> bool: ...
    @property
    def reason(self) -> str: ...
    @property
    def since(self) -> datetime | None: ...


class Desk(Protocol):
    """The engine. `by` names the key a person acted with, for the audit."""

    def dispatch(self, arrival: Arrival) -> None:
        """A hint that a durable signal waits in the database; never waits."""

    async def rehearsed(self, arrival: Arrival) -> Sequence[Rehearsed]:
        """What each account would do with a signal now; nothing is sent or kept."""

    async def close(self, account_id: AccountId, contract: ContractName, by: str) -> SignalId: ...
    async def flatten(self, account_id: AccountId | None, by: str) -> tuple[SignalId, ...]: ...
    async def kill(self, on: bool, reason: str, by: str) -> None: ...
    def kill_state(self) -> KillState: ...
    async def reconcile(self, account_id: AccountId | None) -> Sequence[LaneView]: ...
    async def compare(self, account_id: AccountId | None) -> Sequence[Comparison]: ...
    async def resume(
        self,
        account_id: AccountId,
        contract: ContractName,
        *,
        adopt: bool,
        by: str,
        recorder_id: RecorderId | None = None,
    ) -> SignalId | None: ...
    async def resume_account(self, account_id: AccountId, by: str) -> None: ...
    def lanes(self) -> Sequence[LaneView]: ...
    async def connections_changed(self) -> None: ...
    def health(self, connection_id: ConnectionId) -> Health | None: ...
    def not_ready(self) -> tuple[str, ...]: ...
    async def test_connection(self, connection_id: ConnectionId) -> tuple[Account, ...]: ...


class Grants(Protocol):
    """Log-ins by OAuth. Both raise a `BrokerError` with the reason."""

    async def page(self, row: ConnectionRow, redirect_uri: str, state: str) -> str: ...
    async def exchange(self, row: ConnectionRow, code: str, redirect_uri: str) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """`admin_hashes` are hashes (`store.secrets.hashed`) of admin keys that stand in no table; `local_hash` is that
    of the key file, good on loopback only. `demo_token` is filled into the page of examples. `notices.notify` tells
    people what they should hear of, and `courier` carries one message. `self_audit` None: the engine does not audit
    itself."""

    settings: Settings
    database: Database
    desk: Desk
    box: Box
    clock: Callable[[], datetime]
    version: str
    admin_hashes: frozenset[str] = field(default=frozenset(), repr=False)
    local_hash: str | None = field(default=None, repr=False)
    demo_token: str | None = field(default=None, repr=False)
    notices: Notices = field(default_factory=Silent)
    courier: Courier = field(default_factory=ChildCourier)
    grants: Grants | None = None
    self_audit: SelfAudit | None = None
