"""Whom a change concerns: whose answers may be other ones now.

Two things can have changed about what a file shows (`model.Face`). Where a **name** leads: then
whoever mentions the name is concerned, in any file. Or the type of a **symbol** that is where it
was: then those are concerned who are known to use it. Either way types may have changed further
on: what rests on the name or the symbol (`model.Flow`) has changed its type too. A method says
`self`, not its class, and a function inside another one uses its locals: who stands inside of what
is concerned is concerned.

Who is pending has no edges to show what it uses, and counts as a user of all that it mentions.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from enrichd_tracker.model import CALLABLES, TYPES, Face, SymbolKind
from enrichd_tracker.store.edges import select_in

EVERYTHING = "*"
"""The face of imports that don't show which names they bind."""
_CONCLUDED = CALLABLES | {SymbolKind.PROPERTY}

# The tables stand in the order in which they are to be looked at: a file has a workspace, but who
# begins with the files of a workspace looks at all of them.
_MENTIONING = """
    SELECT symbol.id, symbol.file_id, symbol.pending, mention.name
    FROM mention CROSS JOIN symbol ON symbol.id = mention.symbol_id
    WHERE symbol.workspace_id = {workspace} AND"""

_FLOWS = """
    SELECT flow.onto, flow.file_id, flow.loose, flow.quoted, flow.name
    FROM flow CROSS JOIN file ON file.id = flow.file_id
    WHERE file.workspace_id = {workspace} AND"""

_ALIASES = """
    SELECT alias.original, alias.alias FROM alias CROSS JOIN file ON file.id = alias.file_id
    WHERE file.workspace_id = {workspace} AND"""

_NAMED = """
    SELECT symbol.id FROM symbol
    WHERE symbol.workspace_id = {workspace} AND symbol.file_id IS NOT NULL AND"""

_USING = """
    SELECT edge.target, symbol.id, symbol.file_id
    FROM edge CROSS JOIN symbol ON symbol.id = edge.source
    WHERE edge.operation <> 'syntax' AND"""

_INSIDE = """
    WITH RECURSIVE inside (id) AS (
        SELECT id FROM symbol WHERE parent_id = ?
        UNION
        SELECT symbol.id FROM symbol JOIN inside ON symbol.parent_id = inside.id
    ) SELECT id FROM inside"""


def differing(before: Mapping[str, Face], now: Mapping[str, Face]) -> tuple[set[str], set[str]]:
    """(names that may lead elsewhere now, names whose symbols may be of another type)."""
    names, types = set(), set()
    for name in before.keys() | now.keys():
        old, new = before.get(name), now.get(name)
        if old is None or new is None or old.binding != new.binding:
            names.add(name)
        elif old.type != new.type:
            types.add(name)
    return names, types


def everybody(connection: sqlite3.Connection, workspace_id: int) -> set[int]:
    """All symbols of a workspace's files."""
    rows = connection.execute(
        "SELECT id FROM symbol WHERE workspace_id = ? AND file_id IS NOT NULL", (workspace_id,)
    )
    return {row[0] for row in rows}


class Concern:
    """Follows a change from what it changed to whom it concerns.

    ``by_bodies``: the server concludes from a function's body what it returns, so that whatever
    concerns a function concerns its users.
    """

    def __init__(
        self, connection: sqlite3.Connection, workspace_id: int, *, by_bodies: bool
    ) -> None:
        self._connection = connection
        self._workspace_id = workspace_id
        self._by_bodies = by_bodies
        self._concerned: set[int] = set()
        self._names: set[str] = set()  # followed
        self._symbols: set[int] = set()  # followed
        self._next_names: set[str] = set()
        self._next_symbols: set[int] = set()

    def follow(
        self, names: Iterable[str], types: Iterable[tuple[int, str]], bodies: Iterable[int]
    ) -> set[int]:
        """Everyone concerned by a change.

        It is told by names that lead elsewhere, by (file, name) of symbols of another type, and by
        symbols with another body.
        """
        self._next_names.update(names)
        self._concern(bodies)
        for file_id, name in types:
            self._type_of(file_id, name)
        while self._next_names or self._next_symbols:
            while fresh_names := self._next_names - self._names:
                self._follow_names(fresh_names)
            self._next_names.clear()
            if fresh_symbols := self._next_symbols - self._symbols:
                self._follow_symbols(fresh_symbols)
            self._next_symbols -= self._symbols
        self._go_inside(self._concerned, CALLABLES)
        return self._concerned

    def _follow_names(self, names: set[str]) -> None:
        self._names |= names
        self._concern(row[0] for row in self._select(_MENTIONING, names, "mention.name"))
        self._next_names.update(row[1] for row in self._select(_ALIASES, names, "alias.original"))
        named = self._select(_NAMED, names, "symbol.name")
        self._go_inside({row[0] for row in named}, TYPES)
        for onto, file_id, loose, _, _ in self._select(_FLOWS, names, "flow.name"):
            self._flow(onto, file_id, loose=loose)

    def _follow_symbols(self, symbol_ids: set[int]) -> None:
        self._symbols |= symbol_ids
        # Whom the name of one concerns is everyone already.
        rows = [
            (symbol_id, name, file_id)
            for symbol_id, name, file_id in self._select(
                "SELECT id, name, file_id FROM symbol WHERE", symbol_ids, "id"
            )
            if name not in self._names
        ]
        files: dict[int, set[int]] = {symbol_id: {file_id} for symbol_id, _, file_id in rows}
        for target, user, file_id in self._select(_USING, files, "edge.target"):
            self._concern([user])
            files[target].add(file_id)
        self._go_inside(set(files), TYPES)
        for symbol_id, name, _ in rows:
            self._follow_uses(name, files[symbol_id])

    def _follow_uses(self, name: str, files: set[int]) -> None:
        """Go on from one symbol in the files that are known to use it."""
        every_name = self._with_aliases(name)
        for user, file_id, pending, _ in self._select(_MENTIONING, every_name, "mention.name"):
            if pending:
                self._concern([user])
                files.add(file_id)
        for onto, file_id, loose, quoted, _ in self._select(_FLOWS, every_name, "flow.name"):
            if quoted or file_id in files:
                self._flow(onto, file_id, loose=loose)

    def _flow(self, onto: str, file_id: int, *, loose: bool) -> None:
        if loose:
            self._next_names.add(onto)
        else:
            self._type_of(file_id, onto)

    def _type_of(self, file_id: int, name: str) -> None:
        rows = self._connection.execute(
            "SELECT id FROM symbol WHERE file_id = ? AND name = ?", (file_id, name)
        )
        self._next_symbols.update(row[0] for row in rows)

    def _concern(self, symbol_ids: Iterable[int]) -> None:
        new = set(symbol_ids) - self._concerned
        self._concerned |= new
        if self._by_bodies and new:
            self._next_symbols |= self._of_kinds(new, _CONCLUDED)

    def _go_inside(self, symbol_ids: set[int], kinds: Iterable[SymbolKind]) -> None:
        """Those who stand in one of these symbols, if it is of such a kind."""
        for each in self._of_kinds(symbol_ids, kinds):
            self._concern(row[0] for row in self._connection.execute(_INSIDE, (each,)))

    def _of_kinds(self, symbol_ids: set[int], kinds: Iterable[SymbolKind]) -> set[int]:
        wanted = {str(kind) for kind in kinds}
        rows = self._select("SELECT id, kind FROM symbol WHERE", symbol_ids, "id")
        return {row[0] for row in rows if row[1] in wanted}

    def _with_aliases(self, name: str) -> set[str]:
        every, fresh = {name}, {name}
        while fresh:
            fresh = {row[1] for row in self._select(_ALIASES, fresh, "alias.original")} - every
            every |= fresh
        return every

    def _select(
        self, query: str, wanted: Iterable[int] | Iterable[str], column: str
    ) -> list[tuple[Any, ...]]:
        query = query.format(workspace=int(self._workspace_id))
        return select_in(self._connection, query, wanted, column)
