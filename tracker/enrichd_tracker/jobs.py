"""Jobs: one indexing run over a workspace, its stages, and how its result decides its end."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, structs

from enrichd_tracker.model import JobStatus, Stage


class JobKind(StrEnum):
    """What a job goes over."""

    FULL = "full"  # every file, whatever is known of it
    INCREMENTAL = "incremental"  # what is new or has changed
    BATCH = "batch"  # the named files of one folder, whatever is known of them
    RETRY = "retry"  # files with open errors, and what has changed


class JobRequest(Struct, frozen=True, omit_defaults=True):
    """What somebody asked for; kept with the job, so that a restart forgets none."""

    kind: JobKind = JobKind.INCREMENTAL
    url: str = ""
    """The repository to clone or to bring up to date first; never with a secret in it."""
    branch: str = ""
    depth: int = 0
    """How many commits to fetch; 0: all of them."""
    directory: str = ""
    """Of a batch: relative to the root, and what is below it."""
    extensions: list[str] = []
    """Of a batch: with the dot; none: all that a known language has."""
    include_tests: bool = True
    enrich: bool = True
    """The job ends when the graph is as complete as it can be."""


class JobStage(Struct, frozen=True):
    """One step of a job."""

    stage: Stage
    started_at: float
    completed_at: float | None
    processed: int
    total: int
    current_item: str


class Job(Struct, frozen=True):
    """One indexing run over a workspace."""

    job_id: str
    workspace: str
    kind: str
    status: JobStatus
    stage: Stage | None
    error_message: str | None
    files_total: int
    files_indexed: int
    files_failed: int
    symbols_found: int
    warnings: int
    """How many of its log lines are warnings."""
    languages: dict[str, int]
    request: JobRequest | None
    """None: nobody asked for it, files had changed."""
    plan: list[Stage]
    """The stages that it goes through, unless it fails; none before it begins."""
    created_at: float
    started_at: float | None
    completed_at: float | None
    stages: list[JobStage]


class Level(StrEnum):
    """How much a line of a job's log matters."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def and_above(self) -> tuple[Level, ...]:
        """This level and those that matter more."""
        levels = tuple(Level)
        return levels[levels.index(self) :]


class Note(Struct, frozen=True):
    """One line of a job's log."""

    level: Level
    message: str


class JobEvent(Struct, frozen=True):
    """Something that happened to a job. ``seq`` grows with every event of any job, with gaps."""

    seq: int
    job_id: str
    workspace: str
    at: float
    event: str
    """``status``, ``stage`` (one begins), ``progress`` or ``log``."""
    level: Level
    message: str
    status: JobStatus
    stage: Stage | None
    processed: int
    total: int
    current_item: str


class JobResult(Struct, frozen=True):
    """What a run came to: the job's end is derived from it and from nothing else."""

    status: JobStatus
    error_message: str | None = None
    files_total: int = 0
    files_indexed: int = 0
    files_failed: int = 0
    symbols_found: int = 0
    languages: dict[str, int] = {}
    kind: str = JobKind.INCREMENTAL
    files_removed: int = 0
    files_unchanged: int = 0
    """Left alone; in the whole workspace."""
    first_error: str | None = None
    """Of its files: what a failed job says that has no message of its own."""


class Ground(Struct, frozen=True):
    """What a job stands on, looked at when it ends: why it can't stand there, where it can't."""

    database: str | None = None
    root: str | None = None


FIRM = Ground()


def conclude(result: JobResult, ground: Ground = FIRM) -> JobResult:
    """The truth rule: a job completed if its result says so, and what it was about is there.

    The result comes first: what it failed with matters more than what is missing by now. Where a
    job completed without a file the message says why.
    """
    said = result.error_message
    match result.status:
        case JobStatus.COMPLETED:
            return _completed(result, ground.database or ground.root)
        case JobStatus.CANCELLED:
            return _ended(result, JobStatus.CANCELLED, said or "cancelled")
        case _:
            why = said or result.first_error or "it ended without saying why"
            return _ended(result, JobStatus.FAILED, why)


def _completed(result: JobResult, missing: str | None) -> JobResult:
    said = result.error_message
    if missing:
        return _ended(result, JobStatus.FAILED, missing)
    if result.files_indexed:
        return result
    if result.files_total:
        first = f", the first one: {result.first_error}" if result.first_error else ""
        why = f"none of {result.files_total:,} files could be indexed{first}"
        return _ended(result, JobStatus.FAILED, why)
    if result.files_removed:
        return _ended(result, JobStatus.COMPLETED, f"{result.files_removed:,} files were forgotten")
    # A full run that goes on where one before it was killed may find all of it done.
    if result.kind == JobKind.BATCH or (result.kind == JobKind.FULL and not result.files_unchanged):
        return _ended(result, JobStatus.FAILED, said or "there was no file to index")
    return _ended(result, JobStatus.COMPLETED, said or "nothing had changed")


def _ended(result: JobResult, status: JobStatus, message: str) -> JobResult:
    return structs.replace(result, status=status, error_message=message)
