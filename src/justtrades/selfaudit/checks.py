"""All checks, in the order of the invariants they stand for (docs/self-audit.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from justtrades.selfaudit import exits, fills, orders, signals
from justtrades.selfaudit.rows import EVERY, Rows, read


@dataclass(frozen=True, slots=True)
class Check:
    """`certain`: one snapshot suffices, since each step is saved in one piece. The others must see it twice."""

    invariant: str
    ask: Callable[[Rows], Iterator[str]]
    certain: bool = True


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """What must not be: one sentence that stays the same as long as it stands."""

    invariant: str
    text: str
    certain: bool = True

    def __str__(self) -> str:
        return f"{self.invariant}: {self.text}"


CHECKS: Final = (
    Check("I2", signals.outcomes_have_reasons),
    Check("I2", signals.routes_make_the_outcome),
    Check("I2", signals.lanes_know_their_signals),
    Check("I2", signals.none_waits_for_ever, certain=False),
    Check("I3", orders.one_entry_a_signal),
    Check("I3", orders.one_order_a_broker_id),
    Check("I4", orders.lanes_know_their_orders),
    Check("I5", orders.exits_are_on_the_tick),
    Check("I5", exits.what_is_held_has_its_exits, certain=False),
    Check("I6", exits.flat_has_no_exit, certain=False),
    Check("I7", exits.exits_are_not_too_many, certain=False),
    Check("I8", fills.each_is_an_orders),
    Check("I8", fills.orders_are_sums),
    Check("I8", fills.closed_trades_are_sums),
    Check("I8", fills.open_trades_are_held),
    Check("I8", fills.open_trades_are_on_their_side, certain=False),
    Check("I8", fills.fees_are_sums),
    Check("I13", signals.no_entry_after_the_kill),
    Check("I14", signals.no_entry_too_old),
    Check("I14", signals.no_exit_expires),
    Check("I16", orders.each_has_its_audit_row),
)


def whole(connection: Connection) -> list[Finding]:
    """Of a whole database, as of its newest row, whatever its size."""
    return check(read(connection, None, None, EVERY))


def check(rows: Rows, checks: Iterable[Check] = CHECKS) -> list[Finding]:
    """Everything that must not be, in the order of the checks."""
    return [Finding(one.invariant, text, one.certain) for one in checks for text in one.ask(rows)]


@dataclass(slots=True)
class Memory:
    """How signals ended when they were last looked at (I2): an outcome never changes, and its row stays."""

    _ended: dict[str, str] = field(default_factory=dict)

    def changed(self, rows: Rows) -> list[Finding]:
        """Since they ended. What stands beyond the oldest ended one of these rows was left out, not lost."""
        now = {signal.id: signal.outcome for signal in rows.signals}
        ended = {signal_id: outcome for signal_id, outcome in now.items() if outcome is not None}
        oldest = min(ended, default="~")
        otherwise = {
            signal_id: outcome
            for signal_id, outcome in self._ended.items()
            if (signal_id in now or signal_id >= oldest) and now.get(signal_id) != outcome
        }
        self._ended = ended | otherwise
        return [
            Finding("I2", f"signal {signal_id} had ended {outcome} and now reads {now.get(signal_id) or 'none'}")
            for signal_id, outcome in otherwise.items()
        ]
