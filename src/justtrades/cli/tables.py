"""Tables that fit: what is copied or added up is shown whole, and what does not fit is shortened in a known order.

    everything ▸ short times and ids ▸ a narrow gap ▸ without the lesser columns, one after the other

Sentences take what room is left and are cut with an ellipsis. Numbers, prices and words are never broken: half of
a price reads as another price.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.table import Table
from rich.text import Text

Item = Mapping[str, Any]
Show = Callable[[Any], str]

_NUMBERS: Final = frozenset(
    {"quantity", "filled_quantity", "broker_quantity", "average_price", "price", "entry_price", "exit_price", "pnl"}
    | {"pnl_ticks", "duration_ms"}
)
_SENTENCES: Final = frozenset({"reason", "halt_reason", "text", "why", "endpoint", "name"})
_HEADS: Final = {
    "account_id": "account",
    "average_price": "average",
    "broker_account_id": "account",
    "broker_quantity": "at broker",
    "checked_at": "checked",
    "connection_id": "connection",
    "duration_ms": "ms",
    "entry_price": "entry",
    "exit_price": "exit",
    "filled_quantity": "filled",
    "last_event_at": "last event",
    "quantity": "qty",
    "received_at": "received",
    "signal_id": "signal",
    "updated_at": "updated",
}
_LEAST_SENTENCE: Final = 12
_LONG_ID: Final = 12
_MOMENT: Final = re.compile(r"(\d{4})-(\d\d-\d\d)[T ](\d\d:\d\d):(\d\d)(?:\.\d+)?Z?")


@dataclass(frozen=True, slots=True)
class Layout:
    """One way to draw: which columns, whether times and ids are short, the blanks between columns."""

    names: tuple[str, ...]
    short: bool = False
    gap: int = 2


def fitted(items: Sequence[Item], columns: Sequence[str], lesser: Sequence[str], width: int, show: Show) -> Table:
    """The fullest table of these columns that `width` has room for; `lesser` columns may go, the first one first."""
    layouts = tuple(_layouts(tuple(columns), lesser))
    layout = next((one for one in layouts if _least(items, one, show) <= width), layouts[-1])
    cells = _cells(items, layout, show)
    made = Table(box=None, header_style="bold", pad_edge=False, collapse_padding=layout.gap == 1)
    for name, room in _widths(cells, layout, width).items():
        made.add_column(
            head(name),
            justify="right" if name in _NUMBERS else "left",
            no_wrap=True,
            overflow="ellipsis" if name in _SENTENCES else "crop",
            width=room,
        )
    for row in zip(*cells.values(), strict=True):
        made.add_row(*(Text(cell) for cell in row))
    return made


def head(name: str) -> str:
    return _HEADS.get(name, name.replace("_", " "))


# ── leaves ───────────────────────────────────────────────────────────────────────────────────────────────────


def _layouts(columns: tuple[str, ...], lesser: Sequence[str]) -> Iterator[Layout]:
    yield Layout(columns)
    yield Layout(columns, short=True)
    yield Layout(columns, short=True, gap=1)
    for count in range(1, len(lesser) + 1):
        names = tuple(name for name in columns if name not in lesser[:count])
        yield Layout(names, short=True)
        yield Layout(names, short=True, gap=1)


def _cells(items: Sequence[Item], layout: Layout, show: Show) -> dict[str, list[str]]:
    found = {name: [show(item.get(name)) for item in items] for name in layout.names}
    return {name: _shortened(name, cells) for name, cells in found.items()} if layout.short else found


def _shortened(name: str, cells: list[str]) -> list[str]:
    if name == "id" or name.endswith("_id"):
        return [cell[-8:] if len(cell) > _LONG_ID else cell for cell in cells]
    moments = [found for cell in cells if (found := _MOMENT.fullmatch(cell))]
    one_day = len({found[1] + found[2] for found in moments}) == 1
    return [_MOMENT.sub(r"\3:\4" if one_day else r"\2 \3", cell) for cell in cells]


def _natural(name: str, cells: Sequence[str]) -> int:
    return max(map(len, (head(name), *cells)))


def _least(items: Sequence[Item], layout: Layout, show: Show) -> int:
    """Columns needed at least: sentences may be cut, nothing else."""
    cells = _cells(items, layout, show)
    naturals = {name: _natural(name, values) for name, values in cells.items()}
    needed = (min(room, _LEAST_SENTENCE) if name in _SENTENCES else room for name, room in naturals.items())
    return sum(needed) + layout.gap * (len(naturals) - 1)


def _widths(cells: Mapping[str, Sequence[str]], layout: Layout, width: int) -> dict[str, int]:
    """Each column as wide as it likes; sentences share what is left, the shortest served first."""
    rooms = {name: _natural(name, values) for name, values in cells.items()}
    sentences = sorted((name for name in rooms if name in _SENTENCES), key=lambda name: rooms[name])
    left = width - layout.gap * (len(rooms) - 1) - sum(rooms[name] for name in rooms if name not in _SENTENCES)
    for place, name in enumerate(sentences):
        rooms[name] = max(1, min(rooms[name], left // (len(sentences) - place)))
        left -= rooms[name]
    return rooms
