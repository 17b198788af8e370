"""The user socket without a socket: frames in, what was heard and what to send out.

The server speaks first (`o`), then answers requests (`{"s", "i", "d"}`) and tells events (`{"e", "d"}`), many to
an `a[…]` frame, in any order (protocol.md section 4, official). `Session` is one socket's life:

    OPENING ── o ──> AUTHORIZING ── 200 ──> SYNCING ── snapshot ──> SYNCED
       └──────────────────┴───── c[…], a refusal ──┴───────────────────┴──> CLOSED

Exactly one user/syncrequest is handled per socket; a penalty ticket means it was not, so it may be repeated.
Asked by entity types the answer may come in several messages without an end mark (section 4, official): it is
whole once nothing more of it has come for a second, and what comes later still is one more snapshot.
Events heard before the snapshot are kept and come after it: they are newer, so they win. Times are the caller's
clock (`now`, seconds); the two deadlines are state: our heartbeat is due by its own timer whatever comes in,
and ten silent seconds mean that nobody is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from math import inf
from typing import Any

from justtrades.broker.tradovate import answers, exact

HEARTBEAT = "[]"
HEARTBEAT_EVERY = 2.4
"""The server wants one at least every 2.5 s; a timer is never early."""
SILENCE = 10.0
QUIET = 1.0
"""A split answer is whole after this long without a further part."""
MOST_EARLY_EVENTS = 100_000
ORDER_COLLECTIONS = ("orders", "commands", "orderVersions", "fills", "positions", "accounts")
ENTITY_TYPES = (
    "account",
    "accountRiskStatus",
    "contract",
    "position",
    "order",
    "orderVersion",
    "command",
    "commandReport",
    "executionReport",
    "fill",
    "fillFee",
)
COLLECTIONS = {
    "accounts": "account",
    "accountRiskStatuses": "accountRiskStatus",
    "contracts": "contract",
    "positions": "position",
    "orders": "order",
    "orderVersions": "orderVersion",
    "commands": "command",
    "commandReports": "commandReport",
    "executionReports": "executionReport",
    "fills": "fill",
    "fillFees": "fillFee",
}
"""The sync answer's collections we read, with their entity type as `props` names it."""


class BadFrame(ValueError):
    """Something that is no frame of this protocol."""


@dataclass(frozen=True, slots=True)
class Props:
    """Entities of one type were created, updated or deleted."""

    kind: str
    entities: tuple[Mapping[str, Any], ...]
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The sync answer, entity type by entity type; `bare` when it holds nothing about accounts and orders,
    `late` when it is a part that came after the rest."""

    collections: Mapping[str, tuple[Mapping[str, Any], ...]]
    bare: bool
    late: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """Authorize or sync was not answered with a yes."""

    step: str
    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Ticketed:
    """Sync met a penalty: repeat it with the ticket after a wait."""

    ticket: answers.Ticket


@dataclass(frozen=True, slots=True)
class Shutdown:
    reason: str


@dataclass(frozen=True, slots=True)
class Closed:
    code: int
    reason: str


Heard = Props | Snapshot | Failed | Ticketed | Shutdown | Closed


class State(Enum):
    OPENING = auto()
    AUTHORIZING = auto()
    SYNCING = auto()
    SYNCED = auto()
    CLOSED = auto()


def request(endpoint: str, number: int, *, query: str = "", body: str = "") -> str:
    """One request frame: four fields, empty ones stay."""
    return f"{endpoint}\n{number}\n{query}\n{body}"


def messages(frame: str) -> Sequence[Any]:
    """The messages of an `a[…]` frame."""
    found = _json(frame[1:])
    if not isinstance(found, list):
        raise BadFrame("an `a` frame carries an array")
    return found


def _json(text: str) -> Any:
    try:
        return exact.loads(text)
    except exact.Unreadable as error:
        raise BadFrame("not JSON") from error


@dataclass(slots=True)
class Session:
    """One socket's life. Feed it with `receive`; send what `to_send` hands out and `beat` when it is due."""

    token: str = field(repr=False)
    sync: Mapping[str, Any]
    now: float
    state: State = State.OPENING
    heartbeat_due: float = 0.0
    dead_at: float = 0.0
    whole_at: float = inf
    """When `whole` is to be asked: a split answer has been coming."""
    kinds: tuple[str, ...] = ()
    """The entity types whose events the newest frame told, those kept for after the snapshot included."""
    _parts: list[Mapping[str, Any]] = field(default_factory=list, repr=False)
    _outbox: list[str] = field(default_factory=list, repr=False)
    _early: list[Props] = field(default_factory=list)
    _last: int = 0
    _awaited: int = -1
    _asked_sync: int = -1

    def __post_init__(self) -> None:
        self.heartbeat_due = self.now + HEARTBEAT_EVERY
        self.dead_at = self.now + SILENCE

    def to_send(self) -> list[str]:
        frames, self._outbox = self._outbox, []
        return frames

    def beat(self, now: float) -> str | None:
        """The heartbeat when it is due. None before the server's `o`: nothing may be sent then."""
        if now < self.heartbeat_due:
            return None
        self.heartbeat_due = now + HEARTBEAT_EVERY
        return None if self.state is State.OPENING else HEARTBEAT

    def receive(self, frame: str, now: float) -> list[Heard]:
        """What one text frame says. Any frame is a sign of life."""
        self.now, self.dead_at, self.kinds = now, now + SILENCE, ()
        kind = frame[:1]
        if kind == "o":
            return self._opened()
        if kind == "h" or not frame:
            return []
        if kind == "a":
            return [heard for message in messages(frame) for heard in self._message(message)]
        if kind == "c":
            return [self._closed(frame)]
        raise BadFrame(f"a frame that begins with {kind!r}")

    def whole(self, now: float) -> list[Heard]:
        """The snapshot, once a split answer has been quiet for long enough."""
        if now < self.whole_at:
            return []
        parts, self._parts, self.whole_at = self._parts, [], inf
        return [*self._snapshot(parts)]

    def sync_again(self, ticket: str) -> None:
        """Ask for the snapshot again with the penalty's ticket."""
        self._ask("user/syncrequest", exact.dumps({**self.sync, "p-ticket": ticket}))
        self._asked_sync = self._awaited

    def _opened(self) -> list[Heard]:
        if self.state is State.OPENING:
            self.state = State.AUTHORIZING
            self._ask("authorize", self.token)
        return []

    def _closed(self, frame: str) -> Closed:
        self.state = State.CLOSED
        found = _json(frame[1:])
        code, reason = [*found, *(0, "")[len(found) :]][:2] if isinstance(found, list) else (0, "")
        return Closed(code if isinstance(code, int) else 0, str(reason))

    def _ask(self, endpoint: str, body: str) -> None:
        self._last += 1
        self._awaited = self._last
        self._outbox.append(request(endpoint, self._last, body=body))

    def _message(self, message: object) -> Iterator[Heard]:
        if not isinstance(message, Mapping):
            raise BadFrame("a message is an object")
        if "e" in message:
            yield from self._event(message["e"], message.get("d"))
        elif message.get("i") == self._awaited:
            yield from self._answer(message.get("s"), message.get("d"))
        elif message.get("i") == self._asked_sync and message.get("s") == 200:
            yield from self._further(message.get("d"))

    def _event(self, kind: object, data: object) -> Iterator[Heard]:
        if not isinstance(data, Mapping):
            return
        if kind == "shutdown":
            yield Shutdown(str(data.get("reasonCode") or data.get("reason") or "unknown"))
        elif kind == "props" and (props := _props(data)):
            self.kinds = tuple(dict.fromkeys((*self.kinds, props.kind)))
            if self.state is State.SYNCED:
                yield props
            elif len(self._early) >= MOST_EARLY_EVENTS:
                raise BadFrame("too many events before the snapshot")
            else:
                self._early.append(props)

    def _answer(self, status: object, data: object) -> Iterator[Heard]:
        self._awaited = -1
        if status != 200:
            step = "authorize" if self.state is State.AUTHORIZING else "sync"
            yield Failed(step, status if isinstance(status, int) else 0, answers.said(str(data or "")))
        elif isinstance(ticket := answers.of_value(data), answers.Ticket):
            yield Ticketed(ticket)
        elif self.state is State.AUTHORIZING:
            self.state = State.SYNCING
            self._ask("user/syncrequest", exact.dumps(self.sync))
            self._asked_sync = self._awaited
        elif self.state is State.SYNCING:
            yield from self._synced(data)

    def _synced(self, data: object) -> Iterator[Heard]:
        if not isinstance(data, Mapping) or (text := answers.complaint(data)):
            yield Failed("sync", 200, text if isinstance(data, Mapping) and text else "no snapshot")
            return
        if self.sync.get("splitResponses"):
            self._parts.append(data)
            self.whole_at = self.now + QUIET
        else:
            yield from self._snapshot([data])

    def _further(self, data: object) -> Iterator[Heard]:
        """One more part of the answer."""
        if not isinstance(data, Mapping):
            return
        if self.state is State.SYNCED:
            yield Snapshot(_collections([data]), bare=False, late=True)
        elif self._parts:
            self._parts.append(data)
            self.whole_at = self.now + QUIET

    def _snapshot(self, parts: Sequence[Mapping[str, Any]]) -> Iterator[Heard]:
        self.state = State.SYNCED
        yield Snapshot(_collections(parts), bare=not any(name in part for part in parts for name in ORDER_COLLECTIONS))
        early, self._early = self._early, []
        yield from early


def _collections(parts: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Mapping[str, Any], ...]]:
    return {kind: tuple(row for part in parts for row in _rows(part.get(name))) for name, kind in COLLECTIONS.items()}


def _props(data: Mapping[str, Any]) -> Props | None:
    kind, entity = data.get("entityType"), data.get("entity")
    if not isinstance(kind, str):
        return None
    rows = _rows(entity if isinstance(entity, list) else [entity])
    return Props(kind, rows, deleted=data.get("eventType") == "Deleted") if rows else None


def _rows(found: object) -> tuple[Mapping[str, Any], ...]:
    return tuple(row for row in found if isinstance(row, Mapping)) if isinstance(found, list) else ()


def sync_body(user_id: int, *, by_types: bool) -> dict[str, Any]:
    """The sync request; by entity types for servers whose default has become empty (protocol.md section 4, guess).

    `users` and `entityTypes` must not be combined, and such a server closes a connection whose `splitResponses`
    is not true (official).
    """
    if by_types:
        return {"entityTypes": ENTITY_TYPES, "splitResponses": True}
    return {"users": [user_id], "splitResponses": False}
