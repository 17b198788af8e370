"""What a fill cost: Tradovate's FillFee, one to one with its fill and under the same id.

Fields: protocol.md appendix A (official), each amount with the id of its currency. We add up dollars only; what
an amount in another currency is worth we cannot know, so such a fee stays unknown.
"""

from __future__ import annotations

from decimal import Decimal

from justtrades.broker.tradovate import wire
from justtrades.broker.tradovate.wire import Row

USD = 1
"""protocol.md section 6 (client code)."""
PARTS = ("clearing", "exchange", "nfa", "brokerage", "ip", "orderRouting")
MOST_DIGITS = 20
"""An amount of more places than this, before or after the point, is no fee."""
AMOUNTS = {f"{part}Fee": f"{part}CurrencyId" for part in PARTS} | {"commission": "commissionCurrencyId"}


def total(row: Row) -> Decimal | None:
    """USD; None while no amount is told, or when one is in another currency or no amount of money."""
    told = {name: amount for name in AMOUNTS if (amount := wire.price(row, name)) is not None}
    if not told or any(_unknown(row, name, amount) for name, amount in told.items()):
        return None
    return sum(told.values(), Decimal(0))


def _unknown(row: Row, name: str, amount: Decimal) -> bool:
    if not amount:
        return False
    return abs(amount.adjusted()) > MOST_DIGITS or wire.number(row, AMOUNTS[name]) not in (None, USD)
