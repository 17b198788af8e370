"""Where the look-ups find their documents: the ledger for what happened, the listing for what is listed.

A source answers in JSON texts. `item`, `every`, `children`, `named` and `suggest` are the query operations of
protocol.md section 1 (official): item; list; deps and ldeps; find; suggest.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import islice
from typing import Final, Protocol

from justtrades.broker.simulator import listing
from justtrades.broker.simulator.documents import Entity, dumps, loads
from justtrades.broker.simulator.floor import Floor
from justtrades.positions.contracts import ROOTS

STORED: Final = (
    *("account", "order", "orderVersion", "command", "commandReport", "executionReport", "fill", "fillFee"),
    *("fillPair", "position", "cashBalance", "cashBalanceLog", "accountRiskStatus", "marginSnapshot"),
)
EMPTY: Final = (
    *("orderStrategy", "orderStrategyLink", "orderStrategyType", "userAccountAutoLiq", "tradingPermission"),
    *("userAccountPositionLimit", "spreadDefinition", "userProperty", "property", "userPlugin", "productSession"),
    *("annualReview", "userReadStatus", "userPromoCode"),
)
"""Entity types that exist and never have an entity here."""
SHOWN: Final = timedelta(days=1)
"""A list shows this trade date's and the one before's orders and what belongs to them, and all live ones."""


class Source(Protocol):
    def item(self, id_: int) -> str | None: ...
    def every(self) -> list[str]: ...
    def children(self, master: int) -> list[str]: ...
    def named(self, name: str) -> str | None: ...
    def suggest(self, text: str, limit: int) -> list[str]: ...


class Stored:
    """Documents of one entity type in the ledger, as late as the floor's history says."""

    def __init__(self, floor: Floor, kind: str) -> None:
        self._floor = floor
        self._kind = kind

    def item(self, id_: int) -> str | None:
        late = self._late()
        return late[id_] if id_ in late else self._floor.ledger.item(self._kind, id_)

    def every(self) -> list[str]:
        return self._shown(self._floor.ledger.recent(self._kind, self._since()))

    def children(self, master: int) -> list[str]:
        ledger = self._floor.ledger
        if self._kind == "order":
            return self._shown(ledger.recent_children(self._kind, master, self._since()))
        return self._shown(ledger.children(self._kind, master))

    def named(self, name: str) -> str | None:
        return next((text for text in self.every() if loads(text).get("name") == name), None)

    def suggest(self, text: str, limit: int) -> list[str]:
        found = (one for one in self.every() if text.lower() in str(loads(one).get("name", "")).lower())
        return list(islice(found, limit))

    def _since(self) -> datetime:
        return self._floor.clock() - SHOWN

    def _late(self) -> dict[int, str | None]:
        history = self._floor.history
        return history.overlay(self._kind, self._floor.clock()) if history.lag else {}

    def _shown(self, texts: list[str]) -> list[str]:
        late = self._late()
        if not late:
            return texts
        older = ((late.get(id_, text)) for text in texts for id_ in [loads(text)["id"]])
        return [text for text in older if text is not None]


class Fixed:
    """A handful of documents that never change."""

    def __init__(self, entities: Iterable[Entity], master: str = "id") -> None:
        self._entities = list(entities)
        self._master = master

    def item(self, id_: int) -> str | None:
        return next((dumps(entity) for entity in self._entities if entity["id"] == id_), None)

    def every(self) -> list[str]:
        return [dumps(entity) for entity in self._entities]

    def children(self, master: int) -> list[str]:
        return [dumps(entity) for entity in self._entities if entity.get(self._master) == master]

    def named(self, name: str) -> str | None:
        return next((dumps(entity) for entity in self._entities if entity.get("name") == name), None)

    def suggest(self, text: str, limit: int) -> list[str]:
        wanted = text.lower()
        found = (dumps(one) for one in self._entities if str(one.get("name", "")).lower().startswith(wanted))
        return list(islice(found, limit))


class Contracts:
    def __init__(self, floor: Floor) -> None:
        self._floor = floor

    def item(self, id_: int) -> str | None:
        contract = listing.contract_by_id(id_)
        return dumps(listing.contract_document(contract)) if contract else None

    def every(self) -> list[str]:
        now = self._floor.clock()
        ahead = (contract for root in ROOTS.values() for contract in listing.contracts_ahead(root, now))
        return [dumps(listing.contract_document(contract)) for contract in ahead]

    def children(self, master: int) -> list[str]:
        contract = listing.contract_by_maturity(master)
        return [dumps(listing.contract_document(contract))] if contract else []

    def named(self, name: str) -> str | None:
        contract = listing.find_contract(name, self._floor.clock())
        return dumps(listing.contract_document(contract)) if contract else None

    def suggest(self, text: str, limit: int) -> list[str]:
        found = listing.suggest(text, limit, self._floor.clock())
        return [dumps(listing.contract_document(contract)) for contract in found]


class Maturities:
    def __init__(self, floor: Floor) -> None:
        self._floor = floor

    def item(self, id_: int) -> str | None:
        contract = listing.contract_by_maturity(id_)
        return dumps(listing.maturity_document(contract, self._floor.clock())) if contract else None

    def every(self) -> list[str]:
        return [text for root in ROOTS.values() for text in self.children(listing.product_id(root.symbol))]

    def children(self, master: int) -> list[str]:
        root, now = listing.root_by_id(master), self._floor.clock()
        ahead = listing.contracts_ahead(root, now) if root else ()
        return [dumps(listing.maturity_document(contract, now)) for contract in ahead]

    def named(self, name: str) -> str | None:
        return None

    def suggest(self, text: str, limit: int) -> list[str]:
        return []


def sources(floor: Floor) -> dict[str, Source]:
    """All readable entity types, by name."""
    stored: dict[str, Source] = {kind: Stored(floor, kind) for kind in STORED}
    empty: dict[str, Source] = {kind: Fixed([]) for kind in EMPTY}
    return (
        stored
        | empty
        | {
            "contract": Contracts(floor),
            "contractMaturity": Maturities(floor),
            "product": Fixed(map(listing.product_document, ROOTS.values()), "exchangeId"),
            "productMargin": Fixed(map(listing.margin_document, ROOTS.values())),
            "exchange": Fixed(listing.exchange_document(n) for n in range(1, len(listing.EXCHANGES) + 1)),
            "currency": Fixed([listing.CURRENCY]),
            "contractGroup": Fixed([listing.CONTRACT_GROUP]),
        }
    )
