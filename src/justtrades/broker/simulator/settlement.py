"""What a fill does to the books: position, pairs, fees and cash.

Lots close first in, first out; each match is a fill pair with its realized P&L. `netPrice` is the average of
the lots still open, to 9 decimals as recorded, and absent when flat; `boughtValue` and `soldValue` leave the
point value out (recorded). That the average follows the open lots and that `realizedPnL` is before fees are
our guesses; amount, P&L and pairs agree with each other to the cent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from justtrades.broker.simulator import documents
from justtrades.broker.simulator.book import Book, Holding, Lot
from justtrades.broker.simulator.documents import Entity, decimal
from justtrades.broker.simulator.tape import Tape

_NINE: Final = Decimal("0.000000001")


@dataclass(frozen=True, slots=True)
class Fees:
    """Dollars per contract and side."""

    commission: Decimal = Decimal("0.25")
    exchange: Decimal = Decimal("0.35")
    clearing: Decimal = Decimal("0.10")
    nfa: Decimal = Decimal("0.02")

    @property
    def total(self) -> Decimal:
        return self.commission + self.exchange + self.clearing + self.nfa


@dataclass(frozen=True, slots=True)
class Pair:
    opened: Lot
    closed: Lot


def match_lots(held: Holding, incoming: Lot, sign: int) -> tuple[tuple[Lot, ...], list[Pair]]:
    """The lots left after `incoming` (bought: `sign` 1, sold: -1), and what it paired with, oldest first."""
    if held.net * sign >= 0:
        return (*held.lots, incoming), []
    left, pairs = list(held.lots), []
    while left and incoming.qty:
        oldest, qty = left[0], min(left[0].qty, incoming.qty)
        pairs.append(Pair(replace(oldest, qty=qty), replace(incoming, qty=qty)))
        incoming = replace(incoming, qty=incoming.qty - qty)
        left[:1] = [replace(oldest, qty=oldest.qty - qty)] if oldest.qty > qty else []
    return (*left, *([incoming] if incoming.qty else [])), pairs


def average(lots: tuple[Lot, ...]) -> Decimal | None:
    qty = sum(lot.qty for lot in lots)
    if not qty:
        return None
    value = sum((lot.price * lot.qty for lot in lots), Decimal(0)) / qty
    return value.quantize(_NINE, ROUND_HALF_EVEN).normalize()


@dataclass(frozen=True, slots=True)
class Booking:
    """Books fills of one contract into `book`, saying so on `tape`. `point` is its dollars per point."""

    book: Book
    tape: Tape
    fees: Fees
    point: Decimal
    now: datetime

    def settle(self, account: int, fill: Entity) -> None:
        """Fee, position, pairs, cash: the order of protocol.md section 6."""
        self.tape.created("fillFee", _fee_document(fill, self.fees))
        realized = self._book_position(account, fill)
        self.tape.cut()
        self._book_cash(account, fill, self.fees.total * fill["qty"], realized)
        self.tape.cut()

    def _book_position(self, account: int, fill: Entity) -> Decimal:
        """Returns the P&L realized, before fees."""
        key, sign = (account, fill["contractId"]), 1 if fill["action"] == "Buy" else -1
        known, held = key in self.book.holdings, self.book.holding(*key, self.now)
        lots, pairs = match_lots(held, Lot(fill["id"], fill["qty"], fill["price"]), sign)
        row = _moved(held.row, fill, lots, self.now)
        self.book.holdings[key] = Holding(row, lots)
        (self.tape.updated if known else self.tape.created)("position", row)
        kept = [(lot.fill_id, lot.qty, lot.price) for lot in lots]
        self.tape.updated("_lots", {"id": row["id"], "lots": kept})
        return sum((self._book_pair(row["id"], pair, sign) for pair in pairs), Decimal(0))

    def _book_pair(self, position_id: int, pair: Pair, sign: int) -> Decimal:
        bought, sold = (pair.closed, pair.opened) if sign > 0 else (pair.opened, pair.closed)
        document = {
            "id": self.book.take_id(),
            "positionId": position_id,
            "buyFillId": bought.fill_id,
            "sellFillId": sold.fill_id,
            "qty": bought.qty,
            "buyPrice": bought.price,
            "sellPrice": sold.price,
            "active": True,
        }
        self.tape.created("fillPair", document)
        return (sold.price - bought.price) * bought.qty * self.point

    def _book_cash(self, account: int, fill: Entity, fee: Decimal, realized: Decimal) -> None:
        before = self.book.cash[account]
        after = before | {
            "timestamp": documents.instant(self.now),
            "tradeDate": documents.trade_date(self.now),
            "amount": decimal(before["amount"]) + realized - fee,
            "realizedPnL": decimal(before["realizedPnL"]) + realized,
            "weekRealizedPnL": decimal(before["weekRealizedPnL"]) + realized,
        }
        self.book.cash[account] = after
        self.tape.updated("cashBalance", after)
        for kind, delta in (("Commission", -fee), ("TradePaired", realized)):
            if delta:
                log = _log(self.book.take_id(), after, fill["id"])
                self.tape.created("cashBalanceLog", log | {"cashChangeType": kind, "delta": delta})


def _moved(row: Entity, fill: Entity, lots: tuple[Lot, ...], now: datetime) -> Entity:
    sign, side = (1, "bought") if fill["action"] == "Buy" else (-1, "sold")
    moved = {key: kept for key, kept in row.items() if key != "netPrice"} | {
        "timestamp": documents.instant(now),
        "tradeDate": documents.trade_date(now),
        "netPos": row["netPos"] + sign * fill["qty"],
        side: row[side] + fill["qty"],
        f"{side}Value": decimal(row[f"{side}Value"]) + fill["price"] * fill["qty"],
    }
    price = average(lots)
    return moved if price is None else moved | {"netPrice": price}


def _fee_document(fill: Entity, fees: Fees) -> Entity:
    """The fee of a fill has the fill's id (one-to-one children share their master's)."""
    return {"id": fill["id"], **dict(_fee_fields(fees, fill["qty"]))}


def _fee_fields(fees: Fees, qty: int) -> Iterator[tuple[str, Decimal | int]]:
    amounts = {"clearing": fees.clearing, "exchange": fees.exchange, "nfa": fees.nfa}
    for name, amount in amounts.items():
        yield f"{name}Fee", amount * qty
        yield f"{name}CurrencyId", documents.USD
    yield "commission", fees.commission * qty
    yield "commissionCurrencyId", documents.USD


def _log(id_: int, cash: Entity, fill_id: int) -> Entity:
    kept = ("accountId", "timestamp", "tradeDate", "currencyId", "amount", "realizedPnL", "weekRealizedPnL")
    return {"id": id_, **{key: cash[key] for key in kept}, "fillId": fill_id}


def roll_position(held: Holding, now: datetime) -> Holding:
    """The row in a new session: nothing traded yet, the position carried as prevPos at prevPrice (section 6)."""
    price = average(held.lots)
    row = {key: kept for key, kept in held.row.items() if key not in ("netPrice", "prevPrice")} | {
        "timestamp": documents.instant(now),
        "tradeDate": documents.trade_date(now),
        "bought": 0,
        "boughtValue": Decimal(0),
        "sold": 0,
        "soldValue": Decimal(0),
        "prevPos": held.net,
    }
    return Holding(row if price is None else row | {"prevPrice": price}, held.lots)


def roll_cash(cash: Entity, now: datetime) -> Entity:
    """The week's P&L begins anew with its first session, on Sunday at 17:00 Chicago (client code)."""
    before = date(**cash["tradeDate"])
    new_week = before.isocalendar()[:2] != documents.session_date(now).isocalendar()[:2]
    return (
        cash
        | {
            "timestamp": documents.instant(now),
            "tradeDate": documents.trade_date(now),
            "realizedPnL": Decimal(0),
            "amountSOD": cash["amount"],
        }
        | ({"weekRealizedPnL": Decimal(0)} if new_week else {})
    )
