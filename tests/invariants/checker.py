"""What every checker is: told what happens, it says what must not be.

`at_rest` alone serves a test that has only a ledger and a database. The other moments are the simulation's:
right before a request is written, when it is over, after each change at the broker, after each commit, once a
second, and when the engine has died. Nothing is raised from inside the engine: what is found is kept in the facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from tests.invariants.facts import Entity, Facts

if TYPE_CHECKING:
    from justtrades.desk import Desk
    from justtrades.positions.model import Lane


PROMPT = 1.0
"""Seconds an answer may take from a broker that answers."""


@dataclass
class Written:
    """One request as the broker's door sees it."""

    at: float
    endpoint: str
    body: dict[str, Any]
    life: int
    answer: str = ""
    """What the broker said, whether or not it arrived."""
    status: int = 0
    """Of the answer that came back; 0 without one."""
    answered: bool = False
    """Something came back to the sender."""

    @property
    def mutates(self) -> bool:
        return self.endpoint.startswith("order/") and not self.endpoint.endswith(("list", "deps", "items", "item"))

    @property
    def client_ids(self) -> list[str]:
        """Our ids of the orders it would make."""
        if "placeo" not in self.endpoint:
            return []
        other = self.body.get("other") or {}
        return [word for word in (self.body.get("clOrdId"), other.get("clOrdId")) if word]


@dataclass(frozen=True, slots=True)
class Change:
    """One document made or changed at the broker."""

    kind: str
    created: bool
    entity: Entity


@dataclass
class Condition:
    """How the world is: the running desk (None while dead), and since when nothing disturbs it."""

    desk: Desk | None = None
    calm_since: float = 0.0
    now: float = 0.0
    calm: bool = True
    always_calm: bool = False
    """No fault was ever meant: what was asked for must be done."""
    full: bool = False
    """The disk takes nothing."""
    under_way: dict[int, float] = field(default_factory=dict)
    """Requests nobody has an answer of yet, by their identity, and when they left."""
    silent_at: float = -1_000.0
    """When the broker last gave no answer, or one that was no yes; or the engine was not there to hear it."""

    def answers_for(self, seconds: float) -> bool:
        """So long the broker has answered whatever it was asked, at once."""
        prompt = all(self.now - left <= PROMPT for left in self.under_way.values())
        return prompt and not self.full and self.desk is not None and self.now - self.silent_at >= seconds

    def calm_for(self, seconds: float) -> bool:
        return self.calm and self.desk is not None and self.now - self.calm_since >= seconds


@dataclass
class Checker:
    facts: Facts
    condition: Condition = field(default_factory=Condition)
    id: ClassVar[str] = ""

    def written(self, sent: Written) -> None:
        """A request is about to be written."""

    def over(self, sent: Written) -> None:
        """Its sender has an answer, an error, or has given up."""

    def heard(self) -> None:
        """The broker's socket told something."""

    def received(self) -> None:
        """A frame of events has reached the engine."""

    def alarmed(self, lane: Lane, text: str) -> None:
        """A lane raised an alarm."""

    def changed(self, changes: Sequence[Change]) -> None:
        """The broker's ledger has changed."""

    def committed(self) -> None:
        """The engine's database has changed."""

    def died(self) -> None:
        """The engine's life has ended."""

    def ticked(self) -> None:
        """A second has passed."""

    def at_rest(self) -> None:
        """Faults stopped long ago and nothing is under way."""

    def broken(self, text: str) -> None:
        self.facts.breach(self.id, text)
