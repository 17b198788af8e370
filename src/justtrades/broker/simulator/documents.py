"""The entity documents of the simulated broker, shaped as Tradovate sends them.

A document is the JSON object of protocol.md appendix A (official) with the extra fields recorded on the wire
(`archived`, `external`). Fields without a value are left out, never null. Prices and money are `Decimal`
inside and JSON numbers outside; ids are integers from one rising sequence (section 6). Documents are values:
a change makes a new one, so that an event keeps what it said.
"""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

Entity = dict[str, Any]
"""One wire document. `Any` because that is what JSON is; the functions here are the only makers."""

CHICAGO: Final = ZoneInfo("America/Chicago")
USD: Final = 1
"""The currency id of the dollar (recorded)."""
_SESSION_STARTS: Final = timedelta(hours=7)
"""From 17:00 Chicago on, it is the next trade date: 17:00 + 7 h is the next day (recorded, section 1)."""


def dumps(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), default=_number)


def loads(text: str | bytes) -> Any:
    return json.loads(text, parse_float=Decimal)


def _number(value: object) -> int | float:
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} has no JSON form here")
    whole = value.to_integral_value()
    # A JSON number is a double at Tradovate; up to 15 digits it reads back as the same decimal.
    return int(whole) if whole == value else float(value)


def decimal(value: Any) -> Decimal:
    """A number of a document as `Decimal` (whole numbers are read back as `int`)."""
    return value if isinstance(value, Decimal) else Decimal(str(value))


def instant(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def session_date(at: datetime) -> date:
    """The trading session's date: from 17:00 Chicago on it is the next day's."""
    return (at.astimezone(CHICAGO) + _SESSION_STARTS).date()


def trade_date(at: datetime) -> Entity:
    day = session_date(at)
    return {"year": day.year, "month": day.month, "day": day.day}


def day_number(at: datetime) -> int:
    day = session_date(at)
    return day.year * 10000 + day.month * 100 + day.day


def order(id_: int, action: str, status: str, at: datetime) -> Entity:
    """Without accountId and contractId, which the caller adds.

    `executionProviderId` is absent until the order was sent out; `timestamp` never changes (recorded).
    """
    return {
        "id": id_,
        "timestamp": instant(at),
        "action": action,
        "ordStatus": status,
        "archived": False,
        "external": False,
        "admin": False,
    }


def command(id_: int, order_id: int, kind: str, at: datetime) -> Entity:
    return {
        "id": id_,
        "orderId": order_id,
        "timestamp": instant(at),
        "commandType": kind,
        "commandStatus": "Pending",
    }


def command_report(id_: int, command_id: int, status: str, at: datetime) -> Entity:
    return {
        "id": id_,
        "commandId": command_id,
        "timestamp": instant(at),
        "commandStatus": status,
    }


def execution_report(id_: int, command_id: int, order_doc: Entity, kind: str, at: datetime) -> Entity:
    """On the simulator `name` is a random decimal string (recorded); here it follows from the id.

    A Canceled report has an `externalClOrdId` and no trade date (recorded); that the others have one is a guess.
    """
    number = id_ * 2654435761 % 10**17
    ended = kind == "Canceled"
    return {
        "id": id_,
        "commandId": command_id,
        "name": f"0.{number:017d}",
        "accountId": order_doc["accountId"],
        "contractId": order_doc["contractId"],
        "timestamp": instant(at),
        **({} if ended else {"tradeDate": trade_date(at)}),
        "orderId": order_doc["id"],
        "execType": kind,
        "ordStatus": order_doc["ordStatus"],
        "action": order_doc["action"],
        **({"externalClOrdId": f"1.{number:017d}"} if ended else {}),
    }


def fill(id_: int, order_doc: Entity, qty: int, price: Decimal, at: datetime) -> Entity:
    return {
        "id": id_,
        "orderId": order_doc["id"],
        "contractId": order_doc["contractId"],
        "timestamp": instant(at),
        "tradeDate": trade_date(at),
        "action": order_doc["action"],
        "qty": qty,
        "price": price,
        "active": True,
        "finallyPaired": 0,
        "external": False,
    }


def account(id_: int, name: str, user: int, at: datetime, *, active: bool) -> Entity:
    return {
        "id": id_,
        "name": name,
        "userId": user,
        "accountType": "Customer",
        "restricted": False,
        "closed": False,
        "clearingHouseId": 4,
        "riskCategoryId": 70,
        "autoLiqProfileId": 19,
        "marginAccountType": "Speculator",
        "legalStatus": "Individual",
        "archived": False,
        "timestamp": instant(at),
        "active": active,
    }


def cash_balance(id_: int, account_id: int, amount: Decimal, at: datetime) -> Entity:
    return {
        "id": id_,
        "accountId": account_id,
        "timestamp": instant(at),
        "tradeDate": trade_date(at),
        "currencyId": USD,
        "amount": amount,
        "realizedPnL": Decimal(0),
        "weekRealizedPnL": Decimal(0),
        "archived": False,
        "amountSOD": amount,
    }


def margin_snapshot(account_id: int, at: datetime) -> Entity:
    """The simulator asks for no margin: everything is 0. The id is the account's (recorded)."""
    zero = ("initialMargin", "maintenanceMargin", "totalUsedMargin", "fullInitialMargin", "positionMargin")
    return {"id": account_id, "timestamp": instant(at), "riskTimePeriodId": 1, **dict.fromkeys(zero, 0)}
