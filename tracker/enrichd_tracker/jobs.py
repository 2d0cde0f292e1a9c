"""Jobs: one indexing run over a workspace, its stages, and how its result decides its end."""

from __future__ import annotations

from msgspec import Struct, structs

from enrichd_tracker.model import JobStatus, Stage


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
    languages: dict[str, int]
    created_at: float
    started_at: float | None
    completed_at: float | None
    stages: list[JobStage]


class JobResult(Struct, frozen=True):
    """What a run came to: the job's end is derived from it and from nothing else."""

    status: JobStatus
    error_message: str | None = None
    files_total: int = 0
    files_indexed: int = 0
    files_failed: int = 0
    symbols_found: int = 0
    languages: dict[str, int] = {}


def conclude(result: JobResult) -> JobResult:
    """The truth rule: a run with files to index, of which it indexed none, did not complete."""
    nothing = result.files_total > 0 and result.files_indexed == 0
    if result.status is JobStatus.COMPLETED and nothing:
        return structs.replace(
            result,
            status=JobStatus.FAILED,
            error_message=f"none of {result.files_total} files could be indexed",
        )
    return result
