"""Errors of `/api/v1` as RFC 9457 problems: one clear sentence, never what came in.

FastAPI's own answer to a body it cannot use repeats that body, which may hold a password.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from justtrades.broker.port import BrokerError
from justtrades.store.session import NotDurable

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"


class Problem(Exception):
    """Ends a request with this status and sentence."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def not_found(what: str) -> Problem:
    return Problem(404, f"there is no such {what}")


def answer(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """The problem as it goes out."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(body, status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Every error of the application leaves as a problem."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(NotDurable, _not_durable)
    app.add_exception_handler(BrokerError, _broker)
    app.add_exception_handler(Exception, _unexpected)


def status_of(error: Exception) -> int:
    """The status this error is answered with."""
    match error:
        case Problem():
            return error.status
        case HTTPException():
            return error.status_code
        case RequestValidationError():
            return 422
        case BrokerError():
            return 502
        case NotDurable():
            return 503
        case _:
            return 500


def sentence_of(errors: list[Any], *, skip: int = 0) -> str:
    """The first of pydantic's errors as one sentence; `skip` leading parts of its place are not shown."""
    first = errors[0]
    place = ".".join(str(part)[:60] for part in first["loc"][skip:])
    if first["type"] == "extra_forbidden":
        return f"the field {place} is not known here"
    if first["type"] == "missing":
        return f"the field {place} is missing" if place else "a JSON body is needed"
    if first["type"] == "string_pattern_mismatch":
        return f"{place}: has characters that cannot stand there, or too many"
    told = str(first["msg"]).removeprefix("Value error, ").replace("Input should", "must")
    return f"{place}: {told}" if place else told


# The framework's handlers take any Exception by their type; each is only ever called with its own.


def _problem(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return answer(error.status, error.detail)


def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return answer(error.status_code, str(error.detail), dict(error.headers or {}))


def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return answer(422, sentence_of(list(error.errors()), skip=1))


def _not_durable(_request: Request, error: Exception) -> JSONResponse:
    log.error("a request could not be made durable: %s", error)
    return answer(503, "the database did not keep it: try again")


def _broker(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, BrokerError)
    return answer(502, f"the broker said no: {error}"[:500])


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return answer(500, "something unexpected happened; the log has the details")
