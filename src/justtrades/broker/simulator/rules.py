"""What the venue refuses, and in which words (protocol.md section 5: reasons official, texts as recorded).

A refusal is raised before anything was changed. `Unknown` is about an id that never existed (HTTP 404).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

from justtrades.broker.simulator.book import Account, Book
from justtrades.broker.simulator.documents import Entity
from justtrades.broker.simulator.listing import Contract, find_contract
from justtrades.broker.simulator.matching import KINDS, MARKET, NEEDS_PRICE, NEEDS_STOP, STOP
from justtrades.broker.simulator.settlement import Fees
from justtrades.positions.contracts import Root

TIMES: Final = ("Day", "GTC", "IOC", "FOK", "GTD")


class Refused(Exception):
    """A business failure: `reason` from the RejectReason enum, `text` for people."""

    def __init__(self, reason: str, text: str = "") -> None:
        super().__init__(f"{reason}: {text}")
        self.reason = reason
        self.text = text

    @property
    def answer(self) -> Entity:
        return {"failureReason": self.reason} | ({"failureText": self.text} if self.text else {})


class Unknown(LookupError):
    """No such entity (answered 404)."""


class Malformed(ValueError):
    """A parameter is missing or of the wrong kind (answered 400)."""


def denied() -> Refused:
    return Refused("UnknownReason", "Access is denied")


def always_open(_root: Root, _at: datetime) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Terms:
    """How the venue behaves. `lot`: most contracts per fill; `depth`: most that an order gets per tick.

    `is_open`: the market's hours; `positions.contracts.is_open` is a calendar of them.
    """

    fees: Fees = field(default_factory=Fees)
    lot: int | None = None
    depth: int | None = None
    is_open: Callable[[Root, datetime], bool] = always_open


@dataclass(frozen=True, slots=True)
class Leg:
    """What one order wants: side, type and prices. Shared by orders, OCO partners and OSO brackets."""

    action: str
    kind: str
    price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: str = "Day"
    cl_ord_id: str | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        if self.action not in ("Buy", "Sell") or self.time_in_force not in TIMES:
            raise Malformed("Invalid or missed parameters")


@dataclass(frozen=True, slots=True)
class Ticket:
    """An order request: whose, what, how many, and the first leg."""

    account_id: int
    symbol: str
    qty: int
    leg: Leg
    account_spec: str | None = None
    stamp: Entity = field(default_factory=dict)
    """Fields of the command documents: customTag50, isAutomated, senderId, userSessionId."""


def check_qty(qty: int) -> None:
    if qty <= 0:
        raise Malformed("Invalid or missed parameters")


def find_account(book: Book, account_id: int, spec: str | None = None) -> Account:
    """`spec` is the account's name; an unknown id and a name that does not fit look alike (recorded)."""
    account = book.accounts.get(account_id)
    if account is None or not account.active or spec not in (None, account.name):
        raise denied()
    return account


def find_symbol(symbol: str, terms: Terms, now: datetime) -> Contract:
    contract = find_contract(symbol, now)
    if contract is None:
        raise denied()
    if contract.expires <= now:
        raise Refused("InvalidContract", "The contract has expired")
    check_open(contract, terms, now)
    return contract


def check_open(contract: Contract, terms: Terms, now: datetime) -> None:
    if not terms.is_open(contract.root, now):
        raise Refused("SessionClosed", "Cannot place order outside of market hours.")


def check_leg(leg: Leg, contract: Contract) -> None:
    """The order type is one we know, carries the prices it needs and none off the tick."""
    if leg.kind not in KINDS:
        raise Refused("Unsupported", f"Order type {leg.kind} is not supported")
    missing = (leg.kind in NEEDS_PRICE and leg.price is None) or (leg.kind in NEEDS_STOP and leg.stop_price is None)
    if missing or (leg.kind in (MARKET, STOP) and leg.price is not None):
        raise Refused("InvalidPrice", "Invalid price")
    if any(price is not None and not contract.on_tick(price) for price in (leg.price, leg.stop_price)):
        raise Refused("InvalidPrice", "Invalid price increment")


def check_quote(leg: Leg, last: Decimal | None) -> None:
    if leg.kind == MARKET and last is None:
        raise Refused("NoQuote", "No quote available")


def check_risk(account: Account, net: int, action: str, qty: int) -> None:
    """The account's own limits. What only reduces passes liquidation-only and the position limit."""
    signed = qty if action == "Buy" else -qty
    reduces = net * signed < 0 and qty <= abs(net)
    if account.locked:
        raise Refused("TradingLocked", "Trading is locked for this account.")
    if account.liquidation_only and not reduces:
        raise Refused("LiquidationOnly", "Your account is set to liquidation only.")
    if account.max_order_qty is not None and qty > account.max_order_qty:
        raise Refused("MaxOrderQtyLimitReached", "Your maximum order quantity has been met.")
    if account.max_position is not None and not reduces and abs(net + signed) > account.max_position:
        raise Refused("MaxPosLimitReached", "Your maximum position limit has been reached.")
