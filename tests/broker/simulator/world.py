"""A venue without a clock or a file, and short words for trading at it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from justtrades.broker.simulator import documents
from justtrades.broker.simulator.book import Account, Book
from justtrades.broker.simulator.change import Fate
from justtrades.broker.simulator.listing import Contract, find_contract
from justtrades.broker.simulator.rules import Leg, Ticket
from justtrades.broker.simulator.tape import PRIVATE, Outcome
from justtrades.broker.simulator.venue import Venue

NOW = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
ACCOUNT = 18_000_001
SYMBOL = "MNQZ6"


def contract(name: str = SYMBOL) -> Contract:
    found = find_contract(name, NOW)
    assert found is not None
    return found


MNQ = contract()


def new_book() -> Book:
    book = Book(accounts={ACCOUNT: Account(ACCOUNT, "PAPER1")}, prices={MNQ.id: Decimal(25_000)})
    book.cash[ACCOUNT] = documents.cash_balance(1, ACCOUNT, Decimal(50_000), NOW)
    return book


@dataclass
class World:
    """What happened so far, by entity type: every document in its newest form, and the events in order."""

    venue: Venue = field(default_factory=lambda: Venue(new_book()))
    last: Outcome = field(default_factory=lambda: Outcome({}))
    known: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)

    def heard(self, outcome: Outcome) -> Outcome:
        self.last = outcome
        for event in outcome.events:
            self.known.setdefault(event.entity_type, {})[event.entity["id"]] = event.entity
        return outcome

    def terms(self, **changes: Any) -> None:
        self.venue.terms = replace(self.venue.terms, **changes)

    def limits(self, **changes: Any) -> None:
        accounts = self.venue.book.accounts
        accounts[ACCOUNT] = replace(accounts[ACCOUNT], **changes)

    def place(self, leg: Leg, qty: int = 1, fate: Fate = None, **ticket: Any) -> int:
        request = replace(Ticket(ACCOUNT, SYMBOL, qty, leg), **ticket)
        return int(self.heard(self.venue.place(request, NOW, fate)).answer["orderId"])

    def oco(self, one: Leg, other: Leg, qty: int = 1) -> tuple[int, int]:
        answer = self.heard(self.venue.place_oco(Ticket(ACCOUNT, SYMBOL, qty, one), other, NOW)).answer
        return answer["orderId"], answer["ocoId"]

    def oso(self, parent: Leg, *brackets: Leg, qty: int = 1, fate: Fate = None) -> tuple[int, ...]:
        ticket = Ticket(ACCOUNT, SYMBOL, qty, parent)
        return tuple(self.heard(self.venue.place_oso(ticket, brackets, NOW, fate)).answer.values())

    def tick(self, price: str) -> None:
        self.heard(self.venue.tick(MNQ, Decimal(price), NOW))

    def status(self, order_id: int) -> str:
        return str(self.known["order"][order_id]["ordStatus"])

    def of(self, kind: str) -> list[dict[str, Any]]:
        return list(self.known.get(kind, {}).values())

    def fills(self, order_id: int) -> list[tuple[int, Decimal]]:
        return [(fill["qty"], fill["price"]) for fill in self.of("fill") if fill["orderId"] == order_id]

    @property
    def position(self) -> dict[str, Any]:
        return self.of("position")[0]

    @property
    def cash(self) -> dict[str, Any]:
        return self.venue.book.cash[ACCOUNT]

    @property
    def heard_last(self) -> list[str]:
        """The public events of the last change, in order: `order Created` …"""
        names = [f"{event.entity_type} {event.event_type}" for event in self.last.events]
        return [name for name in names if not name.startswith(PRIVATE)]


def market(action: str = "Buy", **more: Any) -> Leg:
    return Leg(action, "Market", **more)


def limit(action: str, price: str, **more: Any) -> Leg:
    return Leg(action, "Limit", price=Decimal(price), **more)


def stop(action: str, price: str, **more: Any) -> Leg:
    return Leg(action, "Stop", stop_price=Decimal(price), **more)
