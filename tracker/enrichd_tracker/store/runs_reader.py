"""Every question about runs: jobs, how files parsed, what went wrong."""

from __future__ import annotations

import sqlite3

from enrichd_tracker.jobs import Job, JobEvent, Level
from enrichd_tracker.model import ErrorType
from enrichd_tracker.store import indexing_errors, job_events, jobs, parse_results
from enrichd_tracker.store.port_runs import (
    ErrorCount,
    ErrorPlace,
    ErrorQuery,
    ParseCount,
    ParseRun,
    QueuedJob,
    StoredError,
    StoredParseResult,
)


class SqliteRunsReader:
    """The questions, answered from one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def jobs(
        self,
        workspace_id: int | None = None,
        limit: int = 10,
        offset: int = 0,
        kind: str | None = None,
    ) -> list[Job]:
        return jobs.newest(self._connection, workspace_id, limit, offset, kind)

    def queued_jobs(self) -> list[QueuedJob]:
        return jobs.queued(self._connection)

    def unfinished_jobs(self, workspace_id: int | None = None) -> list[Job]:
        return jobs.unfinished(self._connection, workspace_id)

    def events_after(
        self, seq: int, job_id: str | None = None, limit: int = 1_000
    ) -> list[JobEvent]:
        return job_events.after(self._connection, seq, job_id, limit)

    def last_event(self) -> int:
        return job_events.last(self._connection)

    def job_logs(
        self, job_id: str, levels: tuple[Level, ...], limit: int, offset: int = 0
    ) -> list[JobEvent]:
        return job_events.logs(self._connection, job_id, levels, limit, offset)

    def jobs_named(self, job_id: str) -> list[Job]:
        return jobs.named(self._connection, job_id)

    def job_counts(self) -> dict[str, int]:
        return jobs.count(self._connection)

    def stage_seconds(self) -> dict[str, list[float]]:
        return jobs.stage_seconds(self._connection)

    def errors(
        self,
        wanted: ErrorQuery,
        limit: int,
        offset: int = 0,
        before: ErrorPlace | None = None,
    ) -> list[StoredError]:
        return indexing_errors.get_errors(self._connection, wanted, limit, offset, before)

    def error_paths(self, workspace_id: int, kind: ErrorType | None = None) -> set[str]:
        return indexing_errors.error_paths(self._connection, workspace_id, kind)

    def error_summary(self, wanted: ErrorQuery) -> list[ErrorCount]:
        return indexing_errors.get_error_summary(self._connection, wanted)

    def error_counts(self, workspace_id: int | None = None) -> dict[str, int]:
        return indexing_errors.count(self._connection, workspace_id)

    def walk_problems(self, workspace_id: int) -> dict[str, str]:
        return indexing_errors.walk_problems(self._connection, workspace_id)

    def parse_results(
        self,
        workspace_id: int,
        *,
        status: str | None = None,
        language: str | None = None,
        path: str | None = None,
        limit: int = -1,
        offset: int = 0,
    ) -> list[StoredParseResult]:
        return parse_results.find(
            self._connection,
            workspace_id,
            status=status,
            language=language,
            path=path,
            limit=limit,
            offset=offset,
        )

    def unsupported(self, workspace_id: int) -> dict[str, str]:
        return parse_results.unsupported(self._connection, workspace_id)

    def parse_counts(self, workspace_id: int) -> list[ParseCount]:
        return parse_results.by_language(self._connection, workspace_id)

    def parse_history(self, workspace_id: int, limit: int = 10) -> list[ParseRun]:
        return parse_results.history(self._connection, workspace_id, limit)
