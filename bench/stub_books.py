"""The stub broker's books: entities as ready JSON text, and the events that each act leads to.

Written from the protocol notes alone (sections 1, 5 and 6); no code is shared with the engine or its simulator.
Prices are never numbers here: the digits that came in go out again. Market orders fill at one price; limits and
stops rest until they are cancelled, or fill by themselves when `rests_for` is set.
"""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

PRICE: Final = "25000.25"
USER: Final = 7
FIRST_ACCOUNT: Final = 700_001
KINDS: Final = {
    "accounts": "account",
    "positions": "position",
    "orders": "order",
    "contracts": "contract",
    "commands": "command",
    "commandReports": "commandReport",
    "executionReports": "executionReport",
    "orderVersions": "orderVersion",
    "fills": "fill",
}
"""Collections of the sync answer and the entity each holds."""

Later = Callable[[float, Callable[[], None]], object]


@dataclass(slots=True)
class Order:
    id: int
    account: int
    contract: int
    action: str
    quantity: int
    kind: str
    price: str | None
    at: str
    status: str = "PendingNew"
    sibling: Order | None = None

    @property
    def live(self) -> bool:
        return self.status in ("PendingNew", "Working")

    def text(self) -> str:
        oco = f',"ocoId":{self.sibling.id}' if self.sibling else ""
        return (
            f'{{"id":{self.id},"accountId":{self.account},"contractId":{self.contract},"timestamp":"{self.at}",'
            f'"action":"{self.action}","ordStatus":"{self.status}","executionProviderId":1,"admin":false{oco}}}'
        )


@dataclass(slots=True)
class Books:
    """`later` runs something after so many seconds; `tell` sends one frame of events to every synced socket and
    returns when it left; `note` tells the bench what happened: word, account, order, moment."""

    accounts: int
    later: Later
    tell: Callable[[str], int]
    note: Callable[[str, int, int, int], None]
    fills_after: float = 0.0
    rests_for: float | None = None
    rows: dict[str, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    _children: dict[tuple[str, int], list[int]] = field(default_factory=lambda: defaultdict(list))
    _orders: dict[int, Order] = field(default_factory=dict)
    _net: dict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))
    _position_ids: dict[tuple[int, int], int] = field(default_factory=dict)
    _contracts: dict[str, int] = field(default_factory=dict)
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(time.time_ns() // 100_000))
    """Rising over restarts too, so that an engine with an old database never meets an id again."""

    def __post_init__(self) -> None:
        for account in range(FIRST_ACCOUNT, FIRST_ACCOUNT + self.accounts):
            self.rows["account"][account] = _account(account)

    # ── look-ups ──

    def listed(self, kind: str) -> str:
        return _array(self.rows[kind].values())

    def chosen(self, kind: str, ids: Iterable[int]) -> str:
        rows = self.rows[kind]
        return _array(rows[i] for i in ids if i in rows)

    def below(self, kind: str, masters: Iterable[int]) -> str:
        """Children of these masters; orders and positions belong to accounts."""
        if kind in ("order", "position"):
            marks = tuple(f'"accountId":{master},' for master in masters)
            return _array(row for row in self.rows[kind].values() if any(mark in row for mark in marks))
        return self.chosen(kind, (i for master in masters for i in self._children[kind, master]))

    def snapshot(self) -> str:
        parts = [f'"{name}":{self.listed(kind)}' for name, kind in KINDS.items()]
        users = f'"users":[{{"id":{USER},"name":"bench"}}]'
        return f'{{{users},"contractGroups":[],"orderStrategyTypes":[],{",".join(parts)}}}'

    def contract(self, name: str) -> int:
        """Every name is a contract of a product of its own, made when it is first asked for."""
        if name not in self._contracts:
            made = self._contracts[name] = 900_001 + 10 * len(self._contracts)
            expires = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%dT%H:%MZ")
            self.rows["contract"][made] = f'{{"id":{made},"name":"{name}","contractMaturityId":{made + 1}}}'
            self.rows["contractMaturity"][made + 1] = (
                f'{{"id":{made + 1},"productId":{made + 2},"expirationMonth":209912,'
                f'"expirationDate":"{expires}","isFront":true}}'
            )
            self.rows["product"][made + 2] = (
                f'{{"id":{made + 2},"name":"{name[:-2]}","currencyId":1,"productType":"Futures","description":"-",'
                '"exchangeId":1,"contractGroupId":1,"status":"Verified","valuePerPoint":2,'
                '"priceFormatType":"Decimal","priceFormat":-2,"tickSize":0.25}'
            )
        return self._contracts[name]

    # ── acts: each returns the answer's text ──

    def place(self, body: dict[str, Any], at: int) -> str:
        order = self._new(body, body["accountId"], self.contract(body["symbol"]), int(body["orderQty"]))
        self.note(f"placed-{order.kind}", order.account, order.id, at)
        self._begin(order, body)
        return f'{{"orderId":{order.id}}}'

    def place_pair(self, body: dict[str, Any], at: int) -> str:
        account, contract, quantity = body["accountId"], self.contract(body["symbol"]), int(body["orderQty"])
        first = self._new(body, account, contract, quantity)
        second = self._new(body["other"], account, contract, quantity)
        first.sibling, second.sibling = second, first
        self.note(f"placed-{first.kind}", account, first.id, at)
        self._begin(first, body)
        self._begin(second, body["other"])
        return f'{{"orderId":{first.id},"ocoId":{second.id}}}'

    def modify(self, body: dict[str, Any], at: int) -> str:
        order = self._orders.get(body["orderId"])
        if order is None or not order.live:
            return '{"failureReason":"TooLate","failureText":"Too late"}'
        self.note("modified", order.account, order.id, at)
        order.quantity = int(body["orderQty"])
        order.price = body.get("price") or body.get("stopPrice") or order.price
        command, now = next(self._ids), _now()
        events = [
            self._keep("command", command, order.id, _command(command, order.id, now, body, "Modify")),
            self._keep("orderVersion", command, order.id, _version(command, order, body)),
            self._executed(command, order, "Replaced", now),
        ]
        self._soon(events)
        return f'{{"commandId":{command}}}'

    def cancel(self, body: dict[str, Any], at: int) -> str:
        order = self._orders.get(body["orderId"])
        if order is None or not order.live:
            return '{"failureReason":"TooLate","failureText":"Too late"}'
        self.note("canceled", order.account, order.id, at)
        return f'{{"commandId":{self._canceled(order, body)}}}'

    def liquidate(self, body: dict[str, Any], at: int) -> str:
        account, contract = body["accountId"], body["contractId"]
        for order in [o for o in self._orders.values() if o.live and (o.account, o.contract) == (account, contract)]:
            self._canceled(order, {})
        net = self._net[account, contract]
        if not net:
            return '{"orderId":0}'
        action = "Sell" if net > 0 else "Buy"
        order = self._new({"action": action, "orderType": "Market"}, account, contract, abs(net))
        self.note("placed-Market", account, order.id, at)
        self._begin(order, {})
        return f'{{"orderId":{order.id}}}'

    # ── an order's life ──

    def _new(self, body: dict[str, Any], account: int, contract: int, quantity: int) -> Order:
        price = body.get("price") or body.get("stopPrice")
        made = Order(next(self._ids), account, contract, body["action"], quantity, body["orderType"], price, _now())
        self._orders[made.id] = made
        return made

    def _begin(self, order: Order, body: dict[str, Any]) -> None:
        """The entities that exist at once, in one frame; what the risk check and the exchange say in the next."""
        first = [
            self._changed(order, "Created"),
            self._keep("command", order.id, order.id, _command(order.id, order.id, order.at, body, "New")),
            self._keep("orderVersion", order.id, order.id, _version(order.id, order, body)),
        ]
        report = next(self._ids)
        passed = self._keep("commandReport", report, order.id, _passed(report, order))
        if order.kind == "Market":
            self._soon(first)
            self.later(self.fills_after, lambda: self._fill(order, PRICE, [passed]))
            return
        order.status = "Working"
        working = [passed, self._executed(order.id, order, "New", order.at), self._changed(order, "Updated")]
        self._soon(first, working)
        if self.rests_for is not None and order.price is not None:
            price = order.price
            self.later(self.rests_for, lambda: self._fill(order, order.price or price, []))

    def _fill(self, order: Order, price: str, events: list[str]) -> None:
        if not order.live:
            return
        order.status = "Filled"
        fill, now = next(self._ids), _now()
        held = (order.account, order.contract)
        self._net[held] += order.quantity if order.action == "Buy" else -order.quantity
        events += [
            self._keep("fill", fill, order.id, _fill(fill, order, price, now)),
            self._executed(order.id, order, "Trade", now, price),
            self._changed(order, "Updated"),
            self._position(held, price, now),
        ]
        if order.sibling is not None and order.sibling.live:
            self._canceled(order.sibling, {})
        self.note("filled" if self._net[held] else "flat", order.account, order.id, self.tell(_frame(events)))

    def _canceled(self, order: Order, body: dict[str, Any]) -> int:
        order.status = "Canceled"
        command, now = next(self._ids), _now()
        events = [
            self._keep("command", command, order.id, _command(command, order.id, now, body, "Cancel")),
            self._executed(command, order, "Canceled", now),
            self._changed(order, "Updated"),
        ]
        self._soon(events)
        return command

    def _soon(self, *frames: list[str]) -> None:
        """After the answer: its bytes are written when the current callback returns."""

        def send() -> None:
            for events in frames:
                self.tell(_frame(events))

        self.later(0.0, send)

    # ── entities ──

    def _keep(self, kind: str, row_id: int, parent: int, text: str) -> str:
        self.rows[kind][row_id] = text
        self._children[kind, parent].append(row_id)
        return _prop(kind, "Created", text)

    def _changed(self, order: Order, event: str) -> str:
        text = self.rows["order"][order.id] = order.text()
        return _prop("order", event, text)

    def _executed(self, command: int, order: Order, kind: str, now: str, price: str | None = None) -> str:
        row = next(self._ids)
        done = (
            f',"cumQty":{order.quantity},"avgPx":{price},"lastQty":{order.quantity},"lastPx":{price}' if price else ""
        )
        text = (
            f'{{"id":{row},"commandId":{command},"name":"{row}","accountId":{order.account},'
            f'"contractId":{order.contract},"timestamp":"{now}","orderId":{order.id},"execType":"{kind}",'
            f'"ordStatus":"{order.status}","action":"{order.action}"{done}}}'
        )
        return self._keep("executionReport", row, command, text)

    def _position(self, held: tuple[int, int], price: str, now: str) -> str:
        row = self._position_ids.setdefault(held, next(self._ids))
        event = "Updated" if row in self.rows["position"] else "Created"
        average = f',"netPrice":{price}' if self._net[held] else ""
        text = self.rows["position"][row] = (
            f'{{"id":{row},"accountId":{held[0]},"contractId":{held[1]},"timestamp":"{now}",'
            f'"tradeDate":{_today()},"netPos":{self._net[held]}{average},"bought":1,"boughtValue":{price},'
            f'"sold":1,"soldValue":{price},"prevPos":0}}'
        )
        return _prop("position", event, text)


def _array(texts: Iterable[str]) -> str:
    return f"[{','.join(texts)}]"


def _frame(events: list[str]) -> str:
    return f"a[{','.join(events)}]"


def _prop(kind: str, event: str, text: str) -> str:
    return f'{{"e":"props","d":{{"entityType":"{kind}","eventType":"{event}","entity":{text}}}}}'


def _account(row: int) -> str:
    return (
        f'{{"id":{row},"name":"BENCH{row}","userId":{USER},"accountType":"Customer","active":true,'
        '"clearingHouseId":1,"riskCategoryId":1,"autoLiqProfileId":1,"marginAccountType":"Speculator",'
        '"legalStatus":"Individual","timestamp":"2026-01-01T00:00:00.000Z"}'
    )


def _command(row: int, order: int, at: str, body: dict[str, Any], kind: str) -> str:
    client = f',"clOrdId":"{body["clOrdId"]}"' if "clOrdId" in body else ""
    return (
        f'{{"id":{row},"orderId":{order},"timestamp":"{at}"{client},"commandType":"{kind}",'
        '"commandStatus":"Pending","isAutomated":true}'
    )


def _version(row: int, order: Order, body: dict[str, Any]) -> str:
    price = f',"price":{order.price}' if order.price and order.kind == "Limit" else ""
    stop = f',"stopPrice":{order.price}' if order.price and order.kind == "Stop" else ""
    force = body.get("timeInForce", "Day")
    return (
        f'{{"id":{row},"orderId":{order.id},"orderQty":{order.quantity},"orderType":"{order.kind}"{price}{stop},'
        f'"timeInForce":"{force}"}}'
    )


def _passed(row: int, order: Order) -> str:
    return f'{{"id":{row},"commandId":{order.id},"timestamp":"{order.at}","commandStatus":"RiskPassed"}}'


def _fill(row: int, order: Order, price: str, now: str) -> str:
    return (
        f'{{"id":{row},"orderId":{order.id},"contractId":{order.contract},"timestamp":"{now}",'
        f'"tradeDate":{_today()},"action":"{order.action}","qty":{order.quantity},"price":{price},"active":true,'
        '"finallyPaired":0}'
    )


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _today() -> str:
    now = datetime.now(UTC)
    return f'{{"year":{now.year},"month":{now.month},"day":{now.day}}}'
