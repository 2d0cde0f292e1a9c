"""Writing what was found out: edges, the explicit outcomes, and the counts kept of them."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec import Struct

from enrichd_tracker.model import (
    NEEDED_OPERATIONS,
    External,
    Operation,
    Origin,
    Outcome,
    OutcomeKind,
    Relation,
    SymbolKind,
)
from enrichd_tracker.store import failures, overrides, settled, tallies
from enrichd_tracker.store.port import Batch, Committed
from enrichd_tracker.store.slices import select_in

NONE_SYMBOL = 1
ERROR_SYMBOL = 2
SYNTAX = Origin(server="syntax", version="")
_TEXTS = {relation: relation.value for relation in Relation}
INSERT_EDGE = "INSERT INTO edge VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class _Current(Struct):
    revision: int
    workspace_id: int
    pending: int
    failed: int
    kind: str
    sites: bytes | None


def commit(connection: sqlite3.Connection, batch: Batch, at: float) -> Committed:
    """Write outcomes and failures; an answer for what has changed meanwhile is dropped.

    An outcome is dropped too when one of its targets is gone: a missing edge would be silent.
    Of two outcomes of one operation the first counts, and one of an operation that is not asked
    for any more counts for nothing. What is dropped is an orphan like one that never failed.
    """
    writer = _EdgeWriter(connection, at)
    concerned = {outcome.symbol_id for outcome in batch.outcomes}
    concerned.update(charge.record.symbol_id for charge in batch.charges)
    current = _current(connection, concerned)
    was_pending = {symbol_id for symbol_id, found in current.items() if found.pending}
    alive = _alive(connection, batch.outcomes)
    dropped: set[int] = set()
    written = 0
    for outcome in batch.outcomes:
        found = current.get(outcome.symbol_id)
        targets = (edge.target for edge in outcome.edges)
        if (
            found is None
            or found.revision != outcome.revision
            or any(isinstance(each, int) and each not in alive for each in targets)
        ):
            dropped.add(outcome.symbol_id)
        elif found.pending & outcome.operation.bit:
            found.pending &= ~outcome.operation.bit
            writer.write(outcome, found)
            written += 1
    charged = []
    for charge in batch.charges:
        symbol_id = charge.record.symbol_id
        found = current.get(symbol_id)
        if found is None or found.revision != charge.revision:
            dropped.add(symbol_id)
        elif symbol_id in was_pending and symbol_id not in dropped:
            charged.append(charge.record)
        elif not found.failed:  # another attempt has settled it
            dropped.add(symbol_id)
    cleared = set(batch.cleared) - dropped
    failures.forget(connection, cleared | (dropped & was_pending))
    failures.remember(connection, charged)
    writer.finish({record.symbol_id for record in charged})
    return Committed(written=written, dropped=sorted(dropped))


class _EdgeWriter:
    """Collects the rows of one transaction, so that they are written by the thousand."""

    def __init__(self, connection: sqlite3.Connection, at: float) -> None:
        self._connection = connection
        self._at = at
        self._rows: list[tuple[object, ...]] = []
        self._settled: list[tuple[int, int]] = []
        self._tally: tallies.Tally = Counter()
        self._externals: dict[tuple[int, External], int] = {}
        self._origins: dict[Origin, int] = {}
        self._classes: set[int] = set()
        self._digests: dict[int, settled.Row] = {}
        self._undigested: set[int] = set()

    def write(self, outcome: Outcome, current: _Current) -> None:
        symbol_id, workspace_id = outcome.symbol_id, current.workspace_id
        origin_id = self._origin(outcome.origin)
        # SQLite is given text and numbers as such: it takes several times as long over an enum.
        asked = outcome.operation.value
        distinct = {
            (
                self._target(each.target, workspace_id),
                _TEXTS[each.relation],
                each.line,
                each.column,
            ): (origin_id, int(each.by_syntax), int(each.unparsed), self._at, "")
            for each in outcome.edges
        }
        self._rows += [(symbol_id, asked, *key, *rest) for key, rest in distinct.items()]
        for _, relation, _, _ in distinct:
            self._tally[workspace_id, relation] += 1
            if relation == Relation.INHERITS:
                self._classes.add(symbol_id)
        kind = OutcomeKind.EDGES
        if outcome.failed or not distinct:
            kind = OutcomeKind.ERROR if outcome.failed else OutcomeKind.NONE
            sentinel = ERROR_SYMBOL if outcome.failed else NONE_SYMBOL
            self._rows.append(
                (symbol_id, asked, sentinel, "", 0, 0, origin_id, 0, 0, self._at, outcome.reason)
            )
        self._tally[workspace_id, f"outcome:{kind}"] += 1
        self._settled.append((~outcome.operation.bit, symbol_id))
        # What this outcome alone does not settle is looked at when all are written.
        if current.failed or NEEDED_OPERATIONS[SymbolKind(current.kind)] != {outcome.operation}:
            self._undigested.add(symbol_id)
        elif current.sites is not None:
            unresolved = settled.packed(current.sites, {key[2:] for key in distinct})
            self._digests[symbol_id] = settled.Row(
                symbol_id, workspace_id, self._at, origin_id, unresolved
            )

    def finish(self, failed: set[int]) -> None:
        """Write everything; ``failed`` are those that will be tried again, or given up."""
        self._connection.executemany(INSERT_EDGE, self._rows)
        self._connection.executemany(
            "UPDATE symbol SET pending = pending & ? WHERE id = ?", self._settled
        )
        tallies.add(self._connection, self._tally)
        overrides.derive(self._connection, self._classes, self._at)
        rows = (row for row in self._digests.values() if row.symbol_id not in failed)
        settled.write(self._connection, rows)
        settled.renew(self._connection, self._undigested)

    def _origin(self, origin: Origin) -> int:
        if (known := self._origins.get(origin)) is None:
            known = self._origins[origin] = origin_id(self._connection, origin)
        return known

    def _target(self, target: int | External, workspace_id: int) -> int:
        if isinstance(target, int):
            return target
        key = (workspace_id, target)
        if (known := self._externals.get(key)) is None:
            known = self._externals[key] = _external(self._connection, workspace_id, target)
        return known


def origin_id(connection: sqlite3.Connection, origin: Origin) -> int:
    """The row of who gave an answer, made where it is new."""
    connection.execute(
        "INSERT OR IGNORE INTO origin (server, version) VALUES (?, ?)",
        (origin.server, origin.version),
    )
    row = connection.execute(
        "SELECT id FROM origin WHERE server = ? AND version = ?", (origin.server, origin.version)
    ).fetchone()
    return int(row[0])


def _external(connection: sqlite3.Connection, workspace_id: int, external: External) -> int:
    # Its kind is not kept: a function in stubs can be a variable in the module itself, and which of
    # the two an answer leads to first is chance.
    uid = f"{external.package} {external.name}"
    row = connection.execute(
        "SELECT id FROM symbol WHERE workspace_id = ? AND uid = ?", (workspace_id, uid)
    ).fetchone()
    if row is not None:
        return int(row[0])
    cursor = connection.execute(
        """INSERT INTO symbol (workspace_id, language, uid, name, qualified_name, kind, line,
               "column", start_line, start_column, end_line, end_column, overload, digest,
               face, revision, rank, pending, failed)
           VALUES (?, '', ?, ?, ?, 'external', 0, 0, 0, 0, 0, 0, 0, x'', x'', 0, 0, 0, 0)""",
        (workspace_id, uid, external.name.rpartition(".")[2], external.name),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def settle_by_text(
    connection: sqlite3.Connection, symbols: Iterable[tuple[int, int]], at: float
) -> None:
    """Write `none` for symbols (workspace, id) whose text names nothing: nobody need be asked."""
    origin = origin_id(connection, SYNTAX)
    tally: tallies.Tally = Counter()
    rows = []
    for workspace_id, symbol_id in symbols:
        rows.append(
            (symbol_id, Operation.DEFINITION, NONE_SYMBOL, "", 0, 0, origin, 1, 0, at, "no sites")
        )
        tally[workspace_id, f"outcome:{OutcomeKind.NONE}"] += 1
    connection.executemany(INSERT_EDGE, rows)
    tallies.add(connection, tally)


def reopen(
    connection: sqlite3.Connection,
    symbol_ids: Iterable[int],
    at: float,
    operations: tuple[Operation, ...] = tuple(Operation),
) -> None:
    """Delete the outcomes of these operations; what is pending then is for the caller to mark."""
    tally: tallies.Tally = Counter()
    heirs: set[int] = set()
    for symbol_id in symbol_ids:
        settled.forget(connection, symbol_id)
        workspace_id = connection.execute(
            "SELECT workspace_id FROM symbol WHERE id = ?", (symbol_id,)
        ).fetchone()[0]
        for operation in operations:
            rows = connection.execute(
                "DELETE FROM edge WHERE source = ? AND operation = ? RETURNING relation, target",
                (symbol_id, operation),
            ).fetchall()
            if rows:
                _count_outcome(tally, workspace_id, rows)
            if any(relation == Relation.INHERITS for relation, _ in rows):
                heirs.add(symbol_id)
    tallies.add(connection, tally)
    overrides.derive(connection, heirs, at)


def _count_outcome(
    tally: tallies.Tally, workspace_id: int, rows: Sequence[tuple[str, int]]
) -> None:
    kind = OutcomeKind.EDGES
    for relation, target in rows:
        if target == ERROR_SYMBOL:
            kind = OutcomeKind.ERROR
        elif target == NONE_SYMBOL:
            kind = OutcomeKind.NONE
        else:
            tally[workspace_id, relation] -= 1
    tally[workspace_id, f"outcome:{kind}"] -= 1


def drop_unused_externals(connection: sqlite3.Connection, workspace_id: int) -> None:
    """Forget targets outside the workspace that nothing points at any more."""
    connection.execute(
        """DELETE FROM symbol WHERE workspace_id = ? AND file_id IS NULL
           AND NOT EXISTS (SELECT 1 FROM edge WHERE edge.target = symbol.id)""",
        (workspace_id,),
    )


def _current(connection: sqlite3.Connection, ids: set[int]) -> dict[int, _Current]:
    query = """
        SELECT id, revision, workspace_id, pending, failed, kind, site.data
        FROM symbol LEFT JOIN site ON site.symbol_id = symbol.id WHERE"""
    rows = select_in(connection, query, ids)
    return {row[0]: _Current(*row[1:]) for row in rows}


def _alive(connection: sqlite3.Connection, outcomes: Iterable[Outcome]) -> set[int]:
    targets = {
        edge.target
        for outcome in outcomes
        for edge in outcome.edges
        if isinstance(edge.target, int)
    }
    return {row[0] for row in select_in(connection, "SELECT id FROM symbol WHERE", targets)}
