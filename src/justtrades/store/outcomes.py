"""How signals end: each route once, and the signal when all of its routes have.

An outcome is written where there is none yet, so it never changes whoever comes later. The signal's own is the
best of its routes in the order of the contract's table.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from justtrades.positions.model import AccountId, Outcome, SignalId
from justtrades.store.quick import Quick
from justtrades.store.tables import signal_notes, signal_routes, signals


@dataclass(frozen=True, slots=True)
class Finished:
    """A signal that has come to its end."""

    signal_id: SignalId
    outcome: Outcome
    reason: str


_R = signal_routes.c
# The contract of a route is empty until a lane has taken it on.
_its_route = (
    (_R.signal_id == bindparam("b_signal"))
    & (_R.account_id == bindparam("b_account"))
    & (_R.contract.in_([bindparam("b_contract"), ""]))
    & (_R.outcome.is_(None))
)
_take_route = Quick(signal_routes.update().where(_its_route))
_take_account = Quick(
    signal_routes.update().where(
        (_R.signal_id == bindparam("b_signal")) & (_R.account_id == bindparam("b_account")) & (_R.outcome.is_(None))
    )
)
_take_signal = Quick(
    signals.update()
    .where((signals.c.id == bindparam("b_signal")) & (signals.c.status == "accepted"))
    .values(status="working")
)
_routes_of = Quick(select(_R.outcome, _R.reason).where(_R.signal_id == bindparam("b_signal")).order_by(_R.account_id))
_end_signal = Quick(signals.update().where((signals.c.id == bindparam("b_signal")) & signals.c.outcome.is_(None)))
_add_note = Quick(signal_notes.insert())


def begin_route(connection: Connection, signal_id: SignalId, account_id: AccountId, contract: str) -> None:
    """A lane has taken the signal on: its contract is known and it is being worked on."""
    taken = {**_route(signal_id, account_id, contract), "contract": contract, "status": "working"}
    _take_route.run(connection, taken)
    _take_signal.run(connection, {"b_signal": signal_id})


def finish_route(
    connection: Connection,
    signal_id: SignalId,
    account_id: AccountId,
    contract: str,
    outcome: Outcome,
    reason: str,
    at: datetime,
) -> Finished | None:
    """Ends one route (`contract` is "" when none was ever chosen); tells if that ended the signal."""
    ended = {"contract": contract, "status": "done", "outcome": outcome, "reason": reason, "finished_at": at}
    _take_route.run(connection, {**_route(signal_id, account_id, contract), **ended})
    return finish_if_done(connection, signal_id, at)


def finish_account(
    connection: Connection,
    signal_id: SignalId,
    account_id: AccountId,
    outcome: Outcome,
    reason: str,
    at: datetime,
) -> Finished | None:
    """Ends whatever the signal still has open at one account; tells if that ended the signal."""
    ended = {"status": "done", "outcome": outcome, "reason": reason, "finished_at": at}
    _take_account.run(connection, {"b_signal": signal_id, "b_account": account_id, **ended})
    return finish_if_done(connection, signal_id, at)


def finish_if_done(connection: Connection, signal_id: SignalId, at: datetime) -> Finished | None:
    """Ends the signal with the best outcome if none of its routes is open. None when it is not over, or was."""
    routes = _routes_of.rows(connection, {"b_signal": signal_id})
    if not routes or any(outcome is None for outcome, _ in routes):
        return None
    best = Outcome.best(Outcome(outcome) for outcome, _ in routes)
    reason = next(reason for outcome, reason in routes if outcome == best)
    return finish_signal(connection, signal_id, best, reason or "", at)


def finish_signal(
    connection: Connection, signal_id: SignalId, outcome: Outcome, reason: str, at: datetime
) -> Finished | None:
    """Ends a signal as a whole, such as one without routes. None when it had ended before."""
    ended = {"status": "done", "outcome": outcome, "reason": reason, "finished_at": at}
    changed = _end_signal.run(connection, {"b_signal": signal_id, **ended})
    return Finished(signal_id, outcome, reason) if changed else None


def note(
    connection: Connection,
    signal_id: SignalId,
    account_id: str,
    contract: str,
    at: datetime,
    texts: Iterable[str],
    *,
    alarm: bool = False,
) -> None:
    """Sentences for the signal's receipt."""
    where = {"signal_id": signal_id, "account_id": account_id, "contract": contract, "at": at, "alarm": alarm}
    _add_note.run_all(connection, [{**where, "text": text} for text in texts])


def _route(signal_id: SignalId, account_id: AccountId, contract: str) -> dict[str, str]:
    return {"b_signal": signal_id, "b_account": account_id, "b_contract": contract}
