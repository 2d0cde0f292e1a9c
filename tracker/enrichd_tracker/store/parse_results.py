"""How each file parsed, and how that went from run to run."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping

from enrichd_tracker.indexing_errors import MAX_MESSAGE_CHARS, kept
from enrichd_tracker.model import ParsedFile, ParseStatus
from enrichd_tracker.store.port_runs import ParseCount, ParseRun, StoredParseResult


def row_of(file: ParsedFile, file_id: int, at: float) -> tuple[object, ...]:
    """A row of the table, column by column."""
    return (
        file_id,
        file.status,
        json.dumps(file.error_lines) if file.error_lines else "[]",
        file.error_count,
        file.lost_bytes,
        kept(file.failure.message, MAX_MESSAGE_CHARS) if file.failure else "",
        at,
    )


def count(connection: sqlite3.Connection, workspace_id: int) -> dict[str, int]:
    """Files by how they parsed; every status is there."""
    # Every file has a row, and few do not say `ok`: only these are looked at.
    rows = connection.execute(
        """SELECT status, count(*)
           FROM parse_result CROSS JOIN file ON file.id = parse_result.file_id
           WHERE status <> 'ok' AND file.workspace_id = ? GROUP BY status""",
        (workspace_id,),
    )
    found = dict.fromkeys(map(str, ParseStatus), 0) | dict(rows.fetchall())
    every = "SELECT coalesce(sum(files), 0) FROM language_count WHERE workspace_id = ?"
    files: int = connection.execute(every, (workspace_id,)).fetchone()[0]
    found[ParseStatus.OK] = files - sum(found.values())
    others = "SELECT count(*) FROM unsupported_file WHERE workspace_id = ?"
    found[ParseStatus.UNSUPPORTED] += connection.execute(others, (workspace_id,)).fetchone()[0]
    return found


def unsupported(connection: sqlite3.Connection, workspace_id: int) -> dict[str, str]:
    """Path to language of the source that is in languages known by name only."""
    rows = connection.execute(
        "SELECT path, language FROM unsupported_file WHERE workspace_id = ?", (workspace_id,)
    )
    return dict(rows.fetchall())


def note_unsupported(
    connection: sqlite3.Connection, workspace_id: int, now: Mapping[str, str], at: float
) -> None:
    """Have these in place of those that were found before."""
    before = unsupported(connection, workspace_id)
    connection.executemany(
        "DELETE FROM unsupported_file WHERE workspace_id = ? AND path = ?",
        [(workspace_id, path) for path in before if path not in now],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO unsupported_file VALUES (?, ?, ?, ?)",
        [
            (workspace_id, path, language, at)
            for path, language in now.items()
            if before.get(path) != language
        ],
    )


def find(
    connection: sqlite3.Connection,
    workspace_id: int,
    *,
    status: str | None,
    language: str | None,
    path: str | None,
    limit: int,
    offset: int,
) -> list[StoredParseResult]:
    """The files in order of their paths; ``path`` is a glob."""
    rows = connection.execute(
        """SELECT * FROM (
               SELECT path, language, status, error_lines, error_count, lost_bytes, size, message,
                   parsed_at
               FROM file JOIN parse_result ON parse_result.file_id = file.id
               WHERE workspace_id = ?1
               UNION ALL
               SELECT path, language, 'unsupported', '[]', 0, 0, 0,
                   language || ' is not parsed by enrichd', found_at
               FROM unsupported_file WHERE workspace_id = ?1
           )
           WHERE (?2 IS NULL OR status = ?2) AND (?3 IS NULL OR language = ?3)
               AND (?4 IS NULL OR path GLOB ?4)
           ORDER BY path LIMIT ?5 OFFSET ?6""",
        (workspace_id, status, language, path, limit, offset),
    )
    return [
        StoredParseResult(name, spoken, how, json.loads(lines), *more)
        for name, spoken, how, lines, *more in rows
    ]


def by_language(connection: sqlite3.Connection, workspace_id: int) -> list[ParseCount]:
    """Files by how they parsed, for each language."""
    rows = connection.execute(
        """SELECT language, count(*) FILTER (WHERE status = 'ok'),
               count(*) FILTER (WHERE status = 'partial'),
               count(*) FILTER (WHERE status = 'error'),
               count(*) FILTER (WHERE status = 'unsupported'), sum(size), sum(lost_bytes)
           FROM file JOIN parse_result ON parse_result.file_id = file.id
           WHERE workspace_id = ?1 GROUP BY language
           UNION ALL
           SELECT language, 0, 0, 0, count(*), 0, 0 FROM unsupported_file
           WHERE workspace_id = ?1 GROUP BY language ORDER BY language""",
        (workspace_id,),
    )
    return [ParseCount(*row) for row in rows]


def remember(
    connection: sqlite3.Connection, workspace_id: int, job_id: str, commit: str | None, at: float
) -> None:
    """Keep how the files stand after a run."""
    counts = count(connection, workspace_id)
    connection.execute(
        "INSERT OR REPLACE INTO parse_history VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (job_id, workspace_id, at, commit, *(counts[str(each)] for each in ParseStatus)),
    )


def history(connection: sqlite3.Connection, workspace_id: int, limit: int) -> list[ParseRun]:
    """How the files stood after the last runs, the newest first."""
    rows = connection.execute(
        """SELECT job_id, at, commit_id, ok, partial, error, unsupported FROM parse_history
           WHERE workspace_id = ? ORDER BY at DESC LIMIT ?""",
        (workspace_id, limit),
    )
    return [ParseRun(*row) for row in rows]
