"""Puts the simulator's parts together: one floor, behind REST, socket and control routes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp

from justtrades.broker.simulator.control import Control
from justtrades.broker.simulator.counter import Counter
from justtrades.broker.simulator.floor import Floor
from justtrades.broker.simulator.rest import Rest
from justtrades.broker.simulator.sessions import LIFETIME, Sessions
from justtrades.broker.simulator.sockets import Sockets, Timing
from justtrades.broker.simulator.wire import Door

_METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH"]


@dataclass(frozen=True, slots=True)
class Options:
    """How the server treats its clients. `users`: passwords by name; None lets anybody in."""

    users: Mapping[str, str] | None = None
    token_lifetime: timedelta = LIFETIME
    timing: Timing = field(default_factory=Timing)
    seed: int = 1


def create_app(floor: Floor, options: Options | None = None) -> ASGIApp:
    options = options or Options()
    counter = Counter(floor, Sessions(options.users, options.token_lifetime))
    sockets = Sockets(counter, options.timing, Random(options.seed))
    routes = [
        WebSocketRoute("/v1/websocket", sockets.serve),
        Route("/v1/{endpoint:path}", Rest(counter).serve, methods=_METHODS),
        *Control(counter, sockets).routes(),
    ]
    return Door(Starlette(routes=routes))
