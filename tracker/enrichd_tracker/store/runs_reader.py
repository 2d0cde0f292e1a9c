"""Every question about runs: jobs, how files parsed, what went wrong."""

from __future__ import annotations

import sqlite3

from enrichd_tracker.jobs import Job
from enrichd_tracker.store import indexing_errors, jobs, parse_results
from enrichd_tracker.store.port_runs import (
    ErrorCount,
    ErrorQuery,
    ParseCount,
    ParseRun,
    StoredError,
    StoredParseResult,
)


class SqliteRunsReader:
    """The questions, answered from one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def jobs(self, workspace_id: int | None = None, limit: int = 10, offset: int = 0) -> list[Job]:
        return jobs.newest(self._connection, workspace_id, limit, offset)

    def jobs_named(self, job_id: str) -> list[Job]:
        return jobs.named(self._connection, job_id)

    def job_counts(self) -> dict[str, int]:
        return jobs.count(self._connection)

    def stage_seconds(self) -> dict[str, list[float]]:
        return jobs.stage_seconds(self._connection)

    def errors(self, wanted: ErrorQuery, limit: int, offset: int = 0) -> list[StoredError]:
        return indexing_errors.find(self._connection, wanted, limit, offset)

    def error_summary(self, wanted: ErrorQuery) -> list[ErrorCount]:
        return indexing_errors.summary(self._connection, wanted)

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

    def parse_counts(self, workspace_id: int) -> list[ParseCount]:
        return parse_results.by_language(self._connection, workspace_id)

    def parse_history(self, workspace_id: int, limit: int = 10) -> list[ParseRun]:
        return parse_results.history(self._connection, workspace_id, limit)
