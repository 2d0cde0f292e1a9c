"""Whom a change concerns: whose answers may be other ones now.

Two things can have changed about what a file shows (`model.Face`). Where a **name** leads: then
whoever mentions the name is concerned. Or the type of a **symbol** that is where it was: then those
are concerned who are known to use it. Either way types may have changed further on: what rests on
the name or the symbol (`model.Flow`) has changed its type too. Where only the **parameters** of a
function changed, what rests on nothing but its results has not: its users are concerned, and what
rests on the function itself. A method says `self`, not its class,
and a function inside another one uses its locals: who stands inside of what is concerned is
concerned. None of this leaves the files that import what changed, directly or not (`Reach`).

Who is pending has no edges to show what it uses, and counts as a user of all that it mentions.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from typing import Any

import msgspec

from enrichd_tracker.model import CALLABLES, TYPES, Face, SymbolKind
from enrichd_tracker.store.slices import select_in

EVERYTHING = "*"
"""The face of imports that don't show which names they bind."""
_FEW = 64
"""So many files are known by heart, more are asked about name by name."""
_CONCLUDED = CALLABLES | {SymbolKind.PROPERTY}
_ByHeart = dict[str, list[str]]
"""The rows of each name, packed: of a hundred names few are ever asked for."""
_rows = msgspec.json.Decoder(list[tuple[Any, ...]])

# The tables stand in the order in which they are to be looked at: a file has a workspace, but who
# begins with the files of a workspace looks at all of them.
_MENTIONING = """
    SELECT symbol.id, symbol.file_id, symbol.pending
    FROM mention CROSS JOIN symbol ON symbol.id = mention.symbol_id
    WHERE symbol.workspace_id = {workspace} AND"""
_MENTIONS_OF = """
    SELECT mention.name,
        json_group_array(json_array(symbol.id, symbol.file_id, symbol.pending))
    FROM symbol CROSS JOIN mention ON mention.symbol_id = symbol.id
    WHERE"""

_FLOWS = """
    SELECT flow.onto, flow.file_id, flow.loose, flow.called
    FROM flow CROSS JOIN file ON file.id = flow.file_id
    WHERE file.workspace_id = {workspace} AND"""
_FLOWS_OF = """
    SELECT name, json_group_array(json_array(onto, file_id, loose, called)) FROM flow WHERE"""

_ALIASES = """
    SELECT alias.original, alias.alias FROM alias CROSS JOIN file ON file.id = alias.file_id
    WHERE file.workspace_id = {workspace} AND"""

_NAMED = """
    SELECT symbol.id, symbol.file_id FROM symbol
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


def differing(
    before: Mapping[str, Face], now: Mapping[str, Face]
) -> tuple[set[str], dict[str, bool]]:
    """Which names of a file may lead elsewhere now, and which ones' symbols be of another type.

    With these stands whether what a call of them gives may be another one, too.
    """
    names, types = set[str](), dict[str, bool]()
    for name in before.keys() | now.keys():
        old, new = before.get(name), now.get(name)
        if old is None or new is None or old.binding != new.binding:
            names.add(name)
        elif old.type != new.type:
            types[name] = old.result != new.result
    return names, types


def modules_among(names: Iterable[str]) -> set[str]:
    """Those that stand for the file itself."""
    return {name for name in names if name.endswith("/")}


def module_among(names: Iterable[str]) -> str:
    """The longest of those that stand for the file itself; none for a file without any."""
    return max(modules_among(names), key=len, default="")


def standing_at(
    connection: sqlite3.Connection,
    workspace_id: int,
    modules: Iterable[str],
    newcomers: Container[int],
) -> set[int]:
    """The files that are imported as one of these modules, or as a part of one.

    When another file appears in such a place or goes from it, they may be no modules any more, or
    be some again: what they import beside themselves hangs on that. A newcomer is one of them only
    if it is not alone in its place.
    """
    found = set[int]()
    for module in modules:
        if module:
            rows = connection.execute(
                "SELECT id, module FROM file WHERE workspace_id = ? AND module >= ? AND module < ?",
                (workspace_id, module, f"{module[:-1]}0"),  # what comes after a slash
            ).fetchall()
            here = Counter(row[1] for row in rows)
            found.update(row[0] for row in rows if row[0] not in newcomers or here[row[1]] > 1)
    return found


class Reach:
    """How far a change can reach: into the files that import what changed, directly or not.

    What a file means hangs on itself and on what it imports, and on nothing else.
    """

    def __init__(self, connection: sqlite3.Connection, workspace_id: int, files: set[int]) -> None:
        self._connection = connection
        self._workspace_id = workspace_id
        self.files = files
        self._mentions: _ByHeart | None = None
        self._flows: _ByHeart | None = None
        if len(files) <= _FEW:
            self._mentions = self._by_heart(_MENTIONS_OF, "symbol.file_id")
            self._flows = self._by_heart(_FLOWS_OF, "file_id")

    @classmethod
    def of(
        cls,
        connection: sqlite3.Connection,
        workspace_id: int,
        modules: Iterable[str],
        files: Iterable[int],
    ) -> Reach:
        """The reach of a change of these files, which are imported as these modules."""
        found = set(files)
        known, fresh = set[str](), set(modules)
        while fresh:
            known |= fresh
            query = f"""SELECT DISTINCT flow.file_id FROM flow
                CROSS JOIN file ON file.id = flow.file_id
                WHERE file.workspace_id = {int(workspace_id)} AND"""
            importing = {row[0] for row in select_in(connection, query, fresh, "flow.name")} - found
            found |= importing
            fresh = modules_of(connection, importing) - known
        return cls(connection, workspace_id, found)

    def standing_in(self, files: Iterable[int]) -> set[int]:
        """All symbols of these files."""
        query = "SELECT id FROM symbol WHERE"
        return {row[0] for row in select_in(self._connection, query, files, "file_id")}

    def modules_of(self, files: Iterable[int]) -> set[str]:
        """The names that these files may be imported by."""
        return modules_of(self._connection, files)

    def mentioning(self, names: Iterable[str]) -> list[tuple[int, int, int]]:
        """(symbol, its file, what it is pending) of each symbol that mentions one of the names."""
        if self._mentions is not None:
            rows = _recalled(self._mentions, names)
        else:
            rows = self._select(_MENTIONING, names, "mention.name")
        return [row for row in rows if row[1] in self.files]

    def flows(self, names: Iterable[str]) -> list[tuple[str, int, bool, bool]]:
        """(onto, file, loose, called) of each flow from one of the names."""
        if self._flows is not None:
            rows = _recalled(self._flows, names)
        else:
            rows = self._select(_FLOWS, names, "flow.name")
        return [row for row in rows if row[1] in self.files]

    def aliases(self, names: Iterable[str]) -> set[str]:
        """What the names are renamed to by imports, anywhere."""
        return {row[1] for row in self._select(_ALIASES, names, "alias.original")}

    def named(self, names: Iterable[str]) -> set[int]:
        """The symbols of these names."""
        rows = self._select(_NAMED, names, "symbol.name")
        return {row[0] for row in rows if row[1] in self.files}

    def _select(self, query: str, names: Iterable[str], column: str) -> list[tuple[Any, ...]]:
        query = query.format(workspace=int(self._workspace_id))
        return select_in(self._connection, query, names, column)

    def _by_heart(self, query: str, column: str) -> _ByHeart:
        found: _ByHeart = {}
        for name, packed in select_in(self._connection, query, self.files, column, "GROUP BY 1"):
            found.setdefault(name, []).append(packed)
        return found


def _recalled(known: _ByHeart, names: Iterable[str]) -> list[tuple[Any, ...]]:
    return [row for name in names for some in known.get(name, ()) for row in _rows.decode(some)]


def modules_of(connection: sqlite3.Connection, files: Iterable[int]) -> set[str]:
    """The names that these files may be imported by."""
    found = set[str]()
    for (module,) in select_in(connection, "SELECT module FROM file WHERE", files):
        parts = module.split("/")[:-1]
        found.update("/".join(parts[place:]) + "/" for place in range(len(parts)))
    return found


class Concern:
    """Follows a change from what it changed to whom it concerns.

    ``by_bodies``: the server concludes from a function's body what it returns, so that whatever
    concerns a function concerns its users, and another parameter may give another result.
    """

    def __init__(self, connection: sqlite3.Connection, reach: Reach, *, by_bodies: bool) -> None:
        self._connection = connection
        self._reach = reach
        self._by_bodies = by_bodies
        self._concerned: set[int] = set()
        self._names: set[str] = set()  # followed
        self._symbols: set[int] = set()  # followed
        self._next_names: set[str] = set()
        self._next_symbols: set[int] = set()

    def follow(
        self,
        names: Iterable[str],
        types: Mapping[tuple[int, str], bool],
        bodies: Iterable[int],
    ) -> set[int]:
        """Everyone concerned by a change.

        It is told by names that lead elsewhere, by (file, name) of symbols of another type and
        whether their results are, too, and by symbols with another body.
        """
        self._next_names.update(names)
        self._concern(bodies)
        for (file_id, name), result in types.items():
            symbol_ids = self._symbols_of(file_id, name)
            if result or self._by_bodies:
                self._next_symbols |= symbol_ids
            else:
                self._follow_symbols(symbol_ids, result=False)
        while self._next_names or self._next_symbols:
            while fresh_names := self._next_names - self._names:
                self._follow_names(fresh_names)
            self._next_names.clear()
            if fresh_symbols := self._next_symbols - self._symbols:
                self._symbols |= fresh_symbols
                self._follow_symbols(fresh_symbols, result=True)
            self._next_symbols -= self._symbols
        self._go_inside(self._concerned, CALLABLES)
        return self._concerned

    def _follow_names(self, names: set[str]) -> None:
        self._names |= names
        self._concern(row[0] for row in self._reach.mentioning(names))
        self._next_names |= self._reach.aliases(names)
        self._go_inside(self._reach.named(names), TYPES)
        for onto, file_id, loose, _ in self._reach.flows(names):
            self._flow(onto, file_id, loose=loose)

    def _follow_symbols(self, symbol_ids: set[int], *, result: bool) -> None:
        """Go on from symbols of another type; ``result``: also what a call gives may differ."""
        # Whom the name of one concerns is everyone already.
        rows = [
            (symbol_id, name, file_id)
            for symbol_id, name, file_id in select_in(
                self._connection, "SELECT id, name, file_id FROM symbol WHERE", symbol_ids
            )
            if name not in self._names
        ]
        files: dict[int, set[int]] = {symbol_id: {file_id} for symbol_id, _, file_id in rows}
        for target, user, file_id in select_in(self._connection, _USING, files, "edge.target"):
            if file_id in self._reach.files:
                self._concern([user])
                files[target].add(file_id)
        self._go_inside(set(files), TYPES)
        for symbol_id, name, _ in rows:
            self._follow_uses(name, files[symbol_id], result=result)

    def _follow_uses(self, name: str, files: set[int], *, result: bool) -> None:
        """Go on from one symbol in the files that are known to use it."""
        every_name = self._with_aliases(name)
        for user, file_id, pending in self._reach.mentioning(every_name):
            if pending:
                self._concern([user])
                files.add(file_id)
        for onto, file_id, loose, called in self._reach.flows(every_name):
            if file_id in files and (result or not called):
                self._flow(onto, file_id, loose=loose)

    def _flow(self, onto: str, file_id: int, *, loose: bool) -> None:
        if onto == EVERYTHING:  # whatever stands in the file may be one of those names
            self._concern(self._reach.standing_in({file_id}))
            self._next_names |= self._reach.modules_of({file_id})
        elif loose:
            self._next_names.add(onto)
        else:
            self._next_symbols |= self._symbols_of(file_id, onto)

    def _symbols_of(self, file_id: int, name: str) -> set[int]:
        rows = self._connection.execute(
            "SELECT id FROM symbol WHERE file_id = ? AND name = ?", (file_id, name)
        )
        return {row[0] for row in rows}

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
        rows = select_in(self._connection, "SELECT id, kind FROM symbol WHERE", symbol_ids)
        return {row[0] for row in rows if row[1] in wanted}

    def _with_aliases(self, name: str) -> set[str]:
        every, fresh = {name}, {name}
        while fresh:
            fresh = self._reach.aliases(fresh) - every
            every |= fresh
        return every
