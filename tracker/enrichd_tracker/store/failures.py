"""The table of failures: the tracker's records, kept in step with the graph."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from enrichd_tracker.enrichment import FailureRecord
from enrichd_tracker.indexing_errors import given_up
from enrichd_tracker.model import (
    ErrorType,
    Failure,
    Lane,
    Stage,
    operation_mask,
    operations_of,
)
from enrichd_tracker.store import indexing_errors

_SELECT = """
    SELECT failure.symbol_id, symbol.uid, symbol.workspace_id, symbol.language, file.path,
        symbol.line, symbol.name, symbol.kind, failure.attempts, failure.last_attempt_at,
        failure.next_retry_at, failure.operations, failure.reason, failure.server
    FROM failure JOIN symbol ON symbol.id = failure.symbol_id JOIN file ON file.id = symbol.file_id
"""


def remember(connection: sqlite3.Connection, records: Iterable[FailureRecord]) -> None:
    """Write the records; a symbol that is gone meanwhile has none."""
    for record in records:
        changed = connection.execute(
            "UPDATE symbol SET failed = 1 WHERE id = ?", (record.symbol_id,)
        ).rowcount
        if changed:
            if record.skipped:
                indexing_errors.log_error(
                    connection,
                    record.lane.workspace_id,
                    record.file,
                    record.lane.language,
                    Failure(ErrorType.ENRICHMENT, Stage.ENRICHING, given_up(record.reason)),
                    record.last_attempt_at,
                )
            connection.execute(
                "INSERT OR REPLACE INTO failure VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    record.symbol_id,
                    record.attempts,
                    record.last_attempt_at,
                    record.next_retry_at,
                    operation_mask(record.operations),
                    record.reason,
                    record.server,
                ),
            )


def forget(connection: sqlite3.Connection, symbol_ids: Iterable[int]) -> list[int]:
    """Delete what is remembered of these symbols; returns those that had failed."""
    failed = []
    for symbol_id in symbol_ids:
        removed = connection.execute(
            "DELETE FROM failure WHERE symbol_id = ? RETURNING next_retry_at IS NULL", (symbol_id,)
        ).fetchone()
        if removed is None:
            continue
        connection.execute("UPDATE symbol SET failed = 0 WHERE id = ?", (symbol_id,))
        failed.append(symbol_id)
        if removed[0]:
            _settle_errors(connection, symbol_id)
    return failed


def _settle_errors(connection: sqlite3.Connection, symbol_id: int) -> None:
    """A symbol is given up no more: with the last one of its file the file's error is over."""
    place = connection.execute(
        "SELECT file.workspace_id, file.path FROM file JOIN symbol ON file_id = file.id "
        "WHERE symbol.id = ?",
        (symbol_id,),
    ).fetchone()
    if place is not None:
        workspace_id, path = place
        indexing_errors.resolve(connection, workspace_id, path, ErrorType.ENRICHMENT)


def recall(
    connection: sqlite3.Connection,
    *,
    workspace_id: int | None = None,
    skipped: bool | None = None,
    limit: int = -1,
    offset: int = 0,
) -> list[FailureRecord]:
    """The records, those due first, then those skipped; all of them or a page."""
    where, values = [], list[object]()
    if workspace_id is not None:
        where.append("symbol.workspace_id = ?")
        values.append(workspace_id)
    if skipped is not None:
        where.append(f"failure.next_retry_at IS {'' if skipped else 'NOT '}NULL")
    condition = f"WHERE {' AND '.join(where)}" if where else ""
    rows = connection.execute(
        f"""{_SELECT} {condition}
            ORDER BY failure.next_retry_at IS NULL, failure.next_retry_at, symbol.uid
            LIMIT ? OFFSET ?""",
        (*values, limit, offset),
    )
    return [_record(row) for row in rows]


def recall_one(connection: sqlite3.Connection, symbol_id: int) -> FailureRecord | None:
    """The record of one symbol."""
    row = connection.execute(f"{_SELECT} WHERE failure.symbol_id = ?", (symbol_id,)).fetchone()
    return _record(row) if row else None


def _record(row: tuple[Any, ...]) -> FailureRecord:
    symbol_id, uid, workspace_id, language, *place, operations, reason, server = row
    path, line, name, kind, attempts, last_attempt_at, next_retry_at = place
    return FailureRecord(
        symbol_id=symbol_id,
        uid=uid,
        lane=Lane(workspace_id, language),
        file=path,
        line=line,
        name=name,
        kind=kind,
        attempts=attempts,
        last_attempt_at=last_attempt_at,
        next_retry_at=next_retry_at,
        operations=operations_of(operations),
        reason=reason,
        server=server,
    )
