"""Figures: what was found, beside its goal, as one table per run."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


def p50(values: Sequence[float]) -> float:
    return statistics.median(values)


def p99(values: Sequence[float]) -> float:
    return sorted(values)[min(int(len(values) * 0.99), len(values) - 1)]


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `engine` and `floor` hold one value per round; the ratio is the median of the
    rounds' own ratios, since both sides of a round were measured within the same seconds."""

    name: str
    unit: str
    engine: Sequence[float]
    floor: Sequence[float]
    goal: float
    floor_name: str
    higher_is_better: bool = False
    engine_p99: float | None = None
    """Over all rounds; reported, not judged: it swings five-fold on shared machines."""
    floor_p99: float | None = None

    @property
    def ratio(self) -> float:
        return p50([a / b for a, b in zip(self.engine, self.floor, strict=True)])

    @property
    def met(self) -> bool:
        return self.ratio >= self.goal if self.higher_is_better else self.ratio <= self.goal

    @property
    def spread(self) -> str:
        """The smallest and largest ratio of a round: how far this run can be trusted."""
        ratios = [a / b for a, b in zip(self.engine, self.floor, strict=True)]
        return f"{min(ratios):.2f} – {max(ratios):.2f}"


HEADINGS = ("figure", "engine", "floor", "ratio", "goal", "", "rounds' ratios", "p99 engine / floor")


@dataclass(slots=True)
class Report:
    """One run. `remarks` stand below the table."""

    machine: str
    rounds: int
    figures: list[Figure] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    """What could not be measured, and why."""

    def text(self) -> str:
        """Markdown that is readable as it stands."""
        rows = [HEADINGS, *(_row(figure) for figure in self.figures)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
        lines = [_line(row, widths) for row in rows]
        lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        head = [f"Machine: {self.machine}.", f"Medians of {self.rounds} rounds, engine and floors in turn.", ""]
        return (
            "\n".join([*head, *lines, "", *(f"- {remark}" for remark in (*self.failed, *self.remarks))]).rstrip() + "\n"
        )


def _row(figure: Figure) -> tuple[str, ...]:
    sign = "≥" if figure.higher_is_better else "≤"
    p99s = "" if figure.engine_p99 is None else f"{figure.engine_p99:.1f} / {figure.floor_p99 or 0:.1f} {figure.unit}"
    return (
        figure.name,
        f"{p50(figure.engine):.2f} {figure.unit}",
        f"{p50(figure.floor):.2f} {figure.unit} ({figure.floor_name})",
        f"{figure.ratio:.2f}",
        f"{sign} {figure.goal:g}",
        "met" if figure.met else "MISSED",
        figure.spread,
        p99s,
    )


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
