"""One strategy, told in many formats to one recorder: the trades are the same, whoever's words were used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.stage import Recorder, Stage, fresh, stage

Body = Mapping[str, Any] | str
OWN = frozenset(("id", "signal_id", "broker_order_id", "opened_at", "closed_at"))
"""What every trade has of its own: who it is and when it was."""


@dataclass(frozen=True)
class Step:
    """One order of the strategy: the market's price, the order, and where the strategy is afterwards and was."""

    price: str
    action: str
    contracts: int
    after: int
    before: int


ENTRY_ADD_EXIT = (
    Step("25000", "buy", 1, 1, 0),
    Step("24998", "buy", 1, 2, 1),
    Step("25001.25", "sell", 2, 0, 2),
)
REVERSAL = (
    Step("25000", "buy", 1, 1, 0),
    Step("25002", "sell", 2, -1, 1),
    Step("25001.5", "buy", 1, 0, -1),
)


def side(signed: int) -> str:
    return "flat" if signed == 0 else "long" if signed > 0 else "short"


def just_trades(step: Step) -> Body:
    return {
        "action": step.action,
        "ticker": "MNQ1!",
        "price": step.price,
        "quantity": str(step.contracts),
        "market_position": side(step.after),
    }


def traderspost(step: Step) -> Body:
    return {
        "ticker": "MNQ1!",
        "action": step.action,
        "sentiment": side(step.after),
        "quantity": str(step.contracts),
        "price": step.price,
        "interval": "5",
    }


def pickmytrade(step: Step) -> Body:
    return {
        "symbol": "MNQ1!",
        "data": step.action if step.after else "close",
        "quantity": step.contracts,
        "risk_percentage": 0,
        "price": step.price,
        "tp": 0,
        "sl": 0,
        "reverse_order_close": True,
        "pyramid": True,
        "account_id": "any",
    }


def crosstrade(step: Step) -> Body:
    if step.after == 0:
        return "command=CLOSEPOSITION; account=sim101; instrument=MNQ1!;"
    command = "REVERSEPOSITION" if step.after * step.before < 0 else "PLACE"
    return f"command={command}; instrument=MNQ1!; action={step.action}; qty=1; order_type=MARKET; tif=DAY;"


def three_commas(step: Step) -> Body:
    return {
        "tv_exchange": "CME_MINI",
        "tv_instrument": "MNQ1!",
        "trigger_price": step.price,
        "action": step.action,
        "bot_uuid": "any",
        "strategy_info": {"market_position": side(step.after), "prev_market_position": side(step.before)},
        "order": {"amount": str(step.contracts), "currency_type": "base"},
    }


def algoway(step: Step) -> Body:
    return {"ticker": "MNQ1!", "order_action": side(step.after), "order_contracts": str(step.contracts)}


def terse(step: Step) -> Body:
    return f"{step.action} 1 MNQ1!" if step.after else "flat MNQ1!"


FORMATS: tuple[Callable[[Step], Body], ...] = (
    just_trades,
    traderspost,
    pickmytrade,
    crosstrade,
    three_commas,
    algoway,
    terse,
)


async def test_one_strategy_in_seven_formats_takes_identical_trades(tmp_path: Path) -> None:
    async with stage(tmp_path) as play:
        recorder = await play.recorder(
            symbol=None,
            targets=[{"distance": "400", "unit": "ticks", "percent": 100}],
            stop={"distance": "400", "unit": "ticks"},
        )
        taken: dict[str, list[dict[str, Any]]] = {}
        for written in FORMATS:
            for step in (*ENTRY_ADD_EXIT, *REVERSAL):
                signal = await sent(play, recorder, written(step), step)
                assert (signal["dialect"], signal["outcome"]) == (written.__name__, "filled"), signal
            taken[written.__name__] = await trades_of(play, 3 * (len(taken) + 1))
        first = taken["just_trades"]
        assert [(t["side"], t["quantity"], t["pnl"], t["exit_reason"]) for t in first] == [
            ("LONG", 2, "9", "close"),
            ("LONG", 1, "4", "reverse"),
            ("SHORT", 1, "1", "close"),
        ]
        assert {name: rows == first for name, rows in taken.items()} == dict.fromkeys(taken, True)
        await play.books_match()


async def sent(play: Stage, recorder: Recorder, body: Body, step: Step) -> dict[str, Any]:
    """The outcome of one step, once whatever it leaves open is protected."""
    await play.price(step.price)
    mark = fresh()
    marked = f"{body} id={mark};" if isinstance(body, str) else {**body, "id": mark}
    found = await play.outcome(await recorder.alert(marked))
    if step.after:
        await play.position(side=side(step.after).upper(), quantity=abs(step.after), protected=True)
    return found


async def trades_of(play: Stage, count: int) -> list[dict[str, Any]]:
    """The newest three, oldest first, without what is theirs alone."""
    rows = (await play.closed_trades(count))[:3]
    return [{name: value for name, value in row.items() if name not in OWN} for row in reversed(rows)]


async def test_each_format_keeps_its_own_semantics_up_to_the_broker(tmp_path: Path) -> None:
    """Flatten first, net, only while flat, and one position at most: each seen in the broker's own position."""
    async with stage(tmp_path) as play:
        recorder = await play.recorder(quantity_from="alert", targets=[])
        place = "instrument=MNQ1!; action=BUY; order_type=MARKET;"
        for body, outcome, net in (
            (f"command=PLACE; {place} qty=2; require_market_position=flat;", "filled", 2),
            (f"command=PLACE; {place} qty=2; require_market_position=flat;", "no_action", 2),
            (f"command=FLATPLACE; {place} qty=3;", "filled", 3),
            (tickerly("sell", 2), "filled", 1),
            (tickerly("sell", 3), "filled", -2),
            (f"command=REVERSEPOSITION; {place} qty=1;", "filled", 1),
            ({"symbol": "ES1!", "data": "close", "quantity": 1}, "filled", 0),
            (f"command=REVERSEPOSITION; {place} qty=1;", "no_action", 0),
        ):
            marked = f"{body} id={fresh()};" if isinstance(body, str) else {**body, "id": fresh()}
            signal = await play.outcome(await recorder.alert(marked))
            assert (signal["outcome"], await play.net()) == (outcome, net), (body, signal["reason"])
        assert await moves(play) == [2, 0, 3, 1, 0, -2, 0, 1, 0]
        await play.books_match()


def tickerly(action: str, contracts: int) -> dict[str, Any]:
    return {"ticker": "MNQ1!", "action": action, "prev_position": "long", "quantity": contracts, "pointer": "any"}


async def moves(play: Stage) -> list[int]:
    """What the broker held after each fill."""
    held, seen = 0, []
    for fill in await play.fills():
        held += int(fill["qty"]) * (1 if fill["action"] == "Buy" else -1)
        seen.append(held)
    return seen
