"""Tradovate's entities as they come, read leniently, and what they mean in our words.

Fields and enums: protocol.md appendix A (official). Unknown fields are ignored, absent ones are None: optional
fields without a value are left out on the wire, and partial entities have been seen. A row that lacks what it
needs to mean anything decodes to None. `joined` puts one order together from the entities it is spread over:
the order has the status, its versions quantity and price, its New command our id, the reports the reasons.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from justtrades.broker.port import Account
from justtrades.positions.model import (
    Action,
    BrokerAccountId,
    BrokerOrder,
    BrokerOrderId,
    ClientOrderId,
    Fill,
    FillId,
    OrderType,
    Status,
)

Row = Mapping[str, Any]

STATUS = {
    "PendingNew": Status.SENT,
    "Working": Status.WORKING,
    "PendingReplace": Status.WORKING,
    "PendingCancel": Status.WORKING,
    "Suspended": Status.WORKING,
    "Filled": Status.FILLED,
    "Canceled": Status.CANCELED,
    "Completed": Status.CANCELED,
    "Expired": Status.EXPIRED,
    "Rejected": Status.REJECTED,
}
"""`Completed` is over with whatever was filled (protocol.md section 5, guess); `Unknown` is no news."""

LISTED = "justtrades-listed"
"""A mark of ours on an account row that account/list no longer shows."""

REJECTED_COMMAND = frozenset({"RiskRejected", "ExecutionRejected"})
STOPPED_BY_ADMIN = {
    "AgreedOnLiqOnlyModeByAutoLiq": "liquidation only",
    "AgreedOnLiquidationByAutoLiq": "being liquidated by the broker",
    "LiquidateImmediately": "being liquidated by the broker",
    "LiquidateOnlyModeImmediately": "liquidation only",
    "LockTradingImmediately": "locked by the broker",
}
LIQUIDATING = frozenset({"AgreedOnLiquidationByAutoLiq", "LiquidateImmediately"})
ORDER_TYPES = {kind.value: kind for kind in OrderType}
LIMITS = {
    "dailyLossAutoLiq": "daily loss",
    "dailyLossLiqOnly": "daily loss for liquidation only",
    "weeklyLossAutoLiq": "weekly loss",
    "trailingMaxDrawdown": "trailing drawdown",
    "dailyProfitAutoLiq": "daily profit",
    "weeklyProfitAutoLiq": "weekly profit",
}


def number(row: Row, name: str) -> int | None:
    found = row.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def word(row: Row, name: str) -> str | None:
    found = row.get(name)
    return found if isinstance(found, str) and found else None


def price(row: Row, name: str) -> Decimal | None:
    found = row.get(name)
    return Decimal(found) if isinstance(found, int | Decimal) and not isinstance(found, bool) else None


def moment(row: Row, name: str) -> datetime | None:
    """A time in UTC; second and minute precision occur too."""
    try:
        found = datetime.fromisoformat(word(row, name) or "")
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def side(row: Row) -> Action | None:
    found = row.get("action")
    return Action(found) if found in ("Buy", "Sell") else None


def status(row: Row) -> Status | None:
    return STATUS.get(row.get("ordStatus") or "")


@dataclass(frozen=True, slots=True)
class Place:
    """Whose an entity is: account and contract by the broker's ids."""

    account: BrokerAccountId
    contract: int


def place(row: Row) -> Place | None:
    account, contract = number(row, "accountId"), number(row, "contractId")
    return Place(BrokerAccountId(str(account)), contract) if account and contract else None


def fill(row: Row) -> Fill | None:
    """An execution; also one that was busted (`active: false`), which the caller sorts out."""
    fill_id, order, action = number(row, "id"), number(row, "orderId"), side(row)
    quantity, paid, at = number(row, "qty"), price(row, "price"), moment(row, "timestamp")
    if not (fill_id and order and action and quantity and paid is not None and at):
        return None
    return Fill(FillId(str(fill_id)), BrokerOrderId(str(order)), action, quantity, paid, at)


def busted(row: Row) -> bool:
    return row.get("active") is False


def account(row: Row, risk: Row | None, limits: Row | None = None) -> Account | None:
    """An account with what keeps it from trading, if anything does. `limits` is its userAccountAutoLiq."""
    account_id, name = number(row, "id"), word(row, "name")
    if not account_id or not name:
        return None
    at_risk = _at_risk(risk or {})
    why = _barred(row) or (f"{at_risk}{_limits(limits or {})}" if at_risk else None)
    return Account(BrokerAccountId(str(account_id)), name, why is None, why, _liquidation(risk or {}))


def _barred(row: Row) -> str | None:
    if row.get(LISTED) is False:
        return "not listed by the broker"
    if row.get("active") is False:
        return "not active"
    return next((w for w in ("closed", "archived", "restricted", "readonly") if row.get(w) is True), None)


def _at_risk(risk: Row) -> str | None:
    if why := STOPPED_BY_ADMIN.get(risk.get("adminAction") or ""):
        return why
    return "liquidation only" if risk.get("liquidateOnly") or risk.get("userTriggeredLiqOnly") is True else None


def average(row: Row) -> Decimal | None:
    """What a position cost, in points. `netPrice` is left out when it was carried and not traded since (section 6)."""
    if not number(row, "netPos"):
        return None
    return price(row, "netPrice") or price(row, "prevPrice")


def _limits(limits: Row) -> str:
    """The loss limits that may be the cause, in USD, behind a reason; empty where none is set."""
    told = [f"{text} {plain(value)}" for field, text in LIMITS.items() if (value := price(limits, field))]
    return f" (its limits: {', '.join(told)})" if told else ""


def plain(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _liquidation(risk: Row) -> str | None:
    if risk.get("adminAction") not in LIQUIDATING:
        return None
    at = moment(risk, "adminTimestamp")
    return at.isoformat() if at else "now"


def position_order(row: Row) -> tuple[int, int, int, str, int]:
    """Sorts rows of one account and contract by age: there may be one per trade date, under another id."""
    date = row.get("tradeDate")
    date = date if isinstance(date, Mapping) else {}
    day = tuple(number(date, part) or 0 for part in ("year", "month", "day"))
    at = moment(row, "timestamp")
    return (day[0], day[1], day[2], at.isoformat() if at else "", number(row, "id") or 0)


# ── one order from its parts ─────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Parts:
    """The entities one order is spread over, as far as they are known. `client_id`: known from our own send."""

    order: Row
    versions: Sequence[Row] = ()
    commands: Sequence[Row] = ()
    reports: Sequence[Row] = ()
    executions: Sequence[Row] = ()
    fills: Sequence[Row] = ()
    client_id: ClientOrderId | None = None


def joined(parts: Parts) -> BrokerOrder | None:
    """The order in our words; None while its status is unknown."""
    now, order_id = status(parts.order), number(parts.order, "id")
    if now is None or not order_id:
        return None
    version = effective(parts) or {}
    kind = ORDER_TYPES.get(word(version, "orderType") or "")
    quantity = number(version, "orderQty")
    reason, text = why_rejected(parts) if now is Status.REJECTED else (None, None)
    return BrokerOrder(
        broker_id=BrokerOrderId(str(order_id)),
        client_id=client_id(parts),
        status=now,
        action=side(parts.order),
        quantity=quantity,
        order_type=kind,
        price=_price(version, kind),
        claimed=_claimed(parts),
        reason=reason,
        text=text,
        at=moment(parts.order, "timestamp"),
        version=_edition(parts),
        admin=parts.order.get("admin") is True and client_id(parts) is None,
    )


def new_command(parts: Parts) -> Row | None:
    """The command that made the order; its id equals the order's (protocol.md section 6, recorded)."""
    made = (c for c in parts.commands if c.get("commandType") == "New" or c.get("id") == parts.order.get("id"))
    return next(made, None)


def client_id(parts: Parts) -> ClientOrderId | None:
    found = parts.client_id or word(new_command(parts) or {}, "clOrdId")
    return ClientOrderId(found) if found else None


def effective(parts: Parts) -> Row | None:
    """The newest version that holds: one whose modify was rejected never did, one still asked for not yet."""
    asked = parts.order.get("ordStatus") == "PendingReplace"
    waiting = {c.get("id") for c in parts.commands if asked and _pending_modify(c)}
    holding = [v for v in parts.versions if v.get("id") not in _refused(parts) | waiting]
    return max(holding or parts.versions, key=_age, default=None)


def _pending_modify(command: Row) -> bool:
    return command.get("commandType") == "Modify" and command.get("commandStatus") == "Pending"


def _refused(parts: Parts) -> set[int]:
    """Ids of rejected modifies, which are the ids of the versions they asked for (recorded)."""
    by_report = {r.get("commandId") for r in parts.reports if r.get("commandStatus") in REJECTED_COMMAND}
    by_status = {c.get("id") for c in parts.commands if c.get("commandStatus") in REJECTED_COMMAND}
    modifies = {number(c, "id") for c in parts.commands if c.get("commandType") == "Modify"}
    return {i for i in modifies if i and i in by_report | by_status}


def _edition(parts: Parts) -> int:
    """Grows with every version heard of, and once more when the newest is refused and the one before holds on.

    The refusal's own report takes the next id of the broker's sequence, so no later version can have it.
    """
    newest = max(parts.versions, key=_age, default=None)
    if newest is None:
        return 0
    return _age(newest) + (1 if newest.get("id") in _refused(parts) else 0)


def _age(row: Row) -> int:
    return number(row, "id") or 0


def _price(version: Row, kind: OrderType | None) -> Decimal | None:
    match kind:
        case OrderType.MARKET:
            return None
        case OrderType.STOP:
            return price(version, "stopPrice")
        case _:
            return price(version, "price" if "price" in version else "stopPrice")


def _claimed(parts: Parts) -> int:
    """What the broker says was filled: the execution reports' running sum, or the fills themselves."""
    reported = max((number(e, "cumQty") or 0 for e in parts.executions), default=0)
    return max(reported, sum(number(f, "qty") or 0 for f in parts.fills if not busted(f)))


def why_rejected(parts: Parts) -> tuple[str | None, str | None]:
    """Reason and text of a rejection: risk says it in a command report, the exchange in an execution report."""
    new = (new_command(parts) or {}).get("id", parts.order.get("id"))
    told: Iterable[Row] = [
        row
        for row in (*parts.reports, *parts.executions)
        if row.get("commandId") == new and row.get("rejectReason") not in (None, "Success")
    ]
    row = max(told, key=_age, default=None)
    return (None, None) if row is None else (word(row, "rejectReason"), word(row, "text"))
