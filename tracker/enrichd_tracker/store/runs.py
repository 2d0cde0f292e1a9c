"""What indexing runs leave behind: jobs and their stages, parse results, indexing errors."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from enrichd_tracker.indexing_errors import (
    MAX_MESSAGE_CHARS,
    MAX_TRACEBACK_CHARS,
    fingerprint,
    kept,
)
from enrichd_tracker.jobs import Job, JobResult, JobStage
from enrichd_tracker.model import Failure, JobStatus, ParsedFile, ParseStatus, Stage


def begin_job(
    connection: sqlite3.Connection,
    job_id: str,
    workspace_id: int,
    kind: str,
    *,
    owner: str,
    lease_until: float,
    at: float,
) -> None:
    """A job that runs from now on, leased by its owner."""
    connection.execute(
        """INSERT INTO job (id, workspace_id, kind, status, owner, lease_until, created_at,
               started_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
        (job_id, workspace_id, kind, JobStatus.RUNNING, owner, lease_until, at, at),
    )


def report_stage(
    connection: sqlite3.Connection,
    job_id: str,
    stage: Stage,
    *,
    processed: int,
    total: int,
    current_item: str = "",
    lease_until: float,
    at: float,
) -> None:
    """How far a stage is; the stages before it are over. Renews the lease."""
    connection.execute(
        "UPDATE job_stage SET completed_at = ? WHERE job_id = ? AND stage <> ? "
        "AND completed_at IS NULL",
        (at, job_id, stage),
    )
    connection.execute(
        """INSERT INTO job_stage VALUES (?, ?, ?, NULL, ?, ?, ?)
           ON CONFLICT DO UPDATE SET processed = excluded.processed, total = excluded.total,
               current_item = excluded.current_item""",
        (job_id, stage, at, processed, total, current_item),
    )
    connection.execute(
        "UPDATE job SET stage = ?, lease_until = ?, files_total = max(files_total, ?) WHERE id = ?",
        (stage, lease_until, total if stage is Stage.PARSING else 0, job_id),
    )


def end_job(connection: sqlite3.Connection, job_id: str, result: JobResult, at: float) -> None:
    """The job ends as its result says."""
    connection.execute(
        "UPDATE job_stage SET completed_at = ? WHERE job_id = ? AND completed_at IS NULL",
        (at, job_id),
    )
    connection.execute(
        """UPDATE job SET status = ?, error_message = ?, files_total = ?, files_indexed = ?,
               files_failed = ?, symbols_found = ?, languages = ?, completed_at = ?
           WHERE id = ?""",
        (
            result.status,
            result.error_message,
            result.files_total,
            result.files_indexed,
            result.files_failed,
            result.symbols_found,
            json.dumps(result.languages, sort_keys=True),
            at,
            job_id,
        ),
    )


def end_interrupted_jobs(connection: sqlite3.Connection, owner: str, at: float) -> list[str]:
    """End what another, dead, owner left running; returns the jobs."""
    connection.execute(
        """UPDATE job_stage SET completed_at = ? WHERE completed_at IS NULL AND job_id IN
               (SELECT id FROM job WHERE completed_at IS NULL AND owner <> ?)""",
        (at, owner),
    )
    rows = connection.execute(
        """UPDATE job SET status = ?, completed_at = ?,
               error_message = 'interrupted: the process that ran it is gone'
           WHERE completed_at IS NULL AND owner <> ? RETURNING id""",
        (JobStatus.FAILED, at, owner),
    ).fetchall()
    return [row[0] for row in rows]


def recent_jobs(
    connection: sqlite3.Connection, workspace_id: int | None = None, limit: int = 10
) -> list[Job]:
    """The newest jobs first."""
    rows = connection.execute(
        """SELECT job.id, workspace.name, kind, status, stage, error_message, files_total,
               files_indexed, files_failed, symbols_found, languages, job.created_at, started_at,
               completed_at
           FROM job JOIN workspace ON workspace.id = job.workspace_id
           WHERE workspace_id = coalesce(?, workspace_id)
           ORDER BY job.created_at DESC, job.rowid DESC LIMIT ?""",
        (workspace_id, limit),
    ).fetchall()
    return [_job(connection, row) for row in rows]


def _job(connection: sqlite3.Connection, row: tuple[Any, ...]) -> Job:
    stage = Stage(row[4]) if row[4] else None
    languages, stages = json.loads(row[10]), _stages(connection, row[0])
    values = (*row[:3], JobStatus(row[3]), stage, *row[5:10], languages, *row[11:], stages)
    return Job(*values)


def _stages(connection: sqlite3.Connection, job_id: str) -> list[JobStage]:
    rows = connection.execute(
        """SELECT stage, started_at, completed_at, processed, total, current_item
           FROM job_stage WHERE job_id = ? ORDER BY started_at, stage""",
        (job_id,),
    )
    return [JobStage(Stage(row[0]), *row[1:]) for row in rows]


def count_jobs(connection: sqlite3.Connection) -> Mapping[str, int]:
    """Jobs by status."""
    return dict(connection.execute("SELECT status, count(*) FROM job GROUP BY status").fetchall())


def parse_result_row(file: ParsedFile, file_id: int, at: float) -> tuple[object, ...]:
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


def paths_with_errors(connection: sqlite3.Connection, workspace_id: int) -> set[str]:
    """The files that open errors are about."""
    rows = connection.execute(
        "SELECT path FROM indexing_error WHERE workspace_id = ? AND status = 'open'",
        (workspace_id,),
    )
    return {row[0] for row in rows}


def log_error(
    connection: sqlite3.Connection,
    workspace_id: int,
    path: str,
    language: str,
    failure: Failure,
    at: float,
) -> None:
    """Record what went wrong with a file; the same again is counted, not added."""
    connection.execute(
        """INSERT INTO indexing_error (workspace_id, path, error_type, stage, language, message,
               traceback, recoverable, status, fingerprint, count, first_seen, last_seen)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'open', ?, 1, ?, ?)
           ON CONFLICT (workspace_id, fingerprint) DO UPDATE SET count = count + 1,
               last_seen = excluded.last_seen, traceback = excluded.traceback,
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


def walk_problems(connection: sqlite3.Connection, workspace_id: int) -> dict[str, str]:
    """Path and message of what the last look at everything could not take in."""
    rows = connection.execute(
        """SELECT path, message FROM indexing_error
           WHERE workspace_id = ? AND status = 'open' AND stage = ?""",
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
        resolve_errors(connection, workspace_id, path)
    for path, failure in problems:
        resolve_errors(connection, workspace_id, path)
        log_error(connection, workspace_id, path, "", failure, at)


def resolve_errors(connection: sqlite3.Connection, workspace_id: int, path: str) -> None:
    """The file is fine now, or gone."""
    connection.execute(
        """UPDATE indexing_error SET status = 'resolved'
           WHERE workspace_id = ? AND path = ? AND status = 'open'""",
        (workspace_id, path),
    )


def count_errors(connection: sqlite3.Connection, workspace_id: int | None) -> Mapping[str, int]:
    """Open errors by type."""
    return dict(
        connection.execute(
            """SELECT error_type, count(*) FROM indexing_error
               WHERE status = 'open' AND workspace_id = coalesce(?, workspace_id)
               GROUP BY error_type""",
            (workspace_id,),
        ).fetchall()
    )


def count_parse_results(connection: sqlite3.Connection, workspace_id: int) -> dict[str, int]:
    """Files by how they parsed; every status is there."""
    rows = connection.execute(
        """SELECT status, count(*) FROM parse_result JOIN file ON file.id = parse_result.file_id
           WHERE file.workspace_id = ? GROUP BY status""",
        (workspace_id,),
    )
    return dict.fromkeys(map(str, ParseStatus), 0) | dict(rows.fetchall())
