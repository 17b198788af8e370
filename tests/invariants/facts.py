"""What is true, as far as anybody can know: the broker's own ledger, the engine's durable rows, what people did.

Checkers compare these and nothing else. The ledger's documents are the broker's truth; the rows are read on a
connection of their own, so they are durable. An order is ours when its command says that no hand placed it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

Entity = dict[str, Any]
Place = tuple[int, int]
"""The broker's ids of an account and a contract."""
ENDED = frozenset({"Filled", "Canceled", "Rejected", "Expired", "Completed"})


@dataclass(frozen=True, slots=True)
class Traded:
    """A contract as the broker lists it."""

    name: str
    tick: Decimal
    point: Decimal


@dataclass(frozen=True, slots=True)
class Standing:
    """A position by its fills: ours and the foreign part, signed, and the average of ours in points."""

    ours: int
    foreign: int
    average: Decimal


@dataclass(frozen=True, slots=True)
class Answered:
    """One alert and what the webhook said to it; `signal_id` None when it was refused."""

    at: datetime
    took: float
    status: int
    signal_id: str | None
    recorder_id: str
    enters: bool
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Broken:
    """An invariant that did not hold: its number, and what was seen."""

    id: str
    text: str

    def __str__(self) -> str:
        return f"{self.id}: {self.text}"


@dataclass
class Facts:
    """`rows` asks the engine's database; times are aware UTC."""

    rows: Callable[..., list[tuple[Any, ...]]]
    now: Callable[[], datetime]
    contracts: dict[int, Traded] = field(default_factory=dict)
    routes: dict[str, frozenset[int]] = field(default_factory=dict)
    """The broker's accounts each recorder is routed to."""
    docs: dict[str, dict[int, Entity]] = field(default_factory=lambda: defaultdict(dict))
    answers: list[Answered] = field(default_factory=list)
    self_audit: Callable[[], Iterable[object]] = tuple
    """What the engine's own audit finds in its rows."""
    budget: int = 60
    hourly: int = 4_000
    secrets: tuple[str, ...] = ()
    hands: dict[Place, datetime] = field(default_factory=dict)
    """When somebody else last acted at the broker, by place."""
    taken: set[Place] = field(default_factory=set)
    """Where a person let a lane go on: what was foreign may be ours since, or our books less than our fills."""
    most: dict[Place, int] = field(default_factory=dict)
    """The most contracts that followed strategies ever have at a place."""
    killed_at: datetime | None = None
    """When the kill switch was acknowledged; None from the moment somebody lifts it."""
    broken: list[Broken] = field(default_factory=list)
    _clients: dict[int, str] = field(default_factory=dict)
    _orders: dict[Place, list[int]] = field(default_factory=lambda: defaultdict(list))
    _versions: dict[int, Entity] = field(default_factory=dict)
    _standings: dict[Place, Standing] = field(default_factory=dict)
    _fills: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))

    # ── gathering ──

    def learn(self, kind: str, entity: Entity) -> None:
        """A document as it now stands at the broker."""
        known = self.docs[kind]
        if kind == "fill" and entity["id"] not in known:
            self._fills[entity["orderId"]].append(entity["id"])
        if kind == "order" and entity["id"] not in known:
            self._orders[entity["accountId"], entity["contractId"]].append(entity["id"])
        if kind == "orderVersion" and entity["id"] >= self._versions.get(entity["orderId"], {"id": 0})["id"]:
            self._versions[entity["orderId"]] = entity
        if kind == "fill":
            self._standings.clear()
            if entity["id"] not in known and not self.ours(entity["orderId"]):
                self.hands[self.place(entity["orderId"])] = self.now()
        if kind == "command" and entity["commandType"] == "New" and "clOrdId" in entity:
            self._clients[entity["orderId"]] = entity["clOrdId"]
        known[entity["id"]] = entity

    def breach(self, id_: str, text: str) -> None:
        self.broken.append(Broken(id_, text))

    # ── the broker's truth ──

    def place(self, order_id: int) -> Place:
        order = self.docs["order"][order_id]
        return order["accountId"], order["contractId"]

    def client_id(self, order_id: int) -> str | None:
        return self._clients.get(order_id)

    def ours(self, order_id: int) -> bool:
        """A command without a hand; a new order's command has its order's id."""
        return bool(self.docs["command"].get(order_id, {}).get("isAutomated"))

    def fills_of(self, order_id: int) -> list[Entity]:
        """Executions that still count, oldest first."""
        fills = self.docs["fill"]
        return [fills[i] for i in self._fills.get(order_id, ()) if fills[i].get("active", True)]

    def filled(self, order_id: int) -> int:
        return sum(fill["qty"] for fill in self.fills_of(order_id))

    def net(self, place: Place) -> int:
        """The broker's own position."""
        rows = [p for p in self.docs["position"].values() if (p["accountId"], p["contractId"]) == place]
        return max(rows, key=lambda p: (p["timestamp"], p["id"]))["netPos"] if rows else 0

    def our_net(self, place: Place) -> int:
        return self.standing(place).ours

    def standing(self, place: Place) -> Standing:
        """Whose the position is: somebody else's fill first undoes what is foreign, then reduces ours."""
        if place not in self._standings:
            self._standings[place] = self._folded(place)
        return self._standings[place]

    def _folded(self, place: Place) -> Standing:
        fills = [f for o in self.orders_at(place) for f in self.fills_of(o["id"])]
        ours, foreign, cost = 0, 0, Decimal(0)
        for fill in sorted(fills, key=lambda f: f["id"]):
            quantity = signed(fill)
            if not self.ours(fill["orderId"]):
                undone = _reduction(quantity, foreign)
                taken = _reduction(quantity - undone, ours)
                foreign += quantity - taken
                quantity = taken
            ours, cost = _moved(ours, cost, quantity, Decimal(str(fill["price"])))
        return Standing(ours, foreign, cost / ours if ours else Decimal(0))

    def orders_at(self, place: Place) -> list[Entity]:
        orders = self.docs["order"]
        return [orders[i] for i in self._orders.get(place, ())]

    def working(self, place: Place) -> list[Entity]:
        return [order for order in self.orders_at(place) if order["ordStatus"] not in ENDED]

    def version(self, order_id: int) -> Entity:
        """The newest terms of an order."""
        return self._versions[order_id]

    def places(self) -> list[Place]:
        return sorted(self._orders)

    def shown(self, place: Place) -> str:
        contract = self.contracts.get(place[1])
        return f"{place[0]} {contract.name if contract else place[1]}"

    # ── the engine's rows ──

    def one(self, query: str, *values: Any) -> Any:
        found = self.rows(query, *values)
        return found[0][0] if found else None

    def lane(self, place: Place) -> tuple[str, str]:
        """Our ids of a place: account and contract."""
        account = self.one("select id from accounts where broker_account_id = ?", str(place[0]))
        return str(account), self.contracts[place[1]].name


def signed(fill: Entity) -> int:
    return int(fill["qty"]) if fill["action"] == "Buy" else -int(fill["qty"])


def _reduction(quantity: int, position: int) -> int:
    """The part of a fill that takes from a position without turning it."""
    if quantity * position >= 0:
        return 0
    return max(quantity, -position) if quantity < 0 else min(quantity, -position)


def _moved(position: int, cost: Decimal, quantity: int, price: Decimal) -> tuple[int, Decimal]:
    """A position and what it cost after a fill: adds move the average, reductions do not."""
    after = position + quantity
    if position * quantity >= 0:
        return after, cost + price * quantity
    if abs(quantity) <= abs(position):
        return after, cost + cost / position * quantity
    return after, price * after


def one_line(texts: Iterable[object], most: int = 6) -> str:
    found: Sequence[str] = [str(text) for text in texts]
    return "; ".join(found[:most]) + (f" … {len(found)} in all" if len(found) > most else "")
