"""Orphans: which operations a symbol lacks, and handing them out as claimed work.

`symbol.pending` is derived: what the symbol's kind needs, as far as the lane's server is asked
for it, less what has edges. Orphans that never failed are found through a partial index; those
that failed are asked for by id, since only the tracker knows when their time has come.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from enrichd_tracker.model import (
    CALLABLES,
    NEEDED_OPERATIONS,
    TYPES,
    Lane,
    Operation,
    Site,
    SymbolKind,
    Work,
    operation_mask,
    operations_of,
)
from enrichd_tracker.store import edges, failures, settled
from enrichd_tracker.store.rows import file_of
from enrichd_tracker.store.slices import select_in

NEEDED_MASKS = {kind: operation_mask(needed) for kind, needed in NEEDED_OPERATIONS.items()}
DEFAULT_OPERATIONS = operation_mask((Operation.DEFINITION,))

ASKED_RANK = -1
URGENT_RANK = 0
_RANKS = {
    **dict.fromkeys(SymbolKind, 3),
    **dict.fromkeys(TYPES, 2),
    **dict.fromkeys(CALLABLES | {SymbolKind.PROPERTY}, 1),
}

_sites = msgspec.msgpack.Decoder(list[Site])

WORK = """
    SELECT file.id, file.path, file.language, file.size, file.mtime_ns, file.inode, file.digest,
        parse_result.status, file.is_ascii, symbol.id, symbol.revision, symbol.workspace_id,
        symbol.language, symbol.uid, symbol.name, symbol.kind, symbol.line, symbol.pending,
        site.data
    FROM symbol JOIN file ON file.id = symbol.file_id
        JOIN parse_result ON parse_result.file_id = file.id
        LEFT JOIN site ON site.symbol_id = symbol.id"""


def rank_of(kind: SymbolKind) -> int:
    """Functions and methods before types before the rest; before them what somebody asked for,
    and what changed."""
    return _RANKS[kind]


def prefer(connection: sqlite3.Connection, symbol_ids: Iterable[int]) -> None:
    """Let these orphans be served before all others: somebody waits for an answer."""
    connection.executemany(
        "UPDATE symbol SET rank = ? WHERE id = ? AND pending <> 0",
        [(ASKED_RANK, symbol_id) for symbol_id in symbol_ids],
    )


def required(connection: sqlite3.Connection, workspace_id: int) -> Mapping[str, int]:
    """Operations that each language's server is asked for, as bits."""
    rows = connection.execute(
        "SELECT language, operations FROM requirement WHERE workspace_id = ?", (workspace_id,)
    )
    return dict(rows.fetchall())


def concludes_from_bodies(connection: sqlite3.Connection, workspace_id: int) -> bool:
    """Whether a server of the workspace concludes from bodies what functions return."""
    row = connection.execute(
        "SELECT max(by_bodies) FROM requirement WHERE workspace_id = ?", (workspace_id,)
    ).fetchone()
    return row[0] is None or bool(row[0])  # who is not known yet may well do so


def require(
    connection: sqlite3.Connection,
    lane: Lane,
    server: str,
    operations: tuple[Operation, ...],
    *,
    version: str,
    settings: str,
    by_bodies: bool,
    at: float,
) -> list[int]:
    """Set what the lane's server is asked for; returns symbols whose failures are reconsidered.

    Pending marks follow: an operation that is no longer asked for is neither `none` nor `error`.
    Another server, version, configuration or set of operations is a reason to try again what
    failed.
    """
    old = connection.execute(
        """SELECT server, version, settings, operations FROM requirement
           WHERE workspace_id = ? AND language = ?""",
        (lane.workspace_id, lane.language),
    ).fetchone()
    mask = operation_mask(operations)
    version = version or (old[1] if old and old[0] == server else "")
    connection.execute(
        "INSERT OR REPLACE INTO requirement VALUES (?, ?, ?, ?, ?, ?, ?)",
        (lane.workspace_id, lane.language, server, version, settings, mask, by_bodies),
    )
    others = (old[3] if old else DEFAULT_OPERATIONS) != mask
    if others:
        _change_operations(connection, lane, mask, at)
    if not others and (old is None or (old[0], old[1], old[2]) == (server, version, settings)):
        return []
    failed = [
        row[0]
        for row in connection.execute(
            """SELECT DISTINCT edge.source FROM edge JOIN symbol ON symbol.id = edge.source
               WHERE edge.target = ? AND edge.relation = ''
                   AND symbol.workspace_id = ? AND symbol.language = ?
               UNION
               SELECT failure.symbol_id FROM failure JOIN symbol ON symbol.id = failure.symbol_id
               WHERE symbol.workspace_id = ? AND symbol.language = ?""",
            (
                edges.ERROR_SYMBOL,
                lane.workspace_id,
                lane.language,
                lane.workspace_id,
                lane.language,
            ),
        )
    ]
    return reopen(connection, failed, at)


def _change_operations(connection: sqlite3.Connection, lane: Lane, mask: int, at: float) -> None:
    """Drop what is no longer asked for, mark what is asked for from now on."""
    rows = connection.execute(
        "SELECT id, kind FROM symbol WHERE workspace_id = ? AND language = ? AND file_id NOT NULL",
        (lane.workspace_id, lane.language),
    ).fetchall()
    dropped = tuple(operation for operation in Operation if not operation.bit & mask)
    edges.reopen(connection, (row[0] for row in rows), at, dropped)
    for symbol_id, kind in rows:
        _mark(connection, symbol_id, NEEDED_MASKS[SymbolKind(kind)] & mask)
    ids = [row[0] for row in rows]
    _settle_without_sites(connection, ids, at)
    settled.renew(connection, ids)


def _mark(connection: sqlite3.Connection, symbol_id: int, needed: int) -> None:
    done = connection.execute(
        "SELECT DISTINCT operation FROM edge WHERE source = ? AND operation <> 'syntax'",
        (symbol_id,),
    )
    mask = sum(Operation(row[0]).bit for row in done)
    connection.execute("UPDATE symbol SET pending = ? WHERE id = ?", (needed & ~mask, symbol_id))


def reopen(connection: sqlite3.Connection, symbol_ids: Iterable[int], at: float) -> list[int]:
    """Make these symbols orphans again, whatever they were; returns those that had failed."""
    # Between the question and now a symbol may have gone.
    found = select_in(connection, "SELECT id FROM symbol WHERE file_id IS NOT NULL AND", symbol_ids)
    ids = [row[0] for row in found]
    edges.reopen(connection, ids, at)
    had_failed = failures.forget(connection, ids)
    masks: dict[int, Mapping[str, int]] = {}
    for symbol_id in ids:
        workspace_id, language, kind = connection.execute(
            "SELECT workspace_id, language, kind FROM symbol WHERE id = ?", (symbol_id,)
        ).fetchone()
        if workspace_id not in masks:
            masks[workspace_id] = required(connection, workspace_id)
        needed = NEEDED_MASKS[SymbolKind(kind)] & masks[workspace_id].get(
            language, DEFAULT_OPERATIONS
        )
        connection.execute(
            "UPDATE symbol SET pending = ?, revision = revision + 1, rank = ? WHERE id = ?",
            (needed, URGENT_RANK, symbol_id),
        )
    _settle_without_sites(connection, ids, at)
    return had_failed


def _settle_without_sites(connection: sqlite3.Connection, symbol_ids: list[int], at: float) -> None:
    """What names nothing has no outgoing edges: that is known without asking."""
    rows = select_in(
        connection,
        f"""SELECT workspace_id, id FROM symbol
            WHERE pending & {Operation.DEFINITION.bit}
                AND NOT EXISTS (SELECT 1 FROM site WHERE site.symbol_id = symbol.id) AND""",
        symbol_ids,
    )
    edges.settle_by_text(connection, ((row[0], row[1]) for row in rows), at)
    connection.executemany(
        "UPDATE symbol SET pending = pending & ? WHERE id = ?",
        [(~Operation.DEFINITION.bit, row[1]) for row in rows],
    )


def find(connection: sqlite3.Connection, lane: Lane, limit: int, taken: set[int]) -> list[Work]:
    """At most ``limit`` orphans of the lane that never failed and are not in ``taken``.

    None before the workspace's first run went through: on a part of the files the servers'
    answers would be wrong, and nobody would ask again.
    """
    ready = connection.execute(
        "SELECT 1 FROM workspace WHERE id = ? AND indexed_at IS NOT NULL", (lane.workspace_id,)
    )
    if ready.fetchone() is None:
        return []
    rows = connection.execute(
        """SELECT id FROM symbol WHERE workspace_id = ? AND language = ?
               AND pending <> 0 AND failed = 0
           ORDER BY rank, file_id LIMIT ?""",
        (lane.workspace_id, lane.language, limit + len(taken)),
    )
    ids = [row[0] for row in rows if row[0] not in taken][:limit]
    return fetch(connection, ids)


def fetch(connection: sqlite3.Connection, symbol_ids: list[int]) -> list[Work]:
    """The work that these orphans are, in the order of the ids; what is no orphan is left out."""
    rows = select_in(connection, f"{WORK} WHERE symbol.pending <> 0 AND", symbol_ids, "symbol.id")
    by_id = {work.symbol_id: work for work in map(work_of, rows)}
    return [by_id[symbol_id] for symbol_id in symbol_ids if symbol_id in by_id]


def work_of(row: tuple[Any, ...]) -> Work:
    """The work that a row of ``WORK`` is: what is pending."""
    symbol_id, revision, workspace_id, language, uid, name, kind, line, pending, data = row[9:]
    return Work(
        symbol_id=symbol_id,
        revision=revision,
        lane=Lane(workspace_id, language),
        uid=uid,
        name=name,
        kind=SymbolKind(kind),
        file=file_of(row[:9]),
        line=line,
        operations=operations_of(pending),
        sites=_sites.decode(data) if data else [],
    )
