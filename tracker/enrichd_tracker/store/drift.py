"""A second look at what is settled: samples of it, how an answer differs, and putting it right.

Samples are found by primary key, so that they cost the same in every graph, however large.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from msgspec import structs

from enrichd_tracker.model import (
    External,
    Origin,
    Outcome,
    OutcomeKind,
    Work,
    operations_of,
)
from enrichd_tracker.store import edges, orphans
from enrichd_tracker.store.port import Batch, Difference, SeenEdge
from enrichd_tracker.store.slices import select_in

_LOOKED_AT = 256
"""So many symbols after a random place are looked at for one that is settled."""
_SENTINELS = 2
_NO_INODE = -1
_NONE = SeenEdge("", OutcomeKind.NONE, 0, 0)

# Only what has an outcome of `edges` or `none`: with an error comes the mark `failed`.
_KINDS = ", ".join(f"'{kind}'" for kind, needed in orphans.NEEDED_MASKS.items() if needed)
_SETTLED = (
    f"{{0}}.pending = 0 AND {{0}}.failed = 0 AND {{0}}.file_id NOT NULL AND kind IN ({_KINDS})"
)
_SYMBOL_SETTLED = _SETTLED.format("symbol")


def sample(connection: sqlite3.Connection, places: Iterable[float]) -> list[Work]:
    """The settled symbols at these places, each from 0 up to 1, in the order of all symbols.

    Of a place without one within reach there is none, and of two at the same symbol one.
    """
    low, high = connection.execute(
        "SELECT (SELECT min(id) FROM symbol WHERE id > ?), (SELECT max(id) FROM symbol)",
        (_SENTINELS,),
    ).fetchone()
    if low is None:
        return []
    found: set[int] = set()
    for place in places:
        row = connection.execute(
            f"""SELECT id FROM (SELECT id, pending, failed, file_id, kind FROM symbol
                                WHERE id >= ? ORDER BY id LIMIT ?) AS near
                WHERE {_SETTLED.format("near")} LIMIT 1""",
            (low + int(place * (high - low + 1)), _LOOKED_AT),
        ).fetchone()
        if row is not None:
            found.add(row[0])
    return settled(connection, found)


def settled(connection: sqlite3.Connection, symbol_ids: Iterable[int]) -> list[Work]:
    """The work that finding out about these symbols was; what is not settled is left out."""
    works = []
    query = f"{orphans.WORK} WHERE {_SYMBOL_SETTLED} AND"
    for row in select_in(connection, query, symbol_ids, "symbol.id"):
        work = orphans.work_of(row)
        required = orphans.required(connection, work.lane.workspace_id)
        asked_for = required.get(work.lane.language, orphans.DEFAULT_OPERATIONS)
        operations = operations_of(orphans.NEEDED_MASKS[work.kind] & asked_for)
        if operations:
            works.append(structs.replace(work, operations=operations))
    return works


def settled_in(connection: sqlite3.Connection, file_id: int, limit: int) -> list[int]:
    """The ids of at most ``limit`` settled symbols of a file."""
    rows = connection.execute(
        f"SELECT id FROM symbol WHERE file_id = ? AND {_SYMBOL_SETTLED} ORDER BY id LIMIT ?",
        (file_id, limit),
    )
    return [row[0] for row in rows]


def difference(connection: sqlite3.Connection, outcome: Outcome) -> Difference | None:
    """What is stored against what was found; None where the symbol is not as it was asked about.

    None too where a target is gone: then the answer is about another graph than this one.
    """
    indexed_at = _as_asked(connection, outcome)
    targets = _uids(connection, outcome)
    if indexed_at is None or targets is None:
        return None
    rows = connection.execute(
        """SELECT relation, target.uid, edge.line, edge."column", at, server, version
           FROM edge JOIN symbol target ON target.id = edge.target
               JOIN origin ON origin.id = edge.origin_id
           WHERE edge.source = ? AND edge.operation = ?""",
        (outcome.symbol_id, outcome.operation),
    ).fetchall()
    # An explicit `none` is an edge like another: to the symbol of that name.
    stored = {SeenEdge(*row[:4]) for row in rows}
    found = {
        SeenEdge(edge.relation, targets[edge.target], edge.line, edge.column)
        for edge in outcome.edges
    } or {_NONE}
    return Difference(
        missing=sorted(found - stored, key=_place),
        extra=sorted(stored - found, key=_place),
        at=rows[0][4] if rows else None,
        origin=Origin(*rows[0][5:]) if rows else None,
        indexed_at=indexed_at,
    )


def _as_asked(connection: sqlite3.Connection, outcome: Outcome) -> float | None:
    """When the symbol's file was indexed; None if it is not as it was asked about any more."""
    row = connection.execute(
        """SELECT parse_result.parsed_at FROM symbol
               JOIN parse_result ON parse_result.file_id = symbol.file_id
           WHERE symbol.id = ? AND revision = ? AND pending = 0 AND failed = 0""",
        (outcome.symbol_id, outcome.revision),
    ).fetchone()
    return row[0] if row else None


def _uids(connection: sqlite3.Connection, outcome: Outcome) -> dict[int | External, str] | None:
    """The uids of the outcome's targets; None when one of them is gone."""
    uids: dict[int | External, str] = {}
    for target in {edge.target for edge in outcome.edges}:
        if not isinstance(target, int):
            uids[target] = f"{target.package} {target.name}"  # as ``edges`` names it
            continue
        row = connection.execute("SELECT uid FROM symbol WHERE id = ?", (target,)).fetchone()
        if row is None:
            return None
        uids[target] = row[0]
    return uids


def _place(edge: SeenEdge) -> tuple[int, int, str, str]:
    return edge.line, edge.column, edge.relation, edge.target


def replace(
    connection: sqlite3.Connection, outcomes: list[Outcome], at: float, *, recount: bool
) -> bool:
    """Write one symbol's outcomes in place of the stored ones; whether it was still as asked.

    It is one transaction, and the writing is that of every other outcome. ``recount``: whatever
    brought wrong edges in may have done so behind the back of the counts of the workspace.
    """
    for outcome in outcomes:
        if _as_asked(connection, outcome) is None or _uids(connection, outcome) is None:
            return False
    for outcome in outcomes:
        edges.reopen(connection, [outcome.symbol_id], at, (outcome.operation,))
        connection.execute(
            "UPDATE symbol SET pending = pending | ? WHERE id = ?",
            (outcome.operation.bit, outcome.symbol_id),
        )
    edges.commit(connection, Batch(outcomes, [], []), at)
    if recount:
        _recount(connection, outcomes[0].symbol_id)
    return True


def _recount(connection: sqlite3.Connection, symbol_id: int) -> None:
    """Make the counts of the symbol's workspace what its edges say; looks at all of them."""
    (workspace_id,) = connection.execute(
        "SELECT workspace_id FROM symbol WHERE id = ?", (symbol_id,)
    ).fetchone()
    connection.execute("DELETE FROM tally WHERE workspace_id = ?", (workspace_id,))
    connection.execute(
        """INSERT INTO tally SELECT ?1, relation, count(*)
           FROM edge JOIN symbol ON symbol.id = edge.source
           WHERE workspace_id = ?1 AND relation <> '' GROUP BY relation""",
        (workspace_id,),
    )
    # An error stands beside the edges that were found before it.
    connection.execute(
        """INSERT INTO tally
           SELECT ?1, 'outcome:' || coalesce(said, ?2), count(*) FROM (
               SELECT max(CASE WHEN relation = '' THEN target.name END) AS said
               FROM edge JOIN symbol ON symbol.id = edge.source
                   JOIN symbol target ON target.id = edge.target
               WHERE symbol.workspace_id = ?1 AND operation <> 'syntax'
               GROUP BY source, operation)
           GROUP BY said""",
        (workspace_id, OutcomeKind.EDGES),
    )


def distrust(connection: sqlite3.Connection, workspace_id: int, path: str) -> None:
    """Have the next run read a file anew, whatever its size, time and inode say."""
    connection.execute(
        "UPDATE file SET inode = ? WHERE workspace_id = ? AND path = ?",
        (_NO_INODE, workspace_id, path),
    )
