"""The rules a signal meets on its lane, each with its numbers, for the receipt.

This only tells; `jobs` decides. Both ask the same questions of the same lane, and a test holds them together:
an entry leaves exactly when every rule here has passed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from justtrades.positions import book, follow
from justtrades.positions.jobs import (
    entry_size,
    lane_says_no,
    overtaken,
    owner_says_no,
    position_says_no,
    wanted_sign,
)
from justtrades.positions.model import ContractName, Held, Job, Lane, OnOpposite, OnSameSide, Terms

_TEXT: Final = re.compile(r"rule (?P<rule>\w+): (?P<said>passed|said no) \((?P<detail>.*)\)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its name, whether it let the signal pass, and the numbers it looked at."""

    rule: str
    passed: bool
    detail: str

    @property
    def text(self) -> str:
        return f"rule {self.rule}: {'passed' if self.passed else 'said no'} ({self.detail})"

    @staticmethod
    def read(text: str) -> Rule | None:
        """A rule from its text; None for any other note."""
        found = _TEXT.fullmatch(text)
        return Rule(found["rule"], found["said"] == "passed", found["detail"]) if found else None


def rules(lane: Lane, job: Job, now: datetime) -> tuple[Rule, ...]:
    """Every rule for this signal as the lane stands now, in the order they are asked."""
    if not job.signal.verb.enters:
        return (_owner(lane, job), _held(lane), *_chain(lane, job))
    checked = (Rule(check.rule, check.passed, check.detail) for check in job.signal.checks)
    common = (_kill(lane), _age(job, now), _queue(lane, job), _unblocked(lane, job), _owner(lane, job), *checked)
    terms = job.signal.terms
    if terms is None:
        return common
    asked = (_only_when(lane, terms),) if terms.only_when else ()
    return (*common, *asked, *_chain(lane, job), _side(lane, job, terms), _size(lane, job, terms))


def positions_say_no(lanes: Iterable[Lane], contract: ContractName, most: int) -> str | None:
    """Why no position may be opened beside those of the account's `lanes`; one that is open may always be added to.

    A position counts from the moment an entry waits for it, whoever made it.
    """
    taken = [lane.contract.name for lane in lanes if _taken(lane)]
    if contract in taken or len(taken) < most:
        return None
    allowed = "1 open position" if most == 1 else f"{most} open positions"
    return f"the alert allows {allowed} on the account: it has {len(taken)}"


def _taken(lane: Lane) -> bool:
    return bool(book.held(lane) or lane.broker_quantity or any(job.signal.verb.enters for job in lane.jobs))


def _kill(lane: Lane) -> Rule:
    return Rule("kill_switch", not lane.killed, "on" if lane.killed else "off")


def _age(job: Job, now: datetime) -> Rule:
    age = (now - job.signal.received_at).total_seconds()
    most = (job.signal.expires_at - job.signal.received_at).total_seconds()
    return Rule("age", now < job.signal.expires_at, f"{age:.3f} s of at most {most:g} s")


def _queue(lane: Lane, job: Job) -> Rule:
    late = job in lane.jobs and overtaken(lane, job)
    return Rule("queue", not late, "a later close waits behind it" if late else "no later close waits")


def _unblocked(lane: Lane, job: Job) -> Rule:
    closed = lane_says_no(lane, job.signal)
    return Rule("lane_open", closed is None, closed or "entries are not blocked")


def _owner(lane: Lane, job: Job) -> Rule:
    said = owner_says_no(lane, job.signal)
    return Rule("owner", said is None, said or ("free" if lane.trade is None else "its own trade, or a person's act"))


def _held(lane: Lane) -> Rule:
    held = book.held(lane)
    return Rule("position", held != 0, f"{held:+d} held, broker shows {_shown(lane)}" if held else "flat")


def _chain(lane: Lane, job: Job) -> tuple[Rule, ...]:
    """Where the strategy says it is; only an alert that says so meets this rule."""
    if job.signal.follow is None:
        return ()
    told = follow.told(lane, job.signal)
    match follow.verdict(lane, job.signal):
        case follow.Nothing(reason) | follow.Missing(reason):
            return (Rule("strategy_position", False, f"{told}; {reason}"),)
        case follow.Reduce(to):
            return (Rule("strategy_position", job.signal.verb.enters is False, f"{told}; down to {to:+d}"),)
        case None:
            missing = follow.gap(lane, job.signal)
            return (Rule("strategy_position", True, f"{told}; {missing}" if missing else told),)


def _shown(lane: Lane) -> str:
    return "unknown" if lane.broker_quantity is None else f"{lane.broker_quantity:+d}"


def _only_when(lane: Lane, terms: Terms) -> Rule:
    held = book.held(lane)
    wanted = " or ".join(terms.only_when)
    return Rule("only_when", position_says_no(terms, held) is None, f"{Held.of(held)} held, asked for {wanted}")


def _side(lane: Lane, job: Job, terms: Terms) -> Rule:
    held = book.held(lane)
    if held == 0:
        return Rule("side", True, "flat: a first entry")
    if held * wanted_sign(job.signal.verb) > 0:
        passed = terms.on_same_side is not OnSameSide.IGNORE
        return Rule("side", passed, f"{held:+d} held, same side: {terms.on_same_side}")
    passed = terms.on_opposite is not OnOpposite.IGNORE
    return Rule("side", passed, f"{held:+d} held, opposite side: {terms.on_opposite}")


def _size(lane: Lane, job: Job, terms: Terms) -> Rule:
    held = book.held(lane)
    same_side = held * wanted_sign(job.signal.verb) > 0
    adds = same_side and terms.on_same_side is OnSameSide.ADD
    sized = entry_size(terms, held if adds else 0)
    most = "no limit" if terms.max_quantity is None else f"at most {terms.max_quantity}"
    return Rule("quantity", sized.quantity > 0, sized.reason or f"{sized.quantity}, {most}")
