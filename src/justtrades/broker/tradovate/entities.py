"""What one login has told us, merged by id and joined into reports.

An order is spread over five kinds of entities that come in any order, whole or in part, more than once
(protocol.md section 6). `Memory` keeps the raw rows by kind and id, and releases a report when what it would
say is complete enough to be acted on, and different from what was said before:

* an order waits for its New command (that is where our id stands) and, when rejected, for the reason;
* a fill waits for its order, because only the order says whose it is;
* a fee waits for its fill, whose id it has;
* everything waits for the contract's name.

What stays away is *wanted*: somebody looks it up, and if that finds nothing the report goes without it. An
ended order never lives again, whatever a late or stale row says. Ended orders are forgotten after a day, and no
sooner: a picture lists a whole session, and what of it is not known here would be asked for again. What belongs to
no order is forgotten, too. Times are the event loop's seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from justtrades.broker.port import (
    Account,
    AccountReport,
    BustReport,
    FeeReport,
    FillReport,
    OrderReport,
    PositionReport,
    Report,
)
from justtrades.broker.tradovate import fees, wire
from justtrades.broker.tradovate.kept import WHOLE, merged, old
from justtrades.broker.tradovate.wire import Parts, Place, Row
from justtrades.positions.model import (
    BrokerAccountId,
    BrokerOrder,
    BrokerOrderId,
    ClientOrderId,
    ContractName,
    FillId,
    Status,
)

RISKS = ("accountRiskStatus", "userAccountAutoLiq")
OF_ACCOUNT = WHOLE | {"userAccountAutoLiq"}
"""What an account's standing is made of; all three have its id (protocol.md section 1)."""
PARENT = {
    "orderVersion": "orderId",
    "command": "orderId",
    "executionReport": "orderId",
    "fill": "orderId",
    "commandReport": "commandId",
}
OF_ORDER = tuple(kind for kind, parent in PARENT.items() if parent == "orderId")
KEPT = frozenset({"order", "contract", "position", "fillFee", *OF_ACCOUNT, *PARENT})
REASON_WAIT, COMMAND_WAIT, ORDER_WAIT = 0.3, 1.0, 1.0
TRY_AGAIN = 1.0
KEPT_FOR = timedelta(days=1)
RECENT = 60.0


class Lack(StrEnum):
    """What a report can wait for, named by the entity that would bring it."""

    ORDER = "order"
    COMMAND = "command"
    REASON = "reason"
    CONTRACT = "contract"


@dataclass(frozen=True, slots=True)
class Want:
    lack: Lack
    id: int


@dataclass(slots=True)
class _Wanted:
    since: float
    look_at: float
    tries: int = 0
    given_up: bool = False


WAITS = {Lack.ORDER: ORDER_WAIT, Lack.COMMAND: COMMAND_WAIT, Lack.REASON: REASON_WAIT, Lack.CONTRACT: 0.0}
TRIES = {Lack.ORDER: 5, Lack.COMMAND: 5, Lack.REASON: 2, Lack.CONTRACT: 5}


class Memory:
    def __init__(self) -> None:
        self._rows: dict[str, dict[int, dict[str, Any]]] = {kind: {} for kind in KEPT}
        self._children: dict[str, dict[int, tuple[int, ...]]] = {kind: {} for kind in PARENT}
        """Ids by kind and parent."""
        self._bound: dict[int, ClientOrderId] = {}
        self._said: dict[int, BrokerOrder] = {}
        self._fills_said: set[int] = set()
        self._busts_said: set[int] = set()
        self._fees_said: dict[int, Decimal] = {}
        self._lone: set[tuple[str, int]] = set()
        self._dirty: dict[int, None] = {}
        self._direct: list[tuple[str, int]] = []
        self._wanted: dict[Want, _Wanted] = {}
        self._accounts_said: dict[int, Account] = {}
        self._positions: dict[Place, Row] = {}
        self._seen: dict[int, float] = {}

    # ── learning ─────────────────────────────────────────────────────────────────────────────────────────

    def hear(self, kind: str, row: Row, now: float, *, deleted: bool = False) -> None:
        """Learn from an event. An order first heard of is known to exist: later lists must show it."""
        row_id = wire.number(row, "id")
        if kind == "order" and row_id is not None and row_id not in self._rows["order"]:
            self._seen[row_id] = now
        self.merge(kind, row, deleted=deleted)

    def merge(self, kind: str, row: Row, *, deleted: bool = False) -> None:
        """Learn one entity, whole or in part. Kinds and rows that mean nothing to us are left alone."""
        row_id = wire.number(row, "id")
        if kind not in KEPT or row_id is None:
            return
        if deleted:
            self._delete(kind, row_id)
            return
        known = self._rows[kind].get(row_id)
        now = merged(kind, known or {}, row)
        if now != known:
            self._rows[kind][row_id] = now
            self._note(kind, row_id, now)

    def _delete(self, kind: str, row_id: int) -> None:
        """An account that is deleted is one that is not listed; a risk status that is deleted holds nothing back."""
        gone = self._rows[kind].pop(row_id, None)
        if kind == "account" and gone is not None:
            self._rows[kind][row_id] = {**gone, wire.LISTED: False}
        if kind in OF_ACCOUNT:
            self._direct.append((kind, row_id))

    def merge_all(self, kind: str, rows: Iterable[Row]) -> None:
        for row in rows:
            self.merge(kind, row)

    def bind(self, broker_id: BrokerOrderId, client_id: ClientOrderId, now: float) -> None:
        """The answer to a placement told which order is ours, before or after its command did."""
        self._bound[int(broker_id)] = client_id
        self._seen.setdefault(int(broker_id), now)
        self._dirty[int(broker_id)] = None

    def _note(self, kind: str, row_id: int, row: Row) -> None:
        """Remember what the row belongs to and what it may have completed."""
        if kind == "contract":
            self._dirty.update(dict.fromkeys(o for o, r in self._rows["order"].items() if o not in self._said))
            self._direct += [("position", p) for p, r in self._rows["position"].items()]
        elif kind in OF_ACCOUNT or kind == "position":
            self._direct.append((kind, row_id))
        elif (order := self._order_of(kind, row_id, row)) is not None:
            self._dirty[order] = None

    def _order_of(self, kind: str, row_id: int, row: Row) -> int | None:
        if kind == "order":
            return row_id
        if kind == "fillFee":
            return wire.number(self._rows["fill"].get(row_id, {}), "orderId")
        parent = wire.number(row, PARENT[kind])
        if parent is None:
            return None
        siblings = self._children[kind].get(parent, ())
        if row_id not in siblings:
            self._children[kind][parent] = (*siblings, row_id)
        if kind != "commandReport":
            return parent
        return wire.number(self._rows["command"].get(parent, {}), "orderId")

    # ── telling ──────────────────────────────────────────────────────────────────────────────────────────

    def due(self, now: float) -> list[Report]:
        """Reports that are ready, each said once."""
        dirty, self._dirty = self._dirty, {}
        direct, self._direct = dict.fromkeys(self._direct), []
        found = [report for order_id in dirty for report in self._of_order(order_id, now)]
        found += [report for kind, row_id in direct for report in self._of_row(kind, row_id, now)]
        return found

    def _of_order(self, order_id: int, now: float) -> list[Report]:
        row = self._rows["order"].get(order_id)
        where = wire.place(row) if row else None
        if row is None or where is None:
            if self._ids("fill", order_id):
                self._lacks(Lack.ORDER, order_id, now)
            return []
        self._has(Lack.ORDER, order_id)
        contract = self.contract_name(where.contract)
        if contract is None:
            self._lacks(Lack.CONTRACT, where.contract, now)
            return []
        order = self.order(order_id)
        if order and self._incomplete(order, now):
            return []
        said: list[Report] = []
        if order and order != self._said.get(order_id):
            self._said[order_id] = order
            said.append(OrderReport(where.account, contract, order))
        return said + self._of_fills(order_id, where.account, contract)

    def _incomplete(self, order: BrokerOrder, now: float) -> bool:
        """True while the order waits for something, which is then wanted."""
        order_id = int(order.broker_id)
        if not self._waits(Lack.COMMAND, order_id, not self._known_command(order_id), now):
            return self._waits(Lack.REASON, order_id, order.status is Status.REJECTED and order.reason is None, now)
        return True

    def _known_command(self, order_id: int) -> bool:
        return order_id in self._bound or wire.new_command(self.parts(order_id)) is not None

    def _of_fills(self, order_id: int, account: BrokerAccountId, contract: ContractName) -> list[Report]:
        said: list[Report] = []
        for fill_id in sorted(self._ids("fill", order_id)):
            row = self._rows["fill"].get(fill_id, {})
            if wire.busted(row):
                said += self._bust(fill_id, account, contract)
            elif fill_id not in self._fills_said and (fill := wire.fill(row)):
                self._fills_said.add(fill_id)
                said.append(FillReport(account, contract, fill))
            said += self._fee(fill_id, account, contract)
        return said

    def _fee(self, fill_id: int, account: BrokerAccountId, contract: ContractName) -> list[Report]:
        amount = fees.total(self._rows["fillFee"].get(fill_id, {}))
        if amount is None or fill_id not in self._fills_said or amount == self._fees_said.get(fill_id):
            return []
        self._fees_said[fill_id] = amount
        return [FeeReport(account, contract, FillId(str(fill_id)), amount)]

    def _bust(self, fill_id: int, account: BrokerAccountId, contract: ContractName) -> list[Report]:
        if fill_id in self._busts_said:
            return []
        self._busts_said.add(fill_id)
        return [BustReport(account, contract, FillId(str(fill_id)), wire.fill(self._rows["fill"][fill_id]))]

    def _of_row(self, kind: str, row_id: int, now: float) -> list[Report]:
        if kind == "position":
            return self._of_position(self._rows["position"].get(row_id, {}), now)
        account = self.account(row_id)
        if account is None or account == self._accounts_said.get(row_id):
            return []
        self._accounts_said[row_id] = account
        return [AccountReport(account)]

    def _of_position(self, row: Row, now: float) -> list[Report]:
        where, quantity, at = wire.place(row), wire.number(row, "netPos"), wire.moment(row, "timestamp")
        if where is None or quantity is None or at is None:
            return []
        known = self._positions.get(where)
        if known is not None and (row == known or wire.position_order(row) < wire.position_order(known)):
            return []
        contract = self.contract_name(where.contract)
        if contract is None:
            self._lacks(Lack.CONTRACT, where.contract, now)
            return []
        self._positions[where] = row
        return [PositionReport(where.account, contract, quantity, at)]

    # ── what is missing ──────────────────────────────────────────────────────────────────────────────────

    def wants(self, now: float) -> list[Want]:
        """What should be looked up now."""
        return [w for w, state in self._wanted.items() if not state.given_up and state.look_at <= now]

    def wake_at(self) -> float | None:
        return min((s.look_at for s in self._wanted.values() if not s.given_up), default=None)

    def looked(self, want: Want, now: float) -> None:
        """A look-up ended, well or not; what it found was merged before. It is repeated a few times."""
        state = self._wanted.get(want)
        if state is None:
            return
        state.tries += 1
        state.look_at = now + TRY_AGAIN
        state.given_up = state.tries >= TRIES[want.lack]
        self._dirty.update(dict.fromkeys(self._concerned(want)))

    def _concerned(self, want: Want) -> list[int]:
        if want.lack is not Lack.CONTRACT:
            return [want.id]
        return [o for o, row in self._rows["order"].items() if row.get("contractId") == want.id]

    def _waits(self, lack: Lack, of: int, lacking: bool, now: float) -> bool:
        if not lacking:
            self._has(lack, of)
            return False
        return self._lacks(lack, of, now)

    def _lacks(self, lack: Lack, of: int, now: float) -> bool:
        """Note that something is missing; False when it was looked for long enough."""
        state = self._wanted.setdefault(Want(lack, of), _Wanted(now, now + WAITS[lack]))
        return not state.given_up

    def _has(self, lack: Lack, of: int) -> None:
        self._wanted.pop(Want(lack, of), None)

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────────

    def order(self, order_id: int) -> BrokerOrder | None:
        """The order as far as it is known; None when it is not, or its status says nothing."""
        found = wire.joined(self.parts(order_id)) if order_id in self._rows["order"] else None
        said = self._said.get(order_id)
        return said if found == said else found  # one object, however many pictures show it

    def parts(self, order_id: int) -> Parts:
        commands = self._of("command", order_id)
        return Parts(
            order=self._rows["order"].get(order_id, {"id": order_id}),
            versions=self._of("orderVersion", order_id),
            commands=commands,
            reports=[r for c in commands for r in self._of("commandReport", wire.number(c, "id") or 0)],
            executions=self._of("executionReport", order_id),
            fills=self._of("fill", order_id),
            client_id=self._bound.get(order_id),
        )

    def contract_name(self, contract_id: int) -> ContractName | None:
        found = wire.word(self._rows["contract"].get(contract_id, {}), "name")
        return ContractName(found) if found else None

    def contract_id(self, name: ContractName) -> int | None:
        rows = self._rows["contract"].items()
        return next((row_id for row_id, row in rows if row.get("name") == name), None)

    def account(self, account_id: int) -> Account | None:
        row, risk, limits = (self._rows[kind].get(account_id) for kind in ("account", *RISKS))
        return wire.account(row or {}, risk, limits)

    def commands_of(self, order_id: int) -> list[Row]:
        return self._of("command", order_id)

    def recent_orders(self, now: float) -> dict[int, BrokerAccountId]:
        """Orders first heard of within a minute: a later read that lacks one is older than we are.

        Not those the broker rejected: nothing says that a list shows them.
        """
        recent = (i for i, at in self._seen.items() if now - at <= RECENT and not self._rejected(i))
        places = {order_id: wire.place(self._rows["order"].get(order_id, {})) for order_id in recent}
        return {order_id: where.account for order_id, where in places.items() if where}

    def _rejected(self, order_id: int) -> bool:
        return wire.status(self._rows["order"].get(order_id, {})) is Status.REJECTED

    def not_listed(self, listed: set[int]) -> list[Row]:
        """Marked rows of the accounts we know that a list does not show."""
        return [{**row, wire.LISTED: False} for i, row in self._rows["account"].items() if i not in listed]

    def forget(self, now: datetime) -> None:
        """Drop what ended orders left behind a day ago, what belongs to nothing, and positions of former days."""
        for order_id in [o for o, row in self._rows["order"].items() if old(row, now - KEPT_FOR)]:
            self._drop(order_id)
        for want in [w for w, state in self._wanted.items() if state.given_up]:
            if want.lack is Lack.ORDER and want.id not in self._rows["order"]:
                self._drop(want.id)
        self._drop_lone()
        self._drop_former_positions()

    def _drop_lone(self) -> None:
        """What had nothing to belong to the last time either: that is forgotten, or never came."""
        lone = self._found_lone()
        for kind, of in lone & self._lone:
            match kind:
                case "order":
                    self._drop(of)
                case "command":
                    self._drop_children("commandReport", of)
                case _:
                    self._drop_fee(of)
        self._lone = lone - self._lone

    def _found_lone(self) -> set[tuple[str, int]]:
        """Orders, commands and fills of which only what belongs to them is known: kind and id."""
        named = {order_id for kind in OF_ORDER for order_id in self._children[kind]} | self._bound.keys()
        orders = named - self._rows["order"].keys()
        commands = self._children["commandReport"].keys() - self._rows["command"].keys()
        fills = self._rows["fillFee"].keys() - self._rows["fill"].keys()
        return {
            *(("order", of) for of in orders),
            *(("command", of) for of in commands),
            *(("fill", of) for of in fills),
        }

    def _drop_former_positions(self) -> None:
        """There may be a row per trade date (`wire.position_order`): only the newest of a place tells anything."""
        rows = self._rows["position"]
        for row_id in [i for i, row in rows.items() if self._is_former(row)]:
            del rows[row_id]

    def _is_former(self, position: Row) -> bool:
        where = wire.place(position)
        newest = self._positions.get(where) if where else None
        return newest is not None and wire.position_order(position) < wire.position_order(newest)

    def _drop_fee(self, fill_id: int) -> None:
        self._rows["fillFee"].pop(fill_id, None)
        self._fees_said.pop(fill_id, None)

    def _drop(self, order_id: int) -> None:
        for command in self._ids("command", order_id):
            self._drop_children("commandReport", command)
        self._fills_said.difference_update(self._ids("fill", order_id))
        self._busts_said.difference_update(self._ids("fill", order_id))
        for fill_id in self._ids("fill", order_id):
            self._drop_fee(fill_id)
        for kind in OF_ORDER:
            self._drop_children(kind, order_id)
        self._rows["order"].pop(order_id, None)
        for known in (self._bound, self._said, self._seen):
            known.pop(order_id, None)
        for lack in Lack:
            self._has(lack, order_id)

    def _drop_children(self, kind: str, parent: int) -> None:
        for row_id in self._children[kind].pop(parent, ()):
            self._rows[kind].pop(row_id, None)

    def _ids(self, kind: str, parent: int) -> tuple[int, ...]:
        return self._children[kind].get(parent, ())

    def _of(self, kind: str, parent: int) -> list[Row]:
        rows = self._rows[kind]
        return [rows[row_id] for row_id in sorted(self._ids(kind, parent)) if row_id in rows]
