"""Do the engine's books match the broker's ledger? Pure.

Both sides are brought to the same shape and compared field by field. The broker's side is made from its own
ledger alone: positions as it holds them, money as it paired the fills. Neither side's sum is taken on trust.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, Final

from justtrades.broker.simulator.listing import Contract, contract_by_id
from justtrades.demo.client import Facts, Json

_OPEN: Final = "open"
_STATUSES: Final = {"Filled": "filled", "Canceled": "canceled", "Rejected": "rejected", "Expired": "expired"}
_LIVE: Final = ("sending", "sent", "working")


@dataclass(frozen=True, slots=True)
class Execution:
    order_id: str
    contract: str
    action: str
    quantity: int
    price: Decimal


@dataclass(frozen=True, slots=True)
class Resting:
    """An order that may still fill, with what is left of it."""

    contract: str
    action: str
    quantity: int
    price: Decimal | None


@dataclass(frozen=True, slots=True)
class Books:
    """One side's view. Orders and fills are named by the broker's ids, money is US dollars before fees."""

    position: Mapping[str, int]
    """Signed contracts by contract; what is flat is left out."""
    order: Mapping[str, str]
    """How far each order has come: `open`, or how it ended."""
    working_order: Mapping[str, Resting]
    fill: Mapping[str, Execution]
    profit: Mapping[str, Decimal]
    """Realized by contract; where there is none it is left out."""


# ── the two sides ────────────────────────────────────────────────────────────────────────────────────────


def of_engine(facts: Facts) -> Books:
    """The engine's books, as its API shows them."""
    known = {row["broker_order_id"]: row for row in facts.orders.values() if row["broker_order_id"]}
    working = {key: _our_rest(row) for key, row in known.items() if row["status"] in _LIVE}
    return Books(
        position={name: _signed(row) for name, row in facts.positions.items()},
        order={key: _OPEN if row["status"] in _LIVE else row["status"] for key, row in known.items()},
        working_order=working,
        fill={row["broker_fill_id"]: _our_fill(row, facts) for row in facts.fills.values()},
        profit=_summed((row["contract"], Decimal(row["pnl"])) for row in facts.trades.values() if row["pnl"]),
    )


def of_broker(ledger: Json) -> Books:
    """The broker's own."""
    versions = {row["orderId"]: row for row in ledger["orderVersion"]}  # the newest stands last
    orders = {row["id"]: row for row in ledger["order"]}
    live = {key: row for key, row in orders.items() if row["ordStatus"] not in _STATUSES}
    return Books(
        position=_summed((_name(row), row["netPos"]) for row in ledger["position"]),
        order={str(key): _STATUSES.get(row["ordStatus"], _OPEN) for key, row in orders.items()},
        working_order={str(key): _its_rest(row, versions[key], ledger["fill"]) for key, row in live.items()},
        fill={str(row["id"]): _its_fill(row) for row in ledger["fill"] if row["active"]},
        profit=_summed(_pairs(ledger)),
    )


def _our_fill(row: Json, facts: Facts) -> Execution:
    order = facts.orders.get(row["order_id"] or "", {})
    order_id = str(order.get("broker_order_id") or "none of ours")
    return Execution(order_id, row["contract"], row["action"], row["quantity"], Decimal(row["price"]))


def _its_fill(row: Json) -> Execution:
    return Execution(str(row["orderId"]), _name(row), row["action"], row["qty"], Decimal(row["price"]))


def _our_rest(row: Json) -> Resting:
    price = None if row["price"] is None else Decimal(row["price"])
    return Resting(row["contract"], row["action"], row["quantity"] - row["filled_quantity"], price)


def _its_rest(order: Json, version: Json, fills: Iterable[Json]) -> Resting:
    done = sum(fill["qty"] for fill in fills if fill["orderId"] == order["id"])
    price = version.get("price", version.get("stopPrice"))
    left = version["orderQty"] - done
    return Resting(_name(order), order["action"], left, None if price is None else Decimal(price))


def _pairs(ledger: Json) -> Iterator[tuple[str, Decimal]]:
    """What each pair of fills made: price difference × quantity × point value."""
    contracts = {row["id"]: _contract(row) for row in ledger["fill"]}
    for pair in ledger["fillPair"]:
        contract = contracts[pair["buyFillId"]]
        points = Decimal(pair["sellPrice"]) - Decimal(pair["buyPrice"])
        yield contract.name, points * pair["qty"] * contract.root.point_value


def _contract(row: Json) -> Contract:
    found = contract_by_id(row["contractId"])
    if found is None:
        raise ValueError(f"the ledger names a contract {row['contractId']} that is not listed")
    return found


def _name(row: Json) -> str:
    return _contract(row).name


def _signed(position: Json) -> int:
    return int(position["quantity"]) * (1 if position["side"] == "LONG" else -1)


def _summed(amounts: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Sums by name, without those that come to nothing."""
    sums: dict[str, Any] = defaultdict(int)
    for name, amount in amounts:
        sums[name] += amount
    return {name: amount for name, amount in sums.items() if amount}


# ── what does not match ──────────────────────────────────────────────────────────────────────────────────


def differences(facts: Facts, ledger: Json) -> list[str]:
    """Everything on which engine and broker disagree, a sentence each; empty when the books match."""
    ours, theirs = of_engine(facts), of_broker(ledger)
    return [
        *(one for field in fields(Books) for one in _differ(field.name, ours, theirs)),
        *_crossings(ledger),
        *_cash(theirs, ledger),
    ]


def _differ(name: str, ours: Books, theirs: Books) -> Iterator[str]:
    mine, its = getattr(ours, name), getattr(theirs, name)
    for key in sorted(mine.keys() | its.keys()):
        if mine.get(key) != its.get(key):
            what = name.replace("_", " ")
            yield f"{what} {key}: the books say {_say(mine.get(key))}, the broker says {_say(its.get(key))}"


def _say(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case Execution(order_id, contract, action, quantity, price):
            return f"{action} {quantity} {contract} at {price} for order {order_id}"
        case Resting(contract, action, quantity, price):
            return f"{action} {quantity} {contract} at {price}"
        case _:
            return str(value)


def _crossings(ledger: Json) -> Iterator[str]:
    """No fill may take a position through zero: a reversal is two steps, and a close never flips."""
    net: dict[str, int] = defaultdict(int)
    for fill in sorted(ledger["fill"], key=lambda row: int(row["id"])):
        name, before = _name(fill), net[_name(fill)]
        net[name] += fill["qty"] if fill["action"] == "Buy" else -fill["qty"]
        if before * net[name] < 0:
            yield f"fill {fill['id']}: took {name} through zero, from {before} to {net[name]}"


def _cash(theirs: Books, ledger: Json) -> Iterator[str]:
    """The cash account was credited with what the pairs made."""
    paid = sum(
        (Decimal(r["delta"]) for r in ledger["cashBalanceLog"] if r["cashChangeType"] == "TradePaired"), Decimal()
    )
    made = sum(theirs.profit.values(), Decimal())
    if paid != made:
        yield f"cash: the account was credited {paid}, the fills make {made}"
