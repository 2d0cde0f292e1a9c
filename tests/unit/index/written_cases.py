"""Cases written as Markdown: a source text, and beside it everything that it should give.

A case is a heading, a fenced block ``python path=… [bom] [crlf] [cr]`` and a fenced block
``expect``. The expectation has one line for each symbol, each with its sites below it. Lines and
columns count from 1, columns in bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from enrichd_tracker.model import FoundSymbol, ParsedFile, Role, Site

_CASE = re.compile(
    r"^## (?P<title>.+?)\n(?P<prose>.*?)"
    r"^```(?P<language>\w+) path=(?P<path>\S+)(?P<options>.*?)\n(?P<source>.*?)^```\n"
    r"\s*^```expect\n(?P<expected>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_ENDS = {"crlf": b"\r\n", "cr": b"\r"}


@dataclass(frozen=True)
class Case:
    """One source text and what it should give."""

    title: str
    language: str
    path: str
    source: bytes
    expected: str


def read_cases(file: Path) -> list[Case]:
    """The cases of one Markdown file; every heading must be one."""
    text = file.read_text("utf-8")
    cases = []
    for match in _CASE.finditer(text):
        source = match["source"].encode()
        for option in match["options"].split():
            if option == "bom":
                source = b"\xef\xbb\xbf" + source
            else:
                source = source.replace(b"\n", _ENDS[option])
        cases.append(
            Case(match["title"], match["language"], match["path"], source, match["expected"])
        )
    assert len(cases) == len(re.findall(r"^## ", text, re.MULTILINE)), f"{file}: a broken case"
    return cases


def written(parsed: ParsedFile) -> str:
    """All that a file gave, as a case writes it."""
    lines = []
    for symbol in parsed.symbols:
        lines.append(_symbol_line(symbol))
        lines += [f"  {_site_line(site)}" for site in symbol.sites]
    if parsed.aliases:
        lines.append("aliases: " + ", ".join(f"{old} as {new}" for old, new in parsed.aliases))
    if parsed.canary is not None:
        canary = parsed.canary
        asked = _place(canary.line, canary.column)
        known = _place(canary.target_line, canary.target_column)
        lines.append(f"canary: {asked} is {known}")
    if parsed.error_count:
        where = ", ".join(map(str, parsed.error_lines))
        lines.append(f"errors: {parsed.error_count}, lines {where}, {parsed.lost_bytes} bytes lost")
    return "".join(f"{line}\n" for line in lines)


def import_places(parsed: ParsedFile) -> list[tuple[int, int]]:
    """Where sites say that they import."""
    return sorted(
        (site.line, site.column)
        for symbol in parsed.symbols
        for site in symbol.sites
        if site.role is Role.IMPORT
    )


def _symbol_line(symbol: FoundSymbol) -> str:
    if symbol.parent < 0:
        return f"{symbol.kind} {symbol.qualified_name}"
    parts = [symbol.kind, symbol.descriptors, _place(symbol.line, symbol.column)]
    if symbol.bindings:
        parts.append("also " + ", ".join(_place(*place) for place in symbol.bindings))
    if symbol.overload:
        parts.append("overload")
    return " ".join(parts)


def _site_line(site: Site) -> str:
    parts = [_place(site.line, site.column), site.name, site.role, site.binding]
    if site.target is not None:
        parts.append(f"-> {site.target}")
    if site.ask is not None:
        parts.append(f"ask {_place(*site.ask)}")
    if site.unparsed:
        parts.append("unparsed")
    return " ".join(parts)


def _place(line: int, column: int) -> str:
    return f"{line + 1}:{column + 1}"
