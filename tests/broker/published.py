"""What Tradovate's published document says of the operations we use, as a table of our own.

For each operation the fields of its body or query, with their kinds, and which of them are required (official,
the OpenAPI document named in protocol.md; `LATER` adds what the newer partner document has). `test_published`
compares the table with that document wherever it is at hand.

Kinds: `s64` a string of at most 64 characters, `id` an int64 above 0, `n` an int32 above 0, `int` any integer,
`x` a number, `b` a boolean, `t` a date-time, `ints` a list of integers (in a query: with commas), a name: one of
`ENUMS`, a name with `>`: a body of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Fields = Mapping[str, str]

ENUMS: Final[Mapping[str, tuple[str, ...]]] = {
    "Action": ("Buy", "Sell"),
    "OrderType": ("Limit", "MIT", "Market", "QTS", "Stop", "StopLimit", "TrailingStop", "TrailingStopLimit"),
    "TimeInForce": ("Day", "FOK", "GTC", "GTD", "IOC"),
}
_VERSION: Final = {
    **{"orderType": "OrderType", "price": "x", "stopPrice": "x", "maxShow": "n", "pegDifference": "x"},
    **{"timeInForce": "TimeInForce", "expireTime": "t", "text": "s64"},
}
_SENT: Final = {"activationTime": "t", "customTag50": "s64", "isAutomated": "b"}
_ORDER: Final = {
    **{"accountSpec": "s64", "accountId": "id", "clOrdId": "s64", "action": "Action", "symbol": "s64"},
    **{"orderQty": "n"},
    **_VERSION,
    **_SENT,
}
_ORDER_NEEDS: Final = ("action", "symbol", "orderQty", "orderType")

BODIES: Final[Mapping[str, tuple[Fields, tuple[str, ...]]]] = {
    "auth/accesstokenrequest": (
        {"name": "s64", "password": "s64", "appId": "s64", "appVersion": "s64", "deviceId": "s64", "cid": "s64"}
        | {"sec": "s8192"},
        ("name", "password"),
    ),
    "auth/oauthtoken": (
        {"grant_type": "s64"}
        | dict.fromkeys(("code", "redirect_uri", "client_id", "client_secret", "httpAuth"), "s8192"),
        ("grant_type", "code", "redirect_uri"),
    ),
    "order/placeorder": (_ORDER, _ORDER_NEEDS),
    "order/placeoco": (_ORDER | {"other": "leg>"}, (*_ORDER_NEEDS, "other")),
    "order/placeoso": (_ORDER | {"bracket1": "leg>", "bracket2": "leg>"}, (*_ORDER_NEEDS, "bracket1")),
    "leg": ({"action": "Action", "clOrdId": "s64"} | _VERSION, ("action", "orderType")),
    "order/modifyorder": (
        {"orderId": "id", "clOrdId": "s64", "orderQty": "n"} | _VERSION | _SENT,
        ("orderId", "orderQty", "orderType"),
    ),
    "order/cancelorder": ({"orderId": "id", "clOrdId": "s64"} | _SENT, ("orderId",)),
    "order/liquidateposition": (
        {"accountId": "id", "contractId": "id", "admin": "b", "customTag50": "s64"},
        ("accountId", "contractId", "admin"),
    ),
    "order/liquidatepositions": (
        {"positions": "ints", "admin": "b", "customTag50": "s64"},
        ("positions", "admin"),
    ),
    "contract/rollcontract": ({"name": "s64", "forward": "b", "ifExpired": "b"}, ("name", "forward")),
    "cashBalance/getcashbalancesnapshot": ({"accountId": "id"}, ("accountId",)),
    "user/syncrequest": ({"users": "ints", "accounts": "ints", "splitResponses": "b"}, ()),
}
LATER: Final[Mapping[str, Fields]] = {
    "order/liquidateposition": {"isAutomated": "b"},
    "order/liquidatepositions": {"isAutomated": "b"},
    "user/syncrequest": {"entityTypes": "words", "cutoffTimestamp": "t", "fullOrgSnapshot": "b"},
}
QUERIES: Final[Mapping[str, Fields]] = {
    "list": {},
    "item": {"id": "int"},
    "items": {"ids": "ints"},
    "find": {"name": "s"},
    "deps": {"masterid": "int"},
    "ldeps": {"masterids": "ints"},
    "suggest": {"t": "s", "l": "int"},
}
"""Every look-up of one name takes the same; all of it is required."""
LOOKUPS: Final[Mapping[str, str]] = {
    **{"account": "list item items deps ldeps find suggest", "accountRiskStatus": "list item items deps ldeps"},
    **dict.fromkeys(("order", "orderVersion", "command"), "list item items deps ldeps"),
    **dict.fromkeys(("commandReport", "fill", "fillFee"), "list item items deps ldeps"),
    **{"executionReport": "list item items deps ldeps find", "position": "list item items deps ldeps find"},
    **{"contract": "item items deps ldeps find suggest", "contractMaturity": "item items deps ldeps"},
    **{"product": "list item items deps ldeps find suggest"},
}
"""Which look-ups the document has for the entities we read; there is no list of contracts or maturities."""
PLAIN: Final = ("auth/renewaccesstoken", "auth/me")
"""GET, and nothing else."""
TICKET: Final = "p-ticket"
"""Rides on any request that was told to wait (protocol.md section 3)."""


def known() -> set[str]:
    """Every operation of this table."""
    lookups = {f"{entity}/{name}" for entity, names in LOOKUPS.items() for name in names.split()}
    return lookups | {name for name in BODIES if "/" in name} | set(PLAIN)


def schema(name: str, *, later: bool = True) -> dict[str, Any]:
    """The JSON schema of a body. `later`: with the fields of the newer document."""
    fields, required = BODIES[name]
    own = {**fields, **(LATER.get(name, {}) if later else {})}
    found: dict[str, Any] = {"type": "object", "properties": {key: _kind(kind) for key, kind in own.items()}}
    return found | ({"required": list(required)} if required else {})


def query_schema(endpoint: str) -> dict[str, Any]:
    """The JSON schema of a look-up's query, whose values are strings."""
    fields = {} if endpoint in PLAIN else QUERIES[endpoint.rpartition("/")[2]]
    typed = {name: {"type": "string", "pattern": _PATTERNS[kind]} for name, kind in fields.items()}
    return {"type": "object", "properties": typed, "required": list(fields), "additionalProperties": False}


_PATTERNS: Final = {"int": r"^\d+$", "ints": r"^\d+(,\d+)*$", "s": "."}


def _kind(kind: str) -> dict[str, Any]:
    if kind in ENUMS:
        return {"type": "string", "enum": list(ENUMS[kind])}
    if kind.endswith(">"):
        return schema(kind[:-1], later=False)
    if kind[1:].isdigit():
        return {"type": "string", "maxLength": int(kind[1:])}
    return dict(_KINDS[kind])


_KINDS: Final[Mapping[str, dict[str, Any]]] = {
    "id": {"type": "integer", "exclusiveMinimum": 0},
    "n": {"type": "integer", "exclusiveMinimum": 0},
    "int": {"type": "integer"},
    "x": {"type": "number"},
    "b": {"type": "boolean"},
    "t": {"type": "string", "format": "date-time"},
    "ints": {"type": "array", "items": {"type": "integer"}},
    "words": {"type": "array", "items": {"type": "string"}},
}
