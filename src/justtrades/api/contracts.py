"""`/api/v1/contracts`: what each root means today, when it rolls, and what TradingView's `1!` most likely shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query

from justtrades.api.audited import AuditedRoute
from justtrades.api.lists import Cursor, Limit, cut
from justtrades.api.problems import Problem
from justtrades.api.schemas import DecimalText, Given, Page
from justtrades.api.security import PartsOf
from justtrades.positions import contracts
from justtrades.positions.contracts import ROOTS, RollRule, Root
from justtrades.positions.outlook import Outlook, outlook
from justtrades.positions.rolls import parse_rolls, rule_text
from justtrades.store import reads

router = APIRouter(tags=["contracts"], route_class=AuditedRoute)

USUAL = 100
"""All roots on one page."""


class ContractOut(Given):
    """One root. `contract` is what an entry from flat trades now, from `rolls_on` it is `next`; days of trade dates.

    `tradingview` is what the chart's `1!` most likely shows; near a roll `tradingview_or` is the other candidate.
    `roll_days` is written as in JUSTTRADES_ROLL_DAYS. `held` are the contracts of it that are held now.
    """

    root: str
    name: str
    exchange: str
    trade_date: date
    contract: str
    tradingview: str
    tradingview_or: str | None = None
    rolls_on: date
    next: str
    days_to_roll: int
    roll_days: str
    roll_set_by: str
    first_notice: date | None = None
    expires_on: date
    settlement: str
    months: str
    listed_months: str
    tick_size: DecimalText
    tick_value: DecimalText
    point_value: DecimalText
    held: list[str]


Roots = Annotated[
    str | None, Query(pattern=r"^[ -~]{1,256}$", description="Only these: roots or symbols, with commas between.")
]


@router.get("/contracts")
async def list_contracts(
    parts: PartsOf, root: Roots = None, limit: Limit = USUAL, before: Cursor = None
) -> Page[ContractOut]:
    """By the calendar; the broker's own record is asked when an entry needs the contract."""
    today = contracts.trade_date(parts.clock())
    open_now = await parts.database.read(reads.list_positions)
    try:
        items = listed(today, parse_rolls(parts.settings.roll_days), root, [row["contract"] for row in open_now])
    except ValueError as error:
        raise Problem(422, f"root: {error}") from None
    return Page[ContractOut].model_validate(cut(items, lambda item: item.root, limit, before))


def listed(
    today: date, rolls: Mapping[str, RollRule], wanted: str | None = None, held: Iterable[str] = ()
) -> list[ContractOut]:
    """One item a root, in the table's order. ValueError when `wanted` names something that is not known here."""
    roots = ROOTS.values() if wanted is None else _wanted(wanted, today)
    names = sorted(set(held))
    return [_item(outlook(root, today, rolls), today, names) for root in roots]


def _wanted(text: str, today: date) -> list[Root]:
    symbols = [contracts.parse_symbol(part, today) for part in text.split(",") if part.strip()]
    if not symbols:
        raise ValueError("there is no root in it")
    return list(dict.fromkeys(symbol.root for symbol in symbols))


def _item(seen: Outlook, today: date, held: list[str]) -> ContractOut:
    root, shown = seen.root, [str(contract) for contract in seen.tradingview]
    facts: dict[str, Any] = {
        "root": root.symbol,
        "name": root.name,
        "exchange": root.exchange,
        "trade_date": today,
        "contract": seen.contract.tradovate,
        "tradingview": shown[0],
        "tradingview_or": shown[1] if len(shown) > 1 else None,
        "rolls_on": seen.rolls_on,
        "next": seen.following.tradovate,
        "days_to_roll": (seen.rolls_on - today).days,
        "roll_days": rule_text(seen.rule),
        "roll_set_by": "setting" if seen.set_by_operator else "default",
        "first_notice": seen.first_notice,
        "expires_on": seen.expires_on,
        "settlement": root.settlement,
        "months": seen.rule.months or root.months,
        "listed_months": root.listed_months,
        "tick_size": root.tick_size,
        "tick_value": root.tick_value,
        "point_value": root.point_value,
        "held": [name for name in held if name[:-2] == root.symbol],
    }
    return ContractOut.model_validate(facts)
