"""The story, scene by scene. A scene acts, waits for what must come of it, and says what it expects in sum.

Targets stand at least 40 ticks away, further than the market wanders by itself within a scene.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from justtrades.demo.client import Failed
from justtrades.demo.play import Market, Play, alert_body, now_text
from justtrades.demo.promises import Expected
from justtrades.demo.telling import price

_FORTY: Final = [{"distance": "40", "unit": "ticks"}]
RECORDERS: Final[tuple[dict[str, Any], ...]] = (
    {"name": "trend", "symbol": "MNQ1!", "exits_from": "alert", "quantity_from": "alert"},
    {"name": "scale-in", "symbol": "MES1!", "targets": _FORTY, "max_quantity": 3},
    {"name": "turn", "symbol": "MGC1!", "targets": _FORTY, "on_opposite": "reverse"},
    {"name": "oil", "symbol": "MCL1!", "exits_from": "alert", "quantity_from": "alert", "targets": _FORTY},
)
"""The strategies of the demo, as `POST /api/v1/recorders` takes them; the routes are added there."""
ORDER_LIMIT: Final = 5


@dataclass(frozen=True, slots=True)
class Scene:
    title: str
    why: str
    act: Callable[[Play], Awaitable[Expected]]


def _market(root: str) -> Market:
    return Market.of(root, datetime.now(UTC))


async def long_hits_target(play: Play) -> Expected:
    mnq = _market("MNQ")
    signal = await play.alert("trend", action="buy", ticker="MNQ1!", price="25000.25", quantity="2", tp_ticks="40")
    await play.ended(signal)
    target = await play.protected(mnq, 2)
    await play.pause(1.6)
    await play.glide(mnq, target)
    await play.flat(mnq)
    return Expected(("filled",), fills=2, exits=("target",), ticks=Decimal(80))


async def short_with_two_adds(play: Play) -> Expected:
    mes = _market("MES")
    await _sell_mes(play, Decimal("6800"))
    target = await play.protected(mes, 1)
    for quantity in (2, 3):
        await play.pause(0.9)
        higher = mes.away(await play.last_price(mes), 12)
        await play.glide(mes, higher)
        await _sell_mes(play, higher)
        target = await play.protected(mes, quantity)
    await play.tell_broker(mes)
    await play.pause()
    await play.glide(mes, target)
    await play.flat(mes)
    return Expected(("filled",) * 3, fills=4, exits=("target",), ticks=Decimal(120))


async def _sell_mes(play: Play, at: Decimal) -> None:
    signal = await play.alert(
        "scale-in", ticker="MES1!", action="sell", sentiment="bearish", quantity="1", price=f"{at:.2f}"
    )
    await play.ended(signal)


async def reversal(play: Play) -> Expected:
    mgc = _market("MGC")
    await play.open_market(mgc, "4100.0")
    await play.ended(await play.alert("turn", action="buy", ticker="MGC1!"))
    await play.protected(mgc, 1)
    await play.pause()
    await play.glide(mgc, mgc.away(await play.last_price(mgc), 15))
    await play.ended(await play.alert("turn", action="sell", ticker="MGC1!"))
    target = await play.protected(mgc, 1)
    await play.pause()
    await play.glide(mgc, target)
    await play.flat(mgc, trades=2)
    return Expected(("filled", "filled"), fills=4, exits=("reverse", "target"))


async def refused(play: Play) -> Expected:
    account = play.account["name"]
    await play.client.limit_account(account, max_order_qty=ORDER_LIMIT, late_risk=True)
    play.tell("broker", f"account {account} may order at most {ORDER_LIMIT} contracts at once")
    try:
        signal = await play.alert(
            "trend", action="buy", ticker="MNQ1!", price="25010.25", quantity=str(2 * ORDER_LIMIT), tp_ticks="40"
        )
        await play.ended(signal)
    finally:
        await play.client.limit_account(account, max_order_qty=None, late_risk=False)
    trades = sum(row["signal_id"] == signal for row in play.facts.trades.values())
    play.tell("books", f"{trades} trades recorded for this signal")
    return Expected(("rejected",), fills=0)


async def sent_twice(play: Play) -> Expected:
    mcl = _market("MCL")
    exits = {"takeProfit": {"amount": "0.40"}}
    body = alert_body(
        ticker="MCL1!", action="buy", sentiment="bullish", quantity="1", signalPrice="65.10", **exits, time=now_text()
    )
    first, second = await asyncio.gather(play.send("oil", body), play.send("oil", body, "the same bytes again"))
    if first.signal_id != second.signal_id or {first.code, second.code} != {202, 200}:
        raise Failed("the second of two equal alerts was not answered as a duplicate of the first")
    play.tell("books", "both answers name the same signal")
    await play.ended(first.signal_id)
    await play.protected(mcl, 1)
    await play.pause()
    await play.glide(mcl, mcl.away(await play.last_price(mcl), 12))
    await play.ended(await play.alert("oil", ticker="MCL1!", action="exit", sentiment="flat"))
    await play.flat(mcl)
    return Expected(("filled", "filled"), fills=2, exits=("close",))


async def close_meets_target(play: Play) -> Expected:
    mcl = _market("MCL")
    opened = await play.alert("oil", action="buy", ticker="MCL1!", price="65.20", quantity="2", tp_ticks="40")
    await play.ended(opened)
    target = await play.protected(mcl, 2)
    await play.pause()
    play.tell("market", f"{mcl.contract} jumps to {price(target, mcl.contract)}; at the same instant:")
    _, close = await asyncio.gather(
        play.client.set_price(mcl.contract, target), play.alert("oil", action="close", ticker="MCL1!")
    )
    await play.ended(close)
    await play.flat(mcl)
    play.tell("books", _who_was_first(play, close))
    await play.tell_broker(mcl)
    return Expected(("filled", "no_action|filled"), fills=2, exits=("target|close",))


def _who_was_first(play: Play, close: str) -> str:
    """By what was sold, and by whose order."""
    orders = [row for row in play.facts.orders.values() if row["signal_id"] in play.signal_ids]
    sold = {
        row["purpose"]: row["filled_quantity"] for row in orders if row["filled_quantity"] and row["action"] == "Sell"
    }
    sent = sum(row["signal_id"] == close for row in orders)
    who = " and ".join(f"{count} by the {purpose}" for purpose, count in sold.items())
    return f"sold {who}; the close alert sent {sent} order{'' if sent == 1 else 's'}"


async def close_when_flat(play: Play) -> Expected:
    await play.ended(await play.alert("trend", action="close", ticker="MNQ1!"))
    await play.tell_broker(_market("MNQ"))
    return Expected(("no_action",), fills=0)


SCENES: Final = (
    Scene(
        "A long that hits its target",
        "Just-Trades JSON. Buy 2, take 40 ticks: the target rests at the broker.",
        long_hits_target,
    ),
    Scene(
        "A short with two adds",
        "TradersPost JSON. Each add moves the one target to the new average.",
        short_with_two_adds,
    ),
    Scene("A reversal", "Plain action and ticker. Long, then a sell alert: first closed, then short.", reversal),
    Scene(
        "An order the broker refuses",
        "The broker gives it an order id, then refuses it. That is no trade.",
        refused,
    ),
    Scene("The same alert sent twice", "The same bytes at once, as a retry would bring them: one order.", sent_twice),
    Scene(
        "A close alert as the target fills",
        "Whoever comes first, the position is closed once and never flips.",
        close_meets_target,
    ),
    Scene("A close when already flat", "The engine asks the broker, and then does nothing.", close_when_flat),
)
