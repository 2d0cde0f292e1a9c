"""What is embedded of a symbol: its name, signature and documentation, and how its body begins.

Models of sentences were trained on code too, so that it is left as it stands; only the name is
taken apart into words beside it. The full text gets words alone, each once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

FORM = 1
"""To be raised when a text comes out otherwise: all is embedded again then."""
_SIGNATURE_CHARS = 240
_DOC_CHARS = 400
_BODY_CHARS = 700
_MEMBERS = 24
_WORDS = 200
_HEADING_LINES = 40
_MOST_LINES = 400
_LINE_BYTES = 400
_MODULE = "module"

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_A-Za-z]+")
_QUOTED = re.compile(r"[rRuUbBfF]{0,2}(\"\"\"|'''|\"|')")


class SymbolText(Struct, frozen=True):
    """What is said of one symbol: for the model, and as words for the full text."""

    meaning: str
    name: str
    said: str
    """Its signature and documentation."""
    body: str


class Piece(Struct, frozen=True):
    """A symbol as it stands in its file."""

    kind: str
    qualified_name: str
    start: tuple[int, int]
    """Line and column (UTF-8 bytes), from 0."""
    end: tuple[int, int]
    members: Sequence[str] = ()
    """Names of the symbols right inside it."""
    holes: Sequence[tuple[int, int]] = ()
    """First and last line of members that speak for themselves."""


def words_of(text: str) -> list[str]:
    """The words of names and prose, in order: ``openSession_id`` is open, session, id."""
    return [word.lower() for word in _WORD.findall(text)]


def text_of(piece: Piece, lines: Sequence[bytes]) -> SymbolText:
    """The text of a symbol of a file with these lines."""
    own = _own_lines(piece, lines)
    signature, inside = ("", own) if piece.kind == _MODULE else _split_heading(own)
    doc, body = _split_doc(inside)
    members = " ".join(piece.members[:_MEMBERS])
    parts = [
        " ".join(words_of(piece.qualified_name)),
        _on_one_line(signature)[:_SIGNATURE_CHARS],
        _on_one_line(doc)[:_DOC_CHARS],
        members,
        _on_one_line(body)[:_BODY_CHARS],
    ]
    return SymbolText(
        meaning="\n".join(part for part in parts if part),
        name=_each_once(piece.qualified_name),
        said=_each_once(f"{signature} {doc}"),
        body=_each_once(f"{members} {body}"),
    )


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def _each_once(text: str) -> str:
    return " ".join([*dict.fromkeys(words_of(text))][:_WORDS])


def _own_lines(piece: Piece, lines: Sequence[bytes]) -> list[str]:
    """The lines of the extent but for what lies in holes."""
    (first, start), (last, end) = piece.start, piece.end
    left_out = {line for begin, finish in piece.holes for line in range(begin, finish + 1)}
    found = []
    for number in range(first, min(last + 1, len(lines), first + _MOST_LINES)):
        if number in left_out:
            continue
        line = lines[number][: _LINE_BYTES if number < last else min(end, _LINE_BYTES)]
        found.append(line[start if number == first else 0 :].decode(errors="replace"))
    return found


def _split_heading(lines: list[str]) -> tuple[str, list[str]]:
    """Up to the end of the line on which all brackets are closed, and the rest."""
    open_ = 0
    for count, line in enumerate(lines[:_HEADING_LINES], start=1):
        code = line.partition("#")[0]
        open_ += sum(map(code.count, "([")) - sum(map(code.count, ")]"))
        if open_ <= 0:
            return "\n".join(lines[:count]), lines[count:]
    return "\n".join(lines[:1]), lines[1:]


def _split_doc(lines: list[str]) -> tuple[str, str]:
    """The text in quotes that a body begins with, and the rest."""
    start = next((n for n, line in enumerate(lines) if _says_something(line)), len(lines))
    text = "\n".join(lines[start:]).lstrip()
    quoted = _QUOTED.match(text)
    if quoted is None:
        return "", "\n".join(lines)
    end = text.find(quoted[1], quoted.end())
    end = len(text) if end < 0 else end
    before = "\n".join(lines[:start])
    return text[quoted.end() : end], before + text[end + len(quoted[1]) :]


def _says_something(line: str) -> bool:
    code = line.strip()
    return bool(code) and not code.startswith("#")
