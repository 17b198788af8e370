"""The venue at work: a clock, a durable ledger, and listeners.

A change is made in memory, then committed, then answered and told: nobody hears of what a kill could undo.
Changes that wait for the disk at the same time share one commit, in a worker thread, so the event loop never
waits for an fsync. Who asked for a change tells its events (`tell`), because the answer usually comes first.

An error inside a change or a commit means that memory and file may differ. Nothing goes on from there:
`failure` ends whoever runs the floor, and a restart reads the file.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Final

from justtrades.broker.simulator import documents
from justtrades.broker.simulator.book import Account
from justtrades.broker.simulator.ledger import Entry, Ledger
from justtrades.broker.simulator.listing import Contract
from justtrades.broker.simulator.rules import Malformed, Refused, Terms, Unknown
from justtrades.broker.simulator.tape import PRIVATE, Event, Frame, Outcome
from justtrades.broker.simulator.venue import Venue

Clock = Callable[[], datetime]
Listener = Callable[[Sequence[Frame]], None]
Verb = Callable[[Venue, datetime], Outcome]
FIRST_ACCOUNT: Final = 18_156_001
HOUSE_USER: Final = 699_523
"""The owner of all accounts; not the logged-in user, as with prop firms (recorded)."""


class Floor:
    def __init__(self, ledger: Ledger, clock: Clock, terms: Terms | None = None) -> None:
        self.ledger = ledger
        self.clock = clock
        self.venue = Venue(ledger.load(), terms)
        self.listeners: set[Listener] = set()
        self.events_first = False
        self.history = History(ledger)
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._commits = GroupCommit(ledger)
        self._moved: dict[int, Decimal] = {}

    async def close(self) -> None:
        """Make the last prices durable and let the file go."""
        if self._moved and not self.failure.done():
            await self._commit([], self.clock())
        await self._commits.close()
        self.ledger.close()
        self.failure.cancel()

    # ── changes ──────────────────────────────────────────────────────────────────────────────────────────

    async def act(self, verb: Verb) -> Outcome:
        """Make a change durable. The caller tells its events; a cancelled caller's are told at once."""
        now = self.clock()
        outcome = self._change(verb, now)
        events = list(outcome.events)
        if not events:
            return outcome
        try:
            await self._commit(events, now)
        except asyncio.CancelledError:
            self.tell(outcome.frames)
            raise
        if self.events_first:
            self.tell(outcome.frames)
            return Outcome(outcome.answer)
        return outcome

    def _change(self, verb: Verb, now: datetime) -> Outcome:
        if self.failure.done():
            raise RuntimeError("the simulator has failed")
        try:
            return verb(self.venue, now)
        except (Refused, Unknown, Malformed):
            raise
        except BaseException as error:
            self._fail(error)
            raise

    async def _commit(self, events: Sequence[Event], now: datetime) -> None:
        entry = Entry(events, self.venue.book.next_id, now, self._moved)
        self._moved = {}
        self.history.remember(events, now)
        try:
            await self._commits.commit(entry)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._fail(error)
            raise

    def _fail(self, error: BaseException) -> None:
        if not self.failure.done():
            self.failure.set_exception(error)

    async def trade_at(self, contract: Contract, price: Decimal, *, durable: bool = False) -> None:
        """The market trades at `price`; what fills is durable and told when this returns."""
        self._moved[contract.id] = price
        outcome = await self.act(lambda venue, now: venue.tick(contract, price, now))
        if durable and self._moved:
            await self._commit([], self.clock())
        self.tell(outcome.frames)

    def tell(self, frames: Sequence[Frame]) -> None:
        """Hand the public events to everyone who listens."""
        shown = [public for frame in frames if (public := _public(frame))]
        for listener in tuple(self.listeners) if shown else ():
            listener(shown)

    # ── accounts ─────────────────────────────────────────────────────────────────────────────────────────

    async def open_accounts(self, count: int, cash: Decimal) -> None:
        """See to it that accounts PAPER1 … PAPERn exist; those that do keep what they have."""
        for number in range(1, count + 1):
            if FIRST_ACCOUNT + number not in self.venue.book.accounts:
                account = Account(FIRST_ACCOUNT + number, f"PAPER{number}")
                await self.act(partial(_open_account, account, cash))

    async def set_account(self, account: Account) -> None:
        """New limits for an account that exists."""
        outcome = await self.act(partial(_set_account, account))
        self.tell(outcome.frames)


class GroupCommit:
    """Entries that wait together share one transaction; they come back in the order they came."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="simulator-ledger")
        self._waiting: list[tuple[Entry, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def commit(self, entry: Entry) -> None:
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, durable))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain())
        await durable

    async def _drain(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            error = await self._write([entry for entry, _ in batch])
            for _, durable in batch:
                if not durable.done():
                    durable.set_exception(error) if error else durable.set_result(None)

    async def _write(self, entries: list[Entry]) -> Exception | None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._ledger.write, entries)
        except Exception as error:  # handed on to everyone who waits for this commit
            return error
        return None

    async def close(self) -> None:
        while self._task is not None and not self._task.done():
            with suppress(Exception):
                await self._task
        self._thread.shutdown()


class History:
    """What documents were before their last changes, so that a read can be late on purpose."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._changes: deque[tuple[datetime, str, int, str | None]] = deque(maxlen=100_000)
        self.lag = timedelta(0)

    def remember(self, events: Sequence[Event], now: datetime) -> None:
        if not self.lag:
            self._changes.clear()
            return
        for event in events:
            kind, id_ = event.entity_type, event.entity["id"]
            self._changes.append((now, kind, id_, self._ledger.item(kind, id_)))

    def overlay(self, kind: str, now: datetime) -> dict[int, str | None]:
        """What a late reader sees of changed documents: the older text, or None (not yet there)."""
        hidden = [change for change in self._changes if change[0] > now - self.lag and change[1] == kind]
        return {id_: before for _, _, id_, before in reversed(hidden)}


def _public(frame: Frame) -> Frame:
    return tuple(event for event in frame if not event.entity_type.startswith(PRIVATE))


def _open_account(account: Account, cash: Decimal, venue: Venue, now: datetime) -> Outcome:
    balance = documents.cash_balance(venue.book.take_id(), account.id, cash, now)
    venue.book.accounts[account.id] = account
    venue.book.cash[account.id] = balance
    own = (
        Event("_account", "Created", asdict(account)),
        Event("account", "Created", _account_document(account, now)),
        Event("cashBalance", "Created", balance),
        Event("accountRiskStatus", "Created", _risk_status(account, now)),
        Event("marginSnapshot", "Created", documents.margin_snapshot(account.id, now)),
    )
    return Outcome({}, (own,))


def _set_account(account: Account, venue: Venue, now: datetime) -> Outcome:
    if account.id not in venue.book.accounts:
        raise Unknown(f"account {account.id}")
    venue.book.accounts[account.id] = account
    own = (
        Event("_account", "Updated", asdict(account)),
        Event("account", "Updated", _account_document(account, now)),
        Event("accountRiskStatus", "Updated", _risk_status(account, now)),
    )
    return Outcome({}, (own,))


def _account_document(account: Account, now: datetime) -> documents.Entity:
    return documents.account(account.id, account.name, HOUSE_USER, now, active=account.active)


def _risk_status(account: Account, now: datetime) -> documents.Entity:
    """`liquidateOnly` is a time while liquidation-only, and left out otherwise (official)."""
    status: documents.Entity = {"id": account.id, "adminAction": "Normal"}
    if account.liquidation_only:
        status |= {"adminAction": "LiquidateOnlyModeImmediately", "liquidateOnly": documents.instant(now)}
    if account.locked:
        status |= {"adminAction": "LockTradingImmediately", "adminTimestamp": documents.instant(now)}
    if account.auto_liq_started is not None:
        status |= {"autoLiqStarted": account.auto_liq_started, "autoLiqCounter": 1}
    return status
