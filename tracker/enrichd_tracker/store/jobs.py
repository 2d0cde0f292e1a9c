"""Jobs and their stages, as they are kept."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import Any

import msgspec

from enrichd_tracker.jobs import Job, JobRequest, JobResult, JobStage, Level, Note
from enrichd_tracker.model import JobStatus, Stage
from enrichd_tracker.store import job_events
from enrichd_tracker.store.port_runs import QueuedJob

MOST_JOBS = 1_000
"""Of a workspace: older ones are forgotten when a new one begins."""
INTERRUPTED = "interrupted: the process that ran it is gone"

_JOB = """SELECT job.id, workspace.name, kind, status, stage, error_message, files_total,
        files_indexed, files_failed, symbols_found, warnings, languages, request, plan,
        job.created_at, started_at, completed_at
    FROM job JOIN workspace ON workspace.id = job.workspace_id"""


def queue_job(
    connection: sqlite3.Connection,
    job_id: str,
    workspace_id: int,
    request: JobRequest,
    *,
    owner: str,
    at: float,
) -> None:
    """A job that somebody asked for, and that waits."""
    _forget_old_ones(connection, workspace_id)
    connection.execute(
        """INSERT INTO job (id, workspace_id, kind, status, owner, lease_until, created_at, request)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            job_id,
            workspace_id,
            request.kind,
            JobStatus.QUEUED,
            owner,
            at,
            at,
            msgspec.json.encode(request).decode(),
        ),
    )
    job_events.add(connection, job_id, "status", at, message="queued")


def begin_job(
    connection: sqlite3.Connection,
    job_id: str,
    workspace_id: int,
    kind: str,
    *,
    owner: str,
    plan: Iterable[Stage],
    lease_until: float,
    at: float,
) -> None:
    """A job that runs from now on, leased by its owner; it may have been queued before."""
    stages = json.dumps(list(plan))
    begun = connection.execute(
        "UPDATE job SET status = ?, kind = ?, owner = ?, plan = ?, lease_until = ?, started_at = ? "
        "WHERE id = ?",
        (JobStatus.RUNNING, kind, owner, stages, lease_until, at, job_id),
    )
    if not begun.rowcount:
        _forget_old_ones(connection, workspace_id)
        connection.execute(
            """INSERT INTO job (id, workspace_id, kind, status, owner, plan, lease_until,
                   created_at, started_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (job_id, workspace_id, kind, JobStatus.RUNNING, owner, stages, lease_until, at, at),
        )
    job_events.add(connection, job_id, "status", at, message=f"began, {kind}")


def _forget_old_ones(connection: sqlite3.Connection, workspace_id: int) -> None:
    connection.execute(
        """DELETE FROM job WHERE workspace_id = ? AND completed_at IS NOT NULL AND created_at < (
               SELECT created_at FROM job WHERE workspace_id = ?
               ORDER BY created_at DESC LIMIT 1 OFFSET ?)""",
        (workspace_id, workspace_id, MOST_JOBS - 2),
    )


def report_stage(
    connection: sqlite3.Connection,
    job_id: str,
    stage: Stage,
    *,
    processed: int,
    total: int,
    current_item: str = "",
    notes: Iterable[Note] = (),
    lease_until: float,
    at: float,
    ago_s: float = 0.0,
) -> None:
    """How far a stage is; the stages before it are over. Renews the lease, writes the log.

    ``ago_s``: how long ago the stage began, if it begins with this.
    """
    before = connection.execute("SELECT stage FROM job WHERE id = ?", (job_id,)).fetchone()
    connection.execute(
        "UPDATE job_stage SET completed_at = ? WHERE job_id = ? AND stage <> ? "
        "AND completed_at IS NULL",
        (at, job_id, stage),
    )
    connection.execute(
        """INSERT INTO job_stage VALUES (?, ?, ?, NULL, ?, ?, ?)
           ON CONFLICT DO UPDATE SET processed = excluded.processed, total = excluded.total,
               current_item = excluded.current_item""",
        (job_id, stage, at - ago_s, processed, total, current_item),
    )
    connection.execute(
        "UPDATE job SET stage = ?, lease_until = ?, files_total = max(files_total, ?) WHERE id = ?",
        (stage, lease_until, total if stage is Stage.PARSING else 0, job_id),
    )
    job_events.note(connection, job_id, notes, at)
    job_events.add(
        connection,
        job_id,
        "progress" if before == (stage,) else "stage",
        at,
        processed=processed,
        total=total,
        current_item=current_item,
    )


def end_job(
    connection: sqlite3.Connection,
    job_id: str,
    result: JobResult,
    at: float,
    notes: Iterable[Note] = (),
) -> None:
    """The job ends as its result says, with the last lines of its log."""
    job_events.note(connection, job_id, notes, at)
    connection.execute(
        "UPDATE job_stage SET completed_at = ? WHERE job_id = ? AND completed_at IS NULL",
        (at, job_id),
    )
    ended = connection.execute(
        """UPDATE job SET status = ?, error_message = ?, files_total = ?, files_indexed = ?,
               files_failed = ?, symbols_found = ?, languages = ?, completed_at = ?
           WHERE id = ? AND completed_at IS NULL""",
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
    if ended.rowcount:
        _tell_end(connection, job_id, result.status, result.error_message, at)


def _tell_end(
    connection: sqlite3.Connection, job_id: str, status: JobStatus, message: str | None, at: float
) -> None:
    text = f"{status}: {message}" if message else str(status)
    level = Level.ERROR if status is JobStatus.FAILED else Level.INFO
    job_events.add(connection, job_id, "status", at, level=level, message=text)


def end_interrupted_jobs(connection: sqlite3.Connection, owner: str, at: float) -> list[str]:
    """End what another, dead, owner left running; returns the jobs. What was queued stays so."""
    connection.execute(
        """UPDATE job_stage SET completed_at = ? WHERE completed_at IS NULL AND job_id IN
               (SELECT id FROM job WHERE completed_at IS NULL AND owner <> ?)""",
        (at, owner),
    )
    rows = connection.execute(
        """UPDATE job SET status = ?, completed_at = ?, error_message = ?
           WHERE completed_at IS NULL AND status <> ? AND owner <> ? RETURNING id""",
        (JobStatus.FAILED, at, INTERRUPTED, JobStatus.QUEUED, owner),
    ).fetchall()
    for row in rows:
        _tell_end(connection, row[0], JobStatus.FAILED, INTERRUPTED, at)
    return [row[0] for row in rows]


def queued(connection: sqlite3.Connection) -> list[QueuedJob]:
    """Jobs that wait, the one that was asked for first at the front."""
    rows = connection.execute(
        "SELECT id, workspace_id, request FROM job WHERE completed_at IS NULL AND status = ? "
        "ORDER BY created_at, rowid",
        (JobStatus.QUEUED,),
    )
    return [
        QueuedJob(job_id, workspace_id, msgspec.json.decode(request, type=JobRequest))
        for job_id, workspace_id, request in rows
    ]


def newest(
    connection: sqlite3.Connection,
    workspace_id: int | None,
    limit: int,
    offset: int,
    kind: str | None = None,
) -> list[Job]:
    """The newest jobs first."""
    rows = connection.execute(
        f"""{_JOB} WHERE workspace_id = coalesce(?, workspace_id) AND kind = coalesce(?, kind)
            ORDER BY job.created_at DESC, job.rowid DESC LIMIT ? OFFSET ?""",
        (workspace_id, kind, limit, offset),
    ).fetchall()
    return [_job(connection, row) for row in rows]


def unfinished(connection: sqlite3.Connection, workspace_id: int | None) -> list[Job]:
    """Jobs that wait or run, the one that was asked for first at the front."""
    rows = connection.execute(
        f"""{_JOB} WHERE completed_at IS NULL AND workspace_id = coalesce(?, workspace_id)
            ORDER BY job.created_at, job.rowid""",
        (workspace_id,),
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
    status, stage = JobStatus(row[3]), Stage(row[4]) if row[4] else None
    languages = json.loads(row[11])
    request = msgspec.json.decode(row[12], type=JobRequest) if row[12] else None
    plan, stages = [Stage(each) for each in json.loads(row[13])], _stages(connection, row[0])
    values = (*row[:3], status, stage, *row[5:11], languages, request, plan, *row[14:], stages)
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
