"""All that the venue remembers in order to go on trading; everything older is only in the ledger.

Live orders, holdings with their open lots, cash, limits, last prices and the next id. Ended orders are
forgotten but for their ids (a bounded number, to answer TooLate), so memory follows what is open, not what
ever happened. The values are frozen; a change replaces one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

from justtrades.broker.simulator import documents
from justtrades.broker.simulator.documents import Entity

FIRST_ID: Final = 600_000_000_000
TERMINAL: Final = frozenset({"Filled", "Canceled", "Rejected", "Expired", "Completed"})
ENDED_KEPT: Final = 10_000


@dataclass(frozen=True, slots=True)
class Account:
    """A trading account and its limits; `late_risk`: they speak after the orderId (recorded)."""

    id: int
    name: str
    max_order_qty: int | None = None
    max_position: int | None = None
    liquidation_only: bool = False
    locked: bool = False
    active: bool = True
    late_risk: bool = False
    auto_liq_started: str | None = None
    """When the risk desk last liquidated it, as a document says it."""


@dataclass(frozen=True, slots=True)
class Live:
    """An order that can still fill. `triggered`: its stop price was reached."""

    order: Entity
    version: Entity
    filled: int = 0
    value: Decimal = Decimal(0)
    triggered: bool = False

    @property
    def id(self) -> int:
        return int(self.order["id"])

    @property
    def key(self) -> tuple[int, int]:
        return self.order["accountId"], self.order["contractId"]

    @property
    def remaining(self) -> int:
        return int(self.version["orderQty"]) - self.filled

    @property
    def buys(self) -> bool:
        return bool(self.order["action"] == "Buy")

    @property
    def suspended(self) -> bool:
        return bool(self.order["ordStatus"] == "Suspended")

    @property
    def kind(self) -> str:
        return str(self.version["orderType"])

    def price(self, field_name: str) -> Decimal:
        return documents.decimal(self.version[field_name])


@dataclass(frozen=True, slots=True)
class Lot:
    """What is still open of one fill."""

    fill_id: int
    qty: int
    price: Decimal


@dataclass(frozen=True, slots=True)
class Holding:
    """A position row and the lots that make it up, oldest first."""

    row: Entity
    lots: tuple[Lot, ...] = ()

    @property
    def net(self) -> int:
        return int(self.row["netPos"])


@dataclass(slots=True)
class Book:
    next_id: int = FIRST_ID
    accounts: dict[int, Account] = field(default_factory=dict)
    cash: dict[int, Entity] = field(default_factory=dict)
    orders: dict[int, Live] = field(default_factory=dict)
    holdings: dict[tuple[int, int], Holding] = field(default_factory=dict)
    prices: dict[int, Decimal] = field(default_factory=dict)
    ended: dict[int, None] = field(default_factory=dict)

    def take_id(self) -> int:
        taken = self.next_id
        self.next_id += 1
        return taken

    def net(self, account: int, contract: int) -> int:
        holding = self.holdings.get((account, contract))
        return holding.net if holding else 0

    def holding(self, account: int, contract: int, now: datetime) -> Holding:
        """The position of an account and contract; a flat one with an id of its own if there is none."""
        held = self.holdings.get((account, contract))
        return held or Holding(flat_row(self.take_id(), account, contract, now))

    def on(self, contract: int) -> list[Live]:
        """The live orders of a contract, oldest first."""
        return [live for live in self.orders.values() if live.order["contractId"] == contract]

    def children(self, parent: int) -> Iterator[Live]:
        return (live for live in list(self.orders.values()) if live.order.get("parentId") == parent)

    def forget(self, order_id: int) -> None:
        """The order has ended."""
        self.orders.pop(order_id, None)
        self.ended[order_id] = None
        if len(self.ended) > ENDED_KEPT:
            del self.ended[next(iter(self.ended))]


def flat_row(id_: int, account: int, contract: int, now: datetime) -> Entity:
    """A flat row has neither netPrice nor prevPrice (recorded)."""
    return {
        "id": id_,
        "accountId": account,
        "contractId": contract,
        "timestamp": documents.instant(now),
        "tradeDate": documents.trade_date(now),
        "netPos": 0,
        "bought": 0,
        "boughtValue": Decimal(0),
        "sold": 0,
        "soldValue": Decimal(0),
        "archived": False,
        "prevPos": 0,
    }
