"""Which contract a signal means on one account: the position picks, and only an entry from flat asks a calendar.

A continuous symbol (`MNQ1!`) stays in the contract its recorder holds, across a roll too. Where another recorder
still holds the month before, the account has not rolled yet: the signal goes there, and is told whose lane it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from justtrades.positions import contracts
from justtrades.positions.contracts import Continuous, Dated, RollRule, Root
from justtrades.positions.model import ContractName, Lane, RecorderId
from justtrades.positions.recorder import Blocked
from justtrades.positions.rolls import NO_ROLLS


def choose(
    text: str | None,
    today: date,
    lanes: Iterable[Lane],
    recorder_id: RecorderId,
    rolls: Mapping[str, RollRule] = NO_ROLLS,
) -> ContractName | Blocked:
    """The broker's name of the contract `text` means on `today`, a trade date. `lanes` are all of one account;
    `rolls` are an operator's own rules by root."""
    if not text:
        return Blocked("neither the recorder nor the alert names a symbol")
    try:
        symbol = contracts.parse_symbol(text, today)
    except contracts.UnknownSymbol as error:
        return Blocked(str(error))
    if isinstance(symbol, Dated):
        return ContractName(symbol.tradovate)
    front = contracts.resolve(symbol, today, rolls)
    held = _held(symbol, front, today, [lane for lane in lanes if _busy(lane, symbol)], recorder_id)
    return ContractName((held or front).tradovate)


def reason(text: str | None, contract: ContractName, today: date, rolls: Mapping[str, RollRule] = NO_ROLLS) -> str:
    """Why `choose` answered so, in words for the receipt; with a warning past the day of first notice."""
    symbol = contracts.parse_symbol(text or contract, today)
    front = contracts.resolve(symbol, today, rolls)
    chosen = front if contract == front.tradovate else _named(contract, symbol.root, today)
    if isinstance(symbol, Dated):
        why = f"the symbol names {contract}"
    elif chosen != front:
        why = f"{symbol} stays in {contract}, which is held or on its way; the front month is {front.tradovate}"
    else:
        rolls_on = contracts.roll_date(symbol.root, front.month, front.year, rolls.get(symbol.root.symbol))
        why = f"{symbol} is {contract} until it rolls on {rolls_on.isoformat()}"
    notice = contracts.first_notice(symbol.root, chosen.month, chosen.year)
    if notice is None or notice > today:
        return why
    return f"{why}; warning: its first notice day was {notice.isoformat()}, and who holds it may have to take delivery"


def _held(symbol: Continuous, front: Dated, today: date, busy: list[Lane], recorder_id: RecorderId) -> Dated | None:
    own = [lane for lane in busy if recorder_id in _recorders(lane)]
    if own:
        return _dated(min(own, key=lambda lane: lane.trade is None), symbol, today)
    if symbol.nth != 1:
        return None  # who asks for a later month is not held back by a position in the first
    others = [_dated(lane, symbol, today) for lane in busy]
    return next((held for held in others if _order(held) < _order(front)), None)


def _busy(lane: Lane, symbol: Continuous) -> bool:
    """Something of ours is held or waits in a contract of this root."""
    same_root = lane.contract.name[:-2] == symbol.root.symbol
    return same_root and (lane.trade is not None or bool(lane.jobs))


def _recorders(lane: Lane) -> set[RecorderId | None]:
    owner = {lane.trade.recorder_id} if lane.trade is not None else set()
    return owner | {job.signal.recorder_id for job in lane.jobs}


def _dated(lane: Lane, symbol: Continuous, today: date) -> Dated:
    """A Tradovate name is its root, a month letter and one digit of the year."""
    return _named(lane.contract.name, symbol.root, today)


def _named(name: ContractName, root: Root, today: date) -> Dated:
    return Dated(root, name[-2], contracts.year_of_digit(int(name[-1]), today))


def _order(contract: Dated) -> tuple[int, int]:
    return contract.year, contract.month_number
