"""The port's other half: runs, how files parsed, and what went wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from msgspec import Struct

from enrichd_tracker.jobs import Job, JobEvent, JobRequest, JobResult, Level, Note
from enrichd_tracker.model import ErrorStatus, ErrorType, Failure, Stage


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


ErrorPlace = tuple[float, int]
"""When an error was last seen, and its id: its place among all, whatever comes in."""


class ErrorQuery(Struct, frozen=True):
    """Which errors; what is None does not matter."""

    workspace_id: int | None = None
    error_type: str | None = None
    language: str | None = None
    path: str | None = None
    """A glob."""
    status: str | None = "open"
    id: int | None = None
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


class QueuedJob(Struct, frozen=True):
    """A job that waits."""

    job_id: str
    workspace_id: int
    request: JobRequest


class RunsReader(Protocol):
    """Questions about runs and what they left behind."""

    def jobs(
        self,
        workspace_id: int | None = None,
        limit: int = 10,
        offset: int = 0,
        kind: str | None = None,
    ) -> list[Job]: ...
    def queued_jobs(self) -> list[QueuedJob]:
        """The one that was asked for first at the front."""
        ...

    def unfinished_jobs(self, workspace_id: int | None = None) -> list[Job]:
        """Those that wait or run, the one that was asked for first at the front."""
        ...

    def events_after(
        self, seq: int, job_id: str | None = None, limit: int = 1_000
    ) -> list[JobEvent]:
        """What happened to this job, or to any, after that sequence number; the oldest first."""
        ...

    def last_event(self) -> int:
        """The sequence number of the newest event; 0 where there was none yet."""
        ...

    def job_logs(
        self, job_id: str, levels: tuple[Level, ...], limit: int, offset: int = 0
    ) -> list[JobEvent]:
        """Log lines of these levels, the oldest first."""
        ...

    def jobs_named(self, job_id: str) -> list[Job]:
        """Those whose id begins like this; two at most."""
        ...

    def job_counts(self) -> dict[str, int]: ...
    def stage_seconds(self) -> dict[str, list[float]]:
        """How long each stage of the jobs that are kept took, the newest last."""
        ...

    def errors(
        self,
        wanted: ErrorQuery,
        limit: int,
        offset: int = 0,
        before: ErrorPlace | None = None,
    ) -> list[StoredError]:
        """Those last seen first; with ``before`` only those that come after that place."""
        ...

    def error_paths(self, workspace_id: int, kind: ErrorType | None = None) -> set[str]:
        """Which files open errors are about, or those of one type."""
        ...

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
    def unsupported(self, workspace_id: int) -> dict[str, str]:
        """Path to language of the source that is in languages known by name only."""
        ...

    def parse_counts(self, workspace_id: int) -> list[ParseCount]: ...
    def parse_history(self, workspace_id: int, limit: int = 10) -> list[ParseRun]: ...


class RunsStore(Protocol):
    """What is written about them; each is one transaction."""

    async def queue_job(
        self, job_id: str, workspace_id: int, request: JobRequest, *, owner: str
    ) -> None: ...
    async def begin_job(
        self, job_id: str, workspace_id: int, kind: str, *, owner: str, plan: Iterable[Stage] = ()
    ) -> None:
        """It runs from now on; it is made where it was not queued before.

        ``plan``: the stages that it goes through.
        """
        ...

    async def report_stage(
        self,
        job_id: str,
        stage: Stage,
        processed: int,
        total: int,
        current_item: str = "",
        *,
        notes: Iterable[Note] = (),
        ago_s: float = 0.0,
    ) -> None:
        """How far it is, and what is new in its log; ``ago_s``: how long ago the stage began."""
        ...

    async def end_job(self, job_id: str, result: JobResult, *, notes: Iterable[Note] = ()) -> None:
        """Where that can't be written just now it is written with the next write of any kind."""
        ...

    async def end_interrupted_jobs(self, owner: str) -> list[str]:
        """End what a dead owner left running; what was queued stays queued."""
        ...

    def on_job_events(self, told: Callable[[], None]) -> None:
        """Have this called, on the event loop, whenever something was written about jobs."""
        ...

    async def log_error(
        self, workspace_id: int, path: str, language: str, failure: Failure
    ) -> None: ...

    async def note_unsupported(self, workspace_id: int, now: Mapping[str, str]) -> None:
        """Have these files (path to language) count as those that nothing here can parse."""
        ...

    async def set_error_status(self, workspace_id: int, error_id: int, status: ErrorStatus) -> bool:
        """Ignore an error, or open it again; False where there is none of this id."""
        ...

    async def note_walk_problems(
        self, workspace_id: int, problems: list[tuple[str, Failure]], gone: list[str]
    ) -> None:
        """Record what could not be taken in, and that the rest of it can be, or is gone."""
        ...
