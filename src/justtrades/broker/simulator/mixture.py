"""Faults by chance, from a seed: what `--faults` means. Pure, but for the counts of what came by.

A plan is a comma list. An item is a mixture's name (`rough`, `storm`), a number (the chance that any one call
goes wrong), or one fault: `FAULT[!before][@ENDPOINT][=RATE|#N]`.

| item | a call's fault | a manner of events | a blow |
|---|---|---|---|
| `x=RATE` | chance per call | chance per change told | times a minute, on average |
| `x#N` | the Nth call | | N seconds after the start |
| `x` | the next call | from now on | now |

The same seed gives the same fate to the nth call of an endpoint and to the nth change told, and the same moments
to the blows, however calls interleave. Chances leave `auth/*` alone unless they name it: a lost token request
costs a fifth of the hour's, and a mixture is no rehearsal for that.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from justtrades.broker.simulator.faults import ANY, Blow, Fault, Kind, Manner, parse_fault

CALLS: Final = {
    **{"lose_request": 0.15, "lose_answer": 0.2, "stall:2": 0.2, "status:500!before": 0.1, "status:502": 0.1},
    **{"empty": 0.1, "html:503!before": 0.05, "penalty:1": 0.1},
}
"""What may happen to a call that goes wrong, and how often of all such."""
EVENTS: Final = {
    **{"duplicate_events": 0.05, "shuffle_events": 0.05, "delay_events:1": 0.05, "batch_events": 0.1},
    **{"entity_arrays": 0.05, "late_legs:0.3": 0.2, "extra_fields": 0.05},
}
BLOWS: Final = {"drop_socket": 0.5, "silent_socket": 0.1, "half_open_socket": 0.1, "close_by_hand": 0.1}
MIXTURES: Final = {"calm": 0.0, "rough": 0.02, "storm": 0.15}
"""The chance that a call goes wrong; events and blows come 1, and in a storm 4 times as often as above."""
_ITEM: Final = re.compile(
    r"(?P<fault>[^!@=#]+)(?P<before>!before)?(@(?P<endpoint>[^=#]+))?(=(?P<rate>.+)|#(?P<nth>\d+))?"
)


@dataclass(frozen=True, slots=True)
class Item:
    """One fault of a plan: by chance (`rate`), at its turn (`nth`), or at once (neither)."""

    text: str
    endpoint: str = ANY
    before: bool = False
    rate: float | None = None  # a chance, or times a minute
    nth: int | None = None

    @property
    def name(self) -> str:
        return self.text.partition(":")[0]

    @property
    def fault(self) -> Fault:
        return parse_fault(self.body)

    @property
    def body(self) -> dict[str, Any]:
        """As the control route takes it."""
        when = {"when": "before"} if self.before else {}
        return {"fault": self.text, "endpoint": self.endpoint, "nth": self.nth or 1, **when}

    def may_hit(self, endpoint: str) -> bool:
        named = self.endpoint != ANY or not endpoint.startswith("auth/")
        return named and self.fault.hits(endpoint)


def parse_plan(text: str) -> tuple[Item, ...]:
    """The items of a plan; ValueError, as a sentence, for what is none."""
    return tuple(item for part in text.split(",") if part.strip() for item in _items(part.strip()))


def _items(part: str) -> Sequence[Item]:
    if part in MIXTURES:
        return _mixture(MIXTURES[part], 4 if part == "storm" else 1)
    try:
        rate = float(part)
    except ValueError:
        return [_item(part)]
    if not 0 <= rate <= 1:
        raise ValueError(f"a rate of faults is between 0 and 1, not {part}")
    return _mixture(rate, 0)


def _mixture(rate: float, others: float) -> list[Item]:
    calls = [_item(f"{text}={share * rate}") for text, share in CALLS.items()] if rate else []
    rest = {**EVENTS, **BLOWS} if rate and others else {}
    return calls + [_item(f"{text}={min(1.0, share * others)}") for text, share in rest.items()]


def _item(part: str) -> Item:
    found = _ITEM.fullmatch(part)
    if found is None:
        raise ValueError(f"a fault is written FAULT[@ENDPOINT][=RATE|#N], not {part}")
    try:
        rate = None if found["rate"] is None else float(found["rate"])
    except ValueError:
        raise ValueError(f"the rate of a fault is a number, not {found['rate']}") from None
    nth = None if found["nth"] is None else int(found["nth"])
    item = Item(found["fault"], (found["endpoint"] or ANY).lower(), bool(found["before"]), rate, nth)
    _check(item)
    return item


def _check(item: Item) -> None:
    if not (item.name in {*Kind, *Manner, *Blow} or item.name.isdigit()):
        known = ", ".join((*MIXTURES, *Kind, *Manner, *Blow))
        raise ValueError(f"there is no fault {item.name}; there are {known}")
    if item.name not in {*Manner, *Blow}:
        parse_fault({"fault": item.text})  # a wait must be a number
    if item.rate is not None and item.rate > 1 and item.name not in set(Blow):
        raise ValueError(f"a chance is between 0 and 1, not {item.rate}")


@dataclass(slots=True)
class Mixture:
    """The chances of a plan, drawn from a seed."""

    items: tuple[Item, ...] = ()
    seed: int = 1
    _calls: Tally[str] = field(default_factory=Tally)
    _changes: int = 0

    def take(self, endpoint: str) -> Fault | None:
        """The fault that hits this call, if any."""
        self._calls[endpoint] += 1
        if not self.items:
            return None
        drawn = Random(f"{self.seed}/{endpoint}/{self._calls[endpoint]}").random()
        for item in self._chances(Kind):
            if item.may_hit(endpoint):
                drawn -= item.rate or 0.0
                if drawn < 0:
                    return item.fault
        return None

    def whims(self) -> list[Item]:
        """The manners in which the events of this change are told."""
        self._changes += 1
        if not self.items:
            return []
        rng = Random(f"{self.seed}/change/{self._changes}")
        return [item for item in self._chances(Manner) if rng.random() < (item.rate or 0.0)]

    def moments(self) -> Iterator[tuple[float, Item]]:
        """When a blow falls, in seconds after the start, without end if any comes by chance."""
        once = sorted(((float(item.nth or 0), item) for item in self.items if _falls_once(item)), key=_moment)
        return heapq.merge(once, *(self._falls(item) for item in self._chances(Blow)), key=_moment)

    def _falls(self, item: Item) -> Iterator[tuple[float, Item]]:
        rng, at = Random(f"{self.seed}/{item.text}"), 0.0
        while item.rate:
            at += rng.expovariate(item.rate / 60)
            yield at, item

    def _chances(self, kinds: type[Kind] | type[Manner] | type[Blow]) -> list[Item]:
        return [item for item in self.items if item.rate is not None and _is_of(item, kinds)]

    @property
    def certain(self) -> list[Item]:
        """What is armed or begun at the start: faults at their turn, manners from now on."""
        return [item for item in self.items if item.rate is None and item.name not in set(Blow)]


def _moment(pair: tuple[float, Item]) -> float:
    return pair[0]


def _falls_once(item: Item) -> bool:
    return item.rate is None and item.name in set(Blow)


def _is_of(item: Item, kinds: type[Kind] | type[Manner] | type[Blow]) -> bool:
    if kinds is not Kind:
        return item.name in set(kinds)
    return item.name not in {*Manner, *Blow}
