"""What a client sends, read strictly: one call, and the order requests inside its body (protocol.md section 5).

Field names and kinds are the spec's. A missing or wrongly typed parameter raises `Malformed`; numbers may come
as JSON numbers only, ids also as digits; `isAutomated` must be a JSON boolean (section 8, no. 17).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from justtrades.broker.simulator.change import Fate
from justtrades.broker.simulator.documents import Entity
from justtrades.broker.simulator.rules import Leg, Malformed, Ticket
from justtrades.broker.simulator.sessions import Session

_LONGEST_TEXT: Final = 64
_DIGITS_OF_IDS: Final = 18
"""Ids are int64."""
_DIGITS_OF_PRICES: Final = 12
"""Before and after the point; a double holds no more of both together."""


@dataclass(frozen=True, slots=True)
class Call:
    """One operation asked for, by REST or over the socket. `endpoint` is in lower case, without `/v1/`."""

    endpoint: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    session: Session | None = None
    token: str = ""
    fate: Fate = None
    address: str = ""
    """Where it comes from; some limits are an address's."""

    @property
    def who(self) -> Session:
        if self.session is None:
            raise PermissionError("Access is denied")
        return self.session


def malformed() -> Malformed:
    return Malformed("Invalid or missed parameters")


def number(values: Mapping[str, Any], name: str) -> int:
    """A whole number, as a JSON number or as digits."""
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise malformed()
    try:
        exact = Decimal(value)
    except ArithmeticError as error:
        raise malformed() from error
    if not exact.is_finite() or exact.adjusted() >= _DIGITS_OF_IDS or exact != exact.to_integral_value():
        raise malformed()
    return int(exact)


def numbers(values: Mapping[str, Any], name: str) -> list[int]:
    """A comma list of ids."""
    return [number({name: part.strip()}, name) for part in word(values, name).split(",") if part.strip()]


def word(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str):
        raise malformed()
    return value


def optional_word(values: Mapping[str, Any], name: str) -> str | None:
    if values.get(name) is None:
        return None
    value = word(values, name)
    if len(value) > _LONGEST_TEXT:
        raise malformed()
    return value


def price(values: Mapping[str, Any], name: str) -> Decimal | None:
    value = values.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise malformed()
    exact = Decimal(value)
    if exact.adjusted() >= _DIGITS_OF_PRICES or exact.as_tuple().exponent < -_DIGITS_OF_PRICES:  # type: ignore[operator]  # finite: JSON has no infinity
        raise malformed()
    return exact


def flag(values: Mapping[str, Any], name: str) -> bool | None:
    value = values.get(name)
    if value is not None and not isinstance(value, bool):
        raise malformed()
    return value


def read_leg(values: Mapping[str, Any], action: str | None = None) -> Leg:
    """`action` stands in where the request carries none (modify)."""
    return Leg(
        action=action or word(values, "action"),
        kind=word(values, "orderType"),
        price=price(values, "price"),
        stop_price=price(values, "stopPrice"),
        time_in_force=optional_word(values, "timeInForce") or "Day",
        cl_ord_id=optional_word(values, "clOrdId"),
        text=optional_word(values, "text"),
    )


def read_stamp(call: Call) -> Entity:
    """The fields of the command documents that say who sent them; isAutomated is false by default."""
    automated = flag(call.body, "isAutomated")
    tag = optional_word(call.body, "customTag50")
    own: Entity = {"senderId": call.who.user_id, "userSessionId": call.who.id, "isAutomated": bool(automated)}
    return own | ({"customTag50": tag} if tag is not None else {})


def read_cancel_stamp(call: Call) -> Entity:
    cl_ord_id = optional_word(call.body, "clOrdId")
    return read_stamp(call) | ({"clOrdId": cl_ord_id} if cl_ord_id is not None else {})


def read_ticket(call: Call) -> Ticket:
    body = call.body
    return Ticket(
        account_id=number(body, "accountId"),
        symbol=word(body, "symbol"),
        qty=number(body, "orderQty"),
        leg=read_leg(body),
        account_spec=optional_word(body, "accountSpec"),
        stamp=read_stamp(call),
    )


def read_part(values: Mapping[str, Any], name: str) -> Leg:
    """The `other` of an OCO, `bracket1` and `bracket2` of an OSO."""
    part = values.get(name)
    if not isinstance(part, dict):
        raise malformed()
    return read_leg(part)
