"""What is listed at the simulated exchange: products, maturities and contracts, with ids that never change.

Ids are computed from the root and the month, so nothing has to be stored and a restart cannot renumber them;
the three kinds live in ranges of their own, so that one taken for another is not found. A name carries one
digit of the year, which means the first such year from last year on (protocol.md section 7). Roots,
continuous symbols and two-digit years are not names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Final

from justtrades.broker.simulator.documents import CHICAGO, Entity, instant
from justtrades.positions.contracts import MONTH_LETTERS, ROOTS, Root, expiry, year_of_digit

MONTHS_AHEAD: Final = 24
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MONTHS: Final = 1200
"""Months from 2000 to 2099, so a product's maturities take 1,200 ids (at most 61 million in all)."""
_FIRST_MATURITY: Final = 100_000
_FIRST_CONTRACT: Final = 100_000_000
EXCHANGES: Final = ("CME", "CBOT", "NYMEX", "COMEX")


def product_id(root: str) -> int:
    number = 0
    for letter in root:
        number = number * 37 + _ALPHABET.index(letter) + 1
    return number


_BY_PRODUCT: Final = {product_id(symbol): root for symbol, root in ROOTS.items()}


@dataclass(frozen=True, slots=True, order=True)
class Month:
    year: int
    month: int

    @property
    def number(self) -> int:
        return (self.year - 2000) * 12 + self.month - 1

    @classmethod
    def numbered(cls, number: int) -> Month:
        return cls(2000 + number // 12, number % 12 + 1)

    @property
    def letter(self) -> str:
        return MONTH_LETTERS[self.month - 1]


@dataclass(frozen=True, slots=True)
class Contract:
    root: Root
    month: Month

    @property
    def name(self) -> str:
        return f"{self.root.symbol}{self.month.letter}{self.month.year % 10}"

    @property
    def product_id(self) -> int:
        return product_id(self.root.symbol)

    @property
    def maturity_id(self) -> int:
        return _FIRST_MATURITY + self.product_id * _MONTHS + self.month.number

    @property
    def id(self) -> int:
        return _FIRST_CONTRACT + self.maturity_id

    @property
    def expires(self) -> datetime:
        """16:00 Chicago on the last trading day; the true hour differs per product."""
        day: date = expiry(self.root, self.month.letter, self.month.year)
        return datetime.combine(day, time(16), CHICAGO).astimezone(UTC)

    def on_tick(self, price: Decimal) -> bool:
        return price % self.root.tick_size == 0


def contract_by_id(id_: int) -> Contract | None:
    return contract_by_maturity(id_ - _FIRST_CONTRACT)


def contract_by_maturity(id_: int) -> Contract | None:
    product, number = divmod(id_ - _FIRST_MATURITY, _MONTHS)
    root = _BY_PRODUCT.get(product)
    return _listed(root, Month.numbered(number)) if root else None


def root_by_id(id_: int) -> Root | None:
    return _BY_PRODUCT.get(id_)


def find_contract(name: str, now: datetime) -> Contract | None:
    """The contract of that exact name as of `now`, ended ones included; None for anything else."""
    root = ROOTS.get(name[:-2])
    if root is None or name[-2] not in MONTH_LETTERS or name[-1] not in "0123456789":
        return None
    year = year_of_digit(int(name[-1]), now.date())
    return _listed(root, Month(year, MONTH_LETTERS.index(name[-2]) + 1))


def _listed(root: Root, month: Month) -> Contract | None:
    return Contract(root, month) if month.letter in root.listed_months else None


def contracts_ahead(root: Root, now: datetime) -> Iterator[Contract]:
    """The contracts of a root that still trade, nearest first, to about two years ahead."""
    first = Month(now.year, now.month).number - 1
    for number in range(first, first + MONTHS_AHEAD + 2):
        contract = _listed(root, Month.numbered(number))
        if contract is not None and contract.expires > now:
            yield contract


def front(root: Root, now: datetime) -> Contract:
    return next(contracts_ahead(root, now))


def suggest(text: str, limit: int, now: datetime) -> list[Contract]:
    """Contracts whose name begins with `text`; the exact root first, then by root, nearest month first."""
    wanted = text.upper()
    near = (root for root in ROOTS if root.startswith(wanted) or wanted.startswith(root))
    roots = sorted(near, key=lambda root: (root != wanted, root))
    found = (c for r in roots for c in contracts_ahead(ROOTS[r], now) if c.name.startswith(wanted))
    return [contract for contract, _ in zip(found, range(limit), strict=False)]


def neighbour(contract: Contract, now: datetime, *, forward: bool) -> Contract | None:
    """The next (or previous) contract of the same root among the months in use."""
    step = 1 if forward else -1
    for number in range(contract.month.number + step, contract.month.number + 13 * step, step):
        month = Month.numbered(number)
        other = Contract(contract.root, month)
        if month.letter in contract.root.months and other.expires > now:
            return other
    return None


# ── documents ────────────────────────────────────────────────────────────────────────────────────────────


def contract_document(contract: Contract) -> Entity:
    return {
        "id": contract.id,
        "name": contract.name,
        "contractMaturityId": contract.maturity_id,
        "status": "DefinitionChecked",
        "providerTickSize": contract.root.tick_size,
    }


def maturity_document(contract: Contract, now: datetime) -> Entity:
    return {
        "id": contract.maturity_id,
        "productId": contract.product_id,
        "expirationMonth": contract.month.year * 100 + contract.month.month,
        "expirationDate": instant(contract.expires),
        "isFront": contract == front(contract.root, now),
        "archived": False,
        "seqNo": 0,
    }


def product_document(root: Root) -> Entity:
    return {
        "id": product_id(root.symbol),
        "name": root.symbol,
        "currencyId": 1,
        "productType": "Futures",
        "description": root.name,
        "exchangeId": EXCHANGES.index(root.exchange) + 1,
        "exchangeChannelId": 4,
        "contractGroupId": 1,
        "riskDiscountContractGroupId": 1,
        "status": "Verified",
        "months": root.months,
        "valuePerPoint": root.point_value,
        "priceFormatType": "Decimal",
        "priceFormat": root.tick_size.normalize().as_tuple().exponent,
        "tickSize": root.tick_size,
        "allowProviderContractInfo": False,
        "isMicro": root.symbol.startswith("M"),
        "marketDataSource": "Auto",
        "lookupWeight": 64,
        "hasReplay": True,
    }


def margin_document(root: Root) -> Entity:
    """What a product asks as margin; its id is the product's (official). The simulator asks for none."""
    since = instant(datetime(2026, 1, 1, tzinfo=UTC))
    return {"id": product_id(root.symbol), "initialMargin": 0, "maintenanceMargin": 0, "timestamp": since}


def exchange_document(id_: int) -> Entity:
    name = EXCHANGES[id_ - 1]
    return {"id": id_, "name": name, "complex": "CME", "timeZone": "CST", "marketType": "Futures", "span": "CME"} | {
        "isSecuredDefault": False,
        "cftcReporting": True,
        "freeMarketData": "AnyClientApp",
        "foreignExchange": False,
    }


CURRENCY: Final[Entity] = {"id": 1, "name": "USD", "symbol": "$"}
CONTRACT_GROUP: Final[Entity] = {"id": 1, "name": "Paper"}
