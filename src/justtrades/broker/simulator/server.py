"""Puts the simulator's parts together: one floor, behind REST, socket and control routes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random

from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp

from justtrades.broker.simulator.armory import Armory
from justtrades.broker.simulator.control import Control
from justtrades.broker.simulator.counter import Counter
from justtrades.broker.simulator.diary import Diary
from justtrades.broker.simulator.doors import Doors
from justtrades.broker.simulator.floor import Floor
from justtrades.broker.simulator.limits import Limits
from justtrades.broker.simulator.rest import Rest
from justtrades.broker.simulator.sessions import LIFETIME, Sessions
from justtrades.broker.simulator.sockets import Sockets, Timing
from justtrades.broker.simulator.wire import Door

_METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH"]


@dataclass(frozen=True, slots=True)
class Options:
    """How the server treats its clients.

    `users`: passwords by name; None lets anybody in. `limits`: the published ones are `Limits()`; None: no limit.
    `exchange_hours`: maintenance by the calendar. `tell` hears one line for each fault that strikes.
    """

    users: Mapping[str, str] | None = None
    token_lifetime: timedelta = LIFETIME
    timing: Timing = field(default_factory=Timing)
    seed: int = 1
    limits: Limits | None = None
    exchange_hours: bool = False
    tell: Callable[[str], None] | None = None
    sessions: Path | None = None
    """A file that keeps them over a restart."""


@dataclass(frozen=True, slots=True)
class House:
    """The parts that somebody has to run: the server, the hours, the misbehaviour."""

    app: ASGIApp
    sockets: Sockets
    doors: Doors
    armory: Armory


def build(floor: Floor, options: Options | None = None) -> House:
    options = options or Options()
    doors = Doors(floor.clock, by_calendar=options.exchange_hours)
    diary = Diary(floor.clock, options.tell)
    sessions = Sessions(options.users, options.token_lifetime, options.sessions)
    counter = Counter(floor, sessions, limits=options.limits, doors=doors, diary=diary)
    sockets = Sockets(counter, options.timing, Random(options.seed))
    armory = Armory(counter, sockets, doors)
    routes = [
        WebSocketRoute("/v1/websocket", sockets.serve),
        Route("/v1/{endpoint:path}", Rest(counter).serve, methods=_METHODS),
        *Control(counter, armory).routes(),
    ]
    return House(Door(Starlette(routes=routes)), sockets, doors, armory)


def create_app(floor: Floor, options: Options | None = None) -> ASGIApp:
    return build(floor, options).app
