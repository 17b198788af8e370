"""A person takes over contracts that are not ours: for which recorder, under which rules, from which fills.

The lane's open trade settles whose they become. On a flat lane it is the one recorder that trades this contract on
this account, or the one the person names. The fills and the average come from a picture taken now, because a lane
that is flat keeps none of what others did.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from justtrades.broker.port import LanePicture
from justtrades.positions import book, contracts
from justtrades.positions.adoption import Adoption
from justtrades.positions.model import AccountId, Lane, RecorderId, SignalId, Terms, Verb
from justtrades.positions.recorder import Blocked, Reading, Recorder, Route, signal_for


class CannotAdopt(Exception):
    """What is not ours cannot be made ours now; the text is one sentence for the person."""


def adoption(
    lane: Lane,
    seen: LanePicture,
    recorders: Iterable[Recorder],
    recorder_id: RecorderId | None,
    signal_id: SignalId,
    now: datetime,
) -> Adoption:
    """What the person's word comes to on this lane. Raises `CannotAdopt`."""
    standing = book.standing(lane)
    if standing.foreign == 0:
        raise CannotAdopt("there is nothing here that is not ours")
    if standing.held * standing.foreign < 0:
        raise CannotAdopt("the broker holds less than the books here: leave it, and the books will follow the broker")
    if lane.trade is not None:
        if recorder_id not in (None, lane.trade.recorder_id):
            raise CannotAdopt(f"the open trade here belongs to recorder {lane.trade.recorder_id}")
        owner, terms = lane.trade.recorder_id, lane.trade.terms
    else:
        owner, terms = _whose(lane, [*recorders], recorder_id, standing.foreign, now)
    return Adoption(signal_id, owner, terms, standing.foreign, seen.fills, seen.average)


def _whose(
    lane: Lane, recorders: list[Recorder], recorder_id: RecorderId | None, foreign: int, now: datetime
) -> tuple[RecorderId, Terms]:
    """The recorder and its rules for this account."""
    able = [r for r in recorders if recorder_id in (None, r.id) and _route(r, lane.account_id) is not None]
    if recorder_id is None:
        today = contracts.trade_date(now)
        able = [r for r in able if r.enabled and _means(r.symbol, lane, today)]
    if not able:
        raise CannotAdopt("no recorder trades this contract on this account: name one that is routed to it")
    if len(able) > 1:
        names = ", ".join(sorted(r.name for r in able))
        raise CannotAdopt(f"several recorders trade this contract here ({names}): name one")
    return able[0].id, _terms(able[0], lane.account_id, foreign, now)


def _route(recorder: Recorder, account_id: AccountId) -> Route | None:
    return next((r for r in recorder.routes if r.account_id == account_id and r.enabled), None)


def _means(symbol: str | None, lane: Lane, today: date) -> bool:
    """A recorder without a symbol takes its alerts' tickers, so it may mean any contract."""
    if symbol is None:
        return True
    try:
        parsed = contracts.parse_symbol(symbol, today)
    except contracts.UnknownSymbol:
        return False
    if isinstance(parsed, contracts.Dated):
        return parsed.tradovate == lane.contract.name
    return parsed.root.symbol == lane.contract.name[:-2]


def _terms(recorder: Recorder, account_id: AccountId, foreign: int, now: datetime) -> Terms:
    route = _route(recorder, account_id)
    reading = Reading("person", Verb.BUY if foreign > 0 else Verb.SELL)
    signal = signal_for(recorder, route, reading, SignalId("-"), now, now) if route is not None else None
    if signal is None or isinstance(signal, Blocked) or signal.terms is None:
        raise CannotAdopt(f"the rules of recorder {recorder.name} come to less than one contract on this account")
    return signal.terms
