"""The API over a real database in memory and a desk that only remembers what it was asked."""

from __future__ import annotations

import itertools
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
from fastapi import FastAPI

from justtrades.api.app import create_app
from justtrades.api.parts import LaneView, Parts
from justtrades.broker.port import Account, Budget, ConnectionState, Health, Refused
from justtrades.comparing import Comparison
from justtrades.desk import Arrival, KillState, NoSuchLane
from justtrades.lane_view import ExitView
from justtrades.lane_view import LaneView as DeskLane
from justtrades.positions.limits import Limits
from justtrades.positions.model import (
    AccountId,
    BrokerAccountId,
    BrokerOrderId,
    ConnectionId,
    ContractName,
    RecorderId,
    SignalId,
)
from justtrades.positions.recorder import Recorder, Route
from justtrades.rehearse import Books, Rehearsed, rehearsed
from justtrades.settings import Settings
from justtrades.store import accounts, books, recorders
from justtrades.store.secrets import Box, hashed, new_key
from justtrades.store.session import Database
from tests import newest

ADMIN_KEY = "an-admin-key-of-the-tests"
LOCAL_KEY = "a-local-key-of-the-tests"
TOKEN = "webhook-token-of-the-tests"
START = datetime(2026, 9, 1, 14, 30, tzinfo=UTC)
PAPER = ConnectionId("paper")
ACCOUNT = AccountId("paper-1001")
CONTRACT = ContractName("MNQU6")

ROW = accounts.AccountRow(ACCOUNT, PAPER, BrokerAccountId("1001"), "DEMO1001", True, None, False, None)


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class FakeDesk:
    """Remembers; a lane of `views` exists, any other does not."""

    arrivals: list[Arrival] = field(default_factory=list)
    acts: list[tuple[Any, ...]] = field(default_factory=list)
    views: list[DeskLane] = field(default_factory=list)
    reasons: tuple[str, ...] = ()
    healths: dict[ConnectionId, Health] = field(default_factory=dict)
    found: tuple[Account, ...] = ()
    refusal: Refused | None = None
    state: KillState = field(default_factory=lambda: KillState(False, "", None))
    changes: int = 0
    books: Books = field(default_factory=lambda: Books({ACCOUNT: ROW}, (), False, Limits()))
    refuses_to_adopt: Exception | None = None
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def dispatch(self, arrival: Arrival) -> None:
        self.arrivals.append(arrival)

    async def rehearsed(self, arrival: Arrival) -> tuple[Rehearsed, ...]:
        return rehearsed(self.books, arrival, arrival.received_at)

    async def close(self, account_id: AccountId, contract: ContractName, by: str) -> SignalId:
        self._find(account_id, contract)
        self.acts.append(("close", account_id, contract, by))
        return SignalId(f"act-{next(self._numbers)}")

    async def flatten(self, account_id: AccountId | None, by: str) -> tuple[SignalId, ...]:
        self.acts.append(("flatten", account_id, by))
        return (SignalId(f"act-{next(self._numbers)}"),)

    async def kill(self, on: bool, reason: str, by: str) -> None:
        self.acts.append(("kill", on, reason, by))
        self.state = KillState(on, reason, START)

    def kill_state(self) -> KillState:
        return self.state

    async def reconcile(self, account_id: AccountId | None) -> tuple[LaneView, ...]:
        self.acts.append(("reconcile", account_id))
        return tuple(self.views)

    async def compare(self, account_id: AccountId | None) -> tuple[Comparison, ...]:
        self.acts.append(("compare", account_id))
        return (Comparison(ACCOUNT, CONTRACT, 1, 0, 2, ("position: books +1, broker +2",)),)

    async def resume(
        self,
        account_id: AccountId,
        contract: ContractName,
        *,
        adopt: bool,
        by: str,
        recorder_id: RecorderId | None = None,
    ) -> SignalId | None:
        self._find(account_id, contract)
        if self.refuses_to_adopt is not None and adopt:
            raise self.refuses_to_adopt
        self.acts.append(("resume", account_id, contract, adopt, by, *([recorder_id] if recorder_id else [])))
        return SignalId("act") if adopt else None

    async def resume_account(self, account_id: AccountId, by: str) -> None:
        if account_id != ACCOUNT:
            raise NoSuchLane("there is no such account")
        self.acts.append(("resume account", account_id, by))

    def lanes(self) -> tuple[LaneView, ...]:
        return tuple(self.views)

    async def connections_changed(self) -> None:
        self.changes += 1

    def health(self, connection_id: ConnectionId) -> Health | None:
        return self.healths.get(connection_id)

    def not_ready(self) -> tuple[str, ...]:
        return self.reasons

    async def test_connection(self, connection_id: ConnectionId) -> tuple[Account, ...]:
        if self.refusal is not None:
            raise self.refusal
        return self.found

    def _find(self, account_id: AccountId, contract: ContractName) -> None:
        if not any((view.account_id, view.contract) == (account_id, contract) for view in self.views):
            raise NoSuchLane("nothing was ever traded there")


@dataclass
class World:
    app: FastAPI
    desk: FakeDesk
    database: Database
    clock: Clock
    parts: Parts
    http: httpx.AsyncClient

    @property
    def admin(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {ADMIN_KEY}"}

    async def get(self, path: str, **query: str | int) -> httpx.Response:
        return await self.http.get(f"/api/v1{path}", params=query, headers=self.admin)

    async def send(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return await self.http.request(method, f"/api/v1{path}", json=body, headers=self.admin)

    async def alert(self, body: Any, token: str = TOKEN, **headers: str) -> httpx.Response:
        content = {"content": body} if isinstance(body, bytes | str) else {"json": body}
        return await self.http.post(f"/webhook/{token}", headers=headers, **content)

    async def keep(self, recorder: Recorder, token: str = TOKEN) -> None:
        """A recorder that stands in the database, known to the webhook."""
        await self.database.write(lambda c: recorders.add(c, self.parts.box, recorder, token, self.clock()))
        await self.app.state.tokens.refresh(self.parts)

    async def change(self, recorder: Recorder) -> None:
        await self.database.write(lambda c: recorders.edit(c, self.parts.box, recorder, self.clock()))
        await self.app.state.tokens.refresh(self.parts)


@asynccontextmanager
async def world(
    *,
    peer: str = "203.0.113.7",
    recorder: Recorder | None = None,
    parts: dict[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[World]:
    clock, desk = Clock(), FakeDesk()
    database = Database("sqlite+aiosqlite://", clock=clock, inline=True, rng=random.Random(1))
    await database.open()
    try:
        await database.write(newest.create)
        await database.write(_first_account)
        made = Parts(
            settings=Settings(_env_file=None, **settings),
            database=database,
            desk=desk,
            box=Box(new_key()),
            clock=clock,
            version="1.2.3",
            admin_hashes=frozenset({hashed(ADMIN_KEY)}),
            local_hash=hashed(LOCAL_KEY),
            **(parts or {}),
        )
        app = create_app(made)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(peer, 40000))
        async with httpx.AsyncClient(transport=transport, base_url="http://engine.test") as http:
            here = World(app, desk, database, clock, made, http)
            await here.keep(recorder or momentum())
            yield here
    finally:
        await database.close()


def momentum(**changes: Any) -> Recorder:
    values = {"name": "momentum", "symbol": "MNQ1!", "routes": (Route(ACCOUNT),), **changes}
    return Recorder(id=RecorderId("r1"), **values)


def lane(**changes: Any) -> DeskLane:
    """A long of 2 with its target at the broker."""
    values: dict[str, Any] = {
        "account_id": ACCOUNT,
        "contract": CONTRACT,
        "quantity": 2,
        "broker_quantity": 2,
        "foreign": 0,
        "foreign_orders": (),
        "in_doubt": False,
        "doubt_seconds": 0.0,
        "halted": False,
        "halt_reason": None,
        "blocked": None,
        "owner_recorder_id": RecorderId("r1"),
        "unprotected_seconds_today_max": 0.25,
        "checked_at": START,
        "protected": True,
        "promise": "protected, checked 0.4 s ago",
        "average_price": Decimal("24500.25"),
        "targets": (ExitView(Decimal("24505.25"), 2, BrokerOrderId("77")),),
        "stop": None,
        "opened_at": START,
        "side": "LONG",
        "signals_waiting": 0,
    }
    return DeskLane(**{**values, **changes})


def health(state: ConnectionState = ConnectionState.SYNCED) -> Health:
    return Health(state, None, START + timedelta(hours=1), START, Budget(3, 60, 40, 4000))


def _first_account(connection: Any) -> None:
    books.first_connection(connection, START)
    accounts.keep(connection, PAPER, (Account(BrokerAccountId("1001"), "DEMO1001"),), START)
