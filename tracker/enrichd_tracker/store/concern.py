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

from enrichd_tracker.model import CALLABLES, TYPES, Face, SymbolKind
from enrichd_tracker.store.edges import select_in

EVERYTHING = "*"
"""The face of imports that don't show which names they bind."""
_CONCLUDED = CALLABLES | {SymbolKind.PROPERTY}

_MENTIONING = """
    SELECT symbol.id, symbol.file_id, symbol.pending FROM mention
    JOIN symbol ON symbol.id = mention.symbol_id
    WHERE mention.name = ? AND symbol.workspace_id = ?"""

_USING = """
    SELECT symbol.id, symbol.file_id FROM edge JOIN symbol ON symbol.id = edge.source
    WHERE edge.target = ? AND edge.operation <> 'syntax'"""

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
        self._names: set[str] = set()
        self._symbols: set[int] = set()
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
            while self._next_names:
                self._follow_name(self._next_names.pop())
            while self._next_symbols:
                self._follow_symbol(self._next_symbols.pop())
        self._go_inside(self._concerned, CALLABLES)
        return self._concerned

    def _follow_name(self, name: str) -> None:
        if name in self._names:
            return
        self._names.add(name)
        rows = self._connection.execute(_MENTIONING, (name, self._workspace_id)).fetchall()
        self._concern(row[0] for row in rows)
        self._next_names |= self._aliases(name) - self._names
        named = self._connection.execute(
            "SELECT id FROM symbol WHERE name = ? AND workspace_id = ? AND file_id IS NOT NULL",
            (name, self._workspace_id),
        )
        self._go_inside({row[0] for row in named}, TYPES)
        flows = self._connection.execute(
            """SELECT flow.onto, flow.file_id, flow.loose
               FROM flow JOIN file ON file.id = flow.file_id
               WHERE flow.name = ? AND file.workspace_id = ?""",
            (name, self._workspace_id),
        ).fetchall()
        self._flow(flows)

    def _follow_symbol(self, symbol_id: int) -> None:
        if symbol_id in self._symbols:
            return
        self._symbols.add(symbol_id)
        row = self._connection.execute(
            "SELECT name, file_id FROM symbol WHERE id = ?", (symbol_id,)
        ).fetchone()
        if row is None or row[0] in self._names:
            return  # who mentions the name is concerned, and that is everyone
        name, own_file = row
        files = {own_file}
        users = set()
        for user, file_id in self._connection.execute(_USING, (symbol_id,)):
            users.add(user)
            files.add(file_id)
        every_name = self._with_aliases(name)
        for each in every_name:
            for user, file_id, pending in self._connection.execute(
                _MENTIONING, (each, self._workspace_id)
            ):
                if pending:
                    users.add(user)
                    files.add(file_id)
        self._concern(users)
        self._go_inside({symbol_id}, TYPES)
        for each in every_name:
            flows = self._connection.execute(
                """SELECT flow.onto, flow.file_id, flow.loose, flow.quoted
                   FROM flow JOIN file ON file.id = flow.file_id
                   WHERE flow.name = ? AND file.workspace_id = ?""",
                (each, self._workspace_id),
            ).fetchall()
            self._flow(row[:3] for row in flows if row[3] or row[1] in files)

    def _flow(self, flows: Iterable[tuple[str, int, int]]) -> None:
        for onto, file_id, loose in flows:
            if loose:
                if onto not in self._names:
                    self._next_names.add(onto)
            else:
                self._type_of(file_id, onto)

    def _type_of(self, file_id: int, name: str) -> None:
        rows = self._connection.execute(
            "SELECT id FROM symbol WHERE file_id = ? AND name = ?", (file_id, name)
        )
        self._next_symbols.update(row[0] for row in rows if row[0] not in self._symbols)

    def _concern(self, symbol_ids: Iterable[int]) -> None:
        new = set(symbol_ids) - self._concerned
        self._concerned |= new
        if self._by_bodies and new:
            self._next_symbols |= self._of_kinds(new, _CONCLUDED) - self._symbols

    def _go_inside(self, symbol_ids: set[int], kinds: Iterable[SymbolKind]) -> None:
        """Those who stand in one of these symbols, if it is of such a kind."""
        for each in self._of_kinds(symbol_ids, kinds):
            self._concern(row[0] for row in self._connection.execute(_INSIDE, (each,)))

    def _of_kinds(self, symbol_ids: set[int], kinds: Iterable[SymbolKind]) -> set[int]:
        wanted = {str(kind) for kind in kinds}
        rows = select_in(self._connection, "SELECT id, kind FROM symbol WHERE", symbol_ids)
        return {row[0] for row in rows if str(row[1]) in wanted}

    def _aliases(self, name: str) -> set[str]:
        rows = self._connection.execute(
            """SELECT alias FROM alias JOIN file ON file.id = alias.file_id
               WHERE alias.original = ? AND file.workspace_id = ?""",
            (name, self._workspace_id),
        )
        return {row[0] for row in rows}

    def _with_aliases(self, name: str) -> set[str]:
        every, fresh = {name}, {name}
        while fresh:
            fresh = set().union(*(self._aliases(each) for each in fresh)) - every
            every |= fresh
        return every
