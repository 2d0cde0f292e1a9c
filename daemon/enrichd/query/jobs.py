"""Jobs as they are shown: with their progress, and their stages with a rate."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from enrichd.query.answers import moment, moment_or_none
from enrichd_tracker.jobs import Job, JobStage
from enrichd_tracker.model import JobStatus, Stage


class StageView(Struct, frozen=True):
    """One step of a job."""

    stage: str
    started_at: datetime
    completed_at: datetime | None
    processed: int
    total: int
    current_item: str
    rate: float | None
    """Items a second; None before there is a second to speak of."""


class JobView(Struct, frozen=True):
    """One indexing run."""

    job_id: str
    workspace: str
    kind: str
    status: str
    stage: str | None
    progress: float
    error_message: str | None
    files_total: int
    files_indexed: int
    files_failed: int
    symbols_found: int
    languages: dict[str, int]
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    stages: list[StageView]


def view(job: Job, *, now: float) -> JobView:
    """The job as it stands at ``now``."""
    return JobView(
        job_id=job.job_id,
        workspace=job.workspace,
        kind=job.kind,
        status=job.status,
        stage=job.stage,
        progress=round(_progress(job), 3),
        error_message=job.error_message,
        files_total=job.files_total,
        files_indexed=job.files_indexed,
        files_failed=job.files_failed,
        symbols_found=job.symbols_found,
        languages=job.languages,
        created_at=moment(job.created_at),
        started_at=moment_or_none(job.started_at),
        completed_at=moment_or_none(job.completed_at),
        stages=[_stage(stage, now) for stage in job.stages],
    )


def _progress(job: Job) -> float:
    """From 0 to 1; each stage counts the same."""
    if job.status is JobStatus.COMPLETED:
        return 1.0
    done = {stage.stage: _share(stage) for stage in job.stages}
    return sum(done.values()) / len(Stage)


def _share(stage: JobStage) -> float:
    if stage.completed_at is not None:
        return 1.0
    return min(stage.processed / stage.total, 1.0) if stage.total else 0.0


def _stage(stage: JobStage, now: float) -> StageView:
    elapsed_s = (stage.completed_at or now) - stage.started_at
    return StageView(
        stage=stage.stage,
        started_at=moment(stage.started_at),
        completed_at=moment_or_none(stage.completed_at),
        processed=stage.processed,
        total=stage.total,
        current_item=stage.current_item,
        rate=round(stage.processed / elapsed_s, 1) if elapsed_s > 0 else None,
    )
