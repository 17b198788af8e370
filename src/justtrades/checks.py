"""The checks of an entry that need more than its lane: the broker's record of the contract, and a price.

Both are at hand for a contract that is traded: the login keeps the record, and every fill told is a price. What
is not at hand is asked for once, on the way to a lane that waits for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from justtrades.broker.port import ContractRecord, Picture
from justtrades.login import Link
from justtrades.positions.known_prices import KnownPrice, KnownPrices, expiry_check, price_check
from justtrades.positions.model import Check, ConnectionId, ContractName, Fill
from justtrades.positions.recorder import Reading
from justtrades.store.prices import LastPrice

AskPrice = Callable[[ContractName], Awaitable[Decimal | None]]


@dataclass(slots=True)
class Checks:
    """`tolerance` is in percent, 0 compares nothing. `ask_price` stands for a connection whose market can be asked."""

    clock: Callable[[], datetime]
    link: Callable[[ConnectionId], Link]
    tolerance: Decimal
    ask_price: Mapping[ConnectionId, AskPrice]
    _prices: KnownPrices = field(default_factory=KnownPrices)

    # ── what is heard ──

    def filled(self, connection: ConnectionId, contract: ContractName, fill: Fill) -> None:
        self._prices.heard(connection, contract, KnownPrice(fill.price, fill.at, "the last fill"))

    def remembered(self, told: Iterable[LastPrice]) -> None:
        """What the database still knows from before the start."""
        for last in told:
            known = KnownPrice(last.price, last.at, "the last fill")
            self._prices.heard(last.connection_id, last.contract, known)

    def pictured(self, connection: ConnectionId, picture: Picture) -> None:
        for lane in picture.lanes:
            for fill in lane.fills:
                self.filled(connection, lane.contract, fill)

    def simulated(self, connection: ConnectionId, contract: ContractName, price: Decimal) -> None:
        self._prices.heard(connection, contract, KnownPrice(price, self.clock(), "the simulator's price"))

    # ── what is asked ──

    def at_hand(self, connection: ConnectionId, contract: ContractName, reading: Reading) -> tuple[Check, ...] | None:
        """The checks of an entry; None when somebody must be asked first. An exit is never checked."""
        if not reading.verb.enters:
            return ()
        if connection in self.ask_price and self._compares(reading):
            return None
        login = self.link(connection).login
        return self._checks(connection, contract, reading, login.known_contract(contract) if login else None)

    async def asked(
        self, connection: ConnectionId, contract: ContractName, reading: Reading, record: ContractRecord | None
    ) -> tuple[Check, ...]:
        """The same, after asking. Raises a `BrokerError` when the contract's end cannot be known without its record."""
        if not reading.verb.enters:
            return ()
        if self._compares(reading) and (ask := self.ask_price.get(connection)) is not None:
            price = await ask(contract)
            if price is not None:
                self.simulated(connection, contract, price)
        login = self.link(connection).login
        known = record or (login.known_contract(contract) if login else None)
        found = self._checks(connection, contract, reading, known)
        if found is None:
            found = self._checks(connection, contract, reading, await self.link(connection).contract(contract))
        return found or ()

    def ended(self, connection: ConnectionId, contract: ContractName) -> str | None:
        """That the contract trades no more, as far as that is known here."""
        login = self.link(connection).login
        record = login.known_contract(contract) if login is not None else None
        ends = expiry_check(contract, record.expires_at if record is not None else None, self.clock())
        return ends.detail if ends is not None and not ends.passed else None

    def _compares(self, reading: Reading) -> bool:
        return bool(self.tolerance) and reading.price is not None

    def _checks(
        self, connection: ConnectionId, contract: ContractName, reading: Reading, record: ContractRecord | None
    ) -> tuple[Check, ...] | None:
        now = self.clock()
        ends = expiry_check(contract, record.expires_at if record is not None else None, now)
        if ends is None and record is None:
            return None
        known = self._prices.today(connection, contract, now)
        price = price_check(contract, reading.price, known, self.tolerance) if self.tolerance else None
        return tuple(check for check in (ends, price) if check is not None)
