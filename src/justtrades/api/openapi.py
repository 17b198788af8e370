"""The OpenAPI document: what FastAPI derives, the webhook that it does not see, and errors as they really are.

It is written as OpenAPI 3.0, because the installed Swagger UI (4.15) does not draw 3.1: `anyOf … null` becomes
`nullable`, bounds become flags, lists of examples become one.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from justtrades.api import alerts
from justtrades.api.alerts import Example
from justtrades.api.parts import Parts
from justtrades.api.problems import MEDIA_TYPE
from justtrades.api.schemas import ProblemBody

Node = dict[str, Any]

VERSION: Final = "3.0.3"
_ERRORS: Final = {
    "400": "Not readable",
    "401": "No admin key, or not one that is good here",
    "422": "Not usable as it is; `detail` says why",
    "503": "The database did not keep it",
}
_ANSWERS: Final = {
    "202": "Durable. `status` is `accepted`",
    "200": "`status` is `duplicate` (with the first `signal_id`) or `heartbeat`",
    "400": "Not readable",
    "403": "Alerts are not taken from this address",
    "404": "No such token, or its recorder is disabled",
    "413": "More than 64 KB",
    "422": "Readable, but not an order; `error` says what to change",
    "429": "Too many; see `Retry-After`",
    "503": "Could not be made durable: send it again",
}


def describe(app: FastAPI, parts: Parts) -> Node:
    """The document, made once."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        document["paths"] = {"/webhook/{token}": {"post": _webhook(parts.demo_token)}, **document["paths"]}
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = ProblemBody.model_json_schema()
        for path, operations in document["paths"].items():
            if path.startswith("/api/"):
                _with_problems(operations)
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        app.openapi_schema = {**as_three_zero(document), "openapi": VERSION}
    return app.openapi_schema


def as_three_zero(node: Any) -> Any:
    """The same, in the words of OpenAPI 3.0."""
    if isinstance(node, list):
        return [as_three_zero(part) for part in node]
    if not isinstance(node, dict):
        return node
    return _schema({name: as_three_zero(part) for name, part in node.items()})


def _schema(node: Node) -> Node:
    if isinstance(node.get("anyOf"), list) and {"type": "null"} in node["anyOf"]:
        node = _nullable(node)
    for bound, plain in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(node.get(bound), int | float) and not isinstance(node[bound], bool):
            node = {**node, plain: node[bound], bound: True}
    if "const" in node and isinstance(node.get("type", ""), str):
        node = {**node, "enum": [node["const"]]}
        del node["const"]
    if isinstance(node.get("examples"), list):
        node = {**node, "example": node["examples"][0]}
        del node["examples"]
    return node


def _nullable(node: Node) -> Node:
    others = [part for part in node["anyOf"] if part != {"type": "null"}]
    rest = {name: value for name, value in node.items() if name != "anyOf"}
    if len(others) == 1:
        only = others[0]
        return {**({"allOf": [only]} if "$ref" in only else only), **rest, "nullable": True}
    return {"anyOf": others, **rest, "nullable": True}


def _with_problems(operations: Node) -> None:
    for operation in operations.values():
        missing = {"404": "There is no such thing"} if "parameters" in operation else {}
        for status, text in {**_ERRORS, **missing}.items():
            operation["responses"][status] = _problem(text)


def _problem(text: str) -> Node:
    return {"description": text, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}


def _webhook(demo_token: str | None) -> Node:
    token: Node = {"name": "token", "in": "path", "required": True, "schema": {"type": "string"}}
    if demo_token is not None:
        token |= {"schema": {"type": "string", "default": demo_token}, "example": demo_token}
    return {
        "tags": ["webhook"],
        "summary": "An alert",
        "description": (
            "Where TradingView sends alerts. The answer leaves once the signal is durable; what comes of it stands "
            "in `GET /api/v1/signals/{id}`. The examples carry no time of their own, so the same one sent again "
            "after a few seconds is a second signal."
        ),
        "operationId": "webhook",
        "parameters": [token],
        "requestBody": {
            "required": True,
            "content": _content(),
        },
        "responses": {status: _answer(status, text) for status, text in _ANSWERS.items()},
    }


def _content() -> Node:
    """Each form with its first example as the schema's own: Swagger UI opens with that, not with the first choice."""
    every = alerts.examples()
    return {
        "application/json": _form("object", [one for one in every if not isinstance(one.body, str)]),
        "text/plain": _form("string", [one for one in every if isinstance(one.body, str)]),
    }


def _form(type_: str, listed: list[Example]) -> Node:
    shown = {one.name: {"summary": one.summary, "value": one.body} for one in listed}
    return {"schema": {"type": type_, "example": listed[0].body}, "examples": shown}


def _answer(status: str, text: str) -> Node:
    names = ("signal_id", "status") if status in ("200", "202") else ("error",)
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
    return {"description": text, "content": {"application/json": {"schema": schema}}}
