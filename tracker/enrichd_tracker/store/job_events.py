"""What happened to jobs, in order: what streams send on, and the lines of their logs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from enrichd_tracker.jobs import JobEvent, Level, Note
from enrichd_tracker.model import JobStatus, Stage

MOST_NOTES = 1_000
"""Of one job; how many more there were is its last one."""

_EVENT = """SELECT seq, job_id, workspace.name, at, event, level, message, job_event.status,
        job_event.stage, processed, total, current_item
    FROM job_event JOIN job ON job.id = job_id JOIN workspace ON workspace.id = workspace_id"""


def add(
    connection: sqlite3.Connection,
    job_id: str,
    event: str,
    at: float,
    *,
    level: Level = Level.INFO,
    message: str = "",
    processed: int = 0,
    total: int = 0,
    current_item: str = "",
) -> None:
    """Something happened to the job, whose status and stage are what they are now."""
    connection.execute(
        """INSERT INTO job_event (job_id, at, event, level, message, status, stage, processed,
               total, current_item)
           SELECT id, ?, ?, ?, ?, status, stage, ?, ?, ? FROM job WHERE id = ?""",
        (at, event, level, message, processed, total, current_item, job_id),
    )


def note(connection: sqlite3.Connection, job_id: str, notes: Iterable[Note], at: float) -> None:
    """Write lines of the job's log."""
    notes = list(notes)
    if not notes:
        return
    before = _count(connection, job_id)
    for each in notes[: max(0, MOST_NOTES - before)]:
        add(connection, job_id, "log", at, level=each.level, message=each.message)
    if before < MOST_NOTES < before + len(notes):
        message = f"from here on nothing is logged: there are {MOST_NOTES:,} lines"
        add(connection, job_id, "log", at, level=Level.INFO, message=message)
    warnings = sum(each.level is Level.WARNING for each in notes)
    connection.execute("UPDATE job SET warnings = warnings + ? WHERE id = ?", (warnings, job_id))


def after(
    connection: sqlite3.Connection, seq: int, job_id: str | None, limit: int
) -> list[JobEvent]:
    """What happened after that, the oldest first."""
    which = "job_id = ? AND " if job_id is not None else ""
    rows = connection.execute(
        f"{_EVENT} WHERE {which}seq > ? ORDER BY seq LIMIT ?",
        (*((job_id,) if job_id is not None else ()), seq, limit),
    )
    return [_event(row) for row in rows]


def last(connection: sqlite3.Connection) -> int:
    """The sequence number of the newest event; 0 where there was none yet."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'job_event'").fetchone()
    return 0 if row is None else int(row[0])


def logs(
    connection: sqlite3.Connection, job_id: str, levels: tuple[Level, ...], limit: int, offset: int
) -> list[JobEvent]:
    """The job's log lines of these levels, the oldest first."""
    marks = ", ".join("?" * len(levels))
    rows = connection.execute(
        f"""{_EVENT} WHERE job_id = ? AND message <> '' AND level IN ({marks})
            ORDER BY seq LIMIT ? OFFSET ?""",
        (job_id, *levels, limit, offset),
    )
    return [_event(row) for row in rows]


def _count(connection: sqlite3.Connection, job_id: str) -> int:
    row = connection.execute(
        "SELECT count(*) FROM job_event WHERE job_id = ? AND event = 'log'", (job_id,)
    ).fetchone()
    return int(row[0])


def _event(row: tuple[Any, ...]) -> JobEvent:
    status, stage = JobStatus(row[7]), Stage(row[8]) if row[8] else None
    values = (*row[:5], Level(row[5]), row[6], status, stage, *row[9:])
    return JobEvent(*values)
