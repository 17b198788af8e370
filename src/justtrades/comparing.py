"""Books beside broker for a person who wants to see before anything is mended: read only, nothing is merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from justtrades.broker.port import BrokerError, LanePicture, Picture
from justtrades.login import Login, lane_in
from justtrades.positions import book
from justtrades.positions.differences import differences
from justtrades.positions.model import AccountId, ContractName, Lane
from justtrades.positions.urgency import Urgency
from justtrades.store.accounts import AccountRow

LaneKey = tuple[AccountId, ContractName]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One account and contract: signed contracts in the books, those not ours, and what the broker shows (None: it
    could not be read). `differences` has a sentence for each thing that is not the same."""

    account_id: AccountId
    contract: ContractName
    quantity: int
    foreign_quantity: int
    broker_quantity: int | None
    differences: tuple[str, ...]


async def compared(
    login: Login | None, lanes: Mapping[LaneKey, Lane], accounts: Iterable[AccountRow]
) -> list[Comparison]:
    """Every lane of a login, and whatever else its accounts hold."""
    if login is None:
        return [_unread(key, lane, "the connection is not running") for key, lane in lanes.items()]
    try:
        picture = await login.broker.picture(Urgency.SHOW)
    except BrokerError as error:
        return [_unread(key, lane, f"the broker could not be read: {error}") for key, lane in lanes.items()]
    rows = {row.id: row for row in accounts}
    known = [_beside(key, lane, picture, rows[key[0]]) for key, lane in lanes.items()]
    return known + _elsewhere(picture, lanes, rows.values())


def _unread(key: LaneKey, lane: Lane, why: str) -> Comparison:
    standing = book.standing(lane)
    return Comparison(*key, standing.held, standing.foreign, None, (why,))


def _beside(key: LaneKey, lane: Lane, picture: Picture, account: AccountRow) -> Comparison:
    try:
        seen = lane_in(picture, account.broker_account_id, key[1])
    except BrokerError as error:
        return _unread(key, lane, str(error))
    standing = book.standing(lane)
    told = differences(lane, seen.orders, seen.fills, seen.quantity)
    return Comparison(*key, standing.held, standing.foreign, seen.quantity, told)


def _elsewhere(picture: Picture, lanes: Mapping[LaneKey, Lane], accounts: Iterable[AccountRow]) -> list[Comparison]:
    """What the broker holds where nothing of ours was ever traded."""
    names = {row.broker_account_id: row.id for row in accounts}
    return [
        Comparison(names[seen.account], seen.contract, 0, seen.quantity, seen.quantity, _strange(seen))
        for seen in picture.lanes
        if seen.account in names and (names[seen.account], seen.contract) not in lanes and _holds(seen)
    ]


def _holds(seen: LanePicture) -> bool:
    return bool(seen.quantity) or any(not order.status.ended for order in seen.orders)


def _strange(seen: LanePicture) -> tuple[str, ...]:
    working = sum(not order.status.ended for order in seen.orders)
    orders = f" and {working} working {'order' if working == 1 else 'orders'}" if working else ""
    return (f"{seen.quantity:+d} contracts{orders} at the broker; nothing of ours was ever traded here",)
