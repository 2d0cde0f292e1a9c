"""The figures as a table: on the screen, and kept in RESULTS.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.figures import Figure, Verdict

RESULTS = Path(__file__).with_name("RESULTS.md")
_HEAD = ("bench", "what", "value", "budget", "", "note")


def table(figures: Sequence[Figure]) -> str:
    """For a terminal."""
    rows = [_HEAD, *map(_row, figures)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_HEAD) - 1)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if place == 2 else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row[:-1], widths, strict=True))
        ]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    return "\n".join([*lines, "", closing(figures)])


def closing(figures: Sequence[Figure]) -> str:
    """How many budgets there are, and how many are kept."""
    counts = {
        verdict: sum(each.verdict is verdict for each in figures)
        for verdict in (Verdict.OK, Verdict.OVER, Verdict.NOT_RUN)
    }
    return ", ".join(f"{number} {verdict}" for verdict, number in counts.items())


def markdown(figures: Sequence[Figure], machine: Mapping[str, str], took_s: float) -> str:
    """The page that is kept."""
    lines = [
        "# What was measured",
        "",
        "Written by `python -m bench --write`. A value with x is a ratio of two things that were",
        "run in turn in one go, the median of their pairs; the note gives the absolute figures.",
        "",
        *(f"- {what}: {value}" for what, value in machine.items()),
        f"- took: {took_s / 60:.1f} minutes",
        f"- budgets: {closing(figures)}",
        "",
        _line(_HEAD),
        "|---|---|---|---|---|---|",
        *(_line(_row(each)) for each in figures),
    ]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _row(figure: Figure) -> tuple[str, ...]:
    value = "" if figure.value is None else f"{_number(figure.value)} {figure.unit}"
    return figure.bench, figure.what, value, figure.limit, str(figure.verdict), figure.note


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"
