"""A person at the same accounts: closes and cancels that no program of ours sent (protocol.md section 9.11)."""

from __future__ import annotations

from typing import Final

from justtrades.broker.simulator.floor import Floor
from justtrades.broker.simulator.listing import contract_by_id
from justtrades.broker.simulator.matching import MARKET
from justtrades.broker.simulator.rules import Leg, Refused, Ticket

MANUAL: Final = {"isAutomated": False}


async def close_all(floor: Floor) -> int:
    """Close every position at the market; orders go on working. How many were closed."""
    book, closed = floor.venue.book, 0
    for (account, contract_id), held in list(book.holdings.items()):
        contract = contract_by_id(contract_id)
        if held.net and contract is not None:
            leg = Leg("Sell" if held.net > 0 else "Buy", MARKET)
            ticket = Ticket(account, contract.name, abs(held.net), leg, stamp=MANUAL)
            closed += await _place(floor, ticket)
    return closed


async def _place(floor: Floor, ticket: Ticket) -> bool:
    try:
        outcome = await floor.act(lambda venue, now: venue.place(ticket, now))
    except Refused:  # a closed market or a locked account stops a person's hand too
        return False
    floor.tell(outcome.frames)
    return True


async def cancel_all(floor: Floor) -> int:
    """Cancel every live order. How many there were."""
    cancelled = 0
    for order_id in list(floor.venue.book.orders):
        if order_id in floor.venue.book.orders:  # a sibling or leg may have gone with another
            await _cancel(floor, order_id)
            cancelled += 1
    return cancelled


async def _cancel(floor: Floor, order_id: int) -> None:
    outcome = await floor.act(lambda venue, now: venue.cancel(order_id, now, stamp=MANUAL))
    floor.tell(outcome.frames)
