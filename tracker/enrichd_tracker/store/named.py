"""Symbols by their names: exactly so, or by a glob over the name and the dotted name.

A glob that begins with text is a range of two indexes. Any other is held against the indexes
alone, by a LIKE that lets through all that it may match: LIKE takes a fifth of the time of a GLOB
with classes of letters. Only what is left is held against the glob itself. Where very much is left,
the files are gone through in the order of the answer instead, which ends with the limit.
"""

from __future__ import annotations

import sqlite3

from enrichd_tracker.store.port import StoredSymbol
from enrichd_tracker.store.rows import SYMBOL, SYMBOL_BY_FILE, symbol_of
from enrichd_tracker.store.slices import padded

_MOST_IDS = 2_048
_MARKS = "*?["
_LAST = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)
_PLACE = 'file.path, symbol.line, symbol."column", symbol.id'
# Top-level symbols have the same name twice: the second index holds the others.
_CANDIDATES = """
    SELECT id FROM symbol WHERE {0}
    UNION ALL SELECT id FROM symbol WHERE {1} AND qualified_name <> name LIMIT ?"""
_RANGE = "{0} >= ?1 AND {0} < ?2"
_LIKE = "{0} LIKE ?1"
_IN_ORDER = f"""{SYMBOL_BY_FILE}
    WHERE (symbol.name GLOB ?1 OR symbol.qualified_name GLOB ?1)
        AND file.workspace_id = coalesce(?2, file.workspace_id)
    ORDER BY file.workspace_id, {_PLACE} LIMIT ?3"""


def exactly(
    connection: sqlite3.Connection, name: str, workspace_id: int | None
) -> list[StoredSymbol]:
    """The symbols of files whose own name this is, in order of their places."""
    rows = connection.execute(
        f"""{SYMBOL} WHERE symbol.name = ? AND symbol.file_id IS NOT NULL
                AND symbol.workspace_id = coalesce(?, symbol.workspace_id)
            ORDER BY symbol.workspace_id, {_PLACE}""",
        (name, workspace_id),
    )
    return [symbol_of(row) for row in rows]


def like(
    connection: sqlite3.Connection, glob: str, workspace_id: int | None, limit: int
) -> list[StoredSymbol]:
    """The symbols of files that match, in order of their places; all of them where -1 may."""
    ids = _candidates(connection, glob)
    if ids is None:
        rows = connection.execute(_IN_ORDER, (glob, workspace_id, limit))
    else:
        marks, values = padded(ids)
        rows = connection.execute(
            f"""{SYMBOL} WHERE symbol.id IN ({marks}) AND symbol.file_id IS NOT NULL
                    AND symbol.workspace_id = coalesce(?, symbol.workspace_id)
                    AND (symbol.name GLOB ? OR symbol.qualified_name GLOB ?)
                ORDER BY symbol.workspace_id, {_PLACE} LIMIT ?""",
            (*values, workspace_id, glob, glob, limit),
        )
    return [symbol_of(row) for row in rows]


def _candidates(connection: sqlite3.Connection, glob: str) -> list[int] | None:
    """Ids among which are those of all that match; None where they are very many."""
    begins = _text_before_marks(glob)
    condition = _RANGE if begins else _LIKE
    values = (begins, _after(begins)) if begins else (as_like(glob),)
    conditions = (condition.format(each) for each in ("name", "qualified_name"))
    rows = connection.execute(_CANDIDATES.format(*conditions), (*values, _MOST_IDS + 1)).fetchall()
    return None if len(rows) > _MOST_IDS else [row[0] for row in rows]


def _text_before_marks(glob: str) -> str:
    ends = [at for mark in _MARKS if (at := glob.find(mark)) >= 0]
    return glob[: min(ends)] if ends else glob


def _after(text: str) -> str:
    """The first text that is greater than all that begin with ``text``."""
    for at in reversed(range(len(text))):
        code = ord(text[at]) + 1
        if code in _SURROGATES:
            code = _SURROGATES.stop
        if code <= _LAST:
            return text[:at] + chr(code)
    return chr(_LAST) * (len(text) + 1)


def as_like(glob: str) -> str:
    """A LIKE pattern, in any case of ASCII letters, that lets through all that the glob matches."""
    pieces, at = [], 0
    while at < len(glob):
        char = glob[at]
        if char == "[":
            # The first character of a class may be the bracket that ends others.
            begin = at + 2 if glob[at + 1 : at + 2] == "^" else at + 1
            end = glob.find("]", begin + 1)
            if end < 0:
                return ""  # it matches nothing
            pieces.append(_of_class(glob[at + 1 : end]))
            at = end
        else:
            pieces.append({"*": "%", "?": "_"}.get(char, char))
        at += 1
    return "".join(pieces)


def _of_class(members: str) -> str:
    """A letter in both cases is the letter; any other class is any character."""
    both = len(members) == 2 and members.isascii() and members[0].lower() == members[1].lower()
    return members[0] if both and members.isalpha() else "_"
