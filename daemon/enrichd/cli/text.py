"""Plain aligned text and JSON on stdout: the two forms in which commands answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from enrichd.query.answers import SymbolView
    from enrichd.query.completeness import Completeness

_COLOURS = {"complete": "green", "partial": "yellow", "stale": "yellow", "unknown": "red"}


def print_json(document: object) -> None:
    """One document, indented, with a line feed at its end."""
    import msgspec  # noqa: PLC0415

    click.echo(msgspec.json.format(msgspec.json.encode(document, enc_hook=str), indent=2))


def table(rows: Iterable[Sequence[str]], indent: str = "  ") -> str:
    """Columns as wide as their widest cell; the last one runs free."""
    cells = [[_on_one_line(cell) for cell in row] for row in rows]
    if not cells:
        return ""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join((indent + "  ".join(map(str.ljust, row, widths))).rstrip() for row in cells)


def _on_one_line(cell: str) -> str:
    """Names of files may hold anything; here nothing may steer the terminal."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in cell)


def symbol_rows(symbols: Iterable[SymbolView], *, with_uid: bool = False) -> list[list[str]]:
    """Kind, qualified name, place and, where wanted, uid."""
    return [
        [symbol.kind, symbol.qualified_name, symbol.place, *([symbol.uid] if with_uid else [])]
        for symbol in symbols
    ]


def headline(count: int, noun: str, whole: Completeness, now: float) -> str:
    """``0 callers (complete; ty 0.0.104, 12 s ago)``, and every further reason on its own line."""
    from enrichd.query.answers import counted  # noqa: PLC0415

    colour = _COLOURS[whole.level]
    lines = [f"{counted(count, noun)} ({click.style(whole.text(now), fg=colour)})"]
    lines += [f"  also: {reason}" for reason in whole.reasons[1:]]
    return "\n".join(lines)


def parsed(counts: dict[str, int]) -> str:
    """``ok 81, partial 2``, and beside them what is in languages that are known by name only."""
    others = counts.get("unsupported", 0)
    own = by_kind({kind: number for kind, number in counts.items() if kind != "unsupported"})
    return (own or "none") + (f"; {others:,} unsupported" if others else "")


def by_kind(counts: dict[str, int]) -> str:
    """``calls 895, imports 12``; what is 0 is left out."""
    return ", ".join(f"{kind} {number:,}" for kind, number in counts.items() if number)
