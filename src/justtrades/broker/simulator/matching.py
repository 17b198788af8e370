"""At which price does an order trade now? Pure decisions over one order and the last price.

A market order trades at the last price. An arriving limit trades at the last price if that is as good as its
own; a resting one trades at its own price when the market comes to it. A stop becomes a market order at its
stop price, a stop limit a limit order, an MIT a market order when the price comes to it from the other side.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from justtrades.broker.simulator.book import Live

MARKET, LIMIT, STOP, STOP_LIMIT, MIT = "Market", "Limit", "Stop", "StopLimit", "MIT"
KINDS: Final = (MARKET, LIMIT, STOP, STOP_LIMIT, MIT)
NEEDS_PRICE: Final = (LIMIT, STOP_LIMIT)
NEEDS_STOP: Final = (STOP, STOP_LIMIT, MIT)


def triggers(live: Live, last: Decimal) -> bool:
    """The order's stop price is reached (true from then on)."""
    if live.triggered or live.kind not in NEEDS_STOP:
        return live.triggered
    stop = live.price("stopPrice")
    rises = live.buys != (live.kind == MIT)
    return last >= stop if rises else last <= stop


def trade_price(live: Live, last: Decimal, *, arriving: bool) -> Decimal | None:
    """The price at which it trades now, None if it does not."""
    if live.kind in NEEDS_STOP and not live.triggered:
        return None
    if live.kind not in NEEDS_PRICE:
        return last
    limit = live.price("price")
    if (last > limit) if live.buys else (last < limit):
        return None
    return last if arriving else limit


def portions(qty: int, lot: int | None) -> list[int]:
    """`qty` cut into fills of at most `lot` contracts."""
    if lot is None or qty <= lot:
        return [qty]
    whole, rest = divmod(qty, lot)
    return [lot] * whole + ([rest] if rest else [])
