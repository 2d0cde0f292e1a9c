"""Jobs and their stages, as they are kept."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from enrichd_tracker.jobs import Job, JobResult, JobStage
from enrichd_tracker.model import JobStatus, Stage

MOST_JOBS = 1_000
"""Of a workspace: older ones are forgotten when a new one begins."""

_JOB = """SELECT job.id, workspace.name, kind, status, stage, error_message, files_total,
        files_indexed, files_failed, symbols_found, languages, job.created_at, started_at,
        completed_at
    FROM job JOIN workspace ON workspace.id = job.workspace_id"""


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
        """DELETE FROM job WHERE workspace_id = ? AND completed_at IS NOT NULL AND created_at < (
               SELECT created_at FROM job WHERE workspace_id = ?
               ORDER BY created_at DESC LIMIT 1 OFFSET ?)""",
        (workspace_id, workspace_id, MOST_JOBS - 2),
    )
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


def newest(
    connection: sqlite3.Connection, workspace_id: int | None, limit: int, offset: int
) -> list[Job]:
    """The newest jobs first."""
    rows = connection.execute(
        f"""{_JOB} WHERE workspace_id = coalesce(?, workspace_id)
            ORDER BY job.created_at DESC, job.rowid DESC LIMIT ? OFFSET ?""",
        (workspace_id, limit, offset),
    ).fetchall()
    return [_job(connection, row) for row in rows]


def named(connection: sqlite3.Connection, job_id: str) -> list[Job]:
    """The jobs whose id begins like this; two at most."""
    rows = connection.execute(
        f"{_JOB} WHERE job.id >= ? AND job.id < ? ORDER BY job.id LIMIT 2",
        (job_id, job_id + "\x7f"),
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


def count(connection: sqlite3.Connection) -> dict[str, int]:
    """Jobs by status."""
    return dict(connection.execute("SELECT status, count(*) FROM job GROUP BY status").fetchall())


def stage_seconds(connection: sqlite3.Connection) -> dict[str, list[float]]:
    """How long each stage of the jobs that are kept took, the newest last."""
    rows = connection.execute(
        """SELECT stage, completed_at - started_at FROM job_stage
           WHERE completed_at IS NOT NULL ORDER BY started_at"""
    )
    found: dict[str, list[float]] = {}
    for stage, seconds in rows:
        found.setdefault(stage, []).append(seconds)
    return found
