"""What we send: the body of every mutation, in the spelling and with the fields of the spec.

Field rules: protocol.md section 5 (official). `accountSpec` is the account's *name* and always there: without it
accounts traded by permission are denied. `isAutomated` is true: no human hand placed these. Our id goes out as
`clOrdId` (it comes back on the command) and as `text` (it comes back on the order version). An exit rests
`GTC`: a Day order would vanish at the session's end and leave the position without it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, assert_never

from justtrades.broker.port import AuditId, Request
from justtrades.positions.commands import CancelOrder, Liquidate, ModifyOrder, Mutation, PlaceOrder
from justtrades.positions.model import BrokerAccountId, ClientOrderId, Order, OrderType, Purpose
from justtrades.positions.urgency import Urgency

PLACE, PAIR = "/order/placeorder", "/order/placeoco"
MODIFY, CANCEL, LIQUIDATE = "/order/modifyorder", "/order/cancelorder", "/order/liquidateposition"


def request(
    command: Mutation,
    *,
    audit_id: AuditId,
    account: BrokerAccountId,
    account_name: str | None,
    contract_name: str,
    contract_id: int | None,
) -> Request:
    """The request that `command` is. What is not known yet is left out; `missing` tells before it is sent."""
    whose = {"accountSpec": account_name, "accountId": int(account)}
    match command:
        case PlaceOrder():
            endpoint = PAIR if command.other else PLACE
            body = {**whose, **_placed(command, contract_name)}
        case ModifyOrder():
            endpoint, body = MODIFY, _modified(command)
        case CancelOrder():
            endpoint, body = CANCEL, _canceled(command)
        case Liquidate():
            endpoint, body = LIQUIDATE, _liquidated(int(account), contract_id)
        case _:
            assert_never(command)
    return Request(
        audit_id=audit_id,
        method="POST",
        endpoint=endpoint,
        body={name: value for name, value in body.items() if value is not None},
        account=account,
        signal_id=command.signal_id,
        order_id=order_id(command),
        urgency=urgency(command),
    )


def order_id(command: Mutation) -> ClientOrderId:
    """Our id of the order that the command is about."""
    match command:
        case PlaceOrder() | Liquidate():
            return command.order.id
        case ModifyOrder() | CancelOrder():
            return command.order_id


def urgency(command: Mutation) -> Urgency:
    match command:
        case PlaceOrder(order=Order(purpose=Purpose.ENTRY)):
            return Urgency.ENTER
        case PlaceOrder(order=Order(purpose=Purpose.CLOSE)) | Liquidate():
            return Urgency.CLOSE
        case CancelOrder():
            return Urgency.CANCEL
        case PlaceOrder() | ModifyOrder():
            return Urgency.PROTECT


def client_ids(request: Request) -> tuple[ClientOrderId, ...]:
    """Our ids of the orders that the answer will name, in its order."""
    if request.endpoint not in (PLACE, PAIR, LIQUIDATE) or request.order_id is None:
        return ()
    other = request.body.get("other")
    return (request.order_id, *((ClientOrderId(other["clOrdId"]),) if other else ()))


def missing(request: Request) -> str | None:
    """What an unsent request lacks, as a sentence; None when it is complete."""
    if request.endpoint in (PLACE, PAIR) and "accountSpec" not in request.body:
        return f"the broker does not list account {request.account}"
    if request.endpoint == LIQUIDATE and "contractId" not in request.body:
        return "the broker's id of the contract is not known yet"
    return None


def _placed(command: PlaceOrder, symbol: str) -> dict[str, Any]:
    order = command.order
    body = {
        "clOrdId": order.id,
        "action": order.action.value,
        "symbol": symbol,
        "orderQty": order.quantity,
        **_terms(order.order_type, order.price, order.purpose),
        "text": order.id,
        "isAutomated": True,
    }
    return body if command.other is None else {**body, "other": _leg(command.other)}


def _leg(order: Order) -> dict[str, Any]:
    """The second order of a pair: it inherits account, symbol and quantity."""
    return {
        "action": order.action.value,
        "clOrdId": order.id,
        **_terms(order.order_type, order.price, order.purpose),
        "text": order.id,
    }


def _modified(command: ModifyOrder) -> dict[str, Any]:
    """All that shall stay is sent again, the time in force too."""
    return {
        "orderId": int(command.broker_id),
        "clOrdId": command.id,
        "orderQty": command.quantity,
        **_terms(command.order_type, command.price, command.purpose),
        "text": command.order_id,
        "isAutomated": True,
    }


def _canceled(command: CancelOrder) -> dict[str, Any]:
    return {"orderId": int(command.broker_id), "clOrdId": command.id, "isAutomated": True}


def _liquidated(account: int, contract_id: int | None) -> dict[str, Any]:
    """No id of ours fits in here, and `customTag50` was answered 404 (client code)."""
    return {"accountId": account, "contractId": contract_id, "admin": False, "isAutomated": True}


def _terms(kind: OrderType, price: Decimal | None, purpose: Purpose) -> dict[str, Any]:
    """Type, price in the field that belongs to the type (a Stop must not carry `price`), time in force."""
    field = {OrderType.LIMIT: "price", OrderType.STOP: "stopPrice"}.get(kind)
    prices = {field: price} if field and price is not None else {}
    rests = purpose.rests and kind is not OrderType.MARKET
    return {"orderType": kind.value, **prices, "timeInForce": "GTC" if rests else "Day"}
