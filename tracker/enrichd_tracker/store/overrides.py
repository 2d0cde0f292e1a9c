"""Overrides follow from the bases that servers resolved and from names; no server is asked.

A class's members override the nearest member of the same name among its bases, in the order in
which Python looks them up (C3). What depends on a base is derived anew whenever the base changes.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter, deque
from collections.abc import Iterable

from enrichd_tracker.model import Relation, SymbolKind
from enrichd_tracker.store import tallies

OPERATION = "syntax"
_PRIVATE = {"python": re.compile(r"__\w*[^_]_?$")}  # mangled: never an override
_MEMBERS = (SymbolKind.METHOD, SymbolKind.PROPERTY, SymbolKind.CONSTRUCTOR)

_HEIRS = """
    WITH RECURSIVE heir (id) AS (
        SELECT ?
        UNION
        SELECT edge.source FROM edge JOIN heir ON edge.target = heir.id
        WHERE edge.relation = 'inherits'
    ) SELECT id FROM heir"""


def derive(connection: sqlite3.Connection, classes: Iterable[int], at: float) -> None:
    """Make the overrides of these classes, and of all that inherit from them, what they are."""
    affected: set[int] = set()
    for each in classes:
        if each not in affected:
            affected.update(row[0] for row in connection.execute(_HEIRS, (each,)))
    if affected:
        _Derivation(connection, at).run(affected)


def forget(connection: sqlite3.Connection, symbol_ids: Iterable[int]) -> None:
    """Delete the overrides from and to members that go."""
    tally: tallies.Tally = Counter()
    for symbol_id in symbol_ids:
        row = connection.execute(
            "SELECT workspace_id FROM symbol WHERE id = ?", (symbol_id,)
        ).fetchone()
        for end in ("source", "target"):
            tally[row[0], Relation.OVERRIDES] -= connection.execute(
                f"DELETE FROM edge WHERE {end} = ? AND operation = ?", (symbol_id, OPERATION)
            ).rowcount
    tallies.add(connection, tally)


class _Derivation:
    def __init__(self, connection: sqlite3.Connection, at: float) -> None:
        self._connection = connection
        self._at = at
        self._bases: dict[int, list[tuple[int, int]]] = {}
        self._acyclic: dict[int, list[int]] = {}
        self._order: dict[int, list[int]] = {}
        self._members: dict[int, dict[str, int]] = {}

    def run(self, classes: set[int]) -> None:
        tally: tallies.Tally = Counter()
        rows = []
        for class_id in sorted(classes):
            members = self._connection.execute(
                """SELECT id, name, language, line, "column", workspace_id FROM symbol
                   WHERE parent_id = ? AND kind IN (?, ?, ?)""",
                (class_id, *_MEMBERS),
            ).fetchall()
            for member_id, name, language, line, column, workspace_id in members:
                removed = self._connection.execute(
                    "DELETE FROM edge WHERE source = ? AND operation = ?", (member_id, OPERATION)
                ).rowcount
                tally[workspace_id, Relation.OVERRIDES] -= removed
                private = _PRIVATE.get(language)
                if private is not None and private.match(name):
                    continue
                target = self._overridden(class_id, name)
                if target is not None:
                    origin = self._bases_of(class_id)[0][1]
                    rows.append(
                        (member_id, OPERATION, target, Relation.OVERRIDES, line, column, origin)
                    )
                    tally[workspace_id, Relation.OVERRIDES] += 1
        self._connection.executemany(
            "INSERT INTO edge VALUES (?, ?, ?, ?, ?, ?, ?, 1, 0, ?, '')",
            [(*row, self._at) for row in rows],
        )
        tallies.add(self._connection, tally)

    def _overridden(self, class_id: int, name: str) -> int | None:
        for base in self._resolution_order(class_id)[1:]:
            if (target := self._members_of(base).get(name)) is not None:
                return target
        return None

    def _bases_of(self, class_id: int) -> list[tuple[int, int]]:
        """(base, origin of the edge) in the order in which they are written."""
        if class_id not in self._bases:
            rows = self._connection.execute(
                """SELECT edge.target, edge.origin_id FROM edge
                   JOIN symbol ON symbol.id = edge.target
                   WHERE edge.source = ? AND edge.operation <> ? AND edge.relation = 'inherits'
                       AND symbol.file_id IS NOT NULL
                   ORDER BY edge.line, edge."column", symbol.uid""",
                (class_id, OPERATION),
            )
            self._bases[class_id] = list(dict(rows.fetchall()).items())
        return self._bases[class_id]

    def _members_of(self, class_id: int) -> dict[str, int]:
        """Name to symbol; of same-named ones the last that is no overload."""
        if class_id not in self._members:
            rows = self._connection.execute(
                """SELECT name, id FROM symbol WHERE parent_id = ? AND kind IN (?, ?, ?)
                   ORDER BY overload DESC, line, "column" """,
                (class_id, *_MEMBERS),
            )
            self._members[class_id] = dict(rows.fetchall())
        return self._members[class_id]

    def _resolution_order(self, class_id: int) -> list[int]:
        """The class and its bases as C3 orders them; source: docs.python.org, howto/mro."""
        waiting = [class_id]
        while waiting:
            each = waiting[-1]
            bases = self._acyclic_bases_of(each)
            unknown = [base for base in bases if base not in self._order]
            if unknown:
                waiting += unknown
                continue
            waiting.pop()
            queues = [self._order[base] for base in bases]
            self._order[each] = [each, *_merge([*queues, bases])]
        return self._order[class_id]

    def _acyclic_bases_of(self, class_id: int) -> list[int]:
        """The bases that do not lead back to the class: a cycle can be written, but not run."""
        if class_id not in self._acyclic:
            bases = [base for base, _ in self._bases_of(class_id)]
            self._acyclic[class_id] = [base for base in bases if not self._leads_to(base, class_id)]
        return self._acyclic[class_id]

    def _leads_to(self, start: int, goal: int) -> bool:
        seen, waiting = {start}, [start]
        while waiting:
            each = waiting.pop()
            if each == goal:
                return True
            further = {base for base, _ in self._bases_of(each)} - seen
            seen |= further
            waiting += further
        return False


def _merge(sequences: list[list[int]]) -> list[int]:
    queues = [deque(sequence) for sequence in sequences if sequence]
    if len(queues) == 2 and len(queues[1]) == 1:  # one base: its own order
        return list(queues[0])
    in_tails = Counter(each for sequence in sequences for each in sequence[1:])
    merged: list[int] = []
    while queues:
        # Python refuses a class without such a head; the graph goes on with the first.
        head = next((queue[0] for queue in queues if not in_tails[queue[0]]), queues[0][0])
        merged.append(head)
        for queue in queues:
            if queue[0] == head:
                queue.popleft()
                if queue:
                    in_tails[queue[0]] -= 1
            elif in_tails[head] and head in queue:
                queue.remove(head)
                in_tails[head] -= 1
        queues = [queue for queue in queues if queue]
    return merged
