"""What of a lane's news a person should hear: one sentence each, without secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal

from sqlalchemy import Connection

from justtrades.notices import Kind, Notice, kind_of
from justtrades.positions import exits
from justtrades.positions.model import Lane, LetGo, News, Noted, SignalDone, TradeClosed


def keeping(
    keep: Callable[[Connection, Iterable[Notice]], None],
) -> Callable[[Connection, Lane, tuple[News, ...]], None]:
    """Keeps what people should hear of a lane's news, as `Desk.keep_news` tells it: with the step that made them."""

    def kept(connection: Connection, lane: Lane, news: tuple[News, ...]) -> None:
        keep(connection, [notice for told in news for notice in announced(lane, told)])

    return kept


def announced(lane: Lane, told: News) -> Iterator[Notice]:
    """None for what is ordinary: nothing to do, overtaken, orders that leave the lane."""
    match told:
        case SignalDone(signal_id, outcome, reason, _, gap):
            if gap is not None:
                yield Notice(Kind.ALARM, f"{lane.contract.name}: an alert is missing", f"{gap} (signal {signal_id})")
            kind = kind_of(outcome)
            if kind is not None:
                title = f"{lane.contract.name} {outcome.value.replace('_', ' ')}"
                yield Notice(kind, title, f"{reason} (account {lane.account_id}, signal {signal_id})")
        case TradeClosed():
            yield _closed(lane, told)
        case Noted(_, text, alarm):
            if alarm:
                yield Notice(_alarm(lane), f"{lane.contract.name} on {lane.account_id}", text)
        case LetGo():
            return


def _alarm(lane: Lane) -> Kind:
    if (lane.halted or exits.entries_stopped(lane)) is not None:
        return Kind.HALT
    return Kind.UNPROTECTED if lane.unprotected_since is not None else Kind.ALARM


def _closed(lane: Lane, told: TradeClosed) -> Notice:
    title = f"{lane.contract.name} closed: {money(told.pnl)}"
    way = f"{told.trade.side.value.lower()} {told.entry_quantity} from {told.entry_price:f}"
    out = "" if told.exit_price is None else f" to {told.exit_price:f}"
    return Notice(Kind.FILL, title, f"{way}{out}, {told.exit_reason} (account {lane.account_id})")


def money(amount: Decimal) -> str:
    """Dollars with their sign."""
    return f"{amount:+.2f} USD"
