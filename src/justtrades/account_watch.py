"""The accounts of all logins: what the broker says of each, and what keeps it from entering.

Two things stop entries on an account, and exits go on under both. The broker's own word (closed, locked, liquidation
only, not listed any more) holds as long as the broker holds to it. A liquidation by the broker halts the account
until a person resumes it, durably: each one is remembered by the broker's own mark for it, so that a restart or a
snapshot that tells of it again does not halt what a person has let go on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

from sqlalchemy import Connection

from justtrades.broker.port import Account
from justtrades.notices import Kind, Notify
from justtrades.positions.model import AccountId, BrokerAccountId, BrokerOrder, ConnectionId
from justtrades.store import accounts, books
from justtrades.store.accounts import AccountRow
from justtrades.store.session import Database, NotDurable

log = logging.getLogger(__name__)

YOUNG = timedelta(days=1)
"""An order of the broker's own that is older is history, whatever brings it up."""
MOST_MARKS = 20
UNTIMED = "status now"
"""A liquidation whose time the broker does not tell: remembered for as long as it lasts."""


@dataclass(slots=True)
class AccountWatch:
    """`rows` is shared with whoever asks for an account by our id."""

    database: Database
    clock: Callable[[], datetime]
    rows: dict[AccountId, AccountRow]
    notify: Notify
    spawn: Callable[[Coroutine[None, None, None], str], None]
    rng: Random = field(default_factory=Random)
    _marks: dict[AccountId, tuple[str, ...]] = field(default_factory=dict)
    """What halted each account already, also before the engine started."""
    _owed: dict[tuple[AccountId, str], Callable[[Connection], None]] = field(default_factory=dict)
    """What the database has still to be told, the newest of each kind: nothing is lost while it takes no writes."""

    async def load(self) -> None:
        self._marks = await self.database.read(accounts.liquidations)

    async def found(self, connection_id: ConnectionId, listed: tuple[Account, ...]) -> None:
        """All accounts of a login. A configured one that is missing stops trading; it never reads as flat."""
        rows = await self.database.write(lambda c: books.keep_accounts(c, connection_id, listed, self.clock()))
        for row in rows:
            self._take(row)
        for account in listed:
            self._consider(connection_id, account)

    def changed(self, connection_id: ConnectionId, account: Account) -> None:
        row = self._row(connection_id, account.id)
        if row is not None:
            self._take(replace(row, active=account.active, why=account.why))
        at, key = self.clock(), accounts.account_id(connection_id, account.id)
        self._owe(key, "standing", lambda c: books.keep_account(c, connection_id, account, at))
        self._consider(connection_id, account)

    def ordered(self, connection_id: ConnectionId, account: BrokerAccountId, order: BrokerOrder) -> None:
        """An order in the account; one that the broker itself placed is a liquidation."""
        row = self._row(connection_id, account) if order.admin else None
        if row is not None and (order.at is None or order.at > self.clock() - YOUNG):
            self._halt(row, f"order {order.broker_id}", "the broker liquidated by an order of its own")

    def barred(self, account_id: AccountId) -> str | None:
        """Why no entry may leave for this account now."""
        row = self.rows.get(account_id)
        if row is None or (row.active and not row.halted):
            return None
        return row.why or "the account cannot trade" if not row.active else row.halt_reason or "the account is halted"

    def unlisted(self, account_id: AccountId) -> bool:
        """The broker does not show it any more: what is held there cannot be compared."""
        row = self.rows.get(account_id)
        return row is not None and not row.active and row.why in (accounts.GONE, accounts.NONE_LISTED)

    async def resume(self, account_id: AccountId) -> bool:
        """A person lets the account go on; False when there is none."""
        row = self.rows.get(account_id)
        if row is None:
            return False
        self.rows[account_id] = replace(row, halted=False, halt_reason=None)
        at, timed = self.clock(), self._timed(account_id)
        self._owed.pop((account_id, "halt"), None)
        await self.database.write(lambda c: accounts.halt_for(c, account_id, timed, None, at))
        return True

    def _owe(self, account_id: AccountId, what: str, work: Callable[[Connection], None]) -> None:
        if not self._owed:
            self.spawn(self._pay(), "accounts")
        self._owed[account_id, what] = work

    async def _pay(self) -> None:
        """Until the database has taken it all; what is newer or undone meanwhile is not written late. Any other error
        than that it takes nothing ends the engine, like everywhere."""
        while self._owed:
            key, work = next(iter(self._owed.items()))
            try:
                await self.database.write(work)
            except NotDurable as error:
                log.error("the standing of account %s cannot be saved yet: %s", key[0], error)
                await asyncio.sleep(1 + self.rng.random())
                continue
            if self._owed.get(key) is work:
                del self._owed[key]

    def _timed(self, account_id: AccountId) -> tuple[str, ...]:
        return tuple(mark for mark in self._marks.get(account_id, ()) if mark != UNTIMED)

    def _row(self, connection_id: ConnectionId, account: BrokerAccountId) -> AccountRow | None:
        return self.rows.get(accounts.account_id(connection_id, account))

    def _take(self, row: AccountRow) -> None:
        """Its new standing, told to people when it changed."""
        before = self.rows.get(row.id)
        self.rows[row.id] = row
        if before is None or (before.active, before.why) == (row.active, row.why):
            return
        if row.active:
            log.info("account %s trades again", row.id)
            self.notify(Kind.HALT, f"{row.name} trades again", "The broker lets the account enter again.")
        else:
            log.warning("account %s enters no more: %s", row.id, row.why)
            self.notify(Kind.HALT, f"{row.name} takes no entries", f"{row.why}. Exits go on.")

    def _consider(self, connection_id: ConnectionId, account: Account) -> None:
        """Is the broker liquidating it? One that ended without a time of its own may come again."""
        row = self._row(connection_id, account.id)
        if row is None:
            return
        if account.liquidation is not None:
            self._halt(row, f"status {account.liquidation}", "the broker liquidated the account")
        elif UNTIMED in self._marks.get(row.id, ()):
            self._marks[row.id] = self._timed(row.id)

    def _halt(self, row: AccountRow, mark: str, why: str) -> None:
        """Until a person resumes it; what halted it once does not halt it again."""
        if mark in self._marks.get(row.id, ()):
            return
        self._marks[row.id] = (*self._marks.get(row.id, ()), mark)[-MOST_MARKS:]
        reason, at = f"{why}: entries stop until a person resumes the account", self.clock()
        self.rows[row.id] = replace(row, halted=True, halt_reason=reason)
        timed = self._timed(row.id)
        self._owe(row.id, "halt", lambda c: accounts.halt_for(c, row.id, timed, reason, at))
        log.error("account %s is halted: %s", row.id, reason)
        self.notify(Kind.HALT, f"{row.name} is halted", f"{reason}.")
