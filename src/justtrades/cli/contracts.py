"""What each root means today. A calendar answers, so it works without an engine and before the first start too."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from justtrades import settings
from justtrades.cli import show
from justtrades.cli.common import Json, reach
from justtrades.cli.errors import Failed
from justtrades.cli.reach import NothingYet

_COLUMNS = ("root", "contract", "tradingview_1!", "rolls_on", "next", "first_notice", "expires_on", "roll_days", "held")
_LEGEND = """\
contract: what an entry from flat trades now; a position stays in the contract it is held in.
roll days: before first notice, else expiry; b: business days; *: set by JUSTTRADES_ROLL_DAYS.
tradingview 1!: what the chart most likely shows; near a roll it may be either of two."""


def contracts(
    roots: Annotated[list[str] | None, typer.Argument(help="Only these, such as MNQ or GC1!.")] = None,
    json_: Json = False,
) -> None:
    """What each root resolves to today, when it rolls, and what TradingView's 1! most likely means."""
    page = _page(",".join(roots) if roots else None)
    if json_:
        show.as_json(page)
        return
    items = [_row(item) for item in page["items"]]
    held = any(item["held"] for item in items)
    show.page({"items": items}, _COLUMNS if held else _COLUMNS[:-1], json_=False, lesser=("first_notice", "held"))
    print(f"\ntrade date {page['items'][0]['trade_date']}\n{_LEGEND}")


def _page(wanted: str | None) -> Any:
    try:
        return reach().read("/contracts", {"root": wanted})
    except NothingYet:
        from justtrades.api.contracts import listed
        from justtrades.positions.contracts import trade_date
        from justtrades.positions.rolls import parse_rolls

        try:
            items = listed(trade_date(datetime.now(UTC)), parse_rolls(settings.load().roll_days), wanted)
        except ValueError as error:
            raise Failed(f"root: {error}") from None
        return {"items": [item.model_dump(mode="json") for item in items], "next": None}


def _row(item: dict[str, Any]) -> dict[str, Any]:
    """A table's cells: both candidates of TradingView in one, dates in the short form people know."""
    charted = " or ".join(filter(None, (item["tradingview"], item["tradingview_or"])))
    own = "*" if item["roll_set_by"] == "setting" else ""
    return {
        **item,
        "tradingview_1!": charted,
        "roll_days": item["roll_days"] + own,
        "held": ", ".join(item["held"]) or None,
    }
