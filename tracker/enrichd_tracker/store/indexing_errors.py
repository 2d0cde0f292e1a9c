"""What went wrong while indexing: each error once, counted, open until it is over."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from enrichd_tracker.indexing_errors import (
    MAX_MESSAGE_CHARS,
    MAX_TRACEBACK_CHARS,
    fingerprint,
    kept,
)
from enrichd_tracker.model import ErrorStatus, ErrorType, Failure, Stage
from enrichd_tracker.store.port_runs import ErrorCount, ErrorPlace, ErrorQuery, StoredError
from enrichd_tracker.store.slices import select_in

_REFUSED = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, ValueError)
"""What is wrong with one row; anything else is the database's trouble, and the caller's."""

_GIVEN_UP = """SELECT 1 FROM failure
    JOIN symbol ON symbol.id = failure.symbol_id JOIN file ON file.id = symbol.file_id
    WHERE failure.next_retry_at IS NULL AND file.workspace_id = indexing_error.workspace_id
        AND file.path = indexing_error.path"""
"""Whether symbols of an error's file are given up."""


def log_error(
    connection: sqlite3.Connection,
    workspace_id: int,
    path: str,
    language: str,
    failure: Failure,
    at: float,
) -> None:
    """Record what went wrong with a file; the same again is counted, not added.

    Inside a transaction it is a part of it. An error that can't be recorded breaks off nothing.
    """
    connection.execute("SAVEPOINT error")
    try:
        _write(connection, workspace_id, path, language, failure, at)
    except _REFUSED:
        connection.execute("ROLLBACK TO error")
    connection.execute("RELEASE error")


def _write(
    connection: sqlite3.Connection,
    workspace_id: int,
    path: str,
    language: str,
    failure: Failure,
    at: float,
) -> None:
    connection.execute(
        """INSERT INTO indexing_error (workspace_id, path, error_type, stage, language, message,
               traceback, recoverable, status, fingerprint, count, first_seen, last_seen)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'open', ?, 1, ?, ?)
           ON CONFLICT (workspace_id, fingerprint) DO UPDATE SET count = count + 1,
               last_seen = excluded.last_seen, message = excluded.message,
               traceback = excluded.traceback,
               status = iif(status = 'ignored', 'ignored', 'open')""",
        (
            workspace_id,
            path,
            failure.type,
            failure.stage,
            language,
            kept(failure.message, MAX_MESSAGE_CHARS),
            kept(failure.traceback, MAX_TRACEBACK_CHARS),
            failure.recoverable,
            fingerprint(path, failure),
            at,
            at,
        ),
    )


def resolve(
    connection: sqlite3.Connection, workspace_id: int, path: str, kind: ErrorType | None = None
) -> None:
    """The file is fine now, or gone; or one step can do with it what it could not."""
    connection.execute(
        f"""UPDATE indexing_error SET status = 'resolved'
            WHERE workspace_id = ? AND path = ? AND status = 'open'
                AND error_type = coalesce(?, error_type)
                AND NOT (error_type = 'enrichment_error' AND EXISTS ({_GIVEN_UP}))""",
        (workspace_id, path, kind),
    )


def set_status(
    connection: sqlite3.Connection, workspace_id: int, error_id: int, status: ErrorStatus
) -> bool:
    """What a person says of an error; False where there is none of this id.

    One that is reopened though its file has meanwhile been indexed whole, or is gone, is over.
    """
    done = connection.execute(
        """UPDATE indexing_error SET status = iif(
               ? = 'open' AND stage <> ? AND NOT EXISTS (
                   SELECT 1 FROM file JOIN parse_result ON parse_result.file_id = file.id
                   WHERE file.workspace_id = indexing_error.workspace_id
                       AND file.path = indexing_error.path AND parse_result.status <> 'ok'),
               'resolved', ?)
           WHERE workspace_id = ? AND id = ?""",
        (status, Stage.ANALYZING, status, workspace_id, error_id),
    )
    return done.rowcount > 0


def error_paths(
    connection: sqlite3.Connection, workspace_id: int, kind: ErrorType | None = None
) -> set[str]:
    """Which files open errors are about."""
    rows = connection.execute(
        """SELECT DISTINCT path FROM indexing_error
           WHERE workspace_id = ? AND status = 'open' AND error_type = coalesce(?, error_type)""",
        (workspace_id, kind),
    )
    return {row[0] for row in rows}


def open_among(connection: sqlite3.Connection, workspace_id: int, paths: Iterable[str]) -> set[str]:
    """Which of these files open errors are about."""
    query = f"""SELECT path FROM indexing_error
        WHERE workspace_id = {int(workspace_id)} AND status = 'open' AND"""
    return {row[0] for row in select_in(connection, query, paths, "path")}


def walk_problems(connection: sqlite3.Connection, workspace_id: int) -> dict[str, str]:
    """Path and message of what the last look at everything could not take in.

    Those that are ignored are among them: they are known, and stay ignored when they are over.
    """
    rows = connection.execute(
        """SELECT path, message FROM indexing_error
           WHERE workspace_id = ? AND status <> 'resolved' AND stage = ?""",
        (workspace_id, Stage.ANALYZING),
    )
    return dict(rows.fetchall())


def note_walk_problems(
    connection: sqlite3.Connection,
    workspace_id: int,
    problems: Iterable[tuple[str, Failure]],
    gone: Iterable[str],
    at: float,
) -> None:
    """Record what could not be taken in, and that the rest of it can be, or is gone."""
    for path in gone:
        resolve(connection, workspace_id, path)
    for path, failure in problems:
        resolve(connection, workspace_id, path)
        log_error(connection, workspace_id, path, "", failure, at)


def count(connection: sqlite3.Connection, workspace_id: int | None) -> dict[str, int]:
    """Open errors by type."""
    return dict(
        connection.execute(
            """SELECT error_type, count(*) FROM indexing_error
               WHERE status = 'open' AND workspace_id = coalesce(?, workspace_id)
               GROUP BY error_type""",
            (workspace_id,),
        ).fetchall()
    )


def get_errors(
    connection: sqlite3.Connection,
    wanted: ErrorQuery,
    limit: int,
    offset: int = 0,
    before: ErrorPlace | None = None,
) -> list[StoredError]:
    """Those last seen first; with ``before`` only those that come after that place."""
    condition, values = _condition(wanted)
    if before is not None:
        condition += " AND (last_seen, indexing_error.id) < (?, ?)"
        values += before
    rows = connection.execute(
        f"""SELECT indexing_error.id, workspace.name, path, error_type, stage, language, message,
                traceback, recoverable, status, count, first_seen, last_seen
            FROM indexing_error JOIN workspace ON workspace.id = workspace_id
            WHERE {condition} ORDER BY last_seen DESC, indexing_error.id DESC LIMIT ? OFFSET ?""",
        (*values, limit, offset),
    )
    return [_error(row) for row in rows]


def _error(row: tuple[Any, ...]) -> StoredError:
    values = (*row[:8], bool(row[8]), *row[9:])
    return StoredError(*values)


def get_error_summary(connection: sqlite3.Connection, wanted: ErrorQuery) -> list[ErrorCount]:
    """How many of each type."""
    condition, values = _condition(wanted)
    rows = connection.execute(
        f"""SELECT error_type, count(*), count(DISTINCT workspace_id || '/' || path), sum(count)
            FROM indexing_error WHERE {condition} GROUP BY error_type ORDER BY error_type""",
        values,
    )
    return [ErrorCount(*row) for row in rows]


def _condition(wanted: ErrorQuery) -> tuple[str, list[object]]:
    values = {
        "workspace_id = ?": wanted.workspace_id,
        "error_type = ?": wanted.error_type,
        "language = ?": wanted.language,
        "path GLOB ?": wanted.path,
        "status = ?": wanted.status,
        "indexing_error.id = ?": wanted.id,
        "last_seen >= ?": wanted.since,
    }
    given = {text: value for text, value in values.items() if value is not None}
    return " AND ".join(given) or "1", list(given.values())
