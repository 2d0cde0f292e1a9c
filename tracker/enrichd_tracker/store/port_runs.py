"""The port's other half: what can be asked about runs, how files parsed, and what went wrong."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from enrichd_tracker.jobs import Job


class StoredError(Struct, frozen=True):
    """An indexing error as it is kept; times are seconds since the epoch."""

    id: int
    workspace: str
    path: str
    error_type: str
    stage: str
    language: str
    message: str
    traceback: str
    recoverable: bool
    status: str
    count: int
    first_seen: float
    last_seen: float


class ErrorQuery(Struct, frozen=True):
    """Which errors; what is None does not matter."""

    workspace_id: int | None = None
    error_type: str | None = None
    language: str | None = None
    path: str | None = None
    """A glob."""
    status: str | None = "open"
    since: float | None = None
    """Seen at that time or later, in seconds since the epoch."""


class ErrorCount(Struct, frozen=True):
    """The errors of one type."""

    error_type: str
    errors: int
    files: int
    occurrences: int


class StoredParseResult(Struct, frozen=True):
    """How one file parsed."""

    path: str
    language: str
    status: str
    error_lines: list[int]
    """The first ten, from 1."""
    error_count: int
    lost_bytes: int
    size: int
    message: str
    parsed_at: float


class ParseCount(Struct, frozen=True):
    """The files of one language by how they parsed."""

    language: str
    ok: int
    partial: int
    error: int
    unsupported: int
    bytes: int
    lost_bytes: int


class ParseRun(Struct, frozen=True):
    """How the files of a workspace stood after a run."""

    job_id: str
    at: float
    commit: str | None
    ok: int
    partial: int
    error: int
    unsupported: int


class RunsReader(Protocol):
    """Questions about runs and what they left behind."""

    def jobs(
        self, workspace_id: int | None = None, limit: int = 10, offset: int = 0
    ) -> list[Job]: ...
    def jobs_named(self, job_id: str) -> list[Job]:
        """Those whose id begins like this; two at most."""
        ...

    def job_counts(self) -> dict[str, int]: ...
    def stage_seconds(self) -> dict[str, list[float]]:
        """How long each stage of the jobs that are kept took, the newest last."""
        ...

    def errors(self, wanted: ErrorQuery, limit: int, offset: int = 0) -> list[StoredError]: ...
    def error_summary(self, wanted: ErrorQuery) -> list[ErrorCount]: ...
    def error_counts(self, workspace_id: int | None = None) -> dict[str, int]:
        """Open errors by type."""
        ...

    def walk_problems(self, workspace_id: int) -> dict[str, str]:
        """Path and message of what the last look at everything could not take in."""
        ...

    def parse_results(
        self,
        workspace_id: int,
        *,
        status: str | None = None,
        language: str | None = None,
        path: str | None = None,
        limit: int = -1,
        offset: int = 0,
    ) -> list[StoredParseResult]: ...
    def parse_counts(self, workspace_id: int) -> list[ParseCount]: ...
    def parse_history(self, workspace_id: int, limit: int = 10) -> list[ParseRun]: ...
